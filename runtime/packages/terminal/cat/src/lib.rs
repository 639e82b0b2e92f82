//! `cat /PACKAGE:PUBLISHER/DRIVE/FILE`: prints a text file.

use guest::lib::Address;
use guest::vfs;

guest::script!(cat);

/// Longest file that is printed; a terminal is no place for more.
const MOST_BYTES: u64 = 1 << 20;

fn cat(our: &Address, path: &str) -> String {
    if path.is_empty() {
        return "usage: cat /PACKAGE:PUBLISHER/DRIVE/FILE".to_owned();
    }
    if let Some(len) = vfs::file_len(our, path).filter(|len| *len > MOST_BYTES) {
        return format!("{path} has {len} bytes; cat prints at most {MOST_BYTES}");
    }
    match vfs::read(our, path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => format!("{path} is not text ({} bytes)", error.as_bytes().len()),
        },
        Err(error) => format!("cannot read {error}"),
    }
}
