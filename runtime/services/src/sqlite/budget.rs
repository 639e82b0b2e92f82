//! The node's disk quota as its databases see it.

use std::sync::Arc;

use node_sql::{Budget, NoRoom};

use crate::quota::DiskQuota;

/// See the module's documentation. What is reserved counts as used until it is
/// released.
#[derive(Debug)]
pub(crate) struct QuotaBudget(pub(crate) Arc<DiskQuota>);

impl Budget for QuotaBudget {
    fn reserve(&self, bytes: u64) -> Result<(), NoRoom> {
        match self.0.charge(bytes) {
            Ok(charge) => {
                charge.commit();
                Ok(())
            }
            Err(full) => Err(NoRoom {
                left: full.left,
                wanted: full.wanted,
            }),
        }
    }

    fn release(&self, bytes: u64) {
        self.0.refund(bytes);
    }

    fn add_existing(&self, bytes: u64) {
        self.0.add_existing(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Store;

    #[test]
    fn databases_use_what_the_other_stores_leave() {
        let files = DiskQuota::new(100);
        files.charge(30).unwrap().commit();
        let budget = QuotaBudget(files.of(Store::Sqlite));
        budget.reserve(50).unwrap();
        let full = budget.reserve(21).unwrap_err();
        assert_eq!((full.left, full.wanted), (20, 21));
        budget.add_existing(40);
        assert_eq!((files.used(), files.used_by(Store::Sqlite)), (120, 90));
        budget.release(90);
        assert_eq!((files.used(), files.used_by(Store::Sqlite)), (30, 0));
    }
}
