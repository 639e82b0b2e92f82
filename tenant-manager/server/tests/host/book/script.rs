//! Python scripts beside these tests, run as the reader of the book runs its:
//! with the machine's own `python3` and nothing but its standard library.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a script may take to say its next line.
const PATIENCE: Duration = Duration::from_secs(60);

/// A script that runs; dropping it ends it.
pub struct Script {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Script {
    /// Starts the script `name` of the directory `python`.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/host/book/python");
        let mut command = Command::new("python3");
        // Nothing is compiled into the source tree.
        command
            .arg("-B")
            .arg(directory.join(name))
            .args(arguments)
            .env("PYTHONUNBUFFERED", "1");
        Self::run(command)
    }

    /// Starts a program whose lines are read.
    pub fn run(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    /// The next line that it says.
    pub fn line(&self) -> String {
        self.lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("the script says nothing: {error}"))
    }

    /// Has it go on, where it waits for that.
    pub fn go_on(&mut self) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(b"\n").unwrap();
        stdin.flush().unwrap();
    }

    /// Waits for its end, which must be a good one.
    pub fn finish(mut self) {
        drop(self.stdin.take());
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
