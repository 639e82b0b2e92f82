//! Reading and writing a file as a stream.
//!
//! A stream knows the path and its place; what it has read ahead or is still
//! writing is bounded by [`CHUNK`], and their number by [`MAX_STREAMS`]. A write
//! begins when somebody waits for the stream, as every flush does; one that
//! nobody waits for is lost with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::types::ErrorCode;
use crate::files::{FileError, TempFiles};

/// Bytes read ahead, or taken at a time for writing.
const CHUNK: usize = 64 << 10;
/// Most streams of one process.
const MAX_STREAMS: usize = 64;

/// Counts the streams of one process; each holds a clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams(Arc<()>);

impl Streams {
    /// A place for one more.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn place(&self) -> Result<Self, ErrorCode> {
        if Arc::strong_count(&self.0) > MAX_STREAMS {
            return Err(ErrorCode::InsufficientMemory);
        }
        Ok(self.clone())
    }
}

fn failed(error: FileError) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::new(error))
}

/// A file being read.
pub(super) struct Reader {
    files: Arc<dyn TempFiles>,
    path: String,
    offset: u64,
    ahead: Option<Result<Bytes, FileError>>,
    _place: Streams,
}

impl Reader {
    pub(super) fn new(
        files: Arc<dyn TempFiles>,
        path: String,
        offset: u64,
        place: Streams,
    ) -> Self {
        Self {
            files,
            path,
            offset,
            ahead: None,
            _place: place,
        }
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        if self.ahead.is_none() {
            let read = self.files.read(&self.path, self.offset, CHUNK as u64);
            self.ahead = Some(read.await);
        }
    }
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut bytes = match self.ahead.take() {
            None => return Ok(Bytes::new()),
            Some(Err(error)) => return Err(failed(error)),
            Some(Ok(bytes)) => bytes,
        };
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        let taken = bytes.split_to(size.min(bytes.len()));
        self.offset += taken.len() as u64;
        if !bytes.is_empty() {
            self.ahead = Some(Ok(bytes));
        }
        Ok(taken)
    }
}

type Writing = Pin<Box<dyn Future<Output = Result<(), FileError>> + Send>>;

/// A file being written.
pub(super) struct Writer {
    files: Arc<dyn TempFiles>,
    path: Arc<str>,
    /// Where the next bytes go; `None` = at the end, wherever that is.
    offset: Option<u64>,
    writing: Option<Writing>,
    failed: Option<FileError>,
    _place: Streams,
}

impl Writer {
    pub(super) fn new(
        files: Arc<dyn TempFiles>,
        path: &str,
        offset: Option<u64>,
        place: Streams,
    ) -> Self {
        Self {
            files,
            path: path.into(),
            offset,
            writing: None,
            failed: None,
            _place: place,
        }
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        // The future stays here when this one is dropped, and goes on later.
        if let Some(writing) = &mut self.writing {
            let done = writing.as_mut().await;
            self.writing = None;
            self.failed = done.err();
        }
    }
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.writing.is_some() || bytes.len() > CHUNK {
            return Err(StreamError::trap(
                "more was written than check-write allows",
            ));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let (files, path, at) = (self.files.clone(), self.path.clone(), self.offset);
        if let Some(offset) = &mut self.offset {
            *offset = offset.saturating_add(bytes.len() as u64);
        }
        self.writing = Some(Box::pin(async move { files.write(&path, at, bytes).await }));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if let Some(error) = self.failed.take() {
            return Err(failed(error));
        }
        Ok(if self.writing.is_some() { 0 } else { CHUNK })
    }
}
