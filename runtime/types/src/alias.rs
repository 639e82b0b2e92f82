//! The closed table of host-owned ids that changed spelling between
//! generations. Inside the host only the dash form exists; every other id is
//! byte-exact (`my_chat_app` and `my-chat-app` are two packages).

use std::borrow::Cow;

use crate::{Address, Edition, ProcessId};

/// Modules of `distro:sys` whose name had an underscore up to 0.9.
const MODULES: [(&str, &str); 3] = [
    ("http_server", "http-server"),
    ("http_client", "http-client"),
    ("fd_manager", "fd-manager"),
];

/// The canonical (dash) spelling of a package of publisher `sys`.
#[must_use]
pub fn canonical_sys_package(package: &str) -> Option<&'static str> {
    match package {
        "app_store" => Some("app-store"),
        "kns_indexer" | "hns-indexer" => Some("kns-indexer"),
        _ => None,
    }
}

/// The canonical form of `id`: itself unless the table names it.
#[must_use]
pub fn canonical(id: ProcessId) -> ProcessId {
    if id.publisher() != "sys" {
        return id;
    }
    if id.package() == "distro" {
        for (old, new) in MODULES {
            if id.process() == old {
                return joined(new, "distro");
            }
        }
        return id;
    }
    match canonical_sys_package(id.package()) {
        // The indexer's process carries its package's name.
        Some("kns-indexer") => match canonical_sys_package(id.process()) {
            Some(process) => joined(process, "kns-indexer"),
            None => joined(id.process(), "kns-indexer"),
        },
        Some(package) => joined(id.process(), package),
        None => id,
    }
}

/// [`canonical`] for the process of an address.
#[must_use]
pub fn canonical_address(address: Address) -> Address {
    Address {
        node: address.node,
        process: canonical(address.process),
    }
}

/// The spelling that processes up to edition 0.9 know `id` by.
#[must_use]
pub fn underscored(id: ProcessId) -> ProcessId {
    if id.publisher() != "sys" {
        return id;
    }
    match (id.process(), id.package()) {
        (process, "distro") => match MODULES.iter().find(|(_, new)| *new == process) {
            Some((old, _)) => joined(old, "distro"),
            None => id,
        },
        (process, "app-store") => joined(process, "app_store"),
        ("kns-indexer", "kns-indexer") => joined("kns_indexer", "kns_indexer"),
        (process, "kns-indexer") => joined(process, "kns_indexer"),
        _ => id,
    }
}

/// `id` as processes of `edition` know it.
#[must_use]
pub fn spelled(id: &ProcessId, edition: Edition) -> Cow<'_, ProcessId> {
    if id.publisher() != "sys" {
        return Cow::Borrowed(id);
    }
    match edition {
        Edition::V0_7 | Edition::V0_8 | Edition::V0_8Book => Cow::Owned(underscored(id.clone())),
        Edition::V1_0 => Cow::Borrowed(id),
        Edition::Hyperware => match (id.process(), id.package()) {
            ("kns-indexer", "kns-indexer") => Cow::Owned(joined("hns-indexer", "hns-indexer")),
            (process, "kns-indexer") => Cow::Owned(joined(process, "hns-indexer")),
            _ => Cow::Borrowed(id),
        },
    }
}

/// Parts come from valid ids and this table, so there is nothing to check.
fn joined(process: &str, package: &str) -> ProcessId {
    ProcessId::from_valid_parts(process, package, "sys")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ProcessId {
        text.parse().unwrap()
    }

    #[test]
    fn the_table_and_nothing_else_is_rewritten() {
        for (given, wanted) in [
            ("http_server:distro:sys", "http-server:distro:sys"),
            ("http_client:distro:sys", "http-client:distro:sys"),
            ("fd_manager:distro:sys", "fd-manager:distro:sys"),
            ("main:app_store:sys", "main:app-store:sys"),
            ("kns_indexer:kns_indexer:sys", "kns-indexer:kns-indexer:sys"),
            ("hns-indexer:hns-indexer:sys", "kns-indexer:kns-indexer:sys"),
            ("my_chat_app:my_chat_app:sys", "my_chat_app:my_chat_app:sys"),
            (
                "http_server:distro:alice.dev",
                "http_server:distro:alice.dev",
            ),
            (
                "http_server:app_store:bob.dev",
                "http_server:app_store:bob.dev",
            ),
            ("vfs:distro:sys", "vfs:distro:sys"),
        ] {
            assert_eq!(canonical(id(given)), id(wanted), "{given}");
        }
    }

    #[test]
    fn each_edition_sees_its_own_spelling() {
        for (canonical, old, hyperware) in [
            (
                "http-server:distro:sys",
                "http_server:distro:sys",
                "http-server:distro:sys",
            ),
            (
                "main:app-store:sys",
                "main:app_store:sys",
                "main:app-store:sys",
            ),
            ("vfs:distro:sys", "vfs:distro:sys", "vfs:distro:sys"),
            (
                "kns-indexer:kns-indexer:sys",
                "kns_indexer:kns_indexer:sys",
                "hns-indexer:hns-indexer:sys",
            ),
            (
                "http-server:distro:bob.dev",
                "http-server:distro:bob.dev",
                "http-server:distro:bob.dev",
            ),
        ] {
            let known = |edition| spelled(&id(canonical), edition).to_string();
            assert_eq!(known(Edition::V0_7), old);
            assert_eq!(known(Edition::V0_8), old);
            assert_eq!(known(Edition::V1_0), canonical);
            assert_eq!(known(Edition::Hyperware), hyperware);
        }
    }

    #[test]
    fn underscored_is_the_inverse_for_the_old_names() {
        for text in [
            "http_server:distro:sys",
            "main:app_store:sys",
            "kns_indexer:kns_indexer:sys",
        ] {
            assert_eq!(underscored(canonical(id(text))), id(text));
        }
    }
}
