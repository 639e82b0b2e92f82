//! Command lines: `exec`, and a shell without a terminal, which runs each
//! line of its input.
//!
//! Nothing but a line's own output goes to standard output; every word of the
//! gateway goes to standard error.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use node_api::{LineOutcome, NodeHandle};
use tokio::sync::{Notify, mpsc};

use super::channels::Outlet;
use super::job::{DRAIN, Job, say};

/// Longest command line, in bytes.
const MAX_LINE: usize = 16 * 1024;
/// Chunks of a line's output that may wait. When full, the node waits.
const OUTPUT_CHUNKS: usize = 64;
/// What the node may take beyond a line's limit before it is given up.
const OVERTIME: Duration = Duration::from_secs(5);
/// The words of the command by which kit asks for the HTTP port.
const DISCOVERY: [&str; 4] = ["lsof", "-i", "-P", "-n"];
/// Exit statuses.
const DONE: u32 = 0;
const FAILED: u32 = 1;
const INTERRUPTED: u32 = 130;

/// Runs one `exec` request; returns the exit status.
pub(super) async fn exec(
    job: &Job,
    outlet: &Outlet,
    line: &[u8],
    interrupt: &Notify,
    http_port: u16,
) -> u32 {
    let line = match checked(line) {
        Ok(line) => line,
        Err(reason) => {
            say(outlet, false, reason).await;
            return FAILED;
        }
    };
    if line.split_whitespace().eq(DISCOVERY) {
        return discover(job, outlet, http_port).await;
    }
    run(job, outlet, line, interrupt).await
}

/// A shell without a terminal: runs the lines of the input, one after the
/// other, until `exit` or the end; returns the status of the last.
pub(super) async fn shell(
    job: &Job,
    outlet: &Outlet,
    inlet: mpsc::Receiver<Bytes>,
    interrupt: &Notify,
) -> u32 {
    let mut lines = Lines::new(inlet);
    let mut status = DONE;
    while let Some(line) = lines.next().await {
        let line = line.as_deref().map_err(|reason| *reason);
        match line.and_then(checked_or_blank) {
            Ok("") => {}
            Ok("exit") => break,
            Ok(line) => status = run(job, outlet, line, interrupt).await,
            Err(reason) => {
                say(outlet, false, reason).await;
                status = FAILED;
            }
        }
    }
    status
}

/// Answers the question for the node's HTTP port with the one line that kit
/// understands. Only for a node that is awake, so this wakes it.
async fn discover(job: &Job, outlet: &Outlet, http_port: u16) -> u32 {
    let lease = match job.lease().await {
        Ok(lease) => lease,
        Err(reason) => {
            say(outlet, false, &reason).await;
            return FAILED;
        }
    };
    let answer = discovery_answer(lease.access().node_name().as_str(), http_port);
    drop(lease);
    match outlet.stdout(answer.into()).await {
        Ok(()) => DONE,
        Err(_) => FAILED,
    }
}

fn discovery_answer(node: &str, http_port: u16) -> String {
    format!("berth {node} node 3u IPv4 - 0t0 TCP *:{http_port} (LISTEN)\n")
}

async fn run(job: &Job, outlet: &Outlet, line: &str, interrupt: &Notify) -> u32 {
    let lease = match job.lease().await {
        Ok(lease) => lease,
        Err(reason) => {
            say(outlet, false, &reason).await;
            return FAILED;
        }
    };
    let node = lease.node().as_ref();
    let running = run_on(node, outlet, line, job.line_limit);
    tokio::select! {
        biased;
        () = interrupt.notified() => INTERRUPTED,
        status = running => status,
    }
}

async fn run_on(node: &dyn NodeHandle, outlet: &Outlet, line: &str, limit: Duration) -> u32 {
    let (sender, mut chunks) = mpsc::channel(OUTPUT_CHUNKS);
    let printing = async move {
        while let Some(chunk) = chunks.recv().await {
            if outlet.stdout(chunk).await.is_err() {
                break;
            }
        }
    };
    tokio::pin!(printing);
    let running = tokio::time::timeout(
        limit + OVERTIME,
        node.run_line(line.to_owned(), sender, limit),
    );
    tokio::pin!(running);
    let outcome = tokio::select! {
        outcome = &mut running => {
            // What was printed last may still be on its way.
            let _ = tokio::time::timeout(DRAIN, printing).await;
            outcome
        }
        () = &mut printing => running.await,
    };
    match outcome {
        Ok(Ok(LineOutcome::Done)) => DONE,
        Ok(Ok(LineOutcome::Failed)) => FAILED,
        Ok(Err(error)) => {
            say(outlet, false, &error.to_string()).await;
            FAILED
        }
        Err(_) => {
            say(outlet, false, "the line did not end in time").await;
            FAILED
        }
    }
}

/// `line` as text that can be a terminal line.
fn checked(line: &[u8]) -> Result<&str, &'static str> {
    if line.len() > MAX_LINE {
        return Err("this line is too long: a line may have 16384 bytes");
    }
    let line = std::str::from_utf8(line).map_err(|_| "this line is not UTF-8 text")?;
    let line = line.trim();
    if line.chars().any(char::is_control) {
        return Err("this is more than one line, or contains control characters");
    }
    if line.is_empty() {
        return Err("this line is empty: write a terminal line such as `help`");
    }
    Ok(line)
}

/// As [`checked`], but a blank line is an empty one.
fn checked_or_blank(line: &[u8]) -> Result<&str, &'static str> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok("");
    }
    checked(line)
}

/// The input, line by line; a too long line is skipped to its end.
struct Lines {
    inlet: mpsc::Receiver<Bytes>,
    buffer: BytesMut,
    /// The rest of the current line is dropped.
    skipping: bool,
}

impl Lines {
    fn new(inlet: mpsc::Receiver<Bytes>) -> Self {
        Self {
            inlet,
            buffer: BytesMut::new(),
            skipping: false,
        }
    }

    /// The next line without its end; `None` after the last.
    async fn next(&mut self) -> Option<Result<Vec<u8>, &'static str>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Some(Ok(line[..end].to_vec()));
            }
            if self.skipping {
                self.buffer.clear();
            } else if self.buffer.len() > MAX_LINE {
                self.buffer.clear();
                self.skipping = true;
                return Some(Err("a line of the input is too long and was skipped"));
            }
            match self.inlet.recv().await {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None if self.buffer.is_empty() || self.skipping => return None,
                None => return Some(Ok(self.buffer.split().to_vec())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// kit's rule: words, leading `*:` removed, a number from 8080 to 8999.
    fn ports(text: &str) -> Vec<u16> {
        text.lines()
            .flat_map(str::split_whitespace)
            .filter_map(|word| word.trim_start_matches("*:").parse().ok())
            .filter(|port| (8080..=8999).contains(port))
            .collect()
    }

    #[test]
    fn kit_finds_exactly_one_port_whatever_the_node_is_called() {
        for name in ["alice.dev", "a8081.dev", "x-8080.dev", "n.8085"] {
            assert_eq!(ports(&discovery_answer(name, 8080)), [8080], "{name}");
        }
        assert_eq!(
            discovery_answer("alice.dev", 8080),
            "berth alice.dev node 3u IPv4 - 0t0 TCP *:8080 (LISTEN)\n"
        );
    }

    #[test]
    fn lines_are_checked() {
        assert_eq!(checked(b" top \n"), Ok("top"));
        assert!(checked(b"").is_err());
        assert!(checked(b"a\nb").is_err());
        assert!(checked(b"a\x1b[2J").is_err());
        assert!(checked(&[0xff, 0xfe]).is_err());
        assert!(checked(&vec![b'a'; MAX_LINE]).is_ok());
        assert!(checked(&vec![b'a'; MAX_LINE + 1]).is_err());
    }

    #[tokio::test]
    async fn input_is_cut_into_lines_wherever_packets_end() {
        let (sender, receiver) = mpsc::channel(16);
        for part in ["to", "p\nhi\n\nla", "st"] {
            sender
                .send(Bytes::from_static(part.as_bytes()))
                .await
                .unwrap();
        }
        drop(sender);
        let mut lines = Lines::new(receiver);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await {
            seen.push(String::from_utf8(line.unwrap()).unwrap());
        }
        assert_eq!(seen, ["top", "hi", "", "last"]);
    }

    #[tokio::test]
    async fn a_too_long_line_is_skipped_and_takes_no_memory() {
        let (sender, receiver) = mpsc::channel(16);
        let mut lines = Lines::new(receiver);
        let feeding = async {
            for _ in 0..10 {
                sender
                    .send(Bytes::from(vec![b'x'; MAX_LINE]))
                    .await
                    .unwrap();
            }
            sender.send(Bytes::from_static(b"x\nnext\n")).await.unwrap();
            drop(sender);
        };
        let reading = async {
            assert!(lines.next().await.unwrap().is_err());
            assert_eq!(lines.next().await.unwrap().unwrap(), b"next");
            assert!(lines.next().await.is_none());
            assert!(lines.buffer.capacity() <= 4 * MAX_LINE);
        };
        tokio::join!(feeding, reading);
    }
}
