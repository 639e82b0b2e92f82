//! WebSockets as client, as server, and as a server that is replied to, with
//! the other end in Python as in the book's recipes.

use serde_json::{Value, json};

use super::super::sockets::Socket;
use super::super::support::{Host, eventually};
use super::script::Script;
use super::{LOOPBACK, Node, PATIENCE};

const CLIENT: &str = "ws_client:ws_client:template.os";
const SERVER: &str = "ws_server:ws_server:template.os";
const REPLIED: &str = "ws_server_with_reply:ws_server_with_reply:template.os";

async fn installed(host: &Host, process: &str) -> Node {
    let alice = Node::create(host, "alice").await;
    let (_, package) = process.split_once(':').unwrap();
    alice.install(package).await;
    alice.has_begun(process).await;
    alice
}

/// Where a script beside the node finds `process`.
fn through_tunnel(node: &Node, process: &str) -> String {
    format!("ws://localhost:{}/{process}", node.tunnel_port())
}

/// Waits until the client has heard all this.
async fn has_heard(node: &Node, heard: &[&str]) {
    eventually(&format!("{heard:?}"), PATIENCE, async || {
        let told = node.ask(CLIENT, &json!("Heard")).await;
        (told["Heard"] == json!(heard)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_app_talks_to_a_server_outside() {
    let host = Host::start_with(&LOOPBACK);
    let server = Script::start("ws_server.py", &[]);
    let told = server.line();
    let port = told.strip_prefix("listening on ").unwrap();
    let alice = installed(&host, CLIENT).await;
    let open = json!({ "Open": format!("ws://localhost:{port}/any/path") });
    assert_eq!(alice.ask(CLIENT, &open).await, json!("Done"));
    alice
        .printed(r#"the server says "ack client connection""#)
        .await;
    assert_eq!(server.line(), "the client says Hello from client");
    has_heard(&alice, &["ack client connection", "HELLO FROM CLIENT"]).await;

    let say = json!({"Say": "how are you?"});
    assert_eq!(alice.ask(CLIENT, &say).await, json!("Done"));
    assert_eq!(server.line(), "the client says how are you?");
    let bytes = json!({"SayBytes": 300_000});
    assert_eq!(alice.ask(CLIENT, &bytes).await, json!("Done"));
    let so_far = [
        "ack client connection",
        "HELLO FROM CLIENT",
        "HOW ARE YOU?",
        "300000 bytes",
    ];
    has_heard(&alice, &so_far).await;

    // The server closes; the app hears of it, and opens another one.
    let farewell = json!({"Say": "farewell"});
    assert_eq!(alice.ask(CLIENT, &farewell).await, json!("Done"));
    assert_eq!(server.line(), "the client says farewell");
    assert_eq!(server.line(), "the client is gone");
    alice.printed("the server is gone").await;
    has_heard(&alice, &[&so_far[..], &["closed"]].concat()).await;
    assert_eq!(alice.ask(CLIENT, &open).await, json!("Done"));
    let again = [&so_far[..], &["closed", "ack client connection"]].concat();
    has_heard(&alice, &again).await;
    // The app closes; so does its end.
    assert_eq!(alice.ask(CLIENT, &json!("Close")).await, json!("Done"));
    assert_eq!(server.line(), "the client is gone");
    let told = alice.ask(CLIENT, &json!("Close")).await;
    assert!(told["Failed"].is_string(), "{told}");
    assert_eq!(alice.ask(CLIENT, &open).await, json!("Done"));
    let stopped = alice.api.act("/nodes/alice/stop").await;
    assert!(stopped.status().is_success());
    assert_eq!(server.line(), "the client is gone");
}

#[tokio::test]
async fn where_no_server_listens_no_socket_opens() {
    let host = Host::start_with(&LOOPBACK);
    let alice = installed(&host, CLIENT).await;
    let origin = super::origin::Origin::start();
    for url in [
        // It answers with a page.
        format!("ws://{}/", origin.address),
        "ws://nobody.invalid/".to_owned(),
        "http://127.0.0.1/".to_owned(),
        "no URL".to_owned(),
        // No plan of this host lets anybody there.
        "ws://169.254.169.254/".to_owned(),
    ] {
        let told = alice.ask(CLIENT, &json!({ "Open": url })).await;
        assert!(told["Failed"].is_string(), "{url}: {told}");
    }
}

#[tokio::test]
async fn a_client_beside_the_node_talks_to_an_app() {
    let host = Host::start();
    let alice = installed(&host, SERVER).await;
    let client = Script::start("ws_client.py", &[&through_tunnel(&alice, SERVER)]);
    assert_eq!(client.line(), r#"the server says "ack client connection""#);
    assert_eq!(client.line(), "done");
    client.finish();
    alice
        .printed(r#"the client says "Hello from client""#)
        .await;
    alice.printed("the client is gone").await;
    let heard = alice.ask(SERVER, &json!("Heard")).await;
    assert_eq!(heard, json!({"open": 0, "heard": ["Hello from client"]}));

    // Anybody may come by the front door too, several at once.
    let path = format!("/{SERVER}");
    let address = host.http();
    let port = address.rsplit(':').next().unwrap();
    let authority = format!("alice.localhost:{port}");
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = Socket::open(&address, &authority, &path, &[])
            .await
            .unwrap();
        let greeting = socket.next().await.into_text().unwrap();
        assert_eq!(greeting.as_str(), r#""ack client connection""#);
        sockets.push(socket);
    }
    let told = alice.ask(SERVER, &json!({"Say": "to all"})).await;
    assert_eq!(told["open"], 3);
    for socket in &mut sockets {
        let said: Value = serde_json::from_str(&socket.next().await.into_text().unwrap()).unwrap();
        assert_eq!(said, "to all");
    }
    alice.ask(SERVER, &json!("Close")).await;
    for socket in &mut sockets {
        assert_eq!(socket.close_code().await, 1000);
    }
    eventually("nobody", PATIENCE, async || {
        let told = alice.ask(SERVER, &json!("Heard")).await;
        (told["open"] == 0).then_some(())
    })
    .await;
    // A path that was not bound.
    let deeper = format!("{path}/deeper");
    let refused = Socket::open(&address, &authority, &deeper, &[]).await;
    assert_eq!(refused.err(), Some(404));
}

#[tokio::test]
async fn a_client_is_told_to_reply_and_replies() {
    let host = Host::start();
    let alice = installed(&host, REPLIED).await;
    for _ in 0..2 {
        let url = through_tunnel(&alice, REPLIED);
        let mut client = Script::start("ws_client_with_reply.py", &[&url]);
        assert_eq!(client.line(), "the server says ack client connection");
        assert_eq!(client.line(), "it wants a Response");
        alice
            .printed(r#"the client replies "Hello from client" by a "#)
            .await;
        client.go_on();
        assert_eq!(client.line(), "done");
        client.finish();
        alice.printed("the client is gone").await;
    }
}
