//! Paths of the virtual file system, as text.
//!
//! Invariant: a [`VfsPath`] is normal: `package:publisher/drive/a/b` without
//! empty, `.` or `..` parts and without NUL, bounded in depth and length. It
//! is only ever opened beneath the node's own directory.

use node_types::{PackageId, alias};

/// Longest path, in bytes.
pub(crate) const MAX_PATH_BYTES: usize = 2048;
/// Longest name of a file or directory, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Most directories a path goes down, package and drive included.
pub(crate) const MAX_DEPTH: usize = 64;

/// Why a text is not a path; the text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathError(String);

impl PathError {
    /// The path names no drive.
    pub(crate) fn no_drive() -> Self {
        Self("the path lacks a drive: write /package:publisher/drive".to_owned())
    }
}

/// What a path text stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/`: the list of packages.
    Root,
    /// A drive or something in it.
    Inside(VfsPath),
}

/// A drive or something in it. See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VfsPath {
    text: String,
    package: PackageId,
    /// Where the drive's name ends in `text`.
    drive_end: usize,
    /// The drive as the caller spelled its package, if that is an old name.
    old_drive: Option<String>,
}

impl Target {
    /// Reads `text`; a leading slash is optional.
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let parts = normal_parts(text)?;
        let Some((first, rest)) = parts.split_first() else {
            return Ok(Self::Root);
        };
        let asked: PackageId = first
            .parse()
            .map_err(|error| PathError(format!("the path must start with a package: {error}")))?;
        let Some(drive) = rest.first() else {
            return Err(PathError::no_drive());
        };
        let package = canonical(&asked);
        let old_drive = (package != asked).then(|| format!("/{asked}/{drive}"));
        let mut whole = package.to_string();
        for part in rest {
            whole.push('/');
            whole.push_str(part);
        }
        let drive_end = package.package().len() + 1 + package.publisher().len() + 1 + drive.len();
        Ok(Self::Inside(VfsPath {
            text: whole,
            package,
            drive_end,
            old_drive,
        }))
    }
}

/// Host-owned packages have one name on disk.
fn canonical(asked: &PackageId) -> PackageId {
    if asked.publisher() != "sys" {
        return asked.clone();
    }
    alias::canonical_sys_package(asked.package())
        .and_then(|name| PackageId::new(name, "sys").ok())
        .unwrap_or_else(|| asked.clone())
}

/// The parts of `text` after resolving `.`, `..` and `//`.
fn normal_parts(text: &str) -> Result<Vec<&str>, PathError> {
    if text.len() > MAX_PATH_BYTES {
        return Err(PathError(format!(
            "the path is longer than {MAX_PATH_BYTES} bytes"
        )));
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(PathError("the path leaves the file system".to_owned()));
                }
            }
            name => {
                check_name(name)?;
                parts.push(name);
            }
        }
    }
    if parts.len() > MAX_DEPTH {
        return Err(PathError(format!(
            "the path goes down more than {MAX_DEPTH} directories"
        )));
    }
    Ok(parts)
}

/// Whether `name` can be the name of a file.
pub(crate) fn check_name(name: &str) -> Result<(), PathError> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(PathError(
            "a name in the path is empty, `.`, `..` or has a NUL".to_owned(),
        ));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(PathError(format!(
            "a name in the path is longer than {MAX_NAME_BYTES} bytes"
        )));
    }
    Ok(())
}

impl VfsPath {
    /// The path from the root of all drives, without a leading slash.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The package that owns the drive.
    pub(crate) fn package(&self) -> &PackageId {
        &self.package
    }

    /// `package:publisher/drive`.
    pub(crate) fn drive(&self) -> &str {
        &self.text[..self.drive_end]
    }

    /// What follows the drive; empty for the drive itself.
    pub(crate) fn in_drive(&self) -> &str {
        self.text.get(self.drive_end + 1..).unwrap_or_default()
    }

    /// The drive in the spellings that capabilities may have it in.
    pub(crate) fn drive_spellings(&self) -> impl Iterator<Item = String> {
        std::iter::once(format!("/{}", self.drive())).chain(self.old_drive.clone())
    }

    /// Directories down from the root.
    pub(crate) fn depth(&self) -> usize {
        self.text.split('/').count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> String {
        match Target::parse(text) {
            Ok(Target::Root) => "/".to_owned(),
            Ok(Target::Inside(path)) => path.as_str().to_owned(),
            Err(_) => "error".to_owned(),
        }
    }

    #[test]
    fn texts_become_normal_or_errors() {
        for (text, wanted) in [
            ("/a:b/d/x.txt", "a:b/d/x.txt"),
            ("a:b/d/", "a:b/d"),
            ("//a:b///d/./x/../y", "a:b/d/y"),
            ("/a:b/d/../../c:e/f", "c:e/f"),
            ("/app_store:sys/pkg/x", "app-store:sys/pkg/x"),
            ("/app_store:me.dev/pkg/x", "app_store:me.dev/pkg/x"),
            ("/a:b/d/ü \n😀", "a:b/d/ü \n😀"),
            ("", "/"),
            ("/", "/"),
            ("/a:b/..", "/"),
            ("/a:b", "error"),
            ("/..", "error"),
            ("/a:b/d/../../..", "error"),
            ("/a:b/d/\0", "error"),
            ("/ab/d", "error"),
            ("/a:b:c/d", "error"),
            ("/a:../d", "error"),
            ("/.staging/d", "error"),
        ] {
            assert_eq!(parse(text), wanted, "{text:?}");
        }
        assert_eq!(parse(&format!("/a:b/{}", "x".repeat(256))), "error");
        assert_eq!(parse(&format!("/a:b/{}", "x/".repeat(MAX_DEPTH))), "error");
        assert_eq!(parse(&"x".repeat(MAX_PATH_BYTES + 1)), "error");
    }

    #[test]
    fn an_old_package_name_is_kept_for_capabilities_only() {
        let Ok(Target::Inside(path)) = Target::parse("/app_store:sys/pkg/x/y") else {
            panic!("not a path");
        };
        assert_eq!(path.drive(), "app-store:sys/pkg");
        assert_eq!(path.in_drive(), "x/y");
        let spellings: Vec<_> = path.drive_spellings().collect();
        assert_eq!(spellings, ["/app-store:sys/pkg", "/app_store:sys/pkg"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn no_text_leaves_the_root(
            text in r"(/?(\.|\.\.|a:b|[a-c]|/|\x00|\\|é|:|%2e){0,6}){0,8}/?"
        ) {
            if let Ok(Target::Inside(path)) = Target::parse(&text) {
                prop_assert!(!path.as_str().starts_with('/') && !path.as_str().ends_with('/'));
                prop_assert!(path.as_str().split('/').all(|part| check_name(part).is_ok()));
                prop_assert!(path.as_str().starts_with(&path.package().to_string()));
                let again = Target::parse(path.as_str());
                prop_assert_eq!(again, Ok(Target::Inside(VfsPath { old_drive: None, ..path })));
            }
        }
    }
}
