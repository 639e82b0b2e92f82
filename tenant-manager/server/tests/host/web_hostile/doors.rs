//! The RPC and the sockets of extensions from outside: whatever is said in
//! whatever spelling, nothing gets in. What shows it is the app behind: it was
//! told nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::sockets::Socket;
use super::super::support::{Kit, eventually, test_package};
use super::corpus::{CLAIMS, HOSTS, METHODS, PREAMBLES, spellings};
use super::h2::{self, Answer};
use super::{Bed, PATIENCE};

const COUNTER: &str = "counter:counter:tester.dev";
const SPY: &str = "spy:spy:tester.dev";
/// Counts one more, and tells so.
const RPC: &str =
    r#"{"process":"counter:counter:tester.dev","body":"\"Increment\"","expects_response":5}"#;
/// What makes a request one for a WebSocket.
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(20);
/// How long the rest of one is.
const PAGE: Duration = Duration::from_secs(2);

/// Sends these bytes; the first answer, none if there is none.
fn raw(address: &str, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER)).unwrap();
    stream.write_all(bytes).ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.contains(&b'\n') {
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => answer.extend(&buffer[..read]),
            _ => return None,
        }
    }
    let line = String::from_utf8_lossy(&answer).into_owned();
    let status = line.split(' ').nth(1)?.parse().ok()?;
    if status == 200 {
        // What it is tells whether it matters.
        stream.set_read_timeout(Some(PAGE)).unwrap();
        while let Ok(read) = stream.read(&mut buffer) {
            if read == 0 || is_login(&answer) {
                break;
            }
            answer.extend(&buffer[..read]);
        }
    }
    Some(Answer {
        status,
        body: answer,
    })
}

/// Whether a page asks for the password.
fn is_login(page: &[u8]) -> bool {
    page.windows(8).any(|part| part == b"password")
}

/// Whether an answer says that something was done. Of what nobody has bound,
/// some is the homepage's, which asks strangers for the password.
fn is_let_in(answer: Option<&Answer>) -> bool {
    answer.is_some_and(|answer| {
        (100..300).contains(&answer.status) && !(answer.status == 200 && is_login(&answer.body))
    })
}

/// A door of a node, and requests for something that is behind it.
struct Door {
    address: String,
    /// The node's host and port.
    authority: String,
    /// First segment and the rest of what is asked for.
    path: (&'static str, &'static str),
    method: &'static str,
    /// Lines that make it such a request.
    headers: String,
    body: &'static str,
}

impl Door {
    fn target(&self) -> String {
        format!("/{}/{}", self.path.0, self.path.1)
    }

    fn request(&self, method: &str, target: &str, host: &str, more: &str) -> Vec<u8> {
        let Self { headers, body, .. } = self;
        let more = more.replace("PATH", &self.target());
        let more = more.replace("HOST", &self.authority);
        let more = if more.is_empty() { more } else { more + "\r\n" };
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}{more}\r\n{body}")
            .into_bytes()
    }

    /// Everything that is tried in HTTP/1, by what is special about it.
    fn attempts(&self) -> Vec<(String, Vec<u8>)> {
        let (own, target, method) = (&self.authority, &self.target(), self.method);
        let mut all = Vec::new();
        for spelling in spellings(self.path.0, self.path.1, own) {
            let request = self.request(method, &spelling, own, "");
            all.push((spelling, request));
        }
        for claim in CLAIMS {
            let request = self.request(method, target, own, claim);
            all.push((claim.to_owned(), request));
        }
        for host in HOSTS {
            all.push((host.to_owned(), self.request(method, target, host, "")));
            // The request line has the word where it names a host.
            let absolute = format!("http://{own}{target}");
            all.push((
                format!("{host}, {absolute}"),
                self.request(method, &absolute, host, ""),
            ));
        }
        for method in METHODS {
            all.push((method.to_owned(), self.request(method, target, own, "")));
        }
        for preamble in PREAMBLES {
            let request = self.request(method, target, own, "");
            all.push((format!("{preamble:?}"), [preamble, &request[..]].concat()));
        }
        for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "http/1.1"] {
            let request = self.request(method, target, own, "");
            let request = String::from_utf8(request).unwrap();
            let request = request.replacen("HTTP/1.1", version, 1);
            all.push((version.to_owned(), request.into_bytes()));
        }
        let upgraded = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA";
        all.push((
            "h2c".to_owned(),
            self.request(method, target, own, upgraded),
        ));
        all
    }

    /// Which of them came through, and how many were tried.
    fn try_all(&self) -> (Vec<String>, usize) {
        let attempts = self.attempts();
        let mut let_in = Vec::new();
        for (what, request) in &attempts {
            let answer = raw(&self.address, request);
            if is_let_in(answer.as_ref()) {
                let_in.push(format!("{what}: {answer:?}"));
            }
        }
        let newer = self.attempts_by_h2();
        for (what, answer) in &newer {
            if is_let_in(answer.as_ref()) {
                let_in.push(format!("HTTP/2 {what}: {answer:?}"));
            }
        }
        (let_in, attempts.len() + newer.len())
    }

    fn attempts_by_h2(&self) -> Vec<(String, Option<Answer>)> {
        let (own, target) = (&self.authority, &self.target());
        // A WebSocket begins otherwise in HTTP/2.
        let socket = self.body.is_empty();
        let method = if socket { "CONNECT" } else { "POST" };
        let ask = |path: &str, authority: &str, more: &[(&str, &str)]| {
            let mut fields = vec![
                (":method", method),
                (":scheme", "http"),
                (":authority", authority),
                (":path", path),
            ];
            if socket {
                fields.push((":protocol", "websocket"));
                fields.push(("sec-websocket-version", "13"));
            }
            fields.extend(more);
            h2::ask(&self.address, &fields, self.body.as_bytes())
        };
        let mut all = Vec::new();
        for spelling in spellings(self.path.0, self.path.1, own) {
            let answer = ask(&spelling, own, &[]);
            all.push((spelling, answer));
        }
        for claim in CLAIMS {
            let claim = claim.replace("PATH", target).replace("HOST", own);
            let lines = claim.lines().filter_map(|line| line.split_once(':'));
            let lines: Vec<(String, String)> = lines
                .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
                .collect();
            let lines: Vec<(&str, &str)> = lines
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            all.push((claim.clone(), ask(target, own, &lines)));
        }
        for host in HOSTS {
            all.push((host.to_owned(), ask(target, host, &[])));
            all.push((format!("host: {host}"), ask(target, own, &[("host", host)])));
        }
        for more in [
            (":path", target.as_str()),
            (":authority", "localhost"),
            (":method", "GET"),
            ("connection", "x-forwarded-for"),
            ("transfer-encoding", "chunked"),
        ] {
            all.push((format!("{more:?} too"), ask(target, own, &[more])));
        }
        all
    }
}

/// A node with an app that counts and one that does what it is told.
struct Home {
    bed: Bed,
    authority: String,
}

impl Home {
    async fn start() -> Self {
        let bed = Bed::start(&[]).await;
        for package in ["counter:tester.dev", "spy:tester.dev"] {
            bed.kit.install(&test_package(package)).await;
        }
        let port = bed.host.http().rsplit(':').next().unwrap().to_owned();
        let authority = format!("alice.localhost:{port}");
        eventually("the counter", PATIENCE, async || {
            (count(&bed.kit).await == Some(0)).then_some(())
        })
        .await;
        Self { bed, authority }
    }

    /// What the spy is told by the HTTP server.
    async fn spy(&self, action: &Value) -> Value {
        let send = json!({"Send": {
            "target": "alice.dev@http-server:distro:sys",
            "body": action.to_string(),
        }});
        let told = self.bed.kit.inject(SPY, &send.to_string()).await;
        serde_json::from_str(&told.body).unwrap()
    }

    /// Tries everything at a door; nothing may come through.
    async fn besiege(&self, door: Door) {
        let tried = tokio::task::spawn_blocking(move || door.try_all());
        let (let_in, tried) = tried.await.unwrap();
        println!("{tried} requests");
        assert!(let_in.is_empty(), "these came through: {let_in:#?}");
        // HTTP/2 was not refused as such.
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", self.authority.as_str()),
            (":path", "/our"),
        ];
        let answer = h2::ask(&self.bed.host.http(), &fields, b"");
        let status = answer.map(|answer| answer.status);
        assert_eq!(status, Some(200), "HTTP/2 by prior knowledge");
    }
}

async fn count(kit: &Kit) -> Option<u64> {
    let told = kit.inject(COUNTER, "\"Get\"").await;
    let told: Value = serde_json::from_str(&told.body).ok()?;
    told["count"].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rpc_hears_nobody_outside() {
    let home = Home::start().await;
    let door = Door {
        address: home.bed.host.http(),
        authority: home.authority.clone(),
        path: ("rpc:distro:sys", "message"),
        method: "POST",
        headers: format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            RPC.len()
        ),
        body: RPC,
    };
    // As plain as it gets it is refused for what it is.
    let address = door.address.clone();
    let plain = door.request("POST", &door.target(), &door.authority, "");
    let plain = tokio::task::spawn_blocking(move || raw(&address, &plain));
    assert_eq!(plain.await.unwrap().unwrap().status, 403);
    home.besiege(door).await;
    assert_eq!(count(&home.bed.kit).await, Some(0), "something was heard");
    // Through the tunnel the same request counts.
    let told = home.bed.kit.inject(COUNTER, "\"Increment\"").await;
    assert_eq!(told.body, r#"{"count":1}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extensions_socket_opens_to_nobody_outside() {
    let home = Home::start().await;
    let bind = json!({"WebSocketBind": {
        "path": "/ext", "authenticated": false, "encrypted": false, "extension": true,
    }});
    let bound = home.spy(&bind).await;
    assert!(bound["ok"].is_string(), "{bound}");
    let bind = json!({"Bind": {
        "path": "/local", "authenticated": false, "local_only": true, "cache": false,
    }});
    let bound = home.spy(&bind).await;
    assert!(bound["ok"].is_string(), "{bound}");
    let door = Door {
        address: home.bed.host.http(),
        authority: home.authority.clone(),
        path: (SPY, "ext"),
        method: "GET",
        headers: UPGRADE.to_owned(),
        body: "",
    };
    home.besiege(door).await;
    // The owner, signed in, is outside too.
    let owner = super::super::support::Visitor::owner(&home.bed.host, &home.bed.api, "alice").await;
    let cookie = [("cookie", owner.cookie().unwrap())];
    let path = format!("/{SPY}/ext");
    let http = home.bed.host.http();
    let opened = Socket::open(&http, &home.authority, &path, &cookie).await;
    assert!(opened.is_err());
    let local = format!("/{SPY}/local");
    let (status, _) = home.bed.api.node_get("alice.localhost", &local).await;
    assert_eq!(status.as_u16(), 403);
    // Through the tunnel it opens.
    let tunnel = format!("127.0.0.1:{}", home.bed.port());
    let authority = format!("localhost:{}", home.bed.port());
    let opened = Socket::open(&tunnel, &authority, &path, &[]).await;
    assert!(opened.is_ok(), "{:?}", opened.err());
}
