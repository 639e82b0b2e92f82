//! A person's terminal on a node, and single command lines.

use bytes::Bytes;
use tokio::sync::mpsc;

/// Columns and rows of a terminal window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Width.
    pub columns: u16,
    /// Height.
    pub rows: u16,
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self {
            columns: 80,
            rows: 24,
        }
    }
}

/// What the person's side sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalInput {
    /// Raw bytes of key presses, as a terminal in raw mode produces them.
    Keys(Bytes),
    /// The window changed.
    Resize(TerminalSize),
}

/// An open terminal. Dropping `input` ends it; when the node ends it (`exit`,
/// Ctrl+D, shutdown) `output` yields `None` after the last bytes.
#[derive(Debug)]
pub struct TerminalSession {
    /// Key presses and resizes; bounded, so a flood of input waits.
    pub input: mpsc::Sender<TerminalInput>,
    /// Bytes to draw; bounded. A reader that stops reading loses output of
    /// processes (with a note saying so), never the echo of its own keys.
    pub output: mpsc::Receiver<Bytes>,
}

/// How a single command line ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineOutcome {
    /// The script ran to its end.
    Done,
    /// The line could not be run, the script trapped, or time ran out; the
    /// text has been written to the output already.
    Failed,
}
