//! A client of HTTP/2 that sends exactly the frames it is told to.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Host, PATIENCE};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Length, kind, flags and stream.
const FRAME_HEAD: usize = 9;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This status.
    Answered(u16),
    /// The stream was reset.
    Reset,
    /// The connection ended, or is about to.
    Closed,
}

/// One connection.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    /// Connects, and says that this is HTTP/2.
    pub async fn open(host: &Host) -> Self {
        let stream = TcpStream::connect(host.address).await.unwrap();
        let read = Vec::new();
        let mut wire = Self { stream, read };
        wire.stream.write_all(PREFACE).await.unwrap();
        wire.send(SETTINGS, 0, 0, &[]).await;
        wire
    }

    /// Sends one frame; a server that has enough may not take it.
    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.stream.write_all(&frame).await;
    }

    /// Sends the head of a request, which may be its end.
    pub async fn ask(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) {
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.send(HEADERS, flags, stream, &block(fields)).await;
    }

    /// Sends the body, which is the end of the request.
    pub async fn body(&mut self, stream: u32, bytes: &[u8]) {
        self.send(DATA, END_STREAM, stream, bytes).await;
    }

    /// Gives a request up.
    pub async fn reset(&mut self, stream: u32) {
        self.send(RESET, 0, stream, &8_u32.to_be_bytes()).await;
    }

    /// The next frame's kind, stream and payload; `None` at the end.
    async fn next(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        loop {
            if let Some((head, rest)) = self.read.split_at_checked(FRAME_HEAD) {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                if let Some(payload) = rest.get(..length) {
                    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    let frame = (head[3], stream, payload.to_vec());
                    self.read.drain(..FRAME_HEAD + length);
                    return Some(frame);
                }
            }
            if !matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// What becomes of the request on `stream`.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        let reading = async {
            loop {
                match self.next().await {
                    None | Some((GO_AWAY, ..)) => return Outcome::Closed,
                    Some((RESET, of, _)) if of == stream => return Outcome::Reset,
                    Some((HEADERS, of, block)) if of == stream => {
                        return Outcome::Answered(status(&block));
                    }
                    Some(_) => {}
                }
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, reading).await;
        outcome.expect("an answer or an end")
    }

    /// Waits until the server has ended the connection.
    pub async fn end(&mut self) {
        let reading = async { while self.next().await.is_some() {} };
        let ended = tokio::time::timeout(PATIENCE, reading).await;
        ended.expect("an end");
    }
}

/// Fields that are neither compressed nor remembered.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A number of which 7 bits go into the first byte.
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        block.push(u8::try_from(length).unwrap());
        return;
    };
    block.push(127);
    while rest >= 128 {
        block.push(0x80 | u8::try_from(rest % 128).unwrap());
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// The status, which is a block's first field.
fn status(block: &[u8]) -> u16 {
    match block {
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8a, ..] => 206,
        [0x8b, ..] => 304,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        // Named by the table; its value is spelled.
        [_, length, rest @ ..] => {
            let text = &rest[..usize::from(*length & 0x7f)];
            let digits = if length & 0x80 == 0 {
                String::from_utf8(text.to_vec()).unwrap()
            } else {
                digits(text)
            };
            digits.parse().unwrap()
        }
        _ => panic!("no status in {block:?}"),
    }
}

/// Three digits in the code that makes them short: the first three have 5 bits,
/// the others 6.
fn digits(code: &[u8]) -> String {
    let bits: String = code.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut rest = bits.as_str();
    let mut digits = String::new();
    while digits.len() < 3 {
        let short = u32::from_str_radix(&rest[..5], 2).unwrap();
        let (digit, length) = if short < 3 {
            (short, 5)
        } else {
            (
                u32::from_str_radix(&rest[..6], 2).unwrap() - 0b01_1001 + 3,
                6,
            )
        };
        digits.push_str(&digit.to_string());
        rest = &rest[length..];
    }
    digits
}
