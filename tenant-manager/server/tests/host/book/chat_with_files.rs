//! Chat with file transfer: functions and a worker of another package.

use serde_json::json;

use super::super::support::{Host, eventually};
use super::{PATIENCE, content};

const PACKAGE: &str = "chat_with_file_transfer:template.os";
const CHAT: &str = "chat_with_file_transfer:chat_with_file_transfer:template.os";
const DRIVE: &str = "chat_with_file_transfer:template.os/files";

#[tokio::test]
async fn an_imported_worker_transfers_files_of_the_importing_package() {
    let host = Host::start();
    let (alice, bob) = super::two_nodes(&host).await;
    for node in [&alice, &bob] {
        node.install(PACKAGE).await;
        eventually("the drive", PATIENCE, async || {
            node.file(DRIVE).is_dir().then_some(())
        })
        .await;
    }
    let sent = alice.run(&format!("send:{PACKAGE} bob.dev a file is coming"));
    assert_eq!(sent, "sent to bob.dev");
    bob.printed("alice.dev: a file is coming").await;

    bob.put(&format!("{DRIVE}/my_file.txt"), b"hello world\n");
    let large = content((5 << 20) + 321);
    bob.put(&format!("{DRIVE}/large.bin"), &large);
    let told = alice.run(&format!("download:{PACKAGE} my_file.txt bob.dev"));
    assert_eq!(told, "downloading my_file.txt from bob.dev");
    alice.run(&format!("download:{PACKAGE} large.bin bob.dev"));
    alice.printed("my_file.txt progress: 100%").await;
    alice
        .has_file(&format!("{DRIVE}/my_file.txt"), b"hello world\n")
        .await;
    // Chat goes on meanwhile.
    let sent = bob.run(&format!("send:{PACKAGE} alice.dev did you get it?"));
    assert_eq!(sent, "sent to alice.dev");
    alice.printed("large.bin progress: 100%").await;
    alice.has_file(&format!("{DRIVE}/large.bin"), &large).await;
    let history = alice.ask(CHAT, &json!({"History": "bob.dev"})).await;
    assert_eq!(
        history["History"],
        json!([
            {"author": "alice.dev", "content": "a file is coming"},
            {"author": "bob.dev", "content": "did you get it?"},
        ])
    );
    let told = alice.run(&format!("download:{PACKAGE} nothing bob.dev"));
    assert_eq!(told, "downloading nothing from bob.dev");
    alice.printed(r#"there is no file "nothing""#).await;
    // The worker is in this package: nothing of the other one is installed.
    assert!(!alice.file("file_transfer:template.os").exists());
}
