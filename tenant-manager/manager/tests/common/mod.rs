//! A manager on fakes, for tests of the life of nodes.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a test may, and each uses its part"
)]

use std::sync::Arc;
use std::time::Duration;

use node_api::Secret;
use tenant_manager::Principal;
use tenant_manager::testing::{self, FakeLauncher, FakeOptions, Fakes};
use tenant_model::NodeStatus;

/// A manager and an account.
pub async fn fakes() -> (Fakes, Principal) {
    with(FakeOptions::default()).await
}

/// The same with options.
pub async fn with(options: FakeOptions) -> (Fakes, Principal) {
    let launcher = Arc::new(FakeLauncher::default());
    let fakes = testing::start(options, launcher, Arc::default())
        .await
        .unwrap();
    let alice = fakes.account("alice@example.org").await.unwrap();
    (fakes, alice)
}

/// A password that is long enough.
pub fn password() -> Secret<String> {
    Secret::new("node password".to_owned())
}

/// Waits until the node shows `status`. Time is paused: waiting costs nothing.
pub async fn shows(fakes: &Fakes, owner: &Principal, label: &str, status: NodeStatus) {
    let wait = async {
        while fakes.manager.node(owner, label).await.unwrap().status != status {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(600), wait).await;
    let now = fakes.manager.node(owner, label).await.unwrap();
    assert!(waited.is_ok(), "waited for {status}, it is {now:?}");
}
