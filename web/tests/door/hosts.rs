//! Which host name leads where.

use crate::support::{Host, options};
use tenant_manager::ManagerLimits;

#[tokio::test]
async fn names_lead_to_their_sites() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let welcome = |text: &str| text.contains("Berth") && text.contains("/sign-up");
    for apex in ["localhost", "LocalHost:8000", "127.0.0.1", "[::1]:1"] {
        let answer = host.get(apex, "/").await;
        assert_eq!(answer.status, 200, "{apex}");
        assert!(welcome(&answer.text()), "{apex}");
    }
    for node in [
        "alice.localhost",
        "ALICE.LOCALHOST:8000",
        "my-app.alice.localhost",
    ] {
        let answer = host.get(node, "/name").await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, "alice.dev".to_owned()),
            "{node}"
        );
    }
    for (other, status) in [
        ("bob.localhost", 404),
        ("www.localhost", 404),
        ("app.bob.localhost", 404),
        ("a.b.alice.localhost", 421),
        ("example.org", 421),
        ("192.0.2.1", 421),
        ("alice.localhost.example.org", 421),
        ("alice.localhost.", 400),
        ("localhost.", 400),
        ("al%69ce.localhost", 400),
        ("alice.localhost:x", 400),
        ("alice.localhost,bob.localhost", 400),
        ("\u{e4}lice.localhost", 400),
        // Names in punycode are names like any other; they are not decoded.
        ("xn--lice-5qa.localhost", 404),
        ("alice.xn--localhost-9za", 421),
        ("al_ice.localhost", 400),
        ("alice.local_host", 400),
        ("-alice.localhost", 400),
        ("alice-.localhost", 400),
        (".alice.localhost", 400),
        ("alice..localhost", 400),
        ("alice.localhost:", 400),
        ("alice.localhost:+80", 400),
        ("alice.localhost:65536", 400),
        ("alice.localhost:80:80", 400),
        ("alice.localhost/", 400),
        ("alice.localhost#", 400),
        ("alice.localhost?", 400),
        ("http://alice.localhost", 400),
        ("u@alice.localhost", 400),
        ("u:p@alice.localhost", 400),
        ("alice.localhost\\", 400),
        ("alice.localhost;x", 400),
        ("alice.localhost bob.localhost", 400),
        ("alice.localhost\tbob.localhost", 400),
        ("[::1", 400),
        ("[alice.localhost]", 400),
        ("2130706433", 421),
        ("0x7f000001", 421),
        ("", 400),
    ] {
        let answer = host.get(other, "/name").await;
        assert_eq!(answer.status, status, "{other}");
        assert!(answer.text().contains("<h1>"), "a page for people: {other}");
        let json = [("Accept", "application/json")];
        host.send("GET", other, "/name", &json, b"")
            .await
            .problem(status);
    }
}

#[tokio::test]
async fn one_request_has_one_host() {
    let host = Host::start().await;
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let end = "Connection: close\r\n\r\n";
    let same = format!("GET http://alice.localhost/x?y HTTP/1.1\r\nHost: Alice.Localhost\r\n{end}");
    let answer = host.raw(same).await.remove(0);
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(text.starts_with("Public GET /x?y\n"), "origin form: {text}");
    assert!(
        text.contains("host: Alice.Localhost"),
        "Host is untouched: {text}"
    );
    for request in [
        format!("GET http://alice.localhost/ HTTP/1.1\r\nHost: localhost\r\n{end}"),
        format!("GET http://localhost/ HTTP/1.1\r\nHost: alice.localhost\r\n{end}"),
        format!("GET http://u@alice.localhost/ HTTP/1.1\r\nHost: alice.localhost\r\n{end}"),
        format!("GET / HTTP/1.1\r\nHost: alice.localhost\r\nHost: alice.localhost\r\n{end}"),
        format!("GET / HTTP/1.1\r\nHost: alice.localhost\r\nhOST: localhost\r\n{end}"),
        format!("GET / HTTP/1.1\r\n{end}"),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
    ] {
        let answers = host.raw(&request).await;
        assert_eq!(answers.len(), 1, "{request:?}");
        assert_eq!(answers[0].status, 400, "{request:?}");
    }
    let old = host
        .raw("GET /name HTTP/1.0\r\nHost: alice.localhost\r\n\r\n")
        .await;
    assert_eq!(old[0].text(), "alice.dev");
    let connect = host.raw("CONNECT alice.localhost:80 HTTP/1.1\r\nHost: alice.localhost:80\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(connect[0].status, 405);
}

#[tokio::test]
async fn dashboard_and_nodes_may_have_domains_of_their_own() {
    let mut options = options();
    options.domain = "berth.example".to_owned();
    options.node_domain = "nodes.example".to_owned();
    options.public_url = Some("https://berth.example".to_owned());
    let host = Host::start_with(options, ManagerLimits::default()).await;
    assert_eq!(host.dashboard, "https://berth.example");
    assert_eq!(host.get("berth.example", "/").await.status, 200);
    for other in [
        "nodes.example",
        "localhost",
        "127.0.0.1",
        "alice.berth.example",
    ] {
        assert_eq!(host.get(other, "/").await.status, 421, "{other}");
    }
    assert_eq!(host.get("alice.nodes.example", "/").await.status, 404);
}
