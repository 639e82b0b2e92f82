//! Steps on files as the standard library has them, through WASI.
//!
//! A path that does not begin with `/` is taken from `TEMP_DIR`. A step gives
//! what it read, `"done"`, or the kind of its error, or else its number.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde_json::{json, Value};

fn place(options: &Value, name: &str) -> PathBuf {
    let path = options.get(name).and_then(Value::as_str).unwrap_or("");
    let directory = std::env::var("TEMP_DIR").unwrap_or_default();
    PathBuf::from(directory).join(path)
}

/// `TEMP_DIR`, if it is set.
pub fn directory() -> Value {
    std::env::var("TEMP_DIR").map_or(Value::Null, Value::from)
}

/// Does what `options["do"]` says with `options["path"]`.
pub fn act(options: &Value) -> Value {
    match done(options) {
        Ok(result) => result,
        Err(error) => match (format!("{:?}", error.kind()), error.raw_os_error()) {
            (kind, Some(number)) if kind == "Uncategorized" => json!(format!("errno {number}")),
            (kind, _) => json!(kind),
        },
    }
}

fn done(options: &Value) -> io::Result<Value> {
    let path = place(options, "path");
    let text = options.get("text").and_then(Value::as_str).unwrap_or("");
    let number = |name: &str| options.get(name).and_then(Value::as_u64).unwrap_or(0);
    let what = options.get("do").and_then(Value::as_str).unwrap_or("");
    let result = match what {
        "write" => fs::write(path, text)?,
        "fill" => fs::write(path, vec![b'x'; number("bytes") as usize])?,
        "read" => return Ok(json!(fs::read_to_string(path)?)),
        "append" => {
            let mut file = fs::OpenOptions::new().append(true).open(path)?;
            file.write_all(text.as_bytes())?;
        }
        "write_at" => {
            let mut file = fs::OpenOptions::new().write(true).read(true).open(path)?;
            file.seek(SeekFrom::Start(number("at")))?;
            file.write_all(text.as_bytes())?;
            let mut rest = String::new();
            file.read_to_string(&mut rest)?;
            return Ok(json!(rest));
        }
        "new" => drop(fs::File::create_new(path)?),
        "set_len" => {
            let file = fs::OpenOptions::new().write(true).open(path)?;
            file.set_len(number("bytes"))?;
            file.sync_all()?;
        }
        "len" => return Ok(json!(fs::metadata(path)?.len())),
        "is_dir" => return Ok(json!(fs::metadata(path)?.is_dir())),
        "list" => {
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                let mark = if entry.file_type()?.is_dir() { "/" } else { "" };
                names.push(format!("{}{mark}", entry.file_name().to_string_lossy()));
            }
            names.sort();
            return Ok(json!(names));
        }
        "make_dir" => fs::create_dir(path)?,
        "make_dirs" => fs::create_dir_all(path)?,
        "remove" => fs::remove_file(path)?,
        "remove_dir" => fs::remove_dir(path)?,
        "remove_dirs" => fs::remove_dir_all(path)?,
        "rename" => fs::rename(path, place(options, "to"))?,
        "copy" => drop(fs::copy(path, place(options, "to"))?),
        "link" => fs::hard_link(path, place(options, "to"))?,
        _ => return Ok(json!(format!("there is no way to {what} a file"))),
    };
    let () = result;
    Ok(json!("done"))
}
