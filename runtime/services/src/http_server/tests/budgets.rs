//! What strangers and each of them may take, and what is left for the owner.

use futures::StreamExt;
use http_body::Frame;
use http_body_util::StreamBody;
use node_api::{BoxError, HttpRequest, Origin};

use super::*;

const ONE: &str = "192.0.2.1:1";
const OTHER: &str = "192.0.2.2:1";
const OK: &str = r#"{"status":200,"headers":{}}"#;

/// A request whose body never ends; what it holds is `bytes`.
fn slow(path: &str, bytes: usize) -> HttpRequest {
    let piece = Ok::<_, BoxError>(Frame::data(Bytes::from(vec![b'x'; bytes])));
    let pieces = futures::stream::iter([piece]).chain(futures::stream::pending());
    let mut request = request(Method::POST, path, &[], "");
    *request.body_mut() = StreamBody::new(pieces).boxed_unsync();
    request
}

/// Lets everything happen that can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn slow_uploads_of_strangers_keep_nobody_out() {
    let mut harness = Harness::new();
    harness.bind("/open", false, false).await;
    harness.bind("/mine", true, false).await;
    let open = format!("/{APP}/open");
    let most = usize::try_from(PUBLIC_LIMIT).unwrap();
    let upload = |harness: &Harness, client: &str| {
        harness.begin(visited(slow(&open, most), client, None), Origin::Public)
    };
    let mut waiting = Vec::new();
    for _ in 0..ONE_STRANGERS_BODIES {
        waiting.push(upload(&harness, ONE));
    }
    settle().await;
    let refused = upload(&harness, ONE).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    for number in 1..STRANGERS_BODIES / ONE_STRANGERS_BODIES {
        for _ in 0..ONE_STRANGERS_BODIES {
            waiting.push(upload(&harness, &format!("198.51.100.{number}:1")));
        }
    }
    settle().await;
    assert!(waiting.iter_mut().all(|answer| answer.try_recv().is_err()));
    let refused = upload(&harness, OTHER).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);

    // The owner signs in and uploads all the same.
    let login = json!({"password_hash": hash_text(PASSWORD)}).to_string();
    let login = visited(request(Method::POST, "/login", &[], login), ONE, None);
    let answer = harness.server.handle(login, Origin::Public).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let cookie = cookie(&harness);
    let mine = request(
        Method::POST,
        &format!("/{APP}/mine"),
        &[("cookie", &cookie)],
        vec![b'y'; most],
    );
    let answer = harness.begin(visited(mine, ONE, None), Origin::Public);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, OK, None);
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);

    // What a client held is given back with its last request.
    for answer in waiting {
        drop(answer);
    }
    harness.tasks.token().cancel();
    assert!(harness.tasks.shutdown(Duration::from_secs(5)).await);
    let rest = harness.server.public_bodies.charge(Standing::Owner, None);
    assert!(rest.is_everything());
}

#[tokio::test(start_paused = true)]
async fn slow_logins_keep_nobody_out_for_long() {
    let harness = Harness::new();
    let login = |client: &str| {
        let asked = visited(slow("/login", (16 << 10) - 1), client, None);
        harness.begin(asked, Origin::Public)
    };
    let begun = tokio::time::Instant::now();
    let waiting = [ONE; 4].map(login);
    settle().await;
    let refused = login(ONE).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let right = json!({"password_hash": hash_text(PASSWORD)}).to_string();
    let right = visited(request(Method::POST, "/login", &[], right), OTHER, None);
    let answer = harness.server.handle(right, Origin::Public).await;
    assert_eq!(answer.status(), StatusCode::OK);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_room_until_its_time_or_its_client_is_gone() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    let room = harness.port.fill(APP, Share::OwnersRequests);
    let path = format!("/{APP}");
    let ask = || request(Method::GET, &path, &[], "");
    let answer = harness.begin(ask(), Origin::Public);
    settle().await;
    assert!(harness.sent.try_recv().is_err());
    room.add_permits(1);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, OK, None);
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);

    let begun = tokio::time::Instant::now();
    let answer = harness.begin(ask(), Origin::Public).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(begun.elapsed(), ANSWER_TIME);

    {
        let leaving = harness.server.handle(ask(), Origin::Public);
        tokio::pin!(leaving);
        assert!(futures::poll!(leaving.as_mut()).is_pending());
        assert_eq!(harness.server.pending.len(), 1);
    }
    assert_eq!(harness.server.pending.len(), 0);
    room.add_permits(10);
    settle().await;
    assert!(harness.sent.try_recv().is_err());

    // Who does not exist is not waited for.
    harness.port.refuse(APP);
    let begun = tokio::time::Instant::now();
    let answer = harness.public(Method::GET, &path).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn requests_of_strangers_leave_the_owner_a_place() {
    let mut harness = Harness::new();
    harness.bind("/open", false, false).await;
    harness.bind("/mine", true, false).await;
    let open = format!("/{APP}/open");
    let mut waiting = Vec::new();
    for _ in 0..STRANGERS_PENDING {
        let asked = request(Method::GET, &open, &[], "");
        waiting.push(harness.begin(asked, Origin::Public));
        harness.sent.recv().await.unwrap();
    }
    let refused = harness.public(Method::GET, &open).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    // A mailbox that is full for strangers is not for the owner either.
    harness.port.fill(APP, Share::StrangersRequests);
    let cookie = cookie(&harness);
    let mine = format!("/{APP}/mine");
    for (headers, origin, path) in [
        (&[("cookie", cookie.as_str())][..], Origin::Public, &mine),
        (&[], Origin::Tunnel, &open),
    ] {
        let answer = harness.begin(request(Method::GET, path, headers, ""), origin);
        let message = harness.sent.recv().await.unwrap();
        harness.answer(&message, OK, None);
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }
    // The owner's have their bound too.
    for _ in STRANGERS_PENDING..MAX_PENDING {
        waiting.push(harness.begin(request(Method::GET, &open, &[], ""), Origin::Tunnel));
        harness.sent.recv().await.unwrap();
    }
    let asked = request(Method::GET, &open, &[], "");
    let refused = harness.server.handle(asked, Origin::Tunnel).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}
