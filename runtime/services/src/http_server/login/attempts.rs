//! How many wrong passwords a node takes from one client per minute.
//!
//! Counted by client, so that strangers who guess cannot keep the owner out.
//! Memory is bounded: of more than [`MAX_CLIENTS`] the one that failed longest
//! ago is forgotten.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::http_server::client::Client;

/// Most failures within [`WINDOW`].
const MAX_FAILURES: usize = 10;
/// The time a failure counts.
const WINDOW: Duration = Duration::from_secs(60);
/// Most clients that are remembered.
const MAX_CLIENTS: usize = 1024;

/// Recent failures, and attempts that have not ended: an attempt counts as a
/// failure from its beginning, so that many at once gain nothing.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<Client, VecDeque<Instant>>>);

/// One attempt; dropped, it stays a failure.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    client: Client,
    began: Instant,
}

impl Attempts {
    /// Begins an attempt, or says how long to wait.
    pub(super) fn begin(&self, client: Client) -> Result<Attempt<'_>, Duration> {
        let now = Instant::now();
        let mut all = self.0.lock();
        if all.len() >= MAX_CLIENTS && !all.contains_key(&client) {
            make_room(&mut all, now);
        }
        let recent = all.entry(client).or_default();
        while recent.front().is_some_and(|then| now - *then >= WINDOW) {
            recent.pop_front();
        }
        if let (true, Some(oldest)) = (recent.len() >= MAX_FAILURES, recent.front()) {
            return Err(WINDOW - (now - *oldest));
        }
        recent.push_back(now);
        Ok(Attempt {
            attempts: self,
            client,
            began: now,
        })
    }
}

fn make_room(all: &mut HashMap<Client, VecDeque<Instant>>, now: Instant) {
    all.retain(|_, recent| recent.back().is_some_and(|last| now - *last < WINDOW));
    if all.len() >= MAX_CLIENTS {
        let longest_ago = all.iter().min_by_key(|(_, recent)| recent.back().copied());
        if let Some(client) = longest_ago.map(|(client, _)| *client) {
            all.remove(&client);
        }
    }
}

impl Attempt<'_> {
    /// It was no failure.
    pub(super) fn succeeded(self) {
        let mut all = self.attempts.0.lock();
        let Some(recent) = all.get_mut(&self.client) else {
            return;
        };
        if let Some(index) = recent.iter().position(|then| *then == self.began) {
            recent.remove(index);
        }
        if recent.is_empty() {
            all.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_client_cannot_use_up_the_attempts_of_others() {
        let attempts = Attempts::default();
        let stranger = Some("192.0.2.1".parse().unwrap());
        for _ in 0..MAX_FAILURES {
            let _failed = attempts.begin(stranger).unwrap();
        }
        assert_eq!(attempts.begin(stranger).unwrap_err(), WINDOW);
        let other = Some("192.0.2.2".parse().unwrap());
        attempts.begin(other).unwrap().succeeded();
        attempts.begin(None).unwrap().succeeded();
        assert_eq!(attempts.0.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_clients_do_not_fill_the_memory() {
        let attempts = Attempts::default();
        for number in 0..u32::try_from(MAX_CLIENTS).unwrap() + 100 {
            let client = Some(IpAddr::V4(number.into()));
            let _failed = attempts.begin(client).unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(attempts.0.lock().len(), MAX_CLIENTS);
        tokio::time::advance(WINDOW).await;
        let _failed = attempts.begin(None).unwrap();
        assert_eq!(attempts.0.lock().len(), 1);
    }
}
