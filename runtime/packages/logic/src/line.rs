//! Command lines: splitting a typed line, and the arguments of `m`.

/// The first word of a typed line and the rest of it, untouched but for the
/// white space between and around them. `None` for a blank line.
#[must_use]
pub fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    match line.split_once(char::is_whitespace) {
        Some((word, rest)) => Some((word, rest.trim_start())),
        None => Some((line, "")),
    }
}

/// Words separated by white space; text between two single quotes is one word
/// whatever it contains. A quote that is never closed is an ordinary character.
#[must_use]
pub fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'').and_then(|t| t.split_once('\'')) {
            Some((quoted, after)) => (quoted, after),
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// What `m` is asked to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send<'a> {
    /// Whom to: `node@p:k:g`, or `p:k:g` on this node.
    pub target: &'a str,
    /// The request's body.
    pub body: &'a str,
    /// Seconds to wait for an answer that is then printed.
    pub wait: Option<u64>,
}

/// Longest wait that `m -a` accepts, in seconds.
pub const LONGEST_WAIT: u64 = 600;

/// Reads the arguments of `m`: an address, a body, and `-a SECONDS` anywhere.
///
/// # Errors
/// A sentence for the person who typed it.
pub fn parse_send(arguments: &str) -> Result<Send<'_>, String> {
    const USAGE: &str = "usage: m ADDRESS 'BODY' [-a SECONDS]";
    let mut wait = None;
    let mut plain = Vec::new();
    let mut words = words(arguments).into_iter();
    while let Some(word) = words.next() {
        if word == "-a" || word == "--await" {
            let seconds = words.next().and_then(|text| text.parse().ok());
            match seconds {
                Some(seconds) if (1..=LONGEST_WAIT).contains(&seconds) => wait = Some(seconds),
                _ => {
                    return Err(format!(
                        "-a needs a number of seconds from 1 to {LONGEST_WAIT}; {USAGE}"
                    ));
                }
            }
        } else {
            plain.push(word);
        }
    }
    match plain[..] {
        [target, body] => Ok(Send { target, body, wait }),
        [_] | [] => Err(USAGE.to_owned()),
        _ => Err(format!(
            "too many arguments: put the body between single quotes; {USAGE}"
        )),
    }
}

/// An address as typed: a bare process id means one of this node.
#[must_use]
pub fn full_address(typed: &str, our_node: &str) -> String {
    match typed.split_once('@') {
        Some(("our", process)) => format!("{our_node}@{process}"),
        Some(_) => typed.to_owned(),
        None => format!("{our_node}@{typed}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_word_and_its_raw_rest() {
        assert_eq!(split("  "), None);
        assert_eq!(split("top"), Some(("top", "")));
        assert_eq!(split(" echo  hi  there "), Some(("echo", "hi  there")));
        assert_eq!(
            split("echo:terminal:sys a 'b c'"),
            Some(("echo:terminal:sys", "a 'b c'"))
        );
    }

    #[test]
    fn single_quotes_join_words() {
        assert_eq!(
            words("our@a:b:c '{\"x\": 1}' -a 5"),
            ["our@a:b:c", "{\"x\": 1}", "-a", "5"]
        );
        assert_eq!(words("it's fine"), ["it's", "fine"]);
        assert_eq!(words("'open"), ["'open"]);
        assert_eq!(words("''"), [""]);
    }

    #[test]
    fn the_arguments_of_m_come_in_any_order() {
        let wanted = Send {
            target: "our@a:b:c",
            body: "{\"Get\": null}",
            wait: Some(5),
        };
        for text in [
            "-a 5 our@a:b:c '{\"Get\": null}'",
            "our@a:b:c '{\"Get\": null}' -a 5",
            "our@a:b:c --await 5 '{\"Get\": null}'",
        ] {
            assert_eq!(parse_send(text).unwrap(), wanted, "{text}");
        }
        assert_eq!(parse_send("a:b:c x").unwrap().wait, None);
    }

    #[test]
    fn wrong_arguments_of_m_say_what_is_right() {
        for text in ["", "a:b:c", "a:b:c x y", "a:b:c x -a", "a:b:c x -a 0"] {
            assert!(parse_send(text).unwrap_err().contains("usage: m"), "{text}");
        }
        assert!(parse_send("a:b:c x -a 601").is_err());
    }

    #[test]
    fn a_bare_process_is_one_of_ours() {
        assert_eq!(full_address("a:b:c", "x.dev"), "x.dev@a:b:c");
        assert_eq!(full_address("our@a:b:c", "x.dev"), "x.dev@a:b:c");
        assert_eq!(full_address("y.dev@a:b:c", "x.dev"), "y.dev@a:b:c");
    }
}
