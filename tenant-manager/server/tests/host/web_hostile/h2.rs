//! As much HTTP/2 as it takes to ask one thing by prior knowledge, badly if a
//! test likes: names and values go out as they are given.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the rest of one is.
const PAGE: Duration = Duration::from_secs(2);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Kinds of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// Flags of frames.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// The one stream.
const STREAM: u32 = 1;
/// Statuses of the static table, from its index 8 on.
const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];

/// What comes back.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Asks once; none if the stream or the connection was ended instead of
/// answered.
pub fn ask(address: &str, fields: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut block = Vec::new();
    for (name, value) in fields {
        // A literal that is not to be remembered, with a new name.
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    let mut request = PREFACE.to_vec();
    request.extend(frame(SETTINGS, 0, 0, &[]));
    // Who asks for a WebSocket goes on.
    let is_socket = fields.iter().any(|(name, _)| *name == ":protocol");
    let end = if body.is_empty() && !is_socket {
        END_STREAM
    } else {
        0
    };
    request.extend(frame(HEADERS, END_HEADERS | end, STREAM, &block));
    if !body.is_empty() {
        request.extend(frame(DATA, END_STREAM, STREAM, body));
    }
    stream.write_all(&request).ok()?;
    answer(&mut stream)
}

fn answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut answer = Answer::default();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            // What is open for good has no end.
            return (answer.status != 0).then_some(answer);
        }
        if head.starts_with(b"HTTP/1.1 ") {
            let mut code = [0; 3];
            stream.read_exact(&mut code).ok()?;
            answer.status = std::str::from_utf8(&code).ok()?.parse().ok()?;
            return Some(answer);
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).ok()?;
        let ends = head[4] & END_STREAM != 0;
        match head[3] {
            HEADERS => {
                if answer.status == 0 {
                    answer.status = decode(&payload)?;
                }
                if ends || answer.status != 200 {
                    return Some(answer);
                }
                stream.set_read_timeout(Some(PAGE)).ok()?;
            }
            DATA => {
                answer.body.extend(payload);
                if ends {
                    return Some(answer);
                }
            }
            RESET | GOAWAY if answer.status == 0 => return None,
            RESET | GOAWAY => return Some(answer),
            SETTINGS if head[4] & ACK == 0 => {
                stream.write_all(&frame(SETTINGS, ACK, 0, &[])).ok()?;
            }
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A string with its length before it, in seven bits or more.
fn text(block: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => block.push(length),
        _ => {
            block.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend(text.as_bytes());
}

/// The status, which is the first field of an answer.
fn decode(block: &[u8]) -> Option<u16> {
    // A table of another size may be announced before.
    let sizes = block.iter().take_while(|byte| *byte >> 5 == 1).count();
    match block.get(sizes..)? {
        [first, ..] if first & 0x80 != 0 => INDEXED
            .get(usize::from(first & 0x7f).checked_sub(8)?)
            .copied(),
        [0x48 | 0x08 | 0x18, length, value @ ..] => {
            let value = value.get(..usize::from(length & 0x7f))?;
            if length & 0x80 == 0 {
                std::str::from_utf8(value).ok()?.parse().ok()
            } else {
                Some(digits(value))
            }
        }
        other => panic!("an answer that begins with {other:x?}"),
    }
}

/// A number in Huffman's code, in which digits have five or six bits.
fn digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u16> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)))
        .collect();
    let read = |bits: &[u16]| bits.iter().fold(0, |all, bit| all << 1 | bit);
    let (mut number, mut left) = (0, &bits[..]);
    for _ in 0..3 {
        let short = read(&left[..5]);
        let (digit, length) = match short {
            0..=2 => (short, 5),
            _ => (read(&left[..6]) - 25 + 3, 6),
        };
        number = number * 10 + digit;
        left = &left[length..];
    }
    number
}

#[test]
fn statuses_are_read() {
    assert_eq!(decode(&[0x88]), Some(200));
    assert_eq!(decode(&[0x20, 0x8d]), Some(404));
    assert_eq!(decode(b"\x48\x03403"), Some(403));
    // 403 is 011010 00000 011001, and ones to the end; 421 is 011010 00010 00001.
    assert_eq!(decode(&[0x48, 0x83, 0x68, 0x0c, 0xff]), Some(403));
    assert_eq!(decode(&[0x08, 0x82, 0x68, 0x41]), Some(421));
}
