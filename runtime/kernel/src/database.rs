//! Rights to databases as the generations name them.
//!
//! Inside, such a right names the database and the package that owns it, which
//! is the form of 1.0. Processes of earlier editions know the name alone, and
//! two packages may have databases of one name. So they are shown the name, and
//! what they name stands for what they have: nobody gains a right by naming it.

use std::collections::{HashMap, HashSet};

use node_types::{Capability, Edition};
use serde_json::Value;

/// Whether processes of `edition` name databases without their package.
#[must_use]
pub fn names_databases_alone(edition: Option<Edition>) -> bool {
    match edition {
        Some(Edition::V0_7 | Edition::V0_8 | Edition::V0_8Book) => true,
        Some(Edition::V1_0 | Edition::Hyperware) | None => false,
    }
}

/// `capabilities` with databases named alone. What then looks the same, since
/// two packages have databases of one name, is there once.
#[must_use]
pub fn without_packages(capabilities: Vec<Capability>) -> Vec<Capability> {
    let mut shown = HashSet::new();
    let each = capabilities.into_iter();
    each.filter_map(|capability| match Named::of(&capability) {
        None => Some(capability),
        Some(named) => {
            let alone = if named.scoped {
                named.alone(&capability)
            } else {
                capability
            };
            let (issuer, signature) = (alone.issuer.clone(), alone.signature().is_some());
            let first = shown.insert((issuer, named.kind, named.name, signature));
            first.then_some(alone)
        }
    })
    .collect()
}

/// What `asked` stands for with a process that knows databases by their name:
/// each name for all of that name that it `had`. A name that stands for nothing
/// stays as it is, and so does everything else. Costs a look at each that it
/// had, once, and nothing if no database is named.
#[must_use]
pub fn with_packages(
    asked: Vec<Capability>,
    had: impl FnOnce() -> Vec<Capability>,
) -> Vec<Capability> {
    let name = |capability: &Capability, scoped: bool| {
        let named = Named::of(capability).filter(|named| named.scoped == scoped)?;
        Some((capability.issuer.clone(), named.kind, named.name))
    };
    let asked: Vec<_> = asked
        .into_iter()
        .map(|capability| (name(&capability, false), capability))
        .collect();
    if asked.iter().all(|(name, _)| name.is_none()) {
        return asked.into_iter().map(|(_, asked)| asked).collect();
    }
    let mut known: HashMap<_, Vec<Capability>> = HashMap::new();
    let mut keys = HashSet::new();
    for capability in had() {
        if let Some(name) = name(&capability, true)
            && keys.insert(capability.key())
        {
            known.entry(name).or_default().push(capability);
        }
    }
    let mut used = HashSet::new();
    let mut meant = Vec::new();
    for (name, capability) in asked {
        match name {
            Some(name) if known.contains_key(&name) => {
                // Named twice, it is handed on once.
                if used.insert(name.clone()) {
                    meant.extend(known.get(&name).into_iter().flatten().cloned());
                }
            }
            _ => meant.push(capability),
        }
    }
    meant
}

/// A right to a database.
struct Named {
    kind: String,
    name: String,
    /// Whether its package is named.
    scoped: bool,
}

impl Named {
    fn of(capability: &Capability) -> Option<Self> {
        let issuer = &capability.issuer.process;
        let databases = issuer.package() == "distro"
            && issuer.publisher() == "sys"
            && matches!(issuer.process(), "kv" | "sqlite");
        if !databases {
            return None;
        }
        let params: Value = serde_json::from_str(&capability.params).ok()?;
        let kind = params.get("kind")?.as_str()?.to_owned();
        let alone = params.get("db").and_then(Value::as_str);
        let in_package = || params.get("db_key")?.get(1)?.as_str();
        let (name, scoped) = match alone {
            Some(name) => (name, false),
            None => (in_package()?, true),
        };
        Some(Self {
            kind,
            name: name.to_owned(),
            scoped,
        })
    }

    /// `capability` without the package.
    fn alone(&self, capability: &Capability) -> Capability {
        let (kind, name) = (Value::from(&*self.kind), Value::from(&*self.name));
        let params = format!(r#"{{"kind":{kind},"db":{name}}}"#);
        Capability::new(capability.issuer.clone(), params)
            .with_signature(capability.signature().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(issuer: &str, params: &str) -> Capability {
        Capability::new(
            format!("a.dev@{issuer}:distro:sys").parse().unwrap(),
            params,
        )
    }

    fn of(package: &str) -> Capability {
        let params = format!(
            r#"{{"kind":"read","db_key":[{{"package_name":"{package}","publisher_node":"a.dev"}},"notes"]}}"#
        );
        right("kv", &params)
    }

    #[test]
    fn the_name_alone_is_shown_and_stands_for_what_is_had() {
        let shown = without_packages(vec![of("one"), right("kv", "1"), of("two")]);
        let texts: Vec<_> = shown.iter().map(|shown| shown.params.as_str()).collect();
        assert_eq!(texts, [r#"{"kind":"read","db":"notes"}"#, "1"]);
        assert_eq!(without_packages(shown.clone()), shown);
        let had = || vec![of("one"), right("kv", "1"), of("two"), of("one")];
        let twice = [shown[0].clone(), right("kv", "1"), shown[0].clone()];
        assert_eq!(
            with_packages(twice.to_vec(), had),
            [of("one"), of("two"), right("kv", "1")]
        );
        // Another kind, another database, another module; and nothing at all.
        for other in [
            right("kv", r#"{"kind":"write","db":"notes"}"#),
            right("kv", r#"{"kind":"read","db":"other"}"#),
            right("sqlite", r#"{"kind":"read","db":"notes"}"#),
        ] {
            assert_eq!(with_packages(vec![other.clone()], had), [other]);
        }
        assert_eq!(with_packages(vec![shown[0].clone()], Vec::new), shown[..1]);
    }

    #[test]
    fn other_capabilities_are_left_alone() {
        let others = [
            right("vfs", r#"{"kind":"read","db_key":[{},"notes"]}"#),
            right("kv", "\"messaging\""),
            right("kv", r#"{"kind":"read","db_key":"notes"}"#),
            right("kv", "not json"),
        ];
        let texts = |list: &[Capability]| -> Vec<String> {
            list.iter().map(|one| one.params.clone()).collect()
        };
        let shown = without_packages(others.to_vec());
        assert_eq!(texts(&shown), texts(&others));
        let meant = with_packages(others.to_vec(), || panic!("nothing is looked up"));
        assert_eq!(texts(&meant), texts(&others));
    }

    /// Whoever has as many as one can have, and names as many, pays for each
    /// once: this ends at once, which it would not if each met each.
    #[test]
    fn the_most_there_can_be_cost_no_more_than_a_look_at_each() {
        let many = |package: &str| -> Vec<Capability> {
            let one = |number| {
                let id = format!(r#"{{"package_name":"{package}","publisher_node":"a.dev"}}"#);
                let params = format!(r#"{{"kind":"read","db_key":[{id},"db-{number}"]}}"#);
                right("kv", &params)
            };
            (0..4096).map(one).collect()
        };
        let had = many("one");
        let shown = without_packages([had.clone(), many("two")].concat());
        assert_eq!(shown.len(), 4096);
        assert_eq!(with_packages(shown, || had.clone()), had);
    }
}
