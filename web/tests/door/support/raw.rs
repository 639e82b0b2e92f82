//! A client that sends exactly the bytes it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing here takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One answer as it was on the wire.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The only value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let first = values.next();
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        first.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Checks that this is a complete problem document and gives its detail.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?} {}", self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let json = self.json();
        assert_eq!(json["status"], status);
        for key in ["type", "title", "detail"] {
            assert!(
                json[key].as_str().is_some_and(|text| text.len() > 3),
                "{json}"
            );
        }
        assert_eq!(json.as_object().unwrap().len(), 4, "{json}");
        assert_eq!(
            self.header("retry-after").is_some(),
            matches!(status, 429 | 503)
        );
        assert_eq!(self.header("www-authenticate").is_some(), status == 401);
        json["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends `bytes` and reads until the server closes.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may refuse before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    let answered = tokio::time::timeout(PATIENCE, talk).await;
    answered.unwrap_or_else(|_| panic!("no end to {:?}", String::from_utf8_lossy(bytes)))
}

/// Every answer in `wire`, which must be nothing else.
pub fn answers(mut wire: &[u8]) -> Vec<Answer> {
    let mut all = Vec::new();
    while !wire.is_empty() {
        let (answer, rest) = answer(wire);
        all.push(answer);
        wire = rest;
    }
    all
}

fn answer(wire: &[u8]) -> (Answer, &[u8]) {
    let shown = || String::from_utf8_lossy(wire).into_owned();
    let end = find(wire, b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {:?}", shown()));
    let head = std::str::from_utf8(&wire[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap();
    assert!(status_line.starts_with("HTTP/1."), "{:?}", shown());
    let status = status_line[9..12].parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let header = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let rest = &wire[end + 4..];
    let (body, rest) = if let Some(length) = header("content-length") {
        let (body, rest) = rest.split_at(length.parse().unwrap());
        (body.to_vec(), rest)
    } else if header("transfer-encoding").is_some() {
        unchunk(rest)
    } else if status == 204 {
        (Vec::new(), rest)
    } else {
        (rest.to_vec(), &rest[rest.len()..])
    };
    let answer = Answer {
        status,
        headers,
        body,
    };
    (answer, rest)
}

fn unchunk(mut wire: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let line = find(wire, b"\r\n").expect("a chunk size");
        let size = std::str::from_utf8(&wire[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        wire = &wire[line + 2..];
        body.extend_from_slice(&wire[..size]);
        assert_eq!(&wire[size..size + 2], b"\r\n");
        wire = &wire[size + 2..];
        if size == 0 {
            return (body, wire);
        }
    }
}

fn find(wire: &[u8], what: &[u8]) -> Option<usize> {
    wire.windows(what.len()).position(|window| window == what)
}
