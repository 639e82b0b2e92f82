//! The functions of the libraries' module `vfs` that take a path.
//!
//! The facts name the errors of old editions, but not which of them tells of a
//! missing file, nor which path a refusal names: here it is `NotFound`, and the
//! path that was asked for. From 1.0 on a missing file is an `IOError`.

use serde_json::{Value, json};

use super::called::{
    NUMBER, OURS, TEXT, THEIRS, call, done, either, err, expect, has, of_the_book, ok, right, same,
};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "vfs::create_drive" => create_drive,
    "vfs::create_file" => create_file,
    "vfs::open_file" => open_file,
    "vfs::remove_file" => remove_file,
    "vfs::open_dir" => open_dir,
    "vfs::Directory::read" => read_directory,
    "vfs::remove_dir" => remove_dir,
    "vfs::metadata" => metadata,
    "vfs::remove_path" => remove_path,
    "vfs::vfs_request and parse_response" => request,
}

/// The drive of the column.
pub fn drive(subject: &Subject) -> String {
    format!("{}-files", subject.column.component)
}

/// A path in it.
pub fn place(subject: &Subject, name: &str) -> String {
    format!("/{OURS}/{}/{name}", drive(subject))
}

/// A function of a path.
pub fn on(path: &str, function: &str) -> Value {
    call("vfs", function, json!({ "path": path }))
}

/// A function of the file that is kept as `f`.
pub fn file(function: &str, mut options: Value) -> Value {
    options["file"] = json!("f");
    call("vfs", &format!("File::{function}"), options)
}

/// Names a file `f`, without a request.
pub fn handle(path: &str) -> Value {
    call("vfs", "handle", json!({"path": path, "as": "f"}))
}

/// Makes `path` a file with this text, kept as `f`, cursor at its start.
pub fn fresh(path: &str, text: &str) -> Vec<(Value, Value)> {
    vec![
        (
            call("vfs", "create_file", json!({"path": path, "as": "f"})),
            done(),
        ),
        (file("write", json!({ "text": text })), done()),
        (file("seek", json!({"from": {"Start": 0}})), ok(0)),
    ]
}

/// What tells of a missing file.
pub fn not_found(subject: &Subject, path: &str) -> Value {
    let old = json!({"NotFound": {"path": path}});
    either(subject, old, json!({"IOError": TEXT}))
}

/// What tells of other failures with files.
pub fn io_error(subject: &Subject, path: &str) -> Value {
    let old = json!({"IOError": {"error": TEXT, "path": path}});
    either(subject, old, json!({"IOError": TEXT}))
}

/// What tells who may not read: up to 0.9 it is the same word.
pub fn no_read(subject: &Subject, action: &str, path: &str) -> Value {
    let old = json!({"NoCap": {"action": action, "path": path}});
    either(subject, old, json!("NoReadCap"))
}

/// What tells who may not write.
pub fn no_write(subject: &Subject, action: &str, path: &str) -> Value {
    let old = json!({"NoCap": {"action": action, "path": path}});
    either(subject, old, json!("NoWriteCap"))
}

/// [`expect`] of steps in parts.
pub async fn all(subject: &Subject, parts: Vec<Vec<(Value, Value)>>) -> Verdict {
    expect(subject, parts.concat()).await
}

async fn create_drive(subject: &Subject) -> Verdict {
    let name = drive(subject);
    let path = format!("/{OURS}/{name}");
    let theirs = json!({"package": THEIRS, "drive": name});
    let refused = no_write(subject, "CreateDrive", &format!("/{THEIRS}/{name}"));
    let create = call("vfs", "create_drive", json!({ "drive": name }));
    expect(
        subject,
        vec![
            (create.clone(), ok(&*path)),
            // Once more makes no difference.
            (create, ok(&*path)),
            (call("vfs", "create_drive", theirs), err(refused)),
        ],
    )
    .await?;
    let held = subject.run(json!(["capabilities"])).await?;
    for kind in ["read", "write"] {
        let wanted = right(subject, "vfs", json!({"kind": kind, "drive": path}));
        if !has(&held[0], &wanted) {
            return Err(format!("{wanted} is not in {}", held[0]));
        }
    }
    Ok(Cell::Conforms)
}

async fn create_file(subject: &Subject) -> Verdict {
    let path = place(subject, "created.txt");
    let lost = place(subject, "nowhere/created.txt");
    let create = |path: &str| call("vfs", "create_file", json!({"path": path, "as": "f"}));
    expect(
        subject,
        vec![
            (create(&path), done()),
            (file("write", json!({"text": "abc"})), done()),
            (create(&path), done()),
            (file("read", json!({})), ok("")),
            (create(&lost), err(not_found(subject, &lost))),
        ],
    )
    .await
}

async fn open_file(subject: &Subject) -> Verdict {
    let path = place(subject, "opened.txt");
    let open = |create: bool| {
        let options = json!({"path": path, "create": create, "as": "f"});
        call("vfs", "open_file", options)
    };
    expect(
        subject,
        vec![
            (open(false), err(not_found(subject, &path))),
            (open(true), done()),
            (file("write", json!({"text": "abc"})), done()),
            (file("seek", json!({"from": {"Start": 2}})), ok(2)),
            // Nothing is lost, and the cursor is at the start.
            (open(false), done()),
            (file("read_to_end", json!({})), ok("abc")),
            (open(true), done()),
            (file("read", json!({})), ok("abc")),
        ],
    )
    .await
}

async fn remove_file(subject: &Subject) -> Verdict {
    let (path, dir) = (
        place(subject, "removed.txt"),
        place(subject, "removed-not-a-file"),
    );
    all(
        subject,
        vec![
            fresh(&path, "abc"),
            vec![
                (on(&path, "remove_file"), done()),
                (on(&path, "remove_file"), err(not_found(subject, &path))),
                (make_dir(&dir), done()),
                (on(&dir, "remove_file"), err(io_error(subject, &dir))),
            ],
        ],
    )
    .await
}

fn make_dir(path: &str) -> Value {
    call("vfs", "open_dir", json!({"path": path, "create": true}))
}

/// In the book it makes one directory, and does not look if it makes none.
async fn open_dir(subject: &Subject) -> Verdict {
    let (path, deep) = (place(subject, "dir"), place(subject, "deep/er/dir"));
    let a_file = place(subject, "no-dir.txt");
    let open = |path: &str| on(path, "open_dir");
    let book = of_the_book(subject);
    let unless_book = |wanted: Value| if book { done() } else { wanted };
    let mut steps = vec![
        (open(&path), unless_book(err(not_found(subject, &path)))),
        (make_dir(&path), done()),
        (open(&path), done()),
    ];
    steps.extend(fresh(&a_file, "abc"));
    steps.push((open(&a_file), unless_book(err(io_error(subject, &a_file)))));
    if book {
        steps.push((make_dir(&deep), err(not_found(subject, &deep))));
    } else {
        steps.extend([(make_dir(&path), done()), (make_dir(&deep), done())]);
    }
    expect(subject, steps).await
}

async fn read_directory(subject: &Subject) -> Verdict {
    let dir = place(subject, "listed");
    let a_file = format!("{dir}/a.txt");
    let inner = format!("{dir}/inner");
    all(
        subject,
        vec![
            vec![(make_dir(&dir), done()), (make_dir(&inner), done())],
            fresh(&a_file, "abc"),
            vec![(on(&inner, "Directory::read"), ok(Value::Array(Vec::new())))],
        ],
    )
    .await?;
    let missing = place(subject, "not-listed");
    let steps = json!([on(&dir, "Directory::read"), on(&missing, "Directory::read")]);
    let results = subject.run(steps).await?;
    let mut entries = results[0]["Ok"].as_array().cloned().unwrap_or_default();
    // In no order that is promised.
    entries.sort_by_key(|entry| entry["path"].to_string());
    let wanted = json!([
        {"path": a_file.trim_start_matches('/'), "file_type": "File"},
        {"path": inner.trim_start_matches('/'), "file_type": "Directory"},
    ]);
    if json!(entries) != wanted {
        return Err(format!("{entries:?} where {wanted} was expected"));
    }
    if !same(&results[1], &err(not_found(subject, &missing))) {
        return Err(format!("a missing one gives {}", results[1]));
    }
    Ok(Cell::Conforms)
}

async fn remove_dir(subject: &Subject) -> Verdict {
    let dir = place(subject, "removed-dir");
    let inside = format!("{dir}/a.txt");
    all(
        subject,
        vec![
            vec![(make_dir(&dir), done())],
            fresh(&inside, "abc"),
            vec![
                (on(&dir, "remove_dir"), err(io_error(subject, &dir))),
                (on(&inside, "remove_dir"), err(io_error(subject, &inside))),
                (on(&inside, "remove_file"), done()),
                (on(&dir, "remove_dir"), done()),
                (on(&dir, "remove_dir"), err(not_found(subject, &dir))),
            ],
        ],
    )
    .await
}

async fn metadata(subject: &Subject) -> Verdict {
    let (path, missing) = (place(subject, "told.txt"), place(subject, "not-told.txt"));
    let directory = json!({"file_type": "Directory", "len": NUMBER});
    let top = format!("/{OURS}/{}", drive(subject));
    all(
        subject,
        vec![
            fresh(&path, "abc"),
            vec![
                (
                    on(&path, "metadata"),
                    ok(json!({"file_type": "File", "len": 3})),
                ),
                (on(&top, "metadata"), ok(directory)),
                (on(&missing, "metadata"), err(not_found(subject, &missing))),
            ],
        ],
    )
    .await
}

async fn remove_path(subject: &Subject) -> Verdict {
    let (dir, path) = (
        place(subject, "either-dir"),
        place(subject, "either-file.txt"),
    );
    all(
        subject,
        vec![
            vec![(make_dir(&dir), done()), (on(&dir, "remove_path"), done())],
            fresh(&path, "abc"),
            vec![
                (on(&path, "remove_path"), done()),
                (on(&path, "remove_path"), err(not_found(subject, &path))),
                (on(&dir, "remove_path"), err(not_found(subject, &dir))),
            ],
        ],
    )
    .await
}

async fn request(subject: &Subject) -> Verdict {
    if of_the_book(subject) {
        return Ok(Cell::NotApplicable("they came with 0.9"));
    }
    let path = place(subject, "requested.txt");
    let len = call("vfs", "action", json!({"path": path, "action": "Len"}));
    all(
        subject,
        vec![fresh(&path, "abc"), vec![(len, ok(json!({"Len": 3})))]],
    )
    .await
}
