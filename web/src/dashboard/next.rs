//! Where somebody goes after signing in: a page of this dashboard, never
//! anywhere else.

/// Where people go who were on their way to no page in particular.
pub(super) const HOME: &str = "/nodes";
/// No page has a longer address: room for a name of 63 characters, each of
/// them encoded.
const LONGEST: usize = 1024;

/// A path of this dashboard, with its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next(String);

impl Next {
    /// The page that `text` names, or [`HOME`] where it names none of ours.
    pub(super) fn parse(text: &str) -> Self {
        if is_page(text) {
            Self(text.to_owned())
        } else {
            Self::default()
        }
    }

    /// The path.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of the page `path` that leads here afterwards.
    pub(super) fn after(&self, path: &str) -> String {
        if *self == Self::default() {
            return path.to_owned();
        }
        format!("{path}?next={}", encode(&self.0))
    }
}

impl Default for Next {
    fn default() -> Self {
        Self(HOME.to_owned())
    }
}

/// Rather too strict than too lax: nothing that some browser might read as
/// another host gets through, and nothing that is no page for people.
fn is_page(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    text.len() <= LONGEST
        && path.bytes().all(|byte| plain(byte) || byte == b'/')
        && is_encoded(query, |byte| plain(byte) || b"=&".contains(&byte))
        && (["/account", "/nodes", "/operator"].contains(&path)
            || path.starts_with("/nodes/")
            || path.starts_with("/operator/"))
        && !path
            .split('/')
            .skip(1)
            .any(|part| part.is_empty() || part.starts_with('.'))
}

/// Whether `query` is made of `plain` bytes and of others well encoded.
fn is_encoded(query: &str, plain: impl Fn(u8) -> bool) -> bool {
    let mut pieces = query.split('%');
    let is_plain = |piece: &str| piece.bytes().all(&plain);
    pieces.next().is_none_or(is_plain)
        && pieces.all(|piece| {
            let code = piece.as_bytes().get(..2);
            code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit)) && is_plain(piece)
        })
}

/// `text` as a value in a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_dashboard_are_kept() {
        for page in [
            "/nodes",
            "/nodes/new",
            "/nodes/new?label=alice",
            "/nodes/alice",
            "/nodes/a-1/password",
            "/nodes/alice?show=ssh-password",
            "/account",
            "/operator",
            "/operator?status=stopped&cursor=alice",
            "/operator/nodes/alice/suspend",
            "/nodes/new?label=j%C3%BCrgen",
            "/nodes/new?label=%2F%2fevil.example%0D%0a",
        ] {
            assert_eq!(Next::parse(page).as_str(), page);
        }
        let name = encode(&"𝄞".repeat(63));
        let long = format!("/nodes/new?label={name}");
        assert_eq!(Next::parse(&long).as_str(), long);
    }

    #[test]
    fn what_is_not_well_encoded_is_no_page() {
        for text in [
            "/nodes/new?label=%",
            "/nodes/new?label=%c",
            "/nodes/new?label=%zz",
            "/nodes/new?label=%%41",
            "/nodes/new?label=%4é",
            "/nodes/new?label=a b",
            "/nodes/new?label=a/b",
            "/nodes/new?label=a?b",
            "/nodes/%61lice",
            "/nodes%2f..",
        ] {
            assert_eq!(Next::parse(text).as_str(), HOME, "{text}");
        }
    }

    #[test]
    fn a_page_to_come_back_to_survives_being_a_query() {
        let next = Next::parse("/nodes/new?label=alice&x=1");
        assert_eq!(
            next.after("/sign-in"),
            "/sign-in?next=%2Fnodes%2Fnew%3Flabel%3Dalice%26x%3D1"
        );
        assert_eq!(Next::default().after("/sign-in"), "/sign-in");
    }
}
