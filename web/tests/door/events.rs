//! The stream of an account's nodes as they change.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Host, PATIENCE};

/// Streams that one account may have.
const MOST: usize = 16;

/// One that is open.
pub struct Events {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Events {
    /// Opens the one about nodes, or gives what was answered in its place.
    async fn open(host: &Host, token: &str) -> Result<Self, String> {
        Self::of(host, token, "/events", "").await
    }

    /// Opens any, with more lines in the head.
    pub async fn of(host: &Host, token: &str, path: &str, more: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(host.address).await.unwrap();
        let request = format!(
            "GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self {
            stream,
            read: Vec::new(),
        };
        let head = events.until("\r\n\r\n").await.unwrap();
        if head.starts_with("HTTP/1.1 200") {
            assert!(head.contains("content-type: text/event-stream"), "{head}");
            assert!(head.contains("cache-control: no-"), "{head}");
            return Ok(events);
        }
        Err(head)
    }

    /// What comes before the next `end`; `None` if the stream ends first.
    pub async fn until(&mut self, end: &str) -> Option<String> {
        let reading = async {
            loop {
                let found = self.read.windows(end.len());
                if let Some(at) = found.into_iter().position(|part| part == end.as_bytes()) {
                    let rest = self.read.split_off(at + end.len());
                    let read = std::mem::replace(&mut self.read, rest);
                    return Some(String::from_utf8(read).unwrap());
                }
                if self.stream.read_buf(&mut self.read).await.unwrap() == 0 {
                    return None;
                }
            }
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        read.expect("an event or the end")
    }

    /// What was read and not asked for.
    pub fn left(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// The next event's list, as label and status of each node.
    async fn next(&mut self) -> Option<Vec<String>> {
        let event = self.until("\n\n").await?;
        let lines: Vec<&str> = event.lines().collect();
        assert!(lines.contains(&"event: nodes"), "{event}");
        let data = lines.iter().find_map(|line| line.strip_prefix("data: "));
        let list: Value = serde_json::from_str(data.unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let item = |node: &Value| format!("{} {}", text(&node["label"]), text(&node["status"]));
        Some(list["items"].as_array().unwrap().iter().map(item).collect())
    }

    /// Reads until the list is this one.
    async fn until_list(&mut self, list: &[&str]) {
        while self.next().await.expect("no end before it") != list {}
    }
}

#[tokio::test]
async fn nodes_are_told_at_once_and_as_they_change_and_to_nobody_else() {
    let host = Host::start().await;
    let ann = host.sign_up("ann@example.org").await;
    let eve = host.sign_up("eve@example.org").await;
    let mut hers = Events::open(&host, &ann).await.ok().unwrap();
    let mut eves = Events::open(&host, &eve).await.ok().unwrap();
    assert_eq!(hers.next().await.unwrap(), Vec::<String>::new());
    assert_eq!(eves.next().await.unwrap(), Vec::<String>::new());
    host.make_node(&ann, "alice").await;
    hers.until_list(&["alice active"]).await;
    host.api("POST", "/nodes/alice/stop", &ann, None).await;
    hers.until_list(&["alice stopped"]).await;
    // Eve's next event is about her own node: none came of another's.
    let input = json!({"label": "eve", "password": "node password"});
    host.api("POST", "/nodes", &eve, Some(input)).await;
    let next = eves.next().await.unwrap();
    assert!(next.len() == 1 && next[0].starts_with("eve "), "{next:?}");
}

#[tokio::test]
async fn an_account_has_so_many_streams() {
    let host = Host::start().await;
    let ann = host.sign_up("ann@example.org").await;
    let eve = host.sign_up("eve@example.org").await;
    let mut open = Vec::new();
    for _ in 0..MOST {
        open.push(Events::open(&host, &ann).await.ok().unwrap());
    }
    let refused = host.api("GET", "/events", &ann, None).await;
    assert!(refused.problem(429).contains("Close a window"));
    Events::open(&host, &eve).await.ok().unwrap();
    // One that was closed makes room, as soon as that is noticed.
    open.pop();
    let again = async {
        while Events::open(&host, &ann).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let opened = tokio::time::timeout(PATIENCE, again).await;
    opened.expect("room for another");
    for mut events in open {
        assert_eq!(events.next().await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_host_and_needs_a_session() {
    let host = Host::start().await;
    let ann = host.sign_up("ann@example.org").await;
    let refused = host.api("GET", "/events", "berth_nobody", None).await;
    refused.problem(401);
    let mut events = Events::open(&host, &ann).await.ok().unwrap();
    events.next().await.unwrap();
    host.manager.shutdown(PATIENCE).await;
    // Its last chunk, and not merely the end of the connection.
    assert!(events.until("\r\n0\r\n\r\n").await.is_some());
}
