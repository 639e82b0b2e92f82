//! Long proofs (`make soak`).

use super::crash::count_through_kills;
use super::support::Host;

/// Kills of the long run.
const KILLS: u32 = 500;

#[tokio::test]
#[ignore = "hours: make soak"]
async fn soak_nothing_acknowledged_is_lost_in_500_kills() {
    count_through_kills(Host::start(), KILLS).await;
}
