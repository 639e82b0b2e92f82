//! Where the app store keeps things in the VFS.
//!
//! `/app-store:sys/staging` is for checking a package that arrives and is
//! emptied afterwards; `/app-store:sys/downloads/PACKAGE/HASH.zip` holds what
//! is not installed yet, and during an installation also what is replaced;
//! an installed package keeps its zip in its own `pkg` drive.

use distro_logic::manifest;
use guest::lib::Address;
use guest::{vfs, CallError, Carry};
use node_types::PackageId;
use serde_json::json;

/// The drive for checking packages.
pub const STAGING: &str = "/app-store:sys/staging";
/// The zip being checked.
pub const STAGED_ZIP: &str = "/app-store:sys/staging/package.zip";
/// Its content.
pub const STAGED: &str = "/app-store:sys/staging/content";
/// The drive for zips that are not installed.
pub const DOWNLOADS: &str = "/app-store:sys/downloads";

/// The `pkg` directory of `package`.
pub fn directory(package: &PackageId) -> String {
    manifest::package_dir(package)
}

/// The drive of `package` that its processes also reach through WASI.
pub fn temporary(package: &PackageId) -> String {
    format!("/{package}/tmp")
}

/// The directory of the zips of `package` that are not installed.
pub fn downloads(package: &PackageId) -> String {
    format!("{DOWNLOADS}/{package}")
}

/// The zip of one version that is not installed.
pub fn download(package: &PackageId, hash: &str) -> String {
    format!("{}/{hash}.zip", downloads(package))
}

/// The zip of the installed version.
pub fn installed_zip(package: &PackageId) -> String {
    format!("{}/{package}.zip", directory(package))
}

/// Copies a file through the last blob; nothing of it comes in here.
pub fn copy(our: &Address, from: &str, to: &str) -> Result<(), CallError> {
    vfs::fetch(our, from)?;
    vfs::simple(our, to, "Write", Carry::LastBlob)
}

/// Removes a directory that may not exist.
pub fn clear(our: &Address, directory: &str) {
    let _ = vfs::simple(our, directory, "RemoveDirAll", Carry::Nothing);
}

/// Hex of the SHA-256 of a file.
pub fn hash(our: &Address, path: &str) -> Result<String, CallError> {
    let answer = vfs::act(our, path, &json!("Hash"), Carry::Nothing)?;
    let bytes: Option<Vec<u8>> = answer
        .get("Hash")
        .and_then(|hash| serde_json::from_value(hash.clone()).ok());
    match bytes {
        Some(bytes) if bytes.len() == 32 => {
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        _ => Err(CallError::Refused(format!("{path} could not be hashed"))),
    }
}
