//! Icons: `data:` URLs of images, and nothing else.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

/// Longest icon, as the text that an app sends.
pub const MOST_ICON: usize = 128 << 10;

/// Types of image that are taken.
const TYPES: [&str; 6] = [
    "image/png",
    "image/jpeg",
    "image/jpg",
    "image/webp",
    "image/gif",
    "image/svg+xml",
];

/// An image to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its type.
    pub mime: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Reads a `data:` URL; `None` when it is no image that is taken.
#[must_use]
pub fn parse(url: &str) -> Option<Image> {
    if url.len() > MOST_ICON {
        return None;
    }
    let (head, payload) = url.strip_prefix("data:")?.split_once(',')?;
    let mut parts = head.split(';');
    let named = parts.next()?.to_ascii_lowercase();
    let mime = TYPES.into_iter().find(|known| *known == named)?;
    let mut base64 = false;
    for part in parts {
        match part.to_ascii_lowercase().as_str() {
            "base64" => base64 = true,
            "charset=utf-8" | "utf8" | "charset=utf8" => {}
            _ => return None,
        }
    }
    let bytes = if base64 {
        STANDARD.decode(payload).ok()?
    } else if mime == "image/svg+xml" {
        percent_decode(payload)?
    } else {
        return None;
    };
    (!bytes.is_empty()).then_some(Image { mime, bytes })
}

/// Text of a `data:` URL; `None` for characters that no URL has.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
                out.push(u8::try_from(value).ok()?);
            }
            // Browsers take these unescaped, so apps write them.
            b' '..=b'~' => out.push(byte),
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_read() {
        let png = parse("data:image/png;base64,iVBORw==").unwrap();
        assert_eq!((png.mime, &png.bytes[..]), ("image/png", &b"\x89PNG"[..]));
        for svg in [
            "data:image/svg+xml,%3Csvg/%3E",
            "data:image/svg+xml;utf8,<svg/>",
            "data:image/svg+xml;charset=utf-8,<svg/>",
            "data:IMAGE/svg+xml;base64,PHN2Zy8+",
        ] {
            let image = parse(svg).unwrap();
            assert_eq!(
                (image.mime, &image.bytes[..]),
                ("image/svg+xml", &b"<svg/>"[..])
            );
        }
    }

    #[test]
    fn everything_else_is_not() {
        let long = format!("data:image/png;base64,{}", "A".repeat(MOST_ICON));
        for bad in [
            "",
            "x",
            "https://evil.example/a.png",
            "javascript:alert(1)",
            "data:text/html,<script>1</script>",
            "data:text/html;base64,AAAA",
            "data:image/png,raw",
            "data:image/png;base64,",
            "data:image/png;base64,\" onerror=\"x",
            "data:image/png;base64,AAAA'><script>",
            "data:image/svg+xml;base64",
            "data:image/svg+xml;x=y,<svg/>",
            "data:image/svg+xml,%zz",
            "data:image/svg+xml,%4",
            "data:image/svg+xml,\u{e9}",
            "data:image/png,text/html;base64,AAAA",
            " data:image/png;base64,AAAA",
            &long,
        ] {
            assert_eq!(parse(bad), None, "{}", &bad[..bad.len().min(60)]);
        }
    }
}
