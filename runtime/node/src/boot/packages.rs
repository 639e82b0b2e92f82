//! The processes of the distro packages, as every boot enters them.

use node_kernel::{ProcessEntry, ProcessTable};
use node_services::module;
use node_types::{Capability, ProcessId, alias};

use crate::distro::{DistroPackage, ManifestCapability, ManifestEntry};
use crate::launcher::Launcher;

/// Enters the processes of the distro packages, as at every boot: what the
/// packages say replaces what was stored, rights are only added.
pub(super) fn enter_distro(host: &Launcher, table: &mut ProcessTable) {
    for package in &host.distro {
        for entry in &package.manifest {
            let Ok(id) = ProcessId::in_package(&entry.process_name, &package.id) else {
                continue;
            };
            let edition = host
                .components
                .get(&id)
                .and_then(|component| component.edition());
            let process = ProcessEntry::userspace(
                package.handle(entry),
                package.wit_version,
                edition,
                entry.on_exit.clone(),
                entry.public,
            );
            let rights = requested(table, package, entry, &id);
            table.upsert(id, process.with_capabilities(rights));
        }
    }
    // Once all are entered: what they give to each other and to the modules.
    for package in &host.distro {
        for entry in &package.manifest {
            let Ok(id) = ProcessId::in_package(&entry.process_name, &package.id) else {
                continue;
            };
            for grant in &entry.grant_capabilities {
                let (holder, capability) = match grant {
                    ManifestCapability::Messaging(holder) => {
                        (holder, Capability::messaging(table.address(&id)))
                    }
                    ManifestCapability::WithParams { process, params } => (
                        process,
                        Capability::new(table.address(&id), params.to_string()),
                    ),
                };
                if let Ok(holder) = holder.parse() {
                    table.grant(&alias::canonical(holder), [capability]);
                }
            }
        }
    }
}

/// What a distro process gets: all that its manifest asks for.
fn requested(
    table: &ProcessTable,
    package: &DistroPackage,
    entry: &ManifestEntry,
    id: &ProcessId,
) -> Vec<Capability> {
    let our = table.our();
    let mut rights = vec![Capability::messaging(table.address(id))];
    if entry.request_networking {
        rights.push(Capability::network(our));
    }
    for request in &entry.request_capabilities {
        let (issuer, params) = match request {
            ManifestCapability::Messaging(issuer) => (issuer, node_types::MESSAGING.to_owned()),
            ManifestCapability::WithParams { process, params } => (process, params.to_string()),
        };
        if let Ok(issuer) = issuer.parse() {
            rights.push(Capability::new(
                table.address(&alias::canonical(issuer)),
                params,
            ));
        }
    }
    for kind in ["read", "write"] {
        let params = serde_json::json!({"kind": kind, "drive": package.drive()});
        rights.push(Capability::new(
            table.address(&module("vfs")),
            params.to_string(),
        ));
    }
    rights
}
