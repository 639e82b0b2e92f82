//! What happens when a process ends.

use std::time::Duration;

use node_types::{Address, Blob, KernelMessage, Message, MessageId, OnExit, ProcessId, Request};

use crate::local::localise;
use crate::table::ProcessTable;

/// Most requests that one process can leave behind.
pub const MAX_ON_EXIT_REQUESTS: usize = 64;
/// Most bytes of bodies, metadata, capabilities and blobs in them.
pub const MAX_ON_EXIT_BYTES: usize = 1 << 20;

/// First delay of a process that keeps ending.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// Longest delay.
const MAX_BACKOFF: Duration = Duration::from_secs(600);
/// A process that ran this many times its current delay is trusted again.
const TRUST_FACTOR: u32 = 5;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// `init` returned.
    Finished,
    /// It trapped.
    Trapped,
    /// Its component could not be instantiated.
    CouldNotStart,
}

/// What to do about a process that ended. A killed process has no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitPlan {
    /// Leave it in the table; messages to it are lost until it is replaced.
    Keep,
    /// Remove it.
    Remove {
        /// Whether what it issued is taken from every holder.
        revoke: bool,
    },
    /// Start it again with all it holds; nothing is revoked meanwhile.
    Restart {
        /// How long from now.
        after: Duration,
    },
    /// Send these in its name (see [`exit_message`]), then remove it and
    /// revoke what it issued.
    SendThenRemove(Vec<(Address, Request, Option<Blob>)>),
}

/// Decides what happens to a process that ended after running for `uptime`.
#[must_use]
pub fn on_exit(
    on_exit: &OnExit,
    reason: ExitReason,
    uptime: Duration,
    restarts: &mut RestartBackoff,
) -> ExitPlan {
    if reason == ExitReason::CouldNotStart {
        return ExitPlan::Keep;
    }
    match on_exit {
        OnExit::None => ExitPlan::Remove { revoke: true },
        OnExit::Restart => ExitPlan::Restart {
            after: restarts.next_delay(uptime),
        },
        OnExit::Requests(requests) => ExitPlan::SendThenRemove(requests.clone()),
    }
}

/// Delays between restarts of one process: none at first, then 1 s doubling
/// to 10 min; back to none after an uptime of 5 times the current delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestartBackoff {
    /// The next delay, once it has restarted.
    current: Option<Duration>,
}

impl RestartBackoff {
    /// The delay before the restart that follows a run of `uptime`.
    pub fn next_delay(&mut self, uptime: Duration) -> Duration {
        let current = self
            .current
            .filter(|current| uptime < *current * TRUST_FACTOR);
        let (delay, next) = match current {
            None => (Duration::ZERO, FIRST_BACKOFF),
            Some(delay) => (delay, (delay * 2).min(MAX_BACKOFF)),
        };
        self.current = Some(next);
        delay
    }
}

/// One exit request of `source` as a message: nobody is left to wait for an
/// answer, and only what the process may hand on is attached.
#[must_use]
pub fn exit_message(
    table: &ProcessTable,
    source: &ProcessId,
    (target, mut request, blob): (Address, Request, Option<Blob>),
    id: MessageId,
) -> KernelMessage {
    request.expects_response = None;
    let mut message = KernelMessage {
        id,
        source: table.address(source),
        target,
        rsvp: None,
        message: Message::Request(request),
        lazy_load_blob: blob,
    };
    localise(&mut message, table.our());
    if let Message::Request(request) = &mut message.message {
        let attached = std::mem::take(&mut request.capabilities);
        request.capabilities = table.filter_attached(source, attached);
    }
    message
}

/// The exit requests of a persisted process that fire when the node boots,
/// since the last stop ended it: those whose target it may message.
#[must_use]
pub fn boot_requests(
    table: &ProcessTable,
    id: &ProcessId,
) -> Vec<(Address, Request, Option<Blob>)> {
    let Some(entry) = table.get(id) else {
        return Vec::new();
    };
    match &entry.on_exit {
        OnExit::None | OnExit::Restart => Vec::new(),
        OnExit::Requests(requests) => requests
            .iter()
            .filter(|(target, _, _)| entry.capabilities().may_message(target))
            .cloned()
            .collect(),
    }
}

/// An on-exit behaviour that is too large to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OnExitTooLarge {
    /// Too many requests.
    #[error("on-exit has more than {MAX_ON_EXIT_REQUESTS} requests")]
    Requests,
    /// Too many bytes.
    #[error("the requests of on-exit hold more than {MAX_ON_EXIT_BYTES} bytes")]
    Bytes,
}

/// Checks the size of an on-exit behaviour, which is kept in memory and in
/// the process map.
///
/// # Errors
/// [`OnExitTooLarge`].
pub fn check_on_exit(on_exit: &OnExit) -> Result<(), OnExitTooLarge> {
    let OnExit::Requests(requests) = on_exit else {
        return Ok(());
    };
    if requests.len() > MAX_ON_EXIT_REQUESTS {
        return Err(OnExitTooLarge::Requests);
    }
    let bytes: usize = requests
        .iter()
        .map(|(_, request, blob)| {
            request.body.len()
                + request.metadata.as_ref().map_or(0, String::len)
                + request
                    .capabilities
                    .iter()
                    .map(|capability| 64 + capability.params.len())
                    .sum::<usize>()
                + blob.as_ref().map_or(0, |blob| {
                    blob.bytes.len() + blob.mime.as_ref().map_or(0, String::len)
                })
        })
        .sum();
    if bytes > MAX_ON_EXIT_BYTES {
        return Err(OnExitTooLarge::Bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn restarts_back_off_from_none_to_ten_minutes_and_are_forgiven() {
        let mut restarts = RestartBackoff::default();
        let delays: Vec<u64> = (0..13)
            .map(|_| restarts.next_delay(s(0)).as_secs())
            .collect();
        assert_eq!(delays, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(restarts.next_delay(s(5 * 600 - 1)), s(600));
        assert_eq!(restarts.next_delay(s(5 * 600)), s(0));
        assert_eq!(restarts.next_delay(s(4)), s(1));
    }

    #[test]
    fn each_behaviour_has_its_plan_and_a_failed_start_none() {
        let mut restarts = RestartBackoff::default();
        let requests = vec![("a.dev@x:y:z".parse().unwrap(), Request::default(), None)];
        let mut plan = |behaviour: &OnExit, reason| on_exit(behaviour, reason, s(1), &mut restarts);
        for reason in [ExitReason::Finished, ExitReason::Trapped] {
            assert_eq!(
                plan(&OnExit::None, reason),
                ExitPlan::Remove { revoke: true }
            );
            assert_eq!(
                plan(&OnExit::Requests(requests.clone()), reason),
                ExitPlan::SendThenRemove(requests.clone())
            );
        }
        assert_eq!(
            plan(&OnExit::Restart, ExitReason::Trapped),
            ExitPlan::Restart { after: s(0) }
        );
        assert_eq!(
            plan(&OnExit::Restart, ExitReason::CouldNotStart),
            ExitPlan::Keep
        );
    }

    #[test]
    fn an_oversized_behaviour_is_refused() {
        let request = |bytes: usize| {
            let request = Request {
                body: vec![0; bytes].into(),
                ..Request::default()
            };
            ("a.dev@x:y:z".parse().unwrap(), request, None)
        };
        assert_eq!(
            check_on_exit(&OnExit::Requests(vec![request(1000); 64])),
            Ok(())
        );
        assert_eq!(
            check_on_exit(&OnExit::Requests(vec![request(0); 65])),
            Err(OnExitTooLarge::Requests)
        );
        assert_eq!(
            check_on_exit(&OnExit::Requests(vec![request(MAX_ON_EXIT_BYTES + 1)])),
            Err(OnExitTooLarge::Bytes)
        );
    }
}
