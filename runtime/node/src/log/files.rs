//! The logs of a host's nodes, for whoever reads them.
//!
//! Owns who waits for which log to grow: nobody costs nothing, and a log that
//! grows wakes only its own readers. However many read, only
//! [`READS_AT_ONCE`] logs are looked through at a time. Nothing here stops.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use lifecycle::Tasks;
use node_api::{EgressPage, EgressQuery, LogError, LogPage, LogQuery, NodeLogs};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use super::{egress, read};

/// Looking through a log takes a thread for some milliseconds.
const READS_AT_ONCE: usize = 4;

/// See the module's documentation.
#[derive(Debug)]
pub struct LogFiles {
    tasks: Tasks,
    reads: Semaphore,
    followed: Mutex<HashMap<PathBuf, watch::Sender<()>>>,
}

impl LogFiles {
    /// Reads off the async threads of `tasks`.
    #[must_use]
    pub fn new(tasks: Tasks) -> Arc<Self> {
        Arc::new(Self {
            tasks,
            reads: Semaphore::new(READS_AT_ONCE),
            followed: Mutex::default(),
        })
    }

    /// Tells those who follow the log in `dir` that it has grown.
    pub(super) fn has_grown(&self, dir: &Path) {
        if let Some(readers) = self.followed.lock().get(dir) {
            readers.send_replace(());
        }
    }

    /// Looks through the log in `dir`, off the async threads.
    async fn look<T: Send + 'static>(
        &self,
        dir: PathBuf,
        look: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let shown = dir.display().to_string();
        // It is never closed.
        let _turn = self.reads.acquire().await;
        match self.tasks.blocking(move || look(&dir)).await {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(LogError(format!("cannot read the log in {shown}: {error}"))),
            None => Err(LogError(format!("reading the log in {shown} failed"))),
        }
    }
}

#[async_trait]
impl NodeLogs for LogFiles {
    async fn read(&self, dir: &Path, query: LogQuery) -> Result<LogPage, LogError> {
        let look = move |dir: &Path| read::page(dir, query);
        self.look(dir.to_owned(), look).await
    }

    async fn egress(&self, dir: &Path, query: EgressQuery) -> Result<EgressPage, LogError> {
        let look = move |dir: &Path| read::backwards(dir, query.before, query.limit);
        let (records, more) = self.look(egress::directory(dir.to_owned()), look).await?;
        Ok(EgressPage { records, more })
    }

    fn changes(&self, dir: &Path) -> watch::Receiver<()> {
        let mut followed = self.followed.lock();
        // Those that nobody follows any more.
        followed.retain(|_, readers| readers.receiver_count() > 0);
        let readers = followed.entry(dir.to_owned());
        readers.or_insert_with(|| watch::channel(()).0).subscribe()
    }
}
