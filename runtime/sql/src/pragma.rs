//! What becomes of an app's PRAGMA.
//!
//! Many a PRAGMA acts while SQLite merely reads it, on whichever connection
//! that happens. So those that set something never reach SQLite as the app
//! wrote them: they are remembered for all connections, carried out in our
//! own words, or answered as if done. The rest goes to SQLite, where the
//! authorizer lets only known questions pass. Pure.

use crate::sql::{Token, Tokens};

/// What to do with a PRAGMA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pragma {
    /// SQLite answers, if the authorizer lets it.
    Ask,
    /// This is the answer, as JSON.
    Answer(String),
    /// A setting of all connections to the database.
    Set(Setting, bool),
    /// A number in the file of the database.
    Number(&'static str, i64),
}

/// What an app may set for its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    ForeignKeys,
    RecursiveTriggers,
    CaseSensitiveLike,
}

/// Questions that SQLite may answer, with or without an argument.
const WITH_ARGUMENT: [&str; 10] = [
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Questions that SQLite may answer; an argument would set something.
const WITHOUT_ARGUMENT: [&str; 17] = [
    "application_id",
    "auto_vacuum",
    "collation_list",
    "compile_options",
    "data_version",
    "encoding",
    "foreign_keys",
    "freelist_count",
    "function_list",
    "max_page_count",
    "module_list",
    "page_count",
    "page_size",
    "pragma_list",
    "recursive_triggers",
    "schema_version",
    "user_version",
];

/// Settings that are the host's business, and what is answered: to a
/// question, and to an attempt to set one. Nothing stands for no rows.
const HOSTS: [(&str, Option<i64>, Option<i64>); 14] = [
    ("analysis_limit", Some(0), Some(0)),
    ("auto_vacuum", None, None),
    ("busy_timeout", Some(0), Some(0)),
    ("cache_size", Some(-1024), None),
    ("journal_size_limit", Some(-1), Some(-1)),
    ("mmap_size", Some(0), Some(0)),
    ("optimize", None, None),
    ("page_size", None, None),
    ("secure_delete", Some(0), Some(0)),
    ("shrink_memory", None, None),
    ("synchronous", Some(1), None),
    ("temp_store", Some(2), None),
    ("threads", Some(0), Some(0)),
    ("wal_autocheckpoint", Some(1000), Some(1000)),
];

/// Whether SQLite may answer `PRAGMA name` or `PRAGMA name(value)`.
pub(crate) fn may_ask(name: &str, has_value: bool) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    WITH_ARGUMENT.contains(&name) || (!has_value && WITHOUT_ARGUMENT.contains(&name))
}

/// What to do with the statement, which begins with PRAGMA.
pub(crate) fn plan(sql: &str) -> Pragma {
    let Some((name, value)) = parse(sql) else {
        return Pragma::Ask;
    };
    let row = |column: &str, value: &str| Pragma::Answer(format!("[{{\"{column}\":{value}}}]"));
    match (name.as_str(), &value) {
        ("journal_mode", _) => row("journal_mode", "\"wal\""),
        ("locking_mode", _) => row("locking_mode", "\"normal\""),
        ("wal_checkpoint", _) => {
            Pragma::Answer("[{\"busy\":0,\"log\":0,\"checkpointed\":0}]".to_owned())
        }
        // The file's path is the host's business.
        ("database_list", None) => {
            Pragma::Answer("[{\"seq\":0,\"name\":\"main\",\"file\":\"\"}]".to_owned())
        }
        ("foreign_keys", Some(value)) => Pragma::Set(Setting::ForeignKeys, is_true(value)),
        ("recursive_triggers", Some(value)) => {
            Pragma::Set(Setting::RecursiveTriggers, is_true(value))
        }
        ("case_sensitive_like", Some(value)) => {
            Pragma::Set(Setting::CaseSensitiveLike, is_true(value))
        }
        ("user_version", Some(value)) => Pragma::Number("user_version", number(value)),
        ("application_id", Some(value)) => Pragma::Number("application_id", number(value)),
        ("auto_vacuum" | "page_size", None) => Pragma::Ask,
        (name, value) => match HOSTS.iter().find(|(known, ..)| *known == name) {
            Some((column, asked, set)) => {
                let column = if *column == "busy_timeout" {
                    "timeout"
                } else {
                    column
                };
                let answer = if value.is_some() { set } else { asked };
                answer.map_or_else(
                    || Pragma::Answer("[]".to_owned()),
                    |answer| row(column, &answer.to_string()),
                )
            }
            None => Pragma::Ask,
        },
    }
}

/// The name and the value, if the statement is of the form
/// `PRAGMA [main.]name [= value | (value)]`.
fn parse(sql: &str) -> Option<(String, Option<String>)> {
    let mut tokens = Tokens::new(sql);
    tokens.next()?;
    let (Token::Word(name) | Token::Quoted(name)) = tokens.next()? else {
        return None;
    };
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("main.").unwrap_or(&name).to_owned();
    let closing = match tokens.next() {
        None | Some(Token::Sign(';')) => return tokens.next().is_none().then_some((name, None)),
        Some(Token::Sign('=')) => None,
        Some(Token::Sign('(')) => Some(Token::Sign(')')),
        Some(_) => return None,
    };
    let mut value = String::new();
    let mut next = tokens.next()?;
    if let Token::Sign(sign @ ('-' | '+')) = next {
        value.push(sign);
        next = tokens.next()?;
    }
    let (Token::Word(text) | Token::Quoted(text)) = next else {
        return None;
    };
    value.push_str(text);
    if closing.is_some() && tokens.next() != closing {
        return None;
    }
    // What follows the end is not ours to judge.
    let ends = tokens.all(|token| token == Token::Sign(';'));
    ends.then_some((name, Some(value)))
}

/// What SQLite takes for true.
fn is_true(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    matches!(value.as_str(), "on" | "yes" | "true") || number(&value) != 0
}

/// The number a value begins with; 0 if it begins with none. Like SQLite the
/// file keeps 32 bits of it.
fn number(value: &str) -> i64 {
    let digits = value.trim_start_matches('+');
    if let Some(hex) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).unwrap_or(0);
    }
    let end = digits
        .find(|c: char| !c.is_ascii_digit() && c != '-')
        .unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_planned_whatever_their_spelling() {
        for (sql, plan_of) in [
            (
                "PRAGMA foreign_keys=ON",
                Pragma::Set(Setting::ForeignKeys, true),
            ),
            (
                "pragma main.Foreign_Keys ( off );",
                Pragma::Set(Setting::ForeignKeys, false),
            ),
            (
                "PRAGMA \"recursive_triggers\" = 'yes'",
                Pragma::Set(Setting::RecursiveTriggers, true),
            ),
            (
                "PRAGMA case_sensitive_like=1",
                Pragma::Set(Setting::CaseSensitiveLike, true),
            ),
            (
                "PRAGMA user_version = -3",
                Pragma::Number("user_version", -3),
            ),
            (
                "PRAGMA application_id=0x10",
                Pragma::Number("application_id", 16),
            ),
            ("PRAGMA user_version", Pragma::Ask),
            ("PRAGMA table_info(t)", Pragma::Ask),
            ("PRAGMA writable_schema=1", Pragma::Ask),
            ("PRAGMA foreign_keys=ON; DROP TABLE t", Pragma::Ask),
            ("PRAGMA temp.foreign_keys=ON", Pragma::Ask),
            ("PRAGMA", Pragma::Ask),
        ] {
            assert_eq!(plan(sql), plan_of, "{sql}");
        }
    }

    #[test]
    fn settings_of_the_host_are_answered_as_if_done() {
        let answer = |sql: &str| match plan(sql) {
            Pragma::Answer(answer) => answer,
            other => panic!("{sql}: {other:?}"),
        };
        assert_eq!(
            answer("PRAGMA journal_mode=DELETE"),
            r#"[{"journal_mode":"wal"}]"#
        );
        assert_eq!(answer("PRAGMA synchronous"), r#"[{"synchronous":1}]"#);
        assert_eq!(answer("PRAGMA synchronous=OFF"), "[]");
        assert_eq!(answer("PRAGMA busy_timeout=5000"), r#"[{"timeout":0}]"#);
        assert!(!answer("PRAGMA database_list").contains('/'));
    }

    #[test]
    fn only_questions_may_be_asked() {
        assert!(may_ask("Table_Info", true) && may_ask("user_version", false));
        assert!(!may_ask("user_version", true) && !may_ask("foreign_keys", true));
        for name in [
            "writable_schema",
            "database_list",
            "temp_store_directory",
            "cache_size",
            "trusted_schema",
            "hard_heap_limit",
            "wal_checkpoint",
            "incremental_vacuum",
        ] {
            assert!(!may_ask(name, false) && !may_ask(name, true), "{name}");
        }
    }
}
