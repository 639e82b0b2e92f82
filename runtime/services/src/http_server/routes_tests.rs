use proptest::prelude::*;

use super::*;

fn id(text: &str) -> ProcessId {
    text.parse().unwrap()
}

fn open() -> Flags {
    Flags {
        fallback: true,
        ..Flags::default()
    }
}

/// Pattern, parameters, and whether it is a fallback.
type Match = (String, Vec<(String, String)>, bool);

fn found(routes: &Routes, path: &str) -> Option<Match> {
    routes.find(path).map(|found| {
        let params = found.params.into_iter().collect();
        (found.route.path.clone(), params, found.by_fallback)
    })
}

#[test]
fn stored_paths_carry_the_owner_and_lose_one_slash() {
    let app = id("chat:my-pkg:alice.dev");
    let homepage = id(HOMEPAGE);
    for (owner, path, wanted) in [
        (&app, "/", "/chat:my-pkg:alice.dev"),
        (&app, "", "/chat:my-pkg:alice.dev"),
        (&app, "/a", "/chat:my-pkg:alice.dev/a"),
        (&app, "a/b/", "/chat:my-pkg:alice.dev/a/b"),
        (&app, "/a//", "/chat:my-pkg:alice.dev/a/"),
        (
            &app,
            "/other:app:sys",
            "/chat:my-pkg:alice.dev/other:app:sys",
        ),
        (&homepage, "/", "/"),
        (&homepage, "/our/", "/our"),
        (&homepage, "our", "/our"),
    ] {
        assert_eq!(stored_path(owner, path), wanted, "{owner} {path}");
    }
}

#[test]
fn literal_beats_parameter_beats_wildcard() {
    let app = id("p:k:g");
    let mut routes = Routes::default();
    for path in [
        "/",
        "/a",
        "/:x",
        "/*rest",
        "/a/:x/c",
        "/a/b/*",
        "/:x/b/c",
        "/f/*mid/end",
    ] {
        routes.bind(&app, path, open()).unwrap();
    }
    for (path, pattern, params) in [
        ("/p:k:g", "", vec![]),
        ("/p:k:g/a", "/a", vec![]),
        ("/p:k:g/z", "/:x", vec![("x", "z")]),
        ("/p:k:g/%7e", "/:x", vec![("x", "%7e")]),
        ("/p:k:g/z/y", "/*rest", vec![("rest", "z/y")]),
        ("/p:k:g/a/q/c", "/a/:x/c", vec![("x", "q")]),
        // More literals win over an earlier one.
        ("/p:k:g/a/b/c", "/:x/b/c", vec![("x", "a")]),
        ("/p:k:g/a/b/d", "/a/b/*", vec![]),
        ("/p:k:g/f/1/2/end", "/f/*mid/end", vec![("mid", "1/2")]),
        ("/p:k:g/f//2/end", "/f/*mid/end", vec![("mid", "/2")]),
        ("/p:k:g/f//end", "/*rest", vec![("rest", "f//end")]),
        ("/p:k:g/f/end", "/*rest", vec![("rest", "f/end")]),
    ] {
        let wanted_params = params
            .into_iter()
            .map(|(n, v): (&str, &str)| (n.into(), v.into()));
        let wanted = (format!("/p:k:g{pattern}"), wanted_params.collect(), false);
        assert_eq!(found(&routes, path), Some(wanted), "{path}");
    }
    assert_eq!(found(&routes, "//p:k:g/a"), None);
    assert_eq!(found(&routes, "/q:k:g/a"), None);
}

#[test]
fn the_root_answers_for_nothing_but_itself() {
    let mut routes = Routes::default();
    routes.bind(&id(HOMEPAGE), "/", open()).unwrap();
    let root = Some(("/".to_owned(), vec![], false));
    assert_eq!(found(&routes, "/"), root);
    for path in ["//", "//x", "//new:k:g/a"] {
        assert_eq!(found(&routes, path), None, "{path}");
    }
}

#[test]
fn only_new_editions_fall_back_to_their_root_and_unbound_stays_unbound() {
    let (new, old) = (id("new:k:g"), id("old:k:g"));
    let mut routes = Routes::default();
    routes.bind(&new, "/", open()).unwrap();
    routes.bind(&old, "/", Flags::default()).unwrap();
    let root = Some(("/new:k:g".to_owned(), vec![], true));
    assert_eq!(found(&routes, "/new:k:g/deep/path"), root);
    assert_eq!(found(&routes, "/old:k:g/deep/path"), None);
    routes.unbind(&new, "/deep/path/").unwrap();
    assert_eq!(found(&routes, "/new:k:g/deep/path"), None);
    routes.forget(&new);
    assert_eq!(found(&routes, "/new:k:g"), None);
    assert_eq!(routes.count, 1);
}

#[test]
fn paths_with_parameters_are_few_and_short() {
    let app = id("p:k:g");
    let mut routes = Routes::default();
    let long = "/:a".repeat(MAX_SEGMENTS);
    assert_eq!(
        routes.bind(&app, &long, open()),
        Err(BindError::LongPattern)
    );
    for n in 0..MAX_PATTERNS {
        routes.bind(&app, &format!("/{n}/:a"), open()).unwrap();
    }
    let one_more = routes.bind(&app, "/more/:a", open());
    assert_eq!(one_more, Err(BindError::PatternsFull));
    routes.bind(&app, "/7/:a", open()).unwrap();
    assert!(routes.find("/p:k:g/7/x").is_some());
    let endless = format!("/p:k:g/7{}", "/x".repeat(5000));
    assert!(routes.find(&endless).is_none_or(|found| found.by_fallback));
}

#[test]
fn the_table_is_bounded_and_marks_make_room() {
    let app = id("p:k:g");
    let mut routes = Routes::default();
    for n in 0..MAX_ROUTES {
        routes.bind(&app, &format!("/{n}"), open()).unwrap();
    }
    assert_eq!(
        routes.bind(&app, "/more", open()),
        Err(BindError::RoutesFull)
    );
    routes.bind(&app, "/7", open()).unwrap();
    routes.unbind(&app, "/7").unwrap();
    routes.bind(&app, "/more", open()).unwrap();
    assert_eq!(routes.count, MAX_ROUTES);
    let long = "x".repeat(MAX_PATH + 1);
    assert_eq!(routes.bind(&app, &long, open()), Err(BindError::LongPath));
}

#[test]
fn static_content_is_bounded_and_replacing_gives_it_back() {
    let app = id("p:k:g");
    let mut routes = Routes::default();
    let with = |bytes: usize| Flags {
        content: Some(Content::new("text/plain", vec![0; bytes].into())),
        ..Flags::default()
    };
    routes.bind(&app, "/a", with(MAX_CONTENT_BYTES)).unwrap();
    assert_eq!(
        routes.bind(&app, "/b", with(1)),
        Err(BindError::ContentFull)
    );
    routes.bind(&app, "/a", with(10)).unwrap();
    routes.bind(&app, "/:b", with(10)).unwrap();
    assert_eq!(routes.content_bytes, 20);
    routes.forget(&app);
    assert_eq!((routes.content_bytes, routes.count), (0, 0));
}

#[test]
fn compressed_content_has_room_of_its_own() {
    const EACH: usize = 1 << 20;
    let app = id("p:k:g");
    let mut routes = Routes::default();
    let bind = |routes: &mut Routes, path: &str| {
        let flags = Flags {
            content: Some(Content::new("text/plain", vec![b'x'; 2 * EACH].into())),
            ..Flags::default()
        };
        routes.bind(&app, path, flags).unwrap();
        routes.find(&format!("/p:k:g{path}")).unwrap().route
    };
    let most = MAX_PACKED_BYTES / EACH;
    let all: Vec<_> = (0..=most)
        .map(|number| bind(&mut routes, &format!("/{number}")))
        .collect();
    for route in &all {
        routes.keep_packed(route, Some(vec![0; EACH].into()));
        // Once is enough.
        routes.keep_packed(route, Some(vec![0; EACH].into()));
    }
    let packed = |route: &Route| route.content().unwrap().packed().is_some();
    assert!(packed(&all[0]) && packed(&all[most - 1]) && !packed(&all[most]));
    assert_eq!(routes.packed_bytes, MAX_PACKED_BYTES);
    assert!(!routes.has_room_to_pack(1));
    // What is bound no more gives its room back, and takes none.
    bind(&mut routes, "/0");
    assert_eq!(routes.packed_bytes, MAX_PACKED_BYTES - EACH);
    routes.unbind(&app, &format!("/{most}")).unwrap();
    routes.keep_packed(&all[most], Some(vec![0; EACH].into()));
    assert!(routes.has_room_to_pack(EACH) && !packed(&all[most]));
    routes.forget(&app);
    assert_eq!((routes.packed_bytes, routes.content_bytes), (0, 0));
}

/// Matches by trying every way, as simply as can be.
fn oracle(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.first(), path.first()) {
        (None, None) => true,
        (Some(segment), Some(part)) if segment.starts_with('*') => {
            (1..=path.len()).any(|n| {
                let taken = path.get(..n).unwrap().join("/");
                !taken.is_empty() && oracle(&pattern[1..], &path[n..])
            }) && !part.contains('/')
        }
        (Some(segment), Some(part)) if segment.starts_with(':') => {
            !part.is_empty() && oracle(&pattern[1..], &path[1..])
        }
        (Some(segment), Some(part)) => segment == part && oracle(&pattern[1..], &path[1..]),
        _ => false,
    }
}

fn weight(pattern: &str) -> [usize; 3] {
    let count = |mark: fn(&str) -> bool| pattern.split('/').filter(|s| mark(s)).count();
    [
        count(|s| !s.starts_with([':', '*'])),
        count(|s| s.starts_with(':')),
        count(|s| s.starts_with('*')),
    ]
}

proptest! {
    #[test]
    fn finding_agrees_with_trying_everything(
        patterns in proptest::collection::hash_set("(/(a|b|:x|:y|\\*z)){1,4}", 1..8),
        path in "(/(a|b|c|)){1,5}",
    ) {
        let app = id("p:k:g");
        let mut routes = Routes::default();
        for pattern in &patterns {
            routes.bind(&app, pattern, Flags::default()).unwrap();
        }
        let full = format!("/p:k:g{path}");
        let split = |text: &str| -> Vec<String> {
            text[1..].split('/').map(str::to_owned).collect()
        };
        let parts = split(&full);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let best = patterns
            .iter()
            .map(|pattern| format!("/p:k:g{pattern}"))
            .filter(|pattern| {
                let segments = split(pattern);
                oracle(&segments.iter().map(String::as_str).collect::<Vec<_>>(), &parts)
            })
            .max_by(|a, b| weight(a).cmp(&weight(b)).then_with(|| b.cmp(a)));
        prop_assert_eq!(found(&routes, &full).map(|(path, ..)| path), best);
    }

    #[test]
    fn no_path_makes_matching_slow_or_panic(path in "/p:k:g(/|a|\\*|:|%|[^a]){0,200}") {
        let app = id("p:k:g");
        let mut routes = Routes::default();
        for pattern in ["/*a/*b/*c/x", "/:a/*b/:c/*d", "/*", "/:"] {
            routes.bind(&app, pattern, open()).unwrap();
        }
        let _ = routes.find(&path);
    }
}
