//! A reading of the host's use that tests decide.

use parking_lot::Mutex;

use crate::places::{HostGauge, HostUse};

/// See the module's documentation. Says nothing until told.
#[derive(Debug, Default)]
pub struct FakeGauge(Mutex<Option<HostUse>>);

impl FakeGauge {
    /// What is read from now on.
    pub fn set(&self, reading: HostUse) {
        *self.0.lock() = Some(reading);
    }
}

impl HostGauge for FakeGauge {
    fn read(&self) -> Option<HostUse> {
        *self.0.lock()
    }
}
