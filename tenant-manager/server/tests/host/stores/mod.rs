//! The stores of a node through the doors of the host: killed, cut off from
//! power, out of room, and attacked. What is done is done by the ledger app, a
//! thin door to the stores; what must be there is known here, outside.

mod books;
mod descriptors;
mod disk;
mod history;
mod hostile;
mod kills;
mod load;
mod pieces;
mod power;
mod quota;
mod statements;
mod steps;
mod writer;

use std::time::Duration;

use super::support::{
    self, Api, Footprint, Host, Kit, Postgres, Random, SmallDisk, Ssh, eventually, test_package,
};
use books::Books;

/// On a busy machine things may take that long.
const PATIENCE: Duration = Duration::from_secs(60);
/// The processes of the ledger.
const PROCESSES: [&str; 3] = ["one", "two", "three"];
