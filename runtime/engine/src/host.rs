//! What a Wasm process asks of its host, in the host's own types.
//!
//! The bindings of every edition translate to this one trait; node-runtime
//! implements it once. All calls happen on the process' own task.

mod bindings;
mod hyperware;
mod unversioned;
mod v0_7;
mod v0_8;
mod v1_0;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use node_types::{
    Address, Blob, Capability, Message, OnExit, ProcessId, Request, Response, SendError,
};
use wasmtime::component::Linker;

use crate::GuestMeter;
use crate::files::TempDrive;
use crate::guest::Guest;

/// Offers the interface of every edition.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    unversioned::add_to_linker(linker)?;
    v0_7::add_to_linker(linker)?;
    v0_8::add_to_linker(linker)?;
    v1_0::add_to_linker(linker)?;
    hyperware::add_to_linker(linker)
}

/// Ends the process with this message, as a trap in the guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostTrap(pub String);

/// A request to send, with its sender-side context.
#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    /// Whom it is for; node `our` stands for this node.
    pub target: Address,
    /// The request.
    pub request: Request,
    /// Given back with the answer.
    pub context: Option<Bytes>,
    /// Explicit blob.
    pub blob: Option<Blob>,
}

/// A child to spawn.
#[derive(Debug, Clone)]
pub struct SpawnChild {
    /// Process name; a random number when absent.
    pub name: Option<String>,
    /// VFS path of its component.
    pub wasm_path: String,
    /// What happens when it ends.
    pub on_exit: OnExit,
    /// Capabilities it shall hold, filtered to those the caller holds or issues.
    pub request_capabilities: Vec<Capability>,
    /// Capabilities that the child issues to others: holder and params.
    pub grant_capabilities: Vec<(ProcessId, String)>,
    /// Whether anyone on the node may message it.
    pub public: bool,
}

/// Why a child was not spawned; the two cases of the public interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpawnError {
    /// The id is in use.
    NameTaken,
    /// The component could not be read or is none.
    NoFileAtPath,
}

/// What `receive` yields: a message with its source, or a failed send with
/// the context that was stored for it.
pub type Received = Result<(Address, Message), (SendError, Option<Bytes>)>;

/// The host side of one process.
#[async_trait]
pub trait ProcessHost: Send {
    /// The process' own address.
    fn our(&self) -> &Address;
    /// The folder it finds through WASI, if it has one.
    fn temp_drive(&self) -> Option<TempDrive>;
    /// Where what it uses is counted.
    fn meter(&self) -> Arc<GuestMeter> {
        Arc::default()
    }
    /// Prints at `verbosity` 0-3.
    async fn print(&mut self, verbosity: u8, text: String) -> Result<(), HostTrap>;
    /// Replaces what happens at exit.
    async fn set_on_exit(&mut self, on_exit: OnExit) -> Result<(), HostTrap>;
    /// What happens at exit.
    fn on_exit(&self) -> OnExit;
    /// The saved state, if any.
    async fn get_state(&mut self) -> Option<Bytes>;
    /// Saves state durably before it returns.
    async fn set_state(&mut self, state: Bytes) -> Result<(), HostTrap>;
    /// Forgets the saved state.
    async fn clear_state(&mut self) -> Result<(), HostTrap>;
    /// Spawns a child.
    async fn spawn(&mut self, child: SpawnChild)
    -> Result<Result<ProcessId, SpawnError>, HostTrap>;
    /// Adds capabilities to those the process holds.
    async fn save_capabilities(&mut self, capabilities: Vec<Capability>) -> Result<(), HostTrap>;
    /// Removes capabilities from those the process holds.
    async fn drop_capabilities(&mut self, capabilities: Vec<Capability>) -> Result<(), HostTrap>;
    /// All capabilities the process holds.
    fn our_capabilities(&self) -> Vec<Capability>;
    /// Waits for the next message or failed send.
    async fn receive(&mut self) -> Result<Received, HostTrap>;
    /// Whether the current message carries a blob.
    fn has_blob(&self) -> bool;
    /// The blob of the current message.
    fn get_blob(&self) -> Option<Blob>;
    /// The last blob ever received.
    fn last_blob(&self) -> Option<Blob>;
    /// Sends a request.
    async fn send_request(&mut self, outgoing: OutgoingRequest) -> Result<(), HostTrap>;
    /// Answers the current prompt.
    async fn send_response(
        &mut self,
        response: Response,
        blob: Option<Blob>,
    ) -> Result<(), HostTrap>;
    /// Sends a request and waits for its answer.
    async fn send_and_await_response(
        &mut self,
        target: Address,
        request: Request,
        blob: Option<Blob>,
    ) -> Result<Result<(Address, Message), SendError>, HostTrap>;
}
