//! What is bound to the `?` of a statement, from the JSON that came with it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use node_sql::Param;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::action::SqliteError;

/// Most parameters of a statement.
const MOST: usize = 32_766;

/// The parameters in `blob`, a JSON array; without a blob there are none.
///
/// # Errors
/// [`SqliteError::Params`] when it is no array of plain values.
pub(crate) fn parse(blob: Option<&[u8]>) -> Result<Vec<Param>, SqliteError> {
    let Some(text) = blob.filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    match serde_json::from_slice(text) {
        Ok(Params(params)) => Ok(params),
        Err(error) => Err(SqliteError::Params(format!(
            "the parameters are not a JSON array of plain values: {error}"
        ))),
    }
}

/// A whole array.
struct Params(Vec<Param>);

/// One element.
struct Bound(Param);

struct ParamsVisitor;

struct BoundVisitor;

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ParamsVisitor)
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BoundVisitor)
    }
}

impl<'de> Visitor<'de> for ParamsVisitor {
    type Value = Params;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of parameters")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Params, A::Error> {
        let mut params = Vec::new();
        while let Some(Bound(param)) = elements.next_element()? {
            if params.len() == MOST {
                return Err(A::Error::custom(format!("more than {MOST} parameters")));
            }
            params.push(param);
        }
        Ok(Params(params))
    }
}

impl Visitor<'_> for BoundVisitor {
    type Value = Bound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a number or a string")
    }

    fn visit_unit<E: Error>(self) -> Result<Bound, E> {
        Ok(Bound(Param::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Bound, E> {
        Ok(Bound(Param::Integer(value.into())))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Bound, E> {
        Ok(Bound(Param::Integer(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Bound, E> {
        Ok(Bound(match i64::try_from(value) {
            Ok(value) => Param::Integer(value),
            Err(_) => Param::Real(value as f64),
        }))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Bound, E> {
        Ok(Bound(Param::Real(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Bound, E> {
        Ok(Bound(blob_or_text(value)))
    }
}

/// JSON has no bytes, so that apps send them as base64, and there is nothing
/// to tell such a string from a word that looks the same. Apps of every
/// generation rely on this rule.
fn blob_or_text(value: &str) -> Param {
    match STANDARD.decode(value) {
        Ok(bytes) => Param::Blob(bytes),
        Err(_) => Param::Text(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(json: &str) -> Param {
        let mut params = parse(Some(format!("[{json}]").as_bytes())).unwrap();
        assert_eq!(params.len(), 1, "{json}");
        params.remove(0)
    }

    #[test]
    fn strings_that_are_base64_are_blobs_and_others_text() {
        let blob = |bytes: &[u8]| Param::Blob(bytes.to_vec());
        let text = |text: &str| Param::Text(text.to_owned());
        for (json, param) in [
            (r#""""#, blob(b"")),
            (r#""Dave""#, blob(b"\x0d\xab\xde")),
            (r#""test""#, blob(b"\xb5\xeb\x2d")),
            (r#""AAAA""#, blob(b"\0\0\0")),
            (r#""aGVsbG8=""#, blob(b"hello")),
            (r#""+/+/""#, blob(b"\xfb\xff\xbf")),
            // Escapes are undone before.
            (r#""\u0041AAA""#, blob(b"\0\0\0")),
            (r#""hello""#, text("hello")),
            (r#""a b""#, text("a b")),
            // Without its padding, of the other alphabet, with a line break,
            // with bits left over.
            (r#""aGVsbG8""#, text("aGVsbG8")),
            (r#""-_-_""#, text("-_-_")),
            (r#""AAAA\n""#, text("AAAA\n")),
            (r#""AB==""#, text("AB==")),
            (r#""Zoë""#, text("Zoë")),
        ] {
            assert_eq!(one(json), param, "{json}");
        }
    }

    #[test]
    fn numbers_are_integers_if_they_fit_else_reals() {
        for (json, param) in [
            ("null", Param::Null),
            ("true", Param::Integer(1)),
            ("false", Param::Integer(0)),
            ("-7", Param::Integer(-7)),
            ("9223372036854775807", Param::Integer(i64::MAX)),
            ("-9223372036854775808", Param::Integer(i64::MIN)),
            (
                "9223372036854775808",
                Param::Real(9_223_372_036_854_775_808.0),
            ),
            ("1.0", Param::Real(1.0)),
            ("-2.5e3", Param::Real(-2500.0)),
        ] {
            assert_eq!(one(json), param, "{json}");
        }
    }

    #[test]
    fn no_blob_means_no_parameters() {
        assert_eq!(parse(None), Ok(vec![]));
        assert_eq!(parse(Some(b"")), Ok(vec![]));
        assert_eq!(parse(Some(b" [ ] ")), Ok(vec![]));
    }

    #[test]
    fn what_is_no_array_of_plain_values_is_refused() {
        let deep = "[".repeat(100_000);
        let many = format!("[{}0]", "0,".repeat(MOST));
        for bad in [
            "null",
            "7",
            r#""AAAA""#,
            "{}",
            "[[1]]",
            r#"[{"a":1}]"#,
            "[1",
            "[1]x",
            "[1e999]",
            "\u{0}",
            &deep,
            &many,
        ] {
            let refused = parse(Some(bad.as_bytes()));
            let start: String = bad.chars().take(20).collect();
            assert!(matches!(refused, Err(SqliteError::Params(_))), "{start}");
        }
        let most = format!("[{}0]", "0,".repeat(MOST - 1));
        assert_eq!(parse(Some(most.as_bytes())).unwrap().len(), MOST);
    }
}
