//! Recognises the node's RPC, however its path is spelled.

/// First segment of every path of the RPC.
const RPC: &str = "rpc:distro:sys";
/// Percent-decoding is undone so often; deeper nesting is no spelling of it
/// that any server would resolve.
const MAX_DECODING: usize = 4;

/// Whether `path` leads to the RPC after decoding, dots and empty segments.
pub(super) fn is_rpc(path: &str) -> bool {
    let mut path = path.as_bytes().to_vec();
    for _ in 0..MAX_DECODING {
        if leads_to_rpc(&path) {
            return true;
        }
        match decode(&path) {
            Some(decoded) => path = decoded,
            None => return false,
        }
    }
    leads_to_rpc(&path)
}

fn leads_to_rpc(path: &[u8]) -> bool {
    let mut resolved: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment {
            b"" | b"." => {}
            b".." => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    let first = resolved.first();
    first.is_some_and(|first| first.eq_ignore_ascii_case(RPC.as_bytes()))
}

/// One round of percent-decoding; `None` if it changes nothing.
fn decode(path: &[u8]) -> Option<Vec<u8>> {
    if !path.contains(&b'%') {
        return None;
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                decoded.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    (decoded.len() < path.len()).then_some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_seen() {
        for path in [
            "/rpc:distro:sys/message",
            "/rpc:distro:sys/message/",
            "/rpc:distro:sys",
            "//rpc:distro:sys//message",
            "/./rpc:distro:sys/message",
            "/x/../rpc:distro:sys/message",
            "/../rpc:distro:sys/message",
            "/RPC:distro:SYS/message",
            "/rpc%3adistro%3Asys/message",
            "/%72pc:distro:sys/message",
            "/%2Frpc:distro:sys/message",
            "/rpc:distro:sys%2fmessage",
            "/rpc%253adistro:sys/message",
            "/rpc%25253adistro:sys/message",
            "/x%2f..%2frpc:distro:sys/message",
            "/x/%2e%2e/rpc:distro:sys/message",
            "\\rpc:distro:sys\\message",
            "/rpc:distro:sys%5cmessage",
        ] {
            assert!(is_rpc(path), "{path}");
        }
    }

    #[test]
    fn other_paths_are_left_alone() {
        for path in [
            "/",
            "*",
            "/rpc",
            "/rpc:distro:sysx/message",
            "/main:app:alice.dev/rpc:distro:sys",
            "/my-rpc:distro:sys/message",
            "/%",
            "/%zz/%2",
            "/100%25",
        ] {
            assert!(!is_rpc(path), "{path}");
        }
    }
}
