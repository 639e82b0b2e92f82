//! What a client says it has already, wants only a part of, or can decode.
//!
//! Stateless: headers in, decisions out. What is malformed counts as not said.

use std::ops::Range;

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, IF_RANGE, RANGE};

/// What part of some content is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// These bytes.
    Part(Range<usize>),
    /// Bytes that it does not have.
    Nothing,
}

/// Whether a list of entity tags names `tag`. A weak tag is as good as a strong
/// one where `weak` says so.
pub(super) fn names(headers: &HeaderMap, name: &HeaderName, tag: &HeaderValue, weak: bool) -> bool {
    let mut lists = headers.get_all(name).iter();
    lists.any(|list| list_names(list.as_bytes(), tag.as_bytes(), weak))
}

fn list_names(mut list: &[u8], tag: &[u8], weak: bool) -> bool {
    loop {
        list = match list {
            [b' ' | b'\t' | b',', rest @ ..] => rest,
            [b'*', ..] => return true,
            _ => {
                let (is_weak, opaque) = match list.strip_prefix(b"W/") {
                    Some(opaque) => (true, opaque),
                    None => (false, list),
                };
                let Some((given, rest)) = quoted(opaque) else {
                    return false;
                };
                if given == tag && (weak || !is_weak) {
                    return true;
                }
                rest
            }
        };
    }
}

/// The tag at the beginning, with its quotes, and the rest.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b"\"")?;
    let length = inner.iter().position(|byte| *byte == b'"')?;
    text.split_at_checked(length + 2)
}

/// The part that is wanted of `length` bytes whose tag is `tag`. Several parts
/// at once are answered with all of it.
pub(super) fn wanted(headers: &HeaderMap, length: usize, tag: &HeaderValue) -> Wanted {
    let mut ranges = headers.get_all(RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return Wanted::All;
    };
    // A part of something else would be of no use.
    if headers.get(IF_RANGE).is_some_and(|given| given != tag) {
        return Wanted::All;
    }
    part(range, length).unwrap_or(Wanted::All)
}

fn part(range: &HeaderValue, length: usize) -> Option<Wanted> {
    let (unit, range) = range.to_str().ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let range = if first.is_empty() {
        length.saturating_sub(number(last)?)..length
    } else {
        let first = number(first)?;
        let last = if last.is_empty() {
            usize::MAX
        } else {
            number(last)?
        };
        if last < first {
            return None;
        }
        first..last.saturating_add(1).min(length)
    };
    Some(if range.start < range.end {
        Wanted::Part(range)
    } else {
        Wanted::Nothing
    })
}

/// A number of digits alone; one that is too large is the largest.
fn number(digits: &str) -> Option<usize> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Whether the client would rather have content compressed with gzip.
pub(super) fn prefers_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    let codings = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    for coding in codings {
        let (name, weight) = match coding.split_once(';') {
            Some((name, parameter)) => (name.trim(), weight(parameter)),
            None => (coding.trim(), 1.0),
        };
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            gzip = Some(weight);
        } else if name.eq_ignore_ascii_case("identity") {
            identity = Some(weight);
        } else if name == "*" {
            any = Some(weight);
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// The number in `q=0.5`.
fn weight(parameter: &str) -> f32 {
    let weight: Option<f32> = parameter
        .trim()
        .strip_prefix(['q', 'Q'])
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .and_then(|weight| weight.trim().parse().ok());
    weight
        .filter(|weight| (0.0_f32..=1.0).contains(weight))
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use http::header::{IF_MATCH, IF_NONE_MATCH};

    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn lists_of_tags_are_read_as_they_are_meant() {
        let tag = HeaderValue::from_static("\"a,b\"");
        for (values, weak, strong) in [
            (&["\"a,b\""][..], true, true),
            (&["W/\"a,b\""], true, false),
            (&["\"x\", \"a,b\""], true, true),
            (&["\"x\",W/\"y\" ,\t\"a,b\", \"z\""], true, true),
            (&["\"x\"", "\"a,b\""], true, true),
            (&["*"], true, true),
            (&[", ,*"], true, true),
            (&["\"a\""], false, false),
            (&["\"b\""], false, false),
            (&["a,b"], false, false),
            (&["\"a,b"], false, false),
            (&["w/\"a,b\""], false, false),
            (&["junk \"a,b\""], false, false),
            (&[""], false, false),
            (&[], false, false),
        ] {
            let given = headers(&IF_NONE_MATCH, values);
            assert_eq!(
                names(&given, &IF_NONE_MATCH, &tag, true),
                weak,
                "{values:?}"
            );
            let given = headers(&IF_MATCH, values);
            assert_eq!(names(&given, &IF_MATCH, &tag, false), strong, "{values:?}");
        }
    }

    #[test]
    fn one_range_is_a_part() {
        let tag = HeaderValue::from_static("\"t\"");
        let table: &[(&[&str], Wanted)] = &[
            (&["bytes=0-0"], Wanted::Part(0..1)),
            (&["bytes=2-5"], Wanted::Part(2..6)),
            (&["Bytes = 2-"], Wanted::Part(2..10)),
            (&["bytes=-3"], Wanted::Part(7..10)),
            (&["bytes=-99"], Wanted::Part(0..10)),
            (&["bytes=9-99999999999999999999999"], Wanted::Part(9..10)),
            (&["bytes=10-"], Wanted::Nothing),
            (&["bytes=99999999999999999999999-"], Wanted::Nothing),
            (&["bytes=-0"], Wanted::Nothing),
            (&["bytes=5-4"], Wanted::All),
            (&["bytes=0-1,3-4"], Wanted::All),
            (&["bytes=0-1", "bytes=3-4"], Wanted::All),
            (&["bytes=-"], Wanted::All),
            (&["bytes=a-b"], Wanted::All),
            (&["bytes=+1-2"], Wanted::All),
            (&["lines=1-2"], Wanted::All),
            (&["bytes"], Wanted::All),
            (&[], Wanted::All),
        ];
        for (values, expected) in table {
            let mut given = headers(&RANGE, values);
            assert_eq!(wanted(&given, 10, &tag), *expected, "{values:?}");
            given.insert(IF_RANGE, tag.clone());
            assert_eq!(wanted(&given, 10, &tag), *expected, "{values:?}");
            for other in ["W/\"t\"", "\"u\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
                given.insert(IF_RANGE, HeaderValue::from_static(other));
                assert_eq!(wanted(&given, 10, &tag), Wanted::All, "{values:?} {other}");
            }
        }
        let given = headers(&RANGE, &["bytes=0-"]);
        assert_eq!(wanted(&given, 0, &tag), Wanted::Nothing);
    }

    #[test]
    fn compression_is_for_those_who_want_it() {
        for (values, expected) in [
            (&["gzip"][..], true),
            (&["gzip, deflate, br, zstd"], true),
            (&["br", "GZip;q=0.5"], true),
            (&["x-gzip"], true),
            (&["*"], true),
            (&["br;q=1.0, *;q=0.1"], true),
            (&["gzip;q=1, identity;q=0"], true),
            (&["gzip ; q = 0.8 , identity; q=0.8"], true),
            (&["*;q=0.5, gzip;q=0"], false),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.000"], false),
            (&["gzip;q=0.5, identity"], false),
            (&["gzip;q=2"], false),
            (&["gzip;q=nan"], false),
            (&["gzip;level=9"], false),
            (&["br, deflate"], false),
            (&["identity"], false),
            (&[""], false),
            (&[], false),
        ] {
            let given = headers(&ACCEPT_ENCODING, values);
            assert_eq!(prefers_gzip(&given), expected, "{values:?}");
        }
    }
}
