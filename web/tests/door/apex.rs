//! The dashboard host's pages.

use tenant_manager::ManagerLimits;

use crate::support::{Host, options};

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let host = Host::start().await;
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/sign-in", 200),
        ("GET", "/nodes", 303),
        ("POST", "/sign-in", 403),
        ("GET", "/assets/berth.css", 200),
        ("GET", "/favicon.ico", 200),
        ("GET", "/robots.txt", 200),
        ("GET", "/api/openapi.json", 200),
        ("GET", "/nothing", 404),
        ("POST", "/", 405),
        ("GET", "/api/v1/account", 401),
        ("GET", "/api/v1/nothing", 404),
    ] {
        let answer = host.send(method, "localhost", path, &[], b"").await;
        assert_eq!(answer.status, status, "{path}");
        for (name, part) in [
            ("content-security-policy", "frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            let value = answer
                .header(name)
                .unwrap_or_else(|| panic!("{name} on {path}"));
            assert!(value.contains(part), "{name}: {value} on {path}");
        }
        assert_eq!(answer.header("strict-transport-security"), None, "{path}");
    }
}

#[tokio::test]
async fn behind_tls_browsers_are_told_to_keep_to_it() {
    let mut options = options();
    options.public_url = Some("https://localhost".to_owned());
    let host = Host::start_with(options, ManagerLimits::default()).await;
    for path in ["/", "/nodes", "/api/v1/account", "/nothing"] {
        let answer = host.get("localhost", path).await;
        let told = answer.header("strict-transport-security");
        assert_eq!(told, Some("max-age=31536000"), "{path}");
    }
    let token = host.sign_up("ann@example.org").await;
    host.make_node(&token, "alice").await;
    let node = host.get("alice.localhost", "/name").await;
    assert_eq!(node.header("strict-transport-security"), None);
}

#[tokio::test]
async fn the_front_page_tells_the_real_addresses() {
    let host = Host::start().await;
    let answer = host.get("localhost", "/").await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let text = answer.text();
    let port = host.address.port();
    assert_eq!(host.dashboard, format!("http://localhost:{port}"));
    assert!(text.contains(&format!(".localhost:{port}")), "{text}");
    assert!(text.contains("ssh -p 2222 alice@localhost"), "{text}");
}

#[tokio::test]
async fn the_description_is_served() {
    let host = Host::start().await;
    let answer = host.get("localhost", "/api/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text(), web::openapi_json());
    let document = answer.json();
    let paths = document["paths"].as_object().unwrap();
    // Every described operation is routed: none is unknown, none has another
    // method than those described.
    for (path, item) in paths {
        let path = path.replace("{label}", "alice");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let described = item.get(method.to_lowercase()).is_some();
            let answer = host.send(method, "localhost", &path, &[], b"").await;
            assert_eq!(
                answer.status == 405,
                !described,
                "{method} {path}: {}",
                answer.text()
            );
            assert_ne!(answer.status, 404, "{method} {path}");
        }
    }
}
