//! A node opens all that it can: the host's descriptors stay bounded, and a
//! neighbour goes on.

use serde_json::{Value, json};

use super::steps::{self, rows, vfs, with};
use super::{Books, Footprint, Host};

/// Files that are opened and left so.
const FILES: usize = 5000;
/// Databases of each kind.
const DATABASES: usize = 200;
/// Steps of one request.
const AT_ONCE: usize = 100;
/// Descriptors that one node may add. It keeps a few dozen files and at most
/// eight SQLite databases of a few descriptors each; the host's store adds some
/// of its own, and so do connections.
const DESCRIPTORS: usize = 200;

/// The steps of the database `name`: opened, and with something in it.
fn opening(books: &Books, name: &str) -> Vec<Value> {
    let kv = |action: &Value| books.database("kv", name, action);
    let sqlite = |action: &Value| books.database("sqlite", name, action);
    let insert = steps::write("INSERT INTO names VALUES (?1)");
    vec![
        kv(&json!("Open")),
        with(kv(&steps::set("name")), name),
        sqlite(&json!("Open")),
        sqlite(&steps::write("CREATE TABLE names (v TEXT)")),
        with(sqlite(&insert), &json!([name]).to_string()),
    ]
}

/// Does all the steps, and looks at the host and the neighbour in between; the
/// most descriptors.
async fn most_descriptors(host: &Host, alice: &Books, bob: &Books, all: &[Value]) -> usize {
    let mut most = 0;
    for some in all.chunks(AT_ONCE) {
        alice.write("one", some).await;
        most = most.max(Footprint::of(host).descriptors);
        bob.is_stocked("bob goes on").await;
    }
    most
}

#[tokio::test]
async fn thousands_of_open_files_and_databases_take_few_descriptors() {
    let host = Host::start();
    let (alice, bob) = (
        Books::open(&host, "alice").await,
        Books::open(&host, "bob").await,
    );
    alice.stock("alice was here").await;
    bob.stock("bob goes on").await;
    let before = Footprint::of(&host).descriptors;

    let name = |number: usize| format!("open {number:04}");
    let create = json!({"OpenFile": {"create": true}});
    let open = |number: usize| vfs(&alice.file(&name(number)), &create);
    let files: Vec<Value> = (0..FILES).map(open).collect();
    let with_files = most_descriptors(&host, &alice, &bob, &files).await;
    let of_each = (0..DATABASES).map(|number| opening(&alice, &name(number)));
    let databases: Vec<Value> = of_each.flatten().collect();
    let with_all = most_descriptors(&host, &alice, &bob, &databases).await;
    println!("{before} descriptors, at most {with_files} with files, {with_all} with databases");
    let most = before + DESCRIPTORS;
    assert!(with_files < most, "{before} before, {with_files} then");
    assert!(with_all < most, "{before} before, {with_all} then");

    // Those that were closed for others are there, and open again when asked.
    for number in [0, DATABASES / 2, DATABASES - 1] {
        let name = name(number);
        let select = steps::query("SELECT v FROM names");
        let told = alice
            .take(
                "one",
                &[
                    with(vfs(&alice.file(&name), &json!("Append")), &name),
                    vfs(&alice.file(&name), &json!("Read")),
                    alice.database("kv", &name, &steps::get("name")),
                    alice.database("sqlite", &name, &select),
                ],
            )
            .await;
        assert_eq!(told[0]["body"], "Ok", "{}", told[0]);
        assert_eq!(told[1]["blob"], *name, "{}", told[1]);
        assert_eq!(told[2]["blob"], *name, "{}", told[2]);
        assert_eq!(rows(&told[3]), [json!({"v": name})]);
    }
    alice.is_stocked("alice was here").await;
}
