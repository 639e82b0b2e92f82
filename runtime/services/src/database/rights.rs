//! Who may do what with a database.

use node_types::{Address, Capability, ProcessId};
use serde_json::json;

use super::{DbKey, Refusal};
use crate::KernelPort;

/// What a capability allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The rights to the databases of the module `us`, as `port` tells.
pub(crate) struct Rights<'a> {
    pub(crate) us: &'a Address,
    pub(crate) port: &'a dyn KernelPort,
}

impl Rights<'_> {
    /// Whether `process` may make and remove the database.
    pub(crate) fn may_open(&self, process: &ProcessId, key: &DbKey) -> Result<(), Refusal> {
        let own = process.package() == key.package.package()
            && process.publisher() == key.package.publisher();
        if own {
            Ok(())
        } else {
            Err(Refusal::OtherPackage)
        }
    }

    /// Whether `process` may read or write the database: it must hold the
    /// capability even if the database is its own.
    pub(crate) fn check(
        &self,
        process: &ProcessId,
        key: &DbKey,
        kind: Kind,
    ) -> Result<(), Refusal> {
        if self.port.holds(process, &self.capability(key, kind)) {
            return Ok(());
        }
        Err(match kind {
            Kind::Read => Refusal::NoReadCap,
            Kind::Write => Refusal::NoWriteCap,
        })
    }

    /// Gives `process` both rights to the database, unless it has them.
    pub(crate) fn grant(&self, process: &ProcessId, key: &DbKey) {
        for kind in [Kind::Read, Kind::Write] {
            let capability = self.capability(key, kind);
            if !self.port.holds(process, &capability) {
                self.port.grant(process, capability);
            }
        }
    }

    fn capability(&self, key: &DbKey, kind: Kind) -> Capability {
        let params = json!({
            "kind": kind.word(),
            "db_key": [key.package, key.name.as_str()],
        });
        Capability::new(self.us.clone(), params.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakePort;

    #[test]
    fn a_right_is_to_the_database_of_one_package() {
        let (port, _sent) = FakePort::new("me.dev");
        let us = port.address("kv:distro:sys");
        let rights = Rights {
            us: &us,
            port: &*port,
        };
        let key = |package: &str| DbKey::parse(&package.parse().unwrap(), "db").unwrap();
        let app: ProcessId = "app:one:me.dev".parse().unwrap();
        let check = |package: &str, kind| rights.check(&app, &key(package), kind);
        assert_eq!(check("one:me.dev", Kind::Read), Err(Refusal::NoReadCap));
        rights.grant(&app, &key("one:me.dev"));
        assert_eq!(check("one:me.dev", Kind::Read), Ok(()));
        assert_eq!(check("one:me.dev", Kind::Write), Ok(()));
        assert_eq!(check("two:me.dev", Kind::Write), Err(Refusal::NoWriteCap));
        assert_eq!(rights.may_open(&app, &key("one:me.dev")), Ok(()));
        let other = rights.may_open(&app, &key("two:me.dev"));
        assert_eq!(other, Err(Refusal::OtherPackage));
    }
}
