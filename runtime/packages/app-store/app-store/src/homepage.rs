//! Taking a removed package off the homepage.

use distro_logic::manifest;
use guest::lib::{Capability, Request};
use guest::{local, vfs};
use node_types::{PackageId, ProcessId};
use serde_json::json;

use crate::{place, Store};

const HOMEPAGE: &str = "homepage:homepage:sys";

impl Store {
    /// Has the homepage forget the processes of `package`: those that were
    /// just `stopped`, and those that had ended before. Comes after they were
    /// stopped, so that none puts itself up again, and before the package's
    /// files go.
    pub(crate) fn leave_homepage(&self, package: &PackageId, stopped: Vec<ProcessId>) {
        let Some(homepage) = local(&self.our, HOMEPAGE) else {
            return;
        };
        let right = Capability {
            issuer: homepage.clone(),
            params: json!("RemoveOther").to_string(),
        };
        for id in self.known_processes(package, stopped) {
            // `send` fails only without a body.
            let _ = Request::to(&homepage)
                .body(json!({ "RemoveOther": id }).to_string())
                .capabilities(vec![right.clone()])
                .send();
        }
    }

    /// `ids`, and what the manifest in place names.
    fn known_processes(&self, package: &PackageId, mut ids: Vec<ProcessId>) -> Vec<ProcessId> {
        let file = format!("{}/manifest.json", place::directory(package));
        let named = vfs::read(&self.our, &file)
            .ok()
            .and_then(|bytes| manifest::parse_manifest(package, &bytes).ok());
        ids.extend(named.into_iter().flatten().map(|process| process.id));
        ids.sort();
        ids.dedup();
        ids
    }
}
