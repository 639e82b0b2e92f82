//! Starts hosts and speaks to them as users do.

pub mod api;
pub mod database;
pub mod disk;
pub mod dns;
pub mod footprint;
pub mod kit;
pub mod load;
pub mod metrics;
pub mod nginx;
pub mod origin;
pub mod process;
pub mod random;
pub mod ssh;
pub mod sshd;
pub mod visitor;

pub use api::{Api, json};
pub use database::{Database, Postgres};
pub use disk::SmallDisk;
pub use dns::{Dns, Says};
pub use footprint::Footprint;
pub use kit::{Kit, test_package};
pub use load::Load;
pub use metrics::Metrics;
pub use origin::Origin;
pub use process::Host;
pub use random::Random;
pub use ssh::{Ssh, Tunnel};
pub use visitor::Visitor;

use std::time::{Duration, Instant};

/// Polls `probe` every few milliseconds until it yields something.
pub async fn eventually<T, F>(what: &str, limit: Duration, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// GET of a whole URL, which no proxy sees.
pub async fn fetch(url: impl reqwest::IntoUrl) -> reqwest::Result<reqwest::Response> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.get(url).send().await
}

/// Makes `email` an operator of `host`; signed in as it.
pub async fn operator(host: &Host, email: &str) -> Api {
    let api = host.api().sign_up(email).await;
    let done = host.berth(&["operator", "create", email]);
    assert!(done.status.success(), "{done:?}");
    api
}
