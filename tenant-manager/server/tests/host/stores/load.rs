//! Writers at work until the host ends under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::books::Books;
use super::history::Settled;
use super::steps::{is_done, rows, sqlite};
use super::writer::{DB, Writer};
use super::{Random, steps};

/// Writers at work, all at the same time.
pub struct Load {
    ending: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Writer>>,
}

impl Load {
    /// Puts `writers` to work.
    pub fn start(books: &Books, writers: Vec<Writer>) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let put = |writer| {
            let (books, ending) = (books.clone(), ending.clone());
            tokio::spawn(work(books, writer, ending))
        };
        Self {
            writers: writers.into_iter().map(put).collect(),
            ending,
        }
    }

    /// Says that the host is about to end: from now on a write may fail.
    pub fn expect_end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// The writers, once the host is gone.
    pub async fn end(self) -> Vec<Writer> {
        let mut writers = Vec::new();
        for writer in self.writers {
            writers.push(writer.await.unwrap());
        }
        writers
    }
}

/// Writes one thing after the other. What is under way at the end is neither
/// acknowledged nor refused.
async fn work(books: Books, mut writer: Writer, ending: Arc<AtomicBool>) -> Writer {
    loop {
        let steps = writer.next_steps();
        let answer = books.try_take(writer.process, &steps).await;
        if is_acknowledged(answer.as_ref()) {
            writer.history.acknowledged();
            continue;
        }
        let expected = ending.load(Ordering::SeqCst);
        assert!(expected, "{}: {answer:?} to {steps:?}", writer.name());
        return writer;
    }
}

fn is_acknowledged(answer: Option<&(StatusCode, String)>) -> bool {
    let Some((StatusCode::OK, text)) = answer else {
        return false;
    };
    let told: Value = serde_json::from_str(text).unwrap_or_default();
    told.as_array().is_some_and(|told| told.iter().all(is_done))
}

/// Reads all that `writer` has and compares, see
/// [`super::history::History::settle`].
pub async fn settle(books: &Books, writer: &mut Writer, promised: Option<Instant>) -> Settled {
    let told = books.take(writer.process, &writer.reading()).await;
    let found = writer.found(&told);
    let settled = found.and_then(|found| writer.history.settle(found, promised));
    settled.unwrap_or_else(|why| panic!("{} lost or broken: {why}", writer.name()))
}

/// The database that all writers share is sound.
pub async fn is_sound(books: &Books) {
    let check = steps::query("PRAGMA integrity_check");
    let answer = books.ask(sqlite(DB, &check)).await;
    assert_eq!(rows(&answer), [json!({"integrity_check": "ok"})]);
}

/// A number of milliseconds from `from` to `to`.
pub fn millis(random: &mut Random, from: usize, to: usize) -> std::time::Duration {
    let millis = from + random.below(to - from);
    std::time::Duration::from_millis(millis as u64)
}
