//! Whatever somebody writes, the dashboard shows it as text.

use std::collections::HashMap;

use crate::support::{Browser, Host, Markup, encode};

/// Texts that become something else wherever they are not escaped.
pub const CORPUS: &[&str] = &[
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea></noscript><img src=x onerror=alert(1)>",
    "\"><svg/onload=alert(1)>",
    "' onfocus='alert(1)' autofocus='",
    "\" onfocus=\"alert(1)\" autofocus=\"",
    "<img src=x onerror=alert`1`>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><button>",
    "<!--<script>",
    "]]><script>alert(1)</script>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;",
    "{{7*7}}${7*7}<%= 7*7 %>{% include \"x\" %}",
    "\u{0}<scr\u{0}ipt>alert(1)</scr\u{0}ipt>",
    "＜script＞alert(1)＜/script＞",
    "\u{202e}txet\u{202c}",
    "</p></main></body></html><script>alert(1)</script>",
];

/// The elements and attribute names of a page: what was typed must change none.
pub fn shape(page: &Markup) -> Vec<(String, Vec<String>)> {
    let names = |attributes: &HashMap<String, String>| {
        let mut names: Vec<String> = attributes.keys().cloned().collect();
        names.sort();
        names
    };
    let elements = page.elements();
    elements
        .map(|(name, attributes)| (name.to_owned(), names(attributes)))
        .collect()
}

#[tokio::test]
async fn what_was_typed_into_a_form_comes_back_as_text() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.open("/nodes/new").await;
    ann.submit("/nodes/new", &[("label", "-"), ("password", "x")])
        .await;
    let new_node = shape(&ann.page);
    let mut nobody = Browser::new(&host);
    nobody.open("/sign-in").await;
    nobody
        .submit("/sign-in", &[("email", "-"), ("password", "x")])
        .await;
    let sign_in = shape(&nobody.page);
    nobody.open("/sign-up").await;
    nobody
        .submit("/sign-up", &[("email", "-"), ("password", "x")])
        .await;
    let sign_up = shape(&nobody.page);
    for text in CORPUS {
        ann.open("/nodes/new").await;
        ann.submit("/nodes/new", &[("label", text), ("password", "x")])
            .await;
        assert_eq!(shape(&ann.page), new_node, "{text}");
        let value = &ann.page.id("label").unwrap()["value"];
        assert_eq!(*value, text.trim().to_lowercase(), "shown as typed");
        for (path, expected) in [("/sign-in", &sign_in), ("/sign-up", &sign_up)] {
            nobody.open(path).await;
            nobody
                .submit(path, &[("email", text), ("password", "x")])
                .await;
            assert_eq!(shape(&nobody.page), *expected, "{path} {text}");
            assert_eq!(nobody.page.id("email").unwrap()["value"], *text);
        }
        ann.open(&format!("/nodes/new?label={}", encode(text)))
            .await;
        assert_eq!(ann.page.id("label").unwrap()["value"], *text);
    }
}

#[tokio::test]
async fn an_odd_address_is_shown_as_text() {
    let host = Host::start().await;
    let mut shapes = Vec::new();
    for email in [
        "ann@example.org",
        "'-alert`1`-'&lt{{x}}@example.org",
        "a&#60x'y@example.org",
    ] {
        let mut browser = Browser::signed_up(&host, email).await;
        browser.open("/account").await;
        assert!(browser.page.text().contains(email), "{email}");
        shapes.push(shape(&browser.page));
    }
    assert!(shapes.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn why_a_node_broke_is_shown_as_text() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let mut shapes: Vec<[Vec<_>; 2]> = Vec::new();
    // The first time it has used nothing that a picture of the past could show.
    for text in ["plain"].iter().chain(CORPUS.iter()) {
        *host.control.reason.lock().unwrap() = (*text).to_owned();
        host.get("alice.localhost", "/break").await;
        ann.until("alice", "broken").await;
        let one = shape(&ann.page);
        assert!(ann.answer.text().contains("Reason:"), "{text}");
        ann.open("/nodes").await;
        shapes.push([one, shape(&ann.page)]);
        ann.open("/nodes/alice").await;
        ann.submit("/nodes/alice/start", &[]).await;
        ann.until("alice", "active").await;
    }
    let (with_past, first) = (&shapes[1..], &shapes[0]);
    assert_eq!(with_past[0][1], first[1], "the list");
    assert!(with_past.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn why_a_node_is_suspended_is_shown_as_text() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    // It does not run in between, so nothing else on its page changes.
    ann.submit("/nodes/alice/stop", &[]).await;
    ann.until("alice", "stopped").await;
    let mut ops = Browser::signed_up(&host, "ops@example.org").await;
    let promoted = host.manager.promote_operator("ops@example.org").await;
    promoted.unwrap();
    let suspend = "/operator/nodes/alice/suspend";
    let mut shapes: Vec<[Vec<_>; 2]> = Vec::new();
    // No database keeps a zero in a text.
    for text in CORPUS.iter().filter(|text| !text.contains('\0')) {
        ops.open(suspend).await;
        ops.submit(suspend, &[("reason", text)]).await;
        assert_eq!(ops.path, "/operator", "{}", ops.answer.text());
        ann.until("alice", "suspended").await;
        assert!(ann.page.text().contains("Reason:"), "{text}");
        shapes.push([shape(&ann.page), shape(&ops.page)]);
        ops.submit("/operator/nodes/alice/resume", &[]).await;
        ann.until("alice", "stopped").await;
    }
    assert!(shapes.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn queries_and_paths_change_nothing_on_a_page() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let plain = shape(&ann.page);
    ann.open("/nothing").await;
    let nothing = shape(&ann.page);
    for text in CORPUS {
        let text = encode(text);
        ann.open(&format!("/nodes/alice?show={text}&done={text}&x={text}"))
            .await;
        assert_eq!(shape(&ann.page), plain, "{text}");
        for path in [
            format!("/{text}"),
            format!("/nodes/{text}"),
            format!("/nodes/alice/{text}"),
        ] {
            ann.open(&path).await;
            assert_eq!(ann.answer.status, 404, "{path}");
            assert_eq!(shape(&ann.page), nothing, "{path}");
        }
    }
    ann.open("/nodes/alice?show=%ff&done").await;
    assert_eq!(ann.answer.status, 200);
}
