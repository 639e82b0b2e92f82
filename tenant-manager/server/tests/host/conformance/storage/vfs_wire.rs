//! What the module `vfs` says, to the letter: its errors in the words of the
//! edition, and the shapes of requests of every generation.

use serde_json::{Value, json};

use super::super::spawning::ask as ask_process;
use super::super::subject::matches;
use super::called::{OURS, TEXT, THEIRS, answered, ask, either, err, expect, same};
use super::vfs::{all, fresh, io_error, no_read, no_write, not_found, place};
use super::vfs_actions::{archive, create_dir_error};
use super::{Cell, Subject, Verdict, rows};

rows! {
    "vfs: NoCap, or NoReadCap and NoWriteCap" => no_right,
    "vfs: BadBytes, or NoBlob" => no_blob,
    "vfs: ParseError" => parse_error,
    "vfs: BadJson, or MalformedRequest" => malformed,
    "vfs: NotFound, or IOError" => missing,
    "vfs: IOError" => io_errors,
    "vfs: CreateDirError, or IOError" => no_directory,
    "vfs: IOError, or UnzipError" => no_archive,
    "vfs: ReadExact and Seek as any generation writes them" => shapes,
    "vfs: Read and Hash and ReadDir, to the letter" => letters,
    "vfs: metadata comes back" => metadata,
    "vfs: a path is taken however it is spelled" => spelled,
    "vfs: ReadDir of / is for holders of the root capability" => root,
    "vfs: requests of one process are done in their order" => in_order,
}

fn act(path: &str, action: Value) -> Value {
    json!({"path": path, "action": action})
}

async fn no_right(subject: &Subject) -> Verdict {
    // It is there.
    let theirs = format!("/{THEIRS}/pkg/manifest.json");
    let mut asked = Vec::new();
    for action in [
        "Read",
        "ReadDir",
        "ReadToEnd",
        "ReadToString",
        "Hash",
        "Metadata",
        "Len",
    ] {
        let refused = no_read(subject, action, &theirs);
        asked.push((act(&theirs, json!(action)), Value::Null, err(refused)));
    }
    for action in [
        "CreateFile",
        "CloseFile",
        "SyncAll",
        "RemoveFile",
        "CreateDir",
    ] {
        let refused = no_write(subject, action, &theirs);
        asked.push((act(&theirs, json!(action)), Value::Null, err(refused)));
    }
    for action in ["Write", "WriteAll", "Append", "AddZip"] {
        let refused = no_write(subject, action, &theirs);
        let blob = json!({"text": "abc"});
        asked.push((act(&theirs, json!(action)), blob, err(refused)));
    }
    // Even to look.
    let open = json!({"OpenFile": {"create": false}});
    let refused = no_write(subject, "OpenFile", &theirs);
    asked.push((act(&theirs, open), Value::Null, err(refused)));
    answered(subject, "vfs", asked).await
}

async fn no_blob(subject: &Subject) -> Verdict {
    let path = place(subject, "no-blob.txt");
    expect(subject, fresh(&path, "abc")).await?;
    let asked = ["Write", "WriteAll", "Append", "AddZip"].map(|action| {
        let old = json!({"BadBytes": {"action": action, "path": path}});
        let wanted = err(either(subject, old, json!("NoBlob")));
        (act(&path, json!(action)), Value::Null, wanted)
    });
    answered(subject, "vfs", asked.into()).await
}

async fn parse_error(subject: &Subject) -> Verdict {
    let paths = [
        format!("/{OURS}"),
        "/not-a-package/drive/a.txt".to_owned(),
        "/../../etc/passwd".to_owned(),
        "/".to_owned(),
    ];
    let asked = paths.map(|path| {
        let wanted = err(json!({"ParseError": {"error": TEXT, "path": path}}));
        (act(&path, json!("Read")), Value::Null, wanted)
    });
    answered(subject, "vfs", asked.into()).await
}

async fn malformed(subject: &Subject) -> Verdict {
    let path = place(subject, "malformed.txt");
    let old = json!({"BadJson": {"error": TEXT}});
    let wanted = err(either(subject, old, json!("MalformedRequest")));
    let asked = [
        json!("no request"),
        json!({"action": "Read"}),
        act(&path, json!("Nonsense")),
        act(&path, json!({"SetLen": -1})),
        act(&path, json!({"ReadExact": {"size": 1}})),
    ]
    .map(|body| (body, Value::Null, wanted.clone()));
    answered(subject, "vfs", asked.into()).await
}

async fn missing(subject: &Subject) -> Verdict {
    let path = place(subject, "missing.txt");
    let asked = [
        json!("Read"),
        json!("ReadToEnd"),
        json!("ReadDir"),
        json!("Metadata"),
        json!("Len"),
        json!("Hash"),
        json!("SyncAll"),
        json!("RemoveFile"),
        json!("RemoveDir"),
        json!({"OpenFile": {"create": false}}),
        json!({"SetLen": 1}),
        json!({"Rename": {"new_path": format!("{path}.new")}}),
        json!({"CopyFile": {"new_path": format!("{path}.new")}}),
    ]
    .map(|action| {
        let wanted = err(not_found(subject, &path));
        (act(&path, action), Value::Null, wanted)
    });
    answered(subject, "vfs", asked.into()).await
}

async fn io_errors(subject: &Subject) -> Verdict {
    let path = place(subject, "io.txt");
    let top = format!("/{OURS}/{}", super::vfs::drive(subject));
    expect(subject, fresh(&path, "abc")).await?;
    let of = |path: &str, action: Value| {
        let wanted = err(io_error(subject, path));
        (act(path, action), Value::Null, wanted)
    };
    // Which length is written in the shape of the edition.
    let exact = either(subject, json!(9), json!({"length": 9}));
    let asked = vec![
        of(&path, json!({"ReadExact": exact})),
        of(&path, json!("ReadDir")),
        of(&path, json!("RemoveDir")),
        of(&top, json!("RemoveFile")),
        of(&top, json!("RemoveDir")),
    ];
    answered(subject, "vfs", asked).await
}

async fn no_directory(subject: &Subject) -> Verdict {
    let path = place(subject, "no-directory.txt");
    let beneath = format!("{path}/beneath");
    expect(subject, fresh(&path, "abc")).await?;
    let asked = [(&path, "CreateDir"), (&beneath, "CreateDirAll")].map(|(path, action)| {
        let wanted = err(create_dir_error(subject, path));
        (act(path, json!(action)), Value::Null, wanted)
    });
    answered(subject, "vfs", asked.into()).await
}

async fn no_archive(subject: &Subject) -> Verdict {
    let path = place(subject, "no-archive");
    let old = json!({"IOError": {"error": TEXT, "path": path}});
    let wanted = err(either(subject, old, json!("UnzipError")));
    let mut cut = archive(&[("a.txt", "abc")]);
    cut.truncate(40);
    let asked = vec![
        (
            act(&path, json!("AddZip")),
            json!({"text": "no archive"}),
            wanted.clone(),
        ),
        (act(&path, json!("AddZip")), json!({ "bytes": cut }), wanted),
    ];
    answered(subject, "vfs", asked).await
}

/// Who asks in the old shape is answered in it, and so is every process up to
/// 0.9.
async fn shapes(subject: &Subject) -> Verdict {
    let path = place(subject, "shapes.txt");
    expect(subject, fresh(&path, "0123456789")).await?;
    let from = |offset: u64| json!({ "Start": offset });
    let steps = [
        json!({"Seek": {"seek_from": from(2)}}),
        json!({"ReadExact": 2}),
        json!({"Seek": from(6)}),
        json!({"ReadExact": {"length": 3}}),
        json!({"ReadExact": {"length": 3}}),
    ]
    .map(|action| ask(subject, "vfs", act(&path, action), Value::Null));
    let results = subject.run(json!(steps)).await?;
    let wanted = [
        (json!({"SeekFrom": 2}), None),
        (json!("Read"), Some("23")),
        (
            either(
                subject,
                json!({"SeekFrom": 6}),
                json!({"SeekFrom": {"new_offset": 6}}),
            ),
            None,
        ),
        (json!("Read"), Some("678")),
    ];
    for (result, (body, text)) in results.iter().zip(wanted) {
        if result["body"] != body {
            return Err(format!("{result} where {body} was expected"));
        }
        if let Some(text) = text {
            matches(&result["blob"], json!({ "text": text }))?;
        }
    }
    if !same(&results[4]["body"], &err(io_error(subject, &path))) {
        return Err(format!("the end of the file gives {}", results[4]));
    }
    Ok(Cell::Conforms)
}

async fn letters(subject: &Subject) -> Verdict {
    let path = place(subject, "letters/a.txt");
    let dir = place(subject, "letters");
    let bare = path.trim_start_matches('/');
    let make = ask(subject, "vfs", act(&dir, json!("CreateDir")), Value::Null);
    subject.run(json!([make])).await?;
    all(subject, vec![fresh(&path, "abc")]).await?;
    let steps = ["Read", "ReadToEnd", "Metadata", "ReadToString"]
        .map(|action| ask(subject, "vfs", act(&path, json!(action)), Value::Null));
    let results = subject.run(json!(steps)).await?;
    let blob = json!({"mime": "application/octet-stream", "text": "abc"});
    for (result, body, blob) in [
        (&results[0], json!("Read"), blob.clone()),
        (&results[1], json!("Read"), blob),
        (
            &results[2],
            json!({"Metadata": {"file_type": "File", "len": 3}}),
            Value::Null,
        ),
        // The cursor is at the end.
        (&results[3], json!({"ReadToString": ""}), Value::Null),
    ] {
        if (&result["body"], &result["blob"]) != (&body, &blob) {
            return Err(format!("{result} where {body} and {blob} were expected"));
        }
    }
    let listed = json!({"ReadDir": [{"path": bare, "file_type": "File"}]});
    let asked = vec![(act(&dir, json!("ReadDir")), Value::Null, listed)];
    answered(subject, "vfs", asked).await
}

async fn metadata(subject: &Subject) -> Verdict {
    let path = place(subject, "metadata.txt");
    expect(subject, fresh(&path, "abc")).await?;
    let missing = place(subject, "metadata-not.txt");
    let steps = [&path, &missing].map(|path| {
        let mut step = ask(subject, "vfs", act(path, json!("Read")), Value::Null);
        step["await"]["metadata"] = json!("mine");
        step
    });
    let results = subject.run(json!(steps)).await?;
    for result in &results {
        matches(result, json!({"is": "response", "metadata": "mine"}))?;
    }
    Ok(Cell::Conforms)
}

async fn spelled(subject: &Subject) -> Verdict {
    let path = place(subject, "spelled.txt");
    expect(subject, fresh(&path, "abc")).await?;
    let bare = path.trim_start_matches('/').to_owned();
    let (dir, name) = path.rsplit_once('/').unwrap_or_default();
    let asked = [
        bare,
        format!("{dir}/./{name}"),
        format!("{dir}//{name}"),
        format!("{dir}/other/../{name}"),
    ]
    .map(|path| (act(&path, json!("Len")), Value::Null, json!({"Len": 3})));
    answered(subject, "vfs", asked.into()).await
}

/// B gets it from the process that may command the kernel, and loses it.
async fn root(subject: &Subject) -> Verdict {
    let list = ask(subject, "vfs", act("/", json!("ReadDir")), Value::Null);
    let refused = err(no_read(subject, "ReadDir", "/"));
    let asked = vec![(act("/", json!("ReadDir")), Value::Null, refused)];
    answered(subject, "vfs", asked).await?;
    let vfs = subject.module("vfs:distro:sys");
    let rights = json!([{"issuer": vfs, "params": "{\"root\":true}"}]);
    let command = |name: &str| {
        let body = json!({name: {"target": subject.id("-b"), "capabilities": rights}});
        json!({"send": {"to": subject.module("kernel:distro:sys"), "body": body}})
    };
    let as_b = ask_process(&subject.at("-b"), json!([list]));
    let admin = subject.id("-admin");
    let granted = json!([command("GrantCapabilities")]);
    subject.run_at(&admin, granted).await?;
    // By A, whom B may answer.
    let with_it = subject.run(json!([as_b])).await?.remove(0);
    let dropped = json!([command("DropCapabilities")]);
    subject.run_at(&admin, dropped).await?;
    let without = subject.run(json!([as_b])).await?.remove(0);
    let listed = with_it["body"][0]["body"]["ReadDir"].as_array();
    let ours = json!({"path": OURS, "file_type": "Directory"});
    if !listed.is_some_and(|listed| listed.contains(&ours)) {
        return Err(format!("{ours} is not in {with_it}"));
    }
    if without["body"][0]["body"].get("Err").is_none() {
        return Err(format!("without the right: {without}"));
    }
    Ok(Cell::Conforms)
}

/// Published runtimes may mix them up.
async fn in_order(subject: &Subject) -> Verdict {
    let path = place(subject, "in-order.txt");
    expect(subject, fresh(&path, "")).await?;
    let to = subject.module("vfs:distro:sys");
    let digits: String = (0..40)
        .map(|number| char::from(b'0' + number % 10))
        .collect();
    let appends: Vec<Value> = digits
        .chars()
        .map(|digit| {
            let body = act(&path, json!("Append"));
            json!({"to": to, "body": body, "blob": {"text": digit}})
        })
        .collect();
    let read = ask(subject, "vfs", act(&path, json!("Read")), Value::Null);
    let results = subject.run(json!([{"send_all": appends}, read])).await?;
    matches(&results[1]["blob"], json!({ "text": digits }))?;
    Ok(Cell::Conforms)
}
