//! Keeps the body of a response, undoing its encoding.
//!
//! Owns what has been decoded. Invariants: what holds the decoded bytes is
//! charged before it grows, room to spare included, and never larger than the
//! limit, whatever the encoding makes of how few; nothing is reserved because
//! a head announces it; beyond [`FREELY`] a body is not more than [`RATIO`]
//! times what came of it. Pieces are copied, so that a body holds no buffer of
//! the connection. The window of Brotli, [`BROTLI_WINDOW`] at most (its large
//! windows are refused), is address space only until it is filled, which takes
//! decoded bytes: it is charged with them. The rest of a decoder, of a size of
//! its own, is bounded by how many requests there are at once.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use self::buffer::Buffer;
use super::budget::Charge;

mod buffer;

/// Decoded at a time.
const PIECE: usize = 16 << 10;
/// Read and decoded before others have their turn.
const SHIFT: usize = 512 << 10;
/// As how much it counts to begin a member of a gzip file.
const MEMBER: usize = 16 << 10;
/// Decoded without asking how little it was made of.
const FREELY: u64 = 8 << 20;
/// Beyond that, what may become of one byte.
const RATIO: u64 = 100;
/// Window of Brotli.
const BROTLI_WINDOW: u64 = 16 << 20;
/// Window of gzip, as a power of two; the largest there is.
const WINDOW: u8 = 15;
/// The first byte of every member of gzip.
const GZIP: u8 = 0x1f;

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all, or in a way that is left to the process.
    Plain,
    Gzip,
    Deflate,
    Brotli,
}

/// Why a body was not kept.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the response is larger than the limit of {0} bytes")]
    TooLarge(u64),
    #[error("too much is being received at once; try again")]
    Busy,
    #[error("the response unpacks to more than {RATIO} times what came")]
    Bomb,
    #[error("the response is not encoded as it says")]
    Corrupt,
    #[error("the response ends too early")]
    Cut,
}

impl Coding {
    /// What the headers say, if that is something we can undo.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Self::Plain;
        };
        let is = |name: &[u8]| value.as_bytes().trim_ascii().eq_ignore_ascii_case(name);
        if is(b"gzip") || is(b"x-gzip") {
            Self::Gzip
        } else if is(b"deflate") {
            Self::Deflate
        } else if is(b"br") {
            Self::Brotli
        } else {
            Self::Plain
        }
    }
}

/// See the module's documentation.
pub(super) struct Collector {
    decoder: Decoder,
    /// The decoder has reached the end of what it decodes.
    ended: bool,
    /// Bytes that came so far.
    came: u64,
    /// Work since others had their turn.
    shift: usize,
    /// What is decoded passes through here.
    window: Box<[u8]>,
    kept: Kept,
}

enum Decoder {
    Plain,
    /// Whether it is wrapped in zlib's format, as it should be, or not, as it
    /// often is, is seen by the first byte.
    Deflate,
    Inflate(Decompress),
    Gzip(Decompress),
    Brotli(Box<Brotli>),
}

/// What one step did.
struct Step {
    read: usize,
    decoded: usize,
    ended: bool,
}

struct Kept {
    limit: u64,
    charge: Charge,
    /// What it holds is charged.
    bytes: Buffer,
    /// How much the decoder keeps of the last of these bytes.
    window: u64,
}

impl Collector {
    /// Collects a body that is encoded like this; at most `limit` bytes of it,
    /// which are charged to `charge`.
    pub(super) fn new(coding: Coding, limit: u64, charge: Charge) -> Self {
        let decoder = match coding {
            Coding::Plain => Decoder::Plain,
            Coding::Gzip => Decoder::Gzip(Decompress::new_gzip(WINDOW)),
            Coding::Deflate => Decoder::Deflate,
            Coding::Brotli => Decoder::Brotli(Box::new(Brotli::new_strict(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ))),
        };
        let window = match coding {
            Coding::Plain => 0,
            Coding::Gzip | Coding::Deflate | Coding::Brotli => PIECE,
        };
        let (limit, again) = match coding {
            Coding::Plain | Coding::Gzip | Coding::Deflate => (limit, 0),
            // More than this could never be charged together with the window.
            Coding::Brotli => {
                let most = charge.most();
                let most = (most / 2).max(most.saturating_sub(BROTLI_WINDOW));
                (limit.min(most), BROTLI_WINDOW)
            }
        };
        Self {
            decoder,
            ended: false,
            came: 0,
            shift: 0,
            window: vec![0; window].into(),
            kept: Kept {
                limit,
                charge,
                bytes: Buffer::new(),
                window: again,
            },
        }
    }

    /// Takes the next piece of the body.
    ///
    /// # Cancel-Safety
    /// None.
    pub(super) async fn take(&mut self, piece: &[u8]) -> Result<(), ReadError> {
        if matches!(self.decoder, Decoder::Plain) {
            return self.kept.keep(piece);
        }
        // Much can be sent that decodes to nothing.
        self.came += piece.len() as u64;
        if self.came > self.kept.limit {
            return Err(ReadError::TooLarge(self.kept.limit));
        }
        let mut input = piece;
        while self.goes_on(input) {
            let step = self.decoder.step(input, &mut self.window)?;
            input = input.get(step.read..).unwrap_or_default();
            self.ended = step.ended;
            let decoded = self.window.get(..step.decoded);
            self.kept.keep(decoded.unwrap_or_default())?;
            let read = self.came.saturating_sub(input.len() as u64);
            let decoded = self.kept.bytes.len() as u64;
            if decoded > FREELY && decoded > read.saturating_mul(RATIO) {
                return Err(ReadError::Bomb);
            }
            if step.read == 0 && step.decoded == 0 && !step.ended {
                break;
            }
            self.shift += step.read + step.decoded;
            if self.shift >= SHIFT {
                self.shift = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Whether there may be more to decode. What follows the end is ignored,
    /// unless it is another member of a gzip file.
    fn goes_on(&mut self, input: &[u8]) -> bool {
        if !self.ended {
            return true;
        }
        if let Decoder::Gzip(member) = &mut self.decoder
            && input.first() == Some(&GZIP)
        {
            *member = Decompress::new_gzip(WINDOW);
            self.ended = false;
            self.shift += MEMBER;
        }
        !self.ended
    }

    /// The whole body, with what it is charged to.
    pub(super) fn finish(self) -> Result<(Bytes, Charge), ReadError> {
        let is_whole = matches!(self.decoder, Decoder::Plain) || self.ended || self.came == 0;
        if !is_whole {
            return Err(ReadError::Cut);
        }
        Ok(self.kept.finish())
    }
}

impl Decoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, ReadError> {
        if matches!(self, Self::Deflate) {
            let Some(first) = input.first() else {
                return Ok(Step::NONE);
            };
            // Method 8, and a window that the format knows.
            let is_wrapped = first & 0x0f == 8 && first >> 4 <= 7;
            *self = Self::Inflate(Decompress::new(is_wrapped));
        }
        match self {
            Self::Plain | Self::Deflate => Ok(Step::NONE),
            Self::Inflate(inflate) | Self::Gzip(inflate) => step_inflate(inflate, input, output),
            Self::Brotli(brotli) => step_brotli(brotli, input, output),
        }
    }
}

impl Step {
    const NONE: Self = Self {
        read: 0,
        decoded: 0,
        ended: false,
    };
}

fn step_inflate(
    inflate: &mut Decompress,
    input: &[u8],
    output: &mut [u8],
) -> Result<Step, ReadError> {
    let (read, decoded) = (inflate.total_in(), inflate.total_out());
    let status = inflate
        .decompress(input, output, FlushDecompress::None)
        .map_err(|_| ReadError::Corrupt)?;
    // Neither is more than the slice it is about.
    Ok(Step {
        read: (inflate.total_in() - read) as usize,
        decoded: (inflate.total_out() - decoded) as usize,
        ended: status == Status::StreamEnd,
    })
}

fn step_brotli(brotli: &mut Brotli, input: &[u8], output: &mut [u8]) -> Result<Step, ReadError> {
    let (mut unread, mut read) = (input.len(), 0);
    let (mut room, mut decoded, mut all) = (output.len(), 0, 0);
    let result = BrotliDecompressStream(
        &mut unread,
        &mut read,
        input,
        &mut room,
        &mut decoded,
        output,
        &mut all,
        brotli,
    );
    let ended = match result {
        BrotliResult::ResultSuccess => true,
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => false,
        BrotliResult::ResultFailure => return Err(ReadError::Corrupt),
    };
    Ok(Step {
        read,
        decoded,
        ended,
    })
}

impl Kept {
    fn keep(&mut self, piece: &[u8]) -> Result<(), ReadError> {
        let needed = self.bytes.len() + piece.len();
        if needed as u64 > self.limit {
            return Err(ReadError::TooLarge(self.limit));
        }
        if needed > self.bytes.held() {
            self.grow(needed)?;
        }
        self.bytes.push(piece);
        Ok(())
    }

    /// Makes room for `needed` bytes, which are not more than the limit.
    fn grow(&mut self, needed: usize) -> Result<(), ReadError> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let (held, wish) = (self.bytes.held(), self.bytes.wish(needed, limit));
        if !self.charge.grow(self.cost(wish) - self.cost(held)) {
            return Err(ReadError::Busy);
        }
        let grown = self.bytes.grow(wish, limit);
        grown.map_err(|_| ReadError::Busy)
    }

    /// What is charged for so much, the decoder's share included.
    fn cost(&self, held: usize) -> u64 {
        let held = held as u64;
        held + held.min(self.window)
    }

    /// The body without room to spare, and what it is charged to.
    fn finish(mut self) -> (Bytes, Charge) {
        let held = self.cost(self.bytes.held());
        let bytes = self.bytes.finish();
        self.charge
            .give_back(held.saturating_sub(bytes.len() as u64));
        (bytes, self.charge)
    }
}

#[cfg(test)]
mod tests;
