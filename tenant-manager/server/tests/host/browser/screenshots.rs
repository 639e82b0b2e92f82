//! Pictures of the pages at two widths and in both themes, for people to look
//! at (`make screenshots`).

use std::path::{Path, PathBuf};

use super::chromium::{Chromium, Look};
use super::{EMAIL, PASSWORD, create_node, dashboard, install, node, sign_up, start_host};
use crate::host::support::Kit;

/// Where they go.
fn folder() -> PathBuf {
    let berth = Path::new(env!("CARGO_BIN_EXE_berth"));
    berth.ancestors().nth(2).unwrap().join("screenshots")
}

async fn take(browser: &Chromium, name: &str) {
    // What was opened just now is laid out only with the next picture.
    let frame = "await new Promise(requestAnimationFrame);";
    browser.promised(&frame.repeat(2)).await;
    let shot = browser
        .devtools(
            "Page.captureScreenshot",
            serde_json::json!({"format": "png", "captureBeyondViewport": true}),
        )
        .await;
    let png = super::decode(shot["data"].as_str().unwrap());
    let path = folder().join(format!("{name}.png"));
    std::fs::write(&path, png).unwrap();
    println!("{}", path.display());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "pictures for people: make screenshots"]
async fn screenshots_of_every_page() {
    std::fs::create_dir_all(folder()).unwrap();
    for (size, width, height) in [("phone", 360, 740), ("desk", 1280, 900)] {
        for (theme, dark) in [("light", false), ("dark", true)] {
            let look = Look {
                width,
                height,
                dark,
                scripts: true,
            };
            pages(look, &format!("{size}-{theme}")).await;
        }
    }
}

async fn pages(look: Look, suffix: &str) {
    let host = start_host();
    let browser = Chromium::start(look).await;
    let shot = async |name: &str| take(&browser, &format!("{name}-{suffix}")).await;
    browser.goto(&dashboard(&host, "/")).await;
    shot("landing").await;
    browser.goto(&dashboard(&host, "/sign-up")).await;
    shot("sign-up").await;
    browser.goto(&dashboard(&host, "/sign-in")).await;
    shot("sign-in").await;
    sign_up(&browser, &host, EMAIL).await;
    shot("no-nodes").await;
    browser.goto(&dashboard(&host, "/nodes/new")).await;
    browser.fill("input[name=label]", "admin").await;
    browser.sees("reserved").await;
    shot("new-node").await;
    create_node(&browser, &host, "alice").await;
    shot("node").await;
    browser
        .script("document.querySelectorAll('details').forEach(d => d.open = true)")
        .await;
    shot("node-details").await;
    browser
        .goto(&dashboard(&host, "/nodes/alice/password"))
        .await;
    shot("node-password").await;
    browser.goto(&dashboard(&host, "/nodes/alice/delete")).await;
    shot("delete").await;
    browser.goto(&dashboard(&host, "/nodes")).await;
    shot("nodes").await;
    browser.goto(&dashboard(&host, "/account")).await;
    shot("account").await;
    browser.goto(&dashboard(&host, "/no-such-page")).await;
    shot("not-found").await;
    browser.goto(&node(&host, "alice", "/")).await;
    shot("node-sign-in").await;
    browser.goto(&dashboard(&host, "/nodes/alice")).await;
    browser.press("Open").await;
    browser
        .until("the homepage", async || {
            browser.url().await == node(&host, "alice", "/")
        })
        .await;
    shot("homepage-empty").await;
    let tunnel = install(&host, EMAIL, "alice", "live:test.dev").await;
    browser.find("[data-app]").await;
    shot("homepage").await;
    let refused = serde_json::json!({"Http": {"method": "GET", "version": null, "headers": {},
        "url": "http://169.254.169.254/latest/meta-data/"}});
    Kit::new(tunnel.port)
        .inject("http-client:distro:sys", &refused.to_string())
        .await;
    drop(tunnel);
    browser.goto(&dashboard(&host, "/nodes/alice/log")).await;
    shot("node-log").await;
    let egress = dashboard(&host, "/nodes/alice/egress");
    browser
        .until("the refusal", async || {
            browser.goto(&egress).await;
            browser.count("td").await > 0
        })
        .await;
    shot("node-egress").await;
    let api = host.api().sign_in(EMAIL, PASSWORD).await;
    assert!(api.delete("/nodes/alice").await.status().is_success());
    browser.goto(&dashboard(&host, "/nodes/alice")).await;
    shot("node-deleted").await;
    browser.goto(&dashboard(&host, "/nodes/alice/purge")).await;
    shot("purge").await;
    browser.close().await;
}
