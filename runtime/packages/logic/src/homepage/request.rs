//! The homepage's requests, by message and by HTTP, in both of their
//! generations.

use node_types::ProcessId;
use serde::Deserialize;
use serde_json::Value;

use super::entry::Offer;

/// Largest stylesheet.
pub const MOST_STYLESHEET: usize = 128 << 10;
/// Most ids in one request to put entries in order.
const MOST_ORDERED: usize = 1024;

/// A message to the homepage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub enum Request {
    /// Puts the sender's entry up, or replaces it.
    Add(Offer),
    /// Takes the sender's entry down.
    Remove,
    /// Takes the entry of another process down.
    RemoveOther(ProcessId),
    /// Replaces the shared stylesheet.
    SetStylesheet(String),
    /// Asks for all entries.
    GetApps,
}

impl Request {
    /// Params of the capability that must come with the request.
    #[must_use]
    pub fn needs(&self) -> Option<&'static str> {
        match self {
            Self::RemoveOther(_) => Some("RemoveOther"),
            Self::SetStylesheet(_) => Some("SetStylesheet"),
            Self::Add(_) | Self::Remove | Self::GetApps => None,
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// A sentence, when it is none.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| format!("not a request: {error}"))
    }
}

/// Whether `params` of a capability, as JSON text, are the plain word `word`.
#[must_use]
pub fn params_are(params: &str, word: &str) -> bool {
    serde_json::from_str::<Value>(params).is_ok_and(|params| params == word)
}

/// `POST /order`: ids with their places.
///
/// The older shape is a list of ids, the newer one a list of pairs.
#[must_use]
pub fn read_order(body: &[u8]) -> Option<Vec<(ProcessId, u32)>> {
    let list: Vec<Value> = serde_json::from_slice(body).ok()?;
    if list.len() > MOST_ORDERED {
        return None;
    }
    let mut order = Vec::with_capacity(list.len());
    for (at, item) in (0..).zip(list) {
        order.push(match item {
            Value::String(id) => (id.parse().ok()?, at),
            pair => serde_json::from_value(pair).ok()?,
        });
    }
    Some(order)
}

/// `POST /favorite`: an id and whether it is one.
#[must_use]
pub fn read_favorite(body: &[u8]) -> Option<(ProcessId, bool)> {
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ProcessId {
        text.parse().unwrap()
    }

    #[test]
    fn messages_of_both_generations() {
        let add =
            Request::read(br#"{"Add":{"label":"Chat","icon":null,"path":"/","widget":null}}"#);
        assert!(matches!(add, Ok(Request::Add(offer)) if offer.path.as_deref() == Some("/")));
        assert!(Request::read(br#"{"Add":{"label":"Chat"}}"#).is_ok());
        assert_eq!(Request::read(br#""Remove""#), Ok(Request::Remove));
        assert_eq!(Request::read(br#""GetApps""#), Ok(Request::GetApps));
        assert_eq!(
            Request::read(br#"{"RemoveOther":"a:b:c"}"#),
            Ok(Request::RemoveOther(id("a:b:c")))
        );
        for bad in [
            &b"{"[..],
            br#""Add""#,
            br#"{"Add":{}}"#,
            br#"{"RemoveOther":"a"}"#,
            b"\xff",
            b"",
        ] {
            assert!(Request::read(bad).is_err());
        }
    }

    #[test]
    fn only_two_need_a_capability() {
        assert_eq!(
            Request::RemoveOther(id("a:b:c")).needs(),
            Some("RemoveOther")
        );
        assert_eq!(Request::Remove.needs(), None);
        assert!(params_are("\"RemoveOther\"", "RemoveOther"));
        for params in ["RemoveOther", "", "{\"RemoveOther\":1}", "\"removeother\""] {
            assert!(!params_are(params, "RemoveOther"), "{params}");
        }
    }

    #[test]
    fn order_in_both_shapes() {
        let wanted = Some(vec![(id("b:b:b"), 0), (id("a:a:a"), 1)]);
        assert_eq!(read_order(br#"["b:b:b","a:a:a"]"#), wanted);
        assert_eq!(read_order(br#"[["b:b:b",0],["a:a:a",1]]"#), wanted);
        assert_eq!(read_order(b"[]"), Some(Vec::new()));
        for bad in [
            &b"{}"[..],
            br#"["x"]"#,
            br#"[["a:a:a",-1]]"#,
            br#"[["a:a:a"]]"#,
            br#"[3]"#,
        ] {
            assert_eq!(read_order(bad), None);
        }
        let long = format!("[{}]", vec!["\"a:a:a\""; MOST_ORDERED + 1].join(","));
        assert_eq!(read_order(long.as_bytes()), None);
        assert_eq!(
            read_favorite(br#"["a:a:a",true]"#),
            Some((id("a:a:a"), true))
        );
        assert_eq!(read_favorite(br#"["a:a:a"]"#), None);
    }
}
