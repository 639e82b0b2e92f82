//! A hostile package beside two victims, another package of its node and
//! another tenant: it gets nothing of theirs and changes nothing, by whatever
//! name it asks.

use serde_json::{Value, json};

use super::books::STOCK;
use super::steps::{self, LEDGER, database, failure, package_id, vfs, with};
use super::{Books, Host};

/// Begins what the victims have, and nothing that is asked for.
const CANARY: &str = "canary of";

/// A node with a victim and a thief, and a victim elsewhere.
pub struct Bed {
    pub host: Host,
    pub victim: Books,
    pub thief: Books,
    pub neighbour: Books,
}

impl Bed {
    pub async fn start() -> Self {
        let host = Host::start();
        let victim = Books::open(&host, "alice").await;
        let thief = victim.beside(&host, "thief:tester.dev").await;
        let neighbour = Books::open(&host, "bob").await;
        victim.stock(&format!("{CANARY} the victim")).await;
        neighbour.stock(&format!("{CANARY} the neighbour")).await;
        thief.stock("what the thief has").await;
        Self {
            host,
            victim,
            thief,
            neighbour,
        }
    }

    /// All three have what they had.
    pub async fn is_unharmed(&self) {
        self.victim
            .is_stocked(&format!("{CANARY} the victim"))
            .await;
        let theirs = format!("{CANARY} the neighbour");
        self.neighbour.is_stocked(&theirs).await;
        self.thief.is_stocked("what the thief has").await;
    }

    /// Takes steps in the thief's name; nothing of the victims comes back.
    pub async fn attempt(&self, process: &str, steps: &[Value]) -> Vec<Value> {
        let told = self.thief.take(process, steps).await;
        for (step, answer) in steps.iter().zip(&told) {
            let text = answer.to_string();
            assert!(!text.contains(CANARY), "{step}: {text}");
        }
        told
    }

    /// The same of steps that must all be refused.
    pub async fn refused(&self, process: &str, steps: &[Value]) {
        let told = self.attempt(process, steps).await;
        for (step, answer) in steps.iter().zip(&told) {
            assert!(failure(answer).is_some(), "{step}: {answer}");
        }
    }
}

/// All that can be asked of a database of each kind.
fn everything(of: &dyn Fn(&str, Value) -> Value) -> Vec<Value> {
    let kv = |action: Value| of("kv", action);
    let sqlite = |action: Value| of("sqlite", action);
    vec![
        kv(steps::get(STOCK)),
        with(kv(steps::set(STOCK)), "spoilt"),
        kv(steps::delete(STOCK)),
        kv(json!("BeginTx")),
        kv(json!({"Commit": {"tx_id": 1}})),
        kv(json!("Backup")),
        kv(json!("Open")),
        kv(json!("RemoveDb")),
        sqlite(steps::query("SELECT v FROM stock")),
        sqlite(json!({"Read": {"query": "SELECT v FROM stock"}})),
        sqlite(steps::write("DELETE FROM stock")),
        sqlite(json!("BeginTx")),
        sqlite(json!({"Commit": {"tx_id": 1}})),
        sqlite(json!("Backup")),
        sqlite(json!("Open")),
        sqlite(json!("RemoveDb")),
    ]
}

#[tokio::test]
async fn databases_of_others_are_out_of_reach_by_every_name() {
    let bed = Bed::start().await;
    let long = "x".repeat(129);
    for name in [
        "",
        ".",
        "..",
        "../stock",
        "../ledger:tester.dev/stock",
        "../../../../../../../../etc/passwd",
        "/etc/passwd",
        "..\\stock",
        "stock/",
        "./stock",
        "stock\0",
        "stock\n",
        ".hidden",
        long.as_str(),
    ] {
        let of = |to: &str, action: Value| bed.thief.database(to, name, &action);
        bed.refused("one", &everything(&of)).await;
    }
    let owner =
        |name: &str, publisher: &str| json!({"package_name": name, "publisher_node": publisher});
    for package in [
        package_id(LEDGER),
        owner("ledger", "tester.dev/../tester.dev"),
        owner("../ledger", "tester.dev"),
        owner("thief/../ledger", "tester.dev"),
        owner("..", ".."),
        owner("", ""),
        owner("LEDGER", "tester.dev"),
        owner("app_store", "sys"),
        json!(LEDGER),
        Value::Null,
    ] {
        let of = |to: &str, action: Value| {
            let mut step = bed.thief.database(to, STOCK, &action);
            step["body"]["package_id"] = package.clone();
            step
        };
        bed.refused("one", &everything(&of)).await;
    }
    bed.is_unharmed().await;
}

/// The same action in the transaction `id`.
fn in_transaction(mut action: Value, id: &Value) -> Value {
    for fields in action.as_object_mut().unwrap().values_mut() {
        fields["tx_id"] = id.clone();
    }
    action
}

#[tokio::test]
async fn transactions_of_others_can_neither_be_joined_nor_committed() {
    let bed = Bed::start().await;
    for to in ["kv", "sqlite"] {
        let action = match to {
            "kv" => steps::set("joined"),
            _ => steps::write("INSERT INTO stock VALUES ('joined')"),
        };
        let begun = database(to, LEDGER, STOCK, &json!("BeginTx"));
        let begun = bed.victim.ask(begun).await;
        let id = begun.pointer("/body/BeginTx/tx_id").unwrap().clone();
        let joined = in_transaction(action, &id);
        let commit = json!({"Commit": {"tx_id": id}});
        // The thief's own database is named, then the victim's.
        for package in [bed.thief.package.as_str(), LEDGER] {
            let join = database(to, package, STOCK, &joined);
            let commit = database(to, package, STOCK, &commit);
            bed.refused("one", &[with(join, "[]"), commit]).await;
        }
        // It is the victim's still, and has in it what the victim says.
        let own = match to {
            "kv" => steps::set("own"),
            _ => steps::write("DELETE FROM stock WHERE v = 'own'"),
        };
        let own = database(to, LEDGER, STOCK, &in_transaction(own, &id));
        let commit = database(to, LEDGER, STOCK, &commit);
        bed.victim.write("one", &[with(own, "[]"), commit]).await;
    }
    let own = bed.victim.ask(steps::kv(STOCK, &steps::get("own"))).await;
    assert_eq!(own["blob"], "[]");
    let joined = bed
        .victim
        .ask(steps::kv(STOCK, &steps::get("joined")))
        .await;
    assert_eq!(failure(&joined), Some(&json!("KeyNotFound")));
    bed.is_unharmed().await;
}

#[tokio::test]
async fn files_and_state_of_others_are_out_of_reach_by_every_path() {
    let bed = Bed::start().await;
    let theirs = bed.victim.file(STOCK);
    let data = bed.host.data().display().to_string();
    for path in [
        theirs.as_str(),
        "ledger:tester.dev/books/stock",
        "//ledger:tester.dev//books//stock",
        "/ledger:tester.dev/books/stock/",
        "/ledger:tester.dev/pkg/manifest.json",
        "/thief:tester.dev/../ledger:tester.dev/books/stock",
        "/thief:tester.dev/books/../../ledger:tester.dev/books/stock",
        "/thief:tester.dev/books/./../../ledger:tester.dev/books/stock",
        "/thief:tester.dev/books/../../../../../../../../../etc/passwd",
        "/thief:tester.dev/books/stock\0",
        "/thief:tester.dev/..",
        "/..",
        "/",
        "",
        "/.staging/1",
        "/app-store:sys/store/state",
        data.as_str(),
    ] {
        let act = |action: &Value| vfs(path, action);
        let plain = [
            "Read",
            "ReadDir",
            "ReadToEnd",
            "ReadToString",
            "Hash",
            "Metadata",
            "Len",
        ];
        let mut steps: Vec<Value> = plain.iter().map(|action| act(&json!(action))).collect();
        for action in ["Write", "WriteAll", "Append", "AddZip"] {
            steps.push(with(act(&json!(action)), "spoilt"));
        }
        let mine = bed.thief.file("taken");
        for action in [
            json!("CreateDrive"),
            json!("CreateFile"),
            json!("RemoveFile"),
            json!("RemoveDirAll"),
            json!({"OpenFile": {"create": false}}),
            json!({"SetLen": 0}),
            json!({"CopyFile": {"new_path": mine}}),
            json!({"Rename": {"new_path": mine}}),
        ] {
            steps.push(act(&action));
        }
        let my_stock = bed.thief.file(STOCK);
        for action in ["CopyFile", "Rename"] {
            steps.push(vfs(&my_stock, &json!({action: {"new_path": path}})));
        }
        bed.refused("one", &steps).await;
    }
    let process = "one:ledger:tester.dev";
    let state = [
        steps::state("GetState", process),
        with(steps::state("SetState", process), "spoilt"),
        steps::state("DeleteState", process),
        // Another process of its own package is another's too.
        with(steps::state("SetState", "two:thief:tester.dev"), "spoilt"),
    ];
    bed.refused("one", &state).await;
    bed.is_unharmed().await;
}

#[tokio::test]
async fn stores_of_another_tenant_do_not_answer() {
    let bed = Bed::start().await;
    let away = |mut step: Value| {
        let module = step["to"].as_str().unwrap().to_owned();
        step["to"] = json!(format!("bob.dev@{module}"));
        // They say nothing at all.
        step["seconds"] = json!(1);
        step
    };
    let of = |to: &str, action: Value| away(database(to, LEDGER, STOCK, &action));
    let steps = vec![
        away(vfs(&bed.neighbour.file(STOCK), &json!("Read"))),
        away(vfs("/", &json!("ReadDir"))),
        away(steps::state("GetState", "one:ledger:tester.dev")),
        of("kv", steps::get(STOCK)),
        of("kv", json!("RemoveDb")),
        of("sqlite", steps::query("SELECT v FROM stock")),
        of("sqlite", json!("RemoveDb")),
    ];
    for step in &steps {
        // The third process may use the network.
        bed.refused("three", std::slice::from_ref(step)).await;
    }
    bed.is_unharmed().await;
}
