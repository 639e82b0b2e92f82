//! Chat between two nodes: terminal, script, kit, page and WebSocket.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::sockets::Socket;
use super::super::support::{Host, Visitor, json as body_of};
use super::Node;

const CHAT: &str = "my_chat_app:my_chat_app:template.os";
const PACKAGE: &str = "my_chat_app:template.os";

fn said(author: &str, content: &str) -> Value {
    json!({"author": author, "content": content})
}

/// What `node` remembers of `with`.
async fn history(node: &Node, with: &str) -> Value {
    let answer = node.ask(CHAT, &json!({ "History": with })).await;
    answer["History"].clone()
}

async fn both_chat(host: &Host) -> (Node, Node) {
    let (alice, bob) = super::two_nodes(host).await;
    for node in [&alice, &bob] {
        node.install(PACKAGE).await;
        node.printed("begin").await;
    }
    (alice, bob)
}

#[tokio::test]
async fn two_nodes_chat_at_their_terminals() {
    let host = Host::start();
    let (alice, bob) = both_chat(&host).await;
    let line = |target: &str, message: &str| {
        let body = json!({"Send": {"target": target, "message": message}});
        format!("m our@{CHAT} '{body}'")
    };
    let mut screen = bob.ssh.shell();
    screen.expect("bob.dev > ");
    assert_eq!(alice.run(&line("bob.dev", "hello world")), "");
    screen.expect("alice.dev: hello world");
    let told = bob.run(&format!("{} -a 5", line("alice.dev", "wow, it works!")));
    assert!(told.ends_with(r#""Send""#), "{told}");
    alice.printed("bob.dev: wow, it works!").await;

    // From outside, and by the script.
    let injected = json!({"Send": {"target": "bob.dev", "message": "from outside"}});
    assert_eq!(alice.ask(CHAT, &injected).await, json!("Send"));
    let sent = bob.run("send:my_chat_app:template.os alice.dev and by a script");
    assert_eq!(sent, "sent to alice.dev");
    alice.printed("bob.dev: and by a script").await;
    let usage = bob.run("send:my_chat_app:template.os alice.dev");
    assert!(
        usage.starts_with("usage: send:my_chat_app:template.os"),
        "{usage}"
    );

    let both = json!([
        said("alice.dev", "hello world"),
        said("bob.dev", "wow, it works!"),
        said("alice.dev", "from outside"),
        said("bob.dev", "and by a script"),
    ]);
    assert_eq!(history(&alice, "bob.dev").await, both);
    assert_eq!(history(&bob, "alice.dev").await, both);
    assert_eq!(history(&bob, "carol.dev").await, json!([]));

    // Nobody is called carol, and bob is no loudspeaker for others.
    let lost = alice.run("send:my_chat_app:template.os carol.dev hello?");
    assert_eq!(lost, "carol.dev did not get it");
    alice.printed("carol.dev did not take it: Offline").await;
    assert_eq!(history(&alice, "carol.dev").await, json!([]));
    let body = json!({"Send": {"target": "alice.dev", "message": "in the name of bob"}});
    let told = alice.run(&format!("m bob.dev@{CHAT} '{body}' -a 1"));
    assert!(told.ends_with("timed out"), "{told}");
    assert_eq!(history(&alice, "bob.dev").await, both);

    // Asleep, bob is woken by what he is told; he was not there to remember
    // the rest.
    bob.hibernate().await;
    let sent = alice.run("send:my_chat_app:template.os bob.dev good morning");
    assert_eq!(sent, "sent to bob.dev");
    bob.api.wait_for_status("bob", "active").await;
    bob.printed("alice.dev: good morning").await;
    let anew = json!([said("alice.dev", "good morning")]);
    assert_eq!(history(&bob, "alice.dev").await, anew);
}

#[tokio::test]
async fn the_page_says_hears_and_is_live() {
    let host = Host::start();
    let (alice, bob) = both_chat(&host).await;
    let owner = Visitor::owner(&host, &alice.api, "alice").await;
    let base = format!("/{CHAT}");
    let page = owner.page(&host, &format!("{base}/")).await;
    assert!(page.contains("<h1>Chat</h1>"), "{page}");
    let messages = format!("{base}/messages");
    let archive = body_of(owner.get(&host, &messages).await).await;
    assert_eq!(archive, json!({}));

    let origin = format!("http://{}", owner.authority(&host));
    let signed_in = [
        ("cookie", owner.cookie().unwrap()),
        ("origin", origin.as_str()),
    ];
    let authority = owner.authority(&host);
    let path = format!("{base}/");
    let address = host.http();
    let open = || Socket::open(&address, &authority, &path, &signed_in);
    let mut socket = open().await.unwrap();
    let news = async |socket: &mut Socket| -> Value {
        let text = socket.next().await.into_text().unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let told = |author: &str, content: &str| json!({"NewMessage": {"chat": "bob.dev", "author": author, "content": content}});
    let line =
        |content: &str| json!({"Send": {"target": "bob.dev", "message": content}}).to_string();
    // A page may say it on the socket itself. The chat certainly hears of a
    // socket before it hears what comes on it, so from here on it knows of it.
    socket.send(line("by socket").into()).await;
    assert_eq!(news(&mut socket).await, told("alice.dev", "by socket"));
    bob.printed("alice.dev: by socket").await;
    let post = |body: String| {
        let (owner, host, messages) = (&owner, &host, &messages);
        async move { owner.send(host, Method::POST, messages, &body, &[]).await }
    };
    assert_eq!(
        post(line("from a page")).await.status(),
        StatusCode::CREATED
    );
    assert_eq!(news(&mut socket).await, told("alice.dev", "from a page"));
    bob.printed("alice.dev: from a page").await;
    let sent = bob.run("send:my_chat_app:template.os alice.dev to a page");
    assert_eq!(sent, "sent to alice.dev");
    assert_eq!(news(&mut socket).await, told("bob.dev", "to a page"));
    let archive = body_of(owner.get(&host, &messages).await).await;
    assert_eq!(
        archive,
        json!({"bob.dev": [
            said("alice.dev", "by socket"),
            said("alice.dev", "from a page"),
            said("bob.dev", "to a page"),
        ]})
    );

    // What the page gets wrong, and who is not the owner.
    for (body, status) in [
        ("not JSON".to_owned(), StatusCode::BAD_REQUEST),
        (
            json!({"History": "bob.dev"}).to_string(),
            StatusCode::BAD_REQUEST,
        ),
        (
            json!({"Send": {"target": "carol.dev", "message": "?"}}).to_string(),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
    ] {
        assert_eq!(post(body.clone()).await.status(), status, "{body}");
    }
    let put = owner.send(&host, Method::PUT, &messages, "{}", &[]).await;
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
    let (_, stranger) = alice.api.node_get("alice.localhost", &messages).await;
    assert!(!stranger.contains("from a page"), "{stranger}");
    assert!(
        Socket::open(&host.http(), &authority, &path, &[])
            .await
            .is_err()
    );

    // With the page closed and opened again, all goes on.
    drop(socket);
    let mut again = open().await.unwrap();
    again.send(line("back again").into()).await;
    assert_eq!(news(&mut again).await, told("alice.dev", "back again"));
    let sent = bob.run("send:my_chat_app:template.os alice.dev still there?");
    assert_eq!(sent, "sent to alice.dev");
    assert_eq!(news(&mut again).await, told("bob.dev", "still there?"));
}
