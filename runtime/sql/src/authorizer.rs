//! What SQL may do, asked by SQLite for every action while it reads a
//! statement.
//!
//! Invariant: an app's statement reaches no other file, no setting of the
//! host, and begins or ends no transaction. Statements of ours run inside
//! [`Gate::open`].

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::pragma;

/// Modules of which an app may make tables.
const MODULES: [&str; 4] = ["fts5", "fts5vocab", "rtree", "rtree_i32"];
/// Functions that reach outside the database.
const FUNCTIONS: [&str; 3] = ["load_extension", "fts3_tokenizer", "sqlite_log"];

/// They would be kept in the host's memory for as long as the connection is.
const TEMPORARY: &str = "temporary tables, views and triggers are not kept here: make lasting ones";

/// The authorizer of one connection.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: AtomicBool,
    denied: Mutex<Option<String>>,
}

/// Lets everything pass until dropped.
pub(crate) struct Opened<'a>(&'a Gate);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::Release);
    }
}

impl Gate {
    /// Lets a statement of ours pass.
    pub(crate) fn open(&self) -> Opened<'_> {
        self.open.store(true, Ordering::Release);
        Opened(self)
    }

    /// What was refused since this was last asked.
    pub(crate) fn take_denied(&self) -> Option<String> {
        self.denied.lock().take()
    }

    /// The answer to SQLite.
    pub(crate) fn judge(&self, context: &AuthContext<'_>) -> Authorization {
        if self.open.load(Ordering::Acquire) {
            return Authorization::Allow;
        }
        match refusal(context) {
            None => Authorization::Allow,
            Some(text) => {
                *self.denied.lock() = Some(text);
                Authorization::Deny
            }
        }
    }
}

/// Why an action is refused.
fn refusal(context: &AuthContext<'_>) -> Option<String> {
    let is_temp = context.database_name == Some("temp");
    let text = match &context.action {
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            "ATTACH, DETACH and VACUUM INTO are not allowed: a database is on its own here"
                .to_owned()
        }
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            "transactions are not begun or ended in SQL here: use BeginTx and Commit".to_owned()
        }
        AuthAction::Function { function_name }
            if FUNCTIONS
                .iter()
                .any(|name| function_name.eq_ignore_ascii_case(name)) =>
        {
            format!("the function {function_name} is not allowed here")
        }
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } if !pragma::may_ask(pragma_name, pragma_value.is_some()) => {
            format!("PRAGMA {pragma_name} is not allowed here, or not in this form")
        }
        AuthAction::CreateVtable { module_name, .. }
            if !MODULES
                .iter()
                .any(|name| module_name.eq_ignore_ascii_case(name)) =>
        {
            format!("virtual tables of {module_name} are not allowed here: use fts5 or rtree")
        }
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => TEMPORARY.to_owned(),
        // In `CREATE TABLE temp.t` only the schema's name says it: whatever
        // is made has a row in the table of its schema.
        AuthAction::Insert { .. } if is_temp => TEMPORARY.to_owned(),
        AuthAction::Unknown { code, .. } => format!("the action {code} of SQL is not known here"),
        _ => return None,
    };
    Some(text)
}
