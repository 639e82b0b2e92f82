//! Calls of the library's module `vfs`. Open files are kept under the name
//! `as` until the step `drop`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::{package, text};
use crate::lib::vfs::{self, Directory, File, SeekFrom, VfsAction, VfsResponse};
use crate::said;
use crate::vfs::{failed, new_file, request};

type Told = Result<Value, Value>;

thread_local! {
    static FILES: RefCell<BTreeMap<String, File>> = const { RefCell::new(BTreeMap::new()) };
}

/// `None` if the library has no such function.
pub fn act(call: &str, options: &Value) -> Option<Told> {
    let path = text(options, "path");
    let create = said::flag(options, "create");
    Some(match call {
        "create_drive" => vfs::create_drive(package(options)?, text(options, "drive"), None)
            .map(Value::from)
            .map_err(failed),
        "open_file" => keep(options, vfs::open_file(path, create, None).map_err(failed)),
        "create_file" => keep(options, vfs::create_file(path, None).map_err(failed)),
        "remove_file" => nothing(vfs::remove_file(path, None).map_err(failed)),
        "open_dir" => vfs::open_dir(path, create, None)
            .map(|_| Value::Null)
            .map_err(failed),
        "remove_dir" => nothing(vfs::remove_dir(path, None).map_err(failed)),
        "metadata" => vfs::metadata(path, None)
            .map(|metadata| json!(metadata))
            .map_err(failed),
        "remove_path" => nothing(vfs::remove_path(path, None).map_err(failed)),
        "Directory::read" => {
            let path = path.to_owned();
            let read = Directory { path, timeout: 5 }.read();
            read.map(|entries| json!(entries)).map_err(failed)
        }
        // What the library has words for, but no function.
        "action" => action(path, options),
        // Every generation lets a file be named without a request.
        "handle" => {
            let path = path.to_owned();
            keep(options, Ok(File { path, timeout: 5 }))
        }
        "File::new" => keep(options, Ok(new_file(path)?)),
        "drop" => {
            let dropped = FILES.with(|files| files.borrow_mut().remove(text(options, "file")));
            drop(dropped);
            Ok(Value::Null)
        }
        _ => {
            let call = call.strip_prefix("File::")?;
            return FILES.with(
                |files| match files.borrow_mut().get_mut(text(options, "file")) {
                    Some(file) => on_file(file, call, options),
                    None => Some(Err(json!("no file is kept under this name"))),
                },
            );
        }
    })
}

fn keep(options: &Value, made: Result<File, Value>) -> Told {
    let replaced =
        FILES.with(|files| Ok::<_, Value>(files.borrow_mut().insert(name(options), made?)));
    replaced.map(drop)?;
    Ok(Value::Null)
}

fn name(options: &Value) -> String {
    text(options, "as").to_owned()
}

fn nothing(done: Result<(), Value>) -> Told {
    done.map(|()| Value::Null)
}

fn action(path: &str, options: &Value) -> Told {
    let action = options.get("action").cloned().unwrap_or_default();
    let action: VfsAction =
        serde_json::from_value(action).map_err(|error| json!(error.to_string()))?;
    match request(path, action, said::bytes(options))? {
        VfsResponse::Err(error) => Err(json!(error)),
        response => Ok(json!(response)),
    }
}

fn lossy(bytes: &[u8]) -> Value {
    json!(String::from_utf8_lossy(bytes))
}

fn on_file(file: &mut File, call: &str, options: &Value) -> Option<Told> {
    let length = options.get("length").and_then(Value::as_u64).unwrap_or(0);
    let bytes = said::bytes(options).unwrap_or_default();
    let mut buffer = vec![0; length as usize];
    Some(match call {
        "read" => file.read().map(|bytes| lossy(&bytes)).map_err(failed),
        "read_into" => {
            let read = file.read_into(&mut buffer).map_err(failed);
            read.map(|count| lossy(&buffer[..count]))
        }
        "read_at" => {
            let read = file.read_at(&mut buffer).map_err(failed);
            read.map(|count| lossy(&buffer[..count]))
        }
        "read_to_end" => file
            .read_to_end()
            .map(|bytes| lossy(&bytes))
            .map_err(failed),
        "read_to_string" => file.read_to_string().map(Value::from).map_err(failed),
        "write" => nothing(file.write(&bytes).map_err(failed)),
        "write_all" => nothing(file.write_all(&bytes).map_err(failed)),
        "append" => nothing(file.append(&bytes).map_err(failed)),
        "seek" => {
            let from = options.get("from").cloned().unwrap_or_default();
            match serde_json::from_value::<SeekFrom>(from) {
                Ok(from) => file.seek(from).map(Value::from).map_err(failed),
                Err(error) => Err(json!(error.to_string())),
            }
        }
        "copy" => file
            .copy(text(options, "to"))
            .map(|_| Value::Null)
            .map_err(failed),
        "set_len" => nothing(file.set_len(length).map_err(failed)),
        "metadata" => file
            .metadata()
            .map(|metadata| json!(metadata))
            .map_err(failed),
        "sync_all" => nothing(file.sync_all().map_err(failed)),
        _ => return None,
    })
}
