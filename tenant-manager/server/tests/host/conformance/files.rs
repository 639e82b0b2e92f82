//! Files through WASI: the `tmp` drive of the package.

use serde_json::{Value, json};

use super::super::support::{self, Host};
use super::subject::{Subject, matches};
use super::{Cell, Node, Verdict, rows};

rows! {
    "TEMP_DIR is the tmp drive of the package, or unset" => where_it_is,
    "std::fs writes, reads, lists, moves and removes" => ordinary,
    "what std::fs writes the VFS reads, and the reverse" => shared,
    "std::fs does not lead out of the drive, nor make links" => confined,
}

/// Hyperware has no such drive.
fn has_it(subject: &Subject) -> bool {
    subject.column.component != "hyperware"
}

fn step(what: &str, path: &str) -> Value {
    json!({"file": {"do": what, "path": path}})
}

fn with(what: &str, path: &str, name: &str, value: impl Into<Value>) -> Value {
    let mut step = step(what, path);
    step["file"][name] = value.into();
    step
}

async fn where_it_is(subject: &Subject) -> Verdict {
    let asked = json!([
        "temp_dir",
        step("is_dir", ""),
        step("is_dir", "/conformance:test.dev/pkg")
    ]);
    let results = subject.run(asked).await?;
    if has_it(subject) {
        matches(&results[0], json!("/conformance:test.dev/tmp"))?;
        matches(&results[1], json!(true))?;
    } else {
        matches(&results[0], Value::Null)?;
    }
    if results[2] == json!(true) {
        return Err("its pkg drive is open to it".to_owned());
    }
    Ok(Cell::Conforms)
}

/// Each step and what it gives.
async fn run(subject: &Subject, steps: Vec<(Value, Value)>) -> Result<(), String> {
    let (asked, wanted): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let results = subject.run(json!(asked)).await?;
    for ((step, result), wanted) in asked.iter().zip(&results).zip(wanted) {
        matches(result, wanted).map_err(|error| format!("{step}: {error}"))?;
    }
    Ok(())
}

/// Errors without a kind of their own are told by their number: 55 is a
/// directory that is not empty, 8 what is not open for this.
async fn ordinary(subject: &Subject) -> Verdict {
    if !has_it(subject) {
        return Ok(Cell::NotApplicable("the generation has no such drive"));
    }
    let top = subject.column.component;
    let (a, b, dir) = (
        format!("{top}/a.txt"),
        format!("{top}/b.txt"),
        format!("{top}/d/e"),
    );
    let done = || json!("done");
    run(
        subject,
        vec![
            (step("remove_dirs", top), json!("NotFound")),
            (step("make_dir", top), done()),
            (with("write", &a, "text", "hello"), done()),
            (with("append", &a, "text", ", world"), done()),
            (step("read", &a), json!("hello, world")),
            (
                json!({"file": {"do": "write_at", "path": a, "at": 1, "text": "ELL"}}),
                json!("o, world"),
            ),
            (step("len", &a), json!(12)),
            (step("new", &a), json!("AlreadyExists")),
            (with("set_len", &a, "bytes", 5), done()),
            (step("read", &a), json!("hELLo")),
            (with("copy", &a, "to", b.as_str()), done()),
            (with("rename", &a, "to", format!("{top}/c.txt")), done()),
            (step("read", &a), json!("NotFound")),
            (step("make_dirs", &dir), done()),
            (step("list", top), json!(["b.txt", "c.txt", "d/"])),
            (step("remove_dir", &format!("{top}/d")), json!("errno 55")),
            (step("read", &dir), json!("errno 8")),
            (step("remove", &b), done()),
            (step("remove_dirs", top), done()),
            (step("is_dir", top), json!("NotFound")),
        ],
    )
    .await?;
    Ok(Cell::Conforms)
}

async fn shared(subject: &Subject) -> Verdict {
    if !has_it(subject) {
        return Ok(Cell::NotApplicable("the generation has no such drive"));
    }
    let name = format!("shared-{}.txt", subject.column.component);
    let path = format!("/conformance:test.dev/tmp/{name}");
    let vfs = subject.module("vfs:distro:sys");
    let ask = |action: Value, blob: Value| {
        let body = json!({"path": path, "action": action});
        json!({"await": {"to": vfs, "expects": 5, "body": body, "blob": blob}})
    };
    let results = subject
        .run(json!([
            with("write", &name, "text", "by std"),
            ask(json!("Read"), Value::Null),
            ask(json!("Write"), json!({"text": "by the vfs"})),
            step("read", &name),
            step("read", &path),
            ask(json!("RemoveFile"), Value::Null),
            step("read", &name),
        ]))
        .await?;
    matches(&results[1]["blob"], json!({"text": "by std"}))?;
    matches(&results[3], json!("by the vfs"))?;
    matches(&results[4], json!("by the vfs"))?;
    matches(&results[6], json!("NotFound"))?;
    Ok(Cell::Conforms)
}

async fn confined(subject: &Subject) -> Verdict {
    let outside = [
        "/etc/passwd",
        "../pkg/manifest.json",
        "../../terminal:sys/pkg/manifest.json",
        "x/../../pkg/manifest.json",
        "/conformance:test.dev/tmp/../pkg/manifest.json",
    ];
    let mut steps: Vec<Value> = outside.iter().map(|path| step("read", path)).collect();
    let own = format!("link-{}", subject.column.component);
    steps.push(with("write", &own, "text", "own"));
    steps.push(with("link", &own, "to", format!("{own}-2")));
    steps.push(step("read", &format!("{own}-2")));
    steps.push(step("remove", &own));
    let results = subject.run(json!(steps)).await?;
    let refused = [
        "NotFound",
        "PermissionDenied",
        "Uncategorized",
        "Other",
        "Unsupported",
    ];
    for (at, result) in results[..outside.len()].iter().enumerate() {
        if !refused.iter().any(|kind| result == kind) {
            return Err(format!("{} gives {result}", outside[at]));
        }
    }
    if results[outside.len() + 1] == json!("done") || results[outside.len() + 2] == json!("own") {
        return Err("it made a link".to_owned());
    }
    Ok(Cell::Conforms)
}

#[tokio::test]
async fn what_std_fs_writes_counts_against_the_disk_of_the_plan() {
    let host = Host::start_with(&["--plan-processes", "200", "--plan-disk", "64MiB"]);
    let node = Node::of_editions(&host, "alice").await;
    let subjects = node.subjects();
    let subject = &subjects[3];
    let fill = |name: &str| with("fill", name, "bytes", 20 << 20);
    let results = subject
        .run(json!([
            fill("one"),
            fill("two"),
            fill("three"),
            with("append", "one", "text", "x"),
            step("remove", "two"),
            with("write", "four", "text", "there is room again"),
            step("read", "four"),
        ]))
        .await
        .unwrap();
    // Whichever is the first without room: the packages take some, too.
    let full = results[..3].iter().find(|result| **result != json!("done"));
    let full = full.unwrap_or_else(|| panic!("60 MiB were written: {results:?}"));
    assert_eq!(full, "QuotaExceeded", "{results:?}");
    assert_eq!(results[6], "there is room again", "{results:?}");
    let shown = support::json(node.api.get("/nodes/alice").await).await;
    let used = shown["usage"]["disk_bytes"].as_u64().unwrap();
    assert!(used <= 64 << 20, "{used}");
}
