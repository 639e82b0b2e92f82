//! A server that an earlier host left behind: found, and stopped.
//!
//! Only called by the holder of the cluster's lock, so whatever still works on
//! the data belongs to a host that is gone. Processes are held by a pidfd
//! before they are looked at: a number that is given out again in between
//! names nobody.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use super::ClusterError;

/// How long each way of stopping may take, gentlest first: undo what is open,
/// leave at once, be ended.
const WAYS: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(5)),
    (Signal::QUIT, Duration::from_secs(5)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// The process and socket directory that `postmaster.pid` names, if that
/// process really is the server of `data`.
pub(super) fn postmaster(data: &Path) -> Option<(Pid, PathBuf)> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid = Pid::from_raw(lines.next()?.trim().parse().ok()?)?;
    let socket_dir = PathBuf::from(lines.nth(3)?);
    works_on(pid, data).then_some((pid, socket_dir))
}

/// Whether the process works in `data`, as every process of its server does.
fn works_on(pid: Pid, data: &Path) -> bool {
    let number = pid.as_raw_nonzero();
    let working = std::fs::read_link(format!("/proc/{number}/cwd"));
    let program = std::fs::read_to_string(format!("/proc/{number}/comm"));
    working.is_ok_and(|path| data.canonicalize().is_ok_and(|data| path == data))
        && program.is_ok_and(|name| name.starts_with("postgres") || name.starts_with("postmaster"))
}

/// Stops whatever works on `data`, and removes its lock file: Postgres would
/// take a number given out again for its living self.
pub(super) async fn stop(data: &Path) -> Result<(), ClusterError> {
    let pid_file = data.join("postmaster.pid");
    let left = workers(data);
    if !left.is_empty() {
        tracing::info!("stopping a database server that an earlier host left behind");
    }
    let leader = postmaster(data).map(|(pid, _)| pid);
    for (signal, limit) in WAYS {
        let left = workers(data);
        // The leader alone at first: it tells the others in the right order.
        let told = |pid: Pid| signal == Signal::KILL || leader.is_none_or(|leader| leader == pid);
        for (pid, handle) in &left {
            if told(*pid)
                && let Err(error) = pidfd_send_signal(handle, signal)
            {
                tracing::debug!("failed to signal a leftover process: {error}");
            }
        }
        let ends = left.into_iter().map(|(_, handle)| ended(handle));
        let all = async {
            for end in ends {
                end.await;
            }
        };
        if tokio::time::timeout(limit, all).await.is_ok() && workers(data).is_empty() {
            break;
        }
    }
    if !workers(data).is_empty() {
        return Err(ClusterError::NotStarted {
            reason: "the server of an earlier run does not end".to_owned(),
            log: data.with_file_name("log"),
        });
    }
    match std::fs::remove_file(&pid_file) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ClusterError::file("remove", &pid_file)(error)),
    }
}

/// The living processes that work on `data`.
fn workers(data: &Path) -> Vec<(Pid, OwnedFd)> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter_map(|pid| {
            let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
            works_on(pid, data).then_some((pid, handle))
        })
        .collect()
}

/// Waits until the process has ended; its parent need not have noticed.
pub(super) async fn ended(handle: OwnedFd) {
    #[expect(
        deprecated,
        reason = "its replacement is unsafe for descriptors that are not owned; this one is"
    )]
    let handle = AsyncFd::with_interest(handle, tokio::io::Interest::READABLE);
    if let Ok(handle) = handle {
        // An error means that there is nothing to wait for; the caller looks
        // again anyway.
        let _ = handle.readable().await;
    }
}
