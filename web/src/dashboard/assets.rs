//! Files that pages are made of.
//!
//! Every page names them with a fingerprint of their content, so browsers keep
//! them for good and still see a new version at once.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use sha2::{Digest, Sha256};

use crate::app::App;

/// With the fingerprint in its address a file never changes.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("public, no-cache");

/// One file.
pub(super) struct Asset {
    path: &'static str,
    media_type: &'static str,
    content: &'static [u8],
    mark: OnceLock<String>,
}

pub(super) static STYLE: Asset = Asset::new(
    "/assets/berth.css",
    "text/css; charset=utf-8",
    include_bytes!("../../assets/berth.css"),
);
pub(super) static SCRIPT: Asset = Asset::new(
    "/assets/berth.js",
    "text/javascript; charset=utf-8",
    include_bytes!("../../assets/berth.js"),
);
static LOGO: Asset = Asset::new(
    "/assets/berth.svg",
    "image/svg+xml",
    include_bytes!("../../assets/berth.svg"),
);
static HARBOUR: Asset = Asset::new(
    "/assets/harbour.svg",
    "image/svg+xml",
    include_bytes!("../../assets/harbour.svg"),
);
static ICON: Asset = Asset::new(
    "/favicon.ico",
    "image/x-icon",
    include_bytes!("../../assets/favicon.ico"),
);
static ROBOTS: Asset = Asset::new(
    "/robots.txt",
    "text/plain; charset=utf-8",
    b"User-agent: *\nDisallow: /api/\nDisallow: /nodes\nDisallow: /account\nDisallow: /operator\n",
);

impl Asset {
    const fn new(path: &'static str, media_type: &'static str, content: &'static [u8]) -> Self {
        Self {
            path,
            media_type,
            content,
            mark: OnceLock::new(),
        }
    }

    /// Names this very content.
    fn mark(&self) -> &str {
        self.mark.get_or_init(|| {
            let hash = Sha256::digest(self.content);
            let start = hash.get(..12).unwrap_or_default();
            URL_SAFE_NO_PAD.encode(start)
        })
    }

    /// Where pages find it.
    pub(super) fn url(&self) -> String {
        format!("{}?v={}", self.path, self.mark())
    }

    fn respond(&self, uri: &Uri, headers: &HeaderMap) -> Response {
        let mark = self.mark();
        let tag = format!("\"{mark}\"");
        let known = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().trim_start_matches("W/") == tag || value.trim() == "*");
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.content.into_response()
        };
        let named = uri.query().and_then(|query| query.strip_prefix("v="));
        let keep = if named == Some(mark) {
            FOR_GOOD
        } else {
            ASK_EACH_TIME
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, keep);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        response
    }
}

/// Routes of the files.
pub(super) fn router() -> Router<Arc<App>> {
    let all: [&'static Asset; 6] = [&STYLE, &SCRIPT, &LOGO, &HARBOUR, &ICON, &ROBOTS];
    all.into_iter().fold(Router::new(), |router, asset| {
        let respond =
            move |uri: Uri, headers: HeaderMap| async move { asset.respond(&uri, &headers) };
        router.route(asset.path, get(respond))
    })
}
