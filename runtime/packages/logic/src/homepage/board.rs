//! Everything on the homepage, and the order it stands in.
//!
//! Invariants: at most [`MOST_ENTRIES`] entries, of them [`MOST_OF_PACKAGE`]
//! of one package, with [`MOST_BULK`] bytes of icons and widgets together; a
//! process' entry is put up by that process only. An entry whose process is
//! gone is not shown, but keeps its place until the homepage starts again or
//! needs the room: a process that is being updated is gone for a moment.

use std::collections::BTreeMap;

use node_types::ProcessId;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Offer};
use super::request::MOST_STYLESHEET;
use crate::processes::Processes;

/// Most entries.
pub const MOST_ENTRIES: usize = 256;
/// Most entries of one package: it may spawn processes at will.
pub const MOST_OF_PACKAGE: usize = 16;
/// Most bytes of icons and widgets.
pub const MOST_BULK: usize = 8 << 20;
/// Most places remembered; more than entries, for apps that come and go.
const MOST_PLACES: usize = 2 * MOST_ENTRIES;

/// Where its owner put an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Place {
    order: Option<u32>,
    favorite: bool,
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Board {
    entries: BTreeMap<ProcessId, Entry>,
    places: BTreeMap<ProcessId, Place>,
    stylesheet: Option<String>,
}

/// What a request changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Whether anything did.
    pub changed: bool,
    /// Sentences for the app's author.
    pub remarks: Vec<&'static str>,
}

/// An entry as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Whose it is.
    pub id: &'a ProcessId,
    /// What it says.
    pub entry: &'a Entry,
    /// Whether it is a favourite.
    pub favorite: bool,
}

impl Board {
    /// Reads saved state; `None` when it is unreadable.
    #[must_use]
    pub fn from_saved(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// What to save.
    #[must_use]
    pub fn to_saved(&self) -> Vec<u8> {
        // Maps with string keys always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Puts up the entry of `process`. `alive` is asked for the processes of
    /// the node when room is short.
    pub fn add(
        &mut self,
        process: &ProcessId,
        offer: Offer,
        alive: impl FnOnce() -> Option<Processes>,
    ) -> Change {
        let refused = |remark| Change {
            changed: false,
            remarks: vec![remark],
        };
        if process.package() == "distro" && process.publisher() == "sys" {
            return refused("the modules of the host have no pages");
        }
        let (mut entry, mut remarks) = Entry::take(process, offer);
        if self.entries.get(process) == Some(&entry) {
            return Change {
                changed: false,
                remarks,
            };
        }
        if !self.has_room(process) {
            if let Some(alive) = alive() {
                self.drop_gone(&alive);
            }
            if !self.has_room(process) {
                return refused("there are too many entries on the homepage already");
            }
        }
        if self.bulk_without(process) + entry.bulk() > MOST_BULK {
            entry.strip();
            remarks.push("the homepage has no room for more icons and widgets");
        }
        self.entries.insert(process.clone(), entry);
        Change {
            changed: true,
            remarks,
        }
    }

    fn has_room(&self, process: &ProcessId) -> bool {
        let of_package = self.entries.keys().filter(|id| id.same_package(process));
        self.entries.contains_key(process)
            || (self.entries.len() < MOST_ENTRIES && of_package.count() < MOST_OF_PACKAGE)
    }

    fn bulk_without(&self, process: &ProcessId) -> usize {
        let others = self.entries.iter().filter(|(id, _)| *id != process);
        others.map(|(_, entry)| entry.bulk()).sum()
    }

    /// Takes the entry of `process` down; its place is kept.
    pub fn remove(&mut self, process: &ProcessId) -> bool {
        self.entries.remove(process).is_some()
    }

    /// Takes the entry of `process` down for good.
    pub fn forget(&mut self, process: &ProcessId) -> bool {
        let placed = self.places.remove(process).is_some();
        self.remove(process) || placed
    }

    /// Drops entries whose process is not among `alive`.
    pub fn drop_gone(&mut self, alive: &Processes) -> bool {
        let before = self.entries.len();
        self.entries.retain(|id, _| alive.contains(id));
        self.entries.len() != before
    }

    /// Puts entries in order; others keep the place they have.
    pub fn put_in_order(&mut self, order: &[(ProcessId, u32)]) -> bool {
        let mut changed = false;
        for (id, at) in order {
            changed |= self.place(id, |place| place.order = Some(*at));
        }
        changed
    }

    /// Makes an entry a favourite, or not.
    pub fn set_favorite(&mut self, id: &ProcessId, favorite: bool) -> bool {
        self.place(id, |place| place.favorite = favorite)
    }

    /// Changes the place of an entry that is there.
    fn place(&mut self, id: &ProcessId, change: impl FnOnce(&mut Place)) -> bool {
        if !self.entries.contains_key(id) {
            return false;
        }
        if !self.places.contains_key(id) && self.places.len() >= MOST_PLACES {
            let entries = &self.entries;
            self.places.retain(|id, _| entries.contains_key(id));
        }
        let place = self.places.entry(id.clone()).or_default();
        let before = *place;
        change(place);
        *place != before
    }

    /// Replaces the shared stylesheet.
    ///
    /// # Errors
    /// A sentence, when it is too large.
    pub fn set_stylesheet(&mut self, sheet: String) -> Result<bool, &'static str> {
        if sheet.len() > MOST_STYLESHEET {
            return Err("a stylesheet may have 128 KiB");
        }
        let sheet = (!sheet.is_empty()).then_some(sheet);
        let changed = self.stylesheet != sheet;
        self.stylesheet = sheet;
        Ok(changed)
    }

    /// The shared stylesheet, if one was set.
    #[must_use]
    pub fn stylesheet(&self) -> Option<&str> {
        self.stylesheet.as_deref()
    }

    /// The entry of a process, shown or not.
    #[must_use]
    pub fn entry(&self, id: &ProcessId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// What is shown, in its order, given the processes that exist (unknown:
    /// all of them).
    #[must_use]
    pub fn shown(&self, alive: Option<&Processes>) -> Vec<Shown<'_>> {
        let exists = |id: &ProcessId| alive.is_none_or(|alive| alive.contains(id));
        let mut shown: Vec<_> = self
            .entries
            .iter()
            .filter(|(id, _)| exists(id))
            .map(|(id, entry)| {
                let place = self.places.get(id).copied().unwrap_or_default();
                let order = place.order.unwrap_or(u32::MAX);
                let shown = Shown {
                    id,
                    entry,
                    favorite: place.favorite,
                };
                (order, entry.label.to_lowercase(), shown)
            })
            .collect();
        shown.sort_by(|a, b| (a.0, &a.1, a.2.id).cmp(&(b.0, &b.1, b.2.id)));
        shown.into_iter().map(|(_, _, shown)| shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(text: &str) -> ProcessId {
        text.parse().unwrap()
    }

    fn offer(label: &str) -> Offer {
        serde_json::from_value(json!({ "label": label, "path": "/" })).unwrap()
    }

    fn alive(ids: &[&str]) -> Processes {
        let map: serde_json::Map<_, _> =
            ids.iter().map(|id| ((*id).to_owned(), json!({}))).collect();
        Processes::from_json(map.into()).unwrap()
    }

    fn add(board: &mut Board, process: &str, label: &str) -> Change {
        board.add(&id(process), offer(label), || None)
    }

    fn labels(board: &Board) -> Vec<&str> {
        let shown = board.shown(None).into_iter();
        shown.map(|shown| shown.entry.label.as_str()).collect()
    }

    #[test]
    fn entries_are_replaced_by_their_own_process_and_kept_when_alike() {
        let mut board = Board::default();
        assert!(add(&mut board, "a:a:x.dev", "One").changed);
        assert!(!add(&mut board, "a:a:x.dev", "One").changed);
        assert!(add(&mut board, "b:a:x.dev", "Two").changed);
        assert!(add(&mut board, "a:a:x.dev", "Uno").changed);
        assert_eq!(labels(&board), ["Two", "Uno"]);
        assert!(board.remove(&id("a:a:x.dev")));
        assert!(!board.remove(&id("a:a:x.dev")));
        assert!(!add(&mut board, "http-server:distro:sys", "RPC").changed);
    }

    #[test]
    fn order_and_favourites_stay_with_the_process_until_it_is_forgotten() {
        let mut board = Board::default();
        for (process, label) in [("a:a:x", "A"), ("b:b:x", "B"), ("c:c:x", "C")] {
            add(&mut board, process, label);
        }
        let order = [(id("c:c:x"), 0), (id("a:a:x"), 1), (id("zz:z:x"), 2)];
        assert!(board.put_in_order(&order));
        assert!(!board.put_in_order(&order));
        assert_eq!(labels(&board), ["C", "A", "B"]);
        assert!(board.set_favorite(&id("c:c:x"), true));
        assert!(!board.set_favorite(&id("zz:z:x"), true));

        let mut board = Board::from_saved(&board.to_saved()).unwrap();
        board.remove(&id("c:c:x"));
        add(&mut board, "c:c:x", "C again");
        assert_eq!(labels(&board), ["C again", "A", "B"]);
        assert!(board.shown(None)[0].favorite);
        assert!(board.forget(&id("c:c:x")));
        assert!(!board.forget(&id("c:c:x")));
        add(&mut board, "c:c:x", "C");
        assert_eq!(labels(&board), ["A", "B", "C"]);
        assert!(!board.shown(None)[2].favorite);
    }

    #[test]
    fn what_is_gone_is_hidden_and_makes_room() {
        let mut board = Board::default();
        add(&mut board, "a:a:x", "A");
        add(&mut board, "b:b:x", "B");
        let left = alive(&["b:b:x"]);
        assert_eq!(board.shown(Some(&left)).len(), 1);
        assert_eq!(board.shown(None).len(), 2);
        assert!(board.drop_gone(&left) && !board.drop_gone(&left));

        for at in 0..MOST_ENTRIES - 1 {
            assert!(add(&mut board, &format!("p:p{at}:x"), "P").changed, "{at}");
        }
        assert!(!add(&mut board, "late:late:x", "Late").changed);
        let made_room = board.add(&id("late:late:x"), offer("Late"), || Some(left));
        assert!(made_room.changed);
        assert_eq!(labels(&board), ["B", "Late"]);
    }

    #[test]
    fn one_package_cannot_take_all_the_room() {
        let mut board = Board::default();
        for at in 0..MOST_OF_PACKAGE {
            assert!(add(&mut board, &format!("p{at}:p:x"), "P").changed);
        }
        let refused = add(&mut board, "more:p:x", "P");
        assert!(!refused.changed && refused.remarks.len() == 1);
        assert!(add(&mut board, "p0:p:x", "Again").changed);
        assert!(add(&mut board, "q:q:x", "Q").changed);
    }

    #[test]
    fn icons_and_widgets_share_one_limit() {
        let mut board = Board::default();
        let large = || Offer {
            widget: Some("w".repeat(super::super::entry::MOST_WIDGET)),
            ..offer("W")
        };
        let fit = MOST_BULK / super::super::entry::MOST_WIDGET;
        for at in 0..fit {
            let change = board.add(&id(&format!("p:p{at}:x")), large(), || None);
            assert!(change.remarks.is_empty());
        }
        let change = board.add(&id("late:late:x"), large(), || None);
        assert!(change.changed && change.remarks.len() == 1);
        assert_eq!(board.entry(&id("late:late:x")).unwrap().widget, None);
        let again = board.add(
            &id("p:p0:x"),
            Offer {
                label: "New".to_owned(),
                ..large()
            },
            || None,
        );
        assert!(again.changed && again.remarks.is_empty());
    }

    #[test]
    fn stylesheets_are_bounded() {
        let mut board = Board::default();
        assert_eq!(board.set_stylesheet("a{}".to_owned()), Ok(true));
        assert_eq!(board.set_stylesheet("a{}".to_owned()), Ok(false));
        assert!(board
            .set_stylesheet("x".repeat(MOST_STYLESHEET + 1))
            .is_err());
        assert_eq!(board.stylesheet(), Some("a{}"));
        assert_eq!(board.set_stylesheet(String::new()), Ok(true));
        assert_eq!(board.stylesheet(), None);
    }
}
