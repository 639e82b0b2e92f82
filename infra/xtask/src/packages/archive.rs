//! Zips as kit makes them: names relative to the root, sorted, with entries
//! for directories, mode 0755 and one fixed time, so that the same content
//! always has the same hash.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::Context as _;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Files by their path below `dir`, with `/` between the parts.
pub fn read_tree(dir: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    read_into(dir, "", &mut files).with_context(|| format!("read {}", dir.display()))?;
    Ok(files)
}

fn read_into(
    dir: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_into(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// The zip of `files`.
pub fn zip(files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    let directories: BTreeSet<&str> = files
        .keys()
        .flat_map(|name| name.match_indices('/').map(|(at, _)| &name[..at]))
        .collect();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for directory in directories {
        writer.add_directory(directory, options)?;
    }
    for (name, bytes) in files {
        writer.start_file(name.as_str(), options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zip_holds_directories_and_is_the_same_each_time() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("ui/img")).unwrap();
        std::fs::write(dir.path().join("manifest.json"), "[]").unwrap();
        std::fs::write(dir.path().join("ui/img/a.svg"), "<svg/>").unwrap();
        let files = read_tree(dir.path()).unwrap();
        let bytes = zip(&files).unwrap();
        assert_eq!(bytes, zip(&files).unwrap());

        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let names: Vec<_> = archive.file_names().map(str::to_owned).collect();
        assert_eq!(names, ["ui/", "ui/img/", "manifest.json", "ui/img/a.svg"]);
        for n in 0..archive.len() {
            let entry = archive.by_index(n).unwrap();
            assert_eq!(entry.unix_mode().map(|mode| mode & 0o777), Some(0o755));
            assert_eq!(entry.last_modified().map(|t| t.year()), Some(1980));
        }
    }
}
