//! OpenSSH's own client.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How to reach one node by ssh.
#[derive(Clone)]
pub struct Ssh {
    port: u16,
    label: String,
    password: String,
}

impl Ssh {
    /// `label` at the gateway on `port`.
    pub fn new(port: u16, label: &str, password: &str) -> Self {
        Self {
            port,
            label: label.to_owned(),
            password: password.to_owned(),
        }
    }

    /// An ssh command with the password given, before its arguments.
    fn command(&self) -> Command {
        let mut command = Command::new("sshpass");
        command
            .env("SSHPASS", &self.password)
            .args(["-e", "ssh", "-F", "/dev/null"]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "PreferredAuthentications=password",
            "NumberOfPasswordPrompts=1",
        ] {
            command.args(["-o", option]);
        }
        command.args(["-p", &self.port.to_string()]);
        command
    }

    /// `ssh … LINE`, to its end.
    pub fn exec(&self, line: &str) -> Output {
        self.command()
            .arg(format!("{}@127.0.0.1", self.label))
            .arg(line)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The command `ssh -tt …`.
    pub fn shell_command(&self) -> Command {
        let mut command = self.command();
        command.arg("-tt").arg(format!("{}@127.0.0.1", self.label));
        command
    }

    /// `ssh -tt …`: an interactive session on a terminal of OpenSSH's making.
    pub fn shell(&self) -> Shell {
        let mut child = self
            .shell_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read) = stdout.read(&mut buffer) {
                if read == 0 || sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Shell {
            child,
            output,
            seen: String::new(),
        }
    }

    /// `ssh -N -L FREE:localhost:TARGET …`, up.
    pub fn tunnel(&self) -> Tunnel {
        self.tunnel_to("localhost:8080")
    }

    /// The same to another destination.
    pub fn tunnel_to(&self, target: &str) -> Tunnel {
        self.try_tunnel(target)
            .unwrap_or_else(|errors| panic!("ssh -N ended: {errors}"))
    }

    /// The same; what ssh said if it ended instead.
    pub fn try_tunnel(&self, target: &str) -> Result<Tunnel, String> {
        let port = free_port();
        let child = self
            .command()
            .args([
                "-o",
                "ExitOnForwardFailure=yes",
                "-N",
                "-L",
                &format!("127.0.0.1:{port}:{target}"),
            ])
            .arg(format!("{}@127.0.0.1", self.label))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut tunnel = Tunnel { child, port };
        let end = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if tunnel.child.try_wait().unwrap().is_some() {
                return Err(tunnel.errors());
            }
            assert!(Instant::now() < end, "the tunnel did not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(tunnel)
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// An open tunnel; dropping it closes it.
pub struct Tunnel {
    child: Child,
    /// The local end.
    pub port: u16,
}

impl Tunnel {
    fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends sshpass, which passes SIGTERM on to its ssh.
fn end(child: &mut Child) {
    let _ = Command::new("kill")
        .args(["-s", "TERM", &child.id().to_string()])
        .status();
    let _ = child.wait();
}

/// An interactive session.
pub struct Shell {
    child: Child,
    output: mpsc::Receiver<Vec<u8>>,
    seen: String,
}

impl Shell {
    /// Types `keys`.
    pub fn type_keys(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Waits until `text` appears after what was waited for before; returns
    /// everything up to and including it.
    pub fn expect(&mut self, text: &str) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} did not appear after {:?}", self.seen),
            }
        }
    }

    /// Waits for the end of the session: exit code, the rest of the output,
    /// and standard error.
    pub fn finish(mut self, limit: Duration) -> (i32, String, String) {
        let until = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < until,
                "ssh did not end; last {:?}",
                self.seen
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_secs(2)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        let mut errors = String::new();
        let _ = self
            .child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors);
        (
            status.code().unwrap_or(-1),
            std::mem::take(&mut self.seen),
            errors,
        )
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            end(&mut self.child);
        }
    }
}
