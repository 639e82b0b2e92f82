//! `kfetch`: a summary of this node beside a picture.

use distro_logic::processes::Processes;
use guest::kernel;
use guest::lib::Address;

guest::script!(kfetch);

/// A boat at its berth.
const PICTURE: [&str; 7] = [
    "            |\\      ",
    "            | \\     ",
    "            |  \\    ",
    "     _______|___\\__ ",
    " |   \\            / ",
    " |====\\__________/  ",
    " |~ ~~ ~~~ ~~ ~ ~~~ ",
];

fn kfetch(our: &Address, _arguments: &str) -> String {
    let processes = kernel::process_map(our)
        .map_err(|error| error.to_string())
        .and_then(Processes::from_json);
    let count = match processes {
        Ok(processes) => processes.len().to_string(),
        Err(error) => error,
    };
    let facts = [
        our.node().to_owned(),
        "-".repeat(our.node().len()),
        "host:      berth".to_owned(),
        format!("version:   {}", env!("CARGO_PKG_VERSION")),
        "interface: kinode:process@1.0.0".to_owned(),
        format!("processes: {count}"),
        String::new(),
    ];
    PICTURE
        .iter()
        .zip(facts)
        .map(|(picture, fact)| format!("{picture}  {fact}").trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}
