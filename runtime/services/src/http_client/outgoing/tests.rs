//! What is sent for what is asked.

use super::*;

fn asked(method: &str, url: &str, headers: &[(&str, &str)]) -> Asked {
    let headers = headers.iter();
    Asked {
        method: method.to_owned(),
        version: None,
        url: url.to_owned(),
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn outgoing(method: &str, url: &str, headers: &[(&str, &str)]) -> Outgoing {
    Outgoing::new(asked(method, url, headers), Bytes::new()).unwrap()
}

#[test]
fn methods_have_any_case() {
    for (given, wanted) in [
        ("get", Some("GET")),
        ("Post", Some("POST")),
        ("PATCH", Some("PATCH")),
        ("propfind", Some("propfind")),
        ("CONNECT", None),
        ("connect", None),
        ("", None),
        ("A B", None),
        ("GET\r\nX: y", None),
    ] {
        let method = method(given);
        assert_eq!(method.as_ref().map(Method::as_str), wanted, "{given:?}");
    }
}

#[test]
fn only_urls_of_http_are_taken() {
    for url in [
        "",
        "/a",
        "example.com",
        "http://",
        "http:///",
        "ftp://example.com/",
        "ws://example.com/",
        "file:///etc/passwd",
        "unix:/run/a.sock",
        "http://exa mple.com/",
        "http://[::1",
        "http://example.com:99999/",
        "data:text/plain,hi",
    ] {
        let refused = Outgoing::new(asked("GET", url, &[]), Bytes::new());
        assert_eq!(refused.err(), Some(Failure::Url(url.to_owned())), "{url:?}");
    }
}

#[test]
fn a_request_has_two_forms() {
    let given = [("accept", "text/html"), ("X-A", "1")];
    let outgoing = outgoing("post", "http://me:p%40ss@Example.com:80/a?b=1#c", &given);
    let one = outgoing.one();
    assert_eq!(one.uri(), "/a?b=1");
    assert_eq!(one.headers()[HOST], "example.com");
    assert_eq!(one.headers()[CONTENT_LENGTH], "0");
    assert_eq!(one.headers()[AUTHORIZATION], "Basic bWU6cEBzcw==");
    assert_eq!(one.headers()[ACCEPT], "text/html");
    assert_eq!(one.headers()["x-a"], "1");
    assert_eq!(one.headers()[ACCEPT_ENCODING], ENCODINGS);
    assert_eq!(one.version(), Version::HTTP_11);
    let two = outgoing.two();
    assert_eq!(two.uri(), "http://example.com/a?b=1");
    assert!(!two.headers().contains_key(HOST));
    let outgoing = self::outgoing("GET", "http://[::1]:8080", &[("host", "other.com")]);
    assert_eq!(outgoing.one().headers()[HOST], "other.com");
    assert_eq!(outgoing.one().uri(), "/");
    assert_eq!(outgoing.two().uri(), "http://other.com/");
    let route = outgoing.route(&"a:b:c".parse().unwrap());
    assert_eq!((route.host.as_str(), route.port), ("[::1]", 8080));
}

#[test]
fn the_framing_is_the_hosts() {
    let given = [
        ("Connection", "x-a"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("upgrade", "websocket"),
        ("Keep-Alive", "1"),
        ("te", "trailers"),
        ("X-A", "kept"),
        ("Authorization", "mine"),
    ];
    let outgoing = outgoing("GET", "http://me@example.com/", &given);
    let names = outgoing.headers.keys().map(HeaderName::as_str);
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "authorization", "x-a"]);
    assert_eq!(outgoing.headers[AUTHORIZATION], "mine");
    for (name, value) in [("a b", "c"), ("", "c"), ("a", "b\r\nc: d"), ("a", "b\0")] {
        let refused = Outgoing::new(
            asked("GET", "http://example.com", &[(name, value)]),
            Bytes::new(),
        );
        assert!(
            matches!(refused, Err(Failure::Build(_))),
            "{name:?}: {value:?}"
        );
    }
}

#[test]
fn a_map_is_not_overfilled() {
    let headers = |count: usize| {
        let names = (0..count).map(|number| (format!("x-{number}"), String::new()));
        let mut asked = asked("GET", "http://example.com", &[]);
        asked.headers = names.collect();
        Outgoing::new(asked, Bytes::new())
    };
    assert!(headers(MAX_HEADERS).is_ok());
    for many in [MAX_HEADERS + 1, 100_000] {
        assert!(matches!(headers(many), Err(Failure::Build(_))));
    }
}

#[test]
fn whoever_asks_for_an_encoding_decodes_it_himself() {
    let url = "http://example.com";
    assert!(outgoing("GET", url, &[]).decodes);
    for (name, value) in [("Accept-Encoding", "gzip"), ("range", "bytes=0-9")] {
        let outgoing = outgoing("GET", url, &[(name, value)]);
        assert!(!outgoing.decodes);
        let encodings = outgoing.headers.get(ACCEPT_ENCODING);
        assert!(encodings.is_none_or(|given| given == "gzip"));
    }
}

#[test]
fn versions_are_spoken_or_said_not_to_be() {
    let spoken = |text: &str| version(Some(text));
    assert_eq!(version(None), Ok((Version::HTTP_11, Speaks::Any)));
    assert_eq!(spoken("HTTP/1.0"), Ok((Version::HTTP_10, Speaks::One)));
    assert_eq!(spoken("HTTP/1.1"), Ok((Version::HTTP_11, Speaks::One)));
    assert_eq!(spoken("HTTP/2.0"), Ok((Version::HTTP_11, Speaks::Two)));
    for text in ["HTTP/0.9", "HTTP/3.0"] {
        assert!(matches!(spoken(text), Err(Failure::Execute(_))));
    }
    for text in ["", "1.1", "HTTP/2", "http/1.1"] {
        assert_eq!(spoken(text), Err(Failure::Version(text.to_owned())));
    }
}
