//! Putting a version in place, and taking a package away.
//!
//! Invariant: an installation either ends with the new version running, or
//! with the version that was there before, or with nothing; which one is in
//! the saved state before the caller is answered.

use std::collections::BTreeSet;

use distro_logic::manifest::{self, Manifest};
use distro_logic::processes::Processes;
use distro_logic::right;
use distro_logic::store_state::{Journal, Version};
use guest::{kernel, print, vfs, Carry};
use node_types::{NodeName, PackageId, ProcessId};
use serde_json::json;

use crate::intake::{conflict, text};
use crate::{place, Store};

/// How often an installation is begun again after the node went down in it.
const MOST_ATTEMPTS: u32 = 2;

impl Store {
    /// `Install`.
    pub(crate) fn install(
        &mut self,
        package: &PackageId,
        hash: Option<&str>,
        wit_version: Option<u32>,
    ) -> Result<(), String> {
        let mut version = self.state.choose(package, hash).ok_or_else(|| match hash {
            Some(hash) => format!("version {hash} is not on this node; send the package first"),
            None => "it is not on this node; send the package first".to_owned(),
        })?;
        version.wit_version = wit_version.or(version.wit_version);
        if let Some(other) = self.state.label_conflict(package) {
            return Err(conflict(other));
        }
        self.keep_installed_zip(package)?;
        self.state.installing = Some(Journal {
            package: package.to_string(),
            version: version.clone(),
            attempts: 1,
        });
        self.save();
        self.finish(package, version)
    }

    /// Finishes, at start, what a crash interrupted.
    pub(crate) fn recover(&mut self) {
        let Some(mut journal) = self.state.installing.clone() else {
            return;
        };
        let Ok(package) = journal.package.parse::<PackageId>() else {
            self.state.installing = None;
            return self.save();
        };
        journal.attempts += 1;
        let outcome = if journal.attempts > MOST_ATTEMPTS {
            self.go_back(&package, "the node went down each time")
        } else {
            let version = journal.version.clone();
            self.state.installing = Some(journal);
            self.save();
            self.finish(&package, version)
        };
        match outcome {
            Ok(()) => print(&format!(
                "finished the interrupted installation of {package}"
            )),
            Err(reason) => print(&format!("{package} was not installed: {reason}")),
        }
    }

    /// Puts the version of the journal in place, or goes back.
    fn finish(&mut self, package: &PackageId, version: Version) -> Result<(), String> {
        match self.put(package, &version) {
            Ok(()) => {
                let entry = self.state.entry(package);
                entry.pending = None;
                entry.installed = Some(version);
                self.close(package);
                Ok(())
            }
            Err(reason) => self.go_back(package, &reason),
        }
    }

    /// Restores the version that was installed before, or leaves nothing.
    fn go_back(&mut self, package: &PackageId, reason: &str) -> Result<(), String> {
        let before = self.state.get(package).and_then(|p| p.installed.clone());
        let restored = match &before {
            Some(version) => self.put(package, version).is_ok(),
            None => false,
        };
        let mut sentence = reason.to_owned();
        if restored {
            sentence.push_str("; the version installed before runs again");
            self.state.drop_pending(package);
        } else {
            if before.is_some() {
                sentence.push_str("; the version installed before could not be started again");
            }
            let stopped = self.stop_processes(package).unwrap_or_default();
            self.leave_homepage(package, stopped);
            place::clear(&self.our, &place::directory(package));
            self.state.forget(package);
        }
        self.close(package);
        Err(sentence)
    }

    /// Ends an installation in the books, then removes what only it needed.
    fn close(&mut self, package: &PackageId) {
        self.state.installing = None;
        self.save();
        place::clear(&self.our, &place::downloads(package));
    }

    /// Copies the zip of the installed version to where both the installation
    /// and the way back look for it.
    fn keep_installed_zip(&self, package: &PackageId) -> Result<(), String> {
        let Some(installed) = self.state.get(package).and_then(|p| p.installed.as_ref()) else {
            return Ok(());
        };
        let directory = place::downloads(package);
        vfs::simple(&self.our, &directory, "CreateDirAll", Carry::Nothing).map_err(text)?;
        place::copy(
            &self.our,
            &place::installed_zip(package),
            &place::download(package, &installed.hash),
        )
        .map_err(text)
    }

    /// Replaces files and processes of `package` by those of `version`.
    fn put(&self, package: &PackageId, version: &Version) -> Result<(), String> {
        self.stop_processes(package)?;
        self.unpack(package, version).map_err(text)?;
        let file = format!("{}/manifest.json", place::directory(package));
        let bytes = vfs::read(&self.our, &file).map_err(text)?;
        let manifest = manifest::parse_manifest(package, &bytes).map_err(text)?;
        let node: NodeName = self.our.node().parse().map_err(text)?;
        self.initialize(package, version, &manifest, &node)?;
        for process in &manifest {
            for grant in &process.grants {
                kernel::grant(
                    &self.our,
                    grant.process().as_str(),
                    &[grant.granted(&node, &process.id)],
                );
            }
        }
        for process in &manifest {
            kernel::run(&self.our, process.id.as_str()).map_err(text)?;
        }
        Ok(())
    }

    fn unpack(&self, package: &PackageId, version: &Version) -> Result<(), guest::CallError> {
        let our = &self.our;
        let directory = place::directory(package);
        // The drive must exist to be removed, and again to be filled.
        vfs::simple(our, &directory, "CreateDrive", Carry::Nothing)?;
        vfs::simple(our, &directory, "RemoveDirAll", Carry::Nothing)?;
        vfs::simple(our, &directory, "CreateDrive", Carry::Nothing)?;
        vfs::simple(
            our,
            &place::temporary(package),
            "CreateDrive",
            Carry::Nothing,
        )?;
        vfs::fetch(our, &place::download(package, &version.hash))?;
        vfs::simple(our, &directory, "AddZip", Carry::LastBlob)?;
        place::copy(
            our,
            &place::download(package, &version.hash),
            &place::installed_zip(package),
        )?;
        let api = format!("{directory}/api.zip");
        if vfs::file_len(our, &api).is_some() {
            vfs::fetch(our, &api)?;
            if let Err(error) =
                vfs::simple(our, &format!("{directory}/api"), "AddZip", Carry::LastBlob)
            {
                // The API is for people to read; the package works without.
                print(&format!(
                    "the api.zip of {package} cannot be unpacked ({error})"
                ));
            }
        }
        Ok(())
    }

    fn initialize(
        &self,
        package: &PackageId,
        version: &Version,
        manifest: &Manifest,
        node: &NodeName,
    ) -> Result<(), String> {
        let issuers = self.known_issuers(manifest)?;
        let drives = [place::directory(package), place::temporary(package)]
            .map(|drive| right::drive(node, &drive));
        for process in manifest {
            vfs::fetch(&self.our, &process.wasm_path).map_err(text)?;
            kernel::initialize(
                &self.our,
                &kernel::Initialize {
                    id: process.id.as_str(),
                    wasm_path: &process.wasm_path,
                    wit_version: version.wit_version,
                    book: version.book,
                    on_exit: &process.on_exit,
                    capabilities: &[],
                    public: process.public,
                },
            )
            .map_err(text)?;
            let mut rights = drives.concat();
            if process.networking {
                rights.push(right::network(node));
            }
            for request in &process.requests {
                if issuers.contains(&request.process()) {
                    rights.push(request.requested(node));
                } else {
                    print(&format!(
                        "{} asks for a right of {}, which does not exist here; it goes without",
                        process.id,
                        request.process()
                    ));
                }
            }
            kernel::grant(&self.our, process.id.as_str(), &rights);
        }
        Ok(())
    }

    /// Processes whose rights can be given away: those that exist, and those
    /// about to.
    fn known_issuers(&self, manifest: &Manifest) -> Result<BTreeSet<ProcessId>, String> {
        let processes = self.processes()?;
        let mut known: BTreeSet<ProcessId> =
            manifest.iter().map(|process| process.id.clone()).collect();
        let asked = manifest.iter().flat_map(|process| &process.requests);
        known.extend(
            asked
                .map(distro_logic::right::Entry::process)
                .filter(|id| processes.contains(id) || id.as_str() == "kernel:distro:sys"),
        );
        Ok(known)
    }

    /// `Uninstall`: processes and files of the package go; drives with what
    /// the package made itself stay.
    pub(crate) fn uninstall(&mut self, package: &PackageId) -> Result<(), String> {
        if self.state.get(package).is_none() {
            return Err("there is no such package on this node".to_owned());
        }
        let stopped = self.stop_processes(package)?;
        self.leave_homepage(package, stopped);
        place::clear(&self.our, &place::directory(package));
        place::clear(&self.our, &place::temporary(package));
        place::clear(&self.our, &place::downloads(package));
        self.state.forget(package);
        self.save();
        Ok(())
    }

    /// Kills every process of the package, its spawned children included.
    fn stop_processes(&self, package: &PackageId) -> Result<Vec<ProcessId>, String> {
        let stopped: Vec<_> = self.processes()?.of_package(package).cloned().collect();
        for id in &stopped {
            // Takes effect before our next message; an answer would only come
            // if the process has not ended on its own in the meantime.
            kernel::tell(&self.our, &json!({"KillProcess": id.as_str()}));
        }
        Ok(stopped)
    }

    fn processes(&self) -> Result<Processes, String> {
        Processes::from_json(kernel::process_map(&self.our).map_err(text)?)
    }
}
