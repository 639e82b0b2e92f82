//! Kino Files: uploads, lists and transfers with their progress, at the API
//! and on the page.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::browser::chromium::{Chromium, Look};
use super::super::sockets::Socket;
use super::super::support::{Host, Visitor, eventually, json as body_of};
use super::{Node, PATIENCE, content};

const FILES: &str = "kino_files:kino_files:template.os";
const PACKAGE: &str = "kino_files:template.os";
const DRIVE: &str = "kino_files:template.os/files";
const BOUNDARY: &str = "----a-boundary-of-the-test";

async fn both_have_files(host: &Host) -> (Node, Node) {
    let (alice, bob) = super::two_nodes(host).await;
    for node in [&alice, &bob] {
        node.install(PACKAGE).await;
        node.has_begun(FILES).await;
    }
    (alice, bob)
}

/// A form as a browser sends it.
fn form(files: &[(&str, &str)]) -> String {
    let mut form = String::new();
    for (name, content) in files {
        form += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"files\"; \
             filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n{content}\r\n"
        );
    }
    form + &format!("--{BOUNDARY}--\r\n")
}

/// An owner with the page open.
struct Page<'a> {
    host: &'a Host,
    owner: Visitor,
    socket: Socket,
}

impl<'a> Page<'a> {
    async fn open(host: &'a Host, node: &Node) -> Self {
        let owner = Visitor::owner(host, &node.api, node.label).await;
        let authority = owner.authority(host);
        let origin = format!("http://{authority}");
        let headers = [
            ("cookie", owner.cookie().unwrap()),
            ("origin", origin.as_str()),
        ];
        let path = format!("/{FILES}/");
        let socket = Socket::open(&host.http(), &authority, &path, &headers).await;
        let page = Self {
            host,
            socket: socket.unwrap(),
            owner,
        };
        // The app hears of the socket before it hears of what comes after.
        page.list("").await;
        page
    }

    async fn list(&self, query: &str) -> Value {
        let path = format!("/{FILES}/files{query}");
        let answer = self.owner.get(self.host, &path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{query}");
        body_of(answer).await["ListFiles"].clone()
    }

    async fn upload(&self, form: &str) -> StatusCode {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let path = format!("/{FILES}/files");
        let headers = [("content-type", kind.as_str())];
        let sent = self
            .owner
            .send(self.host, Method::POST, &path, form, &headers);
        sent.await.status()
    }

    /// How far `name` was, each time that it was told, up to its end.
    async fn progress(&mut self, name: &str) -> Vec<u64> {
        let mut all = Vec::new();
        while all.last() != Some(&100) {
            let text = self.socket.next().await.into_text().unwrap();
            let told: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(told["kind"], "progress", "{told}");
            assert_eq!(told["data"]["name"], name, "{told}");
            all.push(told["data"]["progress"].as_u64().unwrap());
        }
        all
    }
}

#[tokio::test]
async fn a_large_file_is_uploaded_listed_and_fetched_with_progress() {
    let host = Host::start();
    let (alice, bob) = both_have_files(&host).await;
    let mut hers = Page::open(&host, &alice).await;
    let mut his = Page::open(&host, &bob).await;
    assert_eq!(hers.list("").await, json!([]));

    // Five MiB, in which there is nearly the end of a part.
    let mut large = hex::encode(content((5 << 20) / 2));
    large.replace_range(1000..1006, "\r\n----");
    let files = [("large.txt", large.as_str())];
    assert_eq!(hers.upload(&form(&files)).await, StatusCode::CREATED);
    assert_eq!(hers.progress("large.txt").await, [20, 40, 60, 80, 100]);
    alice
        .has_file(&format!("{DRIVE}/large.txt"), large.as_bytes())
        .await;
    let small = [("empty", ""), ("small.txt", "hello\r\nworld\n")];
    assert_eq!(hers.upload(&form(&small)).await, StatusCode::CREATED);
    assert_eq!(hers.progress("empty").await, [100]);
    assert_eq!(hers.progress("small.txt").await, [100]);
    let all = json!([
        {"name": "empty", "size": 0},
        {"name": "large.txt", "size": 5 << 20},
        {"name": "small.txt", "size": 13},
    ]);
    assert_eq!(hers.list("").await, all);
    assert_eq!(his.list("?node=alice.dev").await, all);

    // Bob wants it; his page hears how far it is.
    let fetch = |name: &str| {
        let target = format!("alice.dev@{FILES}");
        json!({"Download": {"name": name, "target": target}}).to_string()
    };
    his.socket.send(fetch("large.txt").into()).await;
    assert_eq!(his.progress("large.txt").await, [20, 40, 60, 80, 100]);
    bob.has_file(&format!("{DRIVE}/large.txt"), large.as_bytes())
        .await;
    his.socket.send(fetch("empty").into()).await;
    assert_eq!(his.progress("empty").await, [100]);
    eventually("both", PATIENCE, async || {
        let list = his.list("").await;
        (list == json!([all[0], all[1]])).then_some(())
    })
    .await;
    // From a node that sleeps as well.
    alice.hibernate().await;
    his.socket.send(fetch("small.txt").into()).await;
    assert_eq!(his.progress("small.txt").await, [100]);
    bob.has_file(&format!("{DRIVE}/small.txt"), b"hello\r\nworld\n")
        .await;
}

#[tokio::test]
async fn what_is_no_upload_leaves_nothing() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    alice.install(PACKAGE).await;
    alice.has_begun(FILES).await;
    let page = Page::open(&host, &alice).await;
    let whole = form(&[("a.txt", "some text")]);
    let broken_off = &whole[..whole.len() - 40];
    for body in [
        "",
        "no form",
        broken_off,
        &form(&[]),
        &form(&[("good.txt", "good"), ("../bad.txt", "bad")]),
        &form(&[("..", "bad")]),
        &form(&[("", "nothing was chosen")]),
        &form(&[("a/b", "bad")]),
    ] {
        assert_eq!(page.upload(body).await, StatusCode::BAD_REQUEST, "{body:?}");
    }
    assert_eq!(page.list("").await, json!([]));
    let path = format!("/{FILES}/files");
    let put = page.owner.send(&host, Method::PUT, &path, &whole, &[]);
    assert_eq!(put.await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let nobody = page
        .owner
        .get(&host, &format!("{path}?node=carol.dev"))
        .await;
    assert_eq!(nobody.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Strangers do not see what there is, nor add to it.
    let (_, stranger) = alice.api.node_get("alice.localhost", &path).await;
    assert!(!stranger.contains("ListFiles"), "{stranger}");
    assert_eq!(page.list("").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_uploaded_and_fetched_on_the_page() {
    let host = Host::start();
    let (alice, bob) = both_have_files(&host).await;
    let hers = Page::open(&host, &alice).await;
    let files = [("of alice.txt", "from alice")];
    assert_eq!(hers.upload(&form(&files)).await, StatusCode::CREATED);

    let browser = Chromium::start(Look::default()).await;
    super::sign_in(&browser, &bob).await;
    let address = host.http();
    let port = address.rsplit(':').next().unwrap();
    browser
        .goto(&format!("http://bob.localhost:{port}/{FILES}/"))
        .await;
    browser.find("#live[data-state=open]").await;
    browser.sees("bob.dev").await;
    let home = tempfile::tempdir().unwrap();
    let mine = home.path().join("of bob.bin");
    let bytes = content((2 << 20) + 77);
    std::fs::write(&mine, &bytes).unwrap();
    let input = browser.find("input[type=file]").await;
    input.send_keys(mine.to_str().unwrap()).await.unwrap();
    browser.press("Upload").await;
    browser.sees("Uploaded.").await;
    let listed = format!(
        "#ours [data-file='of bob.bin'][data-size='{}']",
        bytes.len()
    );
    browser.find(&listed).await;
    bob.has_file(&format!("{DRIVE}/of bob.bin"), &bytes).await;

    browser.fill("input[name=node]", "alice.dev").await;
    browser.press("Search").await;
    browser.find("#found [data-file='of alice.txt']").await;
    browser.press("Save to node").await;
    browser.find("#ours [data-file='of alice.txt']").await;
    browser.sees("of alice.txt (10 bytes) 100%").await;
    bob.has_file(&format!("{DRIVE}/of alice.txt"), b"from alice")
        .await;
    browser.fill("input[name=node]", "carol.dev").await;
    browser.press("Search").await;
    browser.sees("carol.dev does not say what it has.").await;
    browser.close().await;
}
