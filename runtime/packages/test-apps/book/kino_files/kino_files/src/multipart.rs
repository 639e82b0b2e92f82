//! The files in a form that a browser sends.

/// A file of a form.
#[derive(Debug, PartialEq, Eq)]
pub struct Upload<'a> {
    /// As the browser calls it.
    pub name: String,
    /// Its content.
    pub bytes: &'a [u8],
}

/// The files in `body`, which is a form of the type `content_type`; `None` if
/// it is not one, or broken off.
pub fn uploads<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Upload<'a>>> {
    let boundary = boundary(content_type)?;
    let first = format!("--{boundary}");
    let next = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(first.as_bytes())?;
    let mut uploads = Vec::new();
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n")?;
        let (head, content) = split(rest, b"\r\n\r\n")?;
        let (bytes, after) = split(content, next.as_bytes())?;
        if let Some(name) = file_name(std::str::from_utf8(head).ok()?) {
            uploads.push(Upload { name, bytes });
        }
        rest = after;
    }
    Some(uploads)
}

fn boundary(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = rest.trim().strip_prefix("boundary=")?.trim_matches('"');
    (!boundary.is_empty()).then_some(boundary)
}

/// What is before and after the first `separator`.
fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let begin = bytes[from..]
            .iter()
            .position(|byte| *byte == separator[0])?;
        let at = from + begin;
        if bytes[at..].starts_with(separator) {
            return Some((&bytes[..at], &bytes[at + separator.len()..]));
        }
        from = at + 1;
    }
}

/// The name of the file that a part with this head is.
fn file_name(head: &str) -> Option<String> {
    let disposition = head.lines().find(|line| {
        let name = line.split(':').next().unwrap_or_default();
        name.eq_ignore_ascii_case("content-disposition")
    })?;
    let (_, rest) = disposition.split_once("filename=\"")?;
    let (name, _) = rest.split_once('"')?;
    Some(name.to_owned())
}
