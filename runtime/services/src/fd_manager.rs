//! `fd-manager:distro:sys`: tells how much the node's modules may keep open.
//!
//! Owns how often each of them said that it had reached its limit: ours close
//! what was used least and say nothing, so that stays at one. Invariants:
//! the limits are those that the modules keep by themselves, whatever is said
//! here; nobody but a process of the node is answered. Published runtimes
//! divide the host's descriptors among modules anew each hour; here a module's
//! share is fixed, so the commands that tune the division are understood and
//! change nothing. Ends when its inbox closes, and holds no task.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use node_store::MAX_DATABASES;
use node_types::{Address, KernelMessage, Message, ProcessId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{Inbox, KernelPort, Service, answer, module, request_from, sqlite, vfs};

/// Longest request, bytes.
const MAX_REQUEST: usize = 4096;

#[derive(Debug, Deserialize)]
enum Action {
    RequestFdsLimit,
    FdsLimitHit,
    UpdateMaxFdsAsFractionOfUlimitPercentage(u64),
    UpdateUpdateUlimitSecs(u64),
    UpdateCullFractionDenominator(u64),
    GetState,
    GetProcessFdLimit(ProcessId),
}

/// What it says.
#[derive(Debug, Serialize)]
enum Answer<'a> {
    /// In a request, to the module that asked for its limit.
    FdsLimit(u64),
    GetState(&'a BTreeMap<ProcessId, FdsLimit>),
    GetProcessFdLimit(u64),
}

#[derive(Debug, Clone, Copy, Serialize)]
struct FdsLimit {
    /// Files, or databases.
    limit: u64,
    /// Begins with one, as in published runtimes, where it is a weight.
    hit_count: u64,
}

/// The module of one node. See the module's documentation.
#[derive(Debug)]
pub struct FdManager {
    id: ProcessId,
    port: Arc<dyn KernelPort>,
    limits: Mutex<BTreeMap<ProcessId, FdsLimit>>,
}

impl FdManager {
    /// A module that answers through `port`.
    #[must_use]
    pub fn new(port: Arc<dyn KernelPort>) -> Arc<Self> {
        // A key-value database holds no descriptor: it is their number that is
        // told. Neighbours hold none either, and of those any number may be.
        let limits = [
            ("vfs", vfs::MAX_OPEN as u64),
            ("kv", u64::from(MAX_DATABASES)),
            ("sqlite", sqlite::Limits::default().open_databases as u64),
        ];
        let limits = limits.map(|(name, limit)| {
            let hit_count = 1;
            (module(name), FdsLimit { limit, hit_count })
        });
        Arc::new(Self {
            id: module("fd-manager"),
            port,
            limits: Mutex::new(limits.into()),
        })
    }

    fn handle(&self, message: &KernelMessage) {
        let source = &message.source;
        if source.node != *self.port.our() {
            return;
        }
        let Message::Request(request) = &message.message else {
            return;
        };
        if request.body.len() > MAX_REQUEST {
            self.say(&format!("request of {source} is too long to be one"));
            return;
        }
        match serde_json::from_slice(&request.body) {
            Ok(action) => self.perform(message, action),
            Err(error) => self.say(&format!("request of {source} not understood: {error}")),
        }
    }

    fn perform(&self, message: &KernelMessage, action: Action) {
        let asker = &message.source.process;
        match action {
            Action::RequestFdsLimit => match self.limit_of(asker) {
                Some(limit) => self.tell_limit(message.source.clone(), limit),
                None => self.say(&format!(
                    "{asker} asks for a limit, but only modules have one: files and databases \
                     are opened by these"
                )),
            },
            Action::FdsLimitHit => {
                if let Some(limit) = self.limits.lock().get_mut(asker) {
                    limit.hit_count = limit.hit_count.saturating_add(1);
                }
            }
            Action::UpdateMaxFdsAsFractionOfUlimitPercentage(wanted)
            | Action::UpdateUpdateUlimitSecs(wanted)
            | Action::UpdateCullFractionDenominator(wanted) => self.say(&format!(
                "limits of open files are fixed on this host: an update to {wanted} changes nothing"
            )),
            Action::GetState => {
                let limits = self.limits.lock().clone();
                self.answer(message, &Answer::GetState(&limits));
            }
            Action::GetProcessFdLimit(process) => {
                // Whoever has none may open nothing by itself.
                let limit = self.limit_of(&process).unwrap_or(0);
                self.answer(message, &Answer::GetProcessFdLimit(limit));
            }
        }
    }

    fn limit_of(&self, process: &ProcessId) -> Option<u64> {
        self.limits.lock().get(process).map(|limit| limit.limit)
    }

    fn us(&self) -> Address {
        Address::new(self.port.our().clone(), self.id.clone())
    }

    fn tell_limit(&self, to: Address, limit: u64) {
        let body = encode(&Answer::FdsLimit(limit));
        let id = self.port.new_message_id();
        let told = request_from(self.us(), id, to, body, None, None);
        self.port.send(told);
    }

    fn answer(&self, message: &KernelMessage, told: &Answer<'_>) {
        let answered = answer(self.us(), message, encode(told), None, None);
        self.port.send(answered);
    }

    fn say(&self, text: &str) {
        self.port.print(&self.id, 1, text);
    }
}

fn encode(told: &Answer<'_>) -> Vec<u8> {
    // Numbers and ids are always JSON.
    serde_json::to_vec(told).unwrap_or_default()
}

#[async_trait]
impl Service for FdManager {
    fn id(&self) -> &ProcessId {
        &self.id
    }

    async fn run(self: Arc<Self>, mut inbox: Inbox) {
        while let Some((message, _)) = inbox.recv().await {
            self.handle(&message);
        }
    }
}

#[cfg(test)]
mod tests {
    use node_types::MessageId;
    use serde_json::{Value, json};
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;
    use crate::testing::FakePort;

    const APP: &str = "app:pkg:me.dev";
    const VFS: &str = "vfs:distro:sys";
    const US: &str = "fd-manager:distro:sys";

    struct Bench {
        port: Arc<FakePort>,
        sent: UnboundedReceiver<KernelMessage>,
        manager: Arc<FdManager>,
    }

    fn bench() -> Bench {
        let (port, sent) = FakePort::new("me.dev");
        let manager = FdManager::new(port.clone());
        Bench {
            port,
            sent,
            manager,
        }
    }

    impl Bench {
        fn tell(&self, who: &str, body: impl Into<bytes::Bytes>) -> MessageId {
            let message = self.port.request(who, US, body, None);
            self.manager.handle(&message);
            message.id
        }

        fn sent(&mut self) -> KernelMessage {
            self.sent.try_recv().expect("it said something")
        }

        /// What an app reads as the answer to its question.
        #[expect(
            clippy::needless_pass_by_value,
            reason = "JSON that is written where it is passed"
        )]
        fn ask(&mut self, body: Value) -> Value {
            let id = self.tell(APP, body.to_string());
            let answer = self.sent();
            assert_eq!((answer.id, answer.target.process.as_str()), (id, APP));
            match answer.message {
                Message::Response(response, _) => serde_json::from_slice(&response.body).unwrap(),
                Message::Request(request) => panic!("{request:?}"),
            }
        }
    }

    #[test]
    fn it_tells_what_modules_may_keep_open_and_how_often_that_was_too_little() {
        let mut bench = bench();
        let state = |vfs_hits: u64| {
            json!({"GetState": {
                "vfs:distro:sys": {"limit": 32, "hit_count": vfs_hits},
                "kv:distro:sys": {"limit": MAX_DATABASES, "hit_count": 1},
                "sqlite:distro:sys": {"limit": 8, "hit_count": 1},
            }})
        };
        assert_eq!(bench.ask(json!("GetState")), state(1));
        bench.tell(VFS, r#""FdsLimitHit""#);
        bench.tell(VFS, r#""FdsLimitHit""#);
        // It has no limit that it could hit.
        bench.tell(APP, r#""FdsLimitHit""#);
        assert_eq!(bench.ask(json!("GetState")), state(3));
        for (process, limit) in [(VFS, 32), ("sqlite:distro:sys", 8), (APP, 0)] {
            let answer = bench.ask(json!({"GetProcessFdLimit": process}));
            assert_eq!(answer, json!({"GetProcessFdLimit": limit}), "{process}");
        }
    }

    #[test]
    fn a_module_that_asks_is_told_its_limit_in_a_request() {
        let mut bench = bench();
        bench.tell(VFS, r#""RequestFdsLimit""#);
        let told = bench.sent();
        assert_eq!(told.target.process.as_str(), VFS);
        let Message::Request(request) = &told.message else {
            panic!("{told:?}");
        };
        assert_eq!(request.expects_response, None);
        assert_eq!(&request.body[..], br#"{"FdsLimit":32}"#);
        bench.tell(APP, r#""RequestFdsLimit""#);
        assert!(bench.sent.try_recv().is_err());
        assert!(bench.port.prints()[0].2.contains("only modules have one"));
    }

    #[test]
    fn updates_change_nothing_and_say_so() {
        let mut bench = bench();
        let before = bench.ask(json!("GetState"));
        for update in [
            "UpdateMaxFdsAsFractionOfUlimitPercentage",
            "UpdateUpdateUlimitSecs",
            "UpdateCullFractionDenominator",
        ] {
            bench.tell(APP, json!({update: 1}).to_string());
        }
        let prints = bench.port.prints();
        assert_eq!(prints.len(), 3);
        assert!(prints.iter().all(|(source, verbosity, text)| {
            source.as_str() == US && *verbosity == 1 && text.contains("changes nothing")
        }));
        assert_eq!(bench.ask(json!("GetState")), before);
    }

    #[test]
    fn nonsense_is_printed_and_other_nodes_hear_nothing() {
        let mut bench = bench();
        let long = format!("{:?}", "x".repeat(MAX_REQUEST));
        for body in ["", "GetState", r#"{"FdsLimit":3}"#, long.as_str()] {
            bench.tell(APP, body.to_owned());
        }
        assert_eq!(bench.port.prints().len(), 4);
        let mut foreign = bench.port.request(APP, US, r#""GetState""#, None);
        foreign.source.node = "other.dev".parse().unwrap();
        bench.manager.handle(&foreign);
        assert!(bench.sent.try_recv().is_err());
        assert_eq!(bench.port.prints().len(), 4);
    }
}
