//! The lock file of the packages must not hold a wit-parser that lays records
//! out wrongly: 0.219.0, 0.219.1 and 0.220.0 with current compilers.

use anyhow::{Context as _, bail};

/// Checks the text of a lock file.
pub fn check(lock: &str) -> anyhow::Result<()> {
    for package in lock.split("[[package]]") {
        if field(package, "name") != Some("wit-parser") {
            continue;
        }
        let version = field(package, "version").context("wit-parser without a version")?;
        if matches!(version, "0.219.0" | "0.219.1" | "0.220.0") {
            bail!(
                "runtime/packages/Cargo.lock holds wit-parser {version}, with which processes read \
                 garbage; run `cargo update -p wit-parser --precise 0.220.1` there"
            );
        }
    }
    Ok(())
}

/// The value of `name = "value"` in a piece of TOML.
pub fn field<'a>(package: &'a str, name: &str) -> Option<&'a str> {
    package.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(" = \"")?
            .strip_suffix('"')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(version: &str) -> String {
        format!(
            "version = 4\n\n[[package]]\nname = \"wit-bindgen\"\nversion = \"0.220.0\"\n\n\
             [[package]]\nname = \"wit-parser\"\nversion = \"{version}\"\n"
        )
    }

    #[test]
    fn only_sound_versions_pass() {
        for good in ["0.202.0", "0.219.2", "0.220.1", "0.230.0", "1.0.0"] {
            check(&lock(good)).unwrap();
        }
        for bad in ["0.219.0", "0.219.1", "0.220.0"] {
            assert!(check(&lock(bad)).unwrap_err().to_string().contains(bad));
        }
    }
}
