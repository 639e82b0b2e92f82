//! One person's terminal: a task between keys, events and the screen.
//!
//! Owns the editor and the screen. Output goes through a bounded queue of
//! pieces of bounded size. Its last [`ECHO_RESERVE`] places are for the echo
//! of keys, for which the task waits; output of processes takes only the
//! others and is counted as lost when there is no room.

use std::sync::Arc;

use bytes::Bytes;
use node_api::{StopReason, TerminalInput, TerminalSize};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, watch};

use super::editor::{Action, Editor};
use super::filter::harmless;
use super::keys::{Key, Keys};
use super::screen::Screen;
use super::{FAREWELL_TIME, Terminal, farewell};
use crate::{Delivery, NodeEvent};

/// Places of the output queue that process output does not take.
const ECHO_RESERVE: usize = 32;
/// Largest piece of output, bytes.
const PIECE: usize = 16 << 10;
/// Longest single print, bytes; the rest is cut with a note.
const MAX_PRINT: usize = 1 << 20;
/// Highest verbosity.
const MAX_VERBOSITY: u8 = 3;

/// See the module's documentation.
pub(super) struct Session {
    terminal: Arc<Terminal>,
    input: mpsc::Receiver<TerminalInput>,
    output: mpsc::Sender<Bytes>,
    events: broadcast::Receiver<NodeEvent>,
    closing: watch::Receiver<Option<StopReason>>,
    keys: Keys,
    editor: Editor,
    screen: Screen,
    verbosity: u8,
    /// Prints that found no room since the last note.
    lost: u64,
}

/// Whether the session goes on.
enum Flow {
    Go,
    End,
}

impl Session {
    pub(super) fn new(
        terminal: Arc<Terminal>,
        size: TerminalSize,
        input: mpsc::Receiver<TerminalInput>,
        output: mpsc::Sender<Bytes>,
    ) -> Self {
        Self {
            events: terminal.port.events(),
            closing: terminal.closing.subscribe(),
            screen: Screen::new(terminal.port.our(), size),
            terminal,
            input,
            output,
            keys: Keys::default(),
            editor: Editor::default(),
            verbosity: 0,
            lost: 0,
        }
    }

    /// Runs until the person leaves or the node stops.
    pub(super) async fn run(mut self) {
        let stopping = self.terminal.tasks.token().clone();
        let mut closing = self.closing.clone();
        let reason = tokio::select! {
            biased;
            reason = closing.wait_for(Option::is_some) => reason.ok().and_then(|reason| *reason),
            () = stopping.cancelled() => None,
            () = self.converse() => return,
        };
        let sentence = reason.map_or("The node is stopping.", farewell);
        let mut out = String::from("\r\n");
        out.push_str(sentence);
        out.push_str("\r\n");
        // The queue may be full and its reader gone.
        let _ = tokio::time::timeout(FAREWELL_TIME, self.output.send(out.into())).await;
    }

    async fn converse(&mut self) {
        let mut out = format!(
            "Welcome to {}. Type help for commands, exit to leave.\r\n",
            self.terminal.port.our()
        );
        self.screen.draw(&self.editor, &mut out);
        if !self.echo(out).await {
            return;
        }
        let output = self.output.clone();
        let many = output.max_capacity() / 2;
        loop {
            tokio::select! {
                biased;
                input = self.input.recv() => match input {
                    None => return,
                    Some(input) => if let Flow::End = self.handle(input).await {
                        return;
                    },
                },
                room = output.reserve_many(many), if self.lost > 0 => {
                    if room.is_err() {
                        return;
                    }
                    drop(room);
                    self.note_loss();
                }
                () = output.closed() => return,
                event = self.events.recv() => match event {
                    Ok(event) => self.show(&event),
                    Err(RecvError::Lagged(count)) => self.lost += count,
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// Sends what a key press caused; waits for a slow reader. Returns
    /// whether there still is one.
    async fn echo(&self, out: String) -> bool {
        for piece in pieces(out) {
            if self.output.send(piece).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Sends process output if there is room for all of it.
    fn offer(&self, out: String) -> bool {
        let pieces = pieces(out);
        let room = self.output.capacity().saturating_sub(ECHO_RESERVE);
        if pieces.len() > room {
            return false;
        }
        for piece in pieces {
            if self.output.try_send(piece).is_err() {
                return false;
            }
        }
        true
    }

    fn note_loss(&mut self) {
        let note = format!(
            "\u{1b}[2m[{} prints were not shown: this terminal reads too slowly]\u{1b}[0m",
            std::mem::take(&mut self.lost)
        );
        self.print(&note);
    }

    fn show(&mut self, event: &NodeEvent) {
        let NodeEvent::Print {
            source,
            verbosity,
            text,
        } = event
        else {
            return;
        };
        if *verbosity > self.verbosity {
            return;
        }
        let text = printable(text);
        if source.package() == "terminal" && source.publisher() == "sys" {
            self.print(&text);
        } else {
            let named = format!("{}:{}: {text}", source.package(), source.publisher());
            self.print(&named);
        }
    }

    /// Puts harmless text above the prompt, or counts it as lost.
    fn print(&mut self, text: &str) {
        let mut out = String::with_capacity(text.len() + 256);
        let before = self.screen.drawn();
        self.screen.print(text, &self.editor, &mut out);
        if !self.offer(out) {
            // Nothing was sent, so the prompt is where it was.
            self.screen.restore(before);
            self.lost += 1;
        }
    }

    async fn handle(&mut self, input: TerminalInput) -> Flow {
        let bytes = match input {
            TerminalInput::Keys(bytes) => bytes,
            TerminalInput::Resize(size) => {
                let mut out = String::new();
                self.screen.resize(size, &self.editor, &mut out);
                return self.flow(out).await;
            }
        };
        let mut out = String::new();
        let mut changed = false;
        for byte in bytes {
            let Some(key) = self.keys.push(byte) else {
                continue;
            };
            let mark = match key {
                Key::Enter => Some(""),
                Key::Ctrl('c') => Some("^C"),
                _ => None,
            };
            if let Some(mark) = mark {
                // The line stays on the screen as it is now.
                if changed {
                    self.screen.draw(&self.editor, &mut out);
                }
                self.screen.leave(&self.editor, mark, &mut out);
            }
            let editor = &mut self.editor;
            let history = &self.terminal.history;
            match history.with(|lines| editor.press(key, lines)) {
                Action::None => changed = true,
                Action::Bell => out.push('\u{7}'),
                Action::ClearScreen => self.screen.clear(&self.editor, &mut out),
                Action::Leave => {
                    out.push_str("\r\n");
                    self.echo(out).await;
                    return Flow::End;
                }
                Action::Cancelled => changed = true,
                Action::CycleVerbosity => {
                    self.verbosity = (self.verbosity + 1) % (MAX_VERBOSITY + 1);
                    let note = format!("verbosity {}", self.verbosity);
                    self.screen.print(&note, &self.editor, &mut out);
                }
                Action::Line(line) => {
                    changed = true;
                    if let Flow::End = self.enter(&line, &mut out) {
                        self.echo(out).await;
                        return Flow::End;
                    }
                }
            }
        }
        if changed {
            self.screen.draw(&self.editor, &mut out);
        }
        self.flow(out).await
    }

    async fn flow(&self, out: String) -> Flow {
        if self.echo(out).await {
            Flow::Go
        } else {
            Flow::End
        }
    }

    /// Runs an entered line.
    fn enter(&mut self, line: &str, out: &mut String) -> Flow {
        let line = line.trim();
        if line.is_empty() {
            return Flow::Go;
        }
        if matches!(line, "exit" | "logout") {
            return Flow::End;
        }
        self.terminal.history.add(line);
        let port = &self.terminal.port;
        let message = self.terminal.typed(port.new_message_id(), line);
        if port.send(message) == Delivery::Refused {
            out.push_str("the terminal process does not take this line; try again\r\n");
        }
        Flow::Go
    }
}

/// `text` made harmless, at most [`MAX_PRINT`] bytes of it.
pub(super) fn printable(text: &str) -> String {
    if text.len() <= MAX_PRINT {
        return harmless(text);
    }
    let mut end = MAX_PRINT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut cut = harmless(&text[..end]);
    cut.push_str("\n[cut: the text is longer than 1 MiB]");
    cut
}

/// `out` in pieces of bounded size.
fn pieces(out: String) -> Vec<Bytes> {
    let mut rest = Bytes::from(out);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        pieces.push(rest.split_to(rest.len().min(PIECE)));
    }
    pieces
}
