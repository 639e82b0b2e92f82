//! Names of nodes, packages and processes, and the addresses made of them.
//!
//! Owns the id grammar: every part matches `[A-Za-z0-9._-]{1,64}` and is
//! neither `.` nor `..`, so a part is safe as a file name. Cloning any of them
//! costs one reference count.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest part of a process id, in bytes.
const MAX_PART: usize = 64;
/// Longest node name, in bytes (the limit of a DNS name).
const MAX_NODE: usize = 253;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Fewer parts than the form has, or an empty one.
    #[error("`{0}` lacks a part: write process:package:publisher")]
    MissingField(String),
    /// More `:` than the form has.
    #[error("`{0}` has too many colons")]
    TooManyColons(String),
    /// An address without `@`.
    #[error("`{0}` lacks a node: write node@process:package:publisher")]
    MissingNode(String),
    /// An address with more than one `@`.
    #[error("`{0}` has more than one @")]
    TooManyAts(String),
    /// A part with a forbidden character, too long, or `.`/`..`.
    #[error("`{0}` is not a name: use 1-64 of A-Z a-z 0-9 . _ -")]
    BadPart(String),
}

fn check_part(part: &str, max: usize) -> Result<(), IdError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if part.is_empty() {
        return Err(IdError::MissingField(part.to_owned()));
    }
    if part.len() > max || part == "." || part == ".." || !part.bytes().all(allowed) {
        return Err(IdError::BadPart(part.chars().take(80).collect()));
    }
    Ok(())
}

/// The name of a node in the network, such as `alice.dev`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// Checks and wraps `text`.
    ///
    /// # Errors
    /// [`IdError`] when empty, longer than 253 bytes or with a forbidden character.
    pub fn new(text: &str) -> Result<Self, IdError> {
        check_part(text, MAX_NODE)?;
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A package: `package:publisher`.
///
/// JSON is the struct `{"package_name","publisher_node"}`, as in the public
/// app-store, kv and sqlite interfaces.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId {
    package: Arc<str>,
    publisher: Arc<str>,
}

impl PackageId {
    /// Checks and joins the two parts.
    ///
    /// # Errors
    /// [`IdError`] when a part is malformed.
    pub fn new(package: &str, publisher: &str) -> Result<Self, IdError> {
        check_part(package, MAX_PART)?;
        check_part(publisher, MAX_PART)?;
        Ok(Self {
            package: package.into(),
            publisher: publisher.into(),
        })
    }

    /// The package's own name.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The node that publishes it.
    #[must_use]
    pub fn publisher(&self) -> &str {
        &self.publisher
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.package, self.publisher)
    }
}

impl FromStr for PackageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(package), Some(publisher), None) => Self::new(package, publisher),
            (_, _, Some(_)) => Err(IdError::TooManyColons(text.to_owned())),
            _ => Err(IdError::MissingField(text.to_owned())),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct PackageIdWire {
    package_name: String,
    publisher_node: String,
}

impl Serialize for PackageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PackageIdWire {
            package_name: self.package.to_string(),
            publisher_node: self.publisher.to_string(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PackageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = PackageIdWire::deserialize(deserializer)?;
        Self::new(&wire.package_name, &wire.publisher_node).map_err(serde::de::Error::custom)
    }
}

/// A process of a package: `process:package:publisher`.
#[derive(Clone)]
pub struct ProcessId {
    text: Arc<str>,
    /// Byte offsets of the two colons in `text`.
    colons: (u8, u8),
}

impl ProcessId {
    /// Checks and joins the three parts.
    ///
    /// # Errors
    /// [`IdError`] when a part is malformed.
    pub fn new(process: &str, package: &str, publisher: &str) -> Result<Self, IdError> {
        for part in [process, package, publisher] {
            check_part(part, MAX_PART)?;
        }
        Ok(Self::from_valid_parts(process, package, publisher))
    }

    /// Joins parts already known to be well formed.
    pub(crate) fn from_valid_parts(process: &str, package: &str, publisher: &str) -> Self {
        let text = format!("{process}:{package}:{publisher}");
        // Parts are at most 64 bytes, so both offsets fit a byte.
        let first = process.len() as u8;
        let second = first + 1 + package.len() as u8;
        Self {
            text: text.into(),
            colons: (first, second),
        }
    }

    /// The id of the process called `process` in `package`.
    ///
    /// # Errors
    /// [`IdError`] when `process` is malformed.
    pub fn in_package(process: &str, package: &PackageId) -> Result<Self, IdError> {
        Self::new(process, package.package(), package.publisher())
    }

    /// The whole id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The process part.
    #[must_use]
    pub fn process(&self) -> &str {
        &self.text[..usize::from(self.colons.0)]
    }

    /// The package part.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.text[usize::from(self.colons.0) + 1..usize::from(self.colons.1)]
    }

    /// The publisher part.
    #[must_use]
    pub fn publisher(&self) -> &str {
        &self.text[usize::from(self.colons.1) + 1..]
    }

    /// The package this process belongs to.
    #[must_use]
    pub fn package_id(&self) -> PackageId {
        PackageId {
            package: self.package().into(),
            publisher: self.publisher().into(),
        }
    }

    /// Whether both processes belong to one package.
    #[must_use]
    pub fn same_package(&self, other: &Self) -> bool {
        self.text[usize::from(self.colons.0)..] == other.text[usize::from(other.colons.0)..]
    }
}

impl FromStr for ProcessId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(process), Some(package), Some(publisher), None) => {
                Self::new(process, package, publisher)
            }
            (_, _, _, Some(_)) => Err(IdError::TooManyColons(text.to_owned())),
            _ => Err(IdError::MissingField(text.to_owned())),
        }
    }
}

/// A process on a node: `node@process:package:publisher`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The node the process runs on.
    pub node: NodeName,
    /// The process.
    pub process: ProcessId,
}

impl Address {
    /// Joins a node and a process.
    #[must_use]
    pub fn new(node: NodeName, process: ProcessId) -> Self {
        Self { node, process }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node, self.process)
    }
}

impl FromStr for Address {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let Some((node, process)) = text.split_once('@') else {
            return Err(IdError::MissingNode(text.to_owned()));
        };
        if process.contains('@') {
            return Err(IdError::TooManyAts(text.to_owned()));
        }
        Ok(Self {
            node: NodeName::new(node)?,
            process: process.parse()?,
        })
    }
}

impl PartialEq for ProcessId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for ProcessId {}
impl std::hash::Hash for ProcessId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl PartialOrd for ProcessId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ProcessId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl FromStr for NodeName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

/// `Debug` as the quoted text, and serde as a plain string, also as a map key.
macro_rules! text_form {
    ($($name:ty),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{self}`")
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text_form!(NodeName, ProcessId, Address);

impl fmt::Debug for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_malformed_address_has_its_own_error() {
        let kind = |text: &str| text.parse::<Address>().unwrap_err();
        assert!(matches!(kind("p:k:g"), IdError::MissingNode(_)));
        assert!(matches!(kind("n@m@p:k:g"), IdError::TooManyAts(_)));
        assert!(matches!(kind("n@p:k"), IdError::MissingField(_)));
        assert!(matches!(kind("n@p:k:g:h"), IdError::TooManyColons(_)));
        assert!(matches!(kind("n@p::g"), IdError::MissingField(_)));
        assert!(matches!(kind("n@p:..:g"), IdError::BadPart(_)));
        assert!(matches!(kind("n@p:k/../../x:g"), IdError::BadPart(_)));
    }

    #[test]
    fn a_package_id_is_an_object_in_json_and_a_process_id_a_string() {
        let package = PackageId::new("chess", "sys").unwrap();
        assert_eq!(
            serde_json::to_string(&package).unwrap(),
            r#"{"package_name":"chess","publisher_node":"sys"}"#
        );
        let process: ProcessId = serde_json::from_str(r#""main:chess:sys""#).unwrap();
        assert_eq!(
            (process.process(), process.package(), process.publisher()),
            ("main", "chess", "sys")
        );
        assert_eq!(process.package_id(), package);
    }

    proptest! {
        #[test]
        fn parsing_inverts_printing(
            node in "[A-Za-z0-9_-]{1,64}", a in "[A-Za-z0-9_-]{1,64}",
            b in "[A-Za-z0-9_-]{1,64}", c in "[A-Za-z0-9_-]{1,64}",
        ) {
            let text = format!("{node}@{a}:{b}:{c}");
            let address: Address = text.parse().unwrap();
            prop_assert_eq!(address.to_string(), text);
            prop_assert_eq!(address.process.process(), a);
            prop_assert_eq!(address.process.package(), b);
            prop_assert_eq!(address.process.publisher(), c);
        }

        #[test]
        fn no_text_makes_a_part_unsafe_as_a_file_name(text in ".{0,80}") {
            if let Ok(id) = text.parse::<ProcessId>() {
                for part in [id.process(), id.package(), id.publisher()] {
                    prop_assert!(!part.contains('/') && !part.contains('\0') && part != "..");
                }
            }
        }
    }
}
