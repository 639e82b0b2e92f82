//! One command line from beginning to end, for callers without a screen.
//!
//! The shell says what the line started; from then on the prints of that
//! process are passed on until it ends. Bounded in time by the caller's limit
//! and in memory by the queue of events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use node_api::{LineOutcome, NodeError};
use node_types::{KernelMessage, Message, ProcessId};
use serde::Deserialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::session::printable;
use super::verbosity::Command;
use super::{MAX_LINES, Terminal};
use crate::pending::Ticket;
use crate::{Delivery, NodeEvent, ProcessExit};

/// How long the shell may take to say what a line started.
const START_TIME: Duration = Duration::from_secs(5);
/// Seconds that the shell is told the caller waits.
const ANSWER_SECONDS: u64 = 60;
/// Events kept while the shell has not answered yet; older ones go first.
const EARLY_EVENTS: usize = 1024;

const NO_ANSWER: &str = "the terminal process does not answer";

/// What the shell answers.
#[derive(Debug, Deserialize)]
enum Answer {
    /// This process runs the line.
    Started(ProcessId),
    /// The line could not be run.
    Failed(String),
    /// The shell has done it itself.
    Done(String),
}

/// A line on its way.
struct Running {
    terminal: Arc<Terminal>,
    events: broadcast::Receiver<NodeEvent>,
    early: VecDeque<NodeEvent>,
    output: mpsc::Sender<Bytes>,
    deadline: Instant,
}

/// The line has failed; why has been written.
struct Failed;

impl Terminal {
    /// Runs `line` to the end of the script that it starts, at most `limit`.
    ///
    /// # Errors
    /// [`NodeError`] when stopping or when [`MAX_LINES`] run already.
    pub async fn run_line(
        self: &Arc<Self>,
        line: String,
        output: mpsc::Sender<Bytes>,
        limit: Duration,
    ) -> Result<LineOutcome, NodeError> {
        let _guard = self.enter()?;
        let _permit = Arc::clone(&self.lines).try_acquire_owned().map_err(|_| {
            NodeError::Limit(format!(
                "{MAX_LINES} command lines run already: wait for one"
            ))
        })?;
        let line = line.trim();
        if line.is_empty() {
            return Ok(LineOutcome::Done);
        }
        if line.len() > super::editor::MAX_LINE {
            let limit = super::editor::MAX_LINE;
            let text = format!("the line is longer than {limit} bytes\n");
            let _ = output.send(text.into()).await;
            return Ok(LineOutcome::Failed);
        }
        let mut running = Running {
            terminal: Arc::clone(self),
            // Before the line is sent, so that nothing is missed.
            events: self.port.events(),
            early: VecDeque::new(),
            output,
            deadline: Instant::now() + limit,
        };
        let mut closing = self.closing.subscribe();
        let command = Command::parse(line, self.port.our());
        let outcome = tokio::select! {
            outcome = async {
                match command {
                    Some(command) => running.change_verbosity(command).await,
                    None => running.run(line).await,
                }
            } => outcome,
            _ = closing.wait_for(Option::is_some) => return Err(NodeError::Stopping),
            () = self.tasks.token().cancelled() => return Err(NodeError::Stopping),
        };
        Ok(match outcome {
            Ok(()) => LineOutcome::Done,
            Err(Failed) => LineOutcome::Failed,
        })
    }

    /// Sends `line` so that its answer comes to this module.
    fn ask_shell(&self, line: &str) -> Option<Ticket> {
        let id = self.port.new_message_id();
        let ticket = self.pending.ticket(id)?;
        let mut message = self.typed(id, line);
        message.rsvp = Some(self.address.clone());
        if let Message::Request(request) = &mut message.message {
            request.expects_response = Some(ANSWER_SECONDS);
        }
        (self.port.send(message) == Delivery::Queued).then_some(ticket)
    }
}

impl Running {
    /// Answers a line that the module understands itself.
    async fn change_verbosity(&self, command: Result<Command, String>) -> Result<(), Failed> {
        let answer = match command {
            Ok(command) => self.terminal.verbosity.answer(command, None).await,
            Err(text) => Err(text),
        };
        match answer {
            Ok(text) => self.write(&text).await,
            Err(text) => self.fail(&text).await,
        }
    }

    async fn run(&mut self, line: &str) -> Result<(), Failed> {
        let Some(mut ticket) = self.terminal.ask_shell(line) else {
            return self.fail(NO_ANSWER).await;
        };
        let Some(answer) = self.answer(&mut ticket).await else {
            return self.fail(NO_ANSWER).await;
        };
        match serde_json::from_slice(answer.message.body()) {
            Ok(Answer::Started(process)) => self.follow(&process).await,
            Ok(Answer::Done(text)) => {
                if text.is_empty() {
                    return Ok(());
                }
                self.write(&text).await
            }
            Ok(Answer::Failed(text)) => self.fail(&text).await,
            Err(_) => {
                self.fail("the terminal process gave an answer that is not understood")
                    .await
            }
        }
    }

    /// Waits for the shell, and keeps what happens meanwhile.
    async fn answer(&mut self, ticket: &mut Ticket) -> Option<KernelMessage> {
        let until = self.deadline.min(Instant::now() + START_TIME);
        loop {
            tokio::select! {
                biased;
                answer = ticket.answer() => return answer,
                event = self.events.recv() => match event {
                    Ok(event) => {
                        if self.early.len() >= EARLY_EVENTS {
                            self.early.pop_front();
                        }
                        self.early.push_back(event);
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                },
                () = tokio::time::sleep_until(until) => return None,
            }
        }
    }

    async fn next_event(&mut self) -> Result<NodeEvent, RecvError> {
        match self.early.pop_front() {
            Some(event) => Ok(event),
            None => self.events.recv().await,
        }
    }

    /// Passes on what `process` prints until it ends.
    async fn follow(&mut self, process: &ProcessId) -> Result<(), Failed> {
        loop {
            let deadline = self.deadline;
            let event = match timeout_at(deadline, self.next_event()).await {
                Err(_) => {
                    return self
                        .fail("no end in sight: the script was left running")
                        .await;
                }
                Ok(event) => event,
            };
            match event {
                Ok(NodeEvent::Print {
                    source,
                    about,
                    verbosity: 0,
                    text,
                }) if source == *process || about.as_ref() == Some(process) => {
                    self.write(&text).await?;
                }
                Ok(NodeEvent::Exited {
                    process: ended,
                    exit,
                }) if ended == *process => {
                    return match exit {
                        ProcessExit::Finished => Ok(()),
                        ProcessExit::Failed(text) => self.fail(&text).await,
                        ProcessExit::Killed => self.fail("the script was killed").await,
                    };
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    self.write("[some output was lost]").await?;
                    // Its end may be among what was missed.
                    if self.terminal.port.edition(process).is_none() {
                        return Ok(());
                    }
                }
                Err(RecvError::Closed) => return self.fail("the node is stopping").await,
            }
        }
    }

    /// Writes one text and the end of its line.
    async fn write(&self, text: &str) -> Result<(), Failed> {
        let text = whole_lines(text);
        match timeout_at(self.deadline, self.output.send(text.into())).await {
            Ok(Ok(())) => Ok(()),
            // Nobody reads any more.
            Ok(Err(_)) | Err(_) => Err(Failed),
        }
    }

    async fn fail(&self, text: &str) -> Result<(), Failed> {
        let text = whole_lines(text);
        // The deadline may have passed: the last words take what room there is.
        let _ = self.output.try_send(text.into());
        Err(Failed)
    }
}

/// `text` made harmless, ended by a line feed and without a colour that would
/// run on into what follows.
fn whole_lines(text: &str) -> String {
    let text = printable(text);
    let mut lines = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    if lines.contains('\u{1b}') {
        lines.push_str("\u{1b}[0m");
    }
    lines.push('\n');
    lines
}
