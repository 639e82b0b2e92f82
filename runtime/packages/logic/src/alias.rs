//! The terminal's aliases: short names of scripts.
//!
//! Only what a person changed is saved, so that a newer distribution brings
//! its new commands to nodes that exist already.

use std::collections::BTreeMap;

use node_types::{alias::canonical, ProcessId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
/// What the terminal understands itself, before it looks for a script.
pub const OWN_WORDS: [&str; 3] = ["exit", "logout", "verbosity"];
/// Most changes that are kept.
pub const MOST_CHANGES: usize = 1000;
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
    /// Asks what every alias stands for.
    ListAliases,
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
    /// Reads saved aliases; whatever of them is unreadable counts as absent.
    #[must_use]
    pub fn from_saved(bytes: &[u8]) -> Self {
        let saved: BTreeMap<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
        let read = |(name, process)| Some((name, serde_json::from_value(process).ok()?));
        Self {
            changes: saved.into_iter().filter_map(read).collect(),
        }
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
        self.get(word).or_else(|| word.parse().ok()).map(canonical)
    }

    /// Every name, and the script that it stands for.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&str, ProcessId> {
        let changed = self.changes.keys().map(String::as_str);
        changed
            .chain(DEFAULTS)
            .filter_map(|name| Some((name, self.get(name)?)))
            .collect()
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
        let usable = check_name(name).is_ok();
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

/// Whether `name` may name a script.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check_name(name: &str) -> Result<(), String> {
    if OWN_WORDS.contains(&name) {
        return Err(format!("'{name}' is a word of the terminal itself"));
    }
    let usable = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    if usable {
        return Ok(());
    }
    Err(format!(
        "'{name}' cannot be a name: write at most {LONGEST_NAME} bytes without white space"
    ))
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
        assert_eq!(
            aliases.resolve("download:app_store:sys"),
            Some(id("download:app-store:sys"))
        );
    }

    #[test]
    fn all_are_the_defaults_and_what_was_changed() {
        let mut aliases = Aliases::default();
        assert_eq!(aliases.all().len(), DEFAULTS.len());
        aliases.edit("top", None);
        aliases.edit("echo", Some("a:b:c.dev"));
        aliases.edit("hello", Some("hello:my_scripts:alice.dev"));
        let all = aliases.all();
        assert_eq!(all.len(), DEFAULTS.len());
        assert_eq!((all.get("top"), &all["echo"]), (None, &id("a:b:c.dev")));
        assert_eq!(all["hello"], id("hello:my_scripts:alice.dev"));
    }

    #[test]
    fn what_the_terminal_understands_itself_names_nothing_else() {
        let mut aliases = Aliases::default();
        for name in OWN_WORDS.into_iter().chain(["", "a b", "a\u{7}"]) {
            assert_eq!(aliases.edit(name, Some("a:b:c")), Edit::InvalidProcessId);
            assert!(check_name(name).is_err());
        }
        assert_eq!(aliases.edit("größe", Some("a:b:c")), Edit::AliasSet);
    }

    #[test]
    fn one_unreadable_alias_costs_no_other() {
        let saved = br#"{"a":"a:b:c","b":"no id","top":null,"d":7}"#;
        let aliases = Aliases::from_saved(saved);
        assert_eq!(
            (aliases.get("a"), aliases.get("top")),
            (Some(id("a:b:c")), None)
        );
        assert_eq!((aliases.get("b"), aliases.get("d")), (None, None));
        assert_eq!(Aliases::from_saved(b"\xff"), Aliases::default());
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
