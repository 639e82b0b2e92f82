//! nginx with its best settings, and loads by `wrk`: what a figure of ours is
//! held against (`make bench`).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::eventually;

/// How long each load runs.
const LOAD: &str = "4s";
/// Loads of each side.
const TURNS: usize = 3;

/// Some servers, which end when it is dropped.
pub struct Nginx {
    children: Vec<Child>,
    /// Where the last one listens.
    pub port: u16,
    _dir: tempfile::TempDir,
}

impl Nginx {
    /// Serves `bytes` at `/page`.
    pub async fn serving(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, server) = files(dir.path(), bytes);
        let children = vec![start(dir.path(), "back", &server)];
        Self::up(children, port, dir).await
    }

    /// The same behind another one.
    pub async fn before_itself(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (back, server) = files(dir.path(), bytes);
        let (port, proxy) = proxy(back);
        let children = vec![
            start(dir.path(), "back", &server),
            start(dir.path(), "front", &proxy),
        ];
        Self::up(children, port, dir).await
    }

    /// In front of whatever listens on `port`.
    pub async fn before(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, proxy) = proxy(port);
        let children = vec![start(dir.path(), "front", &proxy)];
        Self::up(children, port, dir).await
    }

    async fn up(children: Vec<Child>, port: u16, dir: tempfile::TempDir) -> Self {
        eventually("nginx", Duration::from_secs(10), async || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .await;
        Self {
            children,
            port,
            _dir: dir,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        for child in &mut self.children {
            let pid = child.id().to_string();
            let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
            let _ = child.wait();
        }
    }
}

/// A server of files, and its port.
fn files(dir: &Path, bytes: &[u8]) -> (u16, String) {
    std::fs::write(dir.join("page"), bytes).unwrap();
    let (port, root) = (super::ssh::free_port(), dir.display());
    let server = format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ root {root}; default_type text/html; }} }}"
    );
    (port, server)
}

/// A server that passes on to the port `back`, and its port.
fn proxy(back: u16) -> (u16, String) {
    let port = super::ssh::free_port();
    let server = format!(
        "upstream back {{ server 127.0.0.1:{back}; keepalive 64; }} server {{ \
         listen 127.0.0.1:{port}; location / {{ proxy_pass http://back; \
         proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}"
    );
    (port, server)
}

fn start(dir: &Path, name: &str, server: &str) -> Child {
    let prefix = dir.join(name);
    std::fs::create_dir(&prefix).unwrap();
    let config = prefix.join("nginx.conf");
    // As many workers as cores, no log, connections kept: its best side.
    let text = format!(
        "daemon off; user root; worker_processes auto; pid {prefix}/pid; error_log stderr crit; \
         events {{ worker_connections 1024; }} http {{ access_log off; sendfile on; \
         tcp_nopush on; keepalive_requests 10000000; client_body_temp_path {prefix}/body; \
         proxy_temp_path {prefix}/proxy; fastcgi_temp_path {prefix}/fastcgi; \
         uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi; {server} }}",
        prefix = prefix.display()
    );
    std::fs::write(&config, text).unwrap();
    Command::new("nginx")
        .arg("-p")
        .arg(&prefix)
        .arg("-c")
        .arg(&config)
        .stdin(Stdio::null())
        .spawn()
        .expect("nginx is installed by infra/setup bench")
}

/// Something that answers requests.
pub struct Page<'a> {
    /// Where.
    pub url: &'a str,
    /// What `Host` says.
    pub host: &'a str,
}

/// What wrk says of one load.
struct Load {
    p50: Duration,
    per_second: f64,
}

/// Runs wrk with `connections` against a page.
fn wrk(page: &Page<'_>, connections: u32) -> Load {
    let output = Command::new("wrk")
        .args(["-t1", "-d", LOAD, "--latency", "-H"])
        .arg(format!("Host: {}", page.host))
        .arg(format!("-c{connections}"))
        .arg(page.url)
        .output()
        .expect("wrk is installed by infra/setup bench");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    let after = |word: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(word));
        line.unwrap_or_else(|| panic!("no {word} in {text}")).trim()
    };
    Load {
        p50: duration(after("50%")),
        per_second: after("Requests/sec:").parse().unwrap(),
    }
}

/// `61.00us`, `1.20ms` or `2.00s`.
fn duration(text: &str) -> Duration {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap();
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        _ => 1.0,
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * scale)
}

/// Prints figures of our page beside those of `theirs`, called `name`, with
/// one client and with 32. The goals are of the ratios of the median and of
/// the requests a second.
pub fn compare(ours: &Page<'_>, theirs: &Page<'_>, name: &str, goals: (f64, f64)) {
    for connections in [1, 32] {
        // By turns, so that a drifting machine is fair to both.
        let pairs: Vec<(Load, Load)> = (0..TURNS)
            .map(|_| (wrk(ours, connections), wrk(theirs, connections)))
            .collect();
        let median = |value: fn(&(Load, Load)) -> f64| {
            let mut values: Vec<f64> = pairs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "  c={connections}: p50 {:.0} us against {:.0} us of {name}, {:.2}x (goal: at most \
             {}); {:.0} req/s against {:.0}, {:.2}x (goal: at least {})",
            median(|(own, _)| own.p50.as_secs_f64() * 1e6),
            median(|(_, other)| other.p50.as_secs_f64() * 1e6),
            median(|(own, other)| own.p50.as_secs_f64() / other.p50.as_secs_f64()),
            goals.0,
            median(|(own, _)| own.per_second),
            median(|(_, other)| other.per_second),
            median(|(own, other)| own.per_second / other.per_second),
            goals.1,
        );
    }
}
