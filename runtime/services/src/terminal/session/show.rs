//! What a terminal shows, and what becomes of it while nobody reads.

use bytes::Bytes;
use lifecycle::Rate;
use std::time::Duration;
use tokio::time::Instant;

use super::super::filter::harmless;
use super::{ECHO_RESERVE, Hold, Session};
use crate::{NodeEvent, Sighting};

/// Largest piece of output, bytes.
const PIECE: usize = 16 << 10;
/// Longest single print, bytes; the rest is cut with a note.
const MAX_PRINT: usize = 1 << 20;
/// Places of the output queue that messages do not take.
const PRINT_RESERVE: usize = 64;
/// How many messages are shown; nobody reads more, and drawing them all would
/// cost the neighbours.
pub(super) const PACE: Rate = Rate {
    burst: 256,
    refill: Duration::from_millis(2),
};
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

impl Session {
    /// Sends what a key press caused; waits for a slow reader. Returns
    /// whether there still is one.
    pub(super) async fn echo(&self, out: String) -> bool {
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

    pub(super) fn note_loss(&mut self) {
        let note = format!(
            "{DIM}[{} prints were not shown: this terminal reads too slowly]{PLAIN}",
            std::mem::take(&mut self.lost)
        );
        self.print(note);
    }

    /// Counts prints that did not get here.
    pub(super) fn lose(&mut self, count: u64) {
        match &mut self.held {
            Some(held) => held.lose(count),
            None => self.lost += count,
        }
    }

    pub(super) fn show(&mut self, event: &NodeEvent) {
        let NodeEvent::Print {
            source,
            about,
            verbosity,
            text,
        } = event
        else {
            return;
        };
        let level = self.verbosity;
        let shown = self
            .overrides
            .borrow()
            .show_print(level, source, about.as_ref(), *verbosity);
        if !shown {
            return;
        }
        let text = printable(text);
        if source.package() == "terminal" && source.publisher() == "sys" {
            self.print(text);
        } else {
            let named = format!("{}:{}: {text}", source.package(), source.publisher());
            self.print(named);
        }
    }

    pub(super) fn show_message(&mut self, message: &Sighting) {
        let our = self.terminal.port.our();
        let overrides = self.overrides.borrow();
        if !overrides.show_message(self.verbosity, our, message) {
            return;
        }
        drop(overrides);
        if self.held.is_none() {
            let room = self.output.capacity() > PRINT_RESERVE;
            if !(room && self.pace.take(Instant::now())) {
                self.unseen += 1;
                return;
            }
        }
        let mut text = String::from(DIM);
        if self.unseen > 0 {
            let unseen = std::mem::take(&mut self.unseen);
            text.push_str(&format!(
                "[{unseen} messages were not shown: more came than can be read]\n"
            ));
        }
        text.push_str(&harmless(&message.to_string()));
        text.push_str(PLAIN);
        self.print(text);
    }

    /// Puts harmless text above the prompt, or counts it as lost.
    fn print(&mut self, text: String) {
        if let Some(held) = &mut self.held {
            held.push(text);
            self.stale = true;
            return;
        }
        let mut out = String::with_capacity(text.len() + 256);
        let before = self.screen.drawn();
        self.screen.print(&text, &self.editor, &mut out);
        if !self.offer(out) {
            // Nothing was sent, so the prompt is where it was.
            self.screen.restore(before);
            self.lost += 1;
        }
    }

    /// Holds the output back, or shows the next print of what is held.
    pub(super) fn step(&mut self, out: &mut String) {
        let next = match &mut self.held {
            Some(held) => held.next(),
            None => {
                self.held = Some(Hold::default());
                let note = "[output is held: Ctrl+S shows the next print, Ctrl+Q all of them]";
                Some(format!("{DIM}{note}{PLAIN}"))
            }
        };
        self.mark();
        match next {
            Some(text) => self.screen.print(&text, &self.editor, out),
            None => out.push('\u{7}'),
        }
    }

    /// Lets the output go on.
    pub(super) fn resume(&mut self, out: &mut String) {
        let Some(held) = self.held.take() else {
            return;
        };
        self.mark();
        let all = held.all();
        if all.is_empty() {
            self.screen.draw(&self.editor, out);
        } else {
            self.screen.print(&all, &self.editor, out);
        }
    }

    /// Has the prompt say what is held, from the next drawing on.
    fn mark(&mut self) {
        self.stale = false;
        self.screen.set_mark(match &self.held {
            None => String::new(),
            Some(held) if held.len() == 0 => "[held] ".to_owned(),
            Some(held) => format!("[held {}] ", held.len()),
        });
    }

    /// Draws the prompt anew after something was held.
    pub(super) fn refresh(&mut self) {
        self.mark();
        let mut out = String::new();
        let before = self.screen.drawn();
        self.screen.draw(&self.editor, &mut out);
        if !self.offer(out) {
            self.screen.restore(before);
            self.stale = true;
        }
    }
}

/// `text` made harmless, at most [`MAX_PRINT`] bytes of it.
pub(in crate::terminal) fn printable(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_PRINT);
    let mut printable = harmless(text.get(..end).unwrap_or(text));
    if end < text.len() {
        printable.push_str("\n[cut: the text is longer than 1 MiB]");
    }
    printable
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
