//! The same way for people whose browser runs no scripts.

use super::chromium::{Chromium, Look};
use super::{EMAIL, NODE_PASSWORD, dashboard, install, node, sign_up, start_host};

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_pages_work_all_the_same() {
    let host = start_host();
    let browser = Chromium::start(Look {
        scripts: false,
        ..Look::default()
    })
    .await;
    sign_up(&browser, &host, EMAIL).await;

    // A bad label is told beside the field, and what was typed is kept.
    browser.goto(&dashboard(&host, "/nodes/new")).await;
    browser.fill("input[name=label]", "admin").await;
    browser.fill("input[name=password]", NODE_PASSWORD).await;
    browser.press("Create node").await;
    browser.sees("reserved").await;
    let label = browser.find("input[name=label][aria-invalid=true]").await;
    assert_eq!(label.prop("value").await.unwrap().as_deref(), Some("admin"));
    browser.fill("input[name=label]", "alice").await;
    browser.fill("input[name=password]", NODE_PASSWORD).await;
    browser.press("Create node").await;
    // The page reloads itself while the node comes up.
    browser.find("[data-status=active]").await;

    let tunnel = install(&host, EMAIL, "alice", "live:test.dev").await;
    browser.press("Open").await;
    browser
        .until("the homepage", async || {
            browser.url().await == node(&host, "alice", "/")
        })
        .await;
    // The app puts itself there in its own time; without scripts one reloads.
    let tile = "[data-app='live:live:test.dev'] a";
    browser
        .until("the app's tile", async || {
            browser.client.refresh().await.unwrap();
            browser.count(tile).await == 1
        })
        .await;
    assert!(browser.find(tile).await.is_displayed().await.unwrap());
    drop(tunnel);

    browser.press("Sign out").await;
    browser.fill("input[type=password]", NODE_PASSWORD).await;
    browser.click("button[type=submit]").await;
    browser.sees("alice.dev").await;
    browser.find("[data-app='live:live:test.dev']").await;

    browser.goto(&dashboard(&host, "/nodes/alice")).await;
    browser.press("Stop").await;
    browser.find("[data-status=stopped]").await;
    browser.press("Start").await;
    browser.find("[data-status=active]").await;
    browser.press("Sign out").await;
    // Another page would break off what the button began.
    browser.find("a[href='/sign-in']").await;
    browser.goto(&dashboard(&host, "/nodes")).await;
    browser.find("input[name=email]").await;
    browser.close().await;
}
