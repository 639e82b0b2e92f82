//! Where a login may lead: to this origin, and nowhere else. Stateless.

/// Longest target of a redirect.
const MAX_REDIRECT: usize = 2048;

/// `target` if it is a path on this origin.
pub(super) fn safe_redirect(target: &str) -> Option<&str> {
    let graphic = |b: u8| b.is_ascii_graphic() && b != b'\\';
    let path = target.starts_with('/') && !target.starts_with("//");
    (path && target.len() <= MAX_REDIRECT && target.bytes().all(graphic)).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_here() {
        for good in [
            "/",
            "/a",
            "/a?b=c#d",
            "/a:b:c/x%2f",
            "/a//b",
            "/./a",
            "/a/../b",
            "/%2f%2fevil.com",
            "/%5cevil.com",
            "/@evil.com",
            "/.evil.com",
            "/?next=http://evil.com",
        ] {
            assert_eq!(safe_redirect(good), Some(good));
        }
        for bad in [
            "",
            " ",
            "a",
            "?a",
            "#a",
            "//evil.com",
            "///evil.com",
            "//",
            "/\\evil.com",
            "\\/evil.com",
            "\\\\evil.com",
            "/a\\b",
            "http://evil.com",
            "HTTP://evil.com",
            "https:evil.com",
            "https:/evil.com",
            "https:///evil.com",
            "ftp://evil.com",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            ".evil.com",
            "@evil.com",
            ":80/",
            "/a b",
            "/ /evil.com",
            " /a",
            "/\t/evil.com",
            "\t//evil.com",
            "/a\r\nX: y",
            "/a\nb",
            "/\r/evil.com",
            "/a\tb",
            "/\u{e9}",
            "/\u{ff0f}evil.com",
            "/\u{2028}",
            "/\u{0}",
            "/\u{7f}",
            "%2f%2fevil.com",
        ] {
            assert_eq!(safe_redirect(bad), None, "{bad:?}");
        }
        assert_eq!(safe_redirect(&format!("/{}", "a".repeat(3000))), None);
    }
}
