//! Static content: what a client that has it gets, parts of it, and its
//! compressed form.

use std::io::Read;

use flate2::read::GzDecoder;
use node_api::Origin;

use super::*;

const TEXT: &str = "text/html; charset=utf-8";

impl Harness {
    async fn bind_page(&mut self, path: &str, mime: &str, bytes: &[u8], authenticated: bool) {
        let action = json!({"Bind": {"path": path, "authenticated": authenticated,
            "local_only": false, "cache": true}});
        let target = "http-server:distro:sys";
        let mut bind = self
            .port
            .request(APP, target, action.to_string(), Some(bytes));
        if let Some(blob) = &mut bind.lazy_load_blob {
            blob.mime = Some(mime.to_owned());
        }
        self.inbox.try_send(bind, 1).unwrap();
        let answer = self.sent.recv().await.unwrap();
        assert_eq!(answer.message.body(), r#"{"Ok":null}"#);
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> HttpResponse {
        let asked = request(method, &format!("/{APP}{path}"), headers, "");
        self.server.handle(asked, Origin::Public).await
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> HttpResponse {
        self.ask(Method::GET, path, headers).await
    }
}

fn header<'a>(answer: &'a HttpResponse, name: &str) -> Option<&'a str> {
    answer
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

async fn bytes(answer: HttpResponse) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
}

fn page() -> Vec<u8> {
    b"<p>A page that says the same again and again.".repeat(100)
}

#[tokio::test]
async fn who_has_it_is_told_so() {
    let mut harness = Harness::new();
    harness.bind_page("/", TEXT, b"<p>one", false).await;
    let first = harness.get("", &[]).await;
    assert_eq!(first.status(), StatusCode::OK);
    let tag = header(&first, "etag").unwrap().to_owned();
    assert_eq!(header(&first, "cache-control"), Some("no-cache"));
    assert_eq!(header(&first, "vary"), None);
    assert_eq!(header(&first, "last-modified"), None);
    let weak = format!("W/{tag}");
    let list = format!("\"other\", {tag}");
    for given in [tag.as_str(), &weak, &list, "*"] {
        for method in [Method::GET, Method::HEAD] {
            let answer = harness.ask(method, "", &[("If-None-Match", given)]).await;
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{given}");
            assert_eq!(header(&answer, "etag"), Some(tag.as_str()));
            assert_eq!(header(&answer, "cache-control"), Some("no-cache"));
            assert_eq!(header(&answer, "content-type"), None);
            assert_eq!(text(answer).await, "");
        }
    }
    let other = harness.get("", &[("If-None-Match", "\"other\"")]).await;
    assert_eq!(text(other).await, "<p>one");
    for (given, status) in [
        (tag.as_str(), 200),
        ("*", 200),
        (weak.as_str(), 412),
        ("\"x\"", 412),
    ] {
        let answer = harness.get("", &[("If-Match", given)]).await;
        assert_eq!(answer.status().as_u16(), status, "{given}");
    }
    // A new build shows at once.
    harness.bind_page("/", TEXT, b"<p>two", false).await;
    let answer = harness.get("", &[("If-None-Match", &tag)]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_ne!(header(&answer, "etag"), Some(tag.as_str()));
    assert_eq!(text(answer).await, "<p>two");
}

#[tokio::test]
async fn a_head_is_told_the_length_and_other_methods_reach_the_app() {
    let mut harness = Harness::new();
    harness.bind_page("/", TEXT, b"<p>one", false).await;
    let head = harness
        .ask(Method::HEAD, "", &[("Range", "bytes=1-2")])
        .await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(header(&head, "content-length"), Some("6"));
    assert_eq!(header(&head, "content-type"), Some(TEXT));
    assert!(header(&head, "etag").is_some());
    assert_eq!(text(head).await, "");
    let asked = request(Method::DELETE, &format!("/{APP}"), &[], "");
    let answer = harness.begin(asked, Origin::Public);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, r#"{"status":204,"headers":{}}"#, None);
    assert_eq!(answer.await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_part_is_a_part() {
    let mut harness = Harness::new();
    harness
        .bind_page("/", "video/mp4", b"0123456789", false)
        .await;
    let whole = harness.get("", &[]).await;
    assert_eq!(header(&whole, "accept-ranges"), Some("bytes"));
    let tag = header(&whole, "etag").unwrap().to_owned();
    for (range, part, wanted) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=4-99", "456789", "bytes 4-9/10"),
    ] {
        for headers in [
            &[("Range", range)][..],
            &[("Range", range), ("If-Range", tag.as_str())],
            &[("Range", range), ("Accept-Encoding", "gzip")],
        ] {
            let answer = harness.get("", headers).await;
            assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
            assert_eq!(header(&answer, "content-range"), Some(wanted));
            assert_eq!(header(&answer, "content-type"), Some("video/mp4"));
            assert_eq!(header(&answer, "etag"), Some(tag.as_str()));
            assert_eq!(text(answer).await, part);
        }
    }
    let beyond = harness.get("", &[("Range", "bytes=10-")]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&beyond, "content-range"), Some("bytes */10"));
    assert_eq!(text(beyond).await, "");
    for headers in [
        &[("Range", "bytes=0-1,4-5")][..],
        &[("Range", "lines=0-1")],
        &[("Range", "bytes=0-1"), ("If-Range", "\"other\"")],
    ] {
        let answer = harness.get("", headers).await;
        assert_eq!(answer.status(), StatusCode::OK, "{headers:?}");
        assert_eq!(text(answer).await, "0123456789");
    }
    // What has not changed is not sent in parts either.
    let same = [("Range", "bytes=0-1"), ("If-None-Match", tag.as_str())];
    let answer = harness.get("", &same).await;
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn who_asks_gets_it_compressed() {
    let mut harness = Harness::new();
    harness.bind_page("/", TEXT, &page(), false).await;
    harness.bind_page("/short", TEXT, b"<p>short", false).await;
    harness.bind_page("/png", "image/png", &page(), false).await;
    let plain = harness.get("", &[]).await;
    let plain_tag = header(&plain, "etag").unwrap().to_owned();
    assert_eq!(header(&plain, "vary"), Some("accept-encoding"));
    assert_eq!(header(&plain, "content-encoding"), None);
    assert_eq!(bytes(plain).await, page());
    let gzip = ("Accept-Encoding", "br, gzip;q=0.9");
    let packed = harness.get("", &[gzip]).await;
    let packed_tag = header(&packed, "etag").unwrap().to_owned();
    assert_ne!(packed_tag, plain_tag);
    assert_eq!(header(&packed, "content-encoding"), Some("gzip"));
    assert_eq!(header(&packed, "vary"), Some("accept-encoding"));
    assert_eq!(header(&packed, "content-type"), Some(TEXT));
    assert_eq!(header(&packed, "accept-ranges"), None);
    let packed = bytes(packed).await;
    assert!(packed.len() < page().len() / 4);
    let mut unpacked = Vec::new();
    GzDecoder::new(&packed[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, page());

    let head = harness.ask(Method::HEAD, "", &[gzip]).await;
    let length = packed.len().to_string();
    assert_eq!(header(&head, "content-length"), Some(length.as_str()));
    for tag in [&plain_tag, &packed_tag] {
        let answer = harness.get("", &[gzip, ("If-None-Match", tag)]).await;
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(header(&answer, "etag"), Some(tag.as_str()));
        assert_eq!(header(&answer, "vary"), Some("accept-encoding"));
    }
    for headers in [
        &[("Accept-Encoding", "gzip;q=0")][..],
        &[("Accept-Encoding", "identity, gzip;q=0.5")],
        &[("Accept-Encoding", "br")],
        &[],
    ] {
        let answer = harness.get("", headers).await;
        assert_eq!(header(&answer, "content-encoding"), None, "{headers:?}");
        assert_eq!(bytes(answer).await, page());
    }
    // Parts are of the content as it is.
    let part = harness.get("", &[gzip, ("Range", "bytes=0-2")]).await;
    assert_eq!(header(&part, "content-encoding"), None);
    assert_eq!(text(part).await, "<p>");
    let resumed = [
        gzip,
        ("Range", "bytes=0-2"),
        ("If-Range", packed_tag.as_str()),
    ];
    let answer = harness.get("", &resumed).await;
    assert_eq!(answer.status(), StatusCode::OK);
    for path in ["/short", "/png"] {
        let answer = harness.get(path, &[gzip]).await;
        assert_eq!(header(&answer, "content-encoding"), None, "{path}");
        assert_eq!(header(&answer, "vary"), None, "{path}");
    }
}

#[tokio::test]
async fn while_something_else_is_compressed_it_goes_out_as_it_is() {
    let mut harness = Harness::new();
    harness.bind_page("/", TEXT, &page(), false).await;
    let gzip = [("Accept-Encoding", "gzip")];
    let busy = Arc::clone(&harness.server.packing);
    let busy = busy.try_acquire_owned().unwrap();
    let answer = harness.get("", &gzip).await;
    assert_eq!(header(&answer, "content-encoding"), None);
    assert_eq!(bytes(answer).await, page());
    drop(busy);
    let answer = harness.get("", &gzip).await;
    assert_eq!(header(&answer, "content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn large_content_is_hashed_once_and_the_owners_is_private() {
    let mut harness = Harness::new();
    let large = page().repeat(100);
    harness.bind_page("/large", TEXT, &large, false).await;
    let first = harness.get("/large", &[]).await;
    let second = harness.get("/large", &[]).await;
    assert_eq!(header(&first, "etag"), header(&second, "etag"));
    assert_eq!(bytes(first).await, large);

    harness.bind_page("/mine", TEXT, b"mine", true).await;
    let login = harness.get("/mine", &[("If-None-Match", "*")]).await;
    assert_eq!(header(&login, "cache-control"), Some("no-store"));
    assert!(text(login).await.contains("password"));
    let cookie = cookie(&harness);
    let mine = harness.get("/mine", &[("Cookie", &cookie)]).await;
    assert_eq!(header(&mine, "cache-control"), Some("private, no-cache"));
    assert_eq!(text(mine).await, "mine");
}

#[tokio::test]
async fn a_browser_need_not_ask_again_after_a_sleep() {
    let mut before = Harness::new();
    before.bind_page("/", TEXT, &page(), false).await;
    let answer = before.get("", &[]).await;
    let tag = header(&answer, "etag").unwrap().to_owned();
    let now = Harness::new();
    now.server.restore(before.server.keep(), |_| true);
    let answer = now.get("", &[("If-None-Match", &tag)]).await;
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
}
