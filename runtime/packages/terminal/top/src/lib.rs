//! `top [PROCESS] [-c]`: lists the node's processes, what each uses, and what
//! the node may use.

use distro_logic::line;
use distro_logic::processes::Processes;
use distro_logic::usage;
use distro_logic::ProcessId;
use guest::kernel;
use guest::lib::Address;

guest::script!(top);

fn top(our: &Address, arguments: &str) -> String {
    let mut with_capabilities = false;
    let mut only = None;
    for word in line::words(arguments) {
        match word.parse::<ProcessId>() {
            _ if word == "-c" || word == "--show-caps" => with_capabilities = true,
            Ok(id) if only.is_none() => only = Some(node_types::alias::canonical(id)),
            _ => return "usage: top [PROCESS:PACKAGE:PUBLISHER] [-c]".to_owned(),
        }
    }
    let processes = kernel::process_map(our)
        .map_err(|error| error.to_string())
        .and_then(Processes::from_json);
    // Without it the list is still worth something.
    let used = kernel::usage(our).ok();
    let used = used.and_then(|report| usage::from_json(report).ok());
    match (processes, only) {
        (Err(error), _) => error,
        (Ok(processes), None) => processes.describe_all(used.as_ref(), with_capabilities),
        (Ok(processes), Some(id)) => processes
            .describe(&id, used.as_ref(), with_capabilities)
            .unwrap_or_else(|| format!("process {id} not running")),
    }
}
