//! What requests are answered with.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::request::Request;

/// Most of what one answer has, before it is compressed.
const MAX_ANSWER: usize = 4 << 30;
/// Written at a time.
const PIECE: usize = 64 << 10;

/// A whole answer. What was asked with HEAD has the head only.
pub(super) fn whole(
    request: &Request,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    answer.push_str("\r\n");
    let mut answer = answer.into_bytes();
    if request.method != "HEAD" {
        answer.extend_from_slice(body);
    }
    answer
}

/// Answers that are written at once.
pub(super) fn answer(request: &Request, first: &str, second: &str, query: &str) -> Option<Vec<u8>> {
    let told = request.told().to_string().into_bytes();
    let is_json = ("Content-Type", "application/json");
    let number = || second.parse::<u16>().unwrap_or(500);
    Some(match first {
        "echo" => whole(request, 200, &[is_json], &told),
        "back" => {
            let kind = request.headers.get("content-type");
            let kind = kind.map_or("application/octet-stream", String::as_str);
            whole(request, 200, &[("Content-Type", kind)], &request.body)
        }
        "status" => whole(
            request,
            number(),
            &[("Content-Type", "text/plain")],
            format!("status {second}").as_bytes(),
        ),
        "headers" => whole(
            request,
            200,
            &[
                ("content-type", "text/plain"),
                ("x-lower-case", "lower"),
                ("X-UPPER-CASE", "upper"),
                ("x_under_score", "under"),
                ("x-twice", "first"),
                ("x-twice", "second"),
                ("x-empty", ""),
            ],
            b"headers",
        ),
        "redirect" => match number() {
            0 => whole(request, 200, &[is_json], &told),
            left => {
                let next = match left - 1 {
                    0 => "/echo".to_owned(),
                    left => format!("/redirect/{left}"),
                };
                whole(request, 302, &[("Location", &next)], b"")
            }
        },
        "moved" => whole(request, number(), &[("Location", query)], b""),
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&told).unwrap();
            let bytes = encoder.finish().unwrap();
            whole(
                request,
                200,
                &[is_json, ("Content-Encoding", "gzip")],
                &bytes,
            )
        }
        "deflate" => {
            let bytes = if query == "raw" {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&told).unwrap();
                encoder.finish().unwrap()
            } else {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&told).unwrap();
                encoder.finish().unwrap()
            };
            let encoding = ("Content-Encoding", "deflate");
            whole(request, 200, &[is_json, encoding], &bytes)
        }
        "bomb" => {
            let bytes = bomb(second.parse().unwrap_or(0));
            whole(request, 200, &[("Content-Encoding", "gzip")], &bytes)
        }
        "half" => {
            let mut answer = whole(request, 200, &[], &[b'x'; 1000]);
            answer.truncate(answer.len() - 900);
            answer
        }
        "garbage" => b"this is not HTTP\r\n\r\n".to_vec(),
        "close" => Vec::new(),
        "big" | "chunked" | "endless" | "slow" | "drip" => return None,
        _ => whole(request, 404, &[("Content-Type", "text/plain")], b"nothing"),
    })
}

/// So many zero bytes in gzip.
fn bomb(length: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; PIECE];
    let mut left = length.min(MAX_ANSWER);
    while left > 0 {
        let piece = left.min(zeros.len());
        encoder.write_all(&zeros[..piece]).unwrap();
        left -= piece;
    }
    encoder.finish().unwrap()
}

/// Byte number `at` of what is long.
fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// Answers that take their time.
pub(super) async fn special(
    stream: &mut TcpStream,
    request: &Request,
    first: &str,
    second: &str,
) -> std::io::Result<()> {
    let number: usize = second.parse().unwrap_or(0);
    let number = number.min(MAX_ANSWER);
    let chunked = "HTTP/1.1 200 Said\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let sized =
        format!("HTTP/1.1 200 Said\r\nContent-Length: {number}\r\nConnection: close\r\n\r\n");
    match first {
        "slow" => {
            tokio::time::sleep(Duration::from_millis(number as u64)).await;
            let told = request.told().to_string();
            stream
                .write_all(&whole(request, 200, &[], told.as_bytes()))
                .await?;
        }
        "drip" => {
            stream.write_all(sized.as_bytes()).await?;
            for at in 0..number {
                stream.write_all(&[pattern(at)]).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        "endless" => {
            stream
                .write_all(b"HTTP/1.1 200 Said\r\nConnection: close\r\n\r\n")
                .await?;
            let piece = vec![b'x'; PIECE];
            for _ in 0..MAX_ANSWER / PIECE {
                stream.write_all(&piece).await?;
            }
        }
        _ => {
            let in_chunks = first == "chunked";
            let head = if in_chunks { chunked } else { &sized };
            stream.write_all(head.as_bytes()).await?;
            let mut at = 0;
            while at < number {
                let piece: Vec<u8> = (at..number.min(at + PIECE)).map(pattern).collect();
                at += piece.len();
                if in_chunks {
                    let size = format!("{:x}\r\n", piece.len());
                    stream.write_all(size.as_bytes()).await?;
                }
                stream.write_all(&piece).await?;
                if in_chunks {
                    stream.write_all(b"\r\n").await?;
                }
            }
            if in_chunks {
                stream.write_all(b"0\r\n\r\n").await?;
            }
        }
    }
    Ok(())
}
