//! OpenSSH's own server on a port of its own, and its client: what our gateway
//! is held against (`make bench`).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::ssh::free_port;

/// Where Debian has it, which insists on being started by its whole path.
const PROGRAM: &str = "/usr/sbin/sshd";
/// Without this directory it does not start as root.
const PRIVATE: &str = "/run/sshd";
/// How long something may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A key of a client.
pub struct Key {
    dir: tempfile::TempDir,
}

impl Key {
    /// A new one.
    pub fn generate() -> Self {
        let dir = tempfile::tempdir().unwrap();
        generate(&dir.path().join("key"));
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    /// Its public part, in a line.
    pub fn public(&self) -> String {
        let path = self.dir.path().join("key.pub");
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

fn generate(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// A server that lets `key` in as whoever runs the tests; it ends when dropped.
pub struct Sshd {
    child: Child,
    /// Where it listens.
    pub port: u16,
    _dir: tempfile::TempDir,
}

impl Sshd {
    /// Starts one.
    pub fn start(key: &Key) -> Self {
        let _ = std::fs::create_dir(PRIVATE);
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        generate(&at("host"));
        std::fs::write(at("authorized"), key.public()).unwrap();
        let port = free_port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nUseDNS no\nPermitRootLogin yes\nLogLevel ERROR\n\
             PasswordAuthentication no\nAllowTcpForwarding yes\nMaxStartups 1000\n\
             PrintMotd no\nPrintLastLog no\n",
            at("host").display(),
            at("authorized").display(),
        );
        std::fs::write(at("config"), config).unwrap();
        let child = Command::new(PROGRAM)
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // It tells of each connection that only looks whether it is up.
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd is installed by infra/setup bench");
        until_open(port);
        Self {
            child,
            port,
            _dir: dir,
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    let pid = child.id().to_string();
    let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
    let _ = child.wait();
}

/// Waits until somebody listens at the port.
fn until_open(port: u16) {
    let end = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "nobody at port {port}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How a client shows who it is.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// By a key.
    Key(&'a Key),
    /// By a password.
    Password(&'a str),
}

/// How to reach a server by ssh.
pub struct Client<'a> {
    /// How it lets us in.
    pub proof: Proof<'a>,
    /// As whom.
    pub user: &'a str,
    /// At which port.
    pub port: u16,
}

/// A tunnel that ends when dropped.
pub struct Forward {
    child: Child,
    /// Its local end.
    pub port: u16,
}

impl Drop for Forward {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Client<'_> {
    fn command(&self, cipher: &str) -> Command {
        let mut command = match self.proof {
            Proof::Key(key) => {
                let mut command = Command::new("ssh");
                command.arg("-i").arg(key.path());
                command.args(["-o", "PreferredAuthentications=publickey"]);
                command
            }
            Proof::Password(password) => {
                let mut command = Command::new("sshpass");
                command.env("SSHPASS", password).args(["-e", "ssh"]);
                command.args(["-o", "PreferredAuthentications=password"]);
                command
            }
        };
        command.args(["-F", "/dev/null", "-c", cipher]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "IdentitiesOnly=yes",
            "ExitOnForwardFailure=yes",
        ] {
            command.args(["-o", option]);
        }
        command.args(["-p", &self.port.to_string()]);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a line there.
    pub fn exec(&self, cipher: &str, line: &str) -> Output {
        let mut command = self.command(cipher);
        let target = format!("{}@127.0.0.1", self.user);
        command.arg(target).arg(line).output().unwrap()
    }

    /// Opens a tunnel to `target`.
    pub fn forward(&self, cipher: &str, target: &str) -> Forward {
        let port = free_port();
        let child = self
            .command(cipher)
            .args(["-N", "-L", &format!("127.0.0.1:{port}:{target}")])
            .arg(format!("{}@127.0.0.1", self.user))
            .spawn()
            .unwrap();
        until_open(port);
        Forward { child, port }
    }
}
