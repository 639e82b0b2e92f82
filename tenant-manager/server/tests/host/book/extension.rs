//! An extension in Python: work that goes out to it and results that come back.

use base64::Engine as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::super::sockets::Socket;
use super::super::support::{Host, Visitor, eventually};
use super::script::Script;
use super::{Node, PATIENCE};

const EXTENSION: &str = "extension:extension:template.os";

/// Just enough MessagePack for what is said to the extension and by it.
mod pack {
    /// A map of strings to values that are packed already.
    pub fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0x80 | u8::try_from(pairs.len()).unwrap()];
        for (name, value) in pairs {
            bytes.extend(text(name));
            bytes.extend_from_slice(value);
        }
        bytes
    }

    /// A string.
    pub fn text(text: &str) -> Vec<u8> {
        let length = u16::try_from(text.len()).unwrap();
        let mut bytes = match length {
            0..32 => vec![0xa0 | text.len() as u8],
            _ => [&[0xda], &length.to_be_bytes()[..]].concat(),
        };
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    /// A number.
    pub fn number(number: u32) -> Vec<u8> {
        [&[0xce], &number.to_be_bytes()[..]].concat()
    }

    /// Bytes.
    pub fn bytes(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap();
        [&[0xc6], &length.to_be_bytes()[..], bytes].concat()
    }
}

async fn installed(host: &Host) -> Node {
    let alice = Node::create(host, "alice").await;
    alice.install("extension:template.os").await;
    alice.has_begun(EXTENSION).await;
    alice
}

/// Starts the extension at the local end of the owner's tunnel.
fn connect(node: &Node) -> Script {
    let url = format!("ws://localhost:{}/{EXTENSION}", node.tunnel_port());
    Script::start("extension.py", &[&url])
}

async fn is_connected(node: &Node, connected: bool) {
    eventually("the extension", PATIENCE, async || {
        let told = node.ask(EXTENSION, &json!("Connected")).await;
        (told["Connected"] == connected).then_some(())
    })
    .await;
}

/// Has the extension work; what it says, or why not.
async fn run(node: &Node, work: &[u8]) -> Result<Vec<u8>, String> {
    let told = node
        .kit
        .rpc(EXTENSION, r#""Run""#, Some(work), Some(15))
        .await;
    let answer: Value = serde_json::from_str(&told.body).unwrap();
    match answer["Run"]["Err"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(told.blob.expect("a result")),
    }
}

fn work(op: &str, rest: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut pairs = vec![("op", pack::text(op))];
    pairs.extend_from_slice(rest);
    pack::map(&pairs)
}

fn ok(result: Vec<u8>) -> Result<Vec<u8>, String> {
    Ok(pack::map(&[("ok", result)]))
}

#[tokio::test]
async fn python_beside_the_node_does_an_apps_work() {
    let host = Host::start();
    let alice = installed(&host).await;
    let none = run(&alice, &work("factorial", &[])).await;
    assert_eq!(none, Err("no extension is connected".to_owned()));

    let extension = connect(&alice);
    assert_eq!(extension.line(), "connected");
    is_connected(&alice, true).await;
    let factorial = work("factorial", &[("n", pack::number(25))]);
    let result = run(&alice, &factorial).await;
    assert_eq!(result, ok(pack::text("15511210043330985984000000")));
    let upper = work("upper", &[("text", pack::text("grüße"))]);
    assert_eq!(run(&alice, &upper).await, ok(pack::text("GRÜSSE")));
    // Much either way.
    let size = 400_000;
    let large = pack::bytes(&super::content(size as usize));
    let length = work("length", &[("bytes", large)]);
    assert_eq!(run(&alice, &length).await, ok(pack::number(size)));
    let bytes = work("bytes", &[("n", pack::number(size))]);
    let sevens = pack::bytes(&vec![7; size as usize]);
    assert!(run(&alice, &bytes).await == ok(sevens));
    // What goes wrong out there is a result as well.
    let wrong = run(&alice, &work("factorial", &[("n", pack::text("x"))])).await;
    let wrong = String::from_utf8_lossy(&wrong.unwrap()).into_owned();
    assert!(wrong.contains("TypeError"), "{wrong}");

    // A reply may be wanted as a request of its own.
    let told = alice.ask(EXTENSION, &json!({"Tell": "stressed"})).await;
    assert_eq!(told, json!("Tell"));
    alice.printed(r#"the extension says "desserts""#).await;

    // Work that is left undone is given up, and the next is not mistaken for it.
    let undone = run(&alice, &work("nothing", &[])).await;
    assert_eq!(undone, Err("the extension did not answer".to_owned()));
    assert_eq!(extension.line(), "this is left undone");
    assert_eq!(run(&alice, &upper).await, ok(pack::text("GRÜSSE")));

    // It leaves, and another one comes.
    let left = run(&alice, &work("leave", &[])).await;
    assert_eq!(left, Err("the extension did not answer".to_owned()));
    assert_eq!(extension.line(), "done");
    extension.finish();
    is_connected(&alice, false).await;
    let extension = connect(&alice);
    assert_eq!(extension.line(), "connected");
    is_connected(&alice, true).await;
    assert_eq!(run(&alice, &upper).await, ok(pack::text("GRÜSSE")));
    // Its end is the node's.
    let stopped = alice.api.act("/nodes/alice/stop").await;
    assert!(stopped.status().is_success());
    let told = extension.line();
    assert!(told.starts_with("closed with "), "{told}");
}

#[tokio::test]
async fn other_nodes_have_the_extension_work_for_them() {
    let host = Host::start();
    let alice = installed(&host).await;
    let bob = Node::create(&host, "bob").await;
    let extension = connect(&alice);
    assert_eq!(extension.line(), "connected");
    is_connected(&alice, true).await;
    let line = format!("m alice.dev@{EXTENSION} -a 10 '\"Connected\"'");
    let told = bob.run(&line);
    assert!(told.ends_with(r#"{"Connected":true}"#), "{told}");
    let line = format!("m alice.dev@{EXTENSION} -a 10 '{{\"Tell\": \"from bob\"}}'");
    let told = bob.run(&line);
    assert!(told.ends_with(r#""Tell""#), "{told}");
    alice.printed(r#"the extension says "bob morf""#).await;
}

#[tokio::test]
async fn nobody_outside_is_the_extension() {
    let host = Host::start();
    let alice = installed(&host).await;
    let owner = Visitor::owner(&host, &alice.api, "alice").await;
    let authority = owner.authority(&host);
    let origin = format!("http://{authority}");
    let signed_in = [
        ("cookie", owner.cookie().unwrap()),
        ("origin", origin.as_str()),
    ];
    let address = host.http();
    let pretended = [("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1")];
    let encoded = EXTENSION.replace(':', "%3A");
    for path in [
        format!("/{EXTENSION}"),
        format!("/{EXTENSION}/"),
        format!("//{EXTENSION}"),
        format!("/{encoded}"),
        format!("/./{EXTENSION}"),
        format!("/x/../{EXTENSION}"),
    ] {
        for headers in [&[][..], &signed_in, &pretended] {
            let opened = Socket::open(&address, &authority, &path, headers).await;
            assert!(opened.is_err(), "{path} {headers:?}");
        }
    }
    is_connected(&alice, false).await;
    // A page of somebody's that the owner has open beside the tunnel is not it.
    let tunnel = format!("127.0.0.1:{}", alice.tunnel_port());
    let here = format!("localhost:{}", alice.tunnel_port());
    let foreign = [("origin", "http://mallory.example")];
    let path = format!("/{EXTENSION}");
    let opened = Socket::open(&tunnel, &here, &path, &foreign).await;
    assert!(opened.is_err());
    is_connected(&alice, false).await;

    // What is no MessagePack of the protocol does the app no harm.
    let mut odd = Socket::open(&tunnel, &here, &path, &[]).await.unwrap();
    is_connected(&alice, true).await;
    for text in ["kAHBAQ==", "gaA=", "////", ""] {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        odd.send(Message::Binary(bytes.unwrap().into())).await;
    }
    is_connected(&alice, true).await;
    drop(odd);
    is_connected(&alice, false).await;
}
