//! Which crate may use which: heavy dependencies have one home each, and our
//! own crates form the arrows of the design.

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

/// A dependency (by name, or by prefix if it ends with `*`) and the only crate
/// that may name it.
const HOMES: [(&str, &str); 8] = [
    ("axum*", "web"),
    ("hickory*", "node-egress"),
    ("rocksdb", "node-store"),
    ("rusqlite", "node-sql"),
    ("russh*", "ssh-gateway"),
    ("sqlx*", "tenant-storage-pg"),
    ("tokio-rustls", "node-egress"),
    ("wasmtime*", "node-engine"),
];

/// Words that every crate of ours may use.
const VOCABULARY: [&str; 2] = ["lifecycle", "node-types"];

/// Gives third-party crates one set of features; holds no code. Not for
/// node-types, on which the Wasm packages are built.
const UNIFY: (&str, &str) = ("unify", "node-types");

/// Our crates and what each may be built on, besides the vocabulary.
const ARROWS: [(&str, &[&str]); 19] = [
    ("lifecycle", &[]),
    ("node-types", &[]),
    ("node-kernel", &[]),
    ("node-engine", &[]),
    ("node-sql", &[]),
    ("node-store", &[]),
    ("node-api", &[]),
    ("node-egress", &["node-api"]),
    (
        "node-services",
        &["node-api", "node-egress", "node-sql", "node-store"],
    ),
    ("berth-fuzz", &["node-services", "web"]),
    (
        "node-runtime",
        &[
            "node-api",
            "node-egress",
            "node-engine",
            "node-kernel",
            "node-services",
            "node-store",
        ],
    ),
    ("tenant-model", &[]),
    ("tenant-storage-pg", &["tenant-model"]),
    ("tenant-manager", &["node-api", "tenant-model"]),
    ("web", &["node-api", "tenant-manager", "tenant-model"]),
    (
        "ssh-gateway",
        &["node-api", "tenant-manager", "tenant-model"],
    ),
    // The binary wires everything; the engine's compile worker is this binary.
    (
        "berth",
        &[
            "node-api",
            "node-egress",
            "node-engine",
            "node-runtime",
            "ssh-gateway",
            "tenant-manager",
            "tenant-model",
            "tenant-storage-pg",
            "web",
        ],
    ),
    ("unify", &[]),
    ("xtask", &[]),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `null` for a normal one.
    kind: Option<String>,
    /// Set for crates of this workspace.
    path: Option<String>,
}

/// Sentences about everything in `cargo metadata` that breaks a rule.
pub fn check(metadata: &Value) -> anyhow::Result<Vec<String>> {
    let metadata: Metadata =
        serde_json::from_value(metadata.clone()).context("read cargo metadata")?;
    let mut broken = Vec::new();
    for package in &metadata.packages {
        for dependency in &package.dependencies {
            broken.extend(check_home(package, dependency));
            broken.extend(check_arrow(package, dependency));
        }
        if !ARROWS.iter().any(|(name, _)| *name == package.name) {
            broken.push(format!(
                "crate {} is not in the table of arrows (infra/xtask/src/rules/arrows.rs)",
                package.name
            ));
        }
    }
    Ok(broken)
}

fn check_home(package: &Package, dependency: &Dependency) -> Option<String> {
    let (_, home) = HOMES
        .iter()
        .find(|(name, _)| match name.strip_suffix('*') {
            Some(prefix) => dependency.name.starts_with(prefix),
            None => dependency.name == *name,
        })?;
    (package.name != *home).then(|| {
        format!(
            "{} names {}, which only {home} may",
            package.name, dependency.name
        )
    })
}

/// Tests may use any crate of ours; only what is shipped follows the arrows.
fn check_arrow(package: &Package, dependency: &Dependency) -> Option<String> {
    if dependency.path.is_none() || dependency.kind.is_some() {
        return None;
    }
    let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == package.name)?;
    let name = dependency.name.as_str();
    let (unify, except) = UNIFY;
    if name == unify && package.name != except {
        return None;
    }
    let vocabulary = VOCABULARY.contains(&name) && !VOCABULARY.contains(&package.name.as_str());
    (!vocabulary && !allowed.contains(&name)).then(|| {
        format!(
            "{} is built on {name}, against the arrows of the design",
            package.name
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_one(name: &str, dependency: &Value) -> Vec<String> {
        check(&json!({"packages": [{"name": name, "dependencies": [dependency]}]})).unwrap()
    }

    #[test]
    fn a_heavy_dependency_has_one_home() {
        let normal = |name: &str| json!({"name": name, "kind": null});
        assert!(check_one("node-engine", &normal("wasmtime-wasi")).is_empty());
        assert!(check_one("node-store", &normal("rocksdb")).is_empty());
        assert_eq!(check_one("node-services", &normal("rocksdb")).len(), 1);
        let in_tests = json!({"name": "wasmtime", "kind": "dev"});
        assert_eq!(check_one("node-runtime", &in_tests).len(), 1);
    }

    #[test]
    fn arrows_bind_what_is_shipped() {
        let ours = |name: &str, kind: Value| json!({"name": name, "kind": kind, "path": "x"});
        assert!(check_one("web", &ours("tenant-manager", Value::Null)).is_empty());
        assert!(check_one("web", &ours("node-types", Value::Null)).is_empty());
        assert_eq!(check_one("web", &ours("ssh-gateway", Value::Null)).len(), 1);
        assert_eq!(
            check_one("web", &ours("node-runtime", Value::Null)).len(),
            1
        );
        assert_eq!(
            check_one("lifecycle", &ours("node-types", Value::Null)).len(),
            1
        );
        assert!(check_one("web", &ours("node-runtime", json!("dev"))).is_empty());
        assert!(check_one("web", &ours("unify", Value::Null)).is_empty());
        assert_eq!(
            check_one("node-types", &ours("unify", Value::Null)).len(),
            1
        );
    }

    #[test]
    fn a_new_crate_must_be_placed() {
        let broken = check_one("brand-new", &json!({"name": "serde", "kind": null}));
        assert!(broken[0].contains("table of arrows"), "{broken:?}");
    }
}
