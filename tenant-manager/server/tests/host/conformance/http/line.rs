//! A browser's or a program's end of a WebSocket, which fails with words.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::header::HeaderValue;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::site::{By, Site};

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(15);
/// What the host pings with by itself.
const KEEP_ALIVE: &[u8] = b"keep-alive";

/// An open WebSocket.
pub struct Line(WebSocketStream<TcpStream>);

impl Line {
    /// Opens one that must open.
    pub async fn open(site: &Site, by: By, path: &str) -> Result<Self, String> {
        let opened = Self::try_open(site, by, path, &[]).await?;
        opened.map_err(|status| format!("{path}: refused with {status}"))
    }

    /// Opens one; the status of a refusal.
    pub async fn try_open(
        site: &Site,
        by: By,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Result<Self, u16>, String> {
        let text = |error: &dyn std::fmt::Display| format!("{path}: {error}");
        let mut request = format!("ws://{}{path}", site.authority(by))
            .into_client_request()
            .map_err(|error| text(&error))?;
        let cookie = site.cookie(by).map(|cookie| ("cookie", cookie));
        for (name, value) in headers.iter().copied().chain(cookie) {
            let value = value.parse::<HeaderValue>();
            let value = value.map_err(|_| format!("{name} is no header"))?;
            request.headers_mut().insert(name, value);
        }
        let stream = TcpStream::connect(site.address(by)).await;
        let stream = stream.map_err(|error| text(&error))?;
        let opening = tokio::time::timeout(PATIENCE, client_async(request, stream));
        match opening.await {
            Ok(Ok((socket, _))) => Ok(Ok(Self(socket))),
            Ok(Err(Error::Http(answer))) => Ok(Err(answer.status().as_u16())),
            Ok(Err(error)) => Err(text(&error)),
            Err(_) => Err(format!("{path}: no answer to an upgrade")),
        }
    }

    pub async fn send(&mut self, message: Message) -> Result<(), String> {
        self.0
            .send(message)
            .await
            .map_err(|error| error.to_string())
    }

    /// The next message.
    pub async fn next(&mut self) -> Result<Message, String> {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Ping(bytes))) if *bytes == *KEEP_ALIVE => {}
                    Some(Ok(message)) => return Ok(message),
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("the socket ended".to_owned()),
                }
            }
        };
        let next = tokio::time::timeout(PATIENCE, next).await;
        next.unwrap_or_else(|_| Err("nothing came".to_owned()))
    }

    /// Whether the next message is this one.
    pub async fn hears(&mut self, wanted: Message) -> Result<(), String> {
        let got = self.next().await?;
        if got == wanted {
            Ok(())
        } else {
            Err(format!("{got:?} where {wanted:?} was expected"))
        }
    }

    /// Whether it is closed next, with this code.
    pub async fn is_closed(&mut self, code: u16) -> Result<(), String> {
        match self.next().await? {
            Message::Close(Some(close)) if u16::from(close.code) == code => Ok(()),
            other => Err(format!("{other:?} where close code {code} was expected")),
        }
    }
}
