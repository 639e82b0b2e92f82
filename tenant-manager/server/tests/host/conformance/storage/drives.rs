//! Drives that are shared: a capability opens one drive, to read or to write,
//! to whoever was given it.

use serde_json::{Value, json};

use super::called::{
    OURS, call, done, err, expect, expect_of, give, ok, right, stranger, take_back,
};
use super::vfs::{drive, file, fresh, handle, no_read, no_write, place};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "vfs: what nobody shared is closed to other packages" => closed,
    "vfs: the capability to read a drive reads it" => read,
    "vfs: the capability to write to a drive writes to it" => write,
    "vfs: a drive's capability opens no other drive" => no_other,
    "vfs: a capability that was dropped opens nothing" => taken_back,
}

/// The right to the column's drive.
pub fn to_drive(subject: &Subject, kind: &str) -> Value {
    let path = format!("/{OURS}/{}", drive(subject));
    right(subject, "vfs", json!({"kind": kind, "drive": path}))
}

/// A file that is there to be shared.
pub fn shared(subject: &Subject) -> String {
    place(subject, "shared.txt")
}

/// What the stranger comes to if it reads and writes the shared file.
fn tries(subject: &Subject, read: Value, write: Value) -> Vec<(Value, Value)> {
    let path = shared(subject);
    vec![
        (handle(&path), done()),
        (file("read", json!({})), read),
        (file("write", json!({"text": "by a stranger"})), write),
    ]
}

async fn strangers(subject: &Subject, steps: Vec<(Value, Value)>) -> Verdict {
    expect_of(subject, &stranger(subject), steps).await
}

async fn closed(subject: &Subject) -> Verdict {
    let path = shared(subject);
    expect(subject, fresh(&path, "shared")).await?;
    let read = err(no_read(subject, "Read", &path));
    let write = err(no_write(subject, "Write", &path));
    strangers(subject, tries(subject, read, write)).await
}

/// All that only looks; to open a file is to write.
async fn read(subject: &Subject) -> Verdict {
    let path = shared(subject);
    let dir = format!("/{OURS}/{}", drive(subject));
    give(subject, &[to_drive(subject, "read")]).await?;
    let mut steps = tries(
        subject,
        ok("shared"),
        err(no_write(subject, "Write", &path)),
    );
    let open = json!({"path": path, "create": false, "as": "g"});
    let metadata = json!({"file_type": "File", "len": 6});
    let copy = file("copy", json!({"to": format!("{path}.copy")}));
    steps.extend([
        (
            call("vfs", "open_file", open),
            err(no_write(subject, "OpenFile", &path)),
        ),
        (file("metadata", json!({})), ok(metadata)),
        (file("read_to_end", json!({})), ok("shared")),
        (file("seek", json!({"from": {"Start": 2}})), ok(2)),
        (file("read_to_string", json!({})), ok("ared")),
        (copy, err(no_write(subject, "CopyFile", &path))),
    ]);
    strangers(subject, steps).await?;
    let list = call("vfs", "Directory::read", json!({ "path": dir }));
    let listed = subject.run_at(&stranger(subject), json!([list])).await?;
    if !listed[0].to_string().contains(path.trim_start_matches('/')) {
        return Err(format!("{path} is not in {}", listed[0]));
    }
    Ok(Cell::Conforms)
}

async fn write(subject: &Subject) -> Verdict {
    let path = shared(subject);
    give(subject, &[to_drive(subject, "write")]).await?;
    let mut steps = tries(subject, ok("shared"), done());
    let open = json!({"path": path, "create": true, "as": "f"});
    steps.extend([
        (call("vfs", "open_file", open), done()),
        (file("append", json!({"text": "!"})), done()),
    ]);
    strangers(subject, steps).await?;
    let steps = vec![
        (handle(&path), done()),
        (file("read", json!({})), ok("by a stranger!")),
        (file("write", json!({"text": "shared"})), done()),
    ];
    expect(subject, steps).await
}

async fn no_other(subject: &Subject) -> Verdict {
    let name = format!("{}-other", drive(subject));
    let path = format!("/{OURS}/{name}/a.txt");
    let mut steps = vec![(
        call("vfs", "create_drive", json!({ "drive": name })),
        ok(format!("/{OURS}/{name}")),
    )];
    steps.extend(fresh(&path, "not shared"));
    expect(subject, steps).await?;
    let steps = vec![
        (handle(&path), done()),
        (
            file("read", json!({})),
            err(no_read(subject, "Read", &path)),
        ),
        (
            file("write", json!({"text": "x"})),
            err(no_write(subject, "Write", &path)),
        ),
        // A drive is shared as it is: nobody else makes drives.
        (
            call("vfs", "create_drive", json!({"drive": "theirs"})),
            err(no_write(subject, "CreateDrive", &format!("/{OURS}/theirs"))),
        ),
    ];
    strangers(subject, steps).await
}

async fn taken_back(subject: &Subject) -> Verdict {
    let path = shared(subject);
    take_back(subject, &[to_drive(subject, "read")]).await?;
    let read = err(no_read(subject, "Read", &path));
    strangers(subject, tries(subject, read, done())).await?;
    take_back(subject, &[to_drive(subject, "write")]).await?;
    let read = err(no_read(subject, "Read", &path));
    let write = err(no_write(subject, "Write", &path));
    strangers(subject, tries(subject, read, write)).await
}
