//! `help`: lists the commands of the terminal.

use guest::lib::Address;

guest::script!(help);

const COMMANDS: [(&str, &str); 14] = [
    (
        "alias [NAME [SCRIPT]]",
        "name a script; without SCRIPT, forget the name; alone, list all",
    ),
    (
        "cat PATH",
        "print a file, such as /chat:bob.dev/pkg/manifest.json",
    ),
    ("echo TEXT", "print the text"),
    ("exit", "leave the terminal (also Ctrl+D)"),
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
    (
        "verbosity [[PROCESS] LEVEL]",
        "what this terminal shows, or all show of a process: 0-3, mute, default",
    ),
];

const KEYS: [(&str, &str); 8] = [
    ("Up, Down, Ctrl+P, Ctrl+N", "lines typed before"),
    (
        "Ctrl+R",
        "search them: again for older ones, Enter runs, Esc edits, Ctrl+G gives up",
    ),
    ("Ctrl+A, Ctrl+E", "to the ends of the line"),
    (
        "Ctrl+W, Ctrl+U, Ctrl+K",
        "delete a word, to the beginning, to the end",
    ),
    (
        "Ctrl+S, Ctrl+Q",
        "hold the output and show it print by print; let it go on",
    ),
    (
        "Ctrl+V",
        "verbosity of this terminal: 0, 1 debug, 2 runtime, 3 every message",
    ),
    ("Ctrl+L", "clear the screen (the log is always kept)"),
    ("Ctrl+C, Ctrl+D", "throw the line away; leave"),
];

fn help(_our: &Address, _arguments: &str) -> String {
    let mut text = String::from("Commands:\n");
    for (usage, meaning) in COMMANDS {
        text.push_str(&format!("  {usage:<30} {meaning}\n"));
    }
    text.push_str("Keys:\n");
    for (keys, meaning) in KEYS {
        text.push_str(&format!("  {keys:<30} {meaning}\n"));
    }
    text.push_str(
        "Any script of an installed package runs by its id: SCRIPT:PACKAGE:PUBLISHER ARGUMENTS",
    );
    text
}
