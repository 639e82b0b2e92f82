//! Writes the archives that fuzzing starts from into the directory that is its
//! argument.

#[path = "../../services/src/vfs/zip/tests/raw.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod raw;

use std::path::PathBuf;

use raw::Entry;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let into = std::env::args_os().nth(1);
    let into = PathBuf::from(into.ok_or("usage: zip_seeds DIRECTORY")?);
    for (name, bytes) in seeds() {
        std::fs::write(into.join(name), bytes)?;
    }
    Ok(())
}

/// Each well-formed in most ways, so that a few changes make it interesting.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let file = |name: &str| Entry::stored(name, b"hello");
    let mut link = file("link");
    link.mode = 0o120_777;
    let mut encrypted = file("secret");
    encrypted.flags |= raw::ENCRYPTED;
    let mut other_name = file("fine");
    other_name.local_name = Some(b"../evil".to_vec());
    let mut second_name = file("fine");
    second_name.extra = [&0x7075_u16.to_le_bytes()[..], &[12, 0, 1]].concat();
    second_name.extra.extend(raw::crc32(b"fine").to_le_bytes());
    second_name.extra.extend(b"../evil");
    let mut wide = file("wide");
    (wide.size, wide.packed_size) = (u32::MAX, u32::MAX);
    wide.extra = vec![1, 0, 24, 0];
    for number in [5_u64, 5, 0] {
        wide.extra.extend(number.to_le_bytes());
    }
    vec![
        ("empty", raw::archive(&[])),
        ("file", raw::archive(&[file("a.txt")])),
        ("packed", raw::archive(&[Entry::zeros("zeros", 1000)])),
        (
            "tree",
            raw::archive(&[file("d/e/f"), Entry::empty("d/e/"), Entry::empty("d/")]),
        ),
        ("way-out", raw::archive(&[file("a/../../b")])),
        ("backslash", raw::archive(&[file("a\\b")])),
        ("twins", raw::archive(&[file("a"), file("./a")])),
        ("clash", raw::archive(&[file("a"), file("a/b")])),
        ("link", raw::archive(&[link])),
        ("encrypted", raw::archive(&[encrypted])),
        ("other-name", raw::archive(&[other_name])),
        ("second-name", raw::archive(&[second_name])),
        ("wide", raw::archive(&[wide])),
        ("overlap", raw::overlapping(3, 1000)),
        (
            "overlap-by-extra",
            raw::overlapping_by_extra_fields(3, 1000),
        ),
        ("ends", raw::many_ends(2, 3)),
        ("bomb", raw::archive(&[Entry::zeros("zeros", 3 << 20)])),
    ]
}
