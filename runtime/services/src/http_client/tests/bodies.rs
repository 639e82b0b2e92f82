//! Bodies: encoded, large, slow.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn encodings_are_undone_for_who_did_not_ask_for_them() {
    let mut rig = Rig::new();
    let text = "line\n".repeat(10_000);
    let zipped = gzip(text.as_bytes());
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let deflated = encoder.finish().unwrap();
    // `brotli ` fifty times.
    let brotli = hex::decode("1b5d01f88d54b5bf061193a393696c6f415b2430c23e00").unwrap();
    let given = zipped.clone();
    let server = Server::start(&rig.tasks, move |request| {
        let path = request.split(' ').nth(1).unwrap();
        match path {
            "/gzip" => response("200 OK", "content-encoding: gzip\r\n", &given),
            "/deflate" => response("200 OK", "content-encoding: deflate\r\n", &deflated),
            "/br" => response("200 OK", "content-encoding: br\r\n", &brotli),
            "/none" => b"HTTP/1.1 204 No\r\ncontent-encoding: gzip\r\n\r\n".to_vec(),
            "/head" => b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec(),
            _ => response("200 OK", "content-encoding: zstd\r\n", b"left alone"),
        }
    })
    .await;
    let brotlis = "brotli ".repeat(50);
    for (path, wanted) in [("/gzip", &text), ("/deflate", &text), ("/br", &brotlis)] {
        let (_, headers, body) = rig.get(&server.url(path)).await.unwrap();
        assert_eq!(
            (headers, body),
            (json!({}), wanted.clone().into()),
            "{path}"
        );
    }
    let (_, headers, body) = rig.get(&server.url("/zstd")).await.unwrap();
    assert_eq!(
        (headers["Content-Encoding"].as_str(), body),
        (Some("zstd"), "left alone".into())
    );
    let (status, _, body) = rig.get(&server.url("/none")).await.unwrap();
    assert_eq!((status, body), (204, Bytes::new()));
    let (answer, blob) = rig
        .ask(APP, &http("HEAD", &server.url("/head")), None)
        .await;
    let wanted = json!({"status": 200, "headers": {"Content-Encoding": "gzip"}});
    assert_eq!(answer["Ok"]["Http"], wanted);
    assert_eq!(blob.unwrap().bytes, "");
    let action = json!({"Http": {"method": "GET", "version": null, "url": server.url("/gzip"),
        "headers": {"Accept-Encoding": "gzip"}}});
    let (answer, blob) = rig.ask(APP, &action, None).await;
    assert_eq!(answer["Ok"]["Http"]["headers"]["Content-Encoding"], "gzip");
    assert_eq!(blob.unwrap().bytes, zipped);
    assert_eq!(rig.client.downloads.held(), 0);
}

#[tokio::test]
async fn what_is_too_large_is_given_up_at_once() {
    let mut rig = Rig::new();
    // A GiB of zeros.
    let member = gzip(&vec![0; 16 << 20]);
    let bomb = std::iter::repeat_n(member, 64)
        .flatten()
        .collect::<Vec<_>>();
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let address = listen(&rig.tasks, move |mut stream| {
        let (bomb, count) = (bomb.clone(), count.clone());
        async move {
            let request = read_request(&mut stream).await.unwrap();
            let head: &[u8] = match request.split(' ').nth(1).unwrap() {
                "/bomb" => b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n",
                "/announced" => b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n",
                "/head" => b"HTTP/1.1 200 OK\r\n",
                _ => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            };
            stream.write_all(head).await.unwrap();
            let piece = match request.split(' ').nth(1).unwrap() {
                "/bomb" => bomb,
                "/announced" => Vec::new(),
                "/head" => b"x-a: bbbbbbbbbbbbbbbb\r\n".repeat(1000),
                _ => [&b"10000\r\n"[..], &[0; 0x10000], b"\r\n"].concat(),
            };
            // Until it hangs up.
            while stream.write_all(&piece).await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
                if piece.is_empty() {
                    let _ = stream.read_u8().await;
                    return;
                }
            }
        }
    })
    .await;
    let limit = format!("the response is larger than the limit of {LIMIT} bytes");
    for path in ["/bomb", "/announced", "/endless"] {
        let text = rig.failure(&format!("http://{address}{path}")).await;
        assert_eq!(text, limit, "{path}");
        assert_eq!(rig.client.downloads.held(), 0);
    }
    rig.failure(&format!("http://{address}/head")).await;
    assert!(written.load(Ordering::SeqCst) < 1000);
    assert_eq!(rig.client.pool.kept(), 0);
}

#[tokio::test]
async fn responses_at_once_share_what_there_is() {
    let mut rig = Rig::new();
    let address = listen(&rig.tasks, |mut stream| async move {
        read_request(&mut stream).await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 700000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        stream.write_all(&[0; 699_999]).await.unwrap();
        // Kept waiting for the last byte.
        let _ = stream.read_u8().await;
    })
    .await;
    let url = format!("http://{address}/");
    let first = rig.message(APP, &http("GET", &url), None);
    rig.give(first);
    let held = rig.client.clone();
    until(|| held.downloads.held() >= 699_999).await;
    let text = rig.failure(&url).await;
    assert_eq!(text, "too much is being received at once; try again");
    rig.client.process_ended(&APP.parse().unwrap());
    until(|| held.downloads.held() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_response() {
    let mut rig = Rig::new();
    let address = listen(&rig.tasks, |mut stream| async move {
        read_request(&mut stream).await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nslow";
        stream.write_all(head).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let mut message = rig.message(APP, &http("GET", &format!("http://{address}/")), None);
    if let Message::Request(request) = &mut message.message {
        request.expects_response = Some(100);
    }
    rig.give(message);
    let answer = rig.sent.recv().await.unwrap();
    let wanted = json!({"Err": {"ExecuteRequestFailed": "the server was silent for 30 seconds"}});
    assert_eq!(read(&answer), wanted);
}
