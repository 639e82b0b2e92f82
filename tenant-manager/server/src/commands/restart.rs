//! `berth restart`: has a host start anew in place, and waits for it.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

use crate::commands::{say, with_tasks};
use crate::config::Config;
use crate::control::{self, Instance};

/// How long requests, nodes and the new program may take together.
const LIMIT: Duration = Duration::from_secs(90);
/// Between two looks at the host.
const LOOK: Duration = Duration::from_millis(100);

/// Asks the host on the data directory.
///
/// # Errors
/// There is none, it says why not, or it does not come back.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let data = &config.data_dir;
    let before = control::ask_instance(data)?;
    control::ask(data, "restart")?;
    with_tasks(async |_tasks| wait(data, &before).await)?;
    say(&format!("the host started anew, process {}", before.pid))
}

/// Waits until another program answers.
async fn wait(data: &Path, before: &Instance) -> anyhow::Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        tokio::time::sleep(LOOK).await;
        match control::ask_instance(data) {
            Ok(now) if now.id != before.id => return Ok(()),
            _ if !Path::new(&format!("/proc/{}", before.pid)).exists() => {
                bail!("the host ended instead of starting anew; see its log, then start it")
            }
            _ if Instant::now() >= until => {
                bail!("the host is not back after {LIMIT:?}; see its log")
            }
            _ => {}
        }
    }
}
