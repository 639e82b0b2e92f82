//! Keys, as they come through OpenSSH and a pseudo-terminal.

use std::time::Duration;

use super::Bench;

#[tokio::test]
async fn control_r_finds_what_was_typed_also_in_another_session() {
    let bench = Bench::start().await;
    let mut shell = bench.ssh.shell();
    shell.expect("alice.dev > ");
    for line in ["echo one fish", "echo two fish", "top"] {
        shell.type_keys(&format!("{line}\r"));
        shell.expect("alice.dev > ");
    }
    shell.type_keys("exit\r");
    assert_eq!(shell.finish(Duration::from_secs(10)).0, 0);
    let mut shell = bench.ssh.shell();
    shell.expect("alice.dev > ");
    shell.type_keys("\x12fish");
    shell.expect("search 'fish': \u{1b}[0mecho two fish");
    shell.type_keys("\x12");
    shell.expect("search 'fish': \u{1b}[0mecho one fish");
    shell.type_keys("\r");
    shell.expect("alice.dev > \u{1b}[0mecho one fish");
    // Above the prompt, which was erased for it.
    shell.expect("\r\u{1b}[Jone fish\r\n");
    shell.type_keys("\x12two\x1b");
    shell.expect("alice.dev > \u{1b}[0mecho two fish");
    shell.type_keys("\x05es\r");
    shell.expect("\r\u{1b}[Jtwo fishes\r\n");
    shell.type_keys("\x12nowhere");
    shell.expect("no match for 'nowhere': ");
    shell.type_keys("\x07");
    shell.expect("alice.dev > ");
    shell.type_keys("\x04");
    assert_eq!(shell.finish(Duration::from_secs(10)).0, 0);
}

/// On a terminal of the kernel's, whose Ctrl+S would stop it itself if ssh did
/// not pass it on.
const HOLD: &str = r#"
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
def until(text):
    global seen
    while text not in seen:
        seen += os.read(fd, 4096)
    before, _, seen = seen.partition(text)
    return before
until(b"alice.dev > ")
os.write(fd, b"\x13")
until(b"[held] alice.dev > ")
os.write(fd, b"echo first\r")
until(b"[held 1] alice.dev > ")
os.write(fd, b"echo second\r")
held = until(b"[held 2] alice.dev > ")
assert b"\nfirst" not in held, held
os.write(fd, b"\x13")
until(b"first\r\n")
until(b"[held 1] alice.dev > ")
os.write(fd, b"\x11")
until(b"second\r\n")
os.write(fd, b"echo third\r")
until(b"third\r\n")
os.write(fd, b"exit\r")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[tokio::test]
async fn output_is_held_and_shown_print_by_print() {
    let bench = Bench::start().await;
    let ssh = bench.ssh.shell_command();
    let mut python = std::process::Command::new("timeout");
    python.args(["60", "python3", "-c", HOLD]);
    python.arg(ssh.get_program()).args(ssh.get_args());
    for (name, value) in ssh.get_envs() {
        python.env(name, value.unwrap());
    }
    let output = python.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
