//! Which directories are on the disk with the names that are in them.
//!
//! Making a file's content durable is not enough if a power cut may take its
//! name, or that of a directory above it. Invariant: a directory is known here
//! only if it was synced after the last entry was made or replaced in it, so
//! that repeated syncs of one file cost one call. Whoever changes a directory
//! says so afterwards. Forgotten with the node: at first nothing is known.

use std::collections::HashSet;
use std::io;

use parking_lot::Mutex;

/// Most directories remembered; beyond them all are synced again.
const MAX_KNOWN: usize = 1024;

#[derive(Debug, Default)]
struct Known {
    dirs: HashSet<String>,
    /// Counts what is told to [`Synced::changed`] and [`Synced::moved`].
    changes: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Synced(Mutex<Known>);

impl Synced {
    /// An entry was made or replaced in `dir`.
    pub(crate) fn changed(&self, dir: &str) {
        let mut known = self.0.lock();
        known.changes += 1;
        known.dirs.remove(dir);
    }

    /// Directories moved: paths mean others than before.
    pub(crate) fn moved(&self) {
        let mut known = self.0.lock();
        known.changes += 1;
        known.dirs.clear();
    }

    /// Calls `sync` for each of `dirs` that is not known to be on the disk.
    pub(crate) fn ensure<'a>(
        &self,
        dirs: impl Iterator<Item = &'a str>,
        mut sync: impl FnMut(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        for dir in dirs {
            let before = {
                let known = self.0.lock();
                if known.dirs.contains(dir) {
                    continue;
                }
                known.changes
            };
            sync(dir)?;
            let mut known = self.0.lock();
            // What changed meanwhile may have come too late for the call.
            if known.changes == before {
                if known.dirs.len() >= MAX_KNOWN {
                    known.dirs.clear();
                }
                known.dirs.insert(dir.to_owned());
            }
        }
        Ok(())
    }
}

/// The directory that `relative` is in.
pub(crate) fn dir_of(relative: &str) -> &str {
    relative.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The directories above `relative`, from the one it is in up to the top,
/// which is empty.
pub(crate) fn above(relative: &str) -> impl Iterator<Item = &str> {
    let mut next = Some(dir_of(relative));
    std::iter::from_fn(move || {
        let dir = next?;
        next = (!dir.is_empty()).then(|| dir_of(dir));
        Some(dir)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is synced for the file `relative`.
    fn ensured(synced: &Synced, relative: &str) -> Vec<String> {
        let mut calls = Vec::new();
        let done = synced.ensure(above(relative), |dir| {
            calls.push(dir.to_owned());
            Ok(())
        });
        done.unwrap();
        calls
    }

    #[test]
    fn every_directory_above_is_synced_once_and_again_after_a_change() {
        let synced = Synced::default();
        assert_eq!(
            ensured(&synced, "p:q/d/a/f"),
            ["p:q/d/a", "p:q/d", "p:q", ""]
        );
        assert!(ensured(&synced, "p:q/d/a/f").is_empty());
        assert_eq!(ensured(&synced, "p:q/d/b/f"), ["p:q/d/b"]);
        synced.changed("p:q/d");
        assert_eq!(ensured(&synced, "p:q/d/a/f"), ["p:q/d"]);
        synced.moved();
        assert_eq!(ensured(&synced, "p:q/f"), ["p:q", ""]);
    }

    #[test]
    fn a_directory_that_changes_or_fails_while_it_is_synced_stays_unknown() {
        let synced = Synced::default();
        let during = synced.ensure(std::iter::once("d"), |dir| {
            synced.changed(dir);
            Ok(())
        });
        during.unwrap();
        assert_eq!(ensured(&synced, "d/f"), ["d", ""]);
        synced.changed("d");
        let failed = synced.ensure(std::iter::once("d"), |_| Err(io::Error::other("no")));
        assert!(failed.is_err());
        assert_eq!(ensured(&synced, "d/f"), ["d"]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let synced = Synced::default();
        for number in 0..MAX_KNOWN * 3 {
            ensured(&synced, &format!("{number}/f"));
        }
        assert!(synced.0.lock().dirs.len() <= MAX_KNOWN);
    }
}
