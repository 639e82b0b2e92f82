//! Whole nodes with real guests, from boot to stop and back.

mod guest;
mod sleep;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifecycle::{ManualClock, SeededEntropy, Tasks};
use node_api::{
    Isolated, Keyfile, LoginVerifiers, NodeLimits, NodeSecrets, NodeSpec, Secret, TenantKey,
};
use node_egress::{Dialer, EgressOptions};
use node_engine::{Engine, EngineOptions, WorkerCommand};
use node_services::{KernelPort, NodeEvent, module, request_from};
use node_store::HostStore;
use node_types::{Blob, KernelMessage, OnExit, ProcessId};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::boot;
use crate::log::LogFiles;
use crate::node::Node;
use crate::{Distro, DistroPackage, Launcher, LauncherOptions, ManifestCapability, ManifestEntry};

const APP: &str = "app:test:alice.dev";
const KEY: TenantKey = TenantKey {
    tenant: 7,
    incarnation: 1,
};

/// A host whose nodes have one app.
struct Host {
    dir: tempfile::TempDir,
    launcher: Arc<Launcher>,
    clock: ManualClock,
}

fn messaging(process: &str) -> ManifestCapability {
    ManifestCapability::Messaging(process.to_owned())
}

impl Host {
    async fn new(app: Bytes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let tasks = Tasks::new(tokio::runtime::Handle::current(), &CancellationToken::new());
        std::fs::create_dir(path("pkg")).unwrap();
        std::fs::write(path("pkg/app.wasm"), &app).unwrap();
        node_engine::precompile(&app, &path("artifacts")).unwrap();
        let none = WorkerCommand {
            program: "/bin/false".into(),
            args: Vec::new(),
        };
        let mut options = EngineOptions::new(path("cache"), none);
        options.extra_artifact_dirs = vec![path("artifacts")];
        let entry = ManifestEntry {
            process_name: "app".to_owned(),
            process_wasm_path: "/app.wasm".to_owned(),
            on_exit: OnExit::Restart,
            request_networking: false,
            request_capabilities: vec![
                messaging("timer:distro:sys"),
                messaging("http-server:distro:sys"),
            ],
            grant_capabilities: Vec::new(),
            public: true,
        };
        let package = DistroPackage {
            id: "test:alice.dev".parse().unwrap(),
            wit_version: Some(1),
            manifest: vec![entry],
            root: path("pkg"),
        };
        let clock = ManualClock::default();
        clock.advance(1_700_000_000);
        let launcher = Launcher::new(LauncherOptions {
            engine: Engine::new(options, &tasks).unwrap(),
            store: HostStore::open(&path("store"), &tasks).unwrap(),
            distro: Distro {
                packages: vec![package],
                artifacts: path("artifacts"),
            },
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy::new(1)),
            logs: LogFiles::new(tasks.clone()),
            dialer: Dialer::new(&EgressOptions::default()).unwrap(),
            tasks,
            tls: false,
        })
        .await
        .unwrap();
        Self {
            dir,
            launcher,
            clock,
        }
    }

    async fn boot(&self) -> Arc<Node> {
        let secret = || Secret::new([7; 32]);
        let spec = NodeSpec {
            key: KEY,
            generation: 1,
            name: "alice.dev".parse().unwrap(),
            secrets: NodeSecrets {
                networking_key: secret(),
                jwt_secret: secret(),
                file_key: secret(),
            },
            login: LoginVerifiers {
                sha256: [0; 32],
                argon2id: [0; 32],
                keyfile: Keyfile::default(),
            },
            limits: NodeLimits::default(),
            vfs_root: self.dir.path().join("vfs"),
            sql_root: self.dir.path().join("databases"),
            log_dir: self.dir.path().join("log"),
            transport: Arc::new(Isolated),
            egress_allow: Vec::new(),
        };
        boot::boot(&self.launcher, spec).await.unwrap()
    }

    /// Lets this much time pass by both clocks.
    async fn pass(&self, seconds: u64) {
        self.clock.advance(i64::try_from(seconds).unwrap());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// A message to the app that expects no answer.
fn to_app(node: &Node) -> KernelMessage {
    let kernel = &node.kernel;
    request_from(
        kernel.kernel_address.clone(),
        kernel.fresh_id(),
        kernel.address(&app()),
        "set",
        None,
        None,
    )
}

/// The app binds static content at `path`.
fn binds(node: &Node, path: &str, content: &'static str) {
    let kernel = &node.kernel;
    let action = serde_json::json!({"Bind": {"path": path, "authenticated": false,
        "local_only": false, "cache": true}});
    let blob = Blob {
        mime: None,
        bytes: content.into(),
    };
    kernel.send_from_module(request_from(
        kernel.address(&app()),
        kernel.fresh_id(),
        kernel.address(&module("http-server")),
        action.to_string(),
        None,
        Some(blob),
    ));
}

fn app() -> ProcessId {
    APP.parse().unwrap()
}

/// Waits until the app prints.
async fn printed(events: &mut broadcast::Receiver<NodeEvent>) -> String {
    loop {
        if let NodeEvent::Print { source, text, .. } = events.recv().await.unwrap()
            && source == app()
        {
            return text.to_string();
        }
    }
}

fn events(node: &Node) -> broadcast::Receiver<NodeEvent> {
    KernelPort::events(&*node.kernel)
}
