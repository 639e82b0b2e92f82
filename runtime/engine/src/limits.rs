//! Refuses what one store may not take.
//!
//! Owns the store's share of the tenant's memory. Invariant: what was granted
//! is given back when the store, and with it this value, is dropped. A refusal
//! is an error rather than `-1`, so that the trap names the limit instead of
//! whatever the guest's allocator makes of it.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::{GuestMeter, TenantBudget};

/// Table elements of one store: function pointers, mostly. A 30 MB Python
/// component has about 20,000.
const MAX_TABLE_ELEMENTS: usize = 200_000;
/// Core instances of one store. A component has three or four; one that links
/// shared libraries has one for each.
const MAX_INSTANCES: usize = 200;
/// Tables of one store.
const MAX_TABLES: usize = 200;
/// Linear memories of one store: each costs address space and mappings.
const MAX_MEMORIES: usize = 8;

const MIB: u64 = 1 << 20;

/// A guest asked for more than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    /// The tenant's memory.
    #[error(
        "memory limit reached: the node may use {} MiB, {} MiB are in use and {} MiB more were asked for; end processes that are not needed (`top` lists them)",
        .limit / MIB, .in_use.div_ceil(MIB), .asked.div_ceil(MIB)
    )]
    Memory {
        /// What the tenant may use.
        limit: u64,
        /// What its processes use.
        in_use: u64,
        /// What this growth would have added.
        asked: u64,
    },
    /// The table elements of one process.
    #[error(
        "table limit reached: a process may have {limit} table elements and asked for {asked} more"
    )]
    TableElements {
        /// What a process may have.
        limit: usize,
        /// What this growth would have added.
        asked: usize,
    },
}

/// The limiter of one store.
#[derive(Debug)]
pub(crate) struct Limits {
    budget: Arc<TenantBudget>,
    meter: Arc<GuestMeter>,
    /// Bytes reserved in `budget`.
    memory: u64,
    table_elements: usize,
    /// The growth being carried out, to be undone if it fails.
    growing: u64,
}

impl Limits {
    pub(crate) fn new(budget: &Arc<TenantBudget>, meter: Arc<GuestMeter>) -> Self {
        Self {
            budget: Arc::clone(budget),
            meter,
            memory: 0,
            table_elements: 0,
            growing: 0,
        }
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.budget.release(self.memory);
        self.meter.set_memory(0);
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // The module's own maximum: by its rules, -1.
            return Ok(false);
        }
        let asked = desired.saturating_sub(current) as u64;
        if !self.budget.reserve(asked) {
            self.meter.count_denied();
            return Err(wasmtime::Error::new(LimitReached::Memory {
                limit: self.budget.memory_limit(),
                in_use: self.budget.memory_in_use(),
                asked,
            }));
        }
        self.memory += asked;
        self.meter.set_memory(self.memory);
        self.growing = asked;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.budget.release(self.growing);
        self.memory -= self.growing;
        self.meter.set_memory(self.memory);
        self.growing = 0;
        tracing::debug!("failed to grow a guest's memory: {error:#}");
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let asked = desired.saturating_sub(current);
        match self.table_elements.checked_add(asked) {
            Some(sum) if sum <= MAX_TABLE_ELEMENTS => self.table_elements = sum,
            _ => {
                self.meter.count_denied();
                return Err(wasmtime::Error::new(LimitReached::TableElements {
                    limit: MAX_TABLE_ELEMENTS,
                    asked,
                }));
            }
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}
