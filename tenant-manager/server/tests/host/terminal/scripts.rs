//! Scripts of a package that kit installed: how they are started, what they
//! are given, what they print, and what is said when there is none.

use std::time::Duration;

use serde_json::json;

use super::super::support::{self, eventually};
use super::package::{EDITIONS, my_scripts, with_scripts_json};
use super::{Bench, PACKAGE, shown};

#[tokio::test]
async fn arguments_arrive_as_they_were_typed_and_output_as_it_was_printed() {
    let bench = Bench::with_scripts().await;
    assert_eq!(
        bench
            .line("alias hello hello:my_scripts:alice.dev")
            .unwrap(),
        "alias set"
    );
    let long = "x".repeat(16_000);
    for arguments in [
        "Hello World!",
        "a  b",
        r#"'single' "double" `back` $HOME \n"#,
        "größe 漢字 🙂 e\u{301}",
        r#"{"json": [1, "two"]}"#,
        &long,
    ] {
        for script in ["hello", "hello:my_scripts:alice.dev"] {
            let line = format!("{script}   {arguments} ");
            assert_eq!(bench.line(&line).unwrap(), arguments);
        }
    }
    // Nothing to print is nothing.
    assert_eq!(bench.line("hello").unwrap(), "");
    // The gateway refuses what no line can be, before the node sees it.
    let error = bench
        .line(&format!("hello {}", "x".repeat(16_384)))
        .unwrap_err();
    assert!(error.contains("a line may have 16384 bytes"), "{error}");
    // The same at a screen.
    let mut shell = bench.ssh.shell();
    shell.expect("alice.dev > ");
    shell.type_keys("hello größe '漢字' \"🙂\"\r");
    shell.expect("my_scripts:alice.dev: größe '漢字' \"🙂\"\r\n");
    shell.type_keys("exit\r");
    // Who waits for an answer of such a program gets one instead of a print.
    let answered = bench
        .line("m -a 5 our@echoer:my_scripts:alice.dev 'say it back'")
        .unwrap();
    assert!(answered.ends_with("\nsay it back"), "{answered}");
}

#[tokio::test]
async fn scripts_of_every_edition_run_whatever_version_their_entry_names() {
    let bench = Bench::with_scripts().await;
    for (build, wit_version) in EDITIONS {
        let (results, before) = bench.show(build, &json!(["our", "capabilities"]));
        let newer = wit_version == Some(1);
        let our = results[0].as_str().unwrap();
        assert_eq!(our == "absent", !newer, "{build}: {our}");
        assert!(!newer || our.ends_with(&format!(":{PACKAGE}")), "{our}");
        assert_eq!(before, "", "{build}");
        // The right to answer the terminal, and to message itself.
        assert_eq!(
            results[1].as_array().unwrap().len(),
            2,
            "{build}: {results:?}"
        );
    }
    // Nothing of them is left, and the 64 of them did not need any of it.
    assert_eq!(bench.running(), None);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place() {
    let bench = Bench::with_scripts().await;
    let package = format!("package {PACKAGE}: ");
    for (line, wanted) in [
        (
            "frobnicate now",
            "'frobnicate' not found, either as an alias or process ID".to_owned(),
        ),
        (
            "a:b now",
            "'a:b' not found, either as an alias or process ID".to_owned(),
        ),
        (
            "x:nowhere:bob.dev",
            "package nowhere:bob.dev is not installed, or brings no scripts.json".to_owned(),
        ),
        (
            "server:my_scripts:alice.dev",
            format!(
                "{package}script server is not in the scripts.json file, which has all_files, files, "
            ),
        ),
        (
            "not-there:my_scripts:alice.dev",
            format!(
                "{package}scripts.json names not-there:{PACKAGE}, but its component is missing"
            ),
        ),
        (
            "wrong:my_scripts:alice.dev",
            format!("{package}scripts.json: root of wrong.wasm must be true or false, not \"yes\""),
        ),
    ] {
        let error = bench.line(line).unwrap_err();
        assert!(error.contains(&wanted), "{line}: {error}");
    }
    // At a screen the same sentences.
    let mut shell = bench.ssh.shell();
    shell.expect("alice.dev > ");
    shell.type_keys("wrong:my_scripts:alice.dev\r");
    shell.expect("error calling script: package my_scripts:alice.dev: scripts.json: root of");
    shell.type_keys("exit\r");
    for (scripts_json, wanted) in [
        (
            "{\"hello.wasm\":{},\n \"x.wasm\":{}",
            "scripts.json cannot be read: EOF while parsing an object at line 2",
        ),
        (
            "[]",
            "scripts.json cannot be read: invalid type: sequence, expected a map at line 1",
        ),
        ("", "scripts.json cannot be read"),
        ("{\"hello.wasm\":[]}", "hello.wasm must be an object"),
    ] {
        bench.kit.install(&with_scripts_json(scripts_json)).await;
        let error = bench.line("hello:my_scripts:alice.dev hi").unwrap_err();
        assert!(error.contains(wanted), "{scripts_json}: {error}");
    }
    bench.kit.install(&my_scripts()).await;
    assert_eq!(bench.line("hello:my_scripts:alice.dev hi").unwrap(), "hi");
}

#[tokio::test]
async fn text_of_scripts_is_harmless_wherever_it_is_shown() {
    let bench = Bench::with_scripts().await;
    let hostile = "begin\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}]0;title\u{1b}\\\u{1b}P$q\"p\u{1b}\\\u{1b}[6n\
                   \u{9b}2J\u{9d}2;t\u{9c}\u{1b}[?1049h\u{1b}c\u{8}\u{8}\r\u{1b}[31mred\u{1b}(0";
    let halves = ["\u{1b}]52;c;", "ZXZpbA==\u{7}second half"];
    let steps = json!([{ "print": hostile }, { "print": halves[0] }, { "print": halves[1] }]);
    let (_, printed) = bench.show("plain", &steps);
    assert_eq!(
        printed,
        "begin\u{1b}[31mred\u{1b}[0m\n\nZXZpbA==second half"
    );
    let mut shell = bench.ssh.shell();
    shell.expect("alice.dev > ");
    shell.type_keys(&format!("plain:{PACKAGE} {}\r", shown(&steps)));
    let seen = shell.expect("ZXZpbA==second half");
    let seen = &seen[seen.find(": begin").unwrap()..];
    assert!(
        seen.starts_with(": begin\u{1b}[31mred\r\n\u{1b}[0m"),
        "{seen:?}"
    );
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\u{1b}');
    assert!(seen.chars().all(harmless), "{seen:?}");
    // Nor does the log keep more of it, for whoever reads it however.
    let log = eventually("the log", Duration::from_secs(10), async || {
        let answer = bench.api.get("/nodes/alice/logs?limit=1000").await;
        let log = support::json(answer).await["items"].to_string();
        log.contains("second half").then_some(log)
    })
    .await;
    assert!(log.contains(r#""text":"begin\u001b[31mred""#), "{log}");
    assert!(log.contains(r#""text":"ZXZpbA==second half""#), "{log}");
    let sequences = seen.split('\u{1b}').skip(1);
    for sequence in sequences {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        // Colours, and what draws the prompt.
        assert!(
            matches!(&sequence[end..=end], "m" | "J" | "A" | "C"),
            "{sequence:?}"
        );
        assert!(sequence.starts_with('['), "{sequence:?}");
    }
    shell.type_keys("exit\r");
}
