//! The kernel's own protocol: JSON commands to `kernel:distro:sys` and its
//! answers.
//!
//! Invariant: a parsed command is canonical (see [`crate::localise_address`]),
//! since only processes of this node can command its kernel.

use std::collections::BTreeMap;

use node_types::{
    Address, Capability, Edition, NodeName, OnExit, ProcessId, Request, UsageReport, alias,
};
use serde::{Deserialize, Serialize};

use crate::local::{localise_capability, localise_on_exit};
use crate::table::{ProcessEntry, ProcessTable};

/// A command to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KernelCommand {
    /// Every process of the process map has been entered: run them.
    Booted,
    /// Enter a process, whose component is the blob.
    InitializeProcess(InitializeProcess),
    /// Give capabilities to a process. Not answered.
    GrantCapabilities {
        /// To whom.
        target: ProcessId,
        /// What.
        capabilities: Vec<Capability>,
    },
    /// Take capabilities from a process. Not answered.
    DropCapabilities {
        /// From whom.
        target: ProcessId,
        /// What.
        capabilities: Vec<Capability>,
    },
    /// Replace what happens when a process ends. Not answered.
    SetOnExit {
        /// Whose end.
        target: ProcessId,
        /// What happens.
        on_exit: OnExit,
    },
    /// Start a process that has been entered.
    RunProcess(ProcessId),
    /// End a process at once, without its on-exit behaviour.
    KillProcess(ProcessId),
    /// Stop the node.
    Shutdown,
    /// Tell something about the process table.
    Debug(KernelDebug),
}

/// What [`KernelCommand::InitializeProcess`] enters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitializeProcess {
    /// Its id.
    pub id: ProcessId,
    /// VFS path of its component.
    pub wasm_bytes_handle: String,
    /// The interface version its package states.
    #[serde(default)]
    pub wit_version: Option<u32>,
    /// Whether the tools of the book packed it; no published sender says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub book: bool,
    /// What happens when it ends.
    pub on_exit: OnExit,
    /// What it shall hold; only what the sender holds is given.
    pub initial_capabilities: Vec<Capability>,
    /// Whether every process may message it.
    pub public: bool,
}

/// A question about the process table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KernelDebug {
    /// All of it.
    ProcessMap,
    /// One process.
    Process(ProcessId),
    /// Whether a process holds a capability.
    HasCap {
        /// Which process.
        on: ProcessId,
        /// Which capability.
        cap: Capability,
    },
    /// What the node and its processes use. Ours: no published runtime knows it.
    Usage,
}

/// An answer of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KernelResponse {
    /// The process is entered.
    InitializedProcess,
    /// It is not; the terminal says why.
    InitializeProcessError,
    /// The process has been started.
    StartedProcess,
    /// There is no such process.
    RunProcessError,
    /// The process is gone.
    KilledProcess(ProcessId),
    /// About the process table.
    Debug(DebugAnswer),
}

/// The answer to a [`KernelDebug`] question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DebugAnswer {
    /// All processes, modules included.
    ProcessMap(BTreeMap<ProcessId, ProcessView>),
    /// One process, if it exists.
    Process(Option<ProcessView>),
    /// Whether it is held; `None` = no such process.
    HasCap(Option<bool>),
    /// What the node and its processes use.
    Usage(Box<UsageReport>),
}

/// A process as the kernel shows it to other processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessView {
    /// VFS path of its component; empty for runtime modules.
    pub wasm_bytes_handle: String,
    /// The interface version its package states.
    pub wit_version: Option<u32>,
    /// What happens when it ends.
    pub on_exit: OnExit,
    /// What it holds, sorted.
    pub capabilities: Vec<Capability>,
    /// Whether every process may message it.
    pub public: bool,
}

impl From<&ProcessEntry> for ProcessView {
    fn from(entry: &ProcessEntry) -> Self {
        Self {
            wasm_bytes_handle: entry.wasm_bytes_handle.clone(),
            wit_version: entry.wit_version,
            on_exit: entry.on_exit.clone(),
            capabilities: entry.capabilities().to_vec(),
            public: entry.public,
        }
    }
}

/// A body that is no command; printed as the sentence for the terminal.
#[derive(Debug, thiserror::Error)]
#[error("kernel: couldn't parse command: {0}")]
pub struct CommandError(#[from] serde_json::Error);

impl KernelCommand {
    /// Reads the body of a request to the kernel of node `our`.
    ///
    /// # Errors
    /// [`CommandError`], to be printed; such a request is not answered.
    pub fn parse(body: &[u8], our: &NodeName) -> Result<Self, CommandError> {
        let mut command: Self = serde_json::from_slice(body)?;
        command.localise(our);
        Ok(command)
    }

    fn localise(&mut self, our: &NodeName) {
        let id = |id: &mut ProcessId| *id = alias::canonical(id.clone());
        let capabilities = |list: &mut [Capability]| {
            for capability in list {
                localise_capability(capability, our);
            }
        };
        match self {
            Self::Booted
            | Self::Shutdown
            | Self::Debug(KernelDebug::ProcessMap | KernelDebug::Usage) => {}
            Self::InitializeProcess(initialize) => {
                id(&mut initialize.id);
                capabilities(&mut initialize.initial_capabilities);
                localise_on_exit(&mut initialize.on_exit, our);
            }
            Self::GrantCapabilities {
                target,
                capabilities: list,
            }
            | Self::DropCapabilities {
                target,
                capabilities: list,
            } => {
                id(target);
                capabilities(list);
            }
            Self::SetOnExit { target, on_exit } => {
                id(target);
                localise_on_exit(on_exit, our);
            }
            Self::RunProcess(target)
            | Self::KillProcess(target)
            | Self::Debug(KernelDebug::Process(target)) => id(target),
            Self::Debug(KernelDebug::HasCap { on, cap }) => {
                id(on);
                localise_capability(cap, our);
            }
        }
    }
}

impl ProcessView {
    fn spelled(mut self, edition: Edition) -> Self {
        let spell = |address: &mut Address| {
            address.process = alias::spelled(&address.process, edition).into_owned();
        };
        for capability in &mut self.capabilities {
            spell(&mut capability.issuer);
        }
        if let OnExit::Requests(requests) = &mut self.on_exit {
            for (target, request, _) in requests {
                spell(target);
                for capability in &mut request.capabilities {
                    spell(&mut capability.issuer);
                }
            }
        }
        self
    }
}

impl KernelResponse {
    /// The same with every id as processes of `edition` know it.
    #[must_use]
    pub fn spelled(self, edition: Edition) -> Self {
        let spell = |id: ProcessId| alias::spelled(&id, edition).into_owned();
        match self {
            Self::KilledProcess(id) => Self::KilledProcess(spell(id)),
            Self::Debug(DebugAnswer::ProcessMap(map)) => {
                let map = map.into_iter();
                let map = map.map(|(id, view)| (spell(id), view.spelled(edition)));
                Self::Debug(DebugAnswer::ProcessMap(map.collect()))
            }
            Self::Debug(DebugAnswer::Process(view)) => {
                Self::Debug(DebugAnswer::Process(view.map(|view| view.spelled(edition))))
            }
            Self::InitializedProcess
            | Self::InitializeProcessError
            | Self::StartedProcess
            | Self::RunProcessError
            | Self::Debug(DebugAnswer::HasCap(_) | DebugAnswer::Usage(_)) => self,
        }
    }

    /// The answer as a message body.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        // Strings as keys and no foreign types: this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Whether a KillProcess request asks to leave what the process issued with
/// its holders. Both the bare word and its JSON string are understood.
#[must_use]
pub fn is_no_revoke(request: &Request) -> bool {
    matches!(
        request.metadata.as_deref(),
        Some("no-revoke" | "\"no-revoke\"")
    )
}

impl ProcessTable {
    /// Answers a question about the table. Of usage it knows nothing: whoever
    /// counts answers that.
    #[must_use]
    pub fn debug(&self, question: &KernelDebug) -> DebugAnswer {
        match question {
            KernelDebug::Usage => DebugAnswer::Usage(Box::default()),
            KernelDebug::ProcessMap => DebugAnswer::ProcessMap(
                self.iter()
                    .map(|(id, entry)| (id.clone(), entry.into()))
                    .collect(),
            ),
            KernelDebug::Process(id) => DebugAnswer::Process(self.get(id).map(ProcessView::from)),
            KernelDebug::HasCap { on, cap } => {
                DebugAnswer::HasCap(self.get(on).map(|entry| entry.capabilities().contains(cap)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn our() -> NodeName {
        NodeName::new("alice.dev").unwrap()
    }

    fn parse(text: &str) -> KernelCommand {
        KernelCommand::parse(text.as_bytes(), &our()).unwrap()
    }

    #[test]
    fn the_public_shapes_are_read() {
        assert_eq!(parse(r#""Booted""#), KernelCommand::Booted);
        assert_eq!(parse(r#""Shutdown""#), KernelCommand::Shutdown);
        let id: ProcessId = "p:k:g".parse().unwrap();
        assert_eq!(
            parse(r#"{"RunProcess":"p:k:g"}"#),
            KernelCommand::RunProcess(id.clone())
        );
        assert_eq!(
            parse(r#"{"Debug":{"Process":"p:k:g"}}"#),
            KernelCommand::Debug(KernelDebug::Process(id.clone()))
        );
        assert_eq!(
            parse(r#"{"Debug":"Usage"}"#),
            KernelCommand::Debug(KernelDebug::Usage)
        );
        let text = r#"{"InitializeProcess":{"id":"p:k:g","wasm_bytes_handle":"/k:g/pkg/p.wasm",
            "wit_version":null,"on_exit":"Restart","initial_capabilities":
            [{"issuer":"alice.dev@vfs:distro:sys","params":"\"messaging\""}],"public":false}}"#;
        let KernelCommand::InitializeProcess(initialize) = parse(text) else {
            panic!("another command");
        };
        assert_eq!(initialize.id, id);
        assert_eq!(initialize.on_exit, OnExit::Restart);
        assert_eq!(initialize.initial_capabilities.len(), 1);
    }

    #[test]
    fn old_spellings_and_our_become_canonical_but_params_stay() {
        let command = parse(
            r#"{"GrantCapabilities":{"target":"main:app_store:sys","capabilities":
            [{"issuer":"our@http_server:distro:sys","params":"{\"p\":\"our@http_server:distro:sys\"}"}]}}"#,
        );
        let KernelCommand::GrantCapabilities {
            target,
            capabilities,
        } = command
        else {
            panic!("another command");
        };
        assert_eq!(target.as_str(), "main:app-store:sys");
        assert_eq!(
            capabilities[0].issuer.to_string(),
            "alice.dev@http-server:distro:sys"
        );
        assert!(capabilities[0].params.contains("our@http_server"));
    }

    #[test]
    fn a_body_that_is_no_command_says_so() {
        for body in ["", "{", r#"{"RunProcess":"p:k"}"#, r#""Reboot""#] {
            let error = KernelCommand::parse(body.as_bytes(), &our()).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("kernel: couldn't parse command"),
                "{error}"
            );
        }
    }

    #[test]
    fn answers_have_the_public_shapes() {
        let mut table = ProcessTable::new(our());
        let id: ProcessId = "p:k:g".parse().unwrap();
        let cap = Capability::network(&our());
        let entry = ProcessEntry::userspace("/k:g/pkg/p.wasm", Some(1), None, OnExit::None, true)
            .with_capabilities([cap.clone()]);
        table.insert(id.clone(), entry);
        let text = |question: KernelDebug| {
            String::from_utf8(KernelResponse::Debug(table.debug(&question)).to_body()).unwrap()
        };
        let view = r#"{"wasm_bytes_handle":"/k:g/pkg/p.wasm","wit_version":1,"on_exit":"None","capabilities":[{"issuer":"alice.dev@kernel:distro:sys","params":"\"network\""}],"public":true}"#;
        assert_eq!(
            text(KernelDebug::ProcessMap),
            format!(r#"{{"Debug":{{"ProcessMap":{{"p:k:g":{view}}}}}}}"#)
        );
        assert_eq!(
            text(KernelDebug::Process(id.clone())),
            format!(r#"{{"Debug":{{"Process":{view}}}}}"#)
        );
        assert_eq!(
            text(KernelDebug::HasCap {
                on: id.clone(),
                cap: cap.clone()
            }),
            r#"{"Debug":{"HasCap":true}}"#
        );
        assert!(
            text(KernelDebug::Usage).starts_with(r#"{"Debug":{"Usage":{"node":{"memory_bytes":0"#)
        );
        let nobody = "q:k:g".parse().unwrap();
        assert_eq!(
            text(KernelDebug::HasCap { on: nobody, cap }),
            r#"{"Debug":{"HasCap":null}}"#
        );
        assert_eq!(
            KernelResponse::KilledProcess(id).to_body(),
            br#"{"KilledProcess":"p:k:g"}"#
        );
    }

    #[test]
    fn answers_name_modules_as_who_asked_knows_them() {
        let mut table = ProcessTable::new(our());
        let server: ProcessId = "http-server:distro:sys".parse().unwrap();
        table.bootstrap_modules([(server.clone(), false)]);
        let id: ProcessId = "my_p:k:g".parse().unwrap();
        let right = Capability::messaging(table.address(&server));
        let last = vec![(table.address(&server), Request::default(), None)];
        let entry = ProcessEntry::userspace("", None, None, OnExit::Requests(last), false);
        table.insert(id.clone(), entry.with_capabilities([right]));
        let asked = |question: &KernelDebug, edition| {
            let told = KernelResponse::Debug(table.debug(question)).spelled(edition);
            String::from_utf8(told.to_body()).unwrap()
        };
        for question in [KernelDebug::ProcessMap, KernelDebug::Process(id.clone())] {
            let old = asked(&question, Edition::V0_8);
            assert!(old.matches("http_server").count() >= 2 && !old.contains("http-server"));
            let new = asked(&question, Edition::V1_0);
            assert_eq!(new.replace("http-server", "http_server"), old);
        }
        let killed = KernelResponse::KilledProcess(id.clone()).spelled(Edition::V0_7);
        assert_eq!(killed, KernelResponse::KilledProcess(id));
    }

    #[test]
    fn no_revoke_is_read_from_the_metadata() {
        let with = |metadata: Option<&str>| {
            is_no_revoke(&Request {
                metadata: metadata.map(Into::into),
                ..Request::default()
            })
        };
        assert!(with(Some("no-revoke")) && with(Some("\"no-revoke\"")));
        assert!(!with(None) && !with(Some("revoke")));
    }
}
