//! `wasi:filesystem` for guests, out of [`TempFiles`](crate::TempFiles).
//!
//! Linked in the place of wasmtime-wasi's, which would open files of the host
//! beside the node's quota. Invariants: an open file or directory is its path
//! and holds nothing of the host open; a path never leads out of the drive;
//! there are no links. So a file that is removed or moved is not found any
//! more by those who have it open. All of it is dropped with the store.

mod descriptor;
mod paths;
mod streams;

use wasmtime::component::{HasSelf, Linker, Resource};

pub(crate) use self::streams::Streams;

use self::descriptor::Opened;
use self::wasi::filesystem::types::{self, DescriptorFlags, ErrorCode};
use crate::files::{FileError, FileKind, TempFiles};
use crate::guest::Guest;

wasmtime::component::bindgen!({
    path: "wit/filesystem",
    world: "files",
    imports: { default: async | trappable },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:filesystem/types.descriptor": descriptor::Opened,
        "wasi:filesystem/types.directory-entry-stream": descriptor::Entries,
    },
    trappable_error_type: { "wasi:filesystem/types.error-code" => Failed },
});

/// Puts these files in the place of wasmtime-wasi's, which must be there.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = types::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest).and_then(|()| {
        wasi::filesystem::preopens::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
    });
    linker.allow_shadowing(false);
    added
}

/// Why a call failed.
#[derive(Debug)]
pub enum Failed {
    /// The guest is told.
    Code(ErrorCode),
    /// The guest ends.
    Trap(wasmtime::Error),
}

impl From<ErrorCode> for Failed {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<wasmtime::component::ResourceTableError> for Failed {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        Self::Code(code_of(&error))
    }
}

fn code_of(error: &FileError) -> ErrorCode {
    match error {
        FileError::NotFound => ErrorCode::NoEntry,
        FileError::Exists => ErrorCode::Exist,
        FileError::NotDirectory => ErrorCode::NotDirectory,
        FileError::IsDirectory => ErrorCode::IsDirectory,
        FileError::NotEmpty => ErrorCode::NotEmpty,
        FileError::Quota => ErrorCode::Quota,
        FileError::NotPermitted => ErrorCode::NotPermitted,
        FileError::Invalid(_) => ErrorCode::Invalid,
        FileError::Io(_) => ErrorCode::Io,
    }
}

impl types::Host for Guest {
    fn convert_error_code(&mut self, error: Failed) -> wasmtime::Result<ErrorCode> {
        match error {
            Failed::Code(code) => Ok(code),
            Failed::Trap(error) => Err(error),
        }
    }

    async fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.resources.get(&error)?;
        Ok(error.downcast_ref::<FileError>().map(code_of))
    }
}

impl wasi::filesystem::preopens::Host for Guest {
    async fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Opened>, String)>> {
        let Some(drive) = self.temp.clone() else {
            return Ok(Vec::new());
        };
        if let Err(error) = drive.files.prepare().await {
            let text = format!("no files in {}: {error}", drive.path);
            self.host.print(0, text).await?;
            return Ok(Vec::new());
        }
        let root = Opened {
            path: String::new(),
            kind: FileKind::Directory,
            flags: DescriptorFlags::READ
                | DescriptorFlags::WRITE
                | DescriptorFlags::MUTATE_DIRECTORY,
        };
        Ok(vec![(self.resources.push(root)?, drive.path)])
    }
}

impl Guest {
    /// The drive of descriptors, of which there are none without it.
    fn files(&self) -> Result<std::sync::Arc<dyn TempFiles>, Failed> {
        match &self.temp {
            Some(drive) => Ok(drive.files.clone()),
            None => Err(ErrorCode::BadDescriptor.into()),
        }
    }
}
