//! Finding Postgres' programs, of the version that the data needs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ClusterError;

/// Where systems put versions side by side.
const VERSIONED: [&str; 2] = ["/usr/lib/postgresql", "/usr/libexec/postgresql"];
/// Where else they put one.
const FIXED: [&str; 3] = [
    "/usr/local/pgsql/bin",
    "/usr/lib/postgresql/bin",
    "/usr/bin",
];

/// The programs of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) postgres: PathBuf,
    pub(super) initdb: PathBuf,
    major: u32,
}

impl Binaries {
    /// The installation that can use `data`: of its version if there is data,
    /// else the newest.
    pub(super) fn find(search: Option<&[PathBuf]>, data: &Path) -> Result<Self, ClusterError> {
        let directories = search.map_or_else(usual_directories, <[PathBuf]>::to_vec);
        let mut found: Vec<Self> = directories.iter().filter_map(|dir| Self::of(dir)).collect();
        found.sort_by_key(|binaries| binaries.major);
        let newest = found.last().ok_or(ClusterError::MissingBinaries)?;
        let version_file = data.join("PG_VERSION");
        let wanted = match std::fs::read_to_string(&version_file) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(newest.clone());
            }
            Err(error) => return Err(ClusterError::file("read", &version_file)(error)),
        };
        let same = |binaries: &&Self| binaries.major.to_string() == wanted;
        found
            .iter()
            .find(same)
            .cloned()
            .ok_or_else(|| ClusterError::ForeignVersion {
                data: wanted,
                binary: newest.major.to_string(),
                dir: data.to_owned(),
            })
    }

    fn of(dir: &Path) -> Option<Self> {
        let (postgres, initdb) = (dir.join("postgres"), dir.join("initdb"));
        if !postgres.is_file() || !initdb.is_file() {
            return None;
        }
        let output = Command::new(&postgres)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let major = major(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self {
            postgres,
            initdb,
            major,
        })
    }
}

/// The major version in the answer to `--version`: `postgres (PostgreSQL) 15.4`.
fn major(text: &str) -> Option<u32> {
    let number = text.split(") ").nth(1)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn usual_directories() -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    for parent in VERSIONED {
        let Ok(versions) = std::fs::read_dir(parent) else {
            continue;
        };
        directories.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    directories.extend(FIXED.map(PathBuf::from));
    directories.sort();
    directories.dedup();
    directories
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_kind_of_build() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0)"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn an_empty_machine_is_told_what_to_install() {
        let dir = tempfile::tempdir().unwrap();
        let search = [dir.path().to_owned()];
        let error = Binaries::find(Some(&search), dir.path()).unwrap_err();
        assert!(
            error.to_string().contains("apt-get install postgresql"),
            "{error}"
        );
        assert!(error.to_string().contains("--database-url"), "{error}");
    }
}
