//! The end of a connection, which tells the peer why if it can.
//!
//! Stateless; ends by itself within seconds.

use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Io;
use super::end::End;

/// How long a peer may take to answer a close, and to take our last words.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Closes a connection; `between_frames` says that nothing is half written.
pub(crate) async fn hang_up(
    mut sink: SplitSink<Io, Message>,
    mut stream: SplitStream<Io>,
    end: Option<End>,
    between_frames: bool,
) {
    if end == Some(End::TooMuch) {
        if let Ok(socket) = sink.reunite(stream) {
            let_go(socket, between_frames).await;
        }
        return;
    }
    if let Some(end) = end {
        let closing = async {
            sink.send(Message::Close(Some(end.frame()))).await?;
            // Until the peer has answered, or hung up.
            while let Some(Ok(_)) = stream.next().await {}
            Ok::<(), Error>(())
        };
        let _ = tokio::time::timeout(CLOSE_TIME, closing).await;
    }
    if let Ok(mut socket) = sink.reunite(stream) {
        // What we said last should arrive even if the peer still sends.
        let _ = tokio::time::timeout(CLOSE_TIME, socket.get_mut().shutdown()).await;
    }
}

/// Frees what was read before anything else is waited for: it counts no more.
async fn let_go(socket: Io, between_frames: bool) {
    let mut io = socket.into_inner();
    let mut last = Vec::new();
    if between_frames {
        // Writing to memory cannot fail.
        let _ = Frame::close(Some(End::TooMuch.frame())).format(&mut last);
    }
    let saying = async {
        io.write_all(&last).await?;
        io.shutdown().await
    };
    let _ = tokio::time::timeout(CLOSE_TIME, saying).await;
}
