//! Login cookies that are not: of other algorithms, keys, nodes and times.
//! Whoever brings one sees what a stranger sees.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::super::support::{Visitor, eventually, test_package};
use super::{Bed, PATIENCE};

/// For the owner only.
const PRIVATE: &str = "/counter:counter:tester.dev/private";
const NAME: &str = "kinode-auth_alice.dev";
const OTHER: &str = "kinode-auth_alice.dev@counter:counter:tester.dev";
const PASSWORD: &str = "node password";

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// HMAC by hand, of a hash with blocks of `block` bytes.
fn hmac<D: Digest>(key: &[u8], text: &[u8], block: usize) -> Vec<u8> {
    let mut padded = if key.len() > block {
        D::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    padded.resize(block, 0);
    let with = |byte: u8| padded.iter().map(|key| key ^ byte).collect::<Vec<u8>>();
    let inner = D::digest([&with(0x36)[..], text].concat());
    D::digest([&with(0x5c)[..], &inner[..]].concat()).to_vec()
}

/// A token with this head and these claims, signed as `algorithm` says.
fn token(head: &Value, claims: &Value, algorithm: &str, key: &[u8]) -> String {
    let signed = format!("{}.{}", part(head), part(claims));
    let text = signed.as_bytes();
    let signature = match algorithm {
        "HS256" => hmac::<Sha256>(key, text, 64),
        "HS384" => hmac::<Sha384>(key, text, 128),
        "HS512" => hmac::<Sha512>(key, text, 128),
        _ => Vec::new(),
    };
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// What a token says of alice's owner, until `expiration`.
fn claims(expiration: u64) -> Value {
    json!({"username": "alice.dev", "subdomain": null, "expiration": expiration})
}

/// Tokens that somebody made up, with what is wrong with them.
fn made_up() -> Vec<(String, String)> {
    let later = claims(4_000_000_000);
    let mut all = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let head = json!({"alg": none, "typ": "JWT"});
        let unsigned = token(&head, &later, "none", b"");
        all.push((format!("alg {none:?}"), unsigned.clone()));
        let bare = unsigned.trim_end_matches('.').to_owned();
        all.push((format!("alg {none:?} in two parts"), bare));
        let signed = token(&head, &later, "HS256", b"");
        all.push((format!("alg {none:?}, signed"), signed));
    }
    let zeros = [0; 32];
    let keys: [&[u8]; 8] = [
        b"",
        b"secret",
        b"alice.dev",
        b"alice",
        PASSWORD.as_bytes(),
        NAME.as_bytes(),
        &zeros,
        &[0xff; 64],
    ];
    for key in keys {
        for algorithm in ["HS256", "HS384", "HS512"] {
            let head = json!({"alg": algorithm, "typ": "JWT"});
            let what = format!("{algorithm} with the key {key:?}");
            all.push((what, token(&head, &later, algorithm, key)));
        }
    }
    for algorithm in [
        "RS256", "RS384", "RS512", "PS256", "PS512", "ES256", "ES384", "EdDSA", "hs256", "HS1",
    ] {
        let head = json!({"alg": algorithm, "typ": "JWT"});
        let what = format!("{algorithm}, signed with a shared key");
        all.push((what, token(&head, &later, "HS256", b"public key")));
    }
    for (field, value) in [
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' UNION SELECT '' --")),
        ("kid", json!(0)),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/certificate")),
        ("jwk", json!({"kty": "oct", "k": ""})),
        ("x5c", json!(["AAAA"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
    ] {
        let mut head = json!({"alg": "HS256", "typ": "JWT"});
        head[field] = value;
        all.push((field.to_owned(), token(&head, &later, "HS256", b"")));
    }
    let head = json!({"alg": "HS256", "typ": "JWT"});
    for (what, claims) in [
        ("expired", claims(1)),
        ("never expires", claims(u64::MAX)),
        (
            "no expiration",
            json!({"username": "alice.dev", "subdomain": null}),
        ),
        ("nobody", json!({})),
        ("no object", json!([])),
    ] {
        all.push((what.to_owned(), token(&head, &claims, "HS256", &zeros)));
    }
    all
}

/// What becomes of a token that is right in somebody's hands.
fn spoilt(good: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else {
        panic!("no token: {good}");
    };
    let decode = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let mut all = Vec::new();
    let mut add = |what: &str, text: String| all.push((what.to_owned(), text));
    let changed = |field: &str, value: Value| {
        let mut claims = decode(body);
        claims[field] = value;
        format!("{head}.{}.{signature}", part(&claims))
    };
    add("another user", changed("username", json!("bob.dev")));
    add(
        "another time",
        changed("expiration", json!(4_000_000_000_u64)),
    );
    add(
        "another subdomain",
        changed("subdomain", json!("counter:counter:tester.dev")),
    );
    add("another nonce", changed("jti", json!("0")));
    add("one field more", changed("admin", json!(true)));
    for algorithm in ["none", "HS384", "HS512", "RS256"] {
        let mut other = decode(head);
        other["alg"] = json!(algorithm);
        add(algorithm, format!("{}.{body}.{signature}", part(&other)));
        add("unsigned", format!("{}.{body}.", part(&other)));
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let half = URL_SAFE_NO_PAD.encode(&bytes[..16]);
    bytes[0] ^= 1;
    let flipped = URL_SAFE_NO_PAD.encode(&bytes);
    let hex = hex::encode(&bytes);
    for (what, signature) in [
        ("a flipped bit", flipped.as_str()),
        ("half a signature", half.as_str()),
        ("no signature", ""),
        ("a signature in hex", hex.as_str()),
        ("the body as signature", body),
    ] {
        add(what, format!("{head}.{body}.{signature}"));
    }
    add("two parts", format!("{head}.{body}"));
    add("four parts", format!("{good}.{signature}"));
    add(
        "parts in another order",
        format!("{body}.{head}.{signature}"),
    );
    add("doubled", format!("{good}{good}"));
    add("a dot before it", format!(".{good}"));
    add("in base64", STANDARD.encode(good));
    add("a space within", format!("{head}. {body}.{signature}"));
    add("upper case", good.to_uppercase());
    add("escaped dots", good.replace('.', "%2E"));
    all
}

/// What is nothing at all.
fn garbage() -> Vec<(String, String)> {
    let all = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        "a.b.c".to_owned(),
        "true".to_owned(),
        "null".to_owned(),
        "1".to_owned(),
        "undefined".to_owned(),
        "{}".to_owned(),
        "====".to_owned(),
        "e30.e30.".to_owned(),
        "e30.e30.e30".to_owned(),
        "W10.W10.W10".to_owned(),
        "%00%00%00".to_owned(),
        "x".repeat(4095),
        "x".repeat(20_000),
        format!("{0}.{0}.{0}", "e".repeat(3000)),
        ".".repeat(10_000),
        part(&json!({"a": "[".repeat(5000)})),
    ];
    let short = |text: &String| text.chars().take(20).collect();
    all.iter().map(|text| (short(text), text.clone())).collect()
}

struct Home {
    bed: Bed,
    stranger: Visitor,
    /// What a stranger is shown.
    login: String,
}

impl Home {
    async fn start() -> Self {
        let bed = Bed::start(&[]).await;
        bed.kit.install(&test_package("counter:tester.dev")).await;
        let stranger = Visitor::stranger("alice");
        let login = eventually("the login page", PATIENCE, async || {
            let page = stranger.get(&bed.host, PRIVATE).await;
            let is_there = page.status() == StatusCode::OK;
            is_there.then_some(page)
        })
        .await;
        let login = login.text().await.unwrap();
        assert!(login.contains("password"), "{login}");
        Self {
            bed,
            stranger,
            login,
        }
    }

    /// Whether these headers make somebody the owner. Who is not sees exactly
    /// what a stranger does.
    async fn lets_in(&self, headers: &[(&str, &str)]) -> bool {
        let sent = self
            .stranger
            .send(&self.bed.host, Method::GET, PRIVATE, "", headers);
        let answer = sent.await;
        if answer.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
            return false;
        }
        assert_eq!(answer.status(), StatusCode::OK, "{headers:?}");
        let text = answer.text().await.unwrap();
        if text == self.login {
            return false;
        }
        assert!(
            text.contains("\"node\":\"alice.dev\""),
            "{headers:?}: {text}"
        );
        true
    }

    async fn refuses(&self, what: &str, headers: &[(&str, &str)]) {
        assert!(!self.lets_in(headers).await, "{what}: {headers:?}");
    }

    async fn cookie_of(&self, label: &str) -> String {
        let visitor = Visitor::owner(&self.bed.host, &self.bed.api, label).await;
        let cookie = visitor.cookie().unwrap();
        cookie.split_once('=').unwrap().1.to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_nodes_own_logins_are_logins() {
    let home = Home::start().await;
    let good = home.cookie_of("alice").await;
    let good_cookie = format!("{NAME}={good}");
    assert!(home.lets_in(&[("cookie", &good_cookie)]).await);
    let table = [made_up(), spoilt(&good), garbage()].concat();
    println!("{} tokens", table.len());
    assert!(table.len() >= 100);
    for (what, token) in &table {
        for name in [NAME, OTHER] {
            let cookie = format!("{name}={token}");
            home.refuses(what, &[("cookie", &cookie)]).await;
        }
        let twice = format!("{NAME}={token}; {NAME}={token}");
        home.refuses(what, &[("cookie", &twice)]).await;
        let one = format!("{NAME}={token}");
        home.refuses(what, &[("cookie", &one), ("cookie", &one)])
            .await;
    }
    // The right token where none is looked for.
    for name in [
        "",
        "kinode-auth",
        "kinode-auth_",
        "kinode-auth_alice",
        "kinode-auth_bob.dev",
        "kinode-auth_alice.dev.evil",
        "KINODE-AUTH_ALICE.DEV",
        "kinode-auth_alice.dev@",
        "kinode-auth_alice.dev@a:b:c",
        OTHER,
        "__Host-kinode-auth_alice.dev",
        "berth-session",
    ] {
        let cookie = format!("{name}={good}");
        home.refuses(name, &[("cookie", &cookie)]).await;
    }
    let bearer = format!("Bearer {good}");
    home.refuses("a bearer", &[("authorization", &bearer)])
        .await;
    home.refuses("a header of its name", &[(NAME, &good)]).await;
    // Those of the dashboard and of its API are not of the node.
    let token = home.bed.api.token();
    for cookie in [
        format!("{NAME}={token}"),
        format!("berth-session={token}"),
        format!("__Host-berth-session={token}"),
    ] {
        home.refuses("an account's token", &[("cookie", &cookie)])
            .await;
    }
    assert!(home.lets_in(&[("cookie", &good_cookie)]).await, "still");
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_of_other_nodes_other_pages_and_other_days_are_none_here() {
    let home = Home::start().await;
    home.bed.api.create_node("bob").await;
    let bobs = home.cookie_of("bob").await;
    for name in [NAME, OTHER, "kinode-auth_bob.dev"] {
        let cookie = format!("{name}={bobs}");
        home.refuses("bob's login", &[("cookie", &cookie)]).await;
    }
    for (what, token) in spoilt(&bobs) {
        let cookie = format!("{NAME}={token}");
        home.refuses(&what, &[("cookie", &cookie)]).await;
    }
    // One for a package's own host is none for the node's.
    let form = format!(
        "password={}&subdomain=counter%3Acounter%3Atester.dev&redirect=%2F",
        PASSWORD.replace(' ', "+")
    );
    let below = format!("counter-tester-dev.{}", "alice.localhost");
    let signed_in = home.bed.api.node_form(&below, "/login", &form).await;
    if let Some(cookie) = signed_in.headers().get("set-cookie") {
        let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
        let (_, token) = cookie.split_once('=').unwrap();
        for cookie in [cookie.to_owned(), format!("{NAME}={token}")] {
            home.refuses("a login below", &[("cookie", &cookie)]).await;
        }
    }

    // Signed out, it is worth nothing, in any spelling.
    let owner = Visitor::owner(&home.bed.host, &home.bed.api, "alice").await;
    let given_up = owner.cookie().unwrap().to_owned();
    assert!(home.lets_in(&[("cookie", &given_up)]).await);
    let out = owner.send(&home.bed.host, Method::POST, "/logout", "", &[]);
    assert_eq!(out.await.status(), StatusCode::SEE_OTHER);
    home.refuses("signed out", &[("cookie", &given_up)]).await;
    let quoted = given_up.replacen('=', "=\"", 1) + "\"";
    home.refuses("signed out, quoted", &[("cookie", &quoted)])
        .await;

    // So is every one after a new password.
    let old = format!("{NAME}={}", home.cookie_of("alice").await);
    assert!(home.lets_in(&[("cookie", &old)]).await);
    let other = json!({"password": "another password"});
    let changed = home.bed.api.post("/nodes/alice/password", &other).await;
    assert_eq!(changed.status(), StatusCode::NO_CONTENT);
    home.refuses("of the old password", &[("cookie", &old)])
        .await;
    home.bed.api.hibernate("alice").await;
    for cookie in [&old, &given_up] {
        home.refuses("after a night", &[("cookie", cookie)]).await;
    }
}

#[test]
fn hmac_is_what_the_standard_says() {
    // RFC 4231, test case 2.
    let made = hmac::<Sha256>(b"Jefe", b"what do ya want for nothing?", 64);
    let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hex::encode(made), hex);
    let made = hmac::<Sha512>(b"Jefe", b"what do ya want for nothing?", 128);
    assert!(hex::encode(made).starts_with("164b7a7bfcf819e2e395fbe73b56e0a3"));
}
