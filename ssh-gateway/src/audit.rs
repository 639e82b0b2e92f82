//! Records of what was refused, under the tracing target `audit`.

use std::net::SocketAddr;

/// Longest piece of client-chosen text in a record.
const MAX_DETAIL: usize = 200;

/// A signed-in client asked for something it cannot have.
pub(crate) fn refused(node: &str, peer: SocketAddr, what: &str, detail: &str) {
    let detail = printable(detail, MAX_DETAIL);
    tracing::info!(target: "audit", node, %peer, what, detail, "ssh request refused");
}

/// A sign-in failed.
pub(crate) fn sign_in_failed(user: &str, peer: SocketAddr, why: &str) {
    let user = printable(user, MAX_DETAIL);
    tracing::info!(target: "audit", user, %peer, why, "ssh sign-in failed");
}

/// A sign-in succeeded.
pub(crate) fn signed_in(node: &str, peer: SocketAddr) {
    tracing::info!(target: "audit", node, %peer, "ssh sign-in");
}

/// `text` without control characters, and not longer than `most` characters.
pub(crate) fn printable(text: &str, most: usize) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_a_record() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{9b}d", 200), "a[2Jbcd");
        assert_eq!(printable("äöü", 2), "äö");
    }
}
