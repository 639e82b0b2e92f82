//! From a request for a WebSocket to an open one.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    AUTHORIZATION, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
};
use http::{HeaderMap, Uri};
use lifecycle::TaskKind;
use node_egress::Wish;
use node_types::{KernelMessage, ProcessId};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use url::Url;

use super::Registered;
use crate::http_client::HttpClient;
use crate::http_client::action::{Failure, Headers};
use crate::http_client::outgoing::{address, headers, host};
use crate::http_client::request::{time_for, told};
use crate::websocket::{self, End, Io, Metered, Part};

/// How long a server may take to agree, once there is a connection.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// What the handshake itself is about.
static OF_HANDSHAKE: [HeaderName; 4] = [
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
];

/// What a process asks for.
#[derive(Debug)]
pub(in super::super) struct Wanted {
    pub(in super::super) url: String,
    pub(in super::super) headers: Headers,
    pub(in super::super) channel: u32,
}

/// The same, as it can be asked of a server.
struct Request {
    url: Url,
    uri: Uri,
    headers: HeaderMap,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Egress(#[from] node_egress::EgressError),
    #[error(transparent)]
    Handshake(#[from] Error),
    #[error("the server did not answer in time")]
    TimedOut,
    #[error("it was closed meanwhile")]
    Closed,
    #[error("the node or the process has too many WebSockets")]
    TooMany,
}

impl Request {
    fn new(wanted: &Wanted) -> Result<Self, Failure> {
        let bad_url = || Failure::Url(wanted.url.clone());
        let (url, uri, login) = address(&wanted.url, &["ws", "wss"]).ok_or_else(bad_url)?;
        let mut headers = headers(&wanted.headers)?;
        for name in &OF_HANDSHAKE {
            headers.remove(name);
        }
        if let Some(login) = login {
            headers.entry(AUTHORIZATION).or_insert(login);
        }
        Ok(Self { url, uri, headers })
    }

    /// Where it goes. The rest of a URL may be secret.
    fn place(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}://{host}:{port}", self.url.scheme())
    }
}

impl HttpClient {
    /// Opens a socket, in a task that then serves it.
    pub(in super::super) fn open(self: &Arc<Self>, message: KernelMessage, wanted: Wanted) {
        let request = match Request::new(&wanted) {
            Ok(request) => request,
            Err(failure) => return self.fail(&message, &failure),
        };
        let place = request.place();
        let owner = &message.source.process;
        let Some(registered) = self.sockets.register(owner, wanted.channel) else {
            return self.not_opened(&message, wanted.url, &place, &OpenError::TooMany);
        };
        let client = self.clone();
        let opening = async move {
            let opened = client.opened(&message, request, registered).await;
            match opened {
                Ok((socket, registered)) => {
                    // Nobody needs these while it is open, and that may be long.
                    drop((wanted.url, place));
                    client.serve_socket(message, socket, registered).await;
                }
                Err(Some(error)) => client.not_opened(&message, wanted.url, &place, &error),
                Err(None) => {}
            }
        };
        self.tasks
            .spawn(TaskKind::graceful("websocket to a server"), opening);
    }

    /// Waits for a socket; an error of nothing is nobody's business any more.
    async fn opened(
        &self,
        message: &KernelMessage,
        request: Request,
        mut registered: Registered,
    ) -> Result<(Io, Registered), Option<OpenError>> {
        let deadline = Instant::now() + time_for(message);
        let (process, meter) = (
            registered.entry.key.0.clone(),
            registered.line.undelivered.clone(),
        );
        // Boxed: resolving and TLS are large, and soon over.
        let dialing = Box::pin(self.dial(request, process, meter));
        let socket = tokio::select! {
            biased;
            () = self.tasks.token().cancelled() => return Err(None),
            end = registered.line.end.next() => match end {
                Some(End::ProcessGone) | None => return Err(None),
                Some(_) => Err(OpenError::Closed),
            },
            dialed = timeout_at(deadline, dialing) => dialed.unwrap_or(Err(OpenError::TimedOut)),
        };
        let socket = socket.map_err(Some)?;
        // The answer of the server counts no more.
        registered.line.undelivered.give_back(u64::MAX);
        Ok((socket, registered))
    }

    async fn dial(
        &self,
        request: Request,
        process: ProcessId,
        meter: Arc<Part>,
    ) -> Result<Io, OpenError> {
        let Request { url, uri, headers } = request;
        let tls = url.scheme() == "wss";
        let wish = Wish {
            process,
            scheme: if tls { "wss" } else { "ws" },
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
            tls,
            // The handshake is one of HTTP/1.
            alpn: if tls {
                vec![b"http/1.1".to_vec()]
            } else {
                Vec::new()
            },
        };
        let mut asked = uri.into_client_request()?;
        if let Ok(host) = HeaderValue::try_from(host(&url)) {
            asked.headers_mut().insert(HOST, host);
        }
        asked.headers_mut().extend(headers);
        let connection = self.pool.connect(&wish).await?;
        let config = websocket::config(self.sockets.max_message);
        let metered = Metered {
            io: Box::new(connection),
            meter,
        };
        let handshake = client_async_with_config(asked, metered, Some(config));
        let shaken = timeout(HANDSHAKE_TIME, handshake).await;
        let (socket, _) = shaken.map_err(|_| OpenError::TimedOut)??;
        Ok(socket)
    }

    /// Answers that there is no socket. Processes are told where only, so the
    /// reason is printed for whoever looks for it.
    fn not_opened(&self, message: &KernelMessage, url: String, place: &str, error: &OpenError) {
        let owner = &message.source.process;
        let text = format!(
            "http-client: {owner}: no WebSocket at {place}: {}",
            told(error)
        );
        self.port.print(&self.address.process, 1, &text);
        self.fail(message, &Failure::Open(url));
    }
}
