//! Aliases: what they may be, and that they are kept.

use super::Bench;

#[tokio::test]
async fn aliases_are_there_after_a_kill_and_after_sleep() {
    let mut bench = Bench::with_scripts().await;
    for (line, wanted) in [
        ("alias top", "alias removed"),
        ("alias top", "there is no alias top"),
        ("alias echo help:terminal:sys", "alias set"),
        ("alias net_diagnostics", "alias removed"),
        ("alias größe echo:terminal:sys", "alias set"),
        ("alias hello hello:my_scripts:alice.dev", "alias set"),
    ] {
        assert_eq!(bench.line(line).unwrap(), wanted, "{line}");
    }
    let check = |bench: &Bench| {
        assert_eq!(bench.line("hello again").unwrap(), "again");
        assert_eq!(bench.line("größe 1").unwrap(), "1");
        assert!(bench.line("echo").unwrap().contains("Commands:"));
        let error = bench.line("top").unwrap_err();
        assert!(error.contains("'top' not found"), "{error}");
        assert!(
            bench
                .line("top:terminal:sys")
                .unwrap()
                .contains("running processes")
        );
        let all = bench.line("alias").unwrap();
        for wanted in [
            "alias  alias:terminal:sys",
            "hello  hello:my_scripts:alice.dev",
            "echo  help:terminal:sys",
            "net-diagnostics  net-diagnostics:terminal:sys",
        ] {
            assert!(all.lines().any(|line| line == wanted), "{wanted}: {all}");
        }
        assert!(
            !all.contains("net_diagnostics") && !all.contains("top"),
            "{all}"
        );
    };
    check(&bench);
    // At once after it was acknowledged.
    assert_eq!(
        bench.line("alias last echo:terminal:sys").unwrap(),
        "alias set"
    );
    bench.crash().await;
    assert_eq!(bench.line("last word").unwrap(), "word");
    check(&bench);
    bench.sleep().await;
    check(&bench);
}

#[tokio::test]
async fn what_cannot_be_an_alias_is_refused_with_the_reason() {
    let bench = Bench::start().await;
    for (line, wanted) in [
        (
            "alias x no-id",
            "`no-id` lacks a part: write process:package:publisher",
        ),
        ("alias x a:b:c:d", "has too many colons"),
        (
            "alias verbosity echo:terminal:sys",
            "'verbosity' is a word of the terminal itself",
        ),
        (
            "alias exit echo:terminal:sys",
            "'exit' is a word of the terminal itself",
        ),
        (
            "alias 'two words' echo:terminal:sys",
            "'two words' cannot be a name",
        ),
        ("alias nothing", "there is no alias nothing"),
        ("alias a b:c:d e", "usage: alias NAME"),
    ] {
        let said = bench.line(line).unwrap();
        assert!(said.contains(wanted), "{line}: {said}");
    }
    // One for a script that is not there yet is no mistake.
    assert_eq!(
        bench.line("alias later x:soon:alice.dev").unwrap(),
        "alias set"
    );
    let error = bench.line("later").unwrap_err();
    assert!(
        error.contains("package soon:alice.dev is not installed"),
        "{error}"
    );
    // A stranger is not heard: not in the package of the terminal.
    bench.kit.install(&super::package::my_scripts()).await;
    let body = serde_json::json!({"EditAlias": {"alias": "evil", "process": "a:b:c"}});
    let ask = serde_json::json!([{"await": {"to": "alice.dev@terminal:terminal:sys",
                                            "expects": 1, "body": body}}]);
    let (refused, _) = bench.show("rooted", &ask);
    assert_eq!(refused[0]["is"], "Timeout");
    assert!(!bench.line("alias").unwrap().contains("evil"));
}
