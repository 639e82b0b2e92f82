//! One person's terminal: a task between keys, events and the screen.
//!
//! Owns the editor and the screen. Output goes through a bounded queue of
//! pieces of bounded size. Its last [`ECHO_RESERVE`] places are for the echo
//! of keys, for which the task waits; output of processes takes only the
//! others and is counted as lost when there is no room. Messages, at
//! verbosity 3, take what prints leave.

mod hold;
mod show;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifecycle::TokenBucket;
use node_api::{StopReason, TerminalInput, TerminalSize};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::hold::Hold;
pub(super) use self::show::printable;
use super::editor::{Action, Editor};
use super::keys::{Key, Keys};
use super::screen::Screen;
use super::verbosity::{Command, EVERYTHING, Overrides};
use super::{FAREWELL_TIME, Terminal, farewell};
use crate::{Delivery, NodeEvent, Sighting, TrafficWatch};

/// Places of the output queue that process output does not take.
const ECHO_RESERVE: usize = 32;
/// After this an escape that nothing followed was the key itself.
const ESCAPE_TIME: Duration = Duration::from_millis(100);

/// See the module's documentation.
pub(super) struct Session {
    terminal: Arc<Terminal>,
    input: mpsc::Receiver<TerminalInput>,
    output: mpsc::Sender<Bytes>,
    events: broadcast::Receiver<NodeEvent>,
    /// While messages are to be shown.
    traffic: Option<TrafficWatch>,
    overrides: watch::Receiver<Arc<Overrides>>,
    closing: watch::Receiver<Option<StopReason>>,
    keys: Keys,
    /// When an escape becomes a key.
    escape_due: Option<Instant>,
    editor: Editor,
    screen: Screen,
    verbosity: u8,
    /// Output that waits for the person.
    held: Option<Hold>,
    /// Whether the prompt tells another number than is held.
    stale: bool,
    /// Prints that found no room since the last note.
    lost: u64,
    /// The same of messages.
    unseen: u64,
    /// How many messages may be shown.
    pace: TokenBucket,
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
            traffic: None,
            overrides: terminal.verbosity.subscribe(),
            closing: terminal.closing.subscribe(),
            screen: Screen::new(terminal.port.our(), size),
            terminal,
            input,
            output,
            keys: Keys::default(),
            escape_due: None,
            editor: Editor::default(),
            verbosity: 0,
            held: None,
            stale: false,
            lost: 0,
            unseen: 0,
            pace: TokenBucket::new(show::PACE, Instant::now()),
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
        self.watch_what_is_shown();
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
                () = at(self.escape_due), if self.escape_due.is_some() => {
                    if let Flow::End = self.escape().await {
                        return;
                    }
                }
                room = output.reserve_many(many), if self.lost > 0 => {
                    if room.is_err() {
                        return;
                    }
                    drop(room);
                    self.note_loss();
                }
                () = output.closed() => return,
                changed = self.overrides.changed() => match changed {
                    Ok(()) => self.watch_what_is_shown(),
                    Err(_) => return,
                },
                event = self.events.recv() => match event {
                    Ok(event) => self.show(&event),
                    Err(RecvError::Lagged(count)) => self.lose(count),
                    Err(RecvError::Closed) => return,
                },
                sighting = next(&mut self.traffic) => match sighting {
                    Ok(sighting) => self.show_message(&sighting),
                    Err(RecvError::Lagged(count)) => self.unseen += count,
                    Err(RecvError::Closed) => self.traffic = None,
                },
                room = output.reserve_many(ECHO_RESERVE + 1), if self.stale => {
                    if room.is_err() {
                        return;
                    }
                    drop(room);
                    self.refresh();
                }
            }
        }
    }

    /// Watches messages while this terminal, or what is said about a process,
    /// asks for them.
    fn watch_what_is_shown(&mut self) {
        let wanted = self.verbosity >= EVERYTHING || self.overrides.borrow().want_messages();
        match (wanted, &self.traffic) {
            (true, None) => self.traffic = Some(self.terminal.port.watch_traffic()),
            (false, Some(_)) => {
                self.traffic = None;
                self.unseen = 0;
            }
            _ => {}
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
        let mut pressed = Pressed::default();
        for byte in bytes {
            if let Some(key) = self.keys.push(byte)
                && let Flow::End = self.press(key, &mut pressed).await
            {
                self.echo(pressed.out).await;
                return Flow::End;
            }
        }
        let waits = self.editor.is_searching() && self.keys.is_escape_pending();
        self.escape_due = waits.then(|| Instant::now() + ESCAPE_TIME);
        self.pressed(pressed).await
    }

    /// Nothing has followed an escape.
    async fn escape(&mut self) -> Flow {
        self.escape_due = None;
        let mut pressed = Pressed::default();
        if let Some(key) = self.keys.take_escape() {
            self.press(key, &mut pressed).await;
        }
        self.pressed(pressed).await
    }

    async fn pressed(&mut self, mut pressed: Pressed) -> Flow {
        if pressed.changed {
            self.screen.draw(&self.editor, &mut pressed.out);
        }
        self.flow(pressed.out).await
    }

    async fn press(&mut self, key: Key, pressed: &mut Pressed) -> Flow {
        if key == Key::Enter {
            pressed.changed |= self.editor.end_search();
        }
        let mark = match key {
            Key::Enter => Some(""),
            Key::Ctrl('c') if !self.editor.is_searching() => Some("^C"),
            _ => None,
        };
        let Pressed { out, changed } = pressed;
        if let Some(mark) = mark {
            // The line stays on the screen as it is now.
            if *changed {
                self.screen.draw(&self.editor, out);
            }
            self.screen.leave(&self.editor, mark, out);
        }
        let editor = &mut self.editor;
        let history = &self.terminal.history;
        match history.with(|lines| editor.press(key, lines)) {
            Action::None | Action::Cancelled => *changed = true,
            Action::Bell => {
                *changed = true;
                out.push('\u{7}');
            }
            Action::ClearScreen => self.screen.clear(&self.editor, out),
            Action::Leave => {
                out.push_str("\r\n");
                return Flow::End;
            }
            Action::CycleVerbosity => {
                self.verbosity = (self.verbosity + 1) % (EVERYTHING + 1);
                self.watch_what_is_shown();
                let note = format!("verbosity {}", self.verbosity);
                self.screen.print(&note, &self.editor, out);
            }
            Action::Step => self.step(out),
            Action::Resume => self.resume(out),
            Action::Line(line) => {
                *changed = true;
                return self.enter(&line, out).await;
            }
        }
        Flow::Go
    }

    async fn flow(&self, out: String) -> Flow {
        if self.echo(out).await {
            Flow::Go
        } else {
            Flow::End
        }
    }

    /// Runs an entered line.
    async fn enter(&mut self, line: &str, out: &mut String) -> Flow {
        let line = line.trim();
        if line.is_empty() {
            return Flow::Go;
        }
        if matches!(line, "exit" | "logout") {
            return Flow::End;
        }
        self.terminal.history.add(line);
        let port = &self.terminal.port;
        if let Some(command) = Command::parse(line, port.our()) {
            let text = match command {
                Ok(command) => self.change_verbosity(command).await,
                Err(text) => text,
            };
            out.push_str(&text.replace('\n', "\r\n"));
            out.push_str("\r\n");
            return Flow::Go;
        }
        let message = self.terminal.typed(port.new_message_id(), line);
        if port.send(message) == Delivery::Refused {
            out.push_str("the terminal process does not take this line; try again\r\n");
        }
        Flow::Go
    }

    async fn change_verbosity(&mut self, command: Command) -> String {
        if let Command::Own(level) = command {
            self.verbosity = level;
            self.watch_what_is_shown();
            return format!("verbosity {level}");
        }
        let answer = self
            .terminal
            .verbosity
            .answer(command, Some(self.verbosity));
        answer.await.unwrap_or_else(|error| error)
    }
}

/// What keys have caused.
#[derive(Default)]
struct Pressed {
    out: String,
    /// Whether the line must be drawn.
    changed: bool,
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn next(traffic: &mut Option<TrafficWatch>) -> Result<Arc<Sighting>, RecvError> {
    match traffic {
        Some(traffic) => traffic.next().await,
        None => std::future::pending().await,
    }
}
