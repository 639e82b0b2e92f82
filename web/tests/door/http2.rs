//! HTTP/2 in the clear, as proxies speak it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt;
use http::{Request, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use node_api::{BoxError, HttpBody};

use crate::support::{
    BIG, Host, PATIENCE, PIECE, connect, exchange_h2 as exchange, options, whole,
};
use tenant_manager::ManagerLimits;

async fn host() -> (Host, String) {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    (host, token)
}

fn request(method: &str, url: &str, body: HttpBody) -> Request<HttpBody> {
    let request = Request::builder().method(method).uri(url);
    request.body(body).unwrap()
}

fn get(url: &str) -> Request<HttpBody> {
    request("GET", url, whole(""))
}

#[tokio::test]
async fn requests_of_one_connection_go_where_each_says() {
    let (host, token) = host().await;
    host.make_node(&token, "bob").await;
    let sender = connect(&host).await;
    let asking = [
        ("http://alice.localhost/name", 200, "alice.dev"),
        ("http://bob.localhost/name", 200, "bob.dev"),
        ("http://My-App.ALICE.localhost:8000/name", 200, "alice.dev"),
        ("https://alice.localhost/name", 200, "alice.dev"),
        ("http://localhost/", 200, "Berth"),
        ("http://eve.localhost/name", 404, "No such node"),
        ("http://example.org/name", 421, "Not served here"),
        ("http://alice.localhost./name", 400, "ends with a dot"),
        ("http://al_ice.localhost/name", 400, "malformed"),
        (
            "http://alice.localhost/rpc:distro:sys/message",
            403,
            "Not allowed",
        ),
        (
            "http://alice.localhost/%72pc:distro:sys/message",
            403,
            "Not allowed",
        ),
    ]
    .map(|(url, status, text)| {
        let sender = &sender;
        async move {
            let (got, headers, body) = exchange(sender, get(url)).await;
            assert_eq!(got.as_u16(), status, "{url}: {body}");
            assert!(body.contains(text), "{url}: {body}");
            for name in ["connection", "keep-alive", "transfer-encoding", "upgrade"] {
                assert!(!headers.contains_key(name), "{url}: {headers:?}");
            }
        }
    });
    futures::future::join_all(asking).await;
}

#[tokio::test]
async fn one_request_has_one_host() {
    let (host, _) = host().await;
    let sender = connect(&host).await;
    for (name, status) in [
        ("alice.localhost", 200),
        ("Alice.LocalHost", 200),
        ("bob.localhost", 400),
        ("localhost", 400),
        ("alice.localhost:80", 400),
        ("alice.localhost.", 400),
        ("", 400),
    ] {
        let mut asked = get("http://alice.localhost/name");
        asked.headers_mut().append("host", name.parse().unwrap());
        let (got, _, text) = exchange(&sender, asked).await;
        assert_eq!(got.as_u16(), status, "{name}: {text}");
    }
    let mut twice = get("http://alice.localhost/name");
    for _ in 0..2 {
        let name = "alice.localhost".parse().unwrap();
        twice.headers_mut().append("host", name);
    }
    assert_eq!(exchange(&sender, twice).await.0.as_u16(), 400);
}

#[tokio::test]
async fn the_node_sees_what_it_would_of_http1() {
    let (host, _) = host().await;
    let sender = connect(&host).await;
    let mut asked = get("http://Alice.localhost:8000/a%20b//c?q=%2F");
    for (name, value) in [
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("te", "trailers"),
        ("expect", "100-continue"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("forwarded", "for=10.0.0.1"),
        ("x-mine", "kept"),
    ] {
        asked.headers_mut().append(name, value.parse().unwrap());
    }
    let (_, _, text) = exchange(&sender, asked).await;
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.remove(0), "Public GET /a%20b//c?q=%2F");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "cookie: a=1; b=2",
            "host: alice.localhost:8000",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: alice.localhost:8000",
            "x-forwarded-proto: http",
            "x-mine: kept",
        ]
    );
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let host = host_behind_proxy().await;
    let sender = connect(&host).await;
    for (client, seen) in [
        ("203.0.113.7", "203.0.113.7"),
        ("[2001:db8::7]:1", "2001:db8::7"),
    ] {
        let mut asked = get("http://alice.localhost/");
        let headers = asked.headers_mut();
        headers.insert("x-forwarded-for", client.parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        let (_, _, text) = exchange(&sender, asked).await;
        assert!(text.contains(&format!("x-forwarded-for: {seen}")), "{text}");
        assert!(text.contains("x-forwarded-proto: https"), "{text}");
    }
}

/// A host that trusts this machine, and one node.
async fn host_behind_proxy() -> Host {
    let mut options = options();
    options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    host
}

#[tokio::test]
async fn who_gives_up_all_it_asks_for_is_refused_and_its_neighbours_are_not() {
    let host = host_behind_proxy().await;
    let mut sender = connect(&host).await;
    let from = |client: &str, url: &str| {
        let mut asked = get(url);
        let client = client.parse().unwrap();
        asked.headers_mut().insert("x-forwarded-for", client);
        asked
    };
    let (busy, other) = ("203.0.113.7", "203.0.113.8");
    let asking = sender.send_request(from(other, "http://alice.localhost/big"));
    let mut download = asking.await.unwrap().into_body();
    let mut taken = 0;
    let mut refused = None;
    for given_up in 0..2000 {
        let mut asking = sender.clone();
        asking.ready().await.unwrap();
        tokio::select! {
            answer = asking.send_request(from(busy, "http://alice.localhost/hang")) => {
                refused = Some((given_up, answer.unwrap()));
                break;
            }
            () = host.control.hanging.notified() => {}
        }
        if given_up % 50 == 0 {
            let frame = download.frame().await.unwrap().unwrap();
            taken += frame.into_data().unwrap().len();
        }
    }
    let (given_up, answer) = refused.unwrap();
    assert_eq!(answer.status().as_u16(), 429);
    assert!(given_up >= 200, "{given_up}");
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("given up"), "{text}");
    let name = "http://alice.localhost/name";
    assert_eq!(exchange(&sender, from(other, name)).await.2, "alice.dev");
    let rest = tokio::time::timeout(PATIENCE, download.collect()).await;
    let rest = rest.unwrap().unwrap().to_bytes();
    assert_eq!(taken + rest.len(), BIG);
}

#[tokio::test]
async fn a_proxy_whose_clients_nobody_knows_is_let_go_politely() {
    let host = host_behind_proxy().await;
    let mut sender = connect(&host).await;
    let asking = sender.send_request(get("http://alice.localhost/big"));
    let download = asking.await.unwrap().into_body();
    for _ in 0..2000 {
        let mut asking = sender.clone();
        // No more is taken once it has said goodbye.
        if asking.ready().await.is_err() {
            break;
        }
        tokio::select! {
            answer = asking.send_request(get("http://alice.localhost/hang")) => {
                assert!(answer.is_err(), "{answer:?}");
                break;
            }
            () = host.control.hanging.notified() => {}
        }
    }
    let whole = tokio::time::timeout(PATIENCE, download.collect()).await;
    assert_eq!(whole.unwrap().unwrap().to_bytes().len(), BIG);
    let closed = async {
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
}

#[tokio::test]
async fn bodies_pass_both_ways_and_where_there_is_none_none_is_sent() {
    let (host, _) = host().await;
    let sender = connect(&host).await;
    let large = Bytes::from(vec![7; 3 << 20]);
    let counted = request("POST", "http://alice.localhost/count", whole(large.clone()));
    assert_eq!(exchange(&sender, counted).await.2, large.len().to_string());
    let echoed = request("POST", "http://alice.localhost/echo", whole("hello"));
    assert_eq!(exchange(&sender, echoed).await.2, "hello");
    let head = request("HEAD", "http://alice.localhost/name", whole(""));
    let (status, headers, text) = exchange(&sender, head).await;
    assert_eq!((status.as_u16(), text.as_str()), (200, ""));
    assert_eq!(headers["content-length"], "9");
    let (_, headers, text) = exchange(&sender, get("http://alice.localhost/lies")).await;
    assert_eq!(text, "short");
    assert_eq!(headers["content-length"], "5");
    assert!(!headers.contains_key("x-secret"));
    let switch = exchange(&sender, get("http://alice.localhost/switch")).await;
    assert_eq!(switch.0.as_u16(), 502);
    let mut long = request("POST", "http://alice.localhost/count", whole(""));
    let length = "134217729".parse().unwrap();
    *long.body_mut() =
        StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, BoxError>>())
            .boxed_unsync();
    long.headers_mut().insert("content-length", length);
    assert_eq!(exchange(&sender, long).await.0.as_u16(), 413);
}

#[tokio::test]
async fn a_slow_reader_holds_back_the_node_and_nobody_else() {
    let (host, _) = host().await;
    let mut sender = connect(&host).await;
    let asking = sender.send_request(get("http://alice.localhost/big"));
    let mut slow = asking.await.unwrap().into_body();
    assert_eq!(
        slow.frame().await.unwrap().unwrap().into_data().unwrap()[0],
        7
    );
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let made = host.control.made.load(Ordering::SeqCst);
        if made == before {
            break;
        }
        before = made;
    }
    assert!(
        before < BIG / 2,
        "{before} bytes made for who reads one frame"
    );
    let other = exchange(&sender, get("http://alice.localhost/name")).await;
    assert_eq!(other.2, "alice.dev");
    let whole = tokio::time::timeout(PATIENCE, slow.collect())
        .await
        .unwrap();
    assert!(whole.unwrap().to_bytes().len() > BIG - PIECE);
}

#[tokio::test]
async fn a_client_that_gives_up_frees_the_node() {
    let (host, token) = host().await;
    let mut sender = connect(&host).await;
    let hanging = sender.send_request(get("http://alice.localhost/hang"));
    tokio::select! {
        answer = hanging => panic!("{answer:?}"),
        () = host.control.hanging.notified() => {}
    }
    let left = async {
        while host.control.using.load(Ordering::SeqCst) > 0 {
            host.control.left.notified().await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.unwrap();
    let other = exchange(&sender, get("http://alice.localhost/name")).await;
    assert_eq!(other.2, "alice.dev");
    host.api("POST", "/nodes/alice/stop", &token, None).await;
    host.wait_for_status(&token, "alice", "stopped").await;
}

#[tokio::test]
async fn a_door_that_closes_finishes_what_was_asked() {
    let (host, _) = host().await;
    let idle = connect(&host).await;
    exchange(&idle, get("http://alice.localhost/name")).await;
    let busy = connect(&host).await;
    let (mut pieces, body) = futures::channel::mpsc::channel::<Result<Frame<Bytes>, BoxError>>(1);
    let body = StreamBody::new(body).boxed_unsync();
    let posted = request("POST", "http://alice.localhost/count", body);
    let asking = exchange(&busy, posted);
    let piece = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    let talk = async {
        pieces.send(piece("hello")).await.unwrap();
        while host.control.using.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let finishing = host.closing.finish(PATIENCE);
        let rest = async {
            // The other connection, which is idle, is let go at once.
            while !idle.is_closed() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            pieces.send(piece("world")).await.unwrap();
            drop(pieces);
        };
        let (finished, ()) = tokio::join!(finishing, rest);
        assert!(finished, "nobody is left");
    };
    let (answer, ()) = tokio::join!(asking, talk);
    assert_eq!((answer.0.as_u16(), answer.2.as_str()), (200, "10"));
    host.tasks.token().cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), host.ended).await;
    ended.expect("nothing is left").unwrap();
}

#[tokio::test]
async fn a_stream_of_events_is_cut_when_the_door_closes() {
    let (host, token) = host().await;
    let mut sender = connect(&host).await;
    let mut asked = get("http://localhost/api/v1/events");
    let bearer = format!("Bearer {token}").parse().unwrap();
    asked.headers_mut().insert("authorization", bearer);
    let accept = "text/event-stream".parse().unwrap();
    asked.headers_mut().insert("accept", accept);
    let response = sender.send_request(asked).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    let mut events = response.into_body();
    assert!(events.frame().await.unwrap().is_ok());
    let cut = async {
        loop {
            match events.frame().await {
                Some(Ok(_)) => {}
                other => return other,
            }
        }
    };
    let (finished, cut) = tokio::join!(host.closing.finish(PATIENCE), cut);
    assert!(finished, "nobody is left");
    assert!(matches!(cut, Some(Err(_))), "not its end");
}
