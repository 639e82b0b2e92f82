//! A write that was acknowledged is there after the process was killed, and a
//! disk that refuses to grow loses none.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure ends the test"
)]

mod common;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Counted, databases, id, sql, with};
use node_sql::{Databases, Limits, Param, SqlError, Statement};

/// Tells the re-executed test binary where it is to work.
const DIRECTORY: &str = "NODE_SQL_KILL_TEST_DIRECTORY";

fn directory() -> Option<String> {
    std::env::var(DIRECTORY).ok()
}

fn open(directory: &Path) -> Databases {
    let databases = databases(directory, Limits::default(), &Counted::new(1 << 40));
    databases.measure().unwrap();
    databases.open(&id("a")).unwrap();
    let create = "CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, a)";
    databases.write(&id("a"), &[sql(create)]).unwrap();
    databases
}

/// Values of different sizes, the largest beyond what a connection keeps.
fn insert(number: i64) -> Statement {
    let size = match number % 20 {
        0 => 2_000_000,
        1..5 => 20_000,
        _ => 50,
    };
    let values = vec![Param::Integer(number), Param::Blob(vec![7; size])];
    with("INSERT INTO t VALUES (?, ?)", values)
}

fn number(databases: &Databases, select: &str) -> i64 {
    let answer = databases.read(&id("a"), &sql(select)).unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    rows[0]["n"].as_i64().unwrap()
}

/// Writes pairs of rows for ever and prints each once it is acknowledged.
/// Does nothing unless started by the test below.
#[test]
fn writer() {
    let Some(directory) = directory() else {
        return;
    };
    let databases = open(directory.as_ref());
    let start = number(&databases, "SELECT ifnull(max(n), 0) AS n FROM t");
    for pair in start / 2.. {
        let rows = [insert(pair * 2 + 1), insert(pair * 2 + 2)];
        databases.write(&id("a"), &rows).unwrap();
        println!("\nacknowledged {}", pair * 2 + 2);
        if pair % 50 == 49 {
            databases
                .write(&id("a"), &[sql("UPDATE t SET a = ''")])
                .unwrap();
        }
    }
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut reached = 0;
    for round in 1..=6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut acknowledged = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut follow = |until: i64| {
            while acknowledged < until {
                let Some(line) = lines.next() else { break };
                if let Some(number) = line.unwrap().strip_prefix("acknowledged ") {
                    acknowledged = number.parse().unwrap();
                }
            }
            acknowledged
        };
        assert!(follow(reached + 23 * round) > 0, "the writer ended early");
        child.kill().unwrap();
        let acknowledged = follow(i64::MAX);
        child.wait().unwrap();

        let databases = open(dir.path());
        let answer = databases
            .read(&id("a"), &sql("PRAGMA integrity_check"))
            .unwrap();
        assert_eq!(answer, br#"[{"integrity_check":"ok"}]"#);
        reached = number(&databases, "SELECT max(n) AS n FROM t");
        assert!(reached >= acknowledged, "{reached} of {acknowledged}");
        // Whole pairs only, and none is missing.
        assert_eq!(reached % 2, 0);
        assert_eq!(number(&databases, "SELECT count(*) AS n FROM t"), reached);
        databases.close();
    }
}

/// Writes to a disk that takes no more at some point. Does nothing unless
/// started by the test below.
#[test]
fn writer_to_a_full_disk() {
    let Some(directory) = directory() else {
        return;
    };
    let databases = open(directory.as_ref());
    let (mut written, mut refused) = (0, 0);
    for number in 0..100 {
        let values = vec![Param::Integer(number), Param::Blob(vec![7; 100_000])];
        match databases.write(&id("a"), &[with("INSERT INTO t VALUES (?, ?)", values)]) {
            Ok(()) => written += 1,
            Err(SqlError::Io(_)) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(number(&databases, "SELECT count(*) AS n FROM t"), written);
    let answer = databases
        .read(&id("a"), &sql("PRAGMA integrity_check"))
        .unwrap();
    assert_eq!(answer, br#"[{"integrity_check":"ok"}]"#);
    databases.remove(&id("a")).unwrap();
    open(directory.as_ref());
    println!("\nwritten {written} refused {refused}");
}

#[test]
fn a_disk_that_refuses_to_grow_costs_nothing_that_was_written() {
    let dir = tempfile::tempdir().unwrap();
    // No file may have more than some megabytes; without the trap the signal
    // would end the process.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 5000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "writer_to_a_full_disk", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = text.lines().find_map(|line| line.strip_prefix("written "));
    let Some((written, refused)) = said.and_then(|said| said.split_once(" refused ")) else {
        panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
    };
    assert!(written.parse::<u32>().unwrap() > 5, "{text}");
    assert!(refused.parse::<u32>().unwrap() > 5, "{text}");
}
