//! Pages that follow what goes on, and when they leave off.

use serde_json::json;

use super::axe;
use super::chromium::{Chromium, Look};
use super::{EMAIL, PASSWORD, create_node, dashboard, install, node, sign_up, start_host};
use crate::host::support::Kit;

/// Streams of events that one account may have.
const STREAMS: usize = 16;

/// Whether the page is the one that was marked before.
async fn is_same(browser: &Chromium) -> bool {
    browser.script("return window.notReloaded === true").await == json!(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_page_that_was_refused_follows_again() {
    let host = start_host();
    let browser = Chromium::start(Look::default()).await;
    sign_up(&browser, &host, EMAIL).await;
    create_node(&browser, &host, "alice").await;
    browser.goto(&dashboard(&host, "/account")).await;
    // Others watch already, as often as one account may.
    let api = host.api().sign_in(EMAIL, PASSWORD).await;
    let mut others = Vec::new();
    while others.len() < STREAMS {
        let other = api.get("/events").await;
        // The page before may not have been noticed to be gone.
        if other.status() != 429 {
            assert_eq!(other.status(), 200);
            others.push(other);
        }
    }
    browser.goto(&dashboard(&host, "/nodes/alice")).await;
    browser.script("window.notReloaded = true").await;
    browser.sees("does not follow your nodes just now").await;
    let told = "return document.getElementById('announcer').textContent";
    let told = browser.script(told).await;
    assert!(told.as_str().unwrap().contains("does not follow"), "{told}");
    // What changes meanwhile is seen all the same, some time later.
    api.act("/nodes/alice/stop").await;
    browser.find("[data-status=stopped]").await;

    drop(others);
    browser.find(".stale[hidden]").await;
    api.act("/nodes/alice/start").await;
    browser.find("[data-status=active]").await;
    assert!(is_same(&browser).await);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_put_to_sleep_sleeps_on_under_an_open_homepage() {
    let host = start_host();
    let browser = Chromium::start(Look::default()).await;
    sign_up(&browser, &host, EMAIL).await;
    create_node(&browser, &host, "alice").await;
    browser.press("Open").await;
    browser
        .until("the homepage", async || {
            browser.url().await == node(&host, "alice", "/")
        })
        .await;
    browser.find("#live[data-state=open]").await;
    let connections = "const Real = WebSocket; window.opened = 0;
        window.WebSocket = class extends Real {
            constructor(...given) { super(...given); window.opened += 1; }
        }; window.notReloaded = true;";
    browser.script(connections).await;

    let api = host.api().sign_in(EMAIL, PASSWORD).await;
    api.act("/nodes/alice/hibernate").await;
    browser.find("#live[data-state=asleep]").await;
    api.wait_for_status("alice", "hibernated").await;
    assert_eq!(browser.script("return window.opened").await, json!(0));

    // Whoever comes back wakes it, without a reload.
    browser.click("#node").await;
    browser.find("#live[data-state=open]").await;
    api.wait_for_status("alice", "active").await;
    assert_eq!(browser.script("return window.opened").await, json!(1));
    assert!(is_same(&browser).await);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_log_appear_on_its_pages_as_text() {
    let host = start_host();
    let browser = Chromium::start(Look::default()).await;
    sign_up(&browser, &host, EMAIL).await;
    create_node(&browser, &host, "alice").await;
    let tunnel = install(&host, EMAIL, "alice", "hostile:tester.dev").await;
    let kit = Kit::new(tunnel.port);
    for (page, text) in [
        ("/nodes/alice", "first <img src=x onerror=alert(1)>"),
        ("/nodes/alice/log", "second </li><script>alert(1)</script>"),
    ] {
        browser.goto(&dashboard(&host, page)).await;
        browser.script("window.notReloaded = true").await;
        let body = json!({"Say": format!("\u{1b}[31m{text}\u{1b}[0m")});
        kit.inject("trap:hostile:tester.dev", &body.to_string())
            .await;
        browser.sees(text).await;
        assert!(is_same(&browser).await, "{page}");
        assert_eq!(browser.count(".log li *:not(time, span, bdi)").await, 0);
    }
    browser.sees("first").await;
    axe::check(&browser, "a log with lines").await;
    browser.close().await;
}
