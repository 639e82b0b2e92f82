//! Entering and removing processes, as the commands InitializeProcess,
//! KillProcess and SetOnExit ask.

use node_types::{Capability, Edition, OnExit, ProcessId};

use crate::command::InitializeProcess;
use crate::exit::{OnExitTooLarge, check_on_exit};
use crate::table::{ProcessEntry, ProcessTable};

/// Longest VFS path of a component, in bytes.
pub const MAX_HANDLE: usize = 1024;

/// Why a process was not entered; printed as the sentence for the terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InitializeError {
    /// There is one with that id.
    #[error("`{0}` is already running: kill it first")]
    AlreadyRunning(ProcessId),
    /// Messages for any `kernel` go to the real one, so it would hear nothing.
    #[error("`{0}` cannot be used: `kernel` is the kernel's own process name")]
    ReservedName(ProcessId),
    /// The plan's bound.
    #[error(
        "process limit reached: `{id}` was not entered, the plan allows {limit} processes; kill one first (`top` lists them)"
    )]
    TooManyProcesses {
        /// The process.
        id: ProcessId,
        /// The bound.
        limit: usize,
    },
    /// The path of the component is too long.
    #[error("`{0}` was not entered: wasm_bytes_handle is longer than {MAX_HANDLE} bytes")]
    HandleTooLong(ProcessId),
    /// The on-exit behaviour is too large.
    #[error("`{id}` was not entered: {error}")]
    OnExit {
        /// The process.
        id: ProcessId,
        /// What is too large.
        error: OnExitTooLarge,
    },
}

/// A process that has been entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialized {
    /// Requested capabilities that the sender does not hold; each is printed.
    pub skipped: Vec<Capability>,
    /// Whether the process map on disk must be written.
    pub persist: bool,
}

/// A process that has been removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Killed {
    /// What the table knew of it.
    pub entry: ProcessEntry,
    /// Whether the process map on disk must be written.
    pub persist: bool,
}

impl ProcessTable {
    /// Enters the process that `source` asks for. It holds what the source
    /// holds of what was requested (the kernel may give anything) and the
    /// right to message itself; the source gets the right to message it.
    ///
    /// `edition` is that of the component; `max_processes` the plan's bound.
    ///
    /// # Errors
    /// [`InitializeError`]; the table is unchanged then.
    pub fn initialize(
        &mut self,
        source: &ProcessId,
        request: InitializeProcess,
        edition: Option<Edition>,
        max_processes: usize,
    ) -> Result<Initialized, InitializeError> {
        let InitializeProcess {
            id,
            wasm_bytes_handle,
            wit_version,
            book,
            on_exit,
            initial_capabilities,
            public,
        } = request;
        let edition = match edition {
            Some(edition) if book => Some(edition.packed_by_the_book()),
            edition => edition,
        };
        if id.process() == "kernel" {
            return Err(InitializeError::ReservedName(id));
        }
        if self.get(&id).is_some() {
            return Err(InitializeError::AlreadyRunning(id));
        }
        let limit = max_processes;
        if self.len_userspace() >= limit {
            return Err(InitializeError::TooManyProcesses { id, limit });
        }
        if wasm_bytes_handle.len() > MAX_HANDLE {
            return Err(InitializeError::HandleTooLong(id));
        }
        if let Err(error) = check_on_exit(&on_exit) {
            return Err(InitializeError::OnExit { id, error });
        }

        let may_mint = *source == self.kernel().process;
        let (granted, skipped): (Vec<_>, Vec<_>) = initial_capabilities
            .into_iter()
            .partition(|capability| may_mint || self.holds(source, capability));
        let messaging = Capability::messaging(self.address(&id));
        let entry =
            ProcessEntry::userspace(wasm_bytes_handle, wit_version, edition, on_exit, public)
                // Its own first: it always fits.
                .with_capabilities([messaging.clone()])
                .with_capabilities(granted);
        let mut persist = entry.is_persistent();
        self.insert(id, entry);
        if !may_mint && self.grant(source, [messaging]) {
            persist |= self.get(source).is_some_and(ProcessEntry::is_persistent);
        }
        Ok(Initialized { skipped, persist })
    }

    /// Removes a process and, if `revoke`, what it issued from every holder.
    /// `None`: there is no such process, or it is a runtime module.
    pub fn kill(&mut self, id: &ProcessId, revoke: bool) -> Option<Killed> {
        if self.get(id)?.module {
            return None;
        }
        let entry = self.remove(id)?;
        let mut persist = entry.is_persistent();
        if revoke {
            let issuer = self.address(id);
            for holder in self.revoke_all_issued_by(&issuer) {
                persist |= self.get(&holder).is_some_and(ProcessEntry::is_persistent);
            }
        }
        Some(Killed { entry, persist })
    }

    /// Replaces what happens when a process ends; whether that process exists
    /// (then the process map on disk must be written).
    ///
    /// # Errors
    /// [`OnExitTooLarge`]; nothing has changed then.
    pub fn set_on_exit(&mut self, id: &ProcessId, on_exit: OnExit) -> Result<bool, OnExitTooLarge> {
        check_on_exit(&on_exit)?;
        let Some(entry) = self.get_mut(id).filter(|entry| !entry.module) else {
            return Ok(false);
        };
        entry.on_exit = on_exit;
        entry.on_exit_now = None;
        Ok(true)
    }

    /// The same in the name of the process itself. Before edition 1.0 that
    /// holds until the node stops: what was stored is true again at its boot.
    ///
    /// # Errors
    /// [`OnExitTooLarge`]; nothing has changed then.
    pub fn set_own_on_exit(
        &mut self,
        id: &ProcessId,
        on_exit: OnExit,
    ) -> Result<bool, OnExitTooLarge> {
        let lasts = |edition| !matches!(edition, Some(Edition::V0_7 | Edition::V0_8));
        if self.get(id).is_none_or(|entry| lasts(entry.edition)) {
            return self.set_on_exit(id, on_exit);
        }
        check_on_exit(&on_exit)?;
        if let Some(entry) = self.get_mut(id) {
            entry.on_exit_now = Some(on_exit);
        }
        Ok(false)
    }

    /// Takes from every process the capabilities issued by processes of this
    /// node that do not exist (those of processes that were not persisted, of
    /// packages that are gone). For boot, once modules, persisted processes
    /// and distro packages are entered. Returns how many processes lost some.
    pub fn prune_dangling(&mut self) -> usize {
        let mut gone: Vec<_> = self
            .iter()
            .flat_map(|(_, entry)| entry.capabilities().issuers())
            .filter(|issuer| issuer.node == *self.our() && self.get(&issuer.process).is_none())
            .cloned()
            .collect();
        gone.sort_unstable();
        gone.dedup();
        let mut losers: Vec<ProcessId> = gone
            .iter()
            .flat_map(|issuer| self.revoke_all_issued_by(issuer))
            .collect();
        losers.sort_unstable();
        losers.dedup();
        losers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_says_of_its_end_is_stored_from_edition_1_0_on() {
        let mut table = ProcessTable::new("alice.dev".parse().unwrap());
        for (edition, lasts) in [
            (Some(Edition::V0_7), false),
            (Some(Edition::V0_8), false),
            (Some(Edition::V1_0), true),
            (Some(Edition::Hyperware), true),
            (None, true),
        ] {
            let id: ProcessId = "chat:chat:test.dev".parse().unwrap();
            let entry = ProcessEntry::userspace("", None, edition, OnExit::Restart, false);
            table.insert(id.clone(), entry);
            assert_eq!(table.set_own_on_exit(&id, OnExit::None), Ok(lasts));
            let entry = table.get(&id).unwrap();
            assert_eq!(*entry.on_exit_now(), OnExit::None, "{edition:?}");
            assert_eq!(entry.is_persistent(), !lasts, "{edition:?}");
            let mut restored = ProcessTable::new("alice.dev".parse().unwrap());
            restored.restore(table.persisted());
            let stored = restored.get(&id).map(ProcessEntry::on_exit_now);
            assert_eq!(stored, (!lasts).then_some(&OnExit::Restart), "{edition:?}");

            // The kernel's command is for good in every edition.
            assert_eq!(table.set_on_exit(&id, OnExit::Restart), Ok(true));
            assert_eq!(*table.get(&id).unwrap().on_exit_now(), OnExit::Restart);
            table.remove(&id);
        }
    }
}
