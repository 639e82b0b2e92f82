use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use lifecycle::{Clock, ManualClock};
use serde_json::{Value, json};

use super::*;

const SECRET: [u8; 32] = [7; 32];
/// Seconds since 1970.
const NOW: i64 = 1_000_000;

fn hs256() -> Value {
    json!({"alg": "HS256", "typ": "JWT"})
}

fn tokens(node: &str, secret: [u8; 32]) -> Tokens {
    Tokens::new(
        &node.parse().unwrap(),
        &Secret::new(secret),
        SignedOut::default(),
    )
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

/// What a token of ours says, with one claim changed.
fn claims(changed: Option<(&str, Value)>) -> Value {
    let mut claims = json!({"username": "alice.dev", "subdomain": null, "expiration": NOW + 1});
    if let Some((name, value)) = changed {
        claims[name] = value;
    }
    claims
}

fn accepted(token: &str) -> bool {
    let now = ManualClock::default();
    now.advance(NOW);
    let cookie = format!("kinode-auth_alice.dev={token}");
    tokens("alice.dev", SECRET).accepts(&headers(&[&cookie]), None, now.now())
}

#[test]
fn only_hs256_with_our_key_is_accepted() {
    let good = claims(None);
    let token = forge(&hs256(), &good, &SECRET);
    let unsigned = token.rsplit_once('.').unwrap().0.to_owned();
    let mut tampered = token.clone().into_bytes();
    let middle = tampered.iter().position(|b| *b == b'.').unwrap() + 5;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    let kid = json!({"alg": "HS256", "kid": "../../dev/null"});
    let none = json!({"alg": "none"});
    let rs256 = json!({"alg": "RS256"});
    let hs512 = json!({"alg": "HS512"});
    for (name, token, wanted) in [
        ("as issued", token, true),
        ("kid is ignored", forge(&kid, &good, &SECRET), true),
        ("alg none, signed", forge(&none, &good, &SECRET), false),
        ("alg none, unsigned", format!("{unsigned}."), false),
        ("no signature", unsigned, false),
        ("RS256 header", forge(&rs256, &good, &SECRET), false),
        ("HS512 header", forge(&hs512, &good, &SECRET), false),
        ("foreign key", forge(&hs256(), &good, &[8; 32]), false),
        ("tampered", String::from_utf8(tampered).unwrap(), false),
        ("empty", String::new(), false),
        ("dots", "..".to_owned(), false),
        ("long", "a".repeat(100_000), false),
    ] {
        assert_eq!(accepted(&token), wanted, "{name}");
    }
}

#[test]
fn only_fresh_tokens_of_this_node_are_accepted() {
    for (name, changed, wanted) in [
        ("as issued", None, true),
        ("with an id", Some(("jti", json!("1"))), true),
        ("empty subdomain", Some(("subdomain", json!(""))), true),
        ("foreign node", Some(("username", json!("bob.dev"))), false),
        ("case", Some(("username", json!("Alice.dev"))), false),
        ("expired", Some(("expiration", json!(NOW))), false),
        ("never expires", Some(("expiration", json!(0))), false),
        (
            "other subdomain",
            Some(("subdomain", json!("a:b:c"))),
            false,
        ),
        ("bad subdomain", Some(("subdomain", json!("x"))), false),
    ] {
        let token = forge(&hs256(), &claims(changed), &SECRET);
        assert_eq!(accepted(&token), wanted, "{name}");
    }
    assert!(
        !accepted(&forge(&hs256(), &json!({}), &SECRET)),
        "no claims"
    );
}

#[test]
fn a_login_that_was_given_up_stays_so_in_every_spelling() {
    let signed_out = SignedOut::default();
    let our = "alice.dev".parse().unwrap();
    let ours = Tokens::new(&our, &Secret::new(SECRET), signed_out.clone());
    let now = ManualClock::default().now();
    let [one, two] = [1, 2].map(|nonce| ours.cookie(None, nonce, now, false).unwrap());
    let [one, two] = [&one, &two].map(|cookie| headers(&[cookie.split(';').next().unwrap()]));
    let ended = ours.sessions(&one, now);
    assert_eq!(ended.len(), 1);
    signed_out.add(&ended, now);
    assert!(!ours.accepts(&one, None, now) && ours.accepts(&two, None, now));
    assert!(ours.sessions(&one, now).is_empty());
    assert_eq!(session_of("a.b.c"), session_of("a.b.d"));
    assert_ne!(session_of("a.b.c"), session_of("a.d.c"));
}

#[test]
fn cookies_count_by_name_and_subdomain() {
    let ours = tokens("alice.dev", SECRET);
    let now = ManualClock::default().now();
    let app: ProcessId = "main:app-store:sys".parse().unwrap();
    let value = |cookie: &str| cookie.split([';', '=']).nth(1).unwrap().to_owned();
    let plain = value(&ours.cookie(None, 1, now, false).unwrap());
    let secure = value(&ours.cookie(Some(&app), 2, now, false).unwrap());
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
    let cookie = ours.cookie(None, 1, now, true).unwrap();
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
    assert!(!ours.cookie(None, 1, now, false).unwrap().contains("Secure"));
}
