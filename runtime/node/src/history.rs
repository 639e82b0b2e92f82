//! The terminal's history in the node's store.
//!
//! One key a line, numbered. Loaded at boot; appended by a task of its own, so
//! that typing never waits for the disk. Its queue is bounded: a line that
//! finds it full is remembered until the node stops only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use lifecycle::{TaskKind, Tasks};
use node_services::terminal::{HISTORY_LINES, HistoryStore};
use node_store::{Keyspace, Space};
use tokio::sync::mpsc;

/// Lines waiting to be written.
const QUEUE: usize = 256;
const PREFIX: &[u8] = b"history/";

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct StoredHistory {
    loaded: Vec<String>,
    next: AtomicU64,
    writer: mpsc::Sender<(u64, String)>,
}

impl StoredHistory {
    /// Loads what is stored and starts the writer.
    pub(crate) async fn load(keyspace: Keyspace, tasks: &Tasks) -> Arc<Self> {
        let mut loaded = Vec::new();
        let mut last = 0;
        // Twice as many as are kept may be there, before older ones are removed.
        match keyspace
            .scan(Space::Terminal, PREFIX, None, 2 * HISTORY_LINES)
            .await
        {
            Ok(scan) => {
                for (key, line) in scan.entries {
                    last = number(&key).unwrap_or(last);
                    loaded.push(String::from_utf8_lossy(&line).into_owned());
                }
            }
            Err(error) => tracing::warn!("failed to load a terminal's history: {error}"),
        }
        let (writer, queue) = mpsc::channel(QUEUE);
        tasks.spawn(
            TaskKind::graceful("terminal history"),
            write(keyspace, queue, tasks.clone()),
        );
        Arc::new(Self {
            loaded,
            next: AtomicU64::new(last + 1),
            writer,
        })
    }
}

impl HistoryStore for StoredHistory {
    fn load(&self) -> Vec<String> {
        self.loaded.clone()
    }

    fn append(&self, line: &str) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let _ = self.writer.try_send((number, line.to_owned()));
    }
}

async fn write(keyspace: Keyspace, mut queue: mpsc::Receiver<(u64, String)>, tasks: Tasks) {
    loop {
        let next = tokio::select! {
            biased;
            next = queue.recv() => next,
            () = tasks.token().cancelled() => None,
        };
        let Some((number, line)) = next else { return };
        let mut done = keyspace
            .put(Space::Terminal, &key(number), Bytes::from(line))
            .await
            .map(|_| ());
        if let Some(old) = number.checked_sub(HISTORY_LINES as u64) {
            done = done.and(
                keyspace
                    .delete(Space::Terminal, &key(old))
                    .await
                    .map(|_| ()),
            );
        }
        if let Err(error) = done {
            tracing::warn!("failed to save a line of a terminal's history: {error}");
        }
    }
}

fn key(number: u64) -> Vec<u8> {
    [PREFIX, &number.to_be_bytes()].concat()
}

fn number(key: &[u8]) -> Option<u64> {
    let digits = key.get(key.len().checked_sub(8)?..)?;
    Some(u64::from_be_bytes(digits.try_into().ok()?))
}
