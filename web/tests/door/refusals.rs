//! Whatever the door refuses, a person reads a page, a program a problem
//! document, and a script a line of text.

use std::sync::atomic::Ordering;

use crate::support::{Answer, Host};

/// What browsers and curl say of what they take.
const PEOPLE: [&str; 4] = [
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "*/*",
    "text/html, application/json",
    "Accept-Nothing/At-All",
];
/// What programs say.
const PROGRAMS: [&str; 4] = [
    "application/json",
    "application/problem+json",
    "Application/JSON;q=0.9, text/plain",
    "application/json, */*",
];

/// What scripts say that want something to show.
const SCRIPTS: [&str; 3] = [
    "text/plain",
    "text/plain, */*;q=0.1",
    "text/html;q=0.5, Text/Plain; charset=utf-8",
];

/// A page that says what is wrong, and cannot do anything.
fn check_page(answer: &Answer, status: u16) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    let expected = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value), "{status} {text}");
    }
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(text.contains("<h1>") && text.contains("<p>"), "{text}");
    assert!(!text.contains("<script"), "{text}");
}

/// A problem document that says the same.
fn check_problem(answer: &Answer, status: u16) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    let media_type = answer.header("content-type");
    assert_eq!(media_type, Some("application/problem+json"), "{text}");
    let json = answer.json();
    assert_eq!(json["status"], status, "{json}");
    for key in ["type", "title", "detail"] {
        assert!(
            json[key].as_str().is_some_and(|text| text.len() > 3),
            "{json}"
        );
    }
}

/// A line that says the same.
fn check_line(answer: &Answer, status: u16) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    let expected = [
        ("content-type", "text/plain; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value), "{status} {text}");
    }
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert!(text.ends_with(".\n") && !text.contains('<'), "{text:?}");
}

#[tokio::test]
async fn refusals_are_for_whoever_asks() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    for label in ["alice", "bob", "carol"] {
        host.make_node(&token, label).await;
    }
    host.api("POST", "/nodes/bob/stop", &token, None).await;
    host.wait_for_status(&token, "bob", "stopped").await;
    host.api("POST", "/nodes/carol/stop", &token, None).await;
    host.wait_for_status(&token, "carol", "stopped").await;
    host.control.broken.store(true, Ordering::SeqCst);
    host.api("POST", "/nodes/carol/start", &token, None).await;
    host.wait_for_status(&token, "carol", "broken").await;
    host.control.broken.store(false, Ordering::SeqCst);

    let socket = "Upgrade: websocket\r\nContent-Length: 1\r\nConnection: Upgrade";
    for (line, name, more, status) in [
        ("GET /", "eve.localhost", "", 404),
        ("GET /", "example.org", "", 421),
        ("GET /", "192.0.2.1", "", 421),
        ("GET /", "al_ice.localhost", "", 400),
        ("GET /", "alice.localhost.", "", 400),
        ("GET http://localhost/", "alice.localhost", "", 400),
        ("GET /rpc:distro:sys/message", "alice.localhost", "", 403),
        ("GET /switch", "alice.localhost", "", 502),
        ("GET /login/link/worn-out", "alice.localhost", "", 403),
        (
            "POST /x",
            "alice.localhost",
            "Content-Length: 134217729",
            413,
        ),
        ("GET /socket", "alice.localhost", socket, 400),
        ("CONNECT alice.localhost:80", "alice.localhost:80", "", 405),
        ("GET /", "bob.localhost", "", 503),
        ("GET /", "carol.localhost", "", 503),
    ] {
        let ask = async |accept: &str| {
            let end = if more.is_empty() { "" } else { "\r\n" };
            let accept = if accept.is_empty() {
                String::new()
            } else {
                format!("Accept: {accept}\r\n")
            };
            let request = format!(
                "{line} HTTP/1.1\r\nHost: {name}\r\n{accept}{more}{end}Connection: close\r\n\r\n"
            );
            let mut answers = host.raw(&request).await;
            assert_eq!(answers.len(), 1, "{request:?}");
            answers.remove(0)
        };
        check_page(&ask("").await, status);
        for accept in PEOPLE {
            check_page(&ask(accept).await, status);
        }
        for accept in PROGRAMS {
            check_problem(&ask(accept).await, status);
        }
        for accept in SCRIPTS {
            check_line(&ask(accept).await, status);
        }
    }
}

#[tokio::test]
async fn who_was_not_understood_gets_a_page() {
    let host = Host::start().await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(), 400),
        ("GET x HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}".to_owned(), 400),
        ("GET / HTTP/3.0\r\n\r\n".to_owned(), 505),
        (
            format!(
                "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "x".repeat(9000)
            ),
            414,
        ),
        (
            format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(40_000)),
            431,
        ),
    ] {
        let answers = host.raw(&request).await;
        assert_eq!(answers.len(), 1);
        check_page(&answers[0], status);
        assert_eq!(answers[0].header("connection"), Some("close"));
    }
}
