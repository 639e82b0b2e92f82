//! OpenSSH's client.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::host::Host;

/// Nothing here takes long; a test that hangs says where.
pub const PATIENCE: Duration = Duration::from_secs(30);

impl Host {
    /// `ssh` with a password and the options every call needs; the caller adds
    /// more options, then `user@127.0.0.1` and the command.
    pub fn ssh(&self, password: &str) -> Command {
        let askpass = self.directory().join("askpass");
        if !askpass.exists() {
            fs::write(&askpass, "#!/bin/sh\nprintf '%s\\n' \"$TEST_PASSWORD\"\n").unwrap();
            fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let mut command = Command::new("ssh");
        command
            .args(["-F", "/dev/null", "-p", &self.port.to_string()])
            .args(["-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "IdentityFile=/dev/null"])
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("TEST_PASSWORD", password)
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs `line` on the node of `label`.
    pub async fn exec(&self, label: &str, password: &str, line: &str) -> Ran {
        let target = format!("{label}@127.0.0.1");
        ran(self.ssh(password).args([&target, line])).await
    }

    /// An `ssh -N` that tunnels a fresh local port to `destination`; returns
    /// once it listens.
    pub async fn tunnel(&self, label: &str, password: &str, destination: &str) -> Tunnel {
        let port = free_port().await;
        let forward = format!("{port}:{destination}");
        let mut command = self.ssh(password);
        command.args(["-N", "-L", &forward]);
        Tunnel::start(command, label, port).await
    }
}

/// What a finished `ssh` left.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub async fn ran(command: &mut Command) -> Ran {
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .expect("ssh ends in time")
        .unwrap();
    Ran::from(output)
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A port that was free a moment ago.
pub async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// A running `ssh` with a local port.
pub struct Tunnel {
    pub child: Child,
    pub port: u16,
}

impl Tunnel {
    /// Starts `command`, which says "ready" once it has signed in and listens.
    pub async fn start(mut command: Command, label: &str, port: u16) -> Self {
        command
            .args(["-o", "ExitOnForwardFailure=yes"])
            .args(["-o", "PermitLocalCommand=yes"])
            .args(["-o", "LocalCommand=echo ready"])
            .arg(format!("{label}@127.0.0.1"));
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, stdout.read_line(&mut line))
            .await
            .expect("the tunnel is up in time")
            .unwrap();
        assert_eq!(line, "ready\n");
        Self { child, port }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// The body of the answer to `GET path`, on a connection of its own.
    pub async fn get(&self, path: &str) -> String {
        let mut stream = self.connect().await;
        get_on(&mut stream, path).await
    }

    /// Waits for `ssh` to end; returns its standard error.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        let wait = async {
            pipe.read_to_string(&mut stderr).await.unwrap();
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("ssh ends in time");
        (status.code(), stderr)
    }
}

/// The body of the answer to `GET path` on `stream`.
pub async fn get_on(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let length = read_head(stream).await;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

/// Reads the head of an answer; returns the content length.
pub async fn read_head(stream: &mut TcpStream) -> usize {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        head.push(byte.expect("an answer in time").unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.unwrap().parse().unwrap()
}
