//! Bodies of every encoding, whole, cut, corrupt and far too large.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;

use super::super::budget::Budget;
use super::*;

const LIMIT: u64 = 1 << 20;
/// `brotli ` fifty times.
const BROTLI: &str = "1b5d01f88d54b5bf061193a393696c6f415b2430c23e00";
/// Sixteen MiB of zeros.
const BROTLI_BOMB: &str = "cbffff3ff82700e2b14020f7fe2ffffffff04f00c4611180eefd1f";
/// `large`, with a window of a GiB.
const BROTLI_LARGE: &str = "111e0800026c6172676503";

fn budget() -> Arc<Budget> {
    Budget::new(LIMIT)
}

/// Decodes `bytes` that come in pieces of `size`.
async fn collect(
    coding: Coding,
    bytes: &[u8],
    size: usize,
    budget: &Arc<Budget>,
) -> Result<Bytes, ReadError> {
    let mut collector = Collector::new(coding, LIMIT, budget.charge());
    for piece in bytes.chunks(size) {
        collector.take(piece).await?;
        let held = collector.kept.bytes.held() as u64;
        assert!(held <= LIMIT && held <= budget.held());
    }
    let (body, charge) = collector.finish()?;
    assert_eq!(budget.held(), body.len() as u64);
    drop(charge);
    assert_eq!(budget.held(), 0);
    Ok(body)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn text() -> Vec<u8> {
    let lines = (0..5000_u32).map(|number| format!("line {number}\n"));
    lines.collect::<String>().into_bytes()
}

#[tokio::test]
async fn bodies_come_out_as_they_went_in() {
    let text = text();
    let mut members = gzip(&text[..1000]);
    members.extend(gzip(&text[1000..]));
    members.extend([0; 100]);
    for (coding, bytes) in [
        (Coding::Plain, text.clone()),
        (Coding::Gzip, gzip(&text)),
        (Coding::Gzip, members),
        (Coding::Deflate, zlib(&text)),
        (Coding::Deflate, deflate(&text)),
    ] {
        for size in [1, 7, 1000, bytes.len()] {
            let body = collect(coding, &bytes, size, &budget()).await.unwrap();
            assert_eq!(body, text, "{coding:?} by {size}");
        }
    }
    let bytes = hex::decode(BROTLI).unwrap();
    for size in [1, 2, bytes.len()] {
        let body = collect(Coding::Brotli, &bytes, size, &budget()).await;
        assert_eq!(body.unwrap(), "brotli ".repeat(50));
    }
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli] {
        let none = collect(coding, b"", 1, &budget()).await.unwrap();
        assert_eq!(none, "");
    }
}

#[tokio::test]
async fn what_is_cut_or_corrupt_is_no_body() {
    let text = text();
    for (coding, bytes) in [
        (Coding::Gzip, gzip(&text)),
        (Coding::Deflate, zlib(&text)),
        (Coding::Deflate, deflate(&text)),
        (Coding::Brotli, hex::decode(BROTLI).unwrap()),
    ] {
        for end in [1, bytes.len() / 2, bytes.len() - 1] {
            let cut = collect(coding, &bytes[..end], 100, &budget()).await;
            assert_eq!(cut, Err(ReadError::Cut), "{coding:?} at {end}");
        }
    }
    for coding in [Coding::Gzip, Coding::Brotli] {
        // In Brotli this announces a large window.
        let garbage = collect(coding, &[0x11; 64], 64, &budget()).await;
        assert_eq!(garbage, Err(ReadError::Corrupt), "{coding:?}");
    }
    // Raw, with a kind of block that does not exist.
    let garbage = collect(Coding::Deflate, &[0xff; 64], 64, &budget()).await;
    assert_eq!(garbage, Err(ReadError::Corrupt));
    let mut wrong = gzip(&text);
    let crc = wrong.len() - 8;
    wrong[crc] ^= 1;
    let wrong = collect(Coding::Gzip, &wrong, 100, &budget()).await;
    assert_eq!(wrong, Err(ReadError::Corrupt));
    let large = hex::decode(BROTLI_LARGE).unwrap();
    let large = collect(Coding::Brotli, &large, 100, &budget()).await;
    assert_eq!(large, Err(ReadError::Corrupt));
}

#[tokio::test]
async fn bombs_end_at_the_limit() {
    // A GiB of zeros, without anybody ever having one.
    let member = gzip(&vec![0; 16 << 20]);
    let bomb: Vec<u8> = std::iter::repeat_n(member, 64).flatten().collect();
    let deep = zlib(&vec![0; 64 << 20]);
    for (coding, bytes) in [
        (Coding::Gzip, bomb),
        (Coding::Deflate, deep),
        (Coding::Brotli, hex::decode(BROTLI_BOMB).unwrap()),
    ] {
        // Brotli's window is charged too.
        let budget = Budget::new(2 * LIMIT);
        let mut collector = Collector::new(coding, LIMIT, budget.charge());
        let mut read = 0;
        let error = loop {
            let piece = bytes[read..].chunks(1000).next().unwrap();
            read += piece.len();
            let taken = collector.take(piece).await;
            let held = collector.kept.bytes.held() as u64;
            assert!(held <= LIMIT && held <= budget.held());
            if let Err(error) = taken {
                break error;
            }
        };
        assert_eq!(error, ReadError::TooLarge(LIMIT));
        assert!(read < 8000, "{coding:?}: {read}");
        drop(collector);
        assert_eq!(budget.held(), 0);
    }
}

#[tokio::test]
async fn much_is_not_made_of_little() {
    let limit = 4 * FREELY;
    let much = usize::try_from(FREELY).unwrap() + 1;
    let few = gzip(&vec![0; much - 1]);
    let many = gzip(&vec![0; much]);
    // Less than a hundred times as large as it comes.
    let honest: Vec<u8> = (0..u32::try_from(much / 4).unwrap())
        .flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .chain(vec![0; much])
        .collect();
    let honest_gzip = gzip(&honest);
    for (bytes, wanted) in [
        (few, Ok(vec![0; much - 1])),
        (many, Err(ReadError::Bomb)),
        (honest_gzip, Ok(honest)),
    ] {
        let budget = Budget::new(limit);
        let mut collector = Collector::new(Coding::Gzip, limit, budget.charge());
        let mut taken = Ok(());
        for piece in bytes.chunks(1000) {
            taken = taken.and(collector.take(piece).await);
        }
        let body = taken.and_then(|()| collector.finish());
        // Megabytes of difference are not for people to read.
        assert!(body.map(|(body, _)| Vec::from(body)) == wanted);
        assert_eq!(budget.held(), 0);
    }
}

#[tokio::test]
async fn what_decodes_to_nothing_is_bounded_too() {
    let empty: Vec<u8> = std::iter::repeat_n(gzip(b""), 60_000).flatten().collect();
    assert!(empty.len() as u64 > LIMIT);
    let endless = collect(Coding::Gzip, &empty, 4096, &budget()).await;
    assert_eq!(endless, Err(ReadError::TooLarge(LIMIT)));
}

#[tokio::test]
async fn responses_share_what_there_is() {
    let budget = budget();
    let mut other = budget.charge();
    assert!(other.grow(LIMIT - 100));
    for coding in [Coding::Plain, Coding::Gzip] {
        let bytes = match coding {
            Coding::Plain => vec![0; 101],
            _ => gzip(&[0; 101]),
        };
        let mut collector = Collector::new(coding, LIMIT, budget.charge());
        let taken = collector.take(&bytes).await;
        assert_eq!(taken, Err(ReadError::Busy));
    }
    assert_eq!(budget.held(), LIMIT - 100);
}

#[test]
fn only_one_encoding_is_undone() {
    for (values, wanted) in [
        (&["gzip"][..], Coding::Gzip),
        (&["X-GZip "], Coding::Gzip),
        (&["deflate"], Coding::Deflate),
        (&["BR"], Coding::Brotli),
        (&["identity"], Coding::Plain),
        (&["zstd"], Coding::Plain),
        (&["gzip, br"], Coding::Plain),
        (&["gzip", "br"], Coding::Plain),
        (&[], Coding::Plain),
    ] {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        assert_eq!(Coding::of(&headers), wanted, "{values:?}");
    }
}
