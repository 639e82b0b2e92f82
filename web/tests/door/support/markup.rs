//! Just enough HTML to follow links and forms, and to notice bad pages. Strict:
//! what our templates never write fails the test.

use std::collections::HashMap;

/// Elements without an end.
const VOID: &[&str] = &["meta", "link", "input", "img", "br", "hr"];

/// One start or end of an element, or the text between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Start(String, HashMap<String, String>),
    End(String),
    Text(String),
}

/// A page, in pieces.
#[derive(Debug, Clone, Default)]
pub struct Markup(pub Vec<Piece>);

/// A form as a browser would send it.
#[derive(Debug, Clone)]
pub struct Form {
    pub action: String,
    pub post: bool,
    /// Names and values at first.
    pub fields: Vec<(String, String)>,
    /// What its submit button says.
    pub button: String,
    /// The button cannot be pressed.
    pub disabled: bool,
}

impl Markup {
    /// Reads a page; every element must end where it should.
    pub fn read(html: &str) -> Self {
        let rest = html.strip_prefix("<!doctype html>").expect("a doctype");
        let mut pieces = Vec::new();
        let mut rest = rest;
        while let Some(start) = rest.find('<') {
            push_text(&mut pieces, &rest[..start]);
            let end = end_of_tag(&rest[start..]) + start;
            let tag = &rest[start + 1..end];
            rest = &rest[end + 1..];
            match tag.strip_prefix('/') {
                Some(name) => pieces.push(Piece::End(name.to_owned())),
                None => pieces.push(start_tag(tag)),
            }
        }
        push_text(&mut pieces, rest);
        let page = Self(pieces);
        page.check_nesting();
        page
    }

    fn check_nesting(&self) {
        let mut open: Vec<&str> = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Start(name, _) if VOID.contains(&name.as_str()) => {}
                Piece::Start(name, _) => open.push(name),
                Piece::End(name) => assert_eq!(open.pop(), Some(name.as_str()), "{open:?}"),
                Piece::Text(_) => {}
            }
        }
        assert!(open.is_empty(), "never closed: {open:?}");
    }

    /// Every start of an element called `name`.
    pub fn all<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a HashMap<String, String>> + 'a {
        self.0.iter().filter_map(move |piece| match piece {
            Piece::Start(found, attributes) if found == name => Some(attributes),
            _ => None,
        })
    }

    /// Every element's attributes.
    pub fn elements(&self) -> impl Iterator<Item = (&str, &HashMap<String, String>)> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Start(name, attributes) => Some((name.as_str(), attributes)),
            _ => None,
        })
    }

    /// The attributes of the element with this id.
    pub fn id(&self, id: &str) -> Option<&HashMap<String, String>> {
        let mut found = self
            .elements()
            .filter(|(_, attributes)| attributes.get("id").is_some_and(|value| value == id));
        let first = found.next().map(|(_, attributes)| attributes);
        assert!(found.next().is_none(), "#{id} twice");
        first
    }

    /// The text inside the first element for which `is_it` holds.
    pub fn text_of(
        &self,
        is_it: impl Fn(&str, &HashMap<String, String>) -> bool,
    ) -> Option<String> {
        let start = self.0.iter().position(
            |piece| matches!(piece, Piece::Start(name, attributes) if is_it(name, attributes)),
        )?;
        let mut depth = 0;
        let mut text = String::new();
        for piece in &self.0[start..] {
            match piece {
                Piece::Start(name, _) if VOID.contains(&name.as_str()) => {}
                Piece::Start(..) => depth += 1,
                Piece::End(_) => depth -= 1,
                Piece::Text(piece) => text.push_str(piece),
            }
            if depth == 0 {
                break;
            }
        }
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The text of the element with this id.
    pub fn text_of_id(&self, id: &str) -> Option<String> {
        self.text_of(|_, attributes| attributes.get("id").is_some_and(|value| value == id))
    }

    /// Everything a person reads.
    pub fn text(&self) -> String {
        self.text_of(|name, _| name == "body").unwrap_or_default()
    }

    /// What alerts say.
    pub fn alert(&self) -> Option<String> {
        self.text_of(|_, attributes| attributes.get("role").is_some_and(|role| role == "alert"))
    }

    /// The value of the first `data-status`.
    pub fn status(&self) -> Option<String> {
        let mut elements = self.elements();
        elements.find_map(|(_, attributes)| attributes.get("data-status").cloned())
    }

    /// Where links lead.
    pub fn links(&self) -> Vec<&str> {
        self.all("a").map(|link| link["href"].as_str()).collect()
    }

    /// Every form.
    pub fn forms(&self) -> Vec<Form> {
        let mut forms: Vec<Form> = Vec::new();
        let (mut inside, mut in_button) = (false, false);
        for piece in &self.0 {
            match piece {
                Piece::Start(name, attributes) if name == "form" => {
                    inside = true;
                    forms.push(Form {
                        action: attributes["action"].clone(),
                        post: attributes["method"] == "post",
                        fields: Vec::new(),
                        button: String::new(),
                        disabled: false,
                    });
                }
                Piece::End(name) if name == "form" => inside = false,
                Piece::Start(name, attributes) if inside && name == "input" => {
                    let value = attributes.get("value").cloned().unwrap_or_default();
                    let form = forms.last_mut().unwrap();
                    form.fields.push((attributes["name"].clone(), value));
                }
                Piece::Start(name, attributes) if inside && name == "button" => {
                    in_button = attributes["type"] == "submit";
                    let form = forms.last_mut().unwrap();
                    form.disabled |= in_button && attributes.contains_key("disabled");
                }
                Piece::End(name) if name == "button" => in_button = false,
                Piece::Text(text) if in_button => forms.last_mut().unwrap().button.push_str(text),
                _ => {}
            }
        }
        forms
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.trim().is_empty() {
        pieces.push(Piece::Text(unescape(text)));
    }
}

/// Where the tag that `text` begins with ends; quoted `>` are inside.
fn end_of_tag(text: &str) -> usize {
    let mut quoted = false;
    let end = text.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b'>' && !quoted
    });
    end.expect("a tag that ends")
}

fn start_tag(tag: &str) -> Piece {
    let (name, mut rest) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
    assert!(
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
        "not one of our elements: <{tag}>"
    );
    let mut attributes = HashMap::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let end = rest.find([' ', '=', '\n']).unwrap_or(rest.len());
        let key = rest[..end].to_owned();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        assert!(key.bytes().all(plain), "attribute {key:?} in <{tag}>");
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix("=\"") {
            let end = quoted.find('"').expect("an end of the value");
            value = unescape(&quoted[..end]);
            rest = &quoted[end + 1..];
        } else {
            assert!(!rest.starts_with('='), "unquoted value in <{tag}>");
        }
        assert!(
            attributes.insert(key.clone(), value).is_none(),
            "{key} twice in <{tag}>"
        );
    }
    Piece::Start(name.to_owned(), attributes)
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        plain.push_str(&rest[..start]);
        let end = rest[start..].find(';').expect("an entity that ends") + start;
        let entity = &rest[start + 1..end];
        plain.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            number => {
                let number = number.strip_prefix('#').expect("a number");
                char::from_u32(number.parse().unwrap()).unwrap()
            }
        });
        rest = &rest[end + 1..];
    }
    plain.push_str(rest);
    plain
}
