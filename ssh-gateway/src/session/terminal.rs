//! The interactive shell: the node's terminal on the client's.
//!
//! Two pumps, one for each direction; neither holds up the other. Ends when
//! the node ends the terminal.

use std::time::Duration;

use bytes::Bytes;
use node_api::{TerminalInput, TerminalSession, TerminalSize};
use tokio::sync::{Notify, mpsc, watch};

use super::channels::Outlet;
use super::job::{DRAIN, Job, leaving, say};

/// What Ctrl+C and Ctrl+D send.
const INTERRUPT: &[u8] = b"\x03";
const END_OF_INPUT: &[u8] = b"\x04";
/// How long the terminal may take to end after its input has ended.
const AFTER_INPUT: Duration = Duration::from_secs(5);
/// Said for a node that stops without a word.
const LEFT: &str = "The node or its host is going down. Connect again in a moment.";

/// Runs the terminal to its end; returns the exit status.
pub(super) async fn run(
    job: &Job,
    outlet: &Outlet,
    inlet: mpsc::Receiver<Bytes>,
    size: watch::Receiver<TerminalSize>,
    interrupt: &Notify,
) -> u32 {
    let lease = match job.lease().await {
        Ok(lease) => lease,
        Err(reason) => {
            say(outlet, true, &reason).await;
            return 1;
        }
    };
    let first_size = *size.borrow();
    let opened = lease.node().open_terminal(first_size).await;
    let TerminalSession { input, mut output } = match opened {
        Ok(session) => session,
        Err(error) => {
            say(outlet, true, &error.to_string()).await;
            return 1;
        }
    };
    let drawing = async {
        while let Some(bytes) = output.recv().await {
            if outlet.stdout(bytes).await.is_err() {
                break;
            }
        }
    };
    tokio::pin!(drawing);
    // Kept to the end: a terminal whose input ends takes that for a goodbye, and
    // ends before the node has said its own.
    let feeding = feed(inlet, input, size, interrupt);
    tokio::pin!(feeding);
    let node_leaves = tokio::select! {
        () = &mut drawing => false,
        never = &mut feeding => match never {},
        () = leaving(lease.node().status()) => true,
    };
    // Given back before anything that waits for the client.
    drop(lease);
    if node_leaves {
        // The node's last words say why.
        let said = tokio::time::timeout(DRAIN, drawing).await;
        if said.is_err() {
            say(outlet, true, LEFT).await;
        }
    }
    0
}

/// Passes on key presses and sizes until dropped.
async fn feed(
    mut inlet: mpsc::Receiver<Bytes>,
    input: mpsc::Sender<TerminalInput>,
    mut size: watch::Receiver<TerminalSize>,
    interrupt: &Notify,
) -> std::convert::Infallible {
    let keys = |bytes: &'static [u8]| TerminalInput::Keys(Bytes::from_static(bytes));
    loop {
        let next = tokio::select! {
            biased;
            Ok(()) = size.changed() => TerminalInput::Resize(*size.borrow_and_update()),
            () = interrupt.notified() => keys(INTERRUPT),
            bytes = inlet.recv() => match bytes {
                Some(bytes) => TerminalInput::Keys(bytes),
                None => break,
            },
        };
        if input.send(next).await.is_err() {
            // The terminal has ended; what is left of its output decides.
            return std::future::pending().await;
        }
    }
    let _ = input.send(keys(END_OF_INPUT)).await;
    let _ = tokio::time::timeout(AFTER_INPUT, input.closed()).await;
    drop(input);
    std::future::pending().await
}
