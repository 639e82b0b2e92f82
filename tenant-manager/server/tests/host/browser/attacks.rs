//! A hostile tenant beside a victim in one browser: what the pages of the one
//! can do to the pages, cookies and WebSockets of the other and of the
//! dashboard, and what strings that are scripts do where they are shown.

use serde_json::{Value, json};

use super::chromium::{Chromium, Look};
use super::{EMAIL, NODE_PASSWORD, create_node, dashboard, install, node, sign_up, start_host};
use crate::host::support::Host;

const MALLORY: &str = "mallory@example.org";
const LIVE: &str = "/live:live:test.dev";

/// Opens a node's homepage from the dashboard.
async fn open(browser: &Chromium, host: &Host, label: &str) {
    browser
        .goto(&dashboard(host, &format!("/nodes/{label}")))
        .await;
    browser.press("Open").await;
    browser
        .until("the homepage", async || {
            browser.url().await == node(host, label, "/")
        })
        .await;
}

/// The attacker's page, aimed at alice and at the dashboard.
fn attack(host: &Host) -> String {
    let encode = |text: &str| text.replace(':', "%3A").replace('/', "%2F");
    let victim = node(host, "alice", "");
    format!(
        "{}?victim={}&dashboard={}&base=nodes.test&base=berth.test&base=test\
         &cookie=kinode-auth_alice.dev&cookie=berth-session&cookie=__Host-berth-session\
         &ws={}&ws={}&frame={}",
        node(host, "mallory", "/xss:xss:test.dev/attacker"),
        encode(&victim),
        encode(&dashboard(host, "")),
        encode(LIVE),
        encode("/"),
        encode(LIVE),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_neighbours_page_reaches_nothing() {
    let host = start_host();
    // The attacker prepares its node in a browser of its own.
    let theirs = Chromium::start(Look::default()).await;
    sign_up(&theirs, &host, MALLORY).await;
    create_node(&theirs, &host, "mallory").await;
    drop(install(&host, MALLORY, "mallory", "xss:test.dev").await);
    theirs.close().await;

    let browser = Chromium::start(Look::default()).await;
    sign_up(&browser, &host, EMAIL).await;
    create_node(&browser, &host, "alice").await;
    open(&browser, &host, "alice").await;
    drop(install(&host, EMAIL, "alice", "live:test.dev").await);
    browser.find("[data-app='live:live:test.dev']").await;
    let before = apps(&browser).await;

    browser.goto(&attack(&host)).await;
    browser.find("body[data-done=true]").await;
    let text = browser.find("#results").await.text().await.unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    let tries = results["tries"].as_object().unwrap();
    assert!(tries.len() > 20, "{results:#}");
    for (what, outcome) in tries {
        let outcome = outcome.as_str().unwrap();
        assert!(
            !outcome.starts_with("read") && !outcome.starts_with("open"),
            "{what}: {outcome}"
        );
    }
    assert_nothing_framed(&browser).await;
    // A domain that has nodes below it takes cookies of its nodes' scripts, as
    // long as browsers do not know it for a public suffix. No more than that.
    let cookies = &results["cookies"];
    for name in [
        "kinode-auth_alice.dev",
        "berth-session",
        "__Host-berth-session",
    ] {
        for base in ["berth.test", "test"] {
            assert_eq!(
                cookies[format!("{name} for {base}")],
                "refused",
                "{cookies}"
            );
        }
    }
    assert_eq!(cookies["__Host-berth-session for nodes.test"], "refused");
    for pair in cookies["readable"].as_str().unwrap().split("; ") {
        let planted = pair.ends_with("=attacker-nodes.test");
        assert!(planted, "a cookie of somebody else can be read: {pair}");
    }

    // The victim is signed in as before, and nothing of its own has changed.
    browser.goto(&node(&host, "alice", "/")).await;
    browser.find("[data-app='live:live:test.dev']").await;
    assert_eq!(apps(&browser).await, before);
    browser.goto(&node(&host, "alice", LIVE)).await;
    browser
        .until("the untouched count", async || {
            let count = browser
                .script("return document.querySelector('#count')?.textContent")
                .await;
            count == json!("0")
        })
        .await;
    browser.goto(&dashboard(&host, "/nodes")).await;
    browser.find("[data-status=active]").await;
    assert!(!browser.text().await.contains("stolen"));
    browser.close().await;
}

/// Looks into every frame of the attacker's page: a browser that was told not
/// to show a page there shows an error of its own.
async fn assert_nothing_framed(browser: &Chromium) {
    let sources = "return [...document.querySelectorAll('iframe')].map(frame => frame.src)";
    let sources = browser.script(sources).await;
    let sources = sources.as_array().unwrap();
    assert_eq!(sources.len(), 6, "{sources:?}");
    for (at, source) in (0_u16..).zip(sources) {
        browser.client.enter_frame(at).await.unwrap();
        let shown = browser.script("return document.documentURI").await;
        let shown = shown.as_str().unwrap();
        assert!(shown.starts_with("chrome-error:"), "{source} shows {shown}");
        browser.client.enter_parent_frame().await.unwrap();
    }
}

/// The victim's own view of its apps.
async fn apps(browser: &Chromium) -> Value {
    browser
        .promised("return await (await fetch('/apps')).json()")
        .await
}

/// Elements and attributes that no page of ours has: a policy may keep them
/// from running, but they came from what somebody typed. The one drawing that a
/// page of ours has is of rectangles and lines alone.
const INJECTED: &str = "
    const drawn = (svg) => [...svg.querySelectorAll('*')].every((inside) => inside.matches('rect:empty, path:empty'));
    const injected = (root) => [...root.querySelectorAll('*')].filter((element) =>
        [...element.attributes].some(({ name }) => name.startsWith('on') || name === 'srcdoc')
        || element.matches('math, style, img:not([src^=\"/\"]), iframe:not([src^=\"/widgets/\"])')
        || (element.matches('svg') && !drawn(element))
        || (element.matches('script') && element.textContent !== '')
        || element.protocol === 'javascript:').map((element) => element.outerHTML);";

/// Whether something that was shown ran, or is there as anything but text.
async fn assert_inert(browser: &Chromium, place: &str) {
    let alert = browser.client.get_alert_text().await;
    assert!(alert.is_err(), "{place}: {alert:?}");
    let ran = browser.script("return window.__xss ?? null").await;
    assert_eq!(ran, Value::Null, "{place}: number {ran} of the corpus ran");
    let look = format!("{INJECTED} return injected(document)");
    assert_eq!(browser.script(&look).await, json!([]), "{place}");
}

/// What [`INJECTED`] finds where `text` is taken for markup.
async fn found_in(browser: &Chromium, text: &str) -> usize {
    let look = format!(
        "{INJECTED} return injected(new DOMParser().parseFromString({}, 'text/html')).length",
        json!(text)
    );
    let found = browser.script(&look).await;
    usize::try_from(found.as_u64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn strings_that_are_scripts_stay_strings() {
    let host = start_host();
    let browser = Chromium::start(Look::default()).await;
    let corpus = [
        "<script>top.__xss=1</script>@x.org",
        "\"><img src=x onerror=\"top.__xss=2\">@x.org",
        "'><svg onload='top.__xss=3'>@x.org",
        "</title></textarea></script><svg/onload=top.__xss=4>@x.org",
        "javascript:top.__xss=5//@x.org",
    ];
    browser.goto(&dashboard(&host, "/")).await;
    for text in &corpus[..4] {
        assert_ne!(found_in(&browser, text).await, 0, "{text}");
    }
    let link = format!("<a href=\"{}\">x</a>", corpus[4]);
    assert_ne!(found_in(&browser, &link).await, 0);
    // What somebody types comes back beside an error.
    for text in corpus {
        for (page, field) in [("/sign-up", "email"), ("/sign-in", "email")] {
            browser.goto(&dashboard(&host, page)).await;
            type_unchecked(&browser, field, text).await;
            assert_inert(&browser, page).await;
        }
    }
    sign_up(&browser, &host, MALLORY).await;
    for text in corpus {
        browser.goto(&dashboard(&host, "/nodes/new")).await;
        type_unchecked(&browser, "label", text).await;
        assert_inert(&browser, "a new node").await;
        let path = format!("/nodes/{}", percent(text));
        browser.goto(&dashboard(&host, &path)).await;
        assert_inert(&browser, &path).await;
    }
    create_node(&browser, &host, "mallory").await;
    drop(install(&host, MALLORY, "mallory", "xss:test.dev").await);
    for page in ["/nodes", "/nodes/mallory", "/account"] {
        browser.goto(&dashboard(&host, page)).await;
        assert_inert(&browser, page).await;
    }
    open(&browser, &host, "mallory").await;
    browser.find("[data-app='xss:xss:test.dev']").await;
    browser
        .until("every entry", async || {
            browser.count("[data-app]").await >= 12
        })
        .await;
    let links = browser
        .script("return [...document.querySelectorAll('[data-app] a')].map(a => a.href)")
        .await;
    let origin = node(&host, "mallory", "/");
    for link in links.as_array().unwrap() {
        let link = link.as_str().unwrap();
        assert!(link.starts_with(&origin), "an app's link leads to {link}");
        assert!(!link.contains("/other:"), "an app's link leads to {link}");
    }
    assert_inert(&browser, "homepage").await;
    assert_eq!(
        browser.url().await,
        origin,
        "the page is still the homepage"
    );
    browser.close().await;
}

/// Submits a form with `text` in `field`, past what the browser would refuse.
async fn type_unchecked(browser: &Chromium, field: &str, text: &str) {
    browser.find(&format!("input[name={field}]")).await;
    let script = format!(
        "const form = document.querySelector('input[name={field}]').form; form.noValidate = true; \
         for (const input of form.querySelectorAll('input:not([type=hidden])')) \
           input.value = input.name === '{field}' ? {} : {}; \
         form.querySelector('[type=submit]').click();",
        json!(text),
        json!(NODE_PASSWORD),
    );
    browser.script(&script).await;
    browser.find("[aria-invalid=true], [role=alert]").await;
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
