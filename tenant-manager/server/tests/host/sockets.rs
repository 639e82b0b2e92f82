//! WebSockets of a Wasm app, through the proxy and through a tunnel.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::support::{Api, Host, Kit, Ssh, Tunnel, Visitor, eventually, test_package};

const PATIENCE: Duration = Duration::from_secs(20);
const LIVE: &str = "/live:live:test.dev";

/// A browser's end of a WebSocket.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens `ws://AUTHORITY PATH` at `address`; the status of a refusal.
    pub async fn open(
        address: &str,
        authority: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let mut request = format!("ws://{authority}{path}")
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next message that is not a ping.
    pub async fn next(&mut self) -> Message {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(message)) => return message,
                    other => panic!("the socket ended: {other:?}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.unwrap()
    }

    /// The count that a page of the app is told.
    async fn count(&mut self) -> u64 {
        let text = self.next().await.into_text().unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        told["count"].as_u64().unwrap()
    }

    /// Why it was closed.
    pub async fn close_code(&mut self) -> u16 {
        match self.next().await {
            Message::Close(Some(close)) => close.code.into(),
            other => panic!("not closed: {other}"),
        }
    }
}

/// A node with the app, its owner's browser and tunnel.
struct Home {
    host: Host,
    api: Api,
    owner: Visitor,
    ssh: Ssh,
    tunnel: Tunnel,
    kit: Kit,
}

impl Home {
    async fn start(flags: &[&str]) -> Self {
        let host = Host::start_with(flags);
        let api = host.api().sign_up("alice@example.org").await;
        api.create_node("alice").await;
        let owner = Visitor::owner(&host, &api, "alice").await;
        let ssh = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await);
        let tunnel = ssh.tunnel();
        let kit = Kit::new(tunnel.port);
        kit.install(&test_package("live:test.dev")).await;
        let home = Self {
            host,
            api,
            owner,
            ssh,
            tunnel,
            kit,
        };
        eventually("the app", PATIENCE, async || {
            let echo = home.open("/echo", &[]).await;
            echo.is_ok().then_some(())
        })
        .await;
        home
    }

    /// Opens a WebSocket of the app through the proxy.
    async fn open(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
        let authority = self.owner.authority(&self.host);
        Socket::open(
            &self.host.http(),
            &authority,
            &format!("{LIVE}{path}"),
            headers,
        )
        .await
    }

    /// The same as a page of the owner's does.
    async fn page(&self) -> Socket {
        self.page_of(&self.owner).await
    }

    /// The same in another browser of the owner's.
    async fn page_of(&self, browser: &Visitor) -> Socket {
        let origin = format!("http://{}", browser.authority(&self.host));
        let cookie = browser.cookie().unwrap();
        let headers = [("cookie", cookie), ("origin", origin.as_str())];
        self.open("/", &headers).await.unwrap()
    }
}

#[tokio::test]
async fn a_page_is_live_over_its_websocket() {
    let home = Home::start(&[]).await;
    let (mut one, mut two) = (home.page().await, home.page().await);
    let first = one.count().await;
    assert_eq!(two.count().await, first);
    for round in 1..=3 {
        one.send(Message::text("more")).await;
        assert_eq!(one.count().await, first + round);
        assert_eq!(two.count().await, first + round);
    }
    // Strangers, neighbours' pages and the owner's own other origins are not let in.
    let cookie = ("cookie", home.owner.cookie().unwrap());
    let authority = home.owner.authority(&home.host);
    let port = authority.rsplit(':').next().unwrap();
    let below = format!("http://live-test-dev.{authority}");
    let dashboard = format!("http://localhost:{port}");
    for headers in [
        &[][..],
        &[cookie, ("origin", "http://mallory.localhost")],
        &[cookie, ("origin", "null")],
        &[cookie, ("origin", dashboard.as_str())],
        &[cookie, ("origin", below.as_str())],
    ] {
        let refused = home.open("/", headers).await;
        assert!(refused.is_err(), "{headers:?}");
    }
    // Sizes on both sides of every length of a frame's header, in order.
    let mut echo = home.open("/echo", &[]).await.unwrap();
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 3];
    for size in sizes {
        echo.send(Message::Binary(vec![size as u8; size].into()))
            .await;
    }
    for size in sizes {
        assert_eq!(echo.next().await.into_data(), vec![size as u8; size]);
    }
    // Signing out ends the page's sockets, and only those of this browser.
    let other = Visitor::owner(&home.host, &home.api, "alice").await;
    assert_ne!(other.cookie(), home.owner.cookie());
    let mut elsewhere = home.page_of(&other).await;
    let before = elsewhere.count().await;
    let answer = home
        .owner
        .send(&home.host, Method::POST, "/logout", "", &[])
        .await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert!(
        answer.headers()[SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    for mut socket in [one, two] {
        assert_eq!(socket.close_code().await, 1008);
    }
    elsewhere.send(Message::text("more")).await;
    assert_eq!(elsewhere.count().await, before + 1);
    // Who kept the cookie has nothing of it, also after a night's sleep.
    let origin = format!("http://{authority}");
    let kept = [cookie, ("origin", origin.as_str())];
    assert!(home.open("/", &kept).await.is_err());
    home.api.act("/nodes/alice/hibernate").await;
    home.api.wait_for_status("alice", "hibernated").await;
    eventually("the other login", PATIENCE, async || {
        let cookie = ("cookie", other.cookie().unwrap());
        let opened = home.open("/", &[cookie, kept[1]]).await;
        opened.is_ok().then_some(())
    })
    .await;
    assert!(home.open("/", &kept).await.is_err());
}

#[tokio::test]
async fn the_tunnel_carries_websockets() {
    let home = Home::start(&[]).await;
    let authority = format!("localhost:{}", home.tunnel.port);
    let address = format!("127.0.0.1:{}", home.tunnel.port);
    let path = format!("{LIVE}/echo");
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(
            Socket::open(&address, &authority, &path, &[])
                .await
                .unwrap(),
        );
    }
    for size in [0, 1000, 1 << 20] {
        for socket in &mut sockets {
            socket.send(Message::Binary(vec![7; size].into())).await;
            assert_eq!(socket.next().await.into_data(), vec![7; size]);
        }
    }
    let foreign = [("origin", "http://mallory.localhost:8000")];
    let page = Socket::open(&address, &authority, &format!("{LIVE}/"), &foreign).await;
    assert!(page.is_err());
    // The tunnel's end is the app's news too.
    drop(sockets);
    eventually("the ends", PATIENCE, async || {
        let told = home.kit.inject("live:live:test.dev", r#""Channels""#).await;
        told.body.contains(r#""channels":0"#).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_socket_ends_with_its_process_its_login_and_its_node() {
    let home = Home::start(&[]).await;
    let mut page = home.page().await;
    page.count().await;
    let body = serde_json::json!({"password": "another password"});
    let changed = home.api.post("/nodes/alice/password", &body).await;
    assert_eq!(changed.status(), StatusCode::NO_CONTENT);
    assert_eq!(page.close_code().await, 1008);

    let mut echo = home.open("/echo", &[]).await.unwrap();
    let stopped = home.api.act("/nodes/alice/hibernate").await;
    assert!(stopped.status().is_success());
    assert_eq!(echo.close_code().await, 1001);
    home.api.wait_for_status("alice", "hibernated").await;
    // Opening one wakes the node.
    let mut echo = home.open("/echo", &[]).await.unwrap();
    echo.send(Message::text("awake")).await;
    assert_eq!(echo.next().await, Message::text("awake"));

    let killed = home.ssh.exec("kill live:live:test.dev");
    assert!(killed.status.success(), "{killed:?}");
    assert_eq!(echo.close_code().await, 1011);
    assert_eq!(home.open("/echo", &[]).await.err(), Some(404));
}

#[tokio::test]
async fn an_open_socket_keeps_its_node_awake() {
    let home = Home::start(&["--idle-after", "2s"]).await;
    let mut echo = home.open("/echo", &[]).await.unwrap();
    drop(home.tunnel);
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let node = super::support::json(home.api.get("/nodes/alice").await).await;
        assert_eq!(node["status"], "active");
    }
    echo.send(Message::text("still here")).await;
    assert_eq!(echo.next().await, Message::text("still here"));
    drop(echo);
    home.api.wait_for_status("alice", "hibernated").await;
}

#[tokio::test]
async fn a_vault_opens_on_its_own_subdomain() {
    let home = Home::start(&[]).await;
    let (host, owner) = (&home.host, &home.owner);
    let authority = owner.authority(host);
    let path = format!("{LIVE}/vault");
    let away = owner.get(host, &format!("{path}?a=b")).await;
    assert_eq!(away.status(), StatusCode::TEMPORARY_REDIRECT);
    let vault = format!("live-test-dev.{authority}");
    assert_eq!(
        away.headers()[LOCATION],
        format!("http://{vault}{path}?a=b")
    );
    let at_vault = Visitor::stranger("live-test-dev.alice");
    assert_eq!(at_vault.authority(host), vault);
    let page = at_vault.page(host, &path).await;
    assert!(
        page.contains("name=\"subdomain\" value=\"live:live:test.dev\""),
        "{page}"
    );

    let form = "password=node+password&subdomain=live%3Alive%3Atest.dev&redirect=%2Flive%3Alive%3Atest.dev%2Fvault";
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let signed_in = at_vault
        .send(host, Method::POST, "/login", form, &kind)
        .await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(signed_in.headers()[LOCATION], path);
    let cookie = signed_in.headers()[SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.starts_with("kinode-auth_alice.dev@live:live:test.dev="),
        "{cookie}"
    );
    assert!(!cookie.contains("Domain"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let with_cookie = [("cookie", cookie)];
    let opened = at_vault
        .send(host, Method::GET, &path, "", &with_cookie)
        .await;
    assert!(opened.text().await.unwrap().contains("<h1>Vault</h1>"));

    let origin = format!("http://{vault}");
    let own = [("cookie", cookie), ("origin", origin.as_str())];
    let mut socket = Socket::open(&host.http(), &vault, &path, &own)
        .await
        .unwrap();
    socket.count().await;
    let plain = format!("http://{authority}");
    for (at, headers) in [
        (
            &vault,
            [
                ("cookie", owner.cookie().unwrap()),
                ("origin", origin.as_str()),
            ],
        ),
        (&vault, [("cookie", cookie), ("origin", plain.as_str())]),
        (&authority, [("cookie", cookie), ("origin", plain.as_str())]),
    ] {
        let refused = Socket::open(&host.http(), at, &path, &headers).await;
        assert!(refused.is_err(), "{at} {headers:?}");
    }
    // Nothing of other packages answers there, except what is everybody's.
    let back = at_vault
        .send(host, Method::GET, "/", "", &with_cookie)
        .await;
    assert_eq!(back.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(back.headers()[LOCATION], format!("http://{authority}/"));
    assert_eq!(at_vault.get(host, "/our.js").await.status(), StatusCode::OK);
    let posted = at_vault
        .send(host, Method::POST, "/order", "[]", &with_cookie)
        .await;
    assert_eq!(posted.status(), StatusCode::NOT_FOUND);
}
