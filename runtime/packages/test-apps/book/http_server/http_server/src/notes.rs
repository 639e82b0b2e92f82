//! Notes with numbers, as a collection over HTTP: each is there from its POST
//! until its DELETE, under the number that it was given.

use std::collections::{BTreeMap, HashMap};

use kinode_process_lib::http::{Method, StatusCode};
use serde_json::json;

use crate::Answer;

/// All notes.
#[derive(Default)]
pub struct Notes {
    notes: BTreeMap<u64, String>,
    last: u64,
}

impl Notes {
    /// The collection: those that have `has` in them, or a new one.
    pub fn all(
        &mut self,
        method: &Method,
        query: &HashMap<String, String>,
        body: &[u8],
        process: &str,
    ) -> Answer {
        match *method {
            Method::GET => {
                let has = query.get("has").map_or("", String::as_str);
                let found: Vec<_> = self
                    .notes
                    .iter()
                    .filter(|(_, text)| text.contains(has))
                    .map(|(number, text)| json!({"number": number, "text": text}))
                    .collect();
                Answer::json(StatusCode::OK, &found)
            }
            Method::POST => match text(body) {
                Some(text) => {
                    self.last += 1;
                    self.notes.insert(self.last, text);
                    let place = format!("/{process}/notes/{}", self.last);
                    Answer::json(StatusCode::CREATED, &json!({"number": self.last}))
                        .with("Location", &place)
                }
                None => Answer::empty(StatusCode::BAD_REQUEST),
            },
            _ => Answer::method_not_allowed("GET, POST"),
        }
    }

    /// One note.
    pub fn one(
        &mut self,
        method: &Method,
        params: &HashMap<String, String>,
        body: &[u8],
    ) -> Answer {
        let number = params.get("number").and_then(|number| number.parse().ok());
        let Some(number) = number.filter(|number| self.notes.contains_key(number)) else {
            return Answer::empty(StatusCode::NOT_FOUND);
        };
        match *method {
            Method::GET => {
                let text = self.notes.get(&number).cloned().unwrap_or_default();
                Answer::empty(StatusCode::OK)
                    .with("Content-Type", "text/plain; charset=utf-8")
                    .of(text.into_bytes())
            }
            Method::PUT => match text(body) {
                Some(text) => {
                    self.notes.insert(number, text);
                    Answer::empty(StatusCode::NO_CONTENT)
                }
                None => Answer::empty(StatusCode::BAD_REQUEST),
            },
            Method::DELETE => {
                self.notes.remove(&number);
                Answer::empty(StatusCode::NO_CONTENT)
            }
            _ => Answer::method_not_allowed("GET, PUT, DELETE"),
        }
    }
}

/// A note is text, and not empty.
fn text(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}
