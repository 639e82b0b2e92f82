//! Taking in a package: everything is checked in the staging drive, and only
//! a package that can be installed is kept.

use std::collections::BTreeSet;

use distro_logic::manifest;
use distro_logic::store_state::Version;
use guest::lib::has_blob;
use guest::{kernel, print, vfs, Carry};
use node_types::PackageId;
use serde_json::json;

use crate::{place, Store};

/// The process that components are tried with; it is never started.
const TRIAL: &str = "trial:app-store:sys";

impl Store {
    /// Makes the app store's own drives. Their absence shows at first use.
    pub(crate) fn prepare_drives(&self) {
        for drive in [place::STAGING, place::DOWNLOADS] {
            if let Err(error) = vfs::simple(&self.our, drive, "CreateDrive", Carry::Nothing) {
                print(&format!("drive {drive} cannot be made: {error}"));
            }
        }
    }

    /// `NewPackage`: the outcome as the interface spells it. `form` is its
    /// `wit_version`, and whether the tools of the book packed it.
    pub(crate) fn take_in(
        &mut self,
        package: &PackageId,
        form: (Option<u32>, bool),
        mirror: bool,
    ) -> &'static str {
        if !has_blob() {
            print(&format!("{package} was not taken in: no zip came with it"));
            return "NoBlob";
        }
        let checked = self.stage(package, form);
        place::clear(&self.our, place::STAGED);
        let outcome = checked.and_then(|version| self.keep(package, version, mirror));
        let _ = vfs::simple(&self.our, place::STAGED_ZIP, "RemoveFile", Carry::Nothing);
        match outcome {
            Ok(()) => "Success",
            Err(reason) => {
                print(&format!("{package} was not taken in: {reason}"));
                "InstallFailed"
            }
        }
    }

    /// Unpacks the blob of the current request and looks at everything that
    /// an installation will need.
    fn stage(
        &self,
        package: &PackageId,
        (wit_version, book): (Option<u32>, bool),
    ) -> Result<Version, String> {
        let our = &self.our;
        if package.publisher() == "sys" {
            return Err("packages of `sys` come with the host".to_owned());
        }
        if let Some(other) = self.state.label_conflict(package) {
            return Err(conflict(other));
        }
        vfs::simple(our, place::STAGED_ZIP, "Write", Carry::LastBlob).map_err(text)?;
        place::clear(our, place::STAGED);
        vfs::fetch(our, place::STAGED_ZIP).map_err(text)?;
        vfs::simple(our, place::STAGED, "AddZip", Carry::LastBlob)
            .map_err(|error| format!("its zip cannot be unpacked ({error})"))?;

        let manifest = vfs::read(our, &format!("{}/manifest.json", place::STAGED))
            .map_err(|error| format!("its zip has no readable manifest.json ({error})"))?;
        let manifest = manifest::parse_manifest(package, &manifest).map_err(text)?;
        let inside = place::directory(package);
        let wasm: BTreeSet<&str> = manifest
            .iter()
            .filter_map(|process| process.wasm_path.strip_prefix(&inside))
            .collect();
        for file in wasm {
            let staged = format!("{}{file}", place::STAGED);
            if vfs::file_len(our, &staged).is_none() {
                return Err(format!(
                    "manifest.json names {file}, which is not in the package"
                ));
            }
            self.try_component(&staged, wit_version)
                .map_err(|error| format!("{file} cannot be used ({error})"))?;
        }
        let api = format!("{}/api.zip", place::STAGED);
        Ok(Version {
            hash: place::hash(our, place::STAGED_ZIP).map_err(text)?,
            wit_version,
            book,
            has_api: vfs::file_len(our, &api).is_some(),
        })
    }

    /// Lets the kernel look at a component, as a process that never runs.
    fn try_component(&self, path: &str, wit_version: Option<u32>) -> Result<(), String> {
        let our = &self.our;
        // One may be left from before a crash.
        kernel::tell(our, &json!({"KillProcess": TRIAL}));
        vfs::fetch(our, path).map_err(text)?;
        let tried = kernel::initialize(
            our,
            &kernel::Initialize {
                id: TRIAL,
                wasm_path: path,
                wit_version,
                book: false,
                on_exit: &json!("None"),
                capabilities: &[],
                public: false,
            },
        );
        kernel::tell(our, &json!({"KillProcess": TRIAL}));
        tried.map_err(|_| {
            "is it a component for this kind of node, and is there room for another process?"
                .to_owned()
        })
    }

    /// Keeps the staged zip until it is installed.
    fn keep(&mut self, package: &PackageId, version: Version, mirror: bool) -> Result<(), String> {
        let our = &self.our;
        // One waiting version is enough.
        place::clear(our, &place::downloads(package));
        let directory = place::downloads(package);
        vfs::simple(our, &directory, "CreateDirAll", Carry::Nothing).map_err(text)?;
        place::copy(
            our,
            place::STAGED_ZIP,
            &place::download(package, &version.hash),
        )
        .map_err(text)?;
        let entry = self.state.entry(package);
        entry.pending = Some(version);
        entry.mirror = mirror;
        self.save();
        Ok(())
    }
}

/// Why a package cannot live beside `other`.
pub(crate) fn conflict(other: &str) -> String {
    format!("its secure pages would share their host name with those of {other}; uninstall that one first")
}

pub(crate) fn text(error: impl ToString) -> String {
    error.to_string()
}
