//! What each channel of a connection is doing: the rules, without the doing.
//!
//! Owns the channel table. Invariants: at most `limit` channels; a session
//! channel starts one thing, once; a terminal size is known before the shell
//! starts or not at all.

use std::collections::HashMap;

use node_api::TerminalSize;

/// The channel table. `I` is what an idle session channel keeps until it is
/// started, `B` what a busy channel can be told.
#[derive(Debug)]
pub(crate) struct Table<I, B> {
    limit: usize,
    slots: HashMap<u32, Slot<I, B>>,
}

#[derive(Debug)]
enum Slot<I, B> {
    Idle {
        parts: I,
        terminal: Option<TerminalSize>,
    },
    Session(B),
    Forward(B),
}

/// A session channel that is about to run something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start<I> {
    /// What it kept.
    pub parts: I,
    /// The size of its terminal, if it asked for one.
    pub terminal: Option<TerminalSize>,
}

impl<I, B> Table<I, B> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            slots: HashMap::new(),
        }
    }

    /// Whether there is no room for another channel.
    pub(crate) fn is_full(&self) -> bool {
        self.slots.len() >= self.limit
    }

    /// A session channel was opened.
    pub(crate) fn open_session(&mut self, id: u32, parts: I) {
        let terminal = None;
        self.slots.insert(id, Slot::Idle { parts, terminal });
    }

    /// A tunnel was opened.
    pub(crate) fn open_forward(&mut self, id: u32, handle: B) {
        self.slots.insert(id, Slot::Forward(handle));
    }

    /// The client wants a terminal; whether that is possible now.
    pub(crate) fn request_terminal(&mut self, id: u32, size: TerminalSize) -> bool {
        match self.slots.get_mut(&id) {
            Some(Slot::Idle { terminal, .. }) => {
                *terminal = Some(size);
                true
            }
            _ => false,
        }
    }

    /// Starts what `handle` will be told about; `None` if the channel is not
    /// an idle session channel.
    pub(crate) fn start(&mut self, id: u32, handle: B) -> Option<Start<I>> {
        if !matches!(self.slots.get(&id), Some(Slot::Idle { .. })) {
            return None;
        }
        match self.slots.insert(id, Slot::Session(handle)) {
            Some(Slot::Idle { parts, terminal }) => Some(Start { parts, terminal }),
            _ => None,
        }
    }

    /// What runs on session channel `id`.
    pub(crate) fn running(&self, id: u32) -> Option<&B> {
        match self.slots.get(&id) {
            Some(Slot::Session(handle)) => Some(handle),
            _ => None,
        }
    }

    /// The channel has ended; an idle one returns what it kept.
    pub(crate) fn close(&mut self, id: u32) -> Option<I> {
        match self.slots.remove(&id) {
            Some(Slot::Idle { parts, .. }) => Some(parts),
            _ => None,
        }
    }

    /// Whether any session channel is open, idle or not.
    pub(crate) fn has_sessions(&self) -> bool {
        self.slots
            .values()
            .any(|slot| !matches!(slot, Slot::Forward(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: TerminalSize = TerminalSize {
        columns: 132,
        rows: 43,
    };

    #[test]
    fn a_session_channel_runs_one_thing_once() {
        let mut table = Table::new(8);
        table.open_session(0, "parts");
        assert!(table.request_terminal(0, SIZE));
        let start = table.start(0, "shell").unwrap();
        assert_eq!(start.terminal, Some(SIZE));
        assert_eq!(start.parts, "parts");
        assert_eq!(table.start(0, "second"), None);
        assert!(!table.request_terminal(0, SIZE), "too late for a terminal");
        assert_eq!(table.running(0), Some(&"shell"));
        assert_eq!(table.close(0), None);
        assert_eq!(table.running(0), None);
    }

    #[test]
    fn tunnels_are_no_sessions_and_cannot_be_started() {
        let mut table: Table<&str, &str> = Table::new(2);
        table.open_forward(0, "tunnel");
        assert!(!table.has_sessions());
        assert_eq!(table.start(0, "shell"), None);
        assert!(!table.request_terminal(0, SIZE));
        assert_eq!(table.running(0), None);
        table.open_session(1, "parts");
        assert!(table.has_sessions());
        assert!(table.is_full());
        assert_eq!(table.close(1), Some("parts"));
        assert!(!table.is_full() && !table.has_sessions());
    }

    #[test]
    fn unknown_channels_are_harmless() {
        let mut table: Table<&str, &str> = Table::new(2);
        assert_eq!(table.start(5, "shell"), None);
        assert!(!table.request_terminal(5, SIZE));
        assert_eq!(table.close(5), None);
    }
}
