//! Which password a node asks for.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use std::sync::mpsc;
use std::time::Duration;

use common::{fakes, password, shows};
use node_api::Secret;
use tenant_manager::testing::Fakes;
use tenant_manager::{Manager, Principal};
use tenant_model::NodeStatus;

async fn set(manager: &Manager, owner: &Principal, password: &str) {
    let password = Secret::new(password.to_owned());
    let done = manager.set_node_password(owner, "alice", password).await;
    done.unwrap();
}

/// The verifier of the password that was set last.
fn newest(fakes: &Fakes) -> [u8; 32] {
    fakes.repositories.tenant("alice").unwrap().login.sha256
}

/// Makes a node whose launch has begun and waits.
async fn booting() -> (Fakes, Principal) {
    let (fakes, alice) = fakes().await;
    fakes.launcher.hold();
    let created = fakes.manager.create_node(&alice, "alice", password()).await;
    created.unwrap();
    while fakes.launcher.specs().is_empty() {
        tokio::task::yield_now().await;
    }
    (fakes, alice)
}

#[tokio::test(start_paused = true)]
async fn a_running_node_gets_each_new_password() {
    let (fakes, alice) = fakes().await;
    fakes.node(&alice, "alice").await.unwrap();
    let node = fakes.launcher.running_node("alice.dev").unwrap();
    assert_eq!(fakes.launcher.specs()[0].login.sha256, newest(&fakes));
    assert!(node.logins().is_empty(), "it was launched with it");
    let mut set_so_far = Vec::new();
    for text in ["second password", "third password"] {
        set(&fakes.manager, &alice, text).await;
        set_so_far.push(newest(&fakes));
        assert_eq!(node.logins(), set_so_far);
    }
    // A boot later it is launched with the last one.
    fakes.manager.hibernate_node(&alice, "alice").await.unwrap();
    shows(&fakes, &alice, "alice", NodeStatus::Hibernated).await;
    let access = fakes.manager.visitor("alice").unwrap();
    fakes.manager.acquire(&access).await.unwrap();
    assert_eq!(fakes.launcher.specs()[1].login.sha256, newest(&fakes));
    let woken = fakes.launcher.running_node("alice.dev").unwrap();
    assert!(woken.logins().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_password_set_while_a_node_boots_is_put_in_place() {
    let (fakes, alice) = booting().await;
    set(&fakes.manager, &alice, "second password").await;
    assert_ne!(fakes.launcher.specs()[0].login.sha256, newest(&fakes));
    fakes.launcher.release();
    let access = fakes.manager.visitor("alice").unwrap();
    fakes.manager.acquire(&access).await.unwrap();
    let node = fakes.launcher.running_node("alice.dev").unwrap();
    assert_eq!(node.logins(), [newest(&fakes)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_new_passwords_at_once_the_newer_one_stays() {
    let (fakes, alice) = booting().await;
    set(&fakes.manager, &alice, "second password").await;
    // In the midst of catching up with the second, the third is set.
    let (done, third) = mpsc::channel();
    let (manager, owner) = (fakes.manager.clone(), alice.clone());
    let runtime = tokio::runtime::Handle::current();
    fakes.launcher.before_login(move || {
        let (set_third, was_set) = mpsc::channel();
        // Not a task: this thread is one of those that would run it.
        std::thread::spawn(move || {
            runtime.block_on(set(&manager, &owner, "third password"));
            let _ = set_third.send(());
            let _ = done.send(());
        });
        // It waits for its turn; where it does not, it is done by then.
        let _ = was_set.recv_timeout(Duration::from_secs(1));
    });
    fakes.launcher.release();
    let access = fakes.manager.visitor("alice").unwrap();
    fakes.manager.acquire(&access).await.unwrap();
    let wait = move || third.recv_timeout(Duration::from_secs(20));
    let waited = fakes.tasks.blocking(wait).await.unwrap();
    waited.unwrap();
    let node = fakes.launcher.running_node("alice.dev").unwrap();
    assert_eq!(node.logins().len(), 2);
    assert_eq!(node.logins().last(), Some(&newest(&fakes)));
}
