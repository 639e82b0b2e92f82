//! Where a cluster lives, who owns it, and its lock.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::ClusterError;

/// The cluster's directory within a data directory.
const HERE: &str = "postgres";
/// File of the data directory that names the cluster's place elsewhere.
const ELSEWHERE: &str = "postgres-elsewhere";
/// Longest path of a socket's directory: 107 bytes less the socket's own name
/// and that of its lock file, rounded down.
const LONGEST_SOCKET_DIR: usize = 80;
/// A log this large is put aside at the next start, bytes.
const LONG_LOG: u64 = 8 << 20;
/// Names tried under `/tmp`.
const SHORT_NAMES: u32 = 16;
/// Users a server may run as, best first.
const USERS: [&str; 3] = ["berth", "postgres", "nobody"];

/// The user and group that the server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// This process is root and hands over to it.
    pub(super) hand_over: bool,
}

impl Account {
    /// This process' own, unless it is root: then `run_as`, or the first user
    /// fit for a server.
    ///
    /// # Errors
    /// [`ClusterError::NoUser`].
    pub fn choose(run_as: Option<(u32, u32)>) -> Result<Self, ClusterError> {
        let own = rustix::process::geteuid();
        if !own.is_root() {
            return Ok(Self {
                uid: own.as_raw(),
                gid: rustix::process::getegid().as_raw(),
                hand_over: false,
            });
        }
        let (uid, gid) = match run_as {
            Some(given) => given,
            None => fit_user().ok_or(ClusterError::NoUser)?,
        };
        if uid == 0 {
            return Err(ClusterError::NoUser);
        }
        Ok(Self {
            uid,
            gid,
            hand_over: true,
        })
    }

    fn may_enter(self, directory: &std::fs::Metadata) -> bool {
        let bits = if directory.uid() == self.uid {
            0o100
        } else if directory.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        directory.mode() & bits != 0
    }

    fn give(self, path: &Path) -> Result<(), ClusterError> {
        if self.hand_over {
            chown(path, Some(self.uid), Some(self.gid))
                .map_err(ClusterError::file("give away", path))?;
        }
        Ok(())
    }
}

fn fit_user() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let find = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let (uid, gid) = (fields.nth(1)?, fields.next()?);
            (name == wanted).then_some((uid.parse().ok()?, gid.parse().ok()?))
        })
    };
    USERS.into_iter().find_map(find)
}

/// The cluster's directory for `data_dir`, made if it is not there: in the data
/// directory where `account` can reach it, else under `elsewhere`, which the
/// data directory then remembers. A host that is about to give up being root
/// calls this before, and hands the answer to [`super::ClusterOptions::place`]:
/// afterwards it may not be able to read what the data directory remembers.
///
/// # Errors
/// [`ClusterError::File`].
pub fn place(data_dir: &Path, account: Account, elsewhere: &Path) -> Result<PathBuf, ClusterError> {
    std::fs::create_dir_all(data_dir).map_err(ClusterError::file("create", data_dir))?;
    let place = match known(data_dir) {
        Some(place) => place,
        None => {
            let data_dir = data_dir
                .canonicalize()
                .map_err(ClusterError::file("resolve", data_dir))?;
            if reachable(&data_dir, account) {
                data_dir.join(HERE)
            } else {
                remember_elsewhere(&data_dir, elsewhere)?
            }
        }
    };
    private_directory(&place, account)?;
    Ok(place)
}

/// The place chosen earlier, if one was. A note is read without resolving the
/// path: a process whose working directory is the data directory may be
/// unable to look at what is above it.
pub(super) fn known(data_dir: &Path) -> Option<PathBuf> {
    if let Ok(text) = std::fs::read_to_string(data_dir.join(ELSEWHERE)) {
        return Some(PathBuf::from(text.trim_end_matches('\n')));
    }
    let here = data_dir.canonicalize().ok()?.join(HERE);
    here.is_dir().then_some(here)
}

/// Whether `account` may enter `directory` and everything above it.
fn reachable(directory: &Path, account: Account) -> bool {
    directory
        .ancestors()
        .all(|above| std::fs::metadata(above).is_ok_and(|data| account.may_enter(&data)))
}

/// Chooses a fresh name: a data directory made anew at an old path must not
/// find the old one's rows.
fn remember_elsewhere(data_dir: &Path, elsewhere: &Path) -> Result<PathBuf, ClusterError> {
    let random = Path::new("/dev/urandom");
    let mut id = [0; 8];
    File::open(random)
        .and_then(|mut file| file.read_exact(&mut id))
        .map_err(ClusterError::file("read", random))?;
    let place = elsewhere.join(format!("{:016x}", u64::from_le_bytes(id)));
    std::fs::create_dir_all(elsewhere).map_err(ClusterError::file("create", elsewhere))?;
    std::fs::set_permissions(elsewhere, Permissions::from_mode(0o755))
        .map_err(ClusterError::file("open up", elsewhere))?;
    let note = data_dir.join(ELSEWHERE);
    let beside = data_dir.join(format!("{ELSEWHERE}.new"));
    let write = || {
        let mut file = File::create(&beside)?;
        writeln!(file, "{}", place.display())?;
        file.sync_all()?;
        std::fs::rename(&beside, &note)
    };
    write().map_err(ClusterError::file("write", &note))?;
    Ok(place)
}

/// Makes `path` a directory that only `account` enters.
fn private_directory(path: &Path, account: Account) -> Result<(), ClusterError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(ClusterError::file("create", path)(error)),
    }
    account.give(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
        .map_err(ClusterError::file("close off", path))
}

/// The directories and files of one cluster.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) account: Account,
    place: PathBuf,
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
}

impl Layout {
    pub(super) fn of(place: PathBuf, account: Account) -> Result<Self, ClusterError> {
        private_directory(&place, account)?;
        Ok(Self {
            account,
            data: place.join("data"),
            log: place.join("log"),
            place,
        })
    }

    /// The server's log, its end.
    pub(super) fn open_log(&self) -> Result<File, ClusterError> {
        if std::fs::metadata(&self.log).is_ok_and(|data| data.len() > LONG_LOG) {
            let aside = self.log.with_extension("old");
            std::fs::rename(&self.log, aside)
                .map_err(ClusterError::file("put aside", &self.log))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.log)
            .map_err(ClusterError::file("open", &self.log))?;
        self.account.give(&self.log)?;
        Ok(file)
    }

    /// Takes the cluster for this process. The lock is on an open file, so it
    /// ends with the process however that ends; children do not inherit it.
    pub(super) fn lock(&self) -> Result<File, ClusterError> {
        let path = self.place.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(ClusterError::file("open", &path))?;
        self.account.give(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(ClusterError::InUse(self.place.clone())),
            Err(error) => Err(ClusterError::file("lock", &path)(error.into())),
        }
    }

    /// A private directory for the socket, short enough for one.
    pub(super) fn socket_dir(&self) -> Result<PathBuf, ClusterError> {
        let here = self.place.join("socket");
        if here.as_os_str().len() <= LONGEST_SOCKET_DIR {
            private_directory(&here, self.account)?;
            return Ok(here);
        }
        let inode = std::fs::metadata(&self.place)
            .map_err(ClusterError::file("look at", &self.place))?
            .ino();
        // Anyone may have made a directory of that name: only one that is
        // private and the server's own will do.
        for attempt in 0..SHORT_NAMES {
            let uid = self.account.uid;
            let short = PathBuf::from(format!("/tmp/berth-{uid}-{inode:x}-{attempt}"));
            let made = DirBuilder::new().mode(0o700).create(&short);
            if made.is_ok() {
                self.account.give(&short)?;
            }
            let ours = std::fs::symlink_metadata(&short).is_ok_and(|data| {
                data.is_dir() && data.uid() == uid && data.mode() & 0o777 == 0o700
            });
            if ours {
                return Ok(short);
            }
        }
        Err(ClusterError::NoSocketDirectory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_behind_a_closed_door_sends_the_cluster_elsewhere() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can choose another user.
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let closed = dir.path().join("home");
        DirBuilder::new().mode(0o700).create(&closed).unwrap();
        let account = Account::choose(Some((65534, 65534))).unwrap();
        let elsewhere = dir.path().join("elsewhere");
        let data_dir = closed.join("berth-data");
        let first = place(&data_dir, account, &elsewhere).unwrap();
        assert!(first.starts_with(&elsewhere));
        assert_eq!(place(&data_dir, account, &elsewhere).unwrap(), first);
        assert_eq!(std::fs::metadata(&first).unwrap().uid(), 65534);

        let open = dir.path().join("open");
        DirBuilder::new().mode(0o755).create(&open).unwrap();
        let here = place(&open, account, &elsewhere).unwrap();
        assert!(here.starts_with(open.canonicalize().unwrap()));
    }
}
