//! `help`: lists the commands of the terminal.

use guest::lib::Address;

guest::script!(help);

const COMMANDS: [(&str, &str); 12] = [
    (
        "alias NAME [SCRIPT]",
        "name a script; without SCRIPT, forget the name",
    ),
    (
        "cat PATH",
        "print a file, such as /chat:bob.dev/pkg/manifest.json",
    ),
    ("echo TEXT", "print the text"),
    ("help", "this list"),
    ("hi NODE TEXT", "send a greeting to another node"),
    ("kfetch", "a summary of this node"),
    ("kill PROCESS", "end a process"),
    (
        "m ADDRESS 'BODY' [-a SECONDS]",
        "send a message; with -a wait and print the answer",
    ),
    ("net-diagnostics", "how the network looks from this node"),
    ("peer NODE", "what is known of another node"),
    ("peers", "the nodes that this one talked with lately"),
    (
        "top [PROCESS] [-c]",
        "list processes; with -c also their capabilities",
    ),
];

fn help(_our: &Address, _arguments: &str) -> String {
    let mut text = String::from("Commands:\n");
    for (usage, meaning) in COMMANDS {
        text.push_str(&format!("  {usage:<30} {meaning}\n"));
    }
    text.push_str(
        "Any script of an installed package runs by its id: SCRIPT:PACKAGE:PUBLISHER ARGUMENTS",
    );
    text
}
