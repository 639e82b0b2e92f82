//! `main:app-store:sys`: takes in packages, starts them, removes them.
//!
//! One request is carried out at a time. Everything that can be wrong with a
//! package is found out in a staging drive before anything of an installed
//! version is touched; a journal in the saved state finishes or undoes what a
//! crash interrupted. It never stops by itself.

mod homepage;
mod install;
mod intake;
mod place;
mod report;

use distro_logic::store_api::{self, answer, Request};
use distro_logic::store_state::State;
use guest::lib::{self, get_blob, Address, LazyLoadBlob, Message, Response};
use guest::{print, respond, vfs};
use node_types::PackageId;
use serde_json::{json, Value};

guest::process!(run);

/// Distro packages, which were never installed but have an API all the same.
const DISTRO: [&str; 3] = ["app-store:sys", "homepage:sys", "terminal:sys"];

/// The app store at work.
struct Store {
    our: Address,
    state: State,
}

fn run(our: Address) {
    let state = match lib::get_state() {
        None => State::default(),
        Some(saved) => State::from_saved(&saved).unwrap_or_else(|| {
            print("the list of installed packages could not be read; starting with an empty one");
            State::default()
        }),
    };
    let mut store = Store { our, state };
    store.prepare_drives();
    store.recover();
    loop {
        if let Ok(message) = lib::await_message() {
            store.handle(&message);
        }
    }
}

impl Store {
    fn handle(&mut self, message: &Message) {
        let Message::Request { source, body, .. } = message else {
            return;
        };
        // Packages are the owner's business, not other nodes'.
        if source.node() != self.our.node() {
            return;
        }
        match store_api::decode(body) {
            Ok(request) => self.carry_out(request),
            Err(rejected) => {
                print(&rejected.reason);
                if let Some(answer) = rejected.answer {
                    respond(answer.to_string());
                }
            }
        }
    }

    fn carry_out(&mut self, request: Request) {
        let answered = match request {
            Request::NewPackage {
                package,
                wit_version,
                book,
                mirror,
            } => {
                let outcome = self.take_in(&package, (wit_version, book), mirror);
                answer("NewPackageResponse", outcome)
            }
            Request::Install {
                package,
                version_hash,
                wit_version,
            } => {
                let outcome = self.install(&package, version_hash.as_deref(), wit_version);
                report::outcome("InstallResponse", &package, "installed", outcome)
            }
            Request::Uninstall(package) => {
                let outcome = self.uninstall(&package);
                report::outcome("UninstallResponse", &package, "removed", outcome)
            }
            Request::Apis => json!({"ApisResponse": {"apis": self.apis()}}),
            Request::GetApi(package) => return self.send_api(&package),
        };
        respond(answered.to_string());
    }

    /// Packages with an API, in the interface's own form.
    fn apis(&self) -> Vec<Value> {
        let distro = DISTRO
            .into_iter()
            .filter(|id| vfs::file_len(&self.our, &format!("/{id}/pkg/api.zip")).is_some());
        let installed = self
            .state
            .installed()
            .filter(|(_, version)| version.has_api)
            .map(|(id, _)| id);
        distro
            .chain(installed)
            .filter_map(|id| serde_json::to_value(id.parse::<PackageId>().ok()?).ok())
            .collect()
    }

    fn send_api(&self, package: &PackageId) {
        let path = format!("{}/api.zip", place::directory(package));
        let mut response = Response::new();
        let found = vfs::fetch(&self.our, &path).is_ok();
        if let Some(blob) = get_blob().filter(|_| found) {
            response = response
                .body(answer("GetApiResponse", "Success").to_string())
                .blob(LazyLoadBlob {
                    mime: Some("application/zip".to_owned()),
                    bytes: blob.bytes,
                });
        } else {
            response = response.body(answer("GetApiResponse", "Failure").to_string());
        }
        // `send` fails only without a body.
        let _ = response.send();
    }

    fn save(&self) {
        lib::set_state(&self.state.to_saved());
    }
}
