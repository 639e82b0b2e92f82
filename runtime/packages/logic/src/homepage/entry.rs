//! One entry of the homepage, taken in from what an app says of itself.

use node_types::ProcessId;
use serde::{Deserialize, Serialize};

use super::icon;

/// Most characters of a label.
pub const MOST_LABEL: usize = 48;
/// Longest path, without the process' own part.
pub const MOST_PATH: usize = 512;
/// Largest widget, bytes.
pub const MOST_WIDGET: usize = 64 << 10;

/// What an app sends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Offer {
    /// Its name for people.
    pub label: String,
    /// `data:` URL of an image.
    #[serde(default)]
    pub icon: Option<String>,
    /// Where its page is, below its own path.
    #[serde(default)]
    pub path: Option<String>,
    /// HTML that is shown in a frame.
    #[serde(default)]
    pub widget: Option<String>,
}

/// What is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// One line, not empty.
    pub label: String,
    /// `data:` URL that [`icon::parse`] reads.
    pub icon: Option<String>,
    /// Path that begins with the process' id.
    pub path: Option<String>,
    /// HTML.
    pub widget: Option<String>,
}

impl Entry {
    /// Takes in an offer of `process`; what is left out of it comes as
    /// sentences.
    #[must_use]
    pub fn take(process: &ProcessId, offer: Offer) -> (Self, Vec<&'static str>) {
        let mut left_out = Vec::new();
        let label = match label(&offer.label) {
            text if text.is_empty() => process.package().to_owned(),
            text => text,
        };
        let icon = offer.icon.filter(|text| !text.is_empty());
        let wanted_icon = icon.is_some();
        let icon = icon.filter(|url| icon::parse(url).is_some());
        if wanted_icon && icon.is_none() {
            left_out.push("its icon is not a data: URL of an image of at most 128 KiB");
        }
        let path = offer.path.map(|path| {
            let root = format!("/{process}/");
            match tail(&path) {
                Some(tail) => root + tail,
                None => {
                    left_out.push("its path does not lead to a page of its own");
                    root
                }
            }
        });
        let widget = offer.widget.filter(|html| !html.is_empty());
        let wanted_widget = widget.is_some();
        let widget = widget.filter(|html| html.len() <= MOST_WIDGET);
        if wanted_widget && widget.is_none() {
            left_out.push("its widget is larger than 64 KiB");
        }
        let entry = Self {
            label,
            icon,
            path,
            widget,
        };
        (entry, left_out)
    }

    /// Bytes that count against the limit of the homepage.
    #[must_use]
    pub fn bulk(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        length(&self.icon) + length(&self.widget)
    }

    /// Leaves out what is large.
    pub fn strip(&mut self) {
        self.icon = None;
        self.widget = None;
    }
}

/// `text` as one short line, without characters that change how others read.
fn label(text: &str) -> String {
    let mut line = String::new();
    let mut room = MOST_LABEL;
    // Enough to fill the line, however much of it is blank.
    for c in text.chars().take(MOST_LABEL * 16) {
        let blank = c.is_whitespace() || c.is_control();
        if invisible(c) || (blank && (line.is_empty() || line.ends_with(' '))) {
            continue;
        }
        if room == 0 {
            line = line.trim_end().to_owned();
            line.push('…');
            break;
        }
        line.push(if blank { ' ' } else { c });
        room -= 1;
    }
    line.trim_end().to_owned()
}

/// Direction overrides, joiners and other characters without a shape.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// What of `path` goes behind `/PROCESS/`; `None` when it could lead elsewhere.
fn tail(path: &str) -> Option<&str> {
    let tail = path.strip_prefix('/').unwrap_or(path);
    let printable = tail
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"\\\"<>`".contains(&b));
    if tail.len() > MOST_PATH || !printable {
        return None;
    }
    let plain = tail.split(['?', '#']).next().unwrap_or_default();
    let climbs = plain.split('/').any(|part| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == "." || part == ".."
    });
    // Two slashes in a row are another path to the node than to its reader.
    let doubled = plain.starts_with('/') || plain.contains("//");
    (!climbs && !doubled).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(offer: Offer) -> (Entry, usize) {
        let process = "main:chat:b.dev".parse().unwrap();
        let (entry, left_out) = Entry::take(&process, offer);
        (entry, left_out.len())
    }

    fn offer(label: &str) -> Offer {
        Offer {
            label: label.to_owned(),
            icon: None,
            path: None,
            widget: None,
        }
    }

    #[test]
    fn labels_become_one_short_line() {
        for (given, kept) in [
            ("Chat", "Chat"),
            ("  a\r\n\tb\u{0}  c ", "a b c"),
            ("", "chat"),
            (" \u{200b}\u{202e} ", "chat"),
            ("\u{202e}evil\u{2066}", "evil"),
            ("<b>&", "<b>&"),
        ] {
            assert_eq!(take(offer(given)).0.label, kept, "{given:?}");
        }
        let long = take(offer(&"ä".repeat(1_000_000))).0.label;
        assert_eq!(long.chars().count(), MOST_LABEL + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn paths_stay_below_the_process() {
        let path = |path: &str| {
            let (entry, left_out) = take(Offer {
                path: Some(path.to_owned()),
                ..offer("x")
            });
            (entry.path.unwrap(), left_out)
        };
        for (given, kept) in [
            ("/", "/main:chat:b.dev/"),
            ("", "/main:chat:b.dev/"),
            ("a/b", "/main:chat:b.dev/a/b"),
            ("/a/?x=../..//y#z", "/main:chat:b.dev/a/?x=../..//y#z"),
            (
                "javascript:alert(1)",
                "/main:chat:b.dev/javascript:alert(1)",
            ),
            ("https:evil", "/main:chat:b.dev/https:evil"),
        ] {
            assert_eq!(path(given), (kept.to_owned(), 0), "{given}");
        }
        for bad in [
            "//evil.example",
            "/a//b",
            "https://evil.example",
            "/../other:x:y",
            "/a/%2E%2e/b",
            "/./a",
            "\\\\evil",
            "/\"><script>",
            "/a b",
            "/\r\nLocation: x",
            "/ä",
            &"a".repeat(MOST_PATH + 1),
        ] {
            assert_eq!(path(bad), ("/main:chat:b.dev/".to_owned(), 1), "{bad}");
        }
        assert_eq!(take(offer("x")).0.path, None);
    }

    #[test]
    fn what_is_too_large_or_no_image_is_left_out() {
        let (entry, left_out) = take(Offer {
            icon: Some("javascript:x".to_owned()),
            widget: Some("x".repeat(MOST_WIDGET + 1)),
            ..offer("x")
        });
        assert_eq!((entry.icon, entry.widget, left_out), (None, None, 2));
        let (entry, left_out) = take(Offer {
            icon: Some("data:image/png;base64,AAAA".to_owned()),
            widget: Some("x".repeat(MOST_WIDGET)),
            ..offer("x")
        });
        assert_eq!((entry.bulk(), left_out), (MOST_WIDGET + 26, 0));
    }
}
