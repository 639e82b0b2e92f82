//! `kill PROCESS`: ends a process at once.

use distro_logic::ProcessId;
use guest::kernel;
use guest::lib::Address;

guest::script!(kill);

fn kill(our: &Address, arguments: &str) -> String {
    let Ok(id) = arguments.parse::<ProcessId>() else {
        return "usage: kill PROCESS:PACKAGE:PUBLISHER".to_owned();
    };
    let id = node_types::alias::canonical(id);
    // The kernel never answers for a process that it does not know, or will
    // not kill.
    match kernel::find(our, id.as_str()) {
        Ok(Some(process)) if process["wasm_bytes_handle"] == "" => {
            return format!("{id} is part of the runtime and cannot be killed");
        }
        Ok(Some(_)) => {}
        Ok(None) => return format!("process {id} not running"),
        Err(error) => return error.to_string(),
    }
    match kernel::kill(our, id.as_str()) {
        Ok(()) => format!("killed process {id}"),
        Err(error) => format!("could not kill {id}: {error}"),
    }
}
