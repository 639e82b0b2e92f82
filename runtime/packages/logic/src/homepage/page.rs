//! Entries as HTML and as JSON.
//!
//! Invariant: what an app chose enters the page as escaped text or as a
//! quoted, escaped attribute, and nowhere else. `homepage.js` makes the same
//! elements from [`brief`].

use std::fmt::Write as _;

use serde_json::{json, Value};

use super::board::Shown;

const TEMPLATE: &str = include_str!("page.html");
/// How many colours there are for tiles without an icon.
const HUES: u64 = 8;

/// What the page is made from.
#[derive(Debug)]
pub struct Page<'a> {
    /// Name of the node.
    pub node: &'a str,
    /// What is shown, in order.
    pub apps: &'a [Shown<'a>],
}

impl Page<'_> {
    /// The whole document.
    #[must_use]
    pub fn render(&self) -> String {
        let mut html = String::new();
        let mut rest = TEMPLATE;
        // Only the template is searched for places to fill.
        while let Some((before, place, after)) = next_place(rest) {
            html.push_str(before);
            match place {
                "node" => html.push_str(&escaped(self.node)),
                "dock" => self.tiles(&mut html, |shown| shown.favorite),
                "apps" => self.tiles(&mut html, |_| true),
                "widgets" => self.widgets(&mut html),
                "no-dock" => hide(&mut html, !self.apps.iter().any(|shown| shown.favorite)),
                "no-apps" => hide(&mut html, self.apps.is_empty()),
                "no-widgets" => hide(&mut html, !self.apps.iter().any(has_widget)),
                "some-apps" => hide(&mut html, !self.apps.is_empty()),
                _ => {}
            }
            rest = after;
        }
        html.push_str(rest);
        html
    }

    fn tiles(&self, html: &mut String, wanted: impl Fn(&Shown<'_>) -> bool) {
        for shown in self.apps.iter().filter(|shown| wanted(shown)) {
            let label = escaped(&shown.entry.label);
            let picture = match icon_path(shown) {
                Some(path) => format!("<img src=\"{}\" alt=\"\">", escaped(&path)),
                None => escaped(&letter(&shown.entry.label)),
            };
            let inside = format!(
                "<span class=\"picture hue-{}\" aria-hidden=\"true\">{picture}</span>\
                 <span class=\"label\">{label}</span>",
                hue(shown)
            );
            // Writing to a string cannot fail.
            let _ = write!(
                html,
                "<li class=\"tile\" data-app=\"{}\">",
                escaped(shown.id.as_str())
            );
            let _ = match &shown.entry.path {
                Some(path) => write!(
                    html,
                    "<a class=\"open\" href=\"{}\">{inside}</a></li>",
                    escaped(path)
                ),
                None => write!(html, "<span class=\"open\">{inside}</span></li>"),
            };
        }
    }

    fn widgets(&self, html: &mut String) {
        for shown in self.apps {
            let Some(path) = widget_path(shown) else {
                continue;
            };
            let label = escaped(&shown.entry.label);
            let _ = write!(
                html,
                "<figure class=\"widget\" data-widget=\"{}\"><figcaption>{label}</figcaption>\
                 <iframe src=\"{}\" title=\"{label}\" sandbox=\"allow-scripts\" loading=\"lazy\" \
                 referrerpolicy=\"no-referrer\"></iframe></figure>",
                escaped(shown.id.as_str()),
                escaped(&path)
            );
        }
    }
}

/// Text before the next place to fill, its name, and the text after it.
fn next_place(template: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = template.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name, after))
}

fn hide(html: &mut String, hidden: bool) {
    if hidden {
        html.push_str(" hidden");
    }
}

/// Text that is safe between tags and in quoted attributes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn has_widget(shown: &Shown<'_>) -> bool {
    shown.entry.widget.is_some()
}

/// 64-bit FNV-1a: tells versions of an icon apart, nothing more.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn hue(shown: &Shown<'_>) -> u64 {
    digest(shown.id.as_str().as_bytes()) % HUES
}

/// What stands for an icon that is not there.
fn letter(label: &str) -> String {
    let mut signs = label.chars().filter(|c| c.is_alphanumeric());
    let first = signs.next().or_else(|| label.chars().next());
    first.map_or_else(|| "?".to_owned(), |c| c.to_uppercase().collect())
}

fn versioned(folder: &str, shown: &Shown<'_>, content: &Option<String>) -> Option<String> {
    let version = digest(content.as_ref()?.as_bytes());
    Some(format!("/{folder}/{}?v={version:x}", shown.id))
}

fn icon_path(shown: &Shown<'_>) -> Option<String> {
    versioned("icons", shown, &shown.entry.icon)
}

fn widget_path(shown: &Shown<'_>) -> Option<String> {
    versioned("widgets", shown, &shown.entry.widget)
}

/// What `homepage.js` needs: the elements of the page without their bulk.
#[must_use]
pub fn brief(apps: &[Shown<'_>]) -> Value {
    apps.iter()
        .map(|shown| {
            json!({
                "id": shown.id.as_str(),
                "label": shown.entry.label,
                "letter": letter(&shown.entry.label),
                "hue": hue(shown),
                "path": shown.entry.path,
                "icon": icon_path(shown),
                "widget": widget_path(shown),
                "favorite": shown.favorite,
            })
        })
        .collect()
}

/// Entries as apps ask for them.
#[must_use]
pub fn listing(apps: &[Shown<'_>]) -> Value {
    (0_u32..)
        .zip(apps)
        .map(|(order, shown)| {
            json!({
                "id": shown.id.as_str(),
                "process": shown.id.process(),
                "package_name": shown.id.package(),
                "publisher": shown.id.publisher(),
                "path": shown.entry.path,
                "label": shown.entry.label,
                "base64_icon": shown.entry.icon,
                "widget": shown.entry.widget,
                "order": order,
                "favorite": shown.favorite,
            })
        })
        .collect()
}

/// The script that tells pages of apps where they are.
#[must_use]
pub fn our_script(node: &str) -> String {
    let name = Value::from(node);
    format!("window.our = Object.assign(window.our ?? {{}}, {{ node: {name} }});\n")
}

#[cfg(test)]
mod tests {
    use node_types::ProcessId;

    use super::super::board::Board;
    use super::*;

    fn board(offers: &[(&str, Value)]) -> Board {
        let mut board = Board::default();
        for (id, offer) in offers {
            let id: ProcessId = id.parse().unwrap();
            let offer = serde_json::from_value(offer.clone()).unwrap();
            assert!(board.add(&id, offer, || None).changed);
        }
        board
    }

    fn render(board: &Board) -> String {
        Page {
            node: "alice.dev",
            apps: &board.shown(None),
        }
        .render()
    }

    #[test]
    fn every_place_of_the_template_is_filled() {
        let html = render(&Board::default());
        assert!(!html.contains("{{") && !html.contains("}}"));
        assert!(html.contains("<h1 id=\"node\">alice.dev</h1>"));
        assert!(html.contains("<section id=\"empty\" aria-labelledby=\"empty-title\">"));
    }

    #[test]
    fn an_empty_page_guesses_no_address() {
        // Which port and name the host's SSH has is known to the dashboard only.
        let html = render(&Board::default());
        for guess in ["ssh -", "2222", "8080", "@"] {
            assert!(!html.contains(guess), "{guess}");
        }
        assert!(html.contains("Advanced details"));
    }

    #[test]
    fn apps_widgets_and_favourites_are_on_the_page() {
        let mut board = board(&[
            (
                "main:chat:b.dev",
                json!({"label":"Chat & more","icon":"data:image/png;base64,AAAA","path":"/"}),
            ),
            ("w:w:x", json!({"label":"¿weather?","widget":"<p>"})),
        ]);
        board.set_favorite(&"w:w:x".parse().unwrap(), true);
        let html = render(&board);
        assert!(html.contains("<section id=\"empty\" aria-labelledby=\"empty-title\" hidden>"));
        assert!(html.contains("<a class=\"open\" href=\"/main:chat:b.dev/\">"));
        assert!(
            html.contains("Chat &amp; more") && html.contains("src=\"/icons/main:chat:b.dev?v=")
        );
        assert!(html.contains("aria-hidden=\"true\">W</span>"));
        assert!(html.contains("<iframe src=\"/widgets/w:w:x?v="));
        assert_eq!(html.matches("data-app=\"w:w:x\"").count(), 2);
        assert_eq!(html.matches("data-app=\"main:chat:b.dev\"").count(), 1);

        let brief = brief(&board.shown(None));
        assert_eq!(brief[0]["path"], "/main:chat:b.dev/");
        assert_eq!(brief[1]["letter"], "W");
        assert_eq!(brief[1]["favorite"], true);
        let listing = listing(&board.shown(None));
        assert_eq!(listing[0]["package_name"], "chat");
        assert_eq!(listing[1]["order"], 1);
        assert_eq!(listing[1]["widget"], "<p>");
    }

    #[test]
    fn no_string_of_an_app_becomes_markup() {
        let hostile = [
            "<script>x</script>",
            "\"><img src=x onerror=x>",
            "' onmouseover='x",
            "{{apps}}{{widgets}}",
            "</li></ul><iframe srcdoc=x>",
        ];
        let tags = |html: &str| html.matches(['<', '"']).count();
        for string in hostile {
            let offer =
                |label: &str| json!({"label":label,"icon":label,"path":label,"widget":label});
            let html = render(&board(&[("a:a:x", offer(string))]));
            let plain = render(&board(&[("a:a:x", offer("plain"))]));
            assert_eq!(tags(&html), tags(&plain), "{string}");
        }
        assert_eq!(
            our_script("a\"b"),
            "window.our = Object.assign(window.our ?? {}, { node: \"a\\\"b\" });\n"
        );
    }
}
