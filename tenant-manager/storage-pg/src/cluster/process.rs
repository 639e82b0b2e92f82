//! The process of a server: a child, whether this program started it or the one
//! that this process ran before it was started anew in place.
//!
//! Invariant: it is waited for by nobody else, so its number is its own until
//! it was found ended here. Stops with the server.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, pidfd_send_signal,
    waitpid,
};
use tokio::process::Child;

use super::leftover;

/// Before it is looked at again, whatever woke us.
const PAUSE: Duration = Duration::from_millis(10);

/// See the module's documentation.
#[derive(Debug)]
pub(super) enum Process {
    /// Started by this program.
    Started(Child),
    /// Started by an earlier program of this process.
    Inherited(Inherited),
}

/// A child that no [`Child`] stands for.
#[derive(Debug)]
pub(super) struct Inherited {
    pid: Pid,
    /// Readable once it has ended.
    handle: OwnedFd,
    ended: Option<ExitStatus>,
}

impl Process {
    /// The process with this number, if it is a child of ours.
    pub(super) fn inherited(pid: Pid) -> Option<Self> {
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
        let parent = status.ok()?.lines().find_map(|line| {
            let number = line.strip_prefix("PPid:")?;
            number.trim().parse().ok().and_then(Pid::from_raw)
        });
        (parent == Some(getpid())).then_some(Self::Inherited(Inherited {
            pid,
            handle,
            ended: None,
        }))
    }

    /// What it was started with, each word ended by a zero byte. Not the name
    /// of the program: what is installed under that may have called another.
    pub(super) fn arguments(&self) -> Option<Vec<u8>> {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.id()?)).ok()?;
        let name = line.iter().position(|byte| *byte == 0)?;
        Some(line[name + 1..].to_vec())
    }

    /// Its number, unless it was found ended.
    pub(super) fn id(&self) -> Option<u32> {
        match self {
            Self::Started(child) => child.id(),
            Self::Inherited(child) if child.ended.is_some() => None,
            Self::Inherited(child) => child.pid.as_raw_nonzero().get().try_into().ok(),
        }
    }

    /// How it ended, if it has.
    pub(super) fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        match self {
            Self::Started(child) => child.try_wait(),
            Self::Inherited(child) => child.try_wait(),
        }
    }

    /// Waits until it has ended.
    ///
    /// # Cancel-Safety
    /// Safe.
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        match self {
            Self::Started(child) => child.wait().await,
            Self::Inherited(child) => loop {
                if let Some(status) = child.try_wait()? {
                    return Ok(status);
                }
                leftover::ended(child.handle.try_clone()?).await;
                tokio::time::sleep(PAUSE).await;
            },
        }
    }

    /// Whether there was a process to signal. Not yet waited for, it cannot
    /// have given its number to another.
    pub(super) fn signal(&mut self, signal: Signal) -> bool {
        if matches!(self.try_wait(), Ok(Some(_))) {
            return false;
        }
        match self {
            Self::Started(child) => {
                let pid = child.id().and_then(|id| i32::try_from(id).ok());
                pid.and_then(Pid::from_raw)
                    .is_some_and(|pid| kill_process(pid, signal).is_ok())
            }
            Self::Inherited(child) => pidfd_send_signal(&child.handle, signal).is_ok(),
        }
    }
}

impl Inherited {
    fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        if self.ended.is_none()
            && let Some((_, status)) = waitpid(Some(self.pid), WaitOptions::NOHANG)?
        {
            self.ended = Some(ExitStatus::from_raw(status.as_raw()));
        }
        Ok(self.ended)
    }
}
