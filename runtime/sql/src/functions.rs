//! Functions of SQL whose work grows with the product of their arguments'
//! lengths, replaced by ones that can be stopped: SQLite does not ask the
//! meter while a function runs, and one call of its own `instr`, `replace`,
//! `trim`, `LIKE` or `GLOB` may run for hours.
//!
//! Invariant: results are those of SQLite. What it costs: a LIKE or GLOB with
//! a fixed beginning is no longer looked up in an index. Rare functions are
//! left to SQLite, up to a bound on that product.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::functions::{Context, FunctionFlags, SqlFnOutput, SubType};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Error, Result, ToSql, ffi};

use crate::meter::Meter;
use crate::patterns::{self, Style};

/// Longest pattern of LIKE and GLOB, like SQLite's.
const LONGEST_PATTERN: usize = 50_000;
/// Longest set of characters that is trimmed, bytes.
const MOST_TRIMMED: usize = 4096;
/// Most steps of a call that cannot be stopped; some seconds.
const MOST_STEPS: u64 = 4_000_000_000;
/// How SQLite marks a text as JSON.
const IS_JSON: u32 = b'J' as u32;

/// A connection without our functions, for what is left to SQLite's.
#[derive(Default)]
struct Pristine(Mutex<Option<Connection>>);

impl Pristine {
    fn ask(&self, sql: &str, params: &[ValueRef<'_>]) -> Result<Value> {
        let mut held = self.0.lock();
        let connection = match &mut *held {
            Some(connection) => connection,
            none => none.insert(Connection::open_in_memory()?),
        };
        let mut statement = connection.prepare_cached(sql)?;
        let params = params.iter().map(|value| ToSqlOutput::Borrowed(*value));
        statement.query_row(rusqlite::params_from_iter(params), |row| row.get(0))
    }
}

/// What our functions share.
#[derive(Clone)]
struct Shared {
    meter: Arc<Meter>,
    /// Whether LIKE tells upper from lower case.
    case: Arc<AtomicBool>,
    pristine: Arc<Pristine>,
    /// Bytes of the longest value.
    longest: usize,
}

/// A result of a function: text need not be UTF-8.
enum Output {
    Null,
    Integer(i64),
    Text(Vec<u8>),
    Other(Value),
}

impl SqlFnOutput for Output {
    fn to_sql(&self) -> Result<(ToSqlOutput<'_>, SubType)> {
        let value = match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text),
            Self::Other(value) => return ToSql::to_sql(value).map(|value| (value, None)),
        };
        Ok((ToSqlOutput::Borrowed(value), None))
    }
}

type Function = fn(&Shared, &Context<'_>) -> Result<Output>;

/// Puts our functions in the place of SQLite's.
pub(crate) fn register(
    connection: &Connection,
    meter: &Arc<Meter>,
    case: &Arc<AtomicBool>,
    longest: usize,
) -> Result<()> {
    let shared = Shared {
        meter: meter.clone(),
        case: case.clone(),
        pristine: Arc::default(),
        longest,
    };
    // Like SQLite's own they may be used in views, triggers and indices.
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    let functions: [(&str, i32, Function); 12] = [
        ("like", 2, like),
        ("like", 3, like),
        ("glob", 2, glob),
        ("instr", 2, instr),
        ("replace", 3, replace),
        ("trim", 1, |shared, context| {
            trim(shared, context, true, true)
        }),
        ("trim", 2, |shared, context| {
            trim(shared, context, true, true)
        }),
        ("ltrim", 1, |shared, context| {
            trim(shared, context, true, false)
        }),
        ("ltrim", 2, |shared, context| {
            trim(shared, context, true, false)
        }),
        ("rtrim", 1, |shared, context| {
            trim(shared, context, false, true)
        }),
        ("rtrim", 2, |shared, context| {
            trim(shared, context, false, true)
        }),
        ("unhex", 2, |shared, context| {
            left_to_sqlite(shared, context, "SELECT unhex(?1, ?2)").map(Output::Other)
        }),
    ];
    for (name, arguments, function) in functions {
        let shared = shared.clone();
        connection.create_scalar_function(name, arguments, flags, move |context| {
            function(&shared, context)
        })?;
    }
    for (name, sql) in [
        ("json_patch", "SELECT json_patch(?1, ?2)"),
        ("jsonb_patch", "SELECT jsonb_patch(?1, ?2)"),
    ] {
        let shared = shared.clone();
        let flags = flags | FunctionFlags::SQLITE_RESULT_SUBTYPE;
        connection.create_scalar_function(name, 2, flags, move |context| {
            let value = left_to_sqlite(&shared, context, sql)?;
            let subtype = matches!(value, Value::Text(_)).then_some(IS_JSON);
            Ok((value, subtype))
        })?;
    }
    Ok(())
}

impl Shared {
    /// Counts bytes looked at; an error once the statement must end.
    fn spend(&self, bytes: usize) -> Result<()> {
        if self.meter.spend(bytes) {
            return Err(failure(ffi::SQLITE_INTERRUPT, None));
        }
        Ok(())
    }

    /// An argument as text, like SQLite converts it; `None` for NULL.
    fn text<'a>(&self, context: &'a Context<'_>, at: usize) -> Result<Option<Cow<'a, [u8]>>> {
        Ok(match context.get_raw(at) {
            ValueRef::Null => None,
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
            ValueRef::Integer(number) => Some(Cow::Owned(number.to_string().into_bytes())),
            real @ ValueRef::Real(_) => {
                match self.pristine.ask("SELECT CAST(?1 AS TEXT)", &[real])? {
                    Value::Text(text) => Some(Cow::Owned(text.into_bytes())),
                    _ => None,
                }
            }
        })
    }
}

fn failure(code: i32, text: Option<&str>) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), text.map(str::to_owned))
}

/// What comes before a NUL: that is where SQLite's comparison ends.
fn before_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or(text)
}

fn like(shared: &Shared, context: &Context<'_>) -> Result<Output> {
    let escape = if context.len() == 3 {
        let Some(escape) = shared.text(context, 2)? else {
            return Ok(Output::Null);
        };
        let one = patterns::character(before_nul(&escape), 0);
        if one.is_none_or(|(_, end)| end != before_nul(&escape).len()) {
            let text = "ESCAPE expression must be a single character";
            return Err(failure(ffi::SQLITE_ERROR, Some(text)));
        }
        Some(escape)
    } else {
        None
    };
    let style = Style::Like {
        escape: escape.as_deref().map(before_nul),
        case: shared.case.load(Ordering::Acquire),
    };
    compare(shared, context, style)
}

fn glob(shared: &Shared, context: &Context<'_>) -> Result<Output> {
    compare(shared, context, Style::Glob)
}

fn compare(shared: &Shared, context: &Context<'_>, style: Style<'_>) -> Result<Output> {
    let pattern = shared.text(context, 0)?;
    if pattern.as_ref().is_some_and(|p| p.len() > LONGEST_PATTERN) {
        let text = "LIKE or GLOB pattern too complex";
        return Err(failure(ffi::SQLITE_ERROR, Some(text)));
    }
    let (Some(pattern), Some(text)) = (pattern, shared.text(context, 1)?) else {
        return Ok(Output::Null);
    };
    let (pattern, text) = (before_nul(&pattern), before_nul(&text));
    // The meter is asked once for many characters.
    let mut looked = 0;
    let fits = patterns::matches(pattern, text, style, |bytes| {
        looked += bytes;
        if looked < 4096 {
            return Ok(());
        }
        shared.spend(std::mem::take(&mut looked))
    })?;
    Ok(Output::Integer(fits.into()))
}

fn instr(shared: &Shared, context: &Context<'_>) -> Result<Output> {
    let blobs = [0, 1].map(|at| matches!(context.get_raw(at), ValueRef::Blob(_)));
    let (Some(text), Some(wanted)) = (shared.text(context, 0)?, shared.text(context, 1)?) else {
        return Ok(Output::Null);
    };
    let inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let is_text = blobs != [true, true];
    let mut from = 0;
    let at = loop {
        match patterns::find(&text, &wanted, from, |bytes| shared.spend(bytes))? {
            None => return Ok(Output::Integer(0)),
            // Only where a character begins.
            Some(at) if is_text && at > 0 && inside(at) => from = at + 1,
            Some(at) => break at,
        }
    };
    let before = if is_text {
        (1..=at).filter(|at| !inside(*at)).count()
    } else {
        at
    };
    Ok(Output::Integer(position(before)))
}

/// SQL counts from one.
fn position(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1)
}

fn replace(shared: &Shared, context: &Context<'_>) -> Result<Output> {
    let (Some(text), Some(wanted)) = (shared.text(context, 0)?, shared.text(context, 1)?) else {
        return Ok(Output::Null);
    };
    if wanted.is_empty() || wanted[0] == 0 {
        return Ok(Output::Text(text.into_owned()));
    }
    let Some(with) = shared.text(context, 2)? else {
        return Ok(Output::Null);
    };
    let mut replaced = Vec::new();
    let mut from = 0;
    while let Some(at) = patterns::find(&text, &wanted, from, |bytes| shared.spend(bytes))? {
        replaced.extend_from_slice(&text[from..at]);
        replaced.extend_from_slice(&with);
        shared.spend(with.len())?;
        from = at + wanted.len();
        if replaced.len() > shared.longest {
            return Err(failure(ffi::SQLITE_TOOBIG, None));
        }
    }
    replaced.extend_from_slice(&text[from..]);
    Ok(Output::Text(replaced))
}

fn trim(shared: &Shared, context: &Context<'_>, left: bool, right: bool) -> Result<Output> {
    let Some(text) = shared.text(context, 0)? else {
        return Ok(Output::Null);
    };
    let set = if context.len() == 2 {
        match shared.text(context, 1)? {
            Some(set) => set,
            None => return Ok(Output::Null),
        }
    } else {
        Cow::Borrowed(&b" "[..])
    };
    // Each of its characters is kept apart, in memory that SQLite does not count.
    if set.len() > MOST_TRIMMED {
        return Err(failure(ffi::SQLITE_TOOBIG, None));
    }
    let mut members = Vec::new();
    let mut at = 0;
    while let Some((_, end)) = patterns::character(&set, at) {
        members.push(&set[at..end]);
        at = end;
    }
    let mut kept: &[u8] = &text;
    let mut go_on = left;
    while go_on {
        shared.spend(set.len())?;
        let member = members.iter().find(|member| kept.starts_with(member));
        go_on = member.is_some_and(|member| !kept.is_empty() && !member.is_empty());
        if let (true, Some(member)) = (go_on, member) {
            kept = &kept[member.len()..];
        }
    }
    go_on = right;
    while go_on {
        shared.spend(set.len())?;
        let member = members.iter().find(|member| kept.ends_with(member));
        go_on = member.is_some_and(|member| !kept.is_empty() && !member.is_empty());
        if let (true, Some(member)) = (go_on, member) {
            kept = &kept[..kept.len() - member.len()];
        }
    }
    Ok(Output::Text(kept.to_vec()))
}

/// SQLite's own function of two arguments, unless it would take too long.
fn left_to_sqlite(shared: &Shared, context: &Context<'_>, sql: &str) -> Result<Value> {
    let arguments = [context.get_raw(0), context.get_raw(1)];
    let steps = arguments.iter().map(|argument| match argument {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
        _ => 1,
    });
    if steps.fold(1, u64::saturating_mul) > MOST_STEPS {
        return Err(failure(ffi::SQLITE_TOOBIG, None));
    }
    shared.pristine.ask(sql, &arguments)
}

#[cfg(test)]
mod tests;
