//! Finds out which HTTP a new connection speaks, by its first bytes.
//!
//! HTTP/2 begins with words that no other request does. Whatever ends TLS
//! before this host speaks it unasked if so configured; `Upgrade: h2c` is not
//! answered. Invariant: what was read is handed on whole, so neither parser
//! knows that somebody looked. Stops with the connection.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::CancellationToken;

use super::deadlines::{CLOSING_DEADLINE, HEAD_DEADLINE};

/// What a client of HTTP/2 sends first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes asked of the socket at once.
const READ: usize = 4096;

/// How a connection began.
#[derive(Debug)]
pub(super) enum Begun {
    /// As HTTP/1 or as something that its parser will refuse.
    Http1(BytesMut),
    /// As HTTP/2; the preface is among the bytes.
    Http2(BytesMut),
    /// Not at all: it ended, or said nothing for too long.
    Silent,
}

/// Reads until it is known which HTTP `io` speaks, or the time for that is
/// over: less of it once the door is `closing`.
///
/// # Cancel-Safety
/// What was read is lost.
pub(super) async fn read<I: AsyncRead + Unpin>(io: &mut I, closing: &CancellationToken) -> Begun {
    let mut read = BytesMut::with_capacity(READ);
    let late = tokio::time::sleep(HEAD_DEADLINE);
    let closed = async {
        closing.cancelled().await;
        tokio::time::sleep(CLOSING_DEADLINE).await;
    };
    tokio::pin!(late, closed);
    loop {
        if read.starts_with(PREFACE) {
            return Begun::Http2(read);
        }
        if !PREFACE.starts_with(&read) {
            return Begun::Http1(read);
        }
        let more = tokio::select! {
            biased;
            more = io.read_buf(&mut read) => matches!(more, Ok(1..)),
            () = &mut late => false,
            () = &mut closed => false,
        };
        if !more {
            // Half a preface is no request; the parser of HTTP/1 says so.
            return if read.is_empty() {
                Begun::Silent
            } else {
                Begun::Http1(read)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    use super::*;

    async fn begins(pieces: &[&[u8]]) -> (Begun, DuplexStream) {
        let (mut client, mut server) = tokio::io::duplex(1 << 16);
        let closing = CancellationToken::new();
        let writing = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (begun, ()) = tokio::join!(read(&mut server, &closing), writing);
        (begun, client)
    }

    #[tokio::test(start_paused = true)]
    async fn two_protocols_are_told_apart_however_the_bytes_arrive() {
        let (begun, _client) = begins(&[PREFACE, b"more"]).await;
        assert!(matches!(begun, Begun::Http2(read) if read.starts_with(PREFACE)));
        let single: Vec<&[u8]> = PREFACE.chunks(1).collect();
        let (begun, _client) = begins(&single).await;
        assert!(matches!(begun, Begun::Http2(read) if read == PREFACE));
        for request in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"POST / HTTP/1.1\r\n",
            b"PRIVATE / HTTP/1.1\r\n",
            b"PRI * HTTP/2.0\r\n\r\nXX",
            b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\r\n",
            b"\x16\x03\x01",
        ] {
            let (begun, _client) = begins(&[request]).await;
            let shown = String::from_utf8_lossy(request).into_owned();
            assert!(
                matches!(begun, Begun::Http1(read) if read == request),
                "{shown:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let begin = Instant::now();
        assert!(matches!(begins(&[]).await.0, Begun::Silent));
        assert!((HEAD_DEADLINE..2 * HEAD_DEADLINE).contains(&begin.elapsed()));
        let (begun, _client) = begins(&[b"PRI * HTTP"]).await;
        assert!(matches!(begun, Begun::Http1(read) if read == b"PRI * HTTP"[..]));

        let (_client, mut server) = tokio::io::duplex(16);
        let closing = CancellationToken::new();
        closing.cancel();
        let begin = Instant::now();
        assert!(matches!(read(&mut server, &closing).await, Begun::Silent));
        assert!(begin.elapsed() < HEAD_DEADLINE);

        let (client, mut server) = tokio::io::duplex(16);
        drop(client);
        assert!(matches!(read(&mut server, &closing).await, Begun::Silent));
    }
}
