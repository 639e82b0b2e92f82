//! The database of a host: looked into with `psql`, frozen, taken away.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tenant_storage_pg::cluster::{ClusterOptions, PrivateCluster, Running};

use super::Host;

/// User and group of servers that tests start as root, and of the hosts that
/// use them: only who owns the socket's directory gets to it.
const NOBODY: (u32, u32) = (65_534, 65_534);

/// A running server, found by its data.
pub struct Database {
    data: PathBuf,
}

impl Database {
    /// The private one of a host that runs.
    pub fn of(host: &Host) -> Self {
        let note = std::fs::read_to_string(host.data().join("postgres-elsewhere"));
        let place = note.map_or_else(
            |_| host.data().join("postgres"),
            |note| PathBuf::from(note.trim_end()),
        );
        Self {
            data: place.join("data"),
        }
    }

    /// A line of `postmaster.pid`, counted from 0.
    fn postmaster(&self, line: usize) -> String {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        text.lines().nth(line).unwrap().trim().to_owned()
    }

    /// Runs SQL; its rows, columns separated by `|`.
    pub fn query(&self, sql: &str) -> Vec<String> {
        let output = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-U", "berth", "-d", "berth", "-p", "5432", "-h"])
            .arg(self.postmaster(4))
            .args(["-c", sql])
            .env("PGOPTIONS", "-c statement_timeout=120s")
            .output()
            .expect("psql comes with Postgres");
        assert!(output.status.success(), "{sql}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Adds `count` sleeping tenants like the one called `label`, of which only
    /// the records exist: their keys are another's, so they cannot be booted.
    pub fn add_sleepers(&self, label: &str, count: usize) {
        self.query(&format!(
            "INSERT INTO tenants SELECT copy.* FROM tenants original,
               generate_series(1, {count}) AS number,
               LATERAL jsonb_populate_record(original, jsonb_build_object(
                 'id', gen_random_uuid(),
                 'label', 'sleeper' || number,
                 'name', 'sleeper' || number || '.dev',
                 'desired_state', 'running',
                 'last_started_at', original.created_at)) AS copy
             WHERE original.label = '{label}' AND original.purged_at IS NULL"
        ));
    }

    /// Every process of the server, the first one first.
    fn processes(&self) -> Vec<String> {
        let data = self.data.canonicalize().unwrap();
        let first = self.postmaster(0);
        let works = |pid: &String| {
            std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|at| at == data)
        };
        let others = std::fs::read_dir("/proc").unwrap().flatten();
        let others = others
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|pid| *pid != first)
            .filter(works);
        std::iter::once(first.clone()).chain(others).collect()
    }

    /// Stops the server where it stands: it neither answers nor closes, like a
    /// machine that is cut off. It goes on when the guard is dropped.
    pub fn freeze(&self) -> Frozen {
        // The first alone, so that it makes no more of them meanwhile.
        signal("STOP", &[self.postmaster(0)]);
        let processes = self.processes();
        signal("STOP", &processes);
        Frozen(processes)
    }
}

fn signal(name: &str, processes: &[String]) {
    // One that has ended by itself is as good as stopped.
    let _ = Command::new("kill")
        .args(["-s", name])
        .args(processes)
        .stderr(std::process::Stdio::null())
        .status();
}

/// A server that stands still.
pub struct Frozen(Vec<String>);

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("CONT", &self.0);
    }
}

/// A server of the test's own, for hosts that are given `--database-url`.
pub struct Postgres {
    options: ClusterOptions,
    running: Option<Running>,
    socket: PathBuf,
    data: PathBuf,
    _dir: tempfile::TempDir,
}

impl Postgres {
    /// Starts one.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = options(dir.path());
        let running = PrivateCluster::start(options.clone()).await.unwrap();
        Self {
            socket: running.socket_dir().to_owned(),
            data: running.data_dir().to_owned(),
            running: Some(running),
            options,
            _dir: dir,
        }
    }

    /// Flags of a host that uses it.
    pub fn flags(&self) -> Vec<String> {
        let socket = self.socket.display();
        let url = format!("postgres://berth@localhost/berth?host={socket}");
        ["--run-as", "nobody", "--database-url", &url]
            .map(str::to_owned)
            .to_vec()
    }

    /// It, to be looked into.
    pub fn database(&self) -> Database {
        Database {
            data: self.data.clone(),
        }
    }

    /// Takes it away.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop(Duration::from_secs(20)).await;
        }
    }

    /// Brings it back.
    pub async fn start_again(&mut self) {
        let running = PrivateCluster::start(self.options.clone()).await.unwrap();
        assert_eq!(running.socket_dir(), self.socket);
        self.running = Some(running);
    }
}

fn options(dir: &Path) -> ClusterOptions {
    let mut options = ClusterOptions::new(dir.join("berth-data"));
    options.elsewhere = dir.join("elsewhere");
    options.run_as = Some(NOBODY);
    options
}
