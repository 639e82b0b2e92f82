use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

fn guarded() -> (DuplexStream, Guarded<DuplexStream>, Arc<Signals>) {
    let (client, server) = tokio::io::duplex(1 << 16);
    let signals = Arc::new(Signals::default());
    (client, Guarded::new(server, signals.clone()), signals)
}

async fn passes(input: &[u8]) -> Vec<u8> {
    let (mut client, mut guarded, _signals) = guarded();
    client.write_all(input).await.unwrap();
    client.shutdown().await.unwrap();
    let mut output = Vec::new();
    guarded.read_to_end(&mut output).await.unwrap();
    output
}

#[tokio::test]
async fn what_passes_is_unchanged() {
    let two = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(passes(two).await, two);
    let chunked =
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(passes(chunked).await, chunked);
    let spaced = b"\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(passes(spaced).await, &spaced[4..]);
    assert_eq!(passes(b"GET /half HTTP/1.1\r\nHos").await, b"");
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    let (mut client, mut guarded, _signals) = guarded();
    let input = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let writer = async {
        for byte in input {
            client.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.shutdown().await.unwrap();
    };
    let reader = async {
        let mut output = Vec::new();
        guarded.read_to_end(&mut output).await.unwrap();
        output
    };
    let ((), output) = tokio::join!(writer, reader);
    assert_eq!(output, input);
}

#[tokio::test]
async fn a_refused_head_is_replaced_and_named() {
    let (mut client, mut guarded, signals) = guarded();
    let good = b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n";
    let bad =
        b"GET /bad HTTP/1.1\r\nHost: a\r\nX: y\nZ: z\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(&[&good[..], bad].concat()).await.unwrap();
    let expected = [&good[..], STAND_IN].concat();
    let mut output = vec![0; expected.len()];
    guarded.read_exact(&mut output).await.unwrap();
    assert_eq!(output, expected);
    assert!(futures::poll!(std::pin::pin!(guarded.read_u8())).is_pending());
    assert_eq!(signals.called().1, None);
    let (unanswered, refusal) = signals.called();
    assert_eq!(refusal.unwrap().status, 400);
    drop(unanswered);
    assert_eq!(signals.unanswered.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_is_refused_and_an_idle_connection_ends() {
    let (mut client, mut guarded, signals) = guarded();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut output = vec![0; 27];
    guarded.read_exact(&mut output).await.unwrap();
    let (unanswered, refusal) = signals.called();
    assert_eq!(refusal, None);
    {
        let mut next = std::pin::pin!(guarded.read_u8());
        let waiting = tokio::time::timeout(2 * IDLE_DEADLINE, &mut next).await;
        assert!(waiting.is_err(), "a request is being answered");
        drop(unanswered);
        let ended = tokio::time::timeout(2 * IDLE_DEADLINE, next).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    let (mut client, mut guarded, signals) = self::guarded();
    client.write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
    let mut output = vec![0; STAND_IN.len()];
    let slow = tokio::time::timeout(2 * HEAD_DEADLINE, guarded.read_exact(&mut output));
    slow.await.unwrap().unwrap();
    assert_eq!(signals.called().1, Some(head::TOO_SLOW));
}

#[tokio::test]
async fn what_is_no_request_is_refused_at_once() {
    for input in [&b"\x16\x03\x01\x02\x00"[..], b"\nGET / HTTP/1.1\r\n\r\n"] {
        let (mut client, mut guarded, signals) = guarded();
        client.write_all(input).await.unwrap();
        let mut output = vec![0; STAND_IN.len()];
        guarded.read_exact(&mut output).await.unwrap();
        assert_eq!(signals.called().1.unwrap().status, 400);
    }
    let (mut client, mut guarded, signals) = guarded();
    let long = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(head::MAX_HEAD));
    client.write_all(long.as_bytes()).await.unwrap();
    let mut output = vec![0; STAND_IN.len()];
    guarded.read_exact(&mut output).await.unwrap();
    assert_eq!(signals.called().1, Some(head::TOO_LARGE));
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_is_waited_for_a_moment_once_the_door_closes() {
    let begun = Instant::now();
    let (mut client, mut guarded, signals) = guarded();
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(head).await.unwrap();
    let mut output = vec![0; head.len()];
    guarded.read_exact(&mut output).await.unwrap();
    let (unanswered, _) = signals.called();
    signals.close();
    let answering = async {
        tokio::time::sleep(CLOSING_DEADLINE * 3 / 2).await;
        drop(unanswered);
    };
    let (read, ()) = tokio::join!(guarded.read(&mut output), answering);
    assert_eq!(read.unwrap(), 0, "the end");
    // Not while it waited for us, and a moment more.
    let expected = CLOSING_DEADLINE * 3;
    assert!((expected..expected + CLOSING_DEADLINE / 2).contains(&begun.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    let (client, server) = tokio::io::duplex(16);
    let mut guarded = Guarded::new(server, Arc::new(Signals::default()));
    let error = guarded.write_all(&[0; 64]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn closing_drains_a_client_that_still_sends() {
    let (mut client, mut guarded, _signals) = guarded();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n";
    client.write_all(head).await.unwrap();
    let mut output = vec![0; head.len()];
    guarded.read_exact(&mut output).await.unwrap();
    guarded.write_all(b"answer").await.unwrap();
    let sending = async {
        client.write_all(&vec![0; 200_000]).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        drop(client);
        answer
    };
    let (closed, answer) = tokio::join!(guarded.shutdown(), sending);
    closed.unwrap();
    assert_eq!(answer, b"answer");
}
