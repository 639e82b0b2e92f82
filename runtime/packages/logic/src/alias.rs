//! The terminal's aliases: short names of scripts.
//!
//! Only what a person changed is saved, so that a newer distribution brings
//! its new commands to nodes that exist already.

use std::collections::BTreeMap;

use node_types::ProcessId;
use serde::{Deserialize, Serialize};

/// Names every node knows from the start; each is a script of `terminal:sys`,
/// whose names have dashes where names once had underscores.
pub const DEFAULTS: [&str; 13] = [
    "alias",
    "cat",
    "echo",
    "help",
    "hi",
    "kfetch",
    "kill",
    "m",
    "net-diagnostics",
    "net_diagnostics",
    "peer",
    "peers",
    "top",
];
/// Most changes that are kept.
const MOST_CHANGES: usize = 1000;
/// Longest alias, in bytes.
const LONGEST_NAME: usize = 64;

/// The aliases in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Aliases {
    /// Name to script, or to `None` where a default was removed.
    changes: BTreeMap<String, Option<ProcessId>>,
}

/// What a script of the terminal's own package asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub enum Request {
    /// Sets or removes an alias.
    EditAlias {
        /// The short name.
        alias: String,
        /// The script's process id; none removes the alias.
        process: Option<String>,
    },
}

/// The answer to [`Request::EditAlias`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// It now names the script.
    AliasSet,
    /// It names nothing any more.
    AliasRemoved,
    /// It named nothing before either.
    AliasNotFound,
    /// What it should name is no process id, or the name is unusable.
    InvalidProcessId,
}

impl Aliases {
    /// Reads saved aliases; anything unreadable counts as none.
    #[must_use]
    pub fn from_saved(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// What to save.
    #[must_use]
    pub fn to_saved(&self) -> Vec<u8> {
        // A map with string keys always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The script that `name` stands for.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ProcessId> {
        if let Some(change) = self.changes.get(name) {
            return change.clone();
        }
        DEFAULTS
            .contains(&name)
            .then(|| ProcessId::new(&name.replace('_', "-"), "terminal", "sys").ok())
            .flatten()
    }

    /// The script that the first word of a line means: an alias, else a
    /// process id.
    #[must_use]
    pub fn resolve(&self, word: &str) -> Option<ProcessId> {
        self.get(word).or_else(|| word.parse().ok())
    }

    /// Applies `EditAlias`.
    pub fn edit(&mut self, name: &str, process: Option<&str>) -> Edit {
        let Some(process) = process else {
            if self.get(name).is_none() {
                return Edit::AliasNotFound;
            }
            if DEFAULTS.contains(&name) {
                self.changes.insert(name.to_owned(), None);
            } else {
                self.changes.remove(name);
            }
            return Edit::AliasRemoved;
        };
        let usable = !name.is_empty()
            && name.len() <= LONGEST_NAME
            && !name.contains(|c: char| c.is_whitespace() || c.is_control());
        let room = self.changes.len() < MOST_CHANGES || self.changes.contains_key(name);
        match process.parse() {
            Ok(id) if usable && room => {
                self.changes.insert(name.to_owned(), Some(id));
                Edit::AliasSet
            }
            _ => Edit::InvalidProcessId,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ProcessId {
        text.parse().unwrap()
    }

    #[test]
    fn defaults_are_there_and_ids_need_no_alias() {
        let aliases = Aliases::default();
        assert_eq!(aliases.resolve("top"), Some(id("top:terminal:sys")));
        for name in ["net-diagnostics", "net_diagnostics"] {
            let script = id("net-diagnostics:terminal:sys");
            assert_eq!(aliases.resolve(name), Some(script));
        }
        assert_eq!(aliases.resolve("x:y:z.dev"), Some(id("x:y:z.dev")));
        assert_eq!(aliases.resolve("nonsense"), None);
        assert_eq!(aliases.resolve("a:b"), None);
    }

    #[test]
    fn edits_survive_saving_and_defaults_can_be_taken_away() {
        let mut aliases = Aliases::default();
        assert_eq!(aliases.edit("t", Some("top:terminal:sys")), Edit::AliasSet);
        assert_eq!(aliases.edit("top", None), Edit::AliasRemoved);
        assert_eq!(aliases.edit("nothing", None), Edit::AliasNotFound);
        assert_eq!(aliases.edit("x", Some("no id")), Edit::InvalidProcessId);
        assert_eq!(aliases.edit("a b", Some("a:b:c")), Edit::InvalidProcessId);

        let mut again = Aliases::from_saved(&aliases.to_saved());
        assert_eq!(again, aliases);
        assert_eq!(again.get("t"), Some(id("top:terminal:sys")));
        assert_eq!(again.get("top"), None);
        assert_eq!(again.edit("top", None), Edit::AliasNotFound);
        assert_eq!(again.edit("t", None), Edit::AliasRemoved);
        assert_eq!(again.get("t"), None);
    }

    #[test]
    fn changes_are_bounded() {
        let mut aliases = Aliases::default();
        for n in 0..MOST_CHANGES {
            assert_eq!(
                aliases.edit(&format!("a{n}"), Some("a:b:c")),
                Edit::AliasSet
            );
        }
        assert_eq!(aliases.edit("more", Some("a:b:c")), Edit::InvalidProcessId);
        assert_eq!(aliases.edit("a1", Some("d:e:f")), Edit::AliasSet);
    }

    #[test]
    fn the_request_has_its_public_shape() {
        let request: Request =
            serde_json::from_str(r#"{"EditAlias":{"alias":"hi","process":null}}"#).unwrap();
        assert_eq!(
            request,
            Request::EditAlias {
                alias: "hi".to_owned(),
                process: None
            }
        );
    }
}
