//! The functions of the libraries' type `vfs::File`.

use serde_json::{Value, json};

use super::called::{THEIRS, by_hand, call, done, err, expect, of_the_book, ok};
use super::vfs::{all, file, fresh, handle, io_error, no_write, not_found, place};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "vfs::File::new" => new,
    "vfs::File::read" => read,
    "vfs::File::read_into" => read_into,
    "vfs::File::read_at" => read_at,
    "vfs::File::read_to_end" => read_to_end,
    "vfs::File::read_to_string" => read_to_string,
    "vfs::File::write" => write,
    "vfs::File::write_all" => write_all,
    "vfs::File::append" => append,
    "vfs::File::seek" => seek,
    "vfs::File::copy" => copy,
    "vfs::File::set_len" => set_len,
    "vfs::File::metadata" => file_metadata,
    "vfs::File::sync_all" => sync_all,
    "vfs::File, dropped: closed from 0.9 on" => dropped,
}

async fn new(subject: &Subject) -> Verdict {
    let path = place(subject, "named.txt");
    let new = call("vfs", "File::new", json!({"path": path, "as": "f"}));
    let steps = vec![
        (new, done()),
        (file("write", json!({"text": "abc"})), done()),
        (file("read", json!({})), ok("abc")),
    ];
    expect(subject, steps).await
}

async fn read(subject: &Subject) -> Verdict {
    let (path, missing) = (place(subject, "read.txt"), place(subject, "unread.txt"));
    let steps = vec![
        (file("seek", json!({"from": {"Start": 2}})), ok(2)),
        // The whole, whatever the cursor is; and it stays.
        (file("read", json!({})), ok("abcdef")),
        (file("read_to_end", json!({})), ok("cdef")),
        (handle(&missing), done()),
        (file("read", json!({})), err(not_found(subject, &missing))),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

async fn read_into(subject: &Subject) -> Verdict {
    let path = place(subject, "read-into.txt");
    let steps = vec![
        (file("read_into", json!({"length": 2})), ok("ab")),
        (file("read_into", json!({"length": 9})), ok("abc")),
    ];
    all(subject, vec![fresh(&path, "abc"), steps]).await
}

async fn read_at(subject: &Subject) -> Verdict {
    let path = place(subject, "read-at.txt");
    let read = |length: u64| file("read_at", json!({ "length": length }));
    let steps = vec![
        (read(2), ok("ab")),
        (read(3), ok("cde")),
        // More than there is left.
        (read(2), err(io_error(subject, &path))),
        (file("seek", json!({"from": {"Start": 5}})), ok(5)),
        (read(1), ok("f")),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

async fn read_to_end(subject: &Subject) -> Verdict {
    let path = place(subject, "read-to-end.txt");
    let steps = vec![
        (file("seek", json!({"from": {"Start": 4}})), ok(4)),
        (file("read_to_end", json!({})), ok("ef")),
        (file("read_to_end", json!({})), ok("")),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

async fn read_to_string(subject: &Subject) -> Verdict {
    let path = place(subject, "read-to-string.txt");
    let steps = vec![
        (file("seek", json!({"from": {"Start": 3}})), ok(3)),
        (file("read_to_string", json!({})), ok("dëf")),
        (file("write", json!({"bytes": [97, 255]})), done()),
        (file("seek", json!({"from": {"Start": 0}})), ok(0)),
        (
            file("read_to_string", json!({})),
            err(io_error(subject, &path)),
        ),
    ];
    all(subject, vec![fresh(&path, "abcdëf"), steps]).await
}

async fn write(subject: &Subject) -> Verdict {
    let (path, lost) = (
        place(subject, "written.txt"),
        place(subject, "nowhere/written.txt"),
    );
    let steps = vec![
        // It makes the file.
        (handle(&path), done()),
        (file("write", json!({"text": "abcdef"})), done()),
        (file("read", json!({})), ok("abcdef")),
        (file("write", json!({"text": "xy"})), done()),
        (file("read", json!({})), ok("xy")),
        (file("write", json!({"text": ""})), done()),
        (file("read", json!({})), ok("")),
        (handle(&lost), done()),
        (
            file("write", json!({"text": "x"})),
            err(not_found(subject, &lost)),
        ),
    ];
    expect(subject, steps).await
}

async fn write_all(subject: &Subject) -> Verdict {
    let path = place(subject, "written-all.txt");
    let steps = vec![
        (file("seek", json!({"from": {"Start": 2}})), ok(2)),
        (file("write_all", json!({"text": "XY"})), done()),
        // The cursor is behind what was written.
        (file("write_all", json!({"text": "Z"})), done()),
        (file("read_to_end", json!({})), ok("f")),
        (file("write_all", json!({"text": "gh"})), done()),
        (file("read", json!({})), ok("abXYZfgh")),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

async fn append(subject: &Subject) -> Verdict {
    let path = place(subject, "appended.txt");
    let steps = vec![
        (file("seek", json!({"from": {"Start": 1}})), ok(1)),
        (file("append", json!({"text": "de"})), done()),
        (file("append", json!({"text": "f"})), done()),
        (file("read", json!({})), ok("abcdef")),
    ];
    all(subject, vec![fresh(&path, "abc"), steps]).await
}

async fn seek(subject: &Subject) -> Verdict {
    let path = place(subject, "sought.txt");
    let seek = |from: Value| file("seek", json!({ "from": from }));
    let steps = vec![
        (seek(json!({"Start": 1})), ok(1)),
        (seek(json!({"Current": 2})), ok(3)),
        (seek(json!({"Current": -1})), ok(2)),
        (seek(json!({"End": -1})), ok(5)),
        (file("read_to_end", json!({})), ok("f")),
        (seek(json!({"End": 2})), ok(8)),
        (seek(json!({"Current": -9})), err(io_error(subject, &path))),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

async fn copy(subject: &Subject) -> Verdict {
    let (path, to) = (place(subject, "copied.txt"), place(subject, "copy.txt"));
    let (missing, theirs) = (
        place(subject, "not-copied.txt"),
        format!("/{THEIRS}/pkg/copy.txt"),
    );
    let copy = |to: &str| file("copy", json!({ "to": to }));
    let steps = vec![
        (copy(&to), done()),
        (copy(&theirs), err(no_write(subject, "CopyFile", &path))),
        (handle(&to), done()),
        (file("read", json!({})), ok("abc")),
        (handle(&path), done()),
        (file("read", json!({})), ok("abc")),
        (handle(&missing), done()),
        (copy(&to), err(not_found(subject, &missing))),
    ];
    all(subject, vec![fresh(&path, "abc"), steps]).await
}

async fn set_len(subject: &Subject) -> Verdict {
    let path = place(subject, "cut.txt");
    let steps = vec![
        (file("set_len", json!({"length": 2})), done()),
        (file("read", json!({})), ok("ab")),
        (file("set_len", json!({"length": 4})), done()),
        (file("read", json!({})), ok("ab\0\0")),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

async fn file_metadata(subject: &Subject) -> Verdict {
    let path = place(subject, "told-too.txt");
    let metadata = json!({"file_type": "File", "len": 6});
    let steps = vec![(file("metadata", json!({})), ok(metadata))];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

async fn sync_all(subject: &Subject) -> Verdict {
    let (path, missing) = (place(subject, "synced.txt"), place(subject, "unsynced.txt"));
    let steps = vec![
        (file("sync_all", json!({})), done()),
        (handle(&missing), done()),
        (
            file("sync_all", json!({})),
            err(not_found(subject, &missing)),
        ),
    ];
    all(subject, vec![fresh(&path, "abc"), steps]).await
}

/// A closed file's cursor is forgotten; one that nobody closed stays, as the
/// book's library leaves it.
async fn dropped(subject: &Subject) -> Verdict {
    if by_hand(subject) {
        return Ok(Cell::NotApplicable("there is no library"));
    }
    let path = place(subject, "dropped.txt");
    let left = if of_the_book(subject) {
        "def"
    } else {
        "abcdef"
    };
    let steps = vec![
        (file("seek", json!({"from": {"Start": 3}})), ok(3)),
        (call("vfs", "drop", json!({"file": "f"})), done()),
        (handle(&path), done()),
        (file("read_to_end", json!({})), ok(left)),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}
