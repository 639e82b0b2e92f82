//! LIKE, GLOB and searching, so that they can be stopped: SQLite's own run to
//! their end, which may take hours for long values.
//!
//! Everything works on bytes and compares like SQLite: letters of ASCII
//! without case for LIKE, a wildcard stands for one UTF-8 character. Each
//! function calls `spend` with the bytes it has looked at and ends with its
//! error. Pure.

/// Where the character at `at` ends, and its code.
pub(crate) fn character(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let first = *text.get(at)?;
    let mut end = at + 1;
    if first < 0xc0 {
        return Some((first.into(), end));
    }
    let mut code = u32::from(first) & 0x1f;
    if first >= 0xe0 {
        code &= 0x0f;
    }
    if first >= 0xf0 {
        code &= 0x07;
    }
    while let Some(byte) = text.get(end).filter(|byte| **byte & 0xc0 == 0x80) {
        code = code.wrapping_shl(6) | u32::from(byte & 0x3f);
        end += 1;
    }
    Some((code, end))
}

/// What a piece of a pattern asks for.
enum Piece<'a> {
    /// Any characters.
    Any,
    /// One character of any kind.
    One,
    /// These bytes.
    Just(&'a [u8]),
    /// One of a set: its inside, as written.
    Set(&'a [u8]),
    /// Nothing can be this.
    Never,
}

/// How a pattern is written.
#[derive(Clone, Copy)]
pub(crate) enum Style<'a> {
    /// `%`, `_` and perhaps an escape character; without case or with.
    Like {
        escape: Option<&'a [u8]>,
        case: bool,
    },
    /// `*`, `?` and sets.
    Glob,
}

/// Whether `text` is of the form of `pattern`.
pub(crate) fn matches<E>(
    pattern: &[u8],
    text: &[u8],
    style: Style<'_>,
    mut spend: impl FnMut(usize) -> Result<(), E>,
) -> Result<bool, E> {
    let (mut at_pattern, mut at) = (0, 0);
    // Where to go on if what follows the last wildcard does not fit.
    let mut again: Option<(usize, usize)> = None;
    loop {
        spend(1)?;
        let fits = match piece(pattern, at_pattern, style) {
            None if at == text.len() => return Ok(true),
            None => None,
            Some((Piece::Any, next)) => {
                again = Some((next, at));
                Some((next, at))
            }
            Some((piece, next)) => step(&piece, text, at, style).map(|after| (next, after)),
        };
        if let Some(next) = fits {
            (at_pattern, at) = next;
            continue;
        }
        let Some((from, start)) = again else {
            return Ok(false);
        };
        let Some((_, next)) = character(text, start) else {
            return Ok(false);
        };
        again = Some((from, next));
        (at_pattern, at) = (from, next);
    }
}

/// The piece at `at` and where the next begins.
fn piece<'a>(pattern: &'a [u8], at: usize, style: Style<'_>) -> Option<(Piece<'a>, usize)> {
    let (_, end) = character(pattern, at)?;
    let this = &pattern[at..end];
    match style {
        Style::Like { escape, .. } if escape == Some(this) => Some(match character(pattern, end) {
            Some((_, after)) => (Piece::Just(&pattern[end..after]), after),
            None => (Piece::Never, end),
        }),
        Style::Like { .. } => Some(match this {
            b"%" => (Piece::Any, end),
            b"_" => (Piece::One, end),
            _ => (Piece::Just(this), end),
        }),
        Style::Glob => Some(match this {
            b"*" => (Piece::Any, end),
            b"?" => (Piece::One, end),
            b"[" => match set_end(pattern, end) {
                Some(close) => (Piece::Set(&pattern[end..close]), close + 1),
                None => (Piece::Never, end),
            },
            _ => (Piece::Just(this), end),
        }),
    }
}

/// Where the set that begins at `at` is closed: its first character may be
/// the closing bracket itself.
fn set_end(pattern: &[u8], at: usize) -> Option<usize> {
    let mut from = at;
    if pattern.get(from) == Some(&b'^') {
        from += 1;
    }
    if pattern.get(from) == Some(&b']') {
        from += 1;
    }
    let rest = pattern.get(from..)?;
    rest.iter()
        .position(|byte| *byte == b']')
        .map(|end| from + end)
}

/// Where the text goes on if the piece fits at `at`.
fn step(piece: &Piece<'_>, text: &[u8], at: usize, style: Style<'_>) -> Option<usize> {
    let (code, end) = character(text, at)?;
    let fits = match piece {
        Piece::Any | Piece::Never => false,
        Piece::One => true,
        Piece::Just(wanted) => match style {
            Style::Like { case: false, .. } => text[at..end].eq_ignore_ascii_case(wanted),
            _ => &text[at..end] == *wanted,
        },
        Piece::Set(set) => is_in_set(set, code),
    };
    fits.then_some(end)
}

fn is_in_set(set: &[u8], code: u32) -> bool {
    let (negated, mut at) = match set.first() {
        Some(b'^') => (true, 1),
        _ => (false, 0),
    };
    let mut found = false;
    let mut before = None;
    while let Some((this, end)) = character(set, at) {
        at = end;
        if let (0x2d, Some(low), Some((high, end))) = (this, before, character(set, at)) {
            found |= (low..=high).contains(&code);
            before = None;
            at = end;
        } else {
            found |= this == code;
            before = Some(this);
        }
    }
    found != negated
}

/// Where `wanted` begins in `text`, from `from` on.
pub(crate) fn find<E>(
    text: &[u8],
    wanted: &[u8],
    from: usize,
    mut spend: impl FnMut(usize) -> Result<(), E>,
) -> Result<Option<usize>, E> {
    let Some(first) = wanted.first() else {
        return Ok(Some(from));
    };
    let mut at = from;
    while at + wanted.len() <= text.len() {
        let last = text.len() - wanted.len() + 1;
        // In pieces, so that a long text is no long step.
        let window = &text[at..last.min(at + 4096)];
        let Some(hit) = window.iter().position(|byte| byte == first) else {
            spend(window.len())?;
            at += window.len();
            continue;
        };
        spend(hit + wanted.len())?;
        at += hit;
        if text[at..].starts_with(wanted) {
            return Ok(Some(at));
        }
        at += 1;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn fits(pattern: &str, text: &str, style: Style<'_>) -> bool {
        let free = |_| Ok::<_, Infallible>(());
        let Ok(fits) = matches(pattern.as_bytes(), text.as_bytes(), style, free);
        fits
    }

    #[test]
    fn a_search_ends_when_it_is_told_to() {
        let text = vec![b'a'; 100_000];
        let mut wanted = vec![b'a'; 50_000];
        wanted.push(b'b');
        let mut spent = 0;
        let stopped = find(&text, &wanted, 0, |bytes| {
            spent += bytes;
            if spent < 1_000_000 { Ok(()) } else { Err(()) }
        });
        assert_eq!(stopped, Err(()));
        let found = find(b"abcabd", b"abd", 0, |_| Ok::<_, ()>(()));
        assert_eq!(found, Ok(Some(3)));
    }

    #[test]
    fn wildcards_stand_for_characters() {
        let like = Style::Like {
            escape: None,
            case: false,
        };
        assert!(fits("%b_D%", "aaBcd\u{e9}", like));
        assert!(fits("_", "\u{e9}", like) && !fits("_", "ab", like));
        assert!(!fits("\u{c9}", "\u{e9}", like));
        assert!(fits("[^a-c]*]", "x]", Style::Glob));
        assert!(!fits("[a", "a", Style::Glob));
    }
}
