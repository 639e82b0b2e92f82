//! Figures of the way people take: from sign-up to the homepage, and static
//! pages of a node beside nginx serving the same bytes (`make bench`).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};

use super::bench::percentile;
use super::support::{Api, Host, eventually, json};

/// How long each load runs.
const LOAD: &str = "4s";

/// Opens the node as its owner does from the dashboard; the login cookie.
async fn open(api: &Api, label: &str) -> String {
    let link = json(api.act(&format!("/nodes/{label}/open")).await).await;
    let url: reqwest::Url = link["url"].as_str().unwrap().parse().unwrap();
    let host = url.host_str().unwrap().to_owned();
    let answer = api.node(Method::GET, &host, url.path(), "").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_from_sign_up_to_the_homepage() {
    let host = Host::start_with(&["--plan-nodes", "100"]);
    let mut times = Vec::new();
    for round in 0..20 {
        let begun = Instant::now();
        let api = host.api();
        let api = api.sign_up(&format!("user{round}@example.org")).await;
        let label = format!("node{round}");
        let body = serde_json::json!({"label": label, "password": "node password"});
        let made = api.post("/nodes", &body).await;
        assert_eq!(made.status(), StatusCode::ACCEPTED);
        let cookie = open(&api, &label).await;
        let page = api
            .node_with(
                Method::GET,
                &format!("{label}.localhost"),
                "/",
                &[("cookie", &cookie)],
            )
            .await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.text().await.unwrap().contains(&format!("{label}.dev")));
        times.push(begun.elapsed());
    }
    let (p50, p99) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
    println!(
        "sign-up to homepage 200, three password hashes included: p50 {p50:?}, p99 {p99:?} \
         (goal: p50 at most 500 ms)"
    );
}

/// nginx in front of nginx, on ports of its own; ends when dropped.
struct Nginx {
    children: [Child; 2],
    front: u16,
    _dir: tempfile::TempDir,
}

impl Nginx {
    /// Serves `bytes` at `/page`.
    async fn start(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("page"), bytes).unwrap();
        let [back, front] = free_ports();
        let root = dir.path().display();
        let backend = format!(
            "server {{ listen 127.0.0.1:{back}; location / {{ root {root}; default_type text/html; }} }}"
        );
        let frontend = format!(
            "upstream back {{ server 127.0.0.1:{back}; keepalive 64; }} server {{ \
             listen 127.0.0.1:{front}; location / {{ proxy_pass http://back; \
             proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}"
        );
        let children = [("back", backend), ("front", frontend)]
            .map(|(name, server)| start_nginx(dir.path(), name, &server));
        let address = format!("127.0.0.1:{front}");
        eventually("nginx", Duration::from_secs(10), async || {
            std::net::TcpStream::connect(&address).ok()
        })
        .await;
        Self {
            children,
            front,
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

fn free_ports() -> [u16; 2] {
    [(); 2].map(|()| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    })
}

fn start_nginx(dir: &Path, name: &str, server: &str) -> Child {
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

/// What wrk says of one load.
struct Load {
    p50: Duration,
    per_second: f64,
}

/// Runs wrk with `connections` against `url`.
fn wrk(url: &str, host: &str, connections: u32) -> Load {
    let output = Command::new("wrk")
        .args(["-t1", "-d", LOAD, "--latency", "-H"])
        .arg(format!("Host: {host}"))
        .arg(format!("-c{connections}"))
        .arg(url)
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_static_path_beside_nginx() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let (status, page) = api.node_get("alice.localhost", "/our.js").await;
    assert_eq!(status, StatusCode::OK);
    let nginx = Nginx::start(page.as_bytes()).await;
    let name = format!("alice.{}", host.http().replace("127.0.0.1", "localhost"));
    let ours = format!("http://{}/our.js", host.http());
    let theirs = format!("http://127.0.0.1:{}/page", nginx.front);
    println!("static path, {} bytes:", page.len());
    for connections in [1, 32] {
        // By turns, so that a drifting machine is fair to both.
        let mut pairs = Vec::new();
        for _ in 0..3 {
            let own = wrk(&ours, &name, connections);
            let other = wrk(&theirs, "localhost", connections);
            pairs.push((own, other));
        }
        let median = |value: fn(&(Load, Load)) -> f64| {
            let mut values: Vec<f64> = pairs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "  c={connections}: p50 {:.0} us against {:.0} us of nginx to nginx, {:.2}x (goal: at \
             most 1); {:.0} req/s against {:.0}, {:.2}x (goal: at least 1)",
            median(|(own, _)| own.p50.as_secs_f64() * 1e6),
            median(|(_, other)| other.p50.as_secs_f64() * 1e6),
            median(|(own, other)| own.p50.as_secs_f64() / other.p50.as_secs_f64()),
            median(|(own, _)| own.per_second),
            median(|(_, other)| other.per_second),
            median(|(own, other)| own.per_second / other.per_second),
        );
    }
}
