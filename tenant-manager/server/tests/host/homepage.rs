//! Apps on the homepage: they come by themselves, stay where their owner put
//! them, and leave each other alone.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{self, Api, Host, Kit, Ssh, Tunnel, Visitor, test_package};

const LIVE: &str = "live:live:test.dev";
const XSS: &str = "xss:xss:test.dev";
const HOMEPAGE: &str = "homepage:homepage:sys";
/// Entries of the package `xss:test.dev`.
const HOSTILE: usize = 12;

struct Node {
    owner: Visitor,
    kit: Kit,
    ssh: Ssh,
    _tunnel: Tunnel,
    _api: Api,
}

async fn node(host: &Host) -> Node {
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
    let tunnel = ssh.tunnel();
    Node {
        owner: Visitor::owner(host, &api, "alice").await,
        kit: Kit::new(tunnel.port),
        ssh,
        _tunnel: tunnel,
        _api: api,
    }
}

impl Node {
    /// Waits until there are `count` entries.
    async fn entries(&self, host: &Host, count: usize) -> Vec<Value> {
        support::eventually("the entries", Duration::from_secs(20), async || {
            let apps = self.owner.apps(host).await;
            (apps.len() == count).then_some(apps)
        })
        .await
    }

    /// Has the hostile app do something; its answer.
    async fn hostile(&self, request: &Value) -> Value {
        let answer = self.kit.inject(XSS, &request.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{request}");
        serde_json::from_str(&answer.body).unwrap()
    }
}

fn entry<'a>(apps: &'a [Value], id: &str) -> &'a Value {
    let found = apps.iter().find(|app| app["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {apps:?}"))
}

#[tokio::test]
async fn an_app_is_there_once_installed_and_gone_once_removed() {
    let host = Host::start();
    let node = node(&host).await;
    let live = test_package("live:test.dev");
    node.kit.install(&live).await;
    let apps = node.entries(&host, 1).await;
    let app = &apps[0];
    assert_eq!(app["id"], LIVE);
    assert_eq!(app["process"], "live");
    assert_eq!(app["package_name"], "live");
    assert_eq!(app["publisher"], "test.dev");
    assert_eq!(app["label"], "Live counter");
    assert_eq!(app["path"], format!("/{LIVE}/"));
    assert_eq!(app["order"], 0);
    assert_eq!(app["favorite"], false);

    let page = node.owner.page(&host, "/").await;
    assert!(page.contains(&format!("data-app=\"{LIVE}\"")), "{page}");
    let shown = node.owner.page(&host, app["path"].as_str().unwrap()).await;
    assert!(shown.contains("Live counter"), "{shown}");
    for (path, kind, policy) in [
        (format!("/icons/{LIVE}"), "image/svg+xml", "sandbox;"),
        (
            format!("/widgets/{LIVE}"),
            "text/html; charset=utf-8",
            "sandbox allow-scripts;",
        ),
    ] {
        let answer = node.owner.get(&host, &path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()["content-type"], kind);
        let sent = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(sent.starts_with(policy), "{sent:?}");
        let page = Visitor::stranger("alice").page(&host, &path).await;
        assert!(page.contains("password"), "{path} is the owner's: {page}");
    }
    let by_message = node.kit.inject(HOMEPAGE, "\"GetApps\"").await;
    let by_message: Value = serde_json::from_str(&by_message.body).unwrap();
    assert_eq!(by_message["GetApps"], json!(apps));

    // Again, by the old kit: still one entry.
    node.kit.start_package_0_6(&live).await;
    assert_eq!(node.entries(&host, 1).await.len(), 1);
    assert_eq!(
        node.kit.remove_package(&live).await,
        r#"{"UninstallResponse":"Success"}"#
    );
    assert_eq!(node.owner.apps(&host).await, Vec::<Value>::new());
    let page = node.owner.page(&host, "/").await;
    assert!(!page.contains(LIVE) && page.contains("No apps here yet"));
}

#[tokio::test]
async fn a_process_that_is_gone_is_not_shown() {
    let host = Host::start();
    let node = node(&host).await;
    node.kit.install(&test_package("live:test.dev")).await;
    node.entries(&host, 1).await;
    assert!(node.ssh.exec(&format!("kill {LIVE}")).status.success());
    node.entries(&host, 0).await;
    let page = node.owner.page(&host, "/").await;
    assert!(!page.contains(LIVE), "{page}");
    // Installed anew, it is back.
    node.kit.install(&test_package("live:test.dev")).await;
    node.entries(&host, 1).await;
}

#[tokio::test]
async fn a_stylesheet_is_shared_by_who_may_set_it() {
    let mut host = Host::start();
    let node = node(&host).await;
    node.kit.install(&test_package("live:test.dev")).await;
    node.entries(&host, 1).await;
    let plain = node.owner.page(&host, "/kinode.css").await;
    let set = async |sheet: &str| {
        let request = json!({ "Style": sheet }).to_string();
        let answer = node.kit.inject(LIVE, &request).await;
        assert_eq!(answer.body, r#"{"sent":true}"#);
        // Messages of one process to another are carried out in order.
        node.kit.inject(HOMEPAGE, "\"GetApps\"").await;
    };
    set(":root{--accent:hotpink}").await;
    let sheet = node.owner.page(&host, "/kinode.css").await;
    assert!(sheet.starts_with(&plain) && sheet.contains("--accent:hotpink"));
    set(&"x".repeat(200_000)).await;
    assert_eq!(node.owner.page(&host, "/kinode.css").await, sheet);

    host.crash_and_restart();
    assert_eq!(node.owner.page(&host, "/kinode.css").await, sheet);
}

#[tokio::test]
async fn order_and_favourites_survive_a_crash_of_the_host() {
    let mut host = Host::start();
    let node = node(&host).await;
    node.kit.install(&test_package("xss:test.dev")).await;
    node.kit.install(&test_package("live:test.dev")).await;
    node.entries(&host, HOSTILE + 1).await;
    let third = "xss-3:xss:test.dev";

    let post = async |host: &Host, path: &str, body: Value| {
        let answer = node
            .owner
            .send(host, Method::POST, path, &body.to_string(), &[])
            .await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    };
    post(&host, "/order", json!([third, LIVE, XSS, "no:such:app"])).await;
    let ids = node.owner.app_ids(&host).await;
    assert_eq!(ids[..3], [third, LIVE, XSS]);
    assert_eq!(ids.len(), HOSTILE + 1);
    post(&host, "/order", json!([[LIVE, 0], [third, 1]])).await;
    post(&host, "/favorite", json!([XSS, true])).await;
    let before = node.owner.apps(&host).await;
    assert_eq!(before[0]["id"], LIVE);
    assert_eq!(entry(&before, XSS)["favorite"], true);

    host.crash_and_restart();
    let after = node.entries(&host, HOSTILE + 1).await;
    assert_eq!(after, before);
    post(&host, "/favorite", json!([XSS, false])).await;
    assert_eq!(entry(&node.owner.apps(&host).await, XSS)["favorite"], false);
}

#[tokio::test]
async fn no_app_touches_the_entries_of_others() {
    let host = Host::start();
    let node = node(&host).await;
    node.kit.install(&test_package("live:test.dev")).await;
    node.kit.install(&test_package("xss:test.dev")).await;
    let before = node.entries(&host, HOSTILE + 1).await;
    let sheet = node.owner.page(&host, "/kinode.css").await;

    for request in [
        json!({"RemoveOther": LIVE}),
        json!({"SetStylesheet": "body{display:none}"}),
        json!({"Add": {"label": "Live counter", "id": LIVE, "path": format!("/../{LIVE}")}}),
        json!({"Nonsense": null}),
    ] {
        node.hostile(&json!({"Homepage": request})).await;
        node.hostile(&json!({"Seize": request})).await;
    }
    let after = node.owner.apps(&host).await;
    assert_eq!(entry(&after, LIVE)["label"], "Live counter");
    let changed: Vec<_> = after
        .iter()
        .filter(|app| {
            let old = entry(&before, app["id"].as_str().unwrap());
            ["label", "path", "base64_icon", "widget"]
                .iter()
                .any(|field| app[field] != old[field])
        })
        .map(|app| app["id"].as_str().unwrap())
        .collect();
    assert_eq!(changed, [XSS], "only its own");
    assert_eq!(entry(&after, XSS)["path"], format!("/{XSS}/"));
    assert_eq!(node.owner.page(&host, "/kinode.css").await, sheet);

    node.hostile(&json!({"Homepage": "Remove"})).await;
    let ids = node.owner.app_ids(&host).await;
    assert_eq!(ids.len(), HOSTILE);
    assert!(!ids.contains(&XSS.to_owned()) && ids.contains(&LIVE.to_owned()));
    let told = node.hostile(&json!({"Homepage": "GetApps"})).await;
    assert_eq!(told["GetApps"].as_array().unwrap().len(), HOSTILE);
}

#[tokio::test]
async fn hostile_strings_are_inert_and_hostile_sizes_bounded() {
    let host = Host::start();
    let node = node(&host).await;
    node.kit.install(&test_package("xss:test.dev")).await;
    let apps = node.entries(&host, HOSTILE).await;
    for app in &apps {
        let id = app["id"].as_str().unwrap();
        let path = app["path"].as_str().unwrap();
        assert!(path.starts_with(&format!("/{id}/")), "{path}");
        let plain = path.split('?').next().unwrap();
        assert!(!plain.contains("/../") && !plain.contains("//"), "{path}");
        let icon = app["base64_icon"].as_str().unwrap_or("data:image/none");
        assert!(icon.starts_with("data:image/"), "{icon}");
        let label = app["label"].as_str().unwrap();
        assert!(!label.contains(['\r', '\n', '\0', '\u{202e}']), "{label:?}");
    }
    let page = node.owner.page(&host, "/").await;
    // The only script is the page's own, and nothing else can run one.
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert_eq!(page.matches("<iframe ").count(), HOSTILE, "{page}");
    assert_eq!(page.matches("sandbox=\"allow-scripts\"").count(), HOSTILE);
    for markup in [
        "<svg",
        "<math",
        " onerror=\"",
        " onload=\"",
        " onmouseover=\"",
        "srcdoc=\"",
    ] {
        assert!(!page.contains(markup), "{markup}: {page}");
    }

    let huge =
        json!({"label": 1_000_000, "icon": 1_000_000, "widget": 1_000_000, "path": 1_000_000});
    node.hostile(&json!({"Huge": huge})).await;
    let app = entry(&node.owner.apps(&host).await, XSS).clone();
    assert!(app["label"].as_str().unwrap().chars().count() <= 49);
    assert_eq!(app["path"], format!("/{XSS}/"));
    assert_eq!(
        (&app["base64_icon"], &app["widget"]),
        (&Value::Null, &Value::Null)
    );
    let fitting = json!({"label": 5, "icon": 100_000, "widget": 60_000, "path": 100});
    node.hostile(&json!({"Huge": fitting})).await;
    let app = entry(&node.owner.apps(&host).await, XSS).clone();
    assert_eq!(app["label"], "AAAAA");
    assert_eq!(app["widget"].as_str().unwrap().len(), 60_003);
    assert_eq!(app["base64_icon"].as_str().unwrap().len(), 100_022);
}
