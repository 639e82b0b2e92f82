//! Rights to databases as the generations name them.
//!
//! Inside, such a right names the database and the package that owns it, which
//! is the form of 1.0. Processes of earlier editions know the name alone, and
//! two packages may have databases of one name. So they are shown the name, and
//! what they name stands for what they have: nobody gains a right by naming it.

use node_types::{Address, Capability, Edition};
use serde_json::Value;

/// Whether processes of `edition` name databases without their package.
#[must_use]
pub fn names_databases_alone(edition: Option<Edition>) -> bool {
    match edition {
        Some(Edition::V0_7 | Edition::V0_8 | Edition::V0_8Book) => true,
        Some(Edition::V1_0 | Edition::Hyperware) | None => false,
    }
}

/// `capability` with its database named alone, if it is a right to one.
#[must_use]
pub fn without_package(capability: Capability) -> Capability {
    match named(&capability) {
        Some(Named {
            kind,
            name,
            scoped: true,
        }) => {
            let params = format!(
                r#"{{"kind":{},"db":{}}}"#,
                Value::from(kind),
                Value::from(name)
            );
            Capability::new(capability.issuer.clone(), params)
                .with_signature(capability.signature().cloned())
        }
        _ => capability,
    }
}

/// What `asked` stands for among the capabilities of a process that knows
/// databases by their name: all that it has of that name. Itself if it is no
/// right to a database, or the process has none such.
#[must_use]
pub fn with_packages(
    asked: Capability,
    had: impl FnOnce(&Address) -> Vec<Capability>,
) -> Vec<Capability> {
    let Some(wanted) = named(&asked).filter(|named| !named.scoped) else {
        return vec![asked];
    };
    let mut meant: Vec<Capability> = Vec::new();
    for capability in had(&asked.issuer) {
        let is_meant = capability.issuer == asked.issuer
            && named(&capability).is_some_and(|had| {
                had.scoped && (&had.kind, &had.name) == (&wanted.kind, &wanted.name)
            });
        if is_meant && !meant.contains(&capability) {
            meant.push(capability);
        }
    }
    if meant.is_empty() {
        meant.push(asked);
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

fn named(capability: &Capability) -> Option<Named> {
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
    Some(Named {
        kind,
        name: name.to_owned(),
        scoped,
    })
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
        let shown = without_package(of("one"));
        assert_eq!(shown.params, r#"{"kind":"read","db":"notes"}"#);
        assert_eq!(without_package(shown.clone()).params, shown.params);
        let had = [
            of("one"),
            right("kv", "1"),
            of("two"),
            of("one"),
            right("sqlite", "1"),
        ];
        assert_eq!(
            with_packages(shown.clone(), |_| had.to_vec()),
            [of("one"), of("two")]
        );
        // Another kind, another database, another module, and nothing at all.
        for other in [
            right("kv", r#"{"kind":"write","db":"notes"}"#),
            right("kv", r#"{"kind":"read","db":"other"}"#),
            right("sqlite", r#"{"kind":"read","db":"notes"}"#),
        ] {
            assert_eq!(with_packages(other.clone(), |_| had.to_vec()), [other]);
        }
        assert_eq!(with_packages(shown.clone(), |_| Vec::new()), [shown]);
    }

    #[test]
    fn other_capabilities_are_left_alone() {
        for other in [
            right("vfs", r#"{"kind":"read","db_key":[{},"notes"]}"#),
            right("kv", "\"messaging\""),
            right("kv", r#"{"kind":"read","db_key":"notes"}"#),
            right("kv", "not json"),
        ] {
            let shown = without_package(other.clone());
            assert_eq!(shown.params, other.params);
            assert_eq!(with_packages(other.clone(), |_| vec![of("one")]), [other]);
        }
    }
}
