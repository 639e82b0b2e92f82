//! Open files and cursors: one of each per path for the whole node.
//!
//! Invariants: at most [`MAX_OPEN`] descriptors and [`MAX_CURSORS`] cursors are
//! kept; when there are more, the least recently used half goes. A closed file
//! is opened again when needed and its cursor goes on where it was; a forgotten
//! cursor starts at 0. A call under way keeps its file whatever happens here.

use std::collections::HashMap;
use std::sync::Arc;

use cap_std::fs::File;
use parking_lot::Mutex;

/// Most files kept open per node.
pub(crate) const MAX_OPEN: usize = 32;
/// Most cursors remembered per node.
pub(crate) const MAX_CURSORS: usize = 8192;

#[derive(Debug, Default)]
struct Entry {
    file: Option<Arc<File>>,
    cursor: u64,
    last_used: u64,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<String, Entry>,
    open: usize,
    clock: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Handles(Mutex<Table>);

impl Handles {
    /// The open file of `path`, if it is open, and its cursor.
    pub(crate) fn get(&self, path: &str) -> (Option<Arc<File>>, u64) {
        let mut table = self.0.lock();
        table.clock += 1;
        let clock = table.clock;
        match table.entries.get_mut(path) {
            Some(entry) => {
                entry.last_used = clock;
                (entry.file.clone(), entry.cursor)
            }
            None => (None, 0),
        }
    }

    /// Keeps `file` as the open file of `path`, with its cursor at `cursor`.
    pub(crate) fn keep(&self, path: &str, file: Arc<File>, cursor: u64) {
        let mut table = self.0.lock();
        table.clock += 1;
        let clock = table.clock;
        let entry = table.entries.entry(path.to_owned()).or_default();
        entry.cursor = cursor;
        entry.last_used = clock;
        if entry.file.replace(file).is_none() {
            table.open += 1;
        }
        table.bound();
    }

    /// Moves the cursor of `path`.
    pub(crate) fn seek(&self, path: &str, cursor: u64) {
        let mut table = self.0.lock();
        if let Some(entry) = table.entries.get_mut(path) {
            entry.cursor = cursor;
        }
    }

    /// Closes the file of `path` because another took its place; the cursor
    /// stays.
    pub(crate) fn replaced(&self, path: &str) {
        let mut table = self.0.lock();
        if let Some(entry) = table.entries.get_mut(path)
            && entry.file.take().is_some()
        {
            table.open -= 1;
        }
    }

    /// Forgets file and cursor of `path` and of everything beneath it.
    pub(crate) fn forget(&self, path: &str) {
        let mut table = self.0.lock();
        table.remove(path);
        let beneath: Vec<String> = table
            .entries
            .keys()
            .filter(|other| is_beneath(other, path))
            .cloned()
            .collect();
        for other in beneath {
            table.remove(&other);
        }
    }

    /// Forgets file and cursor of `path` alone.
    pub(crate) fn close(&self, path: &str) {
        self.0.lock().remove(path);
    }
}

fn is_beneath(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.starts_with('/'))
}

impl Table {
    fn remove(&mut self, path: &str) {
        if let Some(entry) = self.entries.remove(path)
            && entry.file.is_some()
        {
            self.open -= 1;
        }
    }

    fn bound(&mut self) {
        if self.open > MAX_OPEN {
            let oldest = self.older_half(|entry| entry.file.is_some());
            for entry in self.entries.values_mut() {
                if entry.last_used <= oldest && entry.file.take().is_some() {
                    self.open -= 1;
                }
            }
        }
        if self.entries.len() > MAX_CURSORS {
            let oldest = self.older_half(|_| true);
            self.entries.retain(|_, entry| entry.last_used > oldest);
            let still_open = self.entries.values().filter(|entry| entry.file.is_some());
            self.open = still_open.count();
        }
    }

    /// When the last of the less recently used half of `which` was used.
    fn older_half(&self, which: impl Fn(&Entry) -> bool) -> u64 {
        let wanted = self.entries.values().filter(|entry| which(entry));
        let mut times: Vec<u64> = wanted.map(|entry| entry.last_used).collect();
        times.sort_unstable();
        let middle = (times.len() / 2).saturating_sub(1);
        times.get(middle).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Arc<File> {
        Arc::new(File::from_std(tempfile::tempfile().unwrap()))
    }

    #[test]
    fn the_less_recently_used_half_is_closed_and_cursors_stay() {
        let handles = Handles::default();
        for number in 0..=MAX_OPEN {
            handles.keep(&number.to_string(), file(), number as u64);
            handles.get("0");
        }
        let open = |number: usize| handles.get(&number.to_string());
        assert!(open(0).0.is_some(), "recently used");
        assert!(open(MAX_OPEN).0.is_some());
        let (file, cursor) = open(1);
        assert!(file.is_none() && cursor == 1);
        assert!(handles.0.lock().open <= MAX_OPEN);
    }

    #[test]
    fn cursors_are_bounded() {
        let handles = Handles::default();
        let file = file();
        for number in 0..MAX_CURSORS * 2 {
            handles.keep(&number.to_string(), file.clone(), 7);
        }
        let table = handles.0.lock();
        assert!(table.entries.len() <= MAX_CURSORS);
        let open = table.entries.values().filter(|entry| entry.file.is_some());
        assert_eq!(open.count(), table.open);
    }

    #[test]
    fn forgetting_a_directory_forgets_what_is_in_it_only() {
        let handles = Handles::default();
        for path in ["a", "a/b", "a/b/c", "ab"] {
            handles.keep(path, file(), 5);
        }
        handles.forget("a");
        assert_eq!(handles.get("a/b/c").1, 0);
        assert_eq!(handles.get("ab").1, 5);
        assert_eq!(handles.0.lock().open, 1);
    }
}
