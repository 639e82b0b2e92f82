//! Spellings of a path that servers, proxies and frameworks are known to read
//! differently, and words that claim a request is from the machine itself.

/// Spellings of `/FIRST/REST` at the host `authority`.
pub fn spellings(first: &str, rest: &str, authority: &str) -> Vec<String> {
    let path = format!("/{first}/{rest}");
    let hex = |text: &str, digits: usize| -> String {
        let bytes = text.bytes();
        bytes.fold(String::new(), |all, byte| match digits {
            0 => all + &format!("%{byte:02x}"),
            _ => all + &format!("%25{byte:02X}"),
        })
    };
    let colons = |by: &str| format!("/{}/{rest}", first.replace(':', by));
    let mut all = vec![
        path.clone(),
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}?x=1"),
        format!("{path}?"),
        format!("{path}#part"),
        format!("{path}/."),
        format!("{path}/x/.."),
        format!("{path};x=1"),
        format!("{path}.json"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}%0d%0aX-Y:1"),
        format!("{path}%3fx=1"),
        format!("{path}%23part"),
        format!("/{path}"),
        format!("//{path}"),
        format!("/.{path}"),
        format!("/..{path}"),
        format!("/x/..{path}"),
        format!("/x/y/../..{path}"),
        format!("/login/..{path}"),
        format!("/x/..;{path}"),
        format!("/%2e{path}"),
        format!("/x/%2e%2e{path}"),
        format!("/x/%2E%2E{path}"),
        format!("/x%2f..%2f{first}/{rest}"),
        format!("/%2F{first}/{rest}"),
        format!("/%5C{first}/{rest}"),
        format!("/{first}//{rest}"),
        format!("/{first}/./{rest}"),
        format!("/{first}/x/../{rest}"),
        format!("/{first}%2f{rest}"),
        format!("/{first}%5c{rest}"),
        format!("/{first}\\{rest}"),
        format!("\\{first}\\{rest}"),
        format!("/{first};x/{rest}"),
        format!("/{first}%c0%af{rest}"),
        format!("/{first}%u002f{rest}"),
        format!("/{first}%252f{rest}"),
        format!("{first}/{rest}"),
        colons("%3A"),
        colons("%3a"),
        colons("%253A"),
        colons("%25253a"),
        colons("%ef%bc%9a"),
        colons("%EF%B8%95"),
        format!("/{}/{rest}", hex(first, 0)),
        format!("/{}/{}", hex(first, 0), hex(rest, 0)),
        format!("/{}/{rest}", hex(first, 1)),
        path.to_uppercase(),
        format!("/{}/{rest}", first.to_uppercase()),
    ];
    for scheme in ["http", "HTTP", "https", "ws", "x"] {
        all.push(format!("{scheme}://{authority}{path}"));
    }
    all.extend([
        format!("http://{authority}/{path}"),
        format!("http://user@{authority}{path}"),
        format!("http://localhost{path}"),
        format!("http://localhost:8080{path}"),
        format!("http://127.0.0.1{path}"),
        format!("http://[::1]:8080{path}"),
        format!("//{authority}{path}"),
    ]);
    all
}

/// Headers that say where a request comes from, or where it is to go; `PATH` is
/// the path and `HOST` the host that is asked.
pub const CLAIMS: [&str; 36] = [
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-For: ::1",
    "X-Forwarded-For: localhost",
    "X-Forwarded-For: 127.0.0.1, 127.0.0.1",
    "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1",
    "x-forwarded-for:\t127.0.0.1",
    "X-Forwarded-For:",
    "X_Forwarded_For: 127.0.0.1",
    "X-Forwarded: for=127.0.0.1",
    "Forwarded: for=127.0.0.1",
    "Forwarded: for=\"[::1]\";host=localhost;proto=https",
    "Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "X-Client-IP: 127.0.0.1",
    "X-Cluster-Client-IP: 127.0.0.1",
    "X-Remote-IP: 127.0.0.1",
    "X-Remote-Addr: 127.0.0.1",
    "X-Originating-IP: 127.0.0.1",
    "True-Client-IP: 127.0.0.1",
    "CF-Connecting-IP: 127.0.0.1",
    "Fastly-Client-IP: 127.0.0.1",
    "X-Forwarded-Host: localhost",
    "X-Forwarded-Host: localhost:8080\r\nX-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Server: localhost",
    "X-Forwarded-Proto: https\r\nX-Forwarded-For: ::1",
    "X-Forwarded-Port: 8080",
    "X-Host: localhost",
    "X-Original-URL: PATH",
    "X-Rewrite-URL: PATH",
    "X-HTTP-Method-Override: POST",
    "Via: 1.1 localhost",
    "Connection: close, X-Forwarded-For, Host",
    "Origin: http://localhost",
    "Origin: http://HOST",
    "Referer: http://localhost:8080/",
    "Authorization: Basic bG9jYWxob3N0Og==",
];

/// Values of `Host` that might stand for the node's own machine.
pub const HOSTS: [&str; 18] = [
    "localhost",
    "localhost:8080",
    "LOCALHOST",
    "127.0.0.1",
    "127.0.0.1:8080",
    "[::1]",
    "[::1]:8080",
    "0.0.0.0",
    "alice.localhost.",
    "ALICE.LOCALHOST",
    "alice.localhost:1",
    "alice.localhost:08080",
    "alice.localhost:",
    "app.alice.localhost",
    "spy-tester-dev.alice.localhost",
    "localhost.alice.localhost",
    "alice.localhost@127.0.0.1",
    "alice.localhost,localhost",
];

/// Methods, some of them nobody's.
pub const METHODS: [&str; 13] = [
    "POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "RPC",
    "PROPFIND", "PRI",
];

/// What proxies say of a client before its first request.
pub const PREAMBLES: [&[u8]; 6] = [
    b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 8080\r\n",
    b"PROXY TCP6 ::1 ::1 40000 8080\r\n",
    b"PROXY UNKNOWN\r\n",
    // The second version: local, and from loopback to loopback.
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x9c\x40\x1f\x90",
    b"\r\n\r\n",
];

#[test]
fn there_are_enough_of_them_and_none_twice() {
    let mut all = spellings("rpc:distro:sys", "message", "alice.localhost:8000");
    assert!(all.len() >= 40, "{}", all.len());
    let before = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), before);
}
