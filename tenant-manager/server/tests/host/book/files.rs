//! File transfer: a manager and its workers on either side.

use sha2::{Digest, Sha256};

use super::super::support::{Host, eventually, test_package};
use super::{Node, PATIENCE, content};

const PACKAGE: &str = "file_transfer:template.os";
const DRIVE: &str = "file_transfer:template.os/files";
/// What a worker is called cannot be known; what it says can.
const DONE: &str = "worker: done: exiting, took";

async fn both_transfer(host: &Host) -> (Node, Node) {
    let (alice, bob) = super::two_nodes(host).await;
    for node in [&alice, &bob] {
        node.install(PACKAGE).await;
        node.printed("begin").await;
        eventually("the drive", PATIENCE, async || {
            node.file(DRIVE).is_dir().then_some(())
        })
        .await;
    }
    (alice, bob)
}

/// Puts a file where the book has one put.
fn put(node: &Node, name: &str, bytes: &[u8]) {
    node.put(&format!("{DRIVE}/{name}"), bytes);
}

fn download(node: &Node, name: &str, from: &str) -> String {
    node.run(&format!("download:{PACKAGE} {name} {from}"))
}

#[tokio::test]
async fn a_small_file_is_listed_and_downloaded() {
    let host = Host::start();
    let (alice, bob) = both_transfer(&host).await;
    let empty = alice.run(&format!("list_files:{PACKAGE} bob.dev"));
    assert_eq!(empty, "bob.dev available files:\nFile\t\tSize (bytes)");
    put(&bob, "my_file.txt", b"hello world\n");
    let listed = alice.run(&format!("list_files:{PACKAGE} bob.dev"));
    assert!(listed.contains("my_file.txt\t\t12"), "{listed}");

    let told = download(&alice, "my_file.txt", "bob.dev");
    assert_eq!(told, "downloading my_file.txt from bob.dev");
    alice.printed("my_file.txt progress: 100%").await;
    alice.printed(DONE).await;
    bob.printed(DONE).await;
    alice
        .has_file(&format!("{DRIVE}/my_file.txt"), b"hello world\n")
        .await;
    let cat = alice.run(&format!("cat /{DRIVE}/my_file.txt"));
    assert_eq!(cat, "hello world");
    // Workers are gone with their work.
    for node in [&alice, &bob] {
        eventually("the workers' end", PATIENCE, async || {
            let top = node.run("top");
            (top.matches(&format!(":{PACKAGE}")).count() == 1).then_some(())
        })
        .await;
    }
    // Again, in place of what is there, and from a node that sleeps.
    put(&bob, "my_file.txt", b"longer than before\n");
    bob.hibernate().await;
    download(&alice, "my_file.txt", "bob.dev");
    let path = format!("{DRIVE}/my_file.txt");
    alice.has_file(&path, b"longer than before\n").await;
    bob.api.wait_for_status("bob", "active").await;
}

#[tokio::test]
async fn large_and_empty_files_arrive_whole_and_several_at_once() {
    let host = Host::start();
    let (alice, bob) = both_transfer(&host).await;
    let sizes = [
        0,
        1,
        (1 << 20) - 1,
        1 << 20,
        (1 << 20) + 1,
        (40 << 20) + 12_345,
    ];
    for size in sizes {
        put(&bob, &format!("file-{size}"), &content(size));
    }
    // Both ways at the same time.
    put(&alice, "from-alice", &content((9 << 20) + 7));
    let told = download(&bob, "from-alice", "alice.dev");
    assert_eq!(told, "downloading from-alice from alice.dev");
    for size in sizes {
        let name = format!("file-{size}");
        let told = download(&alice, &name, "bob.dev");
        assert_eq!(told, format!("downloading {name} from bob.dev"));
    }
    for size in sizes {
        let name = format!("file-{size}");
        alice.printed(&format!("{name} progress: 100%")).await;
        let there = std::fs::read(alice.file(DRIVE).join(&name)).unwrap();
        assert_eq!(
            hex::encode(Sha256::digest(&there)),
            hex::encode(Sha256::digest(content(size))),
            "{name}"
        );
    }
    bob.printed("from-alice progress: 100%").await;
    let path = format!("{DRIVE}/from-alice");
    bob.has_file(&path, &content((9 << 20) + 7)).await;
}

#[tokio::test]
async fn what_cannot_be_downloaded_leaves_nothing_behind() {
    let host = Host::start();
    let (alice, bob) = both_transfer(&host).await;
    for (name, from, reason) in [
        (
            "unknown.txt",
            "bob.dev",
            r#"there is no file "unknown.txt""#,
        ),
        ("my_file.txt", "carol.dev", "did not answer"),
    ] {
        let told = download(&alice, name, from);
        assert_eq!(told, format!("downloading {name} from {from}"));
        let said = alice.printed(reason).await;
        assert!(said.contains("the file is not transferred"), "{said}");
        eventually("nothing", PATIENCE, async || {
            (!alice.file(DRIVE).join(name).exists()).then_some(())
        })
        .await;
    }
    let usage = alice.run(&format!("download:{PACKAGE} my_file.txt"));
    assert!(
        usage.starts_with("usage: download:file_transfer"),
        "{usage}"
    );
    assert_eq!(
        alice.run(&format!("list_files:{PACKAGE} carol.dev")),
        "carol.dev did not answer"
    );
    // Nobody has another node download something.
    let process = format!("file_transfer:{PACKAGE}");
    let target = serde_json::json!({"node": "alice.dev", "process": {
        "process_name": "file_transfer",
        "package_name": "file_transfer",
        "publisher_node": "template.os",
    }});
    let body = serde_json::json!({"Download": {
        "name": "x", "target": target, "is_requestor": true,
    }});
    let told = alice.run(&format!("m bob.dev@{process} '{body}' -a 1"));
    assert!(told.ends_with("timed out"), "{told}");
    bob.printed("would have us download x").await;
    assert!(!bob.file(DRIVE).join("x").exists());
}

#[tokio::test]
async fn the_api_is_published_with_its_functions_and_its_worker() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    alice.kit.install(&test_package(PACKAGE)).await;
    let id = serde_json::json!({"package_name": "file_transfer", "publisher_node": "template.os"});
    let body = serde_json::json!({ "GetApi": id }).to_string();
    let api = alice.kit.inject("main:app_store:sys", &body).await;
    let zip = api.blob.expect("the API's zip");
    let archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let mut names: Vec<&str> = archive.file_names().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "file-transfer-worker-api.wasm",
            "file_transfer:template.os-v0.wit",
            "file_transfer_worker.wasm",
        ]
    );
}
