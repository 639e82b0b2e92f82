//! Transactions: statements that are gathered and then run together.
//!
//! Invariants: a transaction belongs to the process that began it and to one
//! database, and nobody else adds to it or commits it; their number and bytes
//! are bounded per node. One ends when it is committed, when its process or
//! database is gone, or when it was left alone for [`IDLE`].

use std::collections::HashMap;
use std::time::Duration;

use node_sql::Statement;
use node_types::ProcessId;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::action::SqliteError;
use crate::database::{DbKey, Refusal};

/// Most transactions a process may have open.
pub(crate) const MAX_PER_PROCESS: usize = 64;
/// Most transactions a node may have open.
pub(crate) const MAX_OPEN: usize = 256;
/// Most bytes that wait in the transactions of a node.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// A transaction that is left alone for so long is given up.
pub(crate) const IDLE: Duration = Duration::from_secs(300);
/// Ids are smaller, so that JSON readers with floating numbers keep them.
const IDS: u64 = 1 << 53;
/// What a statement takes in memory besides its text.
const OVERHEAD: usize = 256;

#[derive(Debug)]
struct Transaction {
    owner: ProcessId,
    key: DbKey,
    gathered: Gathered,
    used: Instant,
}

/// What a transaction has gathered.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// In the order in which they came.
    pub(crate) statements: Vec<Statement>,
    /// What they count for.
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<u64, Transaction>,
    bytes: usize,
}

/// The open transactions of a node.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    table: Mutex<Table>,
    begun: Notify,
}

impl Transactions {
    /// Begins a transaction of `owner` on a database; ids come from `random`.
    ///
    /// # Errors
    /// [`SqliteError::TooManyTransactions`].
    pub(crate) fn begin(
        &self,
        owner: &ProcessId,
        key: &DbKey,
        now: Instant,
        random: impl Fn() -> u64,
    ) -> Result<u64, SqliteError> {
        let mut table = self.table.lock();
        let open = table.open.values();
        let own = open.filter(|transaction| transaction.owner == *owner);
        if table.open.len() >= MAX_OPEN || own.count() >= MAX_PER_PROCESS {
            return Err(SqliteError::TooManyTransactions);
        }
        let id = loop {
            let id = random() % IDS;
            if id != 0 && !table.open.contains_key(&id) {
                break id;
            }
        };
        table.open.insert(
            id,
            Transaction {
                owner: owner.clone(),
                key: key.clone(),
                gathered: Gathered::default(),
                used: now,
            },
        );
        drop(table);
        self.begun.notify_one();
        Ok(id)
    }

    /// Adds a statement of `bytes` to the transaction `id`, which must be one
    /// of `owner` on that database. An unknown id is refused: to begin one in
    /// its place would lose the statements it had.
    ///
    /// # Errors
    /// [`Refusal::NoTx`] and [`SqliteError::TransactionsTooLarge`].
    pub(crate) fn add(
        &self,
        id: u64,
        owner: &ProcessId,
        key: &DbKey,
        now: Instant,
        (statement, bytes): (Statement, usize),
    ) -> Result<(), SqliteError> {
        let mut table = self.table.lock();
        let Table { open, bytes: all } = &mut *table;
        let transaction = open
            .get_mut(&id)
            .filter(|transaction| transaction.is(owner, key))
            .ok_or(Refusal::NoTx(id))?;
        transaction.used = now;
        let cost = cost(&statement, bytes);
        if all.saturating_add(cost) > MAX_BYTES {
            return Err(SqliteError::TransactionsTooLarge);
        }
        *all += cost;
        transaction.gathered.bytes += cost;
        transaction.gathered.statements.push(statement);
        Ok(())
    }

    /// Ends the transaction `id`, which must be one of `owner` on that
    /// database, and returns what it has gathered.
    ///
    /// # Errors
    /// [`Refusal::NoTx`].
    pub(crate) fn take(
        &self,
        id: u64,
        owner: &ProcessId,
        key: &DbKey,
    ) -> Result<Gathered, Refusal> {
        let mut table = self.table.lock();
        let known = table.open.get(&id);
        if !known.is_some_and(|transaction| transaction.is(owner, key)) {
            return Err(Refusal::NoTx(id));
        }
        let gathered = table.open.remove(&id).map(|ended| ended.gathered);
        let gathered = gathered.unwrap_or_default();
        table.bytes = table.bytes.saturating_sub(gathered.bytes);
        Ok(gathered)
    }

    /// Gives up the transactions of a process that ended.
    pub(crate) fn forget_process(&self, process: &ProcessId) {
        self.forget(|transaction| transaction.owner == *process);
    }

    /// Gives up the transactions on a database that is gone.
    pub(crate) fn forget_database(&self, key: &DbKey) {
        self.forget(|transaction| transaction.key == *key);
    }

    /// Gives up those that were left alone for too long.
    pub(crate) fn forget_idle(&self, now: Instant) {
        self.forget(|transaction| transaction.used + IDLE <= now);
    }

    /// Waits until there is something for [`Transactions::forget_idle`].
    ///
    /// # Cancel-Safety
    /// Safe.
    pub(crate) async fn idle(&self) {
        loop {
            match self.next_idle() {
                Some(due) => return tokio::time::sleep_until(due).await,
                None => self.begun.notified().await,
            }
        }
    }

    fn next_idle(&self) -> Option<Instant> {
        let table = self.table.lock();
        let used = table.open.values().map(|transaction| transaction.used);
        used.min().map(|used| used + IDLE)
    }

    fn forget(&self, which: impl Fn(&Transaction) -> bool) {
        let mut table = self.table.lock();
        let Table { open, bytes } = &mut *table;
        open.retain(|_, transaction| {
            let gone = which(transaction);
            if gone {
                *bytes = bytes.saturating_sub(transaction.gathered.bytes);
            }
            !gone
        });
    }
}

impl Transaction {
    fn is(&self, owner: &ProcessId, key: &DbKey) -> bool {
        self.owner == *owner && self.key == *key
    }
}

/// What a statement that came in `bytes` takes in memory: short parameters
/// take more than their text.
fn cost(statement: &Statement, bytes: usize) -> usize {
    let params = statement.params.len() * size_of::<node_sql::Param>();
    bytes.saturating_add(params).saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn process(name: &str) -> ProcessId {
        format!("{name}:pkg:me.dev").parse().unwrap()
    }

    fn key(name: &str) -> DbKey {
        DbKey::parse(&"pkg:me.dev".parse().unwrap(), name).unwrap()
    }

    fn insert(bytes: usize) -> (Statement, usize) {
        let statement = Statement {
            sql: "INSERT INTO t VALUES (1)".to_owned(),
            params: Vec::new(),
        };
        (statement, bytes)
    }

    /// Begins one with whatever id.
    fn begin(transactions: &Transactions, owner: &str, db: &str) -> Result<u64, SqliteError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let random = || COUNTER.fetch_add(1, Ordering::Relaxed);
        transactions.begin(&process(owner), &key(db), Instant::now(), random)
    }

    #[test]
    fn ids_are_new_small_and_never_zero() {
        let transactions = Transactions::default();
        let numbers = Mutex::new(vec![IDS + 5, 5, IDS, 0, u64::MAX].into_iter());
        let random = || numbers.lock().next().unwrap();
        let begin = || transactions.begin(&process("a"), &key("d"), Instant::now(), random);
        assert_eq!(begin(), Ok(5));
        assert_eq!(begin(), Ok(IDS - 1));
    }

    #[test]
    fn only_its_process_uses_a_transaction_and_on_its_database() {
        let transactions = Transactions::default();
        let now = Instant::now();
        let id = begin(&transactions, "a", "d").unwrap();
        let no_tx = |id| Err(SqliteError::from(Refusal::NoTx(id)));
        let add = |id, owner: &str, db: &str| {
            transactions.add(id, &process(owner), &key(db), now, insert(10))
        };
        assert_eq!(add(id, "a", "d"), Ok(()));
        assert_eq!(add(id, "b", "d"), no_tx(id));
        assert_eq!(add(id, "a", "e"), no_tx(id));
        assert_eq!(add(id + 1, "a", "d"), no_tx(id + 1));
        let take = |owner: &str, db: &str| transactions.take(id, &process(owner), &key(db));
        assert!(take("b", "d").is_err());
        assert!(take("a", "e").is_err());
        assert_eq!(take("a", "d").unwrap().statements.len(), 1);
        assert_eq!(take("a", "d").unwrap_err(), Refusal::NoTx(id));
        assert_eq!(transactions.table.lock().bytes, 0);
    }

    #[test]
    fn they_are_bounded_in_number_and_bytes() {
        let transactions = Transactions::default();
        let full = Err(SqliteError::TooManyTransactions);
        let mut last = 0;
        for owner in 0..MAX_OPEN / MAX_PER_PROCESS {
            for _ in 0..MAX_PER_PROCESS {
                last = begin(&transactions, &format!("p{owner}"), "d").unwrap();
            }
            assert_eq!(begin(&transactions, &format!("p{owner}"), "d"), full);
        }
        assert_eq!(begin(&transactions, "other", "d"), full);
        let owner = process(&format!("p{}", MAX_OPEN / MAX_PER_PROCESS - 1));
        let add = |bytes| transactions.add(last, &owner, &key("d"), Instant::now(), insert(bytes));
        assert_eq!(add(MAX_BYTES - OVERHEAD), Ok(()));
        assert_eq!(add(0), Err(SqliteError::TransactionsTooLarge));
        assert_eq!(add(usize::MAX / 2), Err(SqliteError::TransactionsTooLarge));
        transactions.take(last, &owner, &key("d")).unwrap();
        let id = begin(&transactions, "other", "d").unwrap();
        let again = transactions.add(id, &process("other"), &key("d"), Instant::now(), insert(9));
        assert_eq!(again, Ok(()));
    }

    #[test]
    fn they_end_with_their_process_and_their_database() {
        let transactions = Transactions::default();
        let ids = [("a", "d"), ("b", "d"), ("b", "e"), ("c", "e")]
            .map(|(owner, db)| (begin(&transactions, owner, db).unwrap(), owner, db));
        for (id, owner, db) in ids {
            let added =
                transactions.add(id, &process(owner), &key(db), Instant::now(), insert(1000));
            assert_eq!(added, Ok(()));
        }
        transactions.forget_process(&process("a"));
        transactions.forget_database(&key("e"));
        let left = ids.map(|(id, owner, db)| {
            let taken = transactions.take(id, &process(owner), &key(db));
            taken.is_ok()
        });
        assert_eq!(left, [false, true, false, false]);
        assert_eq!(transactions.table.lock().bytes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn those_left_alone_are_given_up() {
        let transactions = Transactions::default();
        let begun = async {
            let first = begin(&transactions, "a", "d").unwrap();
            tokio::time::sleep(IDLE / 2).await;
            (first, begin(&transactions, "a", "d").unwrap())
        };
        let start = Instant::now();
        let ((), (first, second)) = tokio::join!(transactions.idle(), begun);
        assert!(start.elapsed() >= IDLE && start.elapsed() < IDLE + IDLE / 2);
        transactions.forget_idle(Instant::now());
        let take = |id| transactions.take(id, &process("a"), &key("d"));
        assert!(take(first).is_err());
        assert!(take(second).is_ok());
    }
}
