//! What a node shows at its root: to strangers, to its owner, and to pages
//! that are open.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, StatusCode};
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};

use super::support::{Host, Kit, Ssh, Visitor, test_package};

#[tokio::test]
async fn a_new_node_shows_its_homepage_to_its_owner_only() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let stranger = Visitor::stranger("alice");
    let owner = Visitor::owner(&host, &api, "alice").await;

    for path in ["/", "/apps", "/version", "/icons/a:b:c", "/widgets/a:b:c"] {
        let page = stranger.page(&host, path).await;
        assert!(
            page.contains("password") && !page.contains("No apps here yet"),
            "{path}: {page}"
        );
    }
    for (path, kind, wanted) in [
        ("/our", "text/html", "alice.dev"),
        ("/our.js", "text/javascript", "node: \"alice.dev\""),
        ("/amionline", "text/plain", "yes"),
        ("/kinode.css", "text/css", "--accent"),
        ("/homepage.css", "text/css", ".tiles"),
        ("/homepage.js", "text/javascript", "\"use strict\""),
    ] {
        let answer = stranger.get(&host, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let mime = answer.headers()["content-type"].to_str().unwrap();
        assert!(mime.starts_with(kind), "{path}: {mime}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(wanted), "{path}: {text}");
    }
    assert_eq!(stranger.page(&host, "/our").await, "alice.dev");
    assert_eq!(stranger.page(&host, "/amionline").await, "yes");

    let answer = owner.get(&host, "/").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers().clone();
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let policy = headers["content-security-policy"].to_str().unwrap();
    let script = format!("script-src {}/homepage.js;", owner.authority(&host));
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(policy.contains(&script), "{policy}");
    assert!(!policy.contains("unsafe-inline"), "{policy}");
    let page = answer.text().await.unwrap();
    assert!(page.contains("<h1 id=\"node\">alice.dev</h1>"), "{page}");
    assert!(page.contains("No apps here yet"), "{page}");
    // This host's SSH is at a port that only its dashboard knows.
    assert!(page.contains("Advanced details"), "{page}");
    assert!(!page.contains("ssh -p"), "{page}");
    assert!(page.contains("action=\"/logout\""), "{page}");
    assert_eq!(owner.page(&host, "/apps").await, "[]");
    assert!(owner.page(&host, "/version").await.starts_with("0."));

    let elsewhere = Visitor::stranger("bob");
    let missing = elsewhere.get(&host, "/our").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn requests_that_change_the_page_come_from_the_page() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let stranger = Visitor::stranger("alice");
    let owner = Visitor::owner(&host, &api, "alice").await;
    let own = format!("http://{}", owner.authority(&host));
    let status = async |visitor: &Visitor, method: &Method, path: &str, body, headers| {
        let answer = visitor
            .send(&host, method.clone(), path, body, headers)
            .await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (post, get) = (Method::POST, Method::GET);
    let from_our_page = [("origin", own.as_str())];
    for path in ["/order", "/favorite"] {
        let body = if path == "/order" {
            "[]"
        } else {
            r#"["a:b:c",true]"#
        };
        let (told, page) = status(&stranger, &post, path, body, &[]).await;
        assert!(told == 200 && page.contains("password"), "{path}: {page}");
        for (headers, wanted) in [
            (&from_our_page[..], 200),
            (&[], 200),
            (&[("sec-fetch-site", "same-origin")], 200),
            (&[("origin", "http://mallory.localhost")], 403),
            (&[("origin", "null")], 403),
            (&[("sec-fetch-site", "same-site")], 403),
            (&[("sec-fetch-site", "cross-site")], 403),
        ] {
            let (told, text) = status(&owner, &post, path, body, headers).await;
            assert_eq!(told, wanted, "{path} {headers:?}: {text}");
        }
        for bad in ["", "{}", "[1]", "[[[[", "[\"a\"]"] {
            assert_eq!(
                status(&owner, &post, path, bad, &[]).await.0,
                400,
                "{path} {bad}"
            );
        }
        assert_eq!(status(&owner, &get, path, "", &[]).await.0, 405);
    }
    assert_eq!(status(&owner, &post, "/", "", &[]).await.0, 405);
    assert_eq!(
        status(&owner, &get, "/icons/not-an-id", "", &[]).await.0,
        404
    );
}

/// Opens the WebSocket of the homepage as a page of the node would; the status
/// of a refusal.
async fn listen(
    host: &Host,
    visitor: &Visitor,
    origin: &str,
) -> Result<impl StreamExt<Item = Result<Message, Error>> + Unpin + use<>, u16> {
    let url = format!("ws://{}/", visitor.authority(host));
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("origin", origin.parse().unwrap());
    if let Some(cookie) = visitor.cookie() {
        headers.insert("cookie", cookie.parse().unwrap());
    }
    let stream = tokio::net::TcpStream::connect(host.http()).await.unwrap();
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn open_pages_hear_of_what_changes() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let owner = Visitor::owner(&host, &api, "alice").await;
    let own = format!("http://{}", owner.authority(&host));
    let stranger = Visitor::stranger("alice");
    assert!(listen(&host, &stranger, &own).await.is_err());
    let neighbour = "http://mallory.localhost";
    assert!(listen(&host, &owner, neighbour).await.is_err());

    let mut page = listen(&host, &owner, &own).await.unwrap();
    let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
    let tunnel = ssh.tunnel();
    let kit = Kit::new(tunnel.port);
    let live = test_package("live:test.dev");
    let mut news = async || {
        let next = tokio::time::timeout(Duration::from_secs(20), page.next()).await;
        next.unwrap().unwrap().unwrap().into_text().unwrap()
    };
    kit.install(&live).await;
    assert_eq!(news().await, r#"{"kind":"apps"}"#);
    assert_eq!(owner.app_ids(&host).await, ["live:live:test.dev"]);
    let body = r#"["live:live:test.dev",true]"#;
    let told = owner
        .send(&host, Method::POST, "/favorite", body, &[])
        .await;
    assert_eq!(told.status(), StatusCode::OK);
    assert_eq!(news().await, r#"{"kind":"apps"}"#);
    kit.remove_package(&live).await;
    assert_eq!(news().await, r#"{"kind":"apps"}"#);
    assert!(owner.app_ids(&host).await.is_empty());
}
