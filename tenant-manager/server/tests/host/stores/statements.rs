//! SQL of a hostile package: it reaches no other file, does not hide a write in
//! a read, and does not hold up anybody with a query that never ends.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Books;
use super::books::STOCK;
use super::hostile::Bed;
use super::steps::{self, failure, rows};

/// A query that would run for as long as it may.
const ENDLESS: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) \
                       SELECT count(*) FROM c";
/// A statement may run for 10 seconds; the app waits for 13.
const CUT: Duration = Duration::from_secs(13);
/// The slowest of a hundred pages of a neighbour: many times what it takes, so
/// that a busy machine does not fail it, and far less than a query runs.
const PAGE: Duration = Duration::from_secs(1);

/// Files of databases on the host.
fn databases_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            databases_below(&path, found);
        } else if path.extension().is_some_and(|end| end == "db") {
            found.push(path);
        }
    }
}

/// What no statement may do, whichever way it is sent.
fn forbidden(files: &[PathBuf]) -> Vec<String> {
    let mut statements: Vec<String> = [
        "ATTACH DATABASE ':memory:' AS other",
        "ATTACH '' AS other",
        "DETACH DATABASE main",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('libc.so.6')",
        "SELECT readfile('/etc/passwd')",
        "SELECT writefile('written', 'x')",
        "SELECT edit('x')",
        "SELECT fts3_tokenizer('simple')",
        "CREATE VIRTUAL TABLE t USING csv(filename='/etc/passwd')",
        "CREATE VIRTUAL TABLE t USING fileio('/etc/passwd')",
        "PRAGMA writable_schema = ON",
        "PRAGMA trusted_schema = ON",
        "PRAGMA temp_store_directory = '/tmp'",
        "PRAGMA data_store_directory = '/tmp'",
        "UPDATE sqlite_schema SET sql = ''",
        "INSERT INTO sqlite_master VALUES ('table', 't', 't', 0, '')",
        "BEGIN",
        "BEGIN EXCLUSIVE",
        "SAVEPOINT s",
        "COMMIT",
        "ROLLBACK",
        "/* a read */ ATTACH ':memory:' AS other",
        "-- a read\nATTACH ':memory:' AS other",
        "SELECT 1; DELETE FROM stock",
        "DELETE FROM stock; ATTACH ':memory:' AS other",
        "SELECT zeroblob(2000000000)",
    ]
    .map(str::to_owned)
    .to_vec();
    for file in files {
        let file = file.display();
        statements.push(format!("ATTACH '{file}' AS other"));
        statements.push(format!("ATTACH 'file:{file}?mode=ro' AS other"));
        statements.push(format!("VACUUM INTO '{file}'"));
    }
    statements
}

/// What must not pass as a read.
const WRITES: [&str; 7] = [
    "WITH old AS (SELECT 1) DELETE FROM stock",
    "WITH old AS (SELECT 1) UPDATE stock SET v = 'spoilt'",
    "WITH new AS (SELECT 'spoilt' AS v) INSERT INTO stock SELECT v FROM new",
    "DELETE FROM stock",
    "DROP TABLE stock",
    "REPLACE INTO stock VALUES ('spoilt')",
    " \n/* SELECT */ DELETE FROM stock",
];

#[tokio::test]
async fn no_statement_leaves_its_database_or_writes_in_a_read() {
    let bed = Bed::start().await;
    let data = bed.host.data().to_owned();
    let mut files = Vec::new();
    databases_below(&data, &mut files);
    // Or else it asks for files that are not there.
    assert!(files.len() >= 3, "{files:?}");
    let of = |action: Value| bed.thief.database("sqlite", STOCK, &action);

    for statement in forbidden(&files) {
        let both = [of(steps::query(&statement)), of(steps::write(&statement))];
        bed.refused("one", &both).await;
    }
    for statement in WRITES {
        bed.refused("one", &[of(steps::query(statement))]).await;
    }
    bed.is_unharmed().await;
    // What is answered tells nothing of the host.
    for statement in [
        "PRAGMA database_list",
        "PRAGMA compile_options",
        "PRAGMA function_list",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_module_list",
        "SELECT sqlite_source_id()",
    ] {
        let told = bed.attempt("one", &[of(steps::query(statement))]).await;
        let text = told[0].to_string();
        assert!(!text.contains(&*data.to_string_lossy()), "{text}");
    }
    // What apps set out of habit does no harm.
    for statement in [
        "PRAGMA journal_mode = DELETE",
        "PRAGMA synchronous = OFF",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA max_page_count = 1",
        "PRAGMA cell_size_check = OFF",
        "PRAGMA ignore_check_constraints = ON",
    ] {
        bed.attempt("one", &[of(steps::query(statement))]).await;
    }
    bed.thief.stock("what the thief has").await;
    bed.is_unharmed().await;
}

/// How long a page of `books` takes.
async fn page(books: &Books) -> Duration {
    let began = Instant::now();
    let told = books.take("one", &[json!({"state": null})]).await;
    assert_eq!(failure(&told[0]), None);
    began.elapsed()
}

/// The time within which 99 of 100 were.
fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[(times.len() * 99).div_ceil(100) - 1]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_without_end_is_cut_and_nobody_waits_for_it() {
    let bed = Bed::start().await;
    let open = bed.thief.database("sqlite", STOCK, &json!("Open"));
    bed.thief.write("two", &[open]).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(page(&bed.neighbour).await);
    }
    let endless = |process: &'static str| {
        let thief = bed.thief.clone();
        let step = thief.database("sqlite", STOCK, &steps::query(ENDLESS));
        tokio::spawn(async move {
            let began = Instant::now();
            let told = thief.take(process, &[step]).await.remove(0);
            (told, began.elapsed())
        })
    };
    let attacks = [endless("one"), endless("two")];
    let mut busy = Vec::new();
    while busy.len() < 100 || !attacks.iter().all(tokio::task::JoinHandle::is_finished) {
        busy.push(page(&bed.neighbour).await);
        // Its own node goes on too, the very module that is under attack.
        let query = steps::query("SELECT v FROM stock");
        let told = bed.victim.ask(steps::sqlite(STOCK, &query)).await;
        assert_eq!(rows(&told).len(), 1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for attack in attacks {
        let (told, took) = attack.await.unwrap();
        // It was the store that said so, in time.
        let error = told.pointer("/body/Err/RusqliteError");
        assert!(error.is_some(), "{told}");
        assert!(took < CUT, "{took:?}");
        println!("cut after {took:?}: {told}");
    }
    let (idle, busy) = (p99(idle), p99(busy));
    println!("pages of a neighbour: p99 {idle:?}, beside endless queries {busy:?}");
    assert!(busy < PAGE, "{busy:?}");
    // Nothing is left of it.
    bed.thief.stock("what the thief has").await;
    bed.is_unharmed().await;
}
