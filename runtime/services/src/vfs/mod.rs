//! `vfs:distro:sys`: the files of a node.
//!
//! Owns one directory of the host per node and everything in it. Invariants:
//! no path leads out of that directory (see [`jail`]); no bytes are written
//! that the node's disk quota has not been charged for, and what was written is
//! paid for at the node's rate before the answer; requests of one
//! process are done in the order they came, those of different processes side
//! by side up to a bound. File work happens in the blocking pool. The module
//! stops when its inbox closes, after finishing what it has taken out, or when
//! its tasks are cancelled, after finishing what is under way.

mod action;
mod codec;
mod dirs;
mod disk;
pub(crate) mod fuzzing;
mod handles;
mod jail;
mod path;
mod positioned;
mod read;
mod rights;
mod synced;
mod tree;
mod write;
mod zip;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use lifecycle::Tasks;
use node_types::{Address, KernelMessage, Message, NodeName, ProcessId, Request};
use tokio::sync::{OnceCell, Semaphore};

use crate::callers::{self, Serve};
use crate::dialect::{Dialect, reply};
use crate::quota::DiskQuota;
use crate::{Inbox, KernelPort, Service, module};
use codec::Asked;
use disk::Disk;
use path::{Target, VfsPath};
use rights::{Rights, drive_capability};

pub use action::{Action, DirEntry, FileType, OpenHow, Outcome, Seek, VfsError};
pub use disk::Overlays;
pub(crate) use handles::MAX_OPEN;
pub use path::PathError;
pub use rights::Caller;

/// Actions of one node done at the same time.
const CONCURRENT: usize = 4;
/// What a change counts for at least, in bytes written: a block.
const CHANGE: u64 = 4096;

/// What a node's file system is made of.
#[derive(Debug)]
pub struct Options {
    /// The node's directory; made if absent.
    pub root: PathBuf,
    /// Read-only drives that come with the host.
    pub overlays: Overlays,
    /// The node's disk budget, shared by all its stores.
    pub quota: Arc<DiskQuota>,
    /// Most bytes of a file that one message carries.
    pub max_blob_bytes: u64,
}

/// The file system module of one node.
#[derive(Debug)]
pub struct Vfs {
    id: ProcessId,
    us: Address,
    kernel: ProcessId,
    port: Arc<dyn KernelPort>,
    tasks: Tasks,
    disk: Arc<Disk>,
    /// Set once what is on disk has been counted.
    measured: OnceCell<()>,
    slots: Semaphore,
}

impl Vfs {
    /// The file system in `options.root`. Cheap: files are counted later, by
    /// the running module or before the first change.
    ///
    /// # Errors
    /// When the directory cannot be made or opened.
    pub fn new(options: Options, port: Arc<dyn KernelPort>, tasks: Tasks) -> io::Result<Arc<Self>> {
        let disk = Disk::open(
            &options.root,
            options.overlays,
            options.quota,
            options.max_blob_bytes,
            port.new_message_id().0,
        )?;
        let id = module("vfs");
        Ok(Arc::new(Self {
            us: Address::new(port.our().clone(), id.clone()),
            id,
            kernel: module("kernel"),
            port,
            tasks,
            disk: Arc::new(disk),
            measured: OnceCell::new(),
            slots: Semaphore::new(CONCURRENT),
        }))
    }

    /// Does `action` with `path` in the name of `caller`.
    ///
    /// # Errors
    /// [`VfsError`].
    ///
    /// # Cancel-Safety
    /// A started action is finished, its outcome is lost.
    pub async fn perform(
        &self,
        caller: &Caller,
        path: &str,
        action: Action,
        blob: Option<Bytes>,
    ) -> Result<Outcome, VfsError> {
        let target = Target::parse(path)?;
        let new_path = match action.new_path() {
            Some(new_path) => Some(inside(Target::parse(new_path)?)?),
            None => None,
        };
        if target == Target::Root && action != Action::ReadDir {
            inside(Target::Root)?;
        }
        let rights = Rights {
            us: &self.us,
            port: &*self.port,
            caller,
        };
        rights.check(&action, &target, new_path.as_ref())?;
        let created = (action == Action::CreateDrive).then(|| target.clone());
        let mut written = 0;
        if action.changes_usage() {
            self.measure().await?;
            self.disk.quota.wait_until_counted().await;
            let bytes = self.bytes_to_write(&target, &action, blob.as_ref()).await?;
            written = bytes.max(CHANGE);
        } else if action == Action::SyncAll {
            written = CHANGE;
        }
        let outcome = self.run_on_disk(target, action, new_path, blob).await?;
        if written > 0 {
            // Afterwards, so that only what was written is paid for: the caller's
            // next request waits.
            self.disk.quota.pace(written).await;
        }
        if let (Some(Target::Inside(path)), Caller::Process(process)) = (created, caller) {
            for kind in ["read", "write"] {
                let drive = format!("/{}", path.drive());
                let capability = drive_capability(&self.us, kind, &drive);
                self.port.grant(process, capability);
            }
        }
        Ok(outcome)
    }

    /// The whole content of the file at `path`.
    ///
    /// # Errors
    /// [`VfsError`].
    pub async fn read_file(&self, caller: &Caller, path: &str) -> Result<Bytes, VfsError> {
        match self.perform(caller, path, Action::Read, None).await? {
            Outcome::Bytes(bytes) => Ok(bytes),
            other => Err(VfsError::Io(io::Error::other(format!(
                "reading gave {other:?}"
            )))),
        }
    }

    /// Bytes the node has on disk by the rules of its quota, state included.
    ///
    /// # Errors
    /// When the files cannot be counted.
    pub async fn used_bytes(&self) -> Result<u64, VfsError> {
        self.measure().await?;
        Ok(self.disk.quota.used())
    }

    /// Counts what is on disk, once.
    async fn measure(&self) -> Result<(), VfsError> {
        self.measured
            .get_or_try_init(|| async {
                let disk = self.disk.clone();
                let measured = self.tasks.blocking(move || disk.measure()).await;
                // Here, so that what nobody waited for is not counted twice.
                let bytes = measured.unwrap_or_else(|| Err(panicked()))?;
                self.disk.quota.add_existing(bytes);
                Ok::<(), io::Error>(())
            })
            .await?;
        Ok(())
    }

    /// Bytes that `action` is going to write.
    async fn bytes_to_write(
        &self,
        target: &Target,
        action: &Action,
        blob: Option<&Bytes>,
    ) -> Result<u64, VfsError> {
        let bytes = blob.map_or(0, Bytes::len) as u64;
        let Target::Inside(path) = target else {
            return Ok(bytes);
        };
        let (path, blob) = (path.clone(), blob.cloned());
        match action {
            Action::CopyFile { .. } => self.on_disk(move |disk| disk.size_of(&path)).await,
            Action::AddZip => {
                let size = move |disk: &Disk| disk.unpacked_size(&path, blob.as_ref());
                self.on_disk(size).await
            }
            _ => Ok(bytes),
        }
    }

    async fn run_on_disk(
        &self,
        target: Target,
        action: Action,
        new_path: Option<VfsPath>,
        blob: Option<Bytes>,
    ) -> Result<Outcome, VfsError> {
        self.on_disk(move |disk| match &target {
            Target::Root => disk.read_root(),
            Target::Inside(path) => disk.perform(path, &action, new_path.as_ref(), blob.as_ref()),
        })
        .await
    }

    /// Does `work` in the blocking pool when it is its turn.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, VfsError> + Send + 'static,
    ) -> Result<T, VfsError> {
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(VfsError::Io(panicked()));
        };
        let disk = self.disk.clone();
        let done = self.tasks.blocking(move || work(&disk)).await;
        done.unwrap_or_else(|| Err(VfsError::Io(panicked())))
    }

    /// Handles one message and answers it.
    async fn handle(&self, mut message: KernelMessage) {
        let blob = message.lazy_load_blob.take().map(|blob| blob.bytes);
        let Message::Request(request) = &message.message else {
            return;
        };
        match codec::decode(&request.body) {
            Ok(asked) => {
                let caller = if message.source.process == self.kernel {
                    Caller::Kernel
                } else {
                    Caller::Process(message.source.process.clone())
                };
                let done = self.perform(&caller, &asked.path, asked.action.clone(), blob);
                let outcome = done.await;
                if let Err(VfsError::Zip(why)) = &outcome {
                    // The 1.0 answer has no room for the reason.
                    let text = format!("archive for {} refused: {why}", asked.path);
                    self.port.print(&self.id, 0, &text);
                }
                self.respond(&message, request, Some(&asked), outcome);
            }
            Err(error) => self.respond(&message, request, None, Err(error)),
        }
    }

    fn respond(
        &self,
        message: &KernelMessage,
        request: &Request,
        asked: Option<&Asked>,
        outcome: Result<Outcome, VfsError>,
    ) {
        let old_shape = asked.is_some_and(|asked| asked.old_shape);
        let dialect = Dialect::of_answer(&*self.port, message, old_shape);
        let wanted = request.expects_response.is_some() || message.rsvp.is_some();
        // Up to 0.9, failures were answered even if nobody had asked.
        if !wanted && (outcome.is_ok() || dialect == Dialect::New) {
            return;
        }
        let answer = codec::encode(dialect, asked, outcome);
        reply(&*self.port, &self.us, message, request, answer);
    }
}

fn inside(target: Target) -> Result<VfsPath, PathError> {
    match target {
        Target::Inside(path) => Ok(path),
        Target::Root => Err(PathError::no_drive()),
    }
}

fn panicked() -> io::Error {
    io::Error::other("the file system failed; try again")
}

#[async_trait]
impl Service for Vfs {
    fn id(&self) -> &ProcessId {
        &self.id
    }

    async fn run(self: Arc<Self>, inbox: Inbox) {
        if let Err(error) = self.measure().await {
            // Tried again before the first change, which is told about it.
            tracing::warn!("failed to count the files of {}: {error}", self.us.node);
        }
        callers::run(self, "vfs-caller", inbox).await;
    }
}

#[async_trait]
impl Serve for Vfs {
    fn node(&self) -> &NodeName {
        &self.us.node
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    async fn serve(&self, message: KernelMessage) {
        self.handle(message).await;
    }
}

#[cfg(test)]
mod tests;
