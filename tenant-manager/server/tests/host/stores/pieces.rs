//! Pieces that fill a store until it takes no more.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::steps::{self, failure, is_done, rows, vfs, with};
use super::{Books, PATIENCE};

/// Most pieces before a store must be full.
const MOST: usize = 160;
/// The database with the pieces.
const DB: &str = "pieces";

/// A store that pieces are put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Files,
    KeyValue,
    Sqlite,
    /// One piece, which each replaces.
    State,
}

/// All of them.
pub const STORES: [Store; 4] = [Store::Files, Store::KeyValue, Store::Sqlite, Store::State];

/// Pieces of one store of a node.
pub struct Pieces<'a> {
    books: &'a Books,
    store: Store,
    bytes: usize,
    /// Those that were acknowledged and have not been removed; of state, what
    /// may be there.
    kept: Vec<usize>,
    next: usize,
}

impl<'a> Pieces<'a> {
    /// None yet, of `bytes` bytes each.
    pub async fn begin(books: &'a Books, store: Store, bytes: usize) -> Self {
        let pieces = Self {
            books,
            store,
            bytes,
            kept: Vec::new(),
            next: 0,
        };
        pieces.open().await;
        pieces
    }

    /// The same pieces of a host that has been started again since.
    pub fn again(self, books: &'a Books) -> Self {
        Self { books, ..self }
    }

    async fn open(&self) {
        let books = self.books;
        let table = "CREATE TABLE IF NOT EXISTS pieces (n INTEGER PRIMARY KEY, v TEXT)";
        let steps = match self.store {
            Store::Files => vec![vfs(&books.file(DB), &json!("CreateDirAll"))],
            Store::KeyValue => vec![books.database("kv", DB, &json!("Open"))],
            Store::Sqlite => vec![
                books.database("sqlite", DB, &json!("Open")),
                books.database("sqlite", DB, &steps::write(table)),
            ],
            Store::State => Vec::new(),
        };
        books.write("two", &steps).await;
    }

    fn path(&self, number: usize) -> String {
        self.books.file(&format!("{DB}/{number}"))
    }

    fn key(number: usize) -> String {
        format!("piece {number}")
    }

    fn process(&self) -> String {
        format!("two:{}", self.books.package)
    }

    /// No base64, so that it comes back from SQLite as it is.
    fn content(&self, number: usize) -> String {
        let begun = format!("piece {number}.");
        let rest = ".".repeat(self.bytes.saturating_sub(begun.len()));
        begun + &rest
    }

    fn putting(&self, number: usize) -> Value {
        let books = self.books;
        let content = self.content(number);
        match self.store {
            Store::Files => with(vfs(&self.path(number), &json!("Write")), &content),
            Store::KeyValue => {
                let set = steps::set(&Self::key(number));
                with(books.database("kv", DB, &set), &content)
            }
            Store::Sqlite => {
                let insert = steps::write("INSERT INTO pieces VALUES (?1, ?2)");
                let parameters = json!([number, content]).to_string();
                with(books.database("sqlite", DB, &insert), &parameters)
            }
            Store::State => with(steps::state("SetState", &self.process()), &content),
        }
    }

    /// Puts one more piece; what the store says if it does not take it.
    pub async fn put(&mut self) -> Result<(), Value> {
        let number = self.next;
        self.next += 1;
        let step = self.putting(number);
        let answer = self.books.take("two", &[step]).await.remove(0);
        if is_done(&answer) {
            if self.store == Store::State {
                self.kept.clear();
            }
            self.kept.push(number);
            return Ok(());
        }
        // A store that failed may have kept the piece all the same: state is
        // the one before or one of those that were refused since.
        if self.store == Store::State {
            self.kept.push(number);
        }
        let error = answer.pointer("/body/Err");
        Err(error.unwrap_or_else(|| panic!("{answer}")).clone())
    }

    /// Puts a piece as soon as the store takes one again.
    pub async fn put_soon(&mut self) {
        let end = Instant::now() + PATIENCE;
        while let Err(refusal) = self.put().await {
            assert!(Instant::now() < end, "{:?}: {refusal}", self.store);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Puts pieces until one is refused; the refusal, which is in the words of
    /// the store.
    pub async fn fill(&mut self) -> Value {
        for _ in 0..MOST {
            if let Err(error) = self.put().await {
                self.is_typed(&error);
                return error;
            }
        }
        panic!("{:?}: {MOST} pieces found room", self.store);
    }

    fn is_typed(&self, error: &Value) {
        let kinds: &[&str] = match self.store {
            Store::Files => &["IOError"],
            Store::KeyValue => &["RocksDBError", "IOError"],
            Store::Sqlite => &["RusqliteError", "IOError"],
            Store::State => &["RocksDBError", "IOError", "BadRequest"],
        };
        let fields = error.as_object().unwrap_or_else(|| panic!("{error}"));
        let typed = fields.keys().all(|kind| kinds.contains(&kind.as_str()));
        assert!(typed && fields.len() == 1, "{:?}: {error}", self.store);
    }

    /// Every piece that was acknowledged is there, whole.
    pub async fn are_there(&self) {
        if self.store == Store::State {
            let there = self.read(0).await;
            let whole = self
                .kept
                .iter()
                .any(|number| self.content(*number) == there);
            assert!(whole, "state begins with {:?}", there.get(..40));
            return;
        }
        for number in &self.kept {
            let content = self.content(*number);
            let there = self.read(*number).await;
            assert!(
                there == content,
                "{:?}: piece {number} has {} bytes and begins with {:?}",
                self.store,
                there.len(),
                there.get(..40)
            );
        }
    }

    async fn read(&self, number: usize) -> String {
        let books = self.books;
        let step = match self.store {
            Store::Files => vfs(&self.path(number), &json!("Read")),
            Store::KeyValue => books.database("kv", DB, &steps::get(&Self::key(number))),
            Store::Sqlite => {
                let select = steps::query("SELECT v FROM pieces WHERE n = ?1");
                let step = books.database("sqlite", DB, &select);
                with(step, &json!([number]).to_string())
            }
            Store::State => steps::state("GetState", &self.process()),
        };
        let answer = books.take("two", &[step]).await.remove(0);
        assert_eq!(failure(&answer), None, "{:?} {number}", self.store);
        if self.store == Store::Sqlite {
            let row = rows(&answer).into_iter().next().unwrap();
            return row["v"].as_str().unwrap().to_owned();
        }
        answer["blob"].as_str().unwrap_or_default().to_owned()
    }

    /// Removes one piece as apps do; whether the store did.
    pub async fn remove_one(&mut self) -> Result<(), Value> {
        let books = self.books;
        let number = self.kept.pop().unwrap();
        let step = match self.store {
            Store::Files => vfs(&self.path(number), &json!("RemoveFile")),
            Store::KeyValue => {
                let delete = steps::delete(&Self::key(number));
                books.database("kv", DB, &delete)
            }
            Store::Sqlite => {
                let delete = steps::write("DELETE FROM pieces WHERE n = ?1");
                let step = books.database("sqlite", DB, &delete);
                with(step, &json!([number]).to_string())
            }
            Store::State => steps::state("DeleteState", &self.process()),
        };
        let answer = books.take("two", &[step]).await.remove(0);
        if is_done(&answer) {
            return Ok(());
        }
        Err(answer)
    }

    /// Gives all the room back.
    pub async fn remove_all(&mut self) {
        let books = self.books;
        let step = match self.store {
            Store::Files => vfs(&books.file(DB), &json!("RemoveDirAll")),
            Store::KeyValue => books.database("kv", DB, &json!("RemoveDb")),
            Store::Sqlite => books.database("sqlite", DB, &json!("RemoveDb")),
            Store::State => steps::state("DeleteState", &self.process()),
        };
        books.write("two", &[step]).await;
        self.kept.clear();
        self.open().await;
    }
}
