//! Rules for single files: module headers, length, names of migrations, and
//! no path of the machine it was written on.

/// Longest Rust file. Beyond 400 lines one should ask why; here it stops.
const MOST_LINES: usize = 600;

/// Home and work directories of the machines this is written on, in pieces,
/// so that this file keeps its own rule.
const MACHINE_PATHS: [[&str; 2]; 2] = [["/ro", "ot/"], ["/wo", "rk/"]];

/// Sentences about what is wrong with the file.
pub fn check(path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if path.ends_with(".rs") {
        if needs_header(path) && !text.starts_with("//!") {
            broken.push(format!("{path} does not begin with a `//!` header"));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES {
            broken.push(format!("{path} has {lines} lines, more than {MOST_LINES}"));
        }
    }
    if let Some(name) = path.strip_prefix("migrations/")
        && !is_migration_name(name)
    {
        broken.push(format!("{path} is not named YYYYMMDDHHMMSS_verb_noun.sql"));
    }
    for (number, line) in text.lines().enumerate() {
        if names_machine_path(line) {
            broken.push(format!(
                "{path}:{} names a path of a particular machine",
                number + 1
            ));
        }
    }
    broken
}

/// Test modules tell with their tests what they are about.
fn needs_header(path: &str) -> bool {
    !path.ends_with("tests.rs") && !path.split('/').any(|part| part == "tests")
}

fn is_migration_name(name: &str) -> bool {
    let Some((time, rest)) = name.split_once('_') else {
        return false;
    };
    let Some(words) = rest.strip_suffix(".sql") else {
        return false;
    };
    time.len() == 14
        && time.bytes().all(|b| b.is_ascii_digit())
        && words.split('_').count() >= 2
        && words.split('_').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

fn names_machine_path(line: &str) -> bool {
    MACHINE_PATHS.iter().any(|pieces| {
        let path = pieces.concat();
        line.match_indices(&path).any(|(at, _)| {
            // A longer relative path may contain the same letters.
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "._-}*)".contains(c))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_files_open_with_a_header_and_stay_short() {
        assert!(check("a/src/lib.rs", "//! What it owns.\n").is_empty());
        assert_eq!(check("a/src/lib.rs", "use std::fmt;\n").len(), 1);
        assert!(check("a/tests/it.rs", "use std::fmt;\n").is_empty());
        assert!(check("a/src/foo_tests.rs", "use std::fmt;\n").is_empty());
        let long = format!("//! x\n{}", "\n".repeat(MOST_LINES));
        assert_eq!(check("a/src/lib.rs", &long).len(), 1);
        assert!(check("README.md", &long).is_empty());
    }

    #[test]
    fn migrations_are_named_by_time_verb_and_noun() {
        let good = |name: &str| check(&format!("migrations/{name}"), "").is_empty();
        assert!(good("20261122093000_create_accounts.sql"));
        assert!(good("20261122093000_add_node_status_index.sql"));
        for bad in [
            "2026_create_accounts.sql",
            "20261122093000_accounts.sql",
            "20261122093000_Create_accounts.sql",
            "20261122093000_create_accounts.up.sql",
            "notes.txt",
        ] {
            assert!(!good(bad), "{bad}");
        }
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let path = MACHINE_PATHS[1].concat();
        assert_eq!(check("a.md", &format!("see {path}x")).len(), 1);
        assert_eq!(check("a.md", &format!("\"{path}x\"")).len(), 1);
        assert!(check("a.md", &format!("target{path}x")).is_empty());
        assert!(check("a.md", "the /network/ path").is_empty());
    }
}
