//! Becoming an unprivileged user when started as root.
//!
//! Invariant: after [`Privileges::drop_to`] nothing of this process can get
//! root back. Must run before any thread is started.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::unistd::{Gid, Uid, User, geteuid, setgid, setgroups, setuid};
use tenant_storage_pg::cluster::{Account, ClusterOptions, place};

/// Users to become, best first, when none is named.
const CANDIDATES: [&str; 2] = ["berth", "nobody"];

/// The unprivileged user a host started as root becomes.
#[derive(Debug, Clone)]
pub struct Privileges {
    user: Uid,
    group: Gid,
    name: String,
}

impl Privileges {
    /// Whom to become; `None` when not started as root.
    ///
    /// # Errors
    /// The named user does not exist or is root itself.
    pub fn find(named: Option<&str>) -> anyhow::Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let candidates: Vec<&str> = named.map_or_else(|| CANDIDATES.to_vec(), |name| vec![name]);
        for name in &candidates {
            let found = User::from_name(name).with_context(|| format!("look up user {name}"))?;
            if let Some(found) = found {
                if found.uid.is_root() {
                    bail!("run-as: {name} is root; name an unprivileged user");
                }
                let name = found.name;
                return Ok(Some(Self {
                    user: found.uid,
                    group: found.gid,
                    name,
                }));
            }
        }
        bail!(
            "started as root, but there is no user {}: create one with `useradd --system berth`, \
             or name another with --run-as",
            candidates.join(" or ")
        )
    }

    /// Who keeps `data_dir`, as user and group, for commands run as root on the
    /// data of a host: its owner, or whom a host would become.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn keeper(data_dir: &Path, named: Option<&str>) -> anyhow::Result<Option<(u32, u32)>> {
        let Some(found) = Self::find(named)? else {
            return Ok(None);
        };
        Ok(match std::fs::metadata(data_dir) {
            Ok(metadata) if metadata.uid() != 0 => Some((metadata.uid(), metadata.gid())),
            _ => Some((found.user.as_raw(), found.group.as_raw())),
        })
    }

    /// Gives `directory` and everything in it to the user, unless it is the
    /// user's already.
    ///
    /// # Errors
    /// A file that cannot be given away.
    pub fn own(&self, directory: &Path) -> anyhow::Result<()> {
        let metadata = std::fs::symlink_metadata(directory)
            .with_context(|| format!("inspect {}", directory.display()))?;
        if metadata.uid() == self.user.as_raw() {
            return Ok(());
        }
        // Children first: an interrupted change is then noticed next time.
        let mut stack: Vec<(PathBuf, bool)> = vec![(directory.to_owned(), false)];
        while let Some((path, children_done)) = stack.pop() {
            let metadata = std::fs::symlink_metadata(&path)
                .with_context(|| format!("inspect {}", path.display()))?;
            if metadata.is_dir() && !children_done {
                stack.push((path.clone(), true));
                let listing =
                    std::fs::read_dir(&path).with_context(|| format!("list {}", path.display()))?;
                for entry in listing {
                    let entry = entry.with_context(|| format!("list {}", path.display()))?;
                    stack.push((entry.path(), false));
                }
                continue;
            }
            if !metadata.is_symlink() {
                chown(&path, Some(self.user.as_raw()), Some(self.group.as_raw()))
                    .with_context(|| format!("give {} to {}", path.display(), self.name))?;
            }
        }
        Ok(())
    }

    /// Whether the user can pass through every directory above `path`.
    #[must_use]
    pub fn can_reach(&self, path: &Path) -> bool {
        path.ancestors().skip(1).all(|directory| {
            directory.as_os_str().is_empty()
                || std::fs::metadata(directory).is_ok_and(|metadata| {
                    let mode = metadata.mode();
                    let bit = if metadata.uid() == self.user.as_raw() {
                        0o100
                    } else if metadata.gid() == self.group.as_raw() {
                        0o010
                    } else {
                        0o001
                    };
                    mode & bit != 0
                })
        })
    }

    /// Chooses the place of the private database, which may be outside a data
    /// directory that the user cannot reach by its path.
    ///
    /// # Errors
    /// The place cannot be made.
    pub fn place_cluster(&self, data_dir: &Path) -> anyhow::Result<()> {
        let run_as = Some((self.user.as_raw(), self.group.as_raw()));
        let account = Account::choose(run_as)?;
        place(
            data_dir,
            account,
            &ClusterOptions::new(data_dir.to_owned()).elsewhere,
        )?;
        Ok(())
    }

    /// Becomes the user for good.
    ///
    /// # Errors
    /// The kernel refused, or root could be got back.
    pub fn drop_to(&self) -> anyhow::Result<()> {
        setgroups(&[self.group]).context("drop supplementary groups")?;
        setgid(self.group).context("change group")?;
        setuid(self.user).with_context(|| format!("become {}", self.name))?;
        if setuid(Uid::from_raw(0)).is_ok() {
            bail!("root privileges could be regained after dropping them");
        }
        Ok(())
    }

    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
