//! Why a database module did not do what it was asked, as far as both modules
//! say it, in the words of each generation.

use node_types::PackageId;
use serde_json::{Value, json};

use crate::dialect::Dialect;

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request is not one of this module.
    #[error("request not understood: {0}")]
    Malformed(String),
    /// No database can be called so.
    #[error("{0}")]
    BadName(String),
    /// Only a package itself makes and removes its databases.
    #[error("only processes of the package that owns a database may open or remove it")]
    OtherPackage,
    /// The caller may not read it.
    #[error("no right to read this database: open it, or ask its owner for the capability")]
    NoReadCap,
    /// The caller may not write to it.
    #[error("no right to write to this database: open it, or ask its owner for the capability")]
    NoWriteCap,
    /// There is no such database.
    #[error("there is no such database: open it first")]
    NoDb,
    /// There is no such transaction.
    #[error("there is no transaction {0}: it was committed, given up, or never begun")]
    NoTx(u64),
}

impl Refusal {
    /// What `Err` holds in `dialect`; `asked` are package and database as the
    /// request named them.
    pub(crate) fn json(&self, dialect: Dialect, asked: Option<(&PackageId, &str)>) -> Value {
        let text = self.to_string();
        match dialect {
            Dialect::Old => match self {
                Self::Malformed(_) | Self::BadName(_) => json!({"InputError": {"error": text}}),
                Self::OtherPackage | Self::NoReadCap | Self::NoWriteCap => {
                    json!({"NoCap": {"error": text}})
                }
                Self::NoDb => json!("NoDb"),
                Self::NoTx(_) => json!("NoTx"),
            },
            Dialect::New => match self {
                Self::Malformed(_) => json!("MalformedRequest"),
                Self::BadName(_) => json!({"IOError": text}),
                Self::OtherPackage => json!("MismatchingPackageId"),
                Self::NoReadCap => json!("NoReadCap"),
                Self::NoWriteCap => json!("NoWriteCap"),
                Self::NoDb => match asked {
                    Some((package, name)) => json!({"NoDb": [package, name]}),
                    None => json!("MalformedRequest"),
                },
                Self::NoTx(number) => json!({"NoTx": number}),
            },
        }
    }
}

/// The whole body of a failure, given what `Err` holds.
pub(crate) fn failed(dialect: Dialect, error: &Value) -> Value {
    match dialect {
        Dialect::Old => json!({"Err": {"error": error}}),
        Dialect::New => json!({"Err": error}),
    }
}
