//! The whole way by clicks: sign up, a node, its homepage, an app that lives.

use serde_json::json;

use super::chromium::{Chromium, Look};
use super::start_host;
use super::{EMAIL, NODE_PASSWORD, PASSWORD, axe, dashboard, install, node};
use crate::host::support::{Host, Tunnel};

const APP: &str = "live:live:test.dev";

#[tokio::test(flavor = "multi_thread")]
async fn from_sign_up_to_a_live_app_by_clicks() {
    let host = start_host();
    let browser = Chromium::start(Look::default()).await;
    gets_a_node(&browser, &host).await;
    let tunnel = installs_an_app(&browser, &host).await;
    browser.click(&format!("[data-app='{APP}'] a")).await;
    browser
        .until("the app's page", async || {
            browser.url().await.ends_with(&format!("/{APP}/"))
        })
        .await;
    counts_in_two_tabs(&browser, &host).await;
    drop(tunnel);
    signs_out(&browser, &host).await;
    browser.close().await;
}

/// From the front page to the page of a node that is up.
async fn gets_a_node(browser: &Chromium, host: &Host) {
    browser.goto(&dashboard(host, "/")).await;
    axe::check(browser, "landing page").await;
    browser.press("Sign up").await;
    browser.fill("input[name=email]", EMAIL).await;
    browser.fill("input[name=password]", PASSWORD).await;
    axe::check(browser, "sign-up").await;
    browser.click("main form button[type=submit]").await;
    browser.sees("You have no node yet").await;
    axe::check(browser, "no nodes").await;

    browser.goto(&dashboard(host, "/nodes/new")).await;
    browser.fill("input[name=label]", "admin").await;
    browser.sees("reserved").await;
    browser.fill("input[name=label]", "alice").await;
    browser.sees("alice is free").await;
    browser.sees("alice.nodes.test").await;
    browser.fill("input[name=password]", NODE_PASSWORD).await;
    axe::check(browser, "new node").await;
    browser.press("Create node").await;
    // No reload by us: the page follows the node by itself.
    browser.find("[data-status=active]").await;
    axe::check(browser, "a node").await;
    browser.goto(&dashboard(host, "/nodes/alice/log")).await;
    axe::check(browser, "a node's log").await;
    browser.goto(&dashboard(host, "/nodes/alice/egress")).await;
    axe::check(browser, "a node's outgoing connections").await;
    browser.goto(&dashboard(host, "/nodes")).await;
    browser.find("[data-status=active]").await;
    axe::check(browser, "nodes").await;
    browser.press("alice").await;
}

/// To the homepage, where an app appears while it is looked at. Gives the
/// tunnel through which it was installed.
async fn installs_an_app(browser: &Chromium, host: &Host) -> Tunnel {
    browser.press("Open").await;
    browser
        .until("the homepage", async || {
            browser.url().await == node(host, "alice", "/")
        })
        .await;
    browser.sees("alice.dev").await;
    axe::check(browser, "an empty homepage").await;

    browser.script("window.notReloaded = true").await;
    let tunnel = install(host, EMAIL, "alice", "live:test.dev").await;
    browser.find(&format!("[data-app='{APP}']")).await;
    let kept = browser.script("return window.notReloaded === true").await;
    assert_eq!(kept, json!(true), "the app appeared without a reload");
    axe::check(browser, "a homepage with an app").await;
    tunnel
}

/// What one tab counts, the other sees.
async fn counts_in_two_tabs(browser: &Chromium, host: &Host) {
    browser
        .until("an open WebSocket", async || {
            count(browser).await == Some(0)
        })
        .await;
    browser.click("button").await;
    browser
        .until("the first count", async || count(browser).await == Some(1))
        .await;

    // A second tab counts, and the first one sees it.
    let first = browser.client.window().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap();
    browser
        .client
        .switch_to_window(second.handle)
        .await
        .unwrap();
    browser.goto(&node(host, "alice", &format!("/{APP}"))).await;
    browser
        .until("the count of the first", async || {
            count(browser).await == Some(1)
        })
        .await;
    browser.click("button").await;
    browser
        .until("the second count", async || count(browser).await == Some(2))
        .await;
    browser.client.close_window().await.unwrap();
    browser.client.switch_to_window(first).await.unwrap();
    browser
        .until("the count of the second", async || {
            count(browser).await == Some(2)
        })
        .await;
}

/// Signs out of the node, in with its password, and out of everything.
async fn signs_out(browser: &Chromium, host: &Host) {
    browser.goto(&node(host, "alice", "/")).await;
    browser.press("Sign out").await;
    browser.find("input[type=password]").await;
    browser.goto(&node(host, "alice", &format!("/{APP}"))).await;
    browser.find("input[type=password]").await;
    axe::check(browser, "a node's sign-in page").await;
    browser
        .fill("input[type=password]", "not the password")
        .await;
    browser.click("button[type=submit]").await;
    browser.sees("This is not the node's password").await;
    browser.fill("input[type=password]", NODE_PASSWORD).await;
    browser.click("button[type=submit]").await;
    browser
        .until("the app again", async || count(browser).await == Some(2))
        .await;

    browser.goto(&dashboard(host, "/nodes")).await;
    browser.press("Sign out").await;
    // Another page would break off what the button began.
    browser.find("a[href='/sign-in']").await;
    browser.goto(&dashboard(host, "/nodes/alice")).await;
    browser.find("input[name=email]").await;
    assert!(
        browser.url().await.contains("/sign-in"),
        "{}",
        browser.url().await
    );
    axe::check(browser, "sign-in").await;
}

/// The number that the app shows, if its page is there.
async fn count(browser: &Chromium) -> Option<u64> {
    let text = browser
        .script("return document.querySelector('#count')?.textContent ?? ''")
        .await;
    text.as_str()?.trim().parse().ok()
}
