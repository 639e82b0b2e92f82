//! Paths that guests name, made normal.

use super::types::ErrorCode;

/// Longest normal path, bytes.
const MAX_PATH: usize = 4096;

/// `path` as seen from the directory `base`, relative to the drive. There are
/// no links, so the text alone says where it leads.
pub(super) fn resolve(base: &str, path: &str) -> Result<String, ErrorCode> {
    if path.starts_with('/') {
        return Err(ErrorCode::NotPermitted);
    }
    if path.is_empty() {
        return Err(ErrorCode::NoEntry);
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(ErrorCode::NotPermitted);
                }
            }
            name if name.contains('\0') => return Err(ErrorCode::IllegalByteSequence),
            name => parts.push(name),
        }
    }
    let normal = parts.join("/");
    if normal.len() > MAX_PATH {
        return Err(ErrorCode::NameTooLong);
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_drive() {
        for (base, path, wanted) in [
            ("", "a", "a"),
            ("", ".", ""),
            ("a", "..", ""),
            ("a/b", "../c/./d//e/", "a/c/d/e"),
            ("a", "../b/../c", "c"),
        ] {
            assert_eq!(resolve(base, path).unwrap(), wanted, "{base} {path}");
        }
        for (base, path) in [
            ("", ".."),
            ("a", "../.."),
            ("a", "b/../../../a"),
            ("", "/etc"),
        ] {
            assert_eq!(resolve(base, path), Err(ErrorCode::NotPermitted), "{path}");
        }
        assert_eq!(resolve("", ""), Err(ErrorCode::NoEntry));
        assert_eq!(resolve("", "a\0b"), Err(ErrorCode::IllegalByteSequence));
        assert_eq!(resolve("", &"x".repeat(5000)), Err(ErrorCode::NameTooLong));
    }
}
