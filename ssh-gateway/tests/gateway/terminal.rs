//! `ssh label@host`: the interactive shell.

use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::client::{PATIENCE, Tunnel, free_port};
use crate::host::Host;

/// A running `ssh` and what it has printed.
pub struct Shell {
    pub child: Child,
    seen: String,
}

impl Shell {
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).spawn().unwrap();
        let seen = String::new();
        Self { child, seen }
    }

    pub async fn types(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits until `text` has been printed since the last call.
    pub async fn shows(&mut self, text: &str) {
        let stdout = self.child.stdout.as_mut().unwrap();
        let mut buffer = [0; 4096];
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let read = tokio::time::timeout(PATIENCE, stdout.read(&mut buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.seen));
            let read = read.unwrap();
            assert_ne!(read, 0, "ended without {text:?}: {:?}", self.seen);
            self.seen
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    pub async fn ends(mut self) -> (Option<i32>, String) {
        let out = self.child.wait_with_output();
        let out = tokio::time::timeout(PATIENCE, out).await;
        let out = out.expect("ssh ends in time").unwrap();
        self.seen.push_str(&String::from_utf8_lossy(&out.stdout));
        let stderr = String::from_utf8_lossy(&out.stderr);
        (out.status.code(), self.seen + &stderr)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_answers_key_by_key_and_exit_ends_it() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let mut shell = Shell::start(host.ssh(&password).args(["-tt", "alice@127.0.0.1"]));
    shell.shows("alice.dev > ").await;
    shell.types("h").await;
    shell.shows("h").await;
    shell.types("ello\r").await;
    shell.shows("you said hello").await;
    shell.shows("alice.dev > ").await;
    shell.types("exit\r").await;
    let (status, rest) = shell.ends().await;
    assert_eq!(status, Some(0), "{rest}");
    assert!(rest.contains("bye"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn control_d_and_the_end_of_input_end_it_too() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let mut shell = Shell::start(host.ssh(&password).args(["-tt", "alice@127.0.0.1"]));
    shell.shows("alice.dev > ").await;
    shell.types("\x04").await;
    assert_eq!(shell.ends().await.0, Some(0));

    let mut shell = Shell::start(host.ssh(&password).args(["-tt", "alice@127.0.0.1"]));
    shell.types("hi\r").await;
    drop(shell.child.stdin.take());
    shell.shows("you said hi").await;
    assert_eq!(shell.ends().await.0, Some(0));
}

/// Runs `ssh` on a pseudo-terminal of 100x30, which becomes 132x43.
const RESIZE: &str = r#"
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
def size(columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
def until(text):
    seen = b""
    while text not in seen:
        seen += os.read(fd, 4096)
size(100, 30)
until(b"alice.dev > ")
size(100, 30)
os.write(fd, b"size\r")
until(b"[100x30]")
size(132, 43)
until(b"[now 132x43]")
os.write(fd, b"size\r")
until(b"[132x43]")
os.write(fd, b"exit\r")
until(b"bye")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_follows_the_size_of_the_window() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let ssh = host.ssh(&password);
    let ssh = ssh.as_std();
    let mut python = Command::new("python3");
    python.args(["-c", RESIZE]).arg(ssh.get_program());
    python.args(ssh.get_args()).arg("alice@127.0.0.1");
    for (name, value) in ssh.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    let answer = crate::client::ran(python.kill_on_drop(true)).await;
    assert_eq!(answer.status, Some(0), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_the_lines_of_the_input_are_run() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let mut shell = Shell::start(host.ssh(&password).args(["-T", "alice@127.0.0.1"]));
    shell.types("top\n\n  cat a b\n").await;
    shell.shows("alice.dev: top\nalice.dev: cat a b\n").await;
    shell.types("nonsense\nexit\nnot run\n").await;
    let (status, rest) = shell.ends().await;
    assert_eq!(
        (status, rest.contains("not run")),
        (Some(1), false),
        "{rest}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_shell_ends_the_connection_with_its_open_tunnels() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let port = free_port().await;
    let mut command = host.ssh(&password);
    command
        .args(["-tt", "-L", &format!("{port}:localhost:8080")])
        .arg("alice@127.0.0.1");
    let mut shell = Shell::start(&mut command);
    shell.shows("alice.dev > ").await;
    let mut open = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let answer = crate::client::get_on(&mut open, "/x").await;
    assert_eq!(answer, "alice.dev Tunnel /x");
    shell.types("exit\r").await;
    let (status, rest) = shell.ends().await;
    assert_eq!(status, Some(0), "{rest}");
    assert_eq!(
        open.read(&mut [0; 8]).await.unwrap_or(0),
        0,
        "tunnel closed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_nobody_reads_holds_up_nothing_else() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let port = free_port().await;
    let mut command = host.ssh(&password);
    command
        .stdin(Stdio::piped())
        .args(["-tt", "-L", &format!("{port}:localhost:8080")]);
    let mut tunnel = Tunnel::start(command, "alice", port).await;
    let stdin = tunnel.child.stdin.as_mut().unwrap();
    // 20 MB of output; its reader, this test, takes none of it.
    stdin.write_all(b"flood\r").await.unwrap();
    for _ in 0..20 {
        assert_eq!(tunnel.get("/y").await, "alice.dev Tunnel /y");
    }
    // Nor does it keep the node from stopping.
    host.stop_node("alice").await;
    let answer = host.exec("alice", &password, "top").await;
    assert!(answer.stderr.contains("stopped"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_says_so_and_ends_the_shell() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let mut shell = Shell::start(host.ssh(&password).args(["-tt", "alice@127.0.0.1"]));
    shell.shows("alice.dev > ").await;
    host.stop_node("alice").await;
    shell.shows("the node is stopping").await;
    assert_eq!(shell.ends().await.0, Some(0));
    let mut shell = Shell::start(host.ssh(&password).args(["-tt", "alice@127.0.0.1"]));
    shell.shows("stopped").await;
    assert_eq!(shell.ends().await.0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_gets_suspended_ends_the_shell_and_says_why_to_the_next() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let mut shell = Shell::start(host.ssh(&password).args(["-tt", "alice@127.0.0.1"]));
    shell.shows("alice.dev > ").await;
    host.suspend_node("alice").await;
    shell.shows("the node is stopping").await;
    assert_eq!(shell.ends().await.0, Some(0));
    let mut shell = Shell::start(host.ssh(&password).args(["-tt", "alice@127.0.0.1"]));
    shell.shows("suspended").await;
    assert_eq!(shell.ends().await.0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_ends_beside_another_leaves_it_alone() {
    let host = Host::start().await;
    let password = host.node("alice").await;
    let control = host.directory().join("control");
    let mut command = host.ssh(&password);
    command.args(["-tt", "-M", "-S"]).arg(&control);
    let mut first = Shell::start(command.arg("alice@127.0.0.1"));
    first.shows("alice.dev > ").await;
    let mut command = host.ssh(&password);
    command.args(["-tt", "-S"]).arg(&control);
    let mut second = Shell::start(command.arg("alice@127.0.0.1"));
    second.shows("alice.dev > ").await;
    second.types("exit\r").await;
    assert_eq!(second.ends().await.0, Some(0));
    first.types("still here\r").await;
    first.shows("you said still here").await;
    first.types("exit\r").await;
    assert_eq!(first.ends().await.0, Some(0));
}
