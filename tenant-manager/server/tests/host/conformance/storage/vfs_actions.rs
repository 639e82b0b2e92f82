//! What the module does with files that the libraries have a word for, and no
//! function.

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::called::{TEXT, THEIRS, call, done, either, err, ok};
use super::vfs::{all, file, fresh, handle, io_error, no_write, not_found, place};
use super::{Subject, Verdict, rows};

rows! {
    "VfsAction::CreateDir" => create_dir,
    "VfsAction::CreateDirAll" => create_dir_all,
    "VfsAction::CloseFile" => close_file,
    "VfsAction::Rename" => rename,
    "VfsAction::RemoveDirAll" => remove_dir_all,
    "VfsAction::Len" => len,
    "VfsAction::Hash" => hash,
    "VfsAction::AddZip" => add_zip,
    "VfsAction::AddZip of an archive that leads out" => add_bad_zip,
}

/// An action of the library, and what the module says.
fn action(path: &str, action: Value) -> Value {
    call("vfs", "action", json!({"path": path, "action": action}))
}

/// One that is answered with nothing else.
fn acted(path: &str, name: Value) -> (Value, Value) {
    (action(path, name), ok("Ok"))
}

fn read(path: &str, text: &str) -> Vec<(Value, Value)> {
    vec![(handle(path), done()), (file("read", json!({})), ok(text))]
}

/// What tells that no directory can be made. The facts leave open which of its
/// errors an old edition has for it; it is the one called so.
pub fn create_dir_error(subject: &Subject, path: &str) -> Value {
    let old = json!({"CreateDirError": {"path": path, "error": TEXT}});
    either(subject, old, json!({"IOError": TEXT}))
}

/// What tells that an archive is refused. Old editions have no word for it.
fn unzip_error(subject: &Subject, path: &str) -> Value {
    if subject.column.newer {
        json!("UnzipError")
    } else {
        io_error(subject, path)
    }
}

/// An archive of these files, without entries for directories.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

async fn create_dir(subject: &Subject) -> Verdict {
    let (dir, deep) = (place(subject, "made"), place(subject, "made-not/deep"));
    let a_file = place(subject, "made-a-file.txt");
    let make = |path: &str| action(path, json!("CreateDir"));
    let steps = vec![
        acted(&dir, json!("CreateDir")),
        (make(&deep), err(not_found(subject, &deep))),
        (make(&a_file), err(create_dir_error(subject, &a_file))),
    ];
    all(subject, vec![fresh(&a_file, "abc"), steps]).await
}

async fn create_dir_all(subject: &Subject) -> Verdict {
    let dir = place(subject, "all/of/it");
    let twice = vec![
        acted(&dir, json!("CreateDirAll")),
        acted(&dir, json!("CreateDirAll")),
    ];
    all(subject, vec![twice, fresh(&format!("{dir}/a.txt"), "a")]).await
}

async fn close_file(subject: &Subject) -> Verdict {
    let path = place(subject, "closed.txt");
    let steps = vec![
        (file("seek", json!({"from": {"Start": 3}})), ok(3)),
        acted(&path, json!("CloseFile")),
        (file("read_to_end", json!({})), ok("abcdef")),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

async fn rename(subject: &Subject) -> Verdict {
    let [from, to, dir, moved] =
        ["old.txt", "new.txt", "old-dir", "new-dir"].map(|name| place(subject, name));
    let theirs = format!("/{THEIRS}/pkg/new.txt");
    let rename = |from: &str, to: &str| action(from, json!({"Rename": {"new_path": to}}));
    let steps = vec![
        (rename(&from, &to), ok("Ok")),
        (rename(&from, &to), err(not_found(subject, &from))),
        (rename(&to, &theirs), err(no_write(subject, "Rename", &to))),
        acted(&dir, json!("CreateDir")),
    ];
    let inside = fresh(&format!("{dir}/a.txt"), "inside");
    let move_dir = vec![(rename(&dir, &moved), ok("Ok"))];
    all(
        subject,
        vec![
            // What was there is replaced.
            fresh(&to, "gone"),
            fresh(&from, "kept"),
            steps,
            read(&to, "kept"),
            inside,
            move_dir,
            read(&format!("{moved}/a.txt"), "inside"),
        ],
    )
    .await
}

async fn remove_dir_all(subject: &Subject) -> Verdict {
    let dir = place(subject, "emptied");
    let inner = format!("{dir}/inner");
    let inside = format!("{inner}/a.txt");
    let remove = |path: &str| action(path, json!("RemoveDirAll"));
    let metadata = call("vfs", "metadata", json!({ "path": dir }));
    all(
        subject,
        vec![
            vec![acted(&inner, json!("CreateDirAll"))],
            fresh(&inside, "abc"),
            vec![
                (remove(&dir), ok("Ok")),
                (metadata, err(not_found(subject, &dir))),
                (remove(&dir), err(not_found(subject, &dir))),
            ],
        ],
    )
    .await
}

async fn len(subject: &Subject) -> Verdict {
    let (path, missing) = (place(subject, "long.txt"), place(subject, "no-len.txt"));
    let len = |path: &str| action(path, json!("Len"));
    let steps = vec![
        (len(&path), ok(json!({"Len": 6}))),
        (action(&path, json!({"SetLen": 4})), ok("Ok")),
        (len(&path), ok(json!({"Len": 4}))),
        (len(&missing), err(not_found(subject, &missing))),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

async fn hash(subject: &Subject) -> Verdict {
    let path = place(subject, "hashed.txt");
    let hash: [u8; 32] = Sha256::digest(b"abcdef").into();
    let steps = vec![
        (file("seek", json!({"from": {"Start": 2}})), ok(2)),
        // Of the whole, and the cursor is at its end.
        (action(&path, json!("Hash")), ok(json!({ "Hash": hash }))),
        (file("read_to_end", json!({})), ok("")),
    ];
    all(subject, vec![fresh(&path, "abcdef"), steps]).await
}

/// Published runtimes want entries for the directories of files.
async fn add_zip(subject: &Subject) -> Verdict {
    let dir = place(subject, "unpacked");
    let zip = archive(&[("a.txt", "of the archive"), ("in/ner/b.txt", "deep")]);
    let add = |bytes: &[u8]| {
        let options = json!({"path": dir, "action": "AddZip", "bytes": bytes});
        call("vfs", "action", options)
    };
    all(
        subject,
        vec![
            vec![acted(&dir, json!("CreateDir"))],
            fresh(&format!("{dir}/a.txt"), "replaced"),
            fresh(&format!("{dir}/c.txt"), "left alone"),
            vec![(add(&zip), ok("Ok"))],
            read(&format!("{dir}/a.txt"), "of the archive"),
            read(&format!("{dir}/in/ner/b.txt"), "deep"),
            read(&format!("{dir}/c.txt"), "left alone"),
        ],
    )
    .await
}

/// Published runtimes would write there.
async fn add_bad_zip(subject: &Subject) -> Verdict {
    let dir = place(subject, "unpacked-not");
    let out = place(subject, "out.txt");
    let zip = archive(&[("a.txt", "a"), ("../out.txt", "out")]);
    let options = json!({"path": dir, "action": "AddZip", "bytes": zip});
    let inside = format!("{dir}/a.txt");
    let metadata = |path: &str| call("vfs", "metadata", json!({ "path": path }));
    let steps = vec![
        (
            call("vfs", "action", options),
            err(unzip_error(subject, &dir)),
        ),
        (metadata(&out), err(not_found(subject, &out))),
        (metadata(&inside), err(not_found(subject, &inside))),
    ];
    all(subject, vec![steps]).await
}
