//! The side of a transfer that wants the file.

use kinode_process_lib::vfs::{create_file, remove_file, File};
use kinode_process_lib::{get_blob, Address, Request};

use crate::bindings::kinode::process::file_transfer_worker::{
    ChunkRequest, InternalRequest, ProgressRequest, Request as WorkerRequest,
};
use crate::{body, Step, PATIENCE};

/// A file of which some is there.
pub struct Fetching {
    file: File,
    path: String,
    parent: Address,
    size: Option<u64>,
    received: u64,
}

impl Fetching {
    /// Makes an empty file.
    pub fn begin(path: String, parent: &Address) -> anyhow::Result<Self> {
        Ok(Self {
            file: create_file(&path, None)?,
            path,
            parent: parent.clone(),
            size: None,
            received: 0,
        })
    }

    /// Takes the size, or the next chunk.
    pub fn take(&mut self, request: &InternalRequest) -> anyhow::Result<Step> {
        match request {
            InternalRequest::Size(size) => {
                self.size = Some(*size);
                if *size > 0 {
                    return Ok(Step::Wait);
                }
            }
            InternalRequest::Chunk(chunk) => self.write(chunk)?,
        }
        self.report()
    }

    fn write(&mut self, chunk: &ChunkRequest) -> anyhow::Result<()> {
        let bytes = get_blob().unwrap_or_default().bytes;
        anyhow::ensure!(
            chunk.offset == self.received && bytes.len() as u64 == chunk.length,
            "a chunk at {} where {} was next",
            chunk.offset,
            self.received,
        );
        self.file.write_all(&bytes)?;
        self.received += chunk.length;
        Ok(())
    }

    /// Tells the parent how far it is.
    fn report(&self) -> anyhow::Result<Step> {
        let Some(size) = self.size else {
            anyhow::bail!("a chunk before the size");
        };
        let progress = (self.received * 100).checked_div(size).unwrap_or(100);
        let name = self.path.rsplit('/').next().unwrap_or_default().to_owned();
        let report = WorkerRequest::Progress(ProgressRequest { name, progress });
        Request::to(&self.parent)
            .body(body(&report)?)
            .expects_response(PATIENCE)
            .send()?;
        Ok(if self.received >= size {
            Step::Done
        } else {
            Step::Wait
        })
    }

    /// Removes what is there of it.
    pub fn abandon(&self) {
        // It may be gone.
        let _ = remove_file(&self.path, None);
    }
}
