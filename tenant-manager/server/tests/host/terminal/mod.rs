//! The terminal in depth: scripts, aliases, verbosity, keys, hostile text.

mod aliases;
mod keys;
mod package;
mod rights;
mod scripts;
mod verbosity;

use std::process::Output;

use serde_json::{Value, json};

use super::support::{Api, Host, Kit, Ssh, Tunnel};

/// The package of these tests.
const PACKAGE: &str = "my_scripts:alice.dev";

/// Alice's node with the scripts, and her ways to it.
struct Bench {
    api: Api,
    ssh: Ssh,
    kit: Kit,
    /// Closed before the node is put to sleep.
    tunnel: Option<Tunnel>,
    host: Host,
}

impl Bench {
    async fn start() -> Self {
        let host = Host::start();
        let api = host.api().sign_up("alice@example.org").await;
        api.create_node("alice").await;
        let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
        let tunnel = ssh.tunnel();
        Self {
            api,
            ssh,
            kit: Kit::new(tunnel.port),
            tunnel: Some(tunnel),
            host,
        }
    }

    async fn with_scripts() -> Self {
        let bench = Self::start().await;
        bench.kit.install(&package::my_scripts()).await;
        bench
    }

    /// Puts the node to sleep.
    async fn sleep(&mut self) {
        self.tunnel = None;
        self.api.act("/nodes/alice/hibernate").await;
        self.api.wait_for_status("alice", "hibernated").await;
    }

    /// Becomes alice again at a host that was killed and started anew.
    async fn crash(&mut self) {
        self.host.crash_and_restart();
        self.sign_in().await;
    }

    async fn sign_in(&mut self) {
        let nobody = self.host.api();
        self.api = nobody.sign_in("alice@example.org", "correct horse").await;
        let password = self.api.ssh_password("alice").await;
        self.ssh = Ssh::new(self.host.ssh_port(), "alice", &password);
    }

    /// `ssh alice@host LINE`: its output, if it worked.
    fn line(&self, line: &str) -> Result<String, String> {
        outcome(&self.ssh.exec(line))
    }

    /// What the steps of a script came to, and what was printed before that.
    fn show(&self, script: &str, steps: &Value) -> (Vec<Value>, String) {
        let line = format!("{script}:{PACKAGE} {}", shown(steps));
        let printed = self.line(&line).unwrap();
        let (before, last) = match printed.rsplit_once('\n') {
            Some((before, last)) => (before.to_owned(), last),
            None => (String::new(), printed.as_str()),
        };
        let results = serde_json::from_str(last).unwrap_or_else(|_| panic!("{printed}"));
        (results, before)
    }

    /// What steps come to that the package's own process carries out.
    async fn server(&self, steps: &Value) -> Vec<Value> {
        let body = json!({ "run": steps }).to_string();
        let answer = self.kit.inject(&format!("server:{PACKAGE}"), &body).await;
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
    }

    /// The id of the script that runs, other than by its name.
    fn running(&self) -> Option<String> {
        let listing = self.line("top").unwrap();
        let of_package = |line: &&str| line.ends_with(&format!(":{PACKAGE}"));
        let number = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
        let of_ours = listing
            .lines()
            .map(str::trim)
            .filter(of_package)
            .find(number);
        of_ours.map(str::to_owned)
    }
}

/// A script's arguments to carry out `steps` and show what they came to. The
/// controls that JSON lets stand are escapes of it: a line may have none.
fn shown(steps: &Value) -> String {
    let line = json!({ "show": steps }).to_string();
    line.chars()
        .map(|c| match c {
            '\u{80}'..='\u{9f}' => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect()
}

/// What a command line printed, without its last line feed; where it failed,
/// with what ssh wrote to standard error before that.
fn outcome(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    let printed = printed.strip_suffix('\n').unwrap_or(&printed);
    match output.status.code() {
        Some(0) => Ok(printed.to_owned()),
        Some(1) => Err(format!("{errors}{printed}")),
        code => panic!("{code:?}: {printed} {errors}"),
    }
}
