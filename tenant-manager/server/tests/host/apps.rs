//! A real Wasm app, from kit's two requests to its page and back out.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::sockets::Socket;
use super::support::{self, Api, Host, Kit, Ssh, Tunnel, test_package};

const COUNTER: &str = "counter:counter:tester.dev";

/// A node and the tunnel to it.
async fn node(host: &Host) -> (Api, Ssh, Tunnel, Kit) {
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
    let tunnel = ssh.tunnel();
    let kit = Kit::new(tunnel.port);
    (api, ssh, tunnel, kit)
}

#[tokio::test]
async fn kit_1_0_and_kit_0_6_install_an_app_that_serves_counts_and_goes() {
    let host = Host::start();
    let (api, ssh, _tunnel, kit) = node(&host).await;
    let counter = test_package("counter:tester.dev");
    let page = format!("/{COUNTER}");
    let count = format!("/{COUNTER}/api");

    kit.install(&counter).await;
    support::eventually("the page", Duration::from_secs(15), async || {
        let (status, text) = api.node_get("alice.localhost", &page).await;
        (status == StatusCode::OK).then_some(text)
    })
    .await;
    let (status, text) = api.node_get("alice.localhost", &count).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, r#"{"count":0}"#));
    let posted = api.node(Method::POST, "alice.localhost", &count, "").await;
    assert_eq!(posted.headers()["content-type"], "application/json");
    assert_eq!(posted.text().await.unwrap(), r#"{"count":1}"#);

    let injected = kit.inject(COUNTER, "{\"Increment\":null}").await;
    assert_eq!(injected.body, r#"{"count":2}"#);
    let typed = ssh.exec(&format!("m -a 5 our@{COUNTER} '\"Get\"'"));
    assert!(
        String::from_utf8_lossy(&typed.stdout).contains(r#"{"count":2}"#),
        "{typed:?}"
    );

    // Not signed in: the login page, with status 200.
    let (status, login) = api
        .node_get("alice.localhost", &format!("/{COUNTER}/private"))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        login.contains("password") && !login.contains("\"count\""),
        "{login}"
    );

    let apis = kit.inject("main:app-store:sys", "\"Apis\"").await;
    assert!(apis.body.contains("ApisResponse"), "{apis:?}");

    // The usual loop of development: the same package again, by the old kit.
    let (new, install) = kit.start_package_0_6(&counter).await;
    assert_eq!(new, r#"{"NewPackageResponse":"Success"}"#);
    assert_eq!(install, r#"{"InstallResponse":"Success"}"#);
    let again = support::eventually("the count again", Duration::from_secs(15), async || {
        let (status, text) = api.node_get("alice.localhost", &count).await;
        (status == StatusCode::OK).then_some(text)
    })
    .await;
    assert_eq!(again, r#"{"count":2}"#, "state survives an update");

    assert_eq!(
        kit.remove_package(&counter).await,
        r#"{"UninstallResponse":"Success"}"#
    );
    let (status, _) = api.node_get("alice.localhost", &page).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        kit.inject(COUNTER, "\"Get\"").await.status,
        StatusCode::REQUEST_TIMEOUT
    );
    let top = ssh.exec("top");
    assert!(!String::from_utf8_lossy(&top.stdout).contains(COUNTER));
}

#[tokio::test]
async fn the_app_store_serves_the_api_of_a_package() {
    let host = Host::start();
    let (_api, _ssh, _tunnel, kit) = node(&host).await;
    for package in ["terminal", "app-store"] {
        let body =
            json!({"GetApi": {"package_name": package, "publisher_node": "sys"}}).to_string();
        let answer = kit.rpc("main:app-store:sys", &body, None, Some(5)).await;
        assert_eq!(answer.body, r#"{"GetApiResponse":"Success"}"#, "{package}");
        let zip = answer.blob.expect("the archive");
        assert!(
            zip.starts_with(b"PK"),
            "{package}: {:?}",
            &zip[..4.min(zip.len())]
        );
    }
    let body =
        json!({"GetApi": {"package_name": "nothing", "publisher_node": "x.dev"}}).to_string();
    let missing = kit.rpc("main:app-store:sys", &body, None, Some(5)).await;
    assert_eq!(missing.body, r#"{"GetApiResponse":"Failure"}"#);
}

#[tokio::test]
async fn a_package_that_cannot_be_installed_leaves_nothing_behind() {
    let host = Host::start();
    let (api, ssh, _tunnel, kit) = node(&host).await;
    let good = test_package("counter:tester.dev");
    kit.install(&good).await;

    let id = good.id();
    let try_new = async |data: Option<&[u8]>| {
        let body = json!({"NewPackage": {"package_id": id, "mirror": true}}).to_string();
        kit.rpc("main:app-store:sys", &body, data, Some(15))
            .await
            .body
    };
    assert_eq!(try_new(None).await, r#"{"NewPackageResponse":"NoBlob"}"#);
    for broken in [&b"this is no zip"[..], &good.zip[..good.zip.len() / 2], b""] {
        let answer = try_new(Some(broken)).await;
        assert!(!answer.contains("Success"), "{answer}");
    }
    for (name, archive) in [
        (
            "a wasm that is missing",
            repacked(&good.zip, |name, _| {
                (name != "counter.wasm").then_some(None)
            }),
        ),
        (
            "a wasm that is no component",
            repacked(&good.zip, |name, _| {
                Some((name == "counter.wasm").then(|| b"\0asm\x01\0\0\0".to_vec()))
            }),
        ),
        (
            "a manifest that is no JSON",
            repacked(&good.zip, |name, _| {
                Some((name == "manifest.json").then(|| b"[{".to_vec()))
            }),
        ),
    ] {
        let first = try_new(Some(&archive)).await;
        let install = json!({"Install": {
            "package_id": id,
            "version_hash": hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&archive)),
            "metadata": good.metadata,
        }});
        let second = kit
            .rpc("main:app-store:sys", &install.to_string(), None, Some(15))
            .await
            .body;
        assert!(
            !(first.contains("Success") && second.contains("Success")),
            "{name}: {first} {second}"
        );
    }
    // What was installed before still runs, from its own files.
    assert_eq!(kit.inject(COUNTER, "\"Get\"").await.body, r#"{"count":0}"#);
    assert_eq!(
        api.act("/nodes/alice/restart").await.status(),
        StatusCode::ACCEPTED
    );
    support::eventually(
        "the app after a restart",
        Duration::from_secs(30),
        async || {
            let (status, text) = api
                .node_get("alice.localhost", &format!("/{COUNTER}/api"))
                .await;
            (status == StatusCode::OK && text == r#"{"count":0}"#).then_some(())
        },
    )
    .await;
    let top = ssh.exec("top");
    assert_eq!(
        String::from_utf8_lossy(&top.stdout)
            .matches(COUNTER)
            .count(),
        1,
        "{top:?}"
    );
}

/// A copy of an archive in which `change` replaces members: `None` leaves one
/// out, `Some(None)` keeps it, `Some(Some(bytes))` replaces it.
fn repacked(zip: &[u8], change: impl Fn(&str, &[u8]) -> Option<Option<Vec<u8>>>) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut from = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let mut to = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for index in 0..from.len() {
        let mut member = from.by_index(index).unwrap();
        let name = member.name().to_owned();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        if member.is_dir() {
            to.add_directory(name, options).unwrap();
        } else if let Some(replacement) = change(&name, &bytes) {
            to.start_file(name, options).unwrap();
            to.write_all(&replacement.unwrap_or(bytes)).unwrap();
        }
    }
    to.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_trap_is_told_once_and_hurts_nobody() {
    let host = Host::start();
    let (_api, ssh, _tunnel, kit) = node(&host).await;
    kit.install(&test_package("counter:tester.dev")).await;
    let mut shell = ssh.shell();
    shell.expect("alice.dev > ");
    kit.install(&test_package("hostile:tester.dev")).await;
    kit.rpc("trap:hostile:tester.dev", "\"Trap\"", None, None)
        .await;
    shell.expect("trap:hostile:tester.dev ended with error");
    assert_eq!(kit.inject(COUNTER, "\"Get\"").await.body, r#"{"count":0}"#);
    kit.rpc("grow:hostile:tester.dev", "\"Forever\"", None, None)
        .await;
    let told = shell.expect("grow:hostile:tester.dev ended with error") + &shell.expect("\n");
    assert!(
        told.contains("memory") && told.contains("256"),
        "the limit is named: {told}"
    );
    assert_eq!(kit.inject(COUNTER, "\"Get\"").await.body, r#"{"count":0}"#);
}

/// What an app on kinode_process_lib 0.8.4 is told of an opened WebSocket.
async fn opened_path(host: &Host, kit: &Kit) -> String {
    const APP: &str = "v0-8:editions:test.dev";
    let authority = format!("alice.{}", host.http().replace("127.0.0.1", "localhost"));
    let mut socket = support::eventually("the app", Duration::from_secs(20), async || {
        let ready = kit.inject(APP, r#""facts""#).await;
        if ready.status != StatusCode::OK {
            return None;
        }
        Socket::open(&host.http(), &authority, &format!("/{APP}/"), &[])
            .await
            .ok()
    })
    .await;
    let told = socket.next().await.into_text().unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    told["path"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_package_of_the_book_is_told_paths_in_its_words() {
    let host = Host::start();
    let (_api, _ssh, _tunnel, kit) = node(&host).await;
    let editions = test_package("editions:test.dev");
    let (new, install) = kit.start_package_0_6(&editions).await;
    assert!(new.contains("Success") && install.contains("Success"));
    assert_eq!(opened_path(&host, &kit).await, "v0-8:editions:test.dev");
    // The same from newer tools.
    assert!(kit.remove_package(&editions).await.contains("Success"));
    kit.install(&editions).await;
    assert_eq!(opened_path(&host, &kit).await, "/");
}
