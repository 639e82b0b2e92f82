//! A `berth serve` process of a test.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Api, eventually};

/// A running host. Dropping it ends it, and its private Postgres.
pub struct Host {
    running: Running,
    data: PathBuf,
    extra: Vec<String>,
    start: Start,
    /// Removed with the host.
    _home: tempfile::TempDir,
}

/// Who starts the binary, and which.
#[derive(Clone, Default)]
struct Start {
    /// Whom it is started as, if not as us.
    user: Option<u32>,
    /// Where a copy of the binary with its packages is; the one that was built
    /// if nowhere.
    copy: Option<PathBuf>,
    /// Failpoints of its next start.
    failpoints: Option<String>,
}

/// One process of it.
struct Running {
    child: Child,
    /// What it says when it has started anew.
    again: mpsc::Receiver<Value>,
    /// The JSON of the ready line.
    ready: Value,
    /// Standard error.
    log: PathBuf,
}

impl Host {
    /// Starts a host with an empty data directory.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more flags.
    pub fn start_with(extra: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        // Reachable for the unprivileged user that a host started as root becomes.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self::launch(home, extra, Start::default())
    }

    /// Starts a host as `user` with its data in `home`, as that is.
    pub fn start_in(home: tempfile::TempDir, user: Option<u32>) -> Self {
        let start = Start {
            user,
            copy: user.map(|_| home.path().join("data.bin")),
            failpoints: None,
        };
        Self::launch(home, &[], start)
    }

    /// The same as we are, with more flags.
    pub fn start_in_with(home: tempfile::TempDir, extra: &[&str]) -> Self {
        Self::launch(home, extra, Start::default())
    }

    /// Starts a host as `user` from a copy of the binary in the directory
    /// `copy`, which that user must reach, with its data in `home`.
    pub fn start_copy(home: tempfile::TempDir, user: Option<u32>, copy: PathBuf) -> Self {
        let start = Start {
            user,
            copy: Some(copy),
            failpoints: None,
        };
        Self::launch(home, &[], start)
    }

    fn launch(home: tempfile::TempDir, extra: &[&str], start: Start) -> Self {
        let data = home.path().join("data");
        let extra: Vec<String> = extra.iter().map(|text| (*text).to_owned()).collect();
        let running = Running::launch(&data, &extra, &start);
        Self {
            running,
            data,
            extra,
            start,
            _home: home,
        }
    }

    /// Arms `failpoints` at the next starts, or none.
    pub fn arm(&mut self, failpoints: Option<&str>) {
        self.start.failpoints = failpoints.map(str::to_owned);
    }

    /// Has other flags at the next starts.
    pub fn set_flags(&mut self, extra: &[&str]) {
        self.extra = extra.iter().map(|text| (*text).to_owned()).collect();
    }

    /// Kills the process as a power cut would, and starts it again on the same
    /// data, at other ports. Returns how long it took to serve again.
    pub fn crash_and_restart(&mut self) -> Duration {
        self.running.child.kill().unwrap();
        self.running.child.wait().unwrap();
        self.start_again()
    }

    /// Starts a host that has ended again.
    pub fn start_again(&mut self) -> Duration {
        let began = Instant::now();
        self.running = Running::launch(&self.data, &self.extra, &self.start);
        began.elapsed()
    }

    /// Ends it in order and starts it again.
    pub fn restart(&mut self) -> Duration {
        let status = self.terminate(Duration::from_secs(60));
        assert_eq!(status.code(), Some(0), "{}", self.tail());
        self.start_again()
    }

    /// Starts a host that has ended again, and waits until that one ends too,
    /// whether it was ready before or not.
    pub fn start_and_end(&mut self, limit: Duration) -> ExitStatus {
        self.running.child = spawn(&self.data, &self.extra, &self.start);
        self.wait(limit)
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.signal("TERM");
        self.wait(limit)
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args(["-s", name, &self.running.child.id().to_string()])
            .status();
        assert!(done.unwrap().success());
    }

    /// Waits until the process has said once more that it is ready.
    pub async fn ready_again(&mut self, limit: Duration) {
        let again = &self.running.again;
        let ready = eventually("ready again", limit, async || again.try_recv().ok()).await;
        self.running.ready = ready;
    }

    /// Whether the process has said once more that it is ready, unheard.
    pub fn was_ready_again(&self) -> bool {
        self.running.again.try_recv().is_ok()
    }

    /// What starts another process of it.
    pub fn command(&self) -> Command {
        prepared(&self.data, &self.extra, &self.start)
    }

    /// The binary that it was started from.
    pub fn program(&self) -> PathBuf {
        match &self.start.copy {
            Some(copy) => copy.join("berth"),
            None => PathBuf::from(env!("CARGO_BIN_EXE_berth")),
        }
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.running.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < end,
                "the host did not end within {limit:?}; {}",
                self.tail()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        tail(&self.running.log)
    }

    /// All of its log, of earlier starts too.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.running.log).unwrap_or_default()
    }

    /// Runs a command of the binary on the host's data.
    pub fn berth(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_berth"))
            .args(arguments)
            .arg("--data-dir")
            .arg(&self.data)
            .output()
            .unwrap()
    }

    /// The JSON of its ready line.
    pub fn ready(&self) -> &Value {
        &self.running.ready
    }

    /// Address of the front door.
    pub fn http(&self) -> String {
        let url = self.running.ready["dashboard"].as_str().unwrap();
        format!("127.0.0.1:{}", url.rsplit(':').next().unwrap())
    }

    /// Address of the operations port.
    pub fn metrics(&self) -> &str {
        self.running.ready["metrics"].as_str().unwrap()
    }

    /// Port of the SSH gateway.
    pub fn ssh_port(&self) -> u16 {
        self.running.ready["ssh"]
            .as_str()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A client of the API that is nobody yet.
    pub fn api(&self) -> Api {
        let url = self.running.ready["dashboard"].as_str().unwrap();
        Api::new(&self.http()).called(url.trim_start_matches("http://"))
    }
}

impl Running {
    fn launch(data: &Path, extra: &[String], start: &Start) -> Self {
        let mut child = spawn(data, extra, start);
        let log = log_of(data);
        let (ready, again) = read_ready(&mut child, &log);
        Self {
            child,
            again,
            ready,
            log,
        }
    }
}

/// Where the standard error of a host goes.
fn log_of(data: &Path) -> PathBuf {
    data.with_extension("log")
}

/// The command of a host that is started so.
fn prepared(data: &Path, extra: &[String], start: &Start) -> Command {
    let mut command = command(data, extra);
    if let Some(copy) = &start.copy {
        command = copied(copy, &command);
    }
    if let Some(user) = start.user {
        command.uid(user).gid(user);
    }
    if let Some(failpoints) = &start.failpoints {
        command.env("BERTH_FAILPOINTS", failpoints);
    }
    command
}

/// Starts the process of a host.
fn spawn(data: &Path, extra: &[String], start: &Start) -> Child {
    let stderr = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log_of(data))
        .unwrap();
    prepared(data, extra, start)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap()
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM first, so that the private Postgres ends too.
        let pid = self.child.id().to_string();
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
            let end = Instant::now() + Duration::from_secs(15);
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = tail(&self.log);
            eprintln!("--- end of the host's log ---\n{text}");
        }
    }
}

/// The same command with a copy of the binary and its packages in `to`, whatever
/// directory they were built in.
fn copied(to: &Path, original: &Command) -> Command {
    let from = Path::new(env!("CARGO_BIN_EXE_berth")).parent().unwrap();
    let program = to.join("berth");
    if !program.exists() {
        let packages = Path::new("berth-packages");
        let artifacts = packages.join("artifacts");
        for directory in [packages, &artifacts] {
            std::fs::create_dir_all(to.join(directory)).unwrap();
            for entry in std::fs::read_dir(from.join(directory)).unwrap() {
                let entry = entry.unwrap();
                if entry.path().is_file() {
                    let copy = to.join(directory).join(entry.file_name());
                    std::fs::copy(entry.path(), copy).unwrap();
                }
            }
        }
        std::fs::copy(from.join("berth"), &program).unwrap();
    }
    let mut command = Command::new(program);
    command.args(original.get_args()).env_remove("BERTH_LOG");
    command
}

/// The command line of a host on free ports.
pub fn command(data: &Path, extra: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command.arg("serve").arg("--data-dir").arg(data);
    for flag in ["--http", "--ssh", "--metrics"] {
        if !extra.iter().any(|given| given == flag) {
            command.args([flag, "127.0.0.1:0"]);
        }
    }
    command.args(extra);
    command.env_remove("BERTH_LOG");
    command.env_remove("BERTH_FAILPOINTS");
    command
}

/// What the process says, and where it says it again.
fn read_ready(child: &mut Child, log: &Path) -> (Value, mpsc::Receiver<Value>) {
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let ready = |line: &str| {
        let json = line.trim_end().strip_prefix("berth ready ")?;
        serde_json::from_str(json).ok()
    };
    let Some(first) = ready(&line) else {
        let status = child.wait();
        panic!("no ready line but {line:?}, {status:?}\n{}", tail(log));
    };
    let (sender, again) = mpsc::channel();
    // Whatever else is printed must not fill the pipe.
    std::thread::spawn(move || {
        let mut rest = String::new();
        while lines.read_line(&mut rest).is_ok_and(|read| read > 0) {
            if let Some(next) = ready(&rest) {
                let _ = sender.send(next);
            }
            rest.clear();
        }
    });
    (first, again)
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
