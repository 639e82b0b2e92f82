//! A server outside, which says what was asked of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

/// A plain HTTP server on loopback; it ends with the test's process.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Origin {
    /// Starts one.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(&stream));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// A URL at it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Connections that it got.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// One request, one answer, and the end.
fn serve(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    if !reader.read_line(&mut first).is_ok_and(|read| read > 0) {
        return;
    }
    let mut words = first.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    let mut length = 0;
    let mut greeting = String::new();
    loop {
        let mut line = String::new();
        if !reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "x-greeting" => value.trim().clone_into(&mut greeting),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let told = json!({
        "method": method,
        "path": path,
        "greeting": greeting,
        "body": String::from_utf8_lossy(&body),
    });
    let (status, more) = match path.as_str() {
        "/gone" => ("410 Gone", ""),
        "/moved" => ("302 Found", "Location: /arrived?by=redirect\r\n"),
        _ => ("200 OK", ""),
    };
    let told = if method == "HEAD" {
        String::new()
    } else {
        told.to_string()
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}X-Answered: yes\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{told}",
        told.len()
    );
    let mut stream = stream;
    // Whoever asked may be gone.
    let _ = stream.write_all(answer.as_bytes());
}
