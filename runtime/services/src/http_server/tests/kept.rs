//! Paths that outlast a sleep, from one life of the module to the next.

use node_api::Origin;

use super::*;
use crate::http_server::kept::Kept;
use crate::http_server::routes::{Flags, MAX_PATH, MAX_ROUTES};

const OTHER: &str = "app:other:bob.dev";

/// The module of a node that has just woken: nothing runs yet.
fn woken(kept: &Kept, gone: &str) -> Harness {
    let harness = Harness::new();
    harness.server.set_ready(false);
    let stored = rmp_serde::to_vec_named(kept).unwrap();
    let read: Kept = rmp_serde::from_slice(&stored).unwrap();
    assert_eq!(read, *kept);
    harness
        .server
        .restore(read, |process| process.as_str() != gone);
    harness
}

async fn bind_static(harness: &mut Harness, source: &str, path: &str, content: &[u8]) {
    let action = json!({"Bind": {"path": path, "authenticated": false,
        "local_only": false, "cache": true}});
    let answer = harness.act(source, &action, Some(content)).await;
    assert_eq!(answer, json!({"Ok": null}));
}

fn url(owner: &str, path: &str) -> String {
    format!("/{owner}{path}")
}

#[tokio::test(start_paused = true)]
async fn a_request_right_after_waking_finds_its_path() {
    let mut before = Harness::new();
    bind_static(&mut before, APP, "/page", b"static").await;
    before.bind("/ask/:what", false, false).await;
    before.bind("/mine", true, false).await;
    before.bind("/tool", false, true).await;
    let now = woken(&before.server.keep(), "");

    let answer = now.public(Method::GET, &url(APP, "/page")).await;
    assert_eq!(answer.headers()["content-type"], "text/plain");
    assert_eq!(text(answer).await, "static");
    let mine = now.public(Method::GET, &url(APP, "/mine")).await;
    assert!(text(mine).await.contains("password"), "it needs a login");
    let tool = now.public(Method::GET, &url(APP, "/tool")).await;
    assert_eq!(tool.status(), StatusCode::FORBIDDEN);

    let mut now = now;
    let asked = request(Method::GET, &url(APP, "/ask/time"), &[], "");
    let answer = now.begin(asked, Origin::Public);
    let message = now.sent.recv().await.unwrap();
    assert_eq!(message.target, now.port.address(APP));
    now.answer(
        &message,
        json!({"status": 200, "headers": {}}).to_string(),
        None,
    );
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);

    // One that nobody knows waits for the node as ever.
    let unknown = now.begin(
        request(Method::GET, &url(APP, "/new"), &[], ""),
        Origin::Public,
    );
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(unknown.is_empty());
    now.server.set_ready(true);
    assert_eq!(unknown.await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn binding_again_replaces_and_leaving_forgets() {
    let mut before = Harness::new();
    bind_static(&mut before, APP, "/page", b"old").await;
    bind_static(&mut before, OTHER, "/page", b"other").await;
    let mut now = woken(&before.server.keep(), "");
    bind_static(&mut now, APP, "/page", b"new").await;
    now.server.forget(&OTHER.parse().unwrap());
    now.server.set_ready(true);
    let page = now.public(Method::GET, &url(APP, "/page")).await;
    assert_eq!(text(page).await, "new");
    let other = now.public(Method::GET, &url(OTHER, "/page")).await;
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nothing_is_kept_of_the_distro_nor_restored_for_who_is_gone() {
    let mut before = Harness::new();
    bind_static(&mut before, "homepage:homepage:sys", "/", b"home").await;
    bind_static(&mut before, "main:app-store:sys", "/", b"store").await;
    assert!(before.server.keep().is_empty());
    bind_static(&mut before, OTHER, "/", b"other").await;
    bind_static(&mut before, APP, "/", b"app").await;
    let unbind = json!({"Unbind": {"path": "/"}});
    assert_eq!(before.act(APP, &unbind, None).await, json!({"Ok": null}));
    let kept = before.server.keep();
    assert!(!kept.is_empty());
    let now = woken(&kept, OTHER);
    assert_eq!(now.server.routes.read().all().count(), 0);
}

#[tokio::test]
async fn subdomains_and_paths_for_websockets_are_reserved_again() {
    let mut before = Harness::new();
    let owner = "vault:my-pkg:alice.dev";
    let socket = json!({"WebSocketSecureBind": {"path": "/ws", "extension": false}});
    assert_eq!(before.act(owner, &socket, None).await, json!({"Ok": null}));
    let mut now = woken(&before.server.keep(), "");
    let found = now.server.sockets.routes.read().find(&url(owner, "/ws"));
    let found = found.unwrap();
    let flags = found.route.flags.as_ref().unwrap();
    assert!(flags.secure && flags.authenticated && !flags.local_only);
    let secure = json!({"SecureBind": {"path": "/s", "cache": false}});
    let refused = now.act("x:my:pkg-alice.dev", &secure, None).await;
    assert!(refused.get("Err").is_some(), "{refused}");
}

#[tokio::test]
async fn content_beyond_the_bound_waits_for_its_app() {
    let mut before = Harness::new();
    let (half, large) = (vec![b'h'; 600 << 10], vec![b'l'; 700 << 10]);
    bind_static(&mut before, APP, "/large", &large).await;
    bind_static(&mut before, APP, "/half", &half).await;
    bind_static(&mut before, APP, "/small", b"small").await;
    before.bind("/*rest", false, false).await;
    let kept = before.server.keep();
    let stored = rmp_serde::to_vec_named(&kept).unwrap();
    assert!(stored.len() < (1 << 20), "{}", stored.len());
    let mut now = woken(&kept, "");
    for (path, bytes) in [("/half", half.len()), ("/small", 5)] {
        let page = now.public(Method::GET, &url(APP, path)).await;
        assert_eq!(text(page).await.len(), bytes, "{path}");
    }
    // The wildcard does not take it: it has a path of its own, to be bound.
    let asked = request(Method::GET, &url(APP, "/large"), &[], "");
    let answer = now.begin(asked, Origin::Public);
    tokio::task::yield_now().await;
    bind_static(&mut now, APP, "/large", &large).await;
    assert_eq!(text(answer.await.unwrap()).await.len(), large.len());
}

#[tokio::test]
async fn there_are_never_more_paths_than_a_node_may_have() {
    let before = Harness::new();
    let app = APP.parse().unwrap();
    for routes in [&before.server.routes, &before.server.sockets.routes] {
        for number in 0..MAX_ROUTES - 1 {
            let path = format!("/{number}");
            routes.write().bind(&app, &path, Flags::default()).unwrap();
        }
    }
    let now = woken(&before.server.keep(), "");
    let count = |routes: &RwLock<Routes>| routes.read().all().count();
    assert_eq!(count(&now.server.routes), MAX_ROUTES - 1);
    assert_eq!(count(&now.server.sockets.routes), 1);
}

#[tokio::test]
async fn every_spelling_of_a_path_comes_back_as_it_was() {
    let before = Harness::new();
    let app: ProcessId = APP.parse().unwrap();
    let long = format!("/{}", "x".repeat(MAX_PATH - 1));
    let spellings = ["", "/", "//", "a", "/a/", "/a//", "/a/:id/*rest", &long];
    for path in spellings {
        let mut routes = before.server.routes.write();
        routes.bind(&app, path, Flags::default()).unwrap();
    }
    let now = woken(&before.server.keep(), "");
    let all = |harness: &Harness| {
        let routes = harness.server.routes.read();
        let mut all: Vec<_> = routes.all().map(|route| route.path.clone()).collect();
        all.sort();
        all
    };
    assert_eq!(all(&before).len(), 6);
    assert_eq!(all(&now), all(&before));
}
