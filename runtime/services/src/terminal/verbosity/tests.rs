//! What lines mean, and what overrides hide.

use super::*;

fn our() -> NodeName {
    "alice.dev".parse().unwrap()
}

fn id(text: &str) -> ProcessId {
    text.parse().unwrap()
}

fn parsed(line: &str) -> Result<Command, String> {
    Command::parse(line, &our()).unwrap()
}

fn overrides(list: &[(&str, Shown)]) -> Overrides {
    let mut overrides = Overrides::default();
    for (scope, shown) in list {
        let scope = Scope::parse(scope, &our()).unwrap();
        overrides.set(&scope, Some(*shown)).unwrap();
    }
    overrides
}

#[test]
fn lines_are_understood_in_every_spelling() {
    for line in ["verbosities", "top", "", "Verbosity 1"] {
        assert_eq!(Command::parse(line, &our()), None, "{line}");
    }
    let server = Scope::Process(id("http-server:distro:sys"));
    let store = Scope::Package("app-store:sys".parse().unwrap());
    for (line, wanted) in [
        ("verbosity", Command::List),
        (" verbosity  2 ", Command::Own(2)),
        (
            "verbosity http_server:distro:sys",
            Command::Look(server.clone()),
        ),
        (
            "verbosity our@http-server:distro:sys 3",
            Command::Set(server.clone(), Some(Shown::Level(3))),
        ),
        (
            "verbosity alice.dev@http_server:distro:sys mute",
            Command::Set(server.clone(), Some(Shown::Muted)),
        ),
        (
            "verbosity http-server:distro:sys default",
            Command::Set(server, None),
        ),
        (
            "verbosity app_store:sys muted",
            Command::Set(store, Some(Shown::Muted)),
        ),
    ] {
        assert_eq!(parsed(line), Ok(wanted), "{line}");
    }
    for (line, wanted) in [
        ("verbosity 4", "'4' is neither a level"),
        ("verbosity -1", "usage: verbosity"),
        ("verbosity chat", "'chat' is neither a level nor a process"),
        (
            "verbosity a:b:c 4",
            "'4' is not 0, 1, 2, 3, mute or default",
        ),
        ("verbosity a:b:c:d 1", "usage"),
        ("verbosity a::c 1", "lacks a part"),
        ("verbosity bob.dev@a:b:c 1", "bob.dev is another node"),
        ("verbosity a:b:c 1 2", "usage"),
    ] {
        let error = parsed(line).unwrap_err();
        assert!(error.contains(wanted), "{line}: {error}");
    }
}

#[test]
fn an_override_goes_before_the_level_and_a_process_before_its_package() {
    let overrides = overrides(&[
        ("loud:chat:a.dev", Shown::Level(2)),
        ("chat:a.dev", Shown::Muted),
        ("vfs:distro:sys", Shown::Level(0)),
    ]);
    let kernel = "kernel:distro:sys";
    for (level, source, about, verbosity, wanted) in [
        (0, "loud:chat:a.dev", None, 2, true),
        (3, "loud:chat:a.dev", None, 3, false),
        (3, "other:chat:a.dev", None, 0, false),
        (3, "vfs:distro:sys", None, 1, false),
        (0, "vfs:distro:sys", None, 0, true),
        (1, "x:y:z.dev", None, 1, true),
        (1, "x:y:z.dev", None, 2, false),
        (0, kernel, Some("other:chat:a.dev"), 0, false),
        (0, kernel, Some("loud:chat:a.dev"), 0, true),
    ] {
        let about = about.map(id);
        let shown = overrides.show_print(level, &id(source), about.as_ref(), verbosity);
        assert_eq!(shown, wanted, "{level} {source} {about:?} {verbosity}");
    }
}

#[test]
fn what_is_saved_comes_back_and_rubbish_does_not() {
    let all = overrides(&[
        ("a:b:c", Shown::Level(0)),
        ("b:c", Shown::Muted),
        ("d:b:c", Shown::Level(3)),
    ]);
    assert_eq!(Overrides::from_saved(&all.to_saved(), &our()), all);
    let odd = br#"{"a:b:c":0,"b:c":"muted","d:b:c":3,"x":1,"e:b:c":9,"f:b:c":null}"#;
    assert_eq!(Overrides::from_saved(odd, &our()), all);
    for rubbish in [&b""[..], b"[]", b"\xff"] {
        assert_eq!(Overrides::from_saved(rubbish, &our()), Overrides::default());
    }
}

#[test]
fn their_number_is_bounded() {
    let mut overrides = Overrides::default();
    let scope = |n| Scope::Process(id(&format!("p{n}:b:c")));
    for n in 0..MOST {
        assert_eq!(overrides.set(&scope(n), Some(Shown::Muted)), Ok(true));
    }
    let error = overrides.set(&scope(MOST), Some(Shown::Muted)).unwrap_err();
    assert!(error.contains("default"), "{error}");
    assert_eq!(overrides.set(&scope(0), Some(Shown::Level(1))), Ok(true));
    assert_eq!(overrides.set(&scope(0), Some(Shown::Level(1))), Ok(false));
    assert_eq!(overrides.set(&scope(0), None), Ok(true));
    assert_eq!(overrides.set(&scope(MOST), Some(Shown::Muted)), Ok(true));
}
