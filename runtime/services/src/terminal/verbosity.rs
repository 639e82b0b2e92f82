//! What terminals show: a level for each of them, and levels of single
//! processes or packages (*overrides*) in all terminals of a node.
//!
//! Owns the overrides and the line `verbosity` that lists and changes them.
//! Invariants: at most [`MOST`] overrides; one that is in force is saved, so
//! it is there after a restart. They concern open terminals only: a single
//! command line prints what its script prints, and the log keeps everything.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use node_types::{NodeName, PackageId, ProcessId, alias};
use serde_json::Value;
use tokio::sync::{Mutex, watch};

use crate::Sighting;

/// Highest level: every message that the kernel routes.
pub(super) const EVERYTHING: u8 = 3;
/// Most overrides.
const MOST: usize = 100;
/// The word that begins such a line.
const WORD: &str = "verbosity";
const USAGE: &str = "usage: verbosity, verbosity LEVEL, or verbosity PROCESS:PACKAGE:PUBLISHER \
                     LEVEL|mute|default; PACKAGE:PUBLISHER means all its processes, LEVEL is 0 to 3";

/// Where overrides are kept while the node sleeps.
#[async_trait]
pub trait OverrideStore: Send + Sync + fmt::Debug {
    /// What was saved last.
    fn load(&self) -> Option<Vec<u8>>;

    /// Saves them; on return they survive a kill of the host.
    ///
    /// # Errors
    /// A sentence; then the former ones stand.
    async fn save(&self, saved: Vec<u8>) -> Result<(), String>;
}

/// What an override says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Prints up to this verbosity.
    Level(u8),
    /// Nothing.
    Muted,
}

impl Shown {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "mute" | "muted" => Some(Self::Muted),
            _ => level(text).map(Self::Level),
        }
    }

    fn saved(self) -> Value {
        match self {
            Self::Level(level) => level.into(),
            Self::Muted => "muted".into(),
        }
    }

    fn from_saved(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            _ => Self::parse(&value.to_string()),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Muted => f.write_str("muted"),
            Self::Level(EVERYTHING) => write!(f, "{EVERYTHING}, and every message from and to it"),
            Self::Level(level) => write!(f, "{level}"),
        }
    }
}

fn level(text: &str) -> Option<u8> {
    text.parse().ok().filter(|level| *level <= EVERYTHING)
}

/// Whom an override is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Process(ProcessId),
    Package(PackageId),
}

impl Scope {
    /// Reads a process id or a package id, in old or new spelling.
    fn parse(text: &str, our: &NodeName) -> Result<Self, String> {
        let id = match text.split_once('@') {
            None => text,
            Some((node, id)) if node == "our" || node == our.as_str() => id,
            Some((node, _)) => {
                return Err(format!(
                    "{node} is another node: what its processes print is shown there"
                ));
            }
        };
        match id.matches(':').count() {
            2 => match id.parse() {
                Ok(process) => Ok(Self::Process(alias::canonical(process))),
                Err(error) => Err(format!("{error}; {USAGE}")),
            },
            1 => match id.parse() {
                Ok(package) => Ok(Self::Package(canonical(package))),
                Err(error) => Err(format!("{error}; {USAGE}")),
            },
            _ => Err(format!(
                "'{text}' is neither a level nor a process nor a package; {USAGE}"
            )),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => process.fmt(f),
            Self::Package(package) => package.fmt(f),
        }
    }
}

fn canonical(package: PackageId) -> PackageId {
    if package.publisher() != "sys" {
        return package;
    }
    let new = alias::canonical_sys_package(package.package());
    new.and_then(|new| PackageId::new(new, "sys").ok())
        .unwrap_or(package)
}

/// Those in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Overrides(BTreeMap<Scope, Shown>);

impl Overrides {
    /// Reads saved ones; what cannot be read counts as absent.
    fn from_saved(saved: &[u8], our: &NodeName) -> Self {
        let saved: BTreeMap<String, Value> = serde_json::from_slice(saved).unwrap_or_default();
        let read = |(scope, shown): (&String, &Value)| {
            Some((Scope::parse(scope, our).ok()?, Shown::from_saved(shown)?))
        };
        Self(saved.iter().filter_map(read).take(MOST).collect())
    }

    fn to_saved(&self) -> Vec<u8> {
        let saved: BTreeMap<String, Value> = self
            .0
            .iter()
            .map(|(scope, shown)| (scope.to_string(), shown.saved()))
            .collect();
        // A map with string keys always serialises.
        serde_json::to_vec(&saved).unwrap_or_default()
    }

    /// What is said about `process`; of both, its own counts.
    fn of(&self, process: &ProcessId) -> Option<Shown> {
        if self.0.is_empty() {
            return None;
        }
        let own = self.0.get(&Scope::Process(process.clone()));
        own.or_else(|| self.0.get(&Scope::Package(process.package_id())))
            .copied()
    }

    /// Whether a terminal of `level` shows a print. The kernel's complaints
    /// about a muted process are not shown either.
    pub(super) fn show_print(
        &self,
        level: u8,
        source: &ProcessId,
        about: Option<&ProcessId>,
        verbosity: u8,
    ) -> bool {
        let muted = about.and_then(|process| self.of(process)) == Some(Shown::Muted);
        !muted
            && match self.of(source) {
                Some(Shown::Muted) => false,
                Some(Shown::Level(level)) => verbosity <= level,
                None => verbosity <= level,
            }
    }

    /// Whether a terminal of `level` shows a message. What is said about one of
    /// its two ends goes before the level, and most of what is said wins.
    pub(super) fn show_message(&self, level: u8, our: &NodeName, message: &Sighting) -> bool {
        let ends = [&message.source, &message.target];
        let ours = ends.into_iter().filter(|end| end.node == *our);
        let said = ours.filter_map(|end| self.of(&end.process));
        let most = said.map(|shown| shown == Shown::Level(EVERYTHING)).max();
        most.unwrap_or(level >= EVERYTHING)
    }

    /// Whether somebody must watch messages for them.
    pub(super) fn want_messages(&self) -> bool {
        self.0
            .values()
            .any(|shown| *shown == Shown::Level(EVERYTHING))
    }

    /// Sets or takes one back; false if nothing changes.
    fn set(&mut self, scope: &Scope, shown: Option<Shown>) -> Result<bool, String> {
        let Some(shown) = shown else {
            return Ok(self.0.remove(scope).is_some());
        };
        if self.0.len() >= MOST && !self.0.contains_key(scope) {
            return Err(format!(
                "not changed: {MOST} processes have a verbosity of their own already; take one \
                 back with `verbosity PROCESS:PACKAGE:PUBLISHER default`"
            ));
        }
        Ok(self.0.insert(scope.clone(), shown) != Some(shown))
    }

    /// All of them, for people.
    fn describe(&self) -> String {
        if self.0.is_empty() {
            return "no process has a verbosity of its own; `verbosity PROCESS:PACKAGE:PUBLISHER \
                    LEVEL` gives it one"
                .to_owned();
        }
        let mut text = String::from("in all terminals of this node:");
        for (scope, shown) in &self.0 {
            text.push_str(&format!("\n  {scope}  {shown}"));
        }
        text
    }
}

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// What is in force?
    List,
    /// Another level for the terminal it was typed at.
    Own(u8),
    /// What is said about this one?
    Look(Scope),
    /// Say this about it; `None` takes it back.
    Set(Scope, Option<Shown>),
}

impl Command {
    /// Reads a line; `None` if it does not begin with [`WORD`].
    pub(super) fn parse(line: &str, our: &NodeName) -> Option<Result<Self, String>> {
        let mut words = line.split_whitespace();
        if words.next()? != WORD {
            return None;
        }
        let words: Vec<&str> = words.take(3).collect();
        Some(match words[..] {
            [] => Ok(Self::List),
            [one] => match level(one) {
                Some(level) => Ok(Self::Own(level)),
                None => Scope::parse(one, our).map(Self::Look),
            },
            [scope, shown] => Scope::parse(scope, our).and_then(|scope| match shown {
                "default" => Ok(Self::Set(scope, None)),
                _ => match Shown::parse(shown) {
                    Some(shown) => Ok(Self::Set(scope, Some(shown))),
                    None => Err(format!(
                        "'{shown}' is not 0, 1, 2, 3, mute or default; {USAGE}"
                    )),
                },
            }),
            _ => Err(USAGE.to_owned()),
        })
    }
}

/// The overrides of a node, and their store.
#[derive(Debug)]
pub(super) struct Verbosity {
    now: watch::Sender<Arc<Overrides>>,
    store: Arc<dyn OverrideStore>,
    /// Held by whoever changes them.
    changing: Mutex<()>,
}

impl Verbosity {
    pub(super) fn new(store: Arc<dyn OverrideStore>, our: &NodeName) -> Self {
        let saved = store.load().unwrap_or_default();
        Self {
            now: watch::Sender::new(Arc::new(Overrides::from_saved(&saved, our))),
            store,
            changing: Mutex::default(),
        }
    }

    /// The overrides, as they change.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Overrides>> {
        self.now.subscribe()
    }

    /// Carries out what does not concern a terminal of its own. `own` is the
    /// level of the terminal that asks, if one does.
    ///
    /// # Errors
    /// A sentence; then nothing has changed.
    pub(super) async fn answer(&self, command: Command, own: Option<u8>) -> Result<String, String> {
        match command {
            Command::List => {
                let overrides = self.now.borrow().describe();
                Ok(match own {
                    Some(level) => format!(
                        "this terminal is at verbosity {level}; Ctrl+V or `verbosity LEVEL` \
                         changes that\n{overrides}"
                    ),
                    None => overrides,
                })
            }
            Command::Own(level) => Err(format!(
                "a level belongs to one terminal: type `verbosity {level}` there; \
                 `verbosity PROCESS:PACKAGE:PUBLISHER {level}` is for all terminals"
            )),
            Command::Look(scope) => {
                let said = self.now.borrow().0.get(&scope).copied();
                Ok(match said {
                    Some(shown) => format!("{scope}  {shown}"),
                    None => format!("{scope} has no verbosity of its own"),
                })
            }
            Command::Set(scope, shown) => self.change(&scope, shown).await,
        }
    }

    /// Saved first, then in force.
    async fn change(&self, scope: &Scope, shown: Option<Shown>) -> Result<String, String> {
        let _turn = self.changing.lock().await;
        let mut next = Overrides::clone(&self.now.borrow());
        if next.set(scope, shown)? {
            self.store
                .save(next.to_saved())
                .await
                .map_err(|error| format!("not changed, since it could not be saved: {error}"))?;
            self.now.send_replace(Arc::new(next));
        }
        Ok(match shown {
            Some(shown) => format!("{scope}  {shown}"),
            None => format!("{scope} has no verbosity of its own"),
        })
    }
}

#[cfg(test)]
mod tests;
