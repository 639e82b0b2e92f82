//! Machine code on disk, by content hash and engine configuration.
//!
//! Owns the `artifacts` folder of the cache. Invariant: a file is handed to
//! wasmtime, which runs it unchecked, only after it was found authentic: by an
//! HMAC under a key that only this user can read, or, for the read-only
//! folders beside the binary, by the digest list in a folder that others
//! cannot write to. Anything else counts as absent. Bounded in bytes; the
//! artifacts unused for longest go first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use lifecycle::{Clock, Entropy, OsEntropy, SystemClock};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::hash::WasmHash;

/// What the HMAC is for, so that the key can never be used for another thing.
const MAC_DOMAIN: &[u8] = b"berth artifact v1\0";
/// The digest list of a read-only folder: `<file name> <sha256>` lines.
pub(crate) const DIGEST_LIST: &str = "artifacts.sha256";
/// Read at once while checking a file.
const CHUNK: usize = 64 << 10;

/// The artifacts of one host.
#[derive(Debug)]
pub(crate) struct Artifacts {
    dir: PathBuf,
    read_only: Vec<PathBuf>,
    /// Names the engine's version and configuration.
    compatibility: String,
    key: Zeroizing<[u8; 32]>,
    max_bytes: u64,
    next_temporary: AtomicU64,
}

/// A file being filled by a compile worker; removed unless committed.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) file: File,
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// `<hash>-<compatibility>.cwasm`
pub(crate) fn file_name(hash: &WasmHash, compatibility: &str) -> String {
    format!("{hash}-{compatibility}.cwasm")
}

impl Artifacts {
    /// Opens or creates the cache in `cache_dir`.
    pub(crate) fn open(
        cache_dir: &Path,
        read_only: Vec<PathBuf>,
        compatibility: String,
        max_bytes: u64,
    ) -> io::Result<Self> {
        let dir = cache_dir.join("artifacts");
        fs::create_dir_all(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            // Left by a host that was killed while compiling.
            if path.extension().is_some_and(|extension| extension == "tmp") {
                let _ = fs::remove_file(path);
            }
        }
        Ok(Self {
            key: read_or_make_key(&cache_dir.join("artifact.key"))?,
            dir,
            read_only,
            compatibility,
            max_bytes,
            next_temporary: AtomicU64::new(0),
        })
    }

    /// Maps the artifact of `hash`, if there is an authentic one.
    pub(crate) fn load(
        &self,
        engine: &wasmtime::Engine,
        hash: &WasmHash,
    ) -> Option<wasmtime::component::Component> {
        let name = file_name(hash, &self.compatibility);
        for dir in &self.read_only {
            let listed = open_listed(dir, &name);
            if let Some(component) = listed.and_then(|file| map(engine, &file)) {
                return Some(component);
            }
        }
        let path = self.dir.join(&name);
        let mut file = File::open(&path).ok()?;
        let given = fs::read(path.with_extension("mac")).ok()?;
        let authentic = self
            .mac_of(hash, &mut file)
            .is_ok_and(|mac| mac.verify_slice(&given).is_ok());
        if !authentic {
            tracing::warn!(%hash, "a compiled artifact in the cache is not authentic: compiling again");
            self.remove(&path);
            return None;
        }
        let component = map(engine, &file);
        if component.is_none() {
            self.remove(&path);
        }
        // The time of last use, by which old artifacts are found.
        let _ = file.set_modified(SystemClock.now().into());
        component
    }

    /// A new empty file for a compile worker to write to.
    pub(crate) fn temporary(&self) -> io::Result<Temporary> {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let path = self
            .dir
            .join(format!("{}-{number}.tmp", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Temporary { file, path })
    }

    /// Makes a worker's output the artifact of `hash`.
    pub(crate) fn commit(&self, hash: &WasmHash, temporary: &mut Temporary) -> io::Result<()> {
        let mac = {
            let mut file = File::open(&temporary.path)?;
            self.mac_of(hash, &mut file)?.finalize().into_bytes()
        };
        let path = self.dir.join(file_name(hash, &self.compatibility));
        let mut mac_file = self.temporary()?;
        mac_file.file.write_all(&mac)?;
        fs::rename(&temporary.path, &path)?;
        fs::rename(&mac_file.path, path.with_extension("mac"))?;
        self.prune(&path);
        Ok(())
    }

    fn mac_of(&self, hash: &WasmHash, artifact: &mut File) -> io::Result<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice())
            .map_err(|error| io::Error::other(error.to_string()))?;
        mac.update(MAC_DOMAIN);
        mac.update(hash.as_bytes());
        mac.update(self.compatibility.as_bytes());
        for_each_chunk(artifact, |chunk| mac.update(chunk))?;
        Ok(mac)
    }

    fn remove(&self, artifact: &Path) {
        let _ = fs::remove_file(artifact);
        let _ = fs::remove_file(artifact.with_extension("mac"));
    }

    /// Removes what was unused for longest, until the rest fits; never `newest`.
    /// A mapped file stays usable after it is removed.
    fn prune(&self, newest: &Path) {
        let mut found: Vec<_> = fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|it| it == "cwasm"))
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        let mut total: u64 = found.iter().map(|(_, length, _)| length).sum();
        found.sort();
        for (_, length, path) in found {
            if total <= self.max_bytes {
                return;
            }
            if path != newest {
                self.remove(&path);
                total -= length;
            }
        }
    }
}

/// Opens `name` in a folder beside the binary if its digest is listed there.
fn open_listed(dir: &Path, name: &str) -> Option<File> {
    let list = fs::read_to_string(dir.join(DIGEST_LIST)).ok()?;
    let digest = list
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find_map(|(listed, digest)| (listed == name).then_some(digest))?;
    let path = dir.join(name);
    for guarded in [dir, &dir.join(DIGEST_LIST), &path] {
        let metadata = fs::metadata(guarded).ok()?;
        if !is_trusted(metadata.uid()) || metadata.mode() & 0o002 != 0 {
            tracing::warn!(path = %guarded.display(), "ignoring precompiled code that others can write to");
            return None;
        }
    }
    let mut file = File::open(&path).ok()?;
    let mut found = Sha256::new();
    for_each_chunk(&mut file, |chunk| found.update(chunk)).ok()?;
    if hex::encode(found.finalize()) != digest {
        tracing::warn!(path = %path.display(), "ignoring precompiled code whose digest differs from the list");
        return None;
    }
    Some(file)
}

/// Whether `user` is root, this user or the owner of the running binary: whoever
/// may replace that may also replace the code beside it.
fn is_trusted(user: u32) -> bool {
    user == 0
        || user == rustix::process::geteuid().as_raw()
        || fs::metadata("/proc/self/exe").is_ok_and(|metadata| metadata.uid() == user)
}

#[expect(
    unsafe_code,
    reason = "wasmtime cannot check machine code; every caller authenticated the file"
)]
fn map(engine: &wasmtime::Engine, file: &File) -> Option<wasmtime::component::Component> {
    // By descriptor, so that what is mapped is the file that was checked.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the file was written by our own compile worker or build, as its
    // MAC or digest proves.
    match unsafe { wasmtime::component::Component::deserialize_file(engine, path) } {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!("failed to load a compiled artifact: {error:#}");
            None
        }
    }
}

fn for_each_chunk(file: &mut File, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            length => each(&buffer[..length]),
        }
    }
}

/// Reads the MAC key, or makes a new one, which voids all artifacts.
fn read_or_make_key(path: &Path) -> io::Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    if let Ok(mut file) = File::open(path) {
        let metadata = file.metadata()?;
        if metadata.mode() & 0o077 == 0 && metadata.len() == 32 {
            file.read_exact(key.as_mut_slice())?;
            return Ok(key);
        }
        tracing::warn!(path = %path.display(), "the artifact key was readable by others: making a new one");
    }
    OsEntropy.fill(key.as_mut_slice());
    let temporary = path.with_extension("tmp");
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(key.as_slice())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    Ok(key)
}
