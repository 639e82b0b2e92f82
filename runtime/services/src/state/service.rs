//! The message form of state.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use lifecycle::Tasks;
use node_types::{Address, Blob, KernelMessage, Message, NodeName, ProcessId, alias};
use serde::{Deserialize, Serialize};

use super::{StateError, StateStore};
use crate::callers::{self, Serve};
use crate::{Inbox, KernelPort, Service, answer, module};

/// MIME type of state in blobs.
const BYTES: &str = "application/octet-stream";

#[derive(Debug, Deserialize)]
enum Action {
    GetState(ProcessId),
    SetState(ProcessId),
    DeleteState(ProcessId),
    Backup,
}

#[derive(Debug, Serialize)]
enum Outcome {
    GetState,
    SetState,
    DeleteState,
    Backup,
    Err(Failure),
}

#[derive(Debug, Serialize)]
enum Failure {
    NotFound { process_id: ProcessId },
    RocksDBError { action: &'static str, error: String },
    BadBytes { action: &'static str },
    BadRequest { error: String },
    BadJson { error: String },
}

/// Whether a request is understood.
pub(crate) fn understands(body: &[u8]) -> bool {
    serde_json::from_slice::<Action>(body).is_ok()
}

/// The state module of one node.
#[derive(Debug)]
pub struct State {
    id: ProcessId,
    kernel: ProcessId,
    port: Arc<dyn KernelPort>,
    store: StateStore,
    tasks: Tasks,
}

impl State {
    /// A state module over `store`.
    #[must_use]
    pub fn new(port: Arc<dyn KernelPort>, store: StateStore, tasks: Tasks) -> Arc<Self> {
        Arc::new(Self {
            id: module("state"),
            kernel: module("kernel"),
            port,
            store,
            tasks,
        })
    }

    async fn handle(&self, message: &KernelMessage) {
        let Message::Request(request) = &message.message else {
            return;
        };
        if message.source.node != *self.port.our() {
            return;
        }
        let (outcome, state) = match serde_json::from_slice(&request.body) {
            Ok(action) => self.act(action, message).await,
            Err(error) => {
                let error = error.to_string();
                (Outcome::Err(Failure::BadJson { error }), None)
            }
        };
        if request.expects_response.is_none() && message.rsvp.is_none() {
            return;
        }
        let Ok(body) = serde_json::to_vec(&outcome) else {
            return;
        };
        let us = Address::new(self.port.our().clone(), self.id.clone());
        let blob = state.map(|bytes| Blob {
            mime: Some(BYTES.to_owned()),
            bytes,
        });
        self.port
            .send(answer(us, message, body, request.metadata.clone(), blob));
    }

    async fn act(&self, action: Action, message: &KernelMessage) -> (Outcome, Option<Bytes>) {
        let (name, process) = match action {
            Action::GetState(process) => ("GetState", process),
            Action::SetState(process) => ("SetState", process),
            Action::DeleteState(process) => ("DeleteState", process),
            Action::Backup => {
                // The host backs nodes up; what is asked for is that the state
                // is on disk.
                let synced = self.store.sync().await.map(|()| Outcome::Backup);
                let outcome =
                    synced.unwrap_or_else(|error| Outcome::Err(failure("Backup", &error)));
                return (outcome, None);
            }
        };
        let process = alias::canonical(process);
        let source = &message.source.process;
        if *source != process && *source != self.kernel {
            let error = format!("{source} may not touch the state of {process}");
            return (Outcome::Err(Failure::BadRequest { error }), None);
        }
        let done = match name {
            "GetState" => match self.store.get(&process).await {
                Ok(Some(state)) => return (Outcome::GetState, Some(state)),
                Ok(None) => {
                    let process_id = process;
                    return (Outcome::Err(Failure::NotFound { process_id }), None);
                }
                Err(error) => Err(error),
            },
            "SetState" => {
                let Some(blob) = &message.lazy_load_blob else {
                    return (Outcome::Err(Failure::BadBytes { action: name }), None);
                };
                let set = self.store.set(&process, blob.bytes.clone()).await;
                set.map(|()| Outcome::SetState)
            }
            _ => {
                let deleted = self.store.delete(&process).await;
                deleted.map(|()| Outcome::DeleteState)
            }
        };
        let outcome = done.unwrap_or_else(|error| Outcome::Err(failure(name, &error)));
        (outcome, None)
    }
}

fn failure(action: &'static str, error: &StateError) -> Failure {
    match error {
        StateError::TooLarge(_) | StateError::Quota(_) => Failure::BadRequest {
            error: error.to_string(),
        },
        StateError::Store(_) => Failure::RocksDBError {
            action,
            error: error.to_string(),
        },
    }
}

#[async_trait]
impl Service for State {
    fn id(&self) -> &ProcessId {
        &self.id
    }

    async fn run(self: Arc<Self>, inbox: Inbox) {
        if let Err(error) = self.store.count().await {
            tracing::warn!("failed to count the state of a node: {error}");
        }
        callers::run(self, "state-caller", inbox).await;
    }
}

#[async_trait]
impl Serve for State {
    fn node(&self) -> &NodeName {
        self.port.our()
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    async fn serve(&self, message: KernelMessage) {
        self.handle(&message).await;
    }
}

#[cfg(test)]
mod tests;
