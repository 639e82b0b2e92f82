//! A file system in a temporary directory.

use std::collections::HashMap;
use std::path::PathBuf;

use lifecycle::queue::{self, Bounds};
use lifecycle::{TaskKind, Tasks};
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::*;
use crate::testing::FakePort;

pub(crate) const APP: &str = "app:pkg:me.dev";
pub(crate) const OTHER: &str = "spy:other:you.dev";
pub(crate) const VFS: &str = "vfs:distro:sys";
/// The drive of [`APP`] that tests work in.
pub(crate) const DRIVE: &str = "/pkg:me.dev/d";
pub(crate) const MAX_BLOB: u64 = 8 << 20;

pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: Arc<FakePort>,
    pub(crate) sent: UnboundedReceiver<KernelMessage>,
    pub(crate) quota: Arc<DiskQuota>,
    pub(crate) vfs: Arc<Vfs>,
    pub(crate) tasks: Tasks,
}

pub(crate) fn tasks() -> Tasks {
    Tasks::new(
        tokio::runtime::Handle::current(),
        &tokio_util::sync::CancellationToken::new(),
    )
}

impl Bench {
    /// With [`DRIVE`] made, and a read-only drive `terminal:sys/pkg`.
    pub(crate) async fn new(quota: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("terminal");
        std::fs::create_dir_all(shared.join("ui")).unwrap();
        std::fs::write(shared.join("manifest.json"), "[]").unwrap();
        let bench = Self::reopen(dir, quota);
        bench.ok(DRIVE, Action::CreateDrive).await;
        bench
    }

    /// The file system of an earlier life.
    pub(crate) fn reopen(dir: tempfile::TempDir, quota: u64) -> Self {
        let (port, sent) = FakePort::new("me.dev");
        let drives = HashMap::from([("terminal:sys/pkg".to_owned(), dir.path().join("terminal"))]);
        let quota = DiskQuota::new(quota);
        let options = Options {
            root: dir.path().join("vfs"),
            overlays: Overlays::open(&drives).unwrap(),
            quota: quota.clone(),
            max_blob_bytes: MAX_BLOB,
        };
        let tasks = tasks();
        let vfs = Vfs::new(options, port.clone(), tasks.clone()).unwrap();
        Self {
            dir,
            port,
            sent,
            quota,
            vfs,
            tasks,
        }
    }

    /// Where [`DRIVE`] is on the host.
    pub(crate) fn on_host(&self, name: &str) -> PathBuf {
        self.dir.path().join("vfs/pkg:me.dev/d").join(name)
    }

    /// Files in the staging directory.
    pub(crate) fn staged(&self) -> usize {
        let staging = self.dir.path().join("vfs").join(disk::STAGING);
        std::fs::read_dir(staging).unwrap().count()
    }

    pub(crate) async fn act(
        &self,
        caller: &str,
        path: &str,
        action: Action,
        blob: Option<&[u8]>,
    ) -> Result<Outcome, VfsError> {
        let caller = match caller {
            "kernel:distro:sys" => Caller::Kernel,
            process => Caller::Process(process.parse().unwrap()),
        };
        let blob = blob.map(|bytes| bytes.to_vec().into());
        self.vfs.perform(&caller, path, action, blob).await
    }

    /// [`APP`] does `action` with a path in [`DRIVE`].
    pub(crate) async fn app(
        &self,
        name: &str,
        action: Action,
        blob: Option<&[u8]>,
    ) -> Result<Outcome, VfsError> {
        self.act(APP, &format!("{DRIVE}/{name}"), action, blob)
            .await
    }

    pub(crate) async fn ok(&self, path: &str, action: Action) {
        let done = self.act(APP, path, action, None).await;
        assert_eq!(done.unwrap(), Outcome::Done);
    }

    pub(crate) async fn write(&self, name: &str, bytes: &[u8]) {
        let done = self.app(name, Action::Write, Some(bytes)).await;
        assert_eq!(done.unwrap(), Outcome::Done);
    }

    pub(crate) async fn read(&self, name: &str) -> Vec<u8> {
        match self.app(name, Action::Read, None).await.unwrap() {
            Outcome::Bytes(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// What the quota should say: a fresh count of what is on disk.
    pub(crate) fn weighed(&self) -> u64 {
        let root = jail::Jail::open(&self.dir.path().join("vfs")).unwrap();
        tree::weigh(root.root(), &|name| name != disk::STAGING)
            .unwrap()
            .bytes
    }

    /// Runs the module; messages go into what is returned.
    pub(crate) fn serve(&self) -> queue::Sender<KernelMessage> {
        let (sender, inbox) = queue::channel(Bounds {
            items: 10_000,
            cost: usize::MAX,
        });
        self.tasks
            .spawn(TaskKind::graceful("vfs"), self.vfs.clone().run(inbox));
        sender
    }
}
