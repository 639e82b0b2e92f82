//! The distro packages: the host's own apps, on every node.
//!
//! Owns their unpacked form: one read-only directory per version of the set,
//! shared by all tenants of the host. Invariant: a version's directory is
//! complete or absent (it is unpacked beside and renamed into place), and is
//! named by the digest of the archives, so it never changes. There is nothing
//! to stop.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use node_types::{OnExit, PackageId};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Largest archive the host accepts from its own build, bytes.
const MAX_ARCHIVE: u64 = 256 << 20;

/// Why the packages cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DistroError {
    /// No archives where they should be.
    #[error(
        "no distro packages in {0}: run `make packages`, or point --packages at the directory \
         that `make build` leaves beside the binary"
    )]
    Missing(PathBuf),
    /// An archive or a file in it is not what it should be.
    #[error("{archive}: {problem}")]
    Malformed {
        /// File name of the archive.
        archive: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Reading or writing failed.
    #[error("failed to read {path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Directory of machine code, beside the archives and in an unpacked version.
const ARTIFACTS: &str = "artifacts";

/// All distro packages of a host.
#[derive(Debug)]
pub struct Distro {
    /// One entry a package, in a fixed order.
    pub packages: Vec<DistroPackage>,
    /// Machine code of their components, made by the build; it may be absent,
    /// then the host compiles them itself.
    pub artifacts: PathBuf,
}

/// One package, unpacked.
#[derive(Debug)]
pub struct DistroPackage {
    /// Its id, such as `terminal:sys`.
    pub id: PackageId,
    /// Interface version its metadata names, if any.
    pub wit_version: Option<u32>,
    /// Its processes.
    pub manifest: Vec<ManifestEntry>,
    /// The directory that every node sees as `/package:sys/pkg`.
    pub root: PathBuf,
}

/// A process of a package, as `manifest.json` describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct ManifestEntry {
    /// First part of the process id.
    pub process_name: String,
    /// Path of the component inside the package, such as `/app.wasm`.
    pub process_wasm_path: String,
    /// What happens when it ends.
    pub on_exit: OnExit,
    /// Whether it may use the network.
    pub request_networking: bool,
    /// Rights it asks for: a process id (to message it), or an object.
    pub request_capabilities: Vec<ManifestCapability>,
    /// Rights it gives: to a process id (to message it), or an object.
    pub grant_capabilities: Vec<ManifestCapability>,
    /// Whether any process of the node may message it.
    pub public: bool,
}

/// A right in a manifest: plain text is the id of a process to message.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum ManifestCapability {
    /// The right to message this process (requested), or to be messaged by it.
    Messaging(String),
    /// A right with params.
    WithParams {
        /// The issuer (requested) or the holder (granted).
        process: String,
        /// What is allowed.
        params: serde_json::Value,
    },
}

#[derive(Deserialize)]
struct Metadata {
    properties: MetadataProperties,
}

#[derive(Deserialize)]
struct MetadataProperties {
    wit_version: Option<u32>,
}

impl Distro {
    /// Loads the archives of `archives` and unpacks them below `unpacked`
    /// unless this version already is.
    ///
    /// # Errors
    /// [`DistroError`]; nothing half-unpacked is left behind.
    pub fn load(archives: &Path, unpacked: &Path) -> Result<Self, DistroError> {
        let files = archive_files(archives)?;
        let mut digest = Sha256::new();
        let mut contents = Vec::with_capacity(files.len());
        for file in &files {
            let bytes = read_bounded(file)?;
            digest.update(
                file.file_name()
                    .map_or(&b""[..], |name| name.as_encoded_bytes()),
            );
            digest.update(Sha256::digest(&bytes));
            contents.push(bytes);
        }
        digest.update(artifact_names(&archives.join(ARTIFACTS)).as_bytes());
        let version = hex::encode(&digest.finalize()[..12]);
        let home = unpacked.join(&version);
        if !home.exists() {
            unpack_version(
                unpacked,
                &version,
                &files,
                &contents,
                &archives.join(ARTIFACTS),
            )?;
        }
        let packages = files
            .iter()
            .map(|file| describe(file, &home))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            packages,
            artifacts: home.join(ARTIFACTS),
        })
    }

    /// The same packages for a process that reaches the directory `from` as
    /// `to`.
    #[must_use]
    pub fn seen_from(mut self, from: &Path, to: &Path) -> Self {
        let moved = |path: &mut PathBuf| {
            if let Ok(inside) = path.strip_prefix(from) {
                *path = to.join(inside);
            }
        };
        moved(&mut self.artifacts);
        for package in &mut self.packages {
            moved(&mut package.root);
        }
        self
    }
}

/// Archives are `<package>:<publisher>.zip`.
fn archive_files(archives: &Path) -> Result<Vec<PathBuf>, DistroError> {
    let listing = match fs::read_dir(archives) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DistroError::Missing(archives.to_owned()));
        }
        Err(error) => return Err(io_error(archives)(error)),
    };
    let mut files = Vec::new();
    for entry in listing {
        let path = entry.map_err(io_error(archives))?.path();
        if path.extension().is_some_and(|extension| extension == "zip") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(DistroError::Missing(archives.to_owned()));
    }
    files.sort();
    Ok(files)
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, DistroError> {
    let file = fs::File::open(path).map_err(io_error(path))?;
    let mut bytes = Vec::new();
    file.take(MAX_ARCHIVE + 1)
        .read_to_end(&mut bytes)
        .map_err(io_error(path))?;
    if bytes.len() as u64 > MAX_ARCHIVE {
        return Err(malformed(path, "larger than 256 MiB"));
    }
    Ok(bytes)
}

fn unpack_version(
    unpacked: &Path,
    version: &str,
    files: &[PathBuf],
    contents: &[Vec<u8>],
    artifacts: &Path,
) -> Result<(), DistroError> {
    fs::create_dir_all(unpacked).map_err(io_error(unpacked))?;
    let partial = unpacked.join(format!(".{version}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(io_error(&partial))?;
    }
    for (file, bytes) in files.iter().zip(contents) {
        let target = partial.join(package_name(file)?);
        let mut archive =
            zip::ZipArchive::new(io::Cursor::new(bytes)).map_err(|error| malformed(file, error))?;
        archive
            .extract(&target)
            .map_err(|error| malformed(file, error))?;
    }
    copy_files(artifacts, &partial.join(ARTIFACTS))?;
    fs::rename(&partial, unpacked.join(version)).map_err(io_error(unpacked))
}

/// Names of the machine code files: they carry hashes, so other names mean
/// another version.
fn artifact_names(artifacts: &Path) -> String {
    let mut names: Vec<String> = fs::read_dir(artifacts)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.join("/")
}

/// Copies the files of one directory, if it exists.
fn copy_files(from: &Path, to: &Path) -> Result<(), DistroError> {
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to).map_err(io_error(to))?;
    for entry in fs::read_dir(from).map_err(io_error(from))? {
        let entry = entry.map_err(io_error(from))?;
        let target = to.join(entry.file_name());
        fs::copy(entry.path(), &target).map_err(io_error(&target))?;
    }
    Ok(())
}

fn describe(file: &Path, home: &Path) -> Result<DistroPackage, DistroError> {
    let name = package_name(file)?;
    let id: PackageId = name.parse().map_err(|error| malformed(file, error))?;
    let root = home.join(&name);
    let manifest = parse_json(&root.join("manifest.json"))?;
    let metadata: Metadata = parse_json(&file.with_extension("metadata.json"))?;
    Ok(DistroPackage {
        id,
        wit_version: metadata.properties.wit_version,
        manifest,
        root,
    })
}

fn parse_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, DistroError> {
    let bytes = fs::read(path).map_err(io_error(path))?;
    serde_json::from_slice(&bytes).map_err(|error| malformed(path, error))
}

fn package_name(file: &Path) -> Result<String, DistroError> {
    file.file_stem()
        .and_then(|stem| stem.to_str())
        .map(str::to_owned)
        .ok_or_else(|| malformed(file, "its name is not text"))
}

fn malformed(path: &Path, problem: impl std::fmt::Display) -> DistroError {
    DistroError::Malformed {
        archive: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        problem: problem.to_string(),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> DistroError {
    let path = path.to_owned();
    move |source| DistroError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn archive(directory: &Path, name: &str, manifest: &str) {
        let file = fs::File::create(directory.join(format!("{name}.zip"))).unwrap();
        let mut zip = zip::ZipWriter::new(file);
        zip.start_file("manifest.json", zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(manifest.as_bytes()).unwrap();
        zip.finish().unwrap();
        fs::write(
            directory.join(format!("{name}.metadata.json")),
            r#"{"properties":{"package_name":"x","publisher":"sys","current_version":"1","wit_version":1}}"#,
        )
        .unwrap();
    }

    const MANIFEST: &str = r#"[{"process_name":"main","process_wasm_path":"/main.wasm","on_exit":"Restart",
        "request_networking":false,"request_capabilities":["vfs:distro:sys",{"process":"vfs:distro:sys","params":{"root":true}}],
        "grant_capabilities":[],"public":true}]"#;

    #[test]
    fn a_version_is_unpacked_once_and_a_new_one_beside_it() {
        let source = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        archive(source.path(), "app:sys", MANIFEST);
        let first = Distro::load(source.path(), target.path()).unwrap();
        assert_eq!(first.packages[0].id.to_string(), "app:sys");
        assert_eq!(first.packages[0].wit_version, Some(1));
        assert_eq!(first.packages[0].manifest[0].request_capabilities.len(), 2);
        let marker = first.packages[0].root.join("marker");
        fs::write(&marker, "").unwrap();
        Distro::load(source.path(), target.path()).unwrap();
        assert!(marker.exists(), "the same version is not unpacked again");
        archive(
            source.path(),
            "app:sys",
            &MANIFEST.replace("true}]", "false}]"),
        );
        let second = Distro::load(source.path(), target.path()).unwrap();
        assert_ne!(first.packages[0].root, second.packages[0].root);
    }

    #[test]
    fn an_empty_directory_says_what_to_do() {
        let nothing = tempfile::tempdir().unwrap();
        let error = Distro::load(nothing.path(), nothing.path()).unwrap_err();
        assert!(error.to_string().contains("make packages"), "{error}");
    }
}
