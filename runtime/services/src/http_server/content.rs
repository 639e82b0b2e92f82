//! Static content of a path, and what its answers need.
//!
//! Owns the content and, once somebody has asked, its entity tags and its
//! compressed form. Invariant: the tags follow from type and content alone, so
//! that they outlast a sleep of the node and a restart of the app; they are made
//! once, and so is the compressed form, which counts in the table of bound paths
//! ([`super::routes`]).

use std::io::Write;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use sha2::{Digest, Sha256};

/// Type of static content whose blob names none.
pub(super) const DEFAULT_CONTENT: &str = "text/plain";
/// Content from here on is hashed off the async threads.
const LARGE: usize = 256 << 10;
/// What is worth compressing.
const PACKABLE: std::ops::RangeInclusive<usize> = (1 << 10)..=(16 << 20);
/// Types besides texts that compress well.
const PACKABLE_TYPES: [&str; 12] = [
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/rtf",
    "application/wasm",
    "application/x-javascript",
    "application/xhtml+xml",
    "application/xml",
    "font/otf",
    "font/ttf",
    "image/svg+xml",
];

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Content {
    /// Its `Content-Type`.
    pub(super) mime: HeaderValue,
    /// The content.
    pub(super) bytes: Bytes,
    /// Its answers depend on what encodings the client takes.
    pub(super) packable: bool,
    tags: OnceLock<Tags>,
    /// `None` inside: not worth it.
    packed: OnceLock<Option<Bytes>>,
}

/// Strong entity tags.
#[derive(Debug)]
pub(super) struct Tags {
    /// Of the content as it is.
    pub(super) plain: HeaderValue,
    /// Of its compressed form.
    pub(super) packed: HeaderValue,
}

impl Content {
    /// Content of a type; [`DEFAULT_CONTENT`] if that is none.
    pub(super) fn new(mime: &str, bytes: Bytes) -> Self {
        let default = HeaderValue::from_static(DEFAULT_CONTENT);
        let mime = HeaderValue::from_str(mime).unwrap_or(default);
        Self {
            packable: PACKABLE.contains(&bytes.len()) && is_packable(&mime),
            mime,
            bytes,
            tags: OnceLock::new(),
            packed: OnceLock::new(),
        }
    }

    /// Whether the tags are to be made, and take long.
    pub(super) fn needs_hashing(&self) -> bool {
        self.bytes.len() >= LARGE && self.tags.get().is_none()
    }

    /// The entity tags.
    pub(super) fn tags(&self) -> &Tags {
        self.tags.get_or_init(|| {
            let hash: [u8; 32] = Sha256::new()
                .chain_update(self.mime.as_bytes())
                .chain_update([0_u8])
                .chain_update(&self.bytes)
                .finalize()
                .into();
            let hash = URL_SAFE_NO_PAD.encode(&hash[..16]);
            Tags {
                plain: quoted(&hash, ""),
                packed: quoted(&hash, "-gzip"),
            }
        })
    }

    /// Whether nobody has tried to compress it.
    pub(super) fn needs_packing(&self) -> bool {
        self.packable && self.packed.get().is_none()
    }

    /// The compressed form, if there is one.
    pub(super) fn packed(&self) -> Option<&Bytes> {
        self.packed.get()?.as_ref()
    }

    /// Bytes of the compressed form that are kept.
    pub(super) fn packed_bytes(&self) -> usize {
        self.packed().map_or(0, Bytes::len)
    }

    /// The most that the compressed form may have to be kept.
    pub(super) fn most_packed(&self) -> usize {
        self.bytes.len() / 10 * 9
    }

    /// Compresses the content; `None` if that makes it little smaller. Takes
    /// long.
    pub(super) fn pack(&self) -> Option<Bytes> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.bytes).ok()?;
        let packed = encoder.finish().ok()?;
        (packed.len() <= self.most_packed()).then(|| {
            // Without the room that was reserved while it grew.
            packed.into_boxed_slice().into()
        })
    }

    /// Keeps the outcome of packing; false if there is one already.
    pub(super) fn keep_packed(&self, packed: Option<Bytes>) -> bool {
        self.packed.set(packed).is_ok()
    }
}

fn quoted(hash: &str, form: &str) -> HeaderValue {
    // Of letters, digits, hyphens and underscores.
    HeaderValue::try_from(format!("\"{hash}{form}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

fn is_packable(mime: &HeaderValue) -> bool {
    let text = mime.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_text = essence
        .get(..5)
        .is_some_and(|family| family.eq_ignore_ascii_case("text/"));
    is_text
        || PACKABLE_TYPES
            .iter()
            .any(|known| essence.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(mime: &str, bytes: impl Into<Bytes>) -> Content {
        Content::new(mime, bytes.into())
    }

    #[test]
    fn tags_follow_from_type_and_content_alone() {
        let tag = |mime: &str, text: &'static str| {
            let content = content(mime, text);
            let tags = content.tags();
            assert_ne!(tags.plain, tags.packed);
            tags.plain.to_str().unwrap().to_owned()
        };
        let one = tag("text/html", "one");
        assert_eq!(one.len(), 24);
        assert!(one.starts_with('"') && one.ends_with('"'));
        assert_eq!(one, tag("text/html", "one"));
        assert_ne!(one, tag("text/html", "two"));
        assert_ne!(one, tag("text/css", "one"));
        assert_eq!(tag("bad\nmime", "one"), tag(DEFAULT_CONTENT, "one"));
    }

    #[test]
    fn what_compresses_well_is_compressed() {
        let long = "a text that repeats itself. ".repeat(100);
        for (mime, wanted) in [
            ("text/html", true),
            ("Text/CSS; charset=utf-8", true),
            ("application/json", true),
            ("image/svg+xml", true),
            ("image/png", false),
            ("application/zip", false),
            ("text", false),
            ("", false),
        ] {
            assert_eq!(content(mime, long.clone()).packable, wanted, "{mime}");
        }
        assert!(!content("text/html", "short").packable);
        let packed = content("text/html", long.clone()).pack().unwrap();
        assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() < long.len() / 4);
        // What looks random stays as it is.
        let noise: Vec<u8> = (0..200_u32)
            .flat_map(|number| <[u8; 32]>::from(Sha256::digest(number.to_le_bytes())))
            .collect();
        assert_eq!(content("text/html", noise).pack(), None);
    }
}
