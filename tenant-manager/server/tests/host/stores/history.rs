//! What one writer did to a store, and whether what is found there is a part of
//! it that may be: all that was promised, nothing half, nothing else.

use std::collections::BTreeMap;
use std::time::Instant;

/// What a writer has in a store.
pub type Entries = BTreeMap<String, String>;
/// What is done as one: keys with their new values, or without.
pub type Change = Vec<(String, Option<String>)>;

/// Changes of one writer, one after the other.
#[derive(Debug, Default)]
pub struct History {
    /// What was found last.
    base: Entries,
    /// The same with all changes since.
    now: Entries,
    /// Since then, and when they were acknowledged.
    changes: Vec<(Change, Option<Instant>)>,
}

/// How a comparison ended well.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled {
    /// Changes that were acknowledged.
    pub acknowledged: usize,
    /// Those of them that had to be there.
    pub promised: usize,
    /// Those that are not there, and had not to be.
    pub lost: usize,
}

fn apply(entries: &mut Entries, change: &Change) {
    for (key, value) in change {
        match value {
            Some(value) => _ = entries.insert(key.clone(), value.clone()),
            None => _ = entries.remove(key),
        }
    }
}

impl History {
    /// What is there once all is done.
    pub fn now(&self) -> &Entries {
        &self.now
    }

    /// A change is asked for.
    pub fn begin(&mut self, change: Change) {
        apply(&mut self.now, &change);
        self.changes.push((change, None));
    }

    /// The last change was acknowledged.
    pub fn acknowledged(&mut self) {
        self.changes.last_mut().unwrap().1 = Some(Instant::now());
    }

    /// Compares with what is found, and goes on from there. What was
    /// acknowledged before `promised` must be in it, or all of it if none is
    /// given; what came later may be there up to some change, each as a whole.
    ///
    /// # Errors
    /// What is wrong with `found`.
    pub fn settle(&mut self, found: Entries, promised: Option<Instant>) -> Result<Settled, String> {
        let kept = |at: Instant| promised.is_none_or(|promised| at <= promised);
        let is_promised = |(_, at): &(Change, Option<Instant>)| at.is_some_and(kept);
        let least = self.changes.iter().take_while(|it| is_promised(it)).count();
        let acknowledged = self.changes.iter().filter(|(_, at)| at.is_some()).count();
        let mut entries = self.base.clone();
        let mut promise = Entries::new();
        let mut matching = None;
        for done in 0..=self.changes.len() {
            if done == least {
                promise.clone_from(&entries);
            }
            if done >= least && entries == found {
                matching = Some(done);
            }
            if let Some((change, _)) = self.changes.get(done) {
                apply(&mut entries, change);
            }
        }
        let Some(done) = matching else {
            let later = self.changes.len() - least;
            let why = difference(&promise, &found);
            return Err(format!("{why} ({later} changes may have followed)"));
        };
        self.base.clone_from(&found);
        self.now = found;
        self.changes.clear();
        Ok(Settled {
            acknowledged,
            promised: least,
            lost: acknowledged.saturating_sub(done),
        })
    }
}

/// The keys that differ, and how.
fn difference(promised: &Entries, found: &Entries) -> String {
    let mut told = Vec::new();
    for (key, value) in promised {
        match found.get(key) {
            Some(there) if there == value => {}
            there => told.push(format!("{key}: {there:?} found, {value:?} promised")),
        }
    }
    for (key, value) in found {
        if !promised.contains_key(key) {
            told.push(format!("{key}: {value:?} found, nothing promised"));
        }
    }
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn set(key: &str, value: &str) -> (String, Option<String>) {
        (key.to_owned(), Some(value.to_owned()))
    }

    fn entries(pairs: &[(&str, &str)]) -> Entries {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    /// Two changes, of which the second has two parts and one was acknowledged.
    fn history() -> History {
        let mut history = History::default();
        history.begin(vec![set("a", "1")]);
        history.acknowledged();
        history.begin(vec![set("a", "2"), set("b", "2")]);
        history
    }

    #[test]
    fn the_checker_takes_what_was_promised_with_or_without_what_was_under_way() {
        for found in [&[("a", "1")] as &[_], &[("a", "2"), ("b", "2")]] {
            let mut history = history();
            let settled = history.settle(entries(found), None).unwrap();
            assert_eq!((settled.acknowledged, settled.lost), (1, 0));
            assert_eq!(history.now(), &entries(found));
            // It goes on from what it found.
            assert!(history.settle(entries(found), None).is_ok());
            assert!(history.settle(Entries::new(), None).is_err());
        }
    }

    #[test]
    fn the_checker_sees_what_is_lost_half_there_old_or_not_from_the_writer() {
        for found in [
            &[] as &[(&str, &str)],
            &[("a", "2")],
            &[("a", "1"), ("b", "2")],
            &[("a", "3")],
            &[("a", "1"), ("c", "1")],
        ] {
            let refused = history().settle(entries(found), None);
            assert!(refused.is_err(), "{found:?}");
        }
    }

    #[test]
    fn what_was_acknowledged_after_the_promise_may_be_lost() {
        let before = Instant::now() - Duration::from_secs(1);
        let settled = history().settle(Entries::new(), Some(before)).unwrap();
        assert_eq!((settled.acknowledged, settled.lost), (1, 1));
        let later = Instant::now() + Duration::from_secs(1);
        assert!(history().settle(Entries::new(), Some(later)).is_err());
    }
}
