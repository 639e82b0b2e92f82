//! What key-value and SQLite databases have in common: how they are named, who
//! may use them, what is said to those who may not, and their transactions.
//!
//! Invariant: a database belongs to a package; the package's processes may make
//! and remove it, and whoever reads or writes it holds the capability to, which
//! names the package too, whatever the edition of its holder.

mod refusal;
mod rights;
mod transactions;

use std::fmt;
use std::sync::Arc;

use node_types::{PackageId, alias};
use serde::Deserialize;

pub(crate) use refusal::{Refusal, failed};
pub(crate) use rights::{Kind, Rights};
#[cfg(test)]
pub(crate) use transactions::MAX_OF_PROCESS;
pub(crate) use transactions::{Transactions, TransactionsFull};

/// Longest name of a database, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 128;

/// What every request to a database module looks like.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<A> {
    /// Whose database.
    pub(crate) package_id: PackageId,
    /// Its name.
    pub(crate) db: String,
    /// What is asked.
    pub(crate) action: A,
}

/// The name of a database: up to [`MAX_NAME_BYTES`] bytes without slashes and
/// control characters, not hidden.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DbName(Arc<str>);

/// A database of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DbKey {
    /// Whose it is; host-owned packages by their present name.
    pub(crate) package: PackageId,
    /// What it is called.
    pub(crate) name: DbName,
}

impl DbName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`Refusal::BadName`], which says what a name may be.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let bad = |why: &str| Err(Refusal::BadName(format!("the database name {why}")));
        if text.is_empty() {
            return bad("is empty");
        }
        if text.len() > MAX_NAME_BYTES {
            return bad(&format!("is longer than {MAX_NAME_BYTES} bytes"));
        }
        if text.starts_with('.') {
            return bad("must not begin with a dot");
        }
        if text.contains(['/', '\\']) || text.chars().any(char::is_control) {
            return bad("must not have slashes or control characters");
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl DbKey {
    /// The database that a request names.
    ///
    /// # Errors
    /// [`Refusal::BadName`].
    pub(crate) fn parse(package: &PackageId, name: &str) -> Result<Self, Refusal> {
        Ok(Self {
            package: canonical(package),
            name: DbName::parse(name)?,
        })
    }
}

/// Host-owned packages have one name inside.
fn canonical(asked: &PackageId) -> PackageId {
    if asked.publisher() != "sys" {
        return asked.clone();
    }
    alias::canonical_sys_package(asked.package())
        .and_then(|name| PackageId::new(name, "sys").ok())
        .unwrap_or_else(|| asked.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_plain_names_are_refused() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for bad in [
            "", ".", "..", ".hidden", "a/b", "/a", "../a", "a\\b", "a\0", "a\nb", &long,
        ] {
            assert!(
                matches!(DbName::parse(bad), Err(Refusal::BadName(_))),
                "{bad:?}"
            );
        }
        for good in ["notes", "My notes", "a.b-c_d", "ünïcode", &long[1..]] {
            assert_eq!(DbName::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn host_owned_packages_have_one_database_under_all_their_names() {
        let key = |package: &str| DbKey::parse(&package.parse().unwrap(), "db").unwrap();
        assert_eq!(key("app_store:sys"), key("app-store:sys"));
        assert_ne!(key("my_app:me.dev"), key("my-app:me.dev"));
    }
}
