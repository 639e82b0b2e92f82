//! What the module does for a request: who may, what it costs, and the call
//! into the databases.
//!
//! Invariant: nothing is told about a database to those who have no right to
//! it, and nothing is written before the node's write rate allows it. Ends
//! early with a typed error when the node stops.

use node_sql::{Databases, DbId, SqlError, Statement};
use node_types::ProcessId;

use super::action::{Action, Outcome, SqliteError};
use super::codec::Asked;
use super::{Sqlite, params};
use crate::database::{DbKey, Kind, Refusal, Rights};

/// What making or removing a database counts for in the write rate.
const FILE_BYTES: u64 = 4096;
/// What a reader may set: these change what writers do, or the file.
const SETTINGS: [&str; 5] = [
    "application_id",
    "case_sensitive_like",
    "foreign_keys",
    "recursive_triggers",
    "user_version",
];

impl Sqlite {
    /// Does `action` in the name of `caller`.
    ///
    /// # Errors
    /// [`SqliteError`].
    ///
    /// # Cancel-Safety
    /// A started statement is finished, its outcome is lost.
    pub(super) async fn perform(
        &self,
        caller: &ProcessId,
        asked: &Asked,
        action: Action,
        blob: Option<&[u8]>,
    ) -> Result<Outcome, SqliteError> {
        let key = &DbKey::parse(&asked.package, &asked.db)?;
        let rights = self.rights();
        match action {
            Action::Open => {
                rights.may_open(caller, key)?;
                self.open(caller, key).await
            }
            Action::RemoveDb => {
                rights.may_open(caller, key)?;
                self.remove(key).await
            }
            Action::Write { statement, tx } => {
                rights.check(caller, key, Kind::Write)?;
                self.write(caller, key, statement, tx, blob).await
            }
            Action::Read(query) => {
                rights.check(caller, key, Kind::Read)?;
                self.read(caller, key, query, blob).await
            }
            Action::BeginTx => {
                rights.check(caller, key, Kind::Write)?;
                self.begin(caller, key).await
            }
            Action::Commit(id) => {
                rights.check(caller, key, Kind::Write)?;
                self.commit(caller, key, id).await
            }
            Action::Backup => {
                rights
                    .may_open(caller, key)
                    .or_else(|_| rights.check(caller, key, Kind::Write))
                    .or_else(|_| rights.check(caller, key, Kind::Read))?;
                self.in_turn(Databases::sync).await?;
                Ok(Outcome::Done)
            }
        }
    }

    fn rights(&self) -> Rights<'_> {
        Rights {
            us: &self.us,
            port: &*self.port,
        }
    }

    async fn open(&self, caller: &ProcessId, key: &DbKey) -> Result<Outcome, SqliteError> {
        let id = id_of(key);
        self.may_write(FILE_BYTES).await?;
        let opened = self.in_turn(move |databases| databases.open(&id)).await;
        self.written.notify_one();
        opened?;
        self.rights().grant(caller, key);
        Ok(Outcome::Done)
    }

    async fn remove(&self, key: &DbKey) -> Result<Outcome, SqliteError> {
        let id = id_of(key);
        self.may_write(FILE_BYTES).await?;
        let removed = self.in_turn(move |databases| databases.remove(&id)).await;
        self.written.notify_one();
        removed?;
        self.transactions.end_of_database(key);
        Ok(Outcome::Done)
    }

    async fn read(
        &self,
        caller: &ProcessId,
        key: &DbKey,
        sql: String,
        blob: Option<&[u8]>,
    ) -> Result<Outcome, SqliteError> {
        node_sql::check_read(&sql)?;
        let params = params::parse(blob)?;
        let sets = may_set(&sql);
        if sets {
            self.rights().check(caller, key, Kind::Write)?;
            self.may_write(sql.len() as u64).await?;
        }
        let statement = Statement { sql, params };
        let id = id_of(key);
        let rows = self
            .in_turn(move |databases| databases.read(&id, &statement))
            .await;
        if sets {
            self.written.notify_one();
        }
        Ok(Outcome::Rows(rows?.into()))
    }

    async fn write(
        &self,
        caller: &ProcessId,
        key: &DbKey,
        sql: String,
        tx: Option<u64>,
        blob: Option<&[u8]>,
    ) -> Result<Outcome, SqliteError> {
        node_sql::check_write(&sql)?;
        let bytes = sql.len() + blob.map_or(0, <[u8]>::len);
        let params = params::parse(blob)?;
        let statement = Statement { sql, params };
        if let Some(id) = tx {
            // Short parameters take more memory than their text.
            let held = bytes + size_of_val(&*statement.params);
            self.transactions
                .add::<SqliteError>(id, caller, key, (statement, held))?;
            return Ok(Outcome::Done);
        }
        self.run_all(key, vec![statement], bytes).await
    }

    async fn begin(&self, caller: &ProcessId, key: &DbKey) -> Result<Outcome, SqliteError> {
        let id = id_of(key);
        if !self.in_turn(move |databases| databases.exists(&id)).await? {
            return Err(Refusal::NoDb.into());
        }
        let random = || self.port.new_message_id().0;
        let begun = self.transactions.begin(caller, key, random)?;
        Ok(Outcome::Begun(begun))
    }

    /// A transaction whose commit fails is gone: its process begins anew.
    async fn commit(
        &self,
        caller: &ProcessId,
        key: &DbKey,
        id: u64,
    ) -> Result<Outcome, SqliteError> {
        let (statements, bytes) = self.transactions.take(id, caller, key)?;
        if statements.is_empty() {
            return Ok(Outcome::Done);
        }
        self.run_all(key, statements, bytes).await
    }

    /// Runs statements that came in `bytes`, all of them or none.
    async fn run_all(
        &self,
        key: &DbKey,
        statements: Vec<Statement>,
        bytes: usize,
    ) -> Result<Outcome, SqliteError> {
        let id = id_of(key);
        self.may_write(bytes as u64).await?;
        let written = self
            .in_turn(move |databases| databases.write(&id, &statements))
            .await;
        // A failed one may have grown the log.
        self.written.notify_one();
        written?;
        Ok(Outcome::Done)
    }

    /// Waits until `bytes` may be written; before that, what is on disk has
    /// been counted.
    async fn may_write(&self, bytes: u64) -> Result<(), SqliteError> {
        self.measure().await?;
        tokio::select! {
            biased;
            () = self.tasks.token().cancelled() => Err(SqliteError::stopping()),
            () = self.quota.pace(bytes) => Ok(()),
        }
    }

    /// Does `work` in the blocking pool, once few enough others do.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Databases) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqliteError> {
        let turn = async {
            Some((
                self.slots.acquire().await.ok()?,
                self.turns.acquire().await.ok()?,
            ))
        };
        let turn = tokio::select! {
            biased;
            () = self.tasks.token().cancelled() => None,
            turn = turn => turn,
        };
        let Some(_turn) = turn else {
            return Err(SqliteError::stopping());
        };
        let done = self.blocking(work).await;
        self.used.notify_one();
        done
    }
}

fn id_of(key: &DbKey) -> DbId {
    DbId {
        package: key.package.to_string(),
        name: key.name.as_str().to_owned(),
    }
}

/// Whether a read may be a PRAGMA that sets something. It errs on the side of
/// yes, which only those notice who may not write.
fn may_set(sql: &str) -> bool {
    if !sql.contains(['=', '(']) {
        return false;
    }
    let has = |word: &str| {
        let mut windows = sql.as_bytes().windows(word.len());
        windows.any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
    };
    has("pragma") && SETTINGS.into_iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pragma_that_sets_something_is_seen() {
        for sets in [
            "PRAGMA foreign_keys=ON",
            " /* a */ pragma main.User_Version ( 3 )",
            "--\nPRAGMA \"application_id\"=7;",
        ] {
            assert!(may_set(sets), "{sets}");
        }
        for asks in [
            "SELECT * FROM t WHERE user_version = 3",
            "PRAGMA user_version",
            "PRAGMA table_info(t)",
            "",
        ] {
            assert!(!may_set(asks), "{asks}");
        }
    }
}
