//! `spawn`: a process makes a child of its own package.

use std::sync::Arc;

use node_engine::{SpawnChild, SpawnError};
use node_kernel::{InitializeProcess, ProcessEntry, localise_capability, localise_on_exit};
use node_services::KernelPort;
use node_services::vfs::Caller;
use node_types::{Capability, Edition, ProcessId, alias};

use crate::kernel::Kernel;

impl Kernel {
    /// Spawns `child` in the name of `parent`: read as the parent may read,
    /// entered, granted, run. All rights are in place before it runs.
    pub(crate) async fn spawn_child(
        self: &Arc<Self>,
        parent: &ProcessId,
        child: SpawnChild,
    ) -> Result<ProcessId, SpawnError> {
        let SpawnChild {
            name,
            wasm_path,
            mut on_exit,
            mut request_capabilities,
            grant_capabilities,
            public,
        } = child;
        let name = name.unwrap_or_else(|| self.fresh_id().0.to_string());
        let id = ProcessId::in_package(&name, &parent.package_id()).map_err(|error| {
            let text = format!("{parent}: cannot spawn `{name}`: {error}");
            self.say_about(parent, 0, &text);
            SpawnError::NameTaken
        })?;
        let wasm = match self.read_as(parent, &wasm_path).await {
            Ok(wasm) => wasm,
            Err(reason) => {
                self.say_about(
                    parent,
                    0,
                    &format!("{parent}: cannot spawn {id}: {wasm_path}: {reason}"),
                );
                return Err(SpawnError::NoFileAtPath);
            }
        };
        for capability in &mut request_capabilities {
            localise_capability(capability, &self.our);
        }
        localise_on_exit(&mut on_exit, &self.our);
        let (initial_capabilities, wit_version, book) = {
            let table = self.table.read();
            if table.get(&id).is_some() {
                return Err(SpawnError::NameTaken);
            }
            let parents = table.get(parent);
            let wit_version = parents.and_then(|entry| entry.wit_version);
            let book = parents.is_some_and(|entry| entry.edition == Some(Edition::V0_8Book));
            let capabilities = table.filter_attached(parent, request_capabilities);
            (capabilities, wit_version, book)
        };
        let request = InitializeProcess {
            id: id.clone(),
            wasm_bytes_handle: wasm_path,
            wit_version,
            book,
            on_exit,
            initial_capabilities,
            public,
        };
        let kernel = self.kernel_address.process.clone();
        if let Err(reason) = self.initialize(&kernel, request, Some(wasm)).await {
            self.not_entered(parent, &reason);
            let text = format!("{parent}: cannot spawn {id}: {reason}");
            self.say_about(parent, 0, &text);
            return Err(SpawnError::NoFileAtPath);
        }
        self.grant_family(parent, &id, grant_capabilities).await;
        self.start(&id);
        Ok(id)
    }

    /// What the child issues to others, and that parent and child may message
    /// each other.
    async fn grant_family(
        &self,
        parent: &ProcessId,
        child: &ProcessId,
        grants: Vec<(ProcessId, String)>,
    ) {
        for (holder, params) in grants {
            let capability = Capability::new(self.address(child), params);
            self.grant_to(&alias::canonical(holder), [capability]);
        }
        self.grant_to(child, [Capability::messaging(self.address(parent))]);
        self.grant_to(parent, [Capability::messaging(self.address(child))]);
        let child = self
            .table
            .read()
            .get(child)
            .map(ProcessEntry::is_persistent);
        if child == Some(true) {
            self.save_if(true).await;
        } else {
            // What concerns a child that no restart brings back can be lost.
            self.map.save_soon();
        }
    }

    /// Reads a file as `process` may: it needs to be allowed to message vfs,
    /// and the right to read there.
    async fn read_as(&self, process: &ProcessId, path: &str) -> Result<bytes::Bytes, String> {
        let Some(vfs) = self.vfs() else {
            return Err("the node is stopping".into());
        };
        let vfs_address = self.address(&node_services::module("vfs"));
        if !self.holds(process, &Capability::messaging(vfs_address)) {
            return Err("it may not message vfs:distro:sys".into());
        }
        vfs.read_file(&Caller::Process(process.clone()), path)
            .await
            .map_err(|error| error.to_string())
    }
}
