//! The blob a process holds, by the rule of its edition.

use node_types::{Blob, Edition};

/// How an edition treats the blob of a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobPolicy {
    /// Editions 0.7 and 0.8: one slot that every received message overwrites,
    /// also with nothing; failures leave it alone.
    LastMessage,
    /// From edition 1.0: the blob belongs to the current message, a failure
    /// has none; the last one ever received is kept besides.
    CurrentMessage,
}

impl BlobPolicy {
    /// The policy of an edition; the newest for a process that has none.
    #[must_use]
    pub fn of(edition: Option<Edition>) -> Self {
        match edition {
            Some(Edition::V0_7 | Edition::V0_8 | Edition::V0_8Book) => Self::LastMessage,
            Some(Edition::V1_0 | Edition::Hyperware) | None => Self::CurrentMessage,
        }
    }
}

/// The slot itself. Cloning a blob out of it does not copy its bytes.
#[derive(Debug)]
pub(crate) struct BlobSlot {
    policy: BlobPolicy,
    last: Option<Blob>,
    /// Whether `last` came with the current message.
    current: bool,
}

impl BlobSlot {
    pub(crate) fn new(policy: BlobPolicy) -> Self {
        Self {
            policy,
            last: None,
            current: false,
        }
    }

    /// A message with this blob has become the current one.
    pub(crate) fn received(&mut self, blob: Option<Blob>) {
        self.current = blob.is_some();
        if self.policy == BlobPolicy::LastMessage || blob.is_some() {
            self.last = blob;
        }
    }

    /// A failed send has become what the process handles now.
    pub(crate) fn failed(&mut self) {
        if self.policy == BlobPolicy::CurrentMessage {
            self.current = false;
        }
    }

    pub(crate) fn has_current(&self) -> bool {
        self.current
    }

    pub(crate) fn current(&self) -> Option<Blob> {
        self.last.clone().filter(|_| self.current)
    }

    /// What an inheriting message takes along.
    pub(crate) fn last(&self) -> Option<Blob> {
        self.last.clone()
    }
}
