use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use lifecycle::{Clock, ManualClock};
use serde_json::{Value, json};

use super::*;

const SECRET: [u8; 32] = [7; 32];

fn tokens(node: &str, secret: [u8; 32]) -> Tokens {
    Tokens::new(&node.parse().unwrap(), &Secret::new(secret))
}

/// A token with any header and claims, signed as HS256 with `secret`.
fn forge(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn headers(cookies: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for cookie in cookies {
        headers.append(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
    }
    headers
}

#[test]
fn only_our_fresh_hs256_tokens_are_accepted() {
    let ours = tokens("alice.dev", SECRET);
    let now = ManualClock::default();
    now.advance(1_000_000);
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    let good = json!({"username": "alice.dev", "subdomain": null, "expiration": 1_000_001});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let accepted = forge(&hs256, &good, &SECRET);
    let unsigned = accepted.rsplit_once('.').unwrap().0.to_owned();
    let mut tampered = accepted.clone().into_bytes();
    let middle = tampered.iter().position(|b| *b == b'.').unwrap() + 5;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    let kid = json!({"alg": "HS256", "kid": "../../dev/null"});
    for (name, token, wanted) in [
        ("as issued", accepted.clone(), true),
        ("kid is ignored", forge(&kid, &good, &SECRET), true),
        (
            "empty subdomain",
            forge(&hs256, &with("subdomain", json!("")), &SECRET),
            true,
        ),
        (
            "alg none, signed",
            forge(&json!({"alg": "none"}), &good, &SECRET),
            false,
        ),
        ("alg none, unsigned", format!("{unsigned}."), false),
        ("no signature", unsigned, false),
        (
            "RS256 header",
            forge(&json!({"alg": "RS256"}), &good, &SECRET),
            false,
        ),
        (
            "HS512 header",
            forge(&json!({"alg": "HS512"}), &good, &SECRET),
            false,
        ),
        ("foreign key", forge(&hs256, &good, &[8; 32]), false),
        (
            "foreign node",
            forge(&hs256, &with("username", json!("bob.dev")), &SECRET),
            false,
        ),
        (
            "case",
            forge(&hs256, &with("username", json!("Alice.dev")), &SECRET),
            false,
        ),
        (
            "expired",
            forge(&hs256, &with("expiration", json!(1_000_000)), &SECRET),
            false,
        ),
        (
            "never expires",
            forge(&hs256, &with("expiration", json!(0)), &SECRET),
            false,
        ),
        (
            "other subdomain",
            forge(&hs256, &with("subdomain", json!("a:b:c")), &SECRET),
            false,
        ),
        (
            "bad subdomain",
            forge(&hs256, &with("subdomain", json!("x")), &SECRET),
            false,
        ),
        ("no claims", forge(&hs256, &json!({}), &SECRET), false),
        ("tampered", String::from_utf8(tampered).unwrap(), false),
        ("empty", String::new(), false),
        ("dots", "..".to_owned(), false),
        ("long", "a".repeat(100_000), false),
    ] {
        let cookie = format!("kinode-auth_alice.dev={token}");
        assert_eq!(
            ours.accepts(&headers(&[&cookie]), None, now.now()),
            wanted,
            "{name}"
        );
    }
}

#[test]
fn cookies_count_by_name_and_subdomain() {
    let ours = tokens("alice.dev", SECRET);
    let now = ManualClock::default().now();
    let app: ProcessId = "main:app-store:sys".parse().unwrap();
    let value = |cookie: &str| cookie.split([';', '=']).nth(1).unwrap().to_owned();
    let plain = value(&ours.cookie(None, now, false).unwrap());
    let secure = value(&ours.cookie(Some(&app), now, false).unwrap());
    let plain_cookie = format!("kinode-auth_alice.dev={plain}");
    let accepts = |cookies: &[&str], subdomain| ours.accepts(&headers(cookies), subdomain, now);
    assert!(accepts(&[&plain_cookie], None));
    assert!(accepts(&[&format!("a=b; {plain_cookie}; c=d")], None));
    assert!(accepts(
        &[&format!("kinode-auth_alice.dev=junk; {plain_cookie}")],
        None
    ));
    assert!(accepts(
        &["kinode-auth_alice.dev=junk", &plain_cookie],
        None
    ));
    assert!(!accepts(&[&format!("kinode-auth_alice.de={plain}")], None));
    assert!(!accepts(&[&plain_cookie], Some(&app)));
    let named = |process: &str, token: &str| format!("kinode-auth_alice.dev@{process}={token}");
    assert!(accepts(
        &[&named("main:app-store:sys", &secure)],
        Some(&app)
    ));
    // Pages of old packages spell it their way.
    assert!(accepts(
        &[&named("main:app_store:sys", &secure)],
        Some(&app)
    ));
    assert!(!accepts(
        &[&named("main:app-store:sys", &plain)],
        Some(&app)
    ));
    assert!(!accepts(
        &[&format!("kinode-auth_alice.dev={secure}")],
        None
    ));
    assert!(!accepts(&[], None));
}

#[test]
fn attributes_are_attributes() {
    let ours = tokens("alice.dev", SECRET);
    let now = ManualClock::default().now();
    let cookie = ours.cookie(None, now, true).unwrap();
    for part in [
        "; Path=/",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Secure",
        "; Max-Age=15724800",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"));
    assert!(!ours.cookie(None, now, false).unwrap().contains("Secure"));
}
