//! How deep parentheses of a statement are nested.
//!
//! SQLite's parser takes any depth, and then walks and frees what it built by
//! recursion: tens of thousands of `(SELECT * FROM` would overflow the
//! thread's stack and end the host. Expressions have a limit of SQLite's own;
//! whatever else the parser nests has parentheses. Invariant: text is cut
//! into pieces exactly like SQLite does it, so that no quote hides one. Pure.

/// Deepest nesting of parentheses.
const DEEPEST: usize = 500;

/// Whether SQLite's parser can be given the text.
pub(crate) fn is_shallow(sql: &str) -> bool {
    let text = sql.as_bytes();
    // Most statements have fewer of them altogether.
    let all = text.iter().filter(|byte| **byte == b'(').count();
    all <= DEEPEST || deepest(text) <= DEEPEST
}

fn deepest(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at = end(text, at);
    }
    deepest
}

/// Where the piece ends that begins at `at`; pieces that matter to nobody
/// here may end early, inside nothing.
fn end(text: &[u8], at: usize) -> usize {
    let next = text.get(at + 1).copied();
    match text[at] {
        b'-' if next == Some(b'-') => after(text, at + 2, b"\n"),
        b'/' if next == Some(b'*') && at + 2 < text.len() => after(text, at + 2, b"*/"),
        // A doubled quote is the end of one piece and the begin of another.
        quote @ (b'\'' | b'"' | b'`') => after(text, at + 1, &[quote]),
        b'[' => after(text, at + 1, b"]"),
        b'$' | b'@' | b':' | b'#' => variable(text, at),
        byte if is_of_name(byte) => {
            let rest = text[at..].iter();
            at + rest.take_while(|byte| is_of_name(**byte)).count()
        }
        _ => at + 1,
    }
}

/// What follows the next `mark`; the end if there is none.
fn after(text: &[u8], from: usize, mark: &[u8]) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let found = rest.windows(mark.len()).position(|part| part == mark);
    found.map_or(text.len(), |found| from + found + mark.len())
}

/// The end of a variable: a name, and perhaps anything in parentheses.
fn variable(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    let mut named = false;
    while let Some(byte) = text.get(at) {
        if is_of_name(*byte) {
            named = true;
        } else if *byte == b'(' && named {
            let rest = text[at + 1..].iter();
            let ends = |byte: &u8| *byte == b')' || matches!(byte, b'\t'..=b'\r' | b' ');
            let inside = rest.take_while(|byte| !ends(byte)).count();
            return (at + 2 + inside).min(text.len());
        } else if text[at..].starts_with(b"::") {
            at += 1;
        } else {
            break;
        }
        at += 1;
    }
    at
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_are_counted_outside_of_quotes_and_comments() {
        for (sql, expected) in [
            ("SELECT (1), (2), (3)", 1),
            ("SELECT ((1) + (2))", 2),
            (
                "SELECT '(((', \"((\", `((`, [((], 'it''s ((' -- ((\n, (1) /* (( */",
                1,
            ),
            ("SELECT $a(') , (((1))) , $b(')", 3),
            ("SELECT $a::b((x) , (1)", 1),
            ("SELECT a$b('((') , @c, :d, ?1, ((1))", 2),
            ("SELECT x'28'';((((1))))'", 0),
            ("SELECT 1 /*/ ((( */ (2)", 1),
            ("SELECT 1 -> '(' ->> ((2))", 2),
            ("SELECT 'open ((", 0),
            ("SELECT 1 /*", 0),
            (")))((", 2),
        ] {
            assert_eq!(deepest(sql.as_bytes()), expected, "{sql}");
        }
    }

    #[test]
    fn only_deep_nesting_is_too_deep() {
        assert!(is_shallow(&"(1),".repeat(10_000)));
        let nested = |depth: usize| "(".repeat(depth) + &")".repeat(depth);
        assert!(is_shallow(&nested(DEEPEST)));
        assert!(!is_shallow(&nested(DEEPEST + 1)));
    }
}
