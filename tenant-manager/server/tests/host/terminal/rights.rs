//! What scripts may do: by their entry in `scripts.json`, and no more.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::support::eventually;
use super::{Bench, PACKAGE};

fn read(path: &str) -> Value {
    json!({"await": {"to": "alice.dev@vfs:distro:sys", "expects": 5,
                     "body": {"path": path, "action": "Read"}}})
}

const OTHERS: &str = "/terminal:sys/pkg/manifest.json";

#[tokio::test]
async fn a_script_has_what_it_asked_for_and_root_what_the_terminal_has() {
    let bench = Bench::with_scripts().await;
    let steps = json!([read(OTHERS), "capabilities"]);
    let (rooted, _) = bench.show("rooted", &steps);
    assert!(rooted[0]["blob"].is_object(), "{rooted:?}");
    let held = rooted[1].as_array().unwrap();
    for right in [
        json!({"issuer": "alice.dev@kernel:distro:sys", "params": "\"network\""}),
        json!({"issuer": "alice.dev@vfs:distro:sys", "params": "{\"root\":true}"}),
        json!({"issuer": format!("alice.dev@server:{PACKAGE}"), "params": "\"messaging\""}),
    ] {
        assert!(held.contains(&right), "{right} not in {held:?}");
    }
    // Both forms of a request; and the old spelling of a module.
    let (all, printed) = bench.show("all_files", &steps);
    assert_eq!(printed, "");
    assert_eq!(all[0]["blob"], rooted[0]["blob"]);
    let held = all[1].as_array().unwrap();
    assert_eq!(held.len(), 6, "{held:?}");
    let server = json!({"issuer": "alice.dev@http-server:distro:sys", "params": "\"messaging\""});
    assert!(held.contains(&server), "{held:?}");
    // The right to message the VFS is not that to read what is others'.
    let (files, _) = bench.show("files", &steps);
    assert_eq!(files[0]["body"]["Err"], "NoReadCap", "{files:?}");
    // And without either the reason is printed.
    let (plain, printed) = bench.show("plain", &json!([read(OTHERS)]));
    assert_eq!(plain[0]["is"], "Timeout");
    assert!(
        printed.contains("may not message `vfs:distro:sys`: it lacks the messaging capability"),
        "{printed}"
    );
}

#[tokio::test]
async fn only_scripts_that_ask_for_the_network_have_it() {
    let bench = Bench::with_scripts().await;
    let bob = bench.host.api().sign_up("bob@example.org").await;
    bob.create_node("bob").await;
    let steps = json!([{"await": {"to": "bob.dev@net:distro:sys", "expects": 10,
                                  "body": "hello from a script"}}]);
    let (net, printed) = bench.show("net", &steps);
    assert_eq!(
        (net[0]["is"].as_str(), printed.as_str()),
        (Some("response"), "")
    );
    let (plain, printed) = bench.show("plain", &steps);
    assert_eq!(plain[0]["is"], "Timeout");
    assert!(
        printed
            .contains("may not message `bob.dev@net:distro:sys`: it lacks the network capability"),
        "{printed}"
    );
}

/// Lets `script` wait for a message at a screen while `then` acts, given its
/// id; what was shown until `wanted` was.
async fn while_it_waits(
    bench: &Bench,
    script: &str,
    then: impl AsyncFn(String),
    wanted: &str,
) -> String {
    let mut shell = bench.ssh.shell();
    shell.expect("alice.dev > ");
    shell.type_keys(&format!("{script}:{PACKAGE} {{\"show\":[\"receive\"]}}\r"));
    let id = eventually("a script", Duration::from_secs(20), async || {
        bench.running()
    })
    .await;
    then(id.clone()).await;
    let told = shell.expect(wanted);
    let _ = bench.line(&format!("kill {id}"));
    eventually("its end", Duration::from_secs(20), async || {
        bench.running().is_none().then_some(())
    })
    .await;
    told
}

#[tokio::test]
async fn a_public_script_hears_everybody_and_another_whom_it_granted_that() {
    let bench = Bench::with_scripts().await;
    let send = async |id: String| {
        let send = json!([{"send": {"to": format!("alice.dev@{id}"), "body": "sung"}}]);
        bench.server(&send).await;
    };
    let heard = format!("\"source\":\"alice.dev@server:{PACKAGE}\"");
    for script in ["open", "grants"] {
        let told = while_it_waits(&bench, script, &send, &heard).await;
        assert!(told.contains("\"body\":\"sung\""), "{script}: {told}");
    }
    while_it_waits(&bench, "plain", &send, "it lacks the messaging capability").await;

    // What was granted is there before the script's first message, and gone
    // with the script.
    let look_and_send = async |id: String| {
        let held = bench.server(&json!(["capabilities"])).await;
        for params in ["\"messaging\"", "{\"may\":\"sing\"}"] {
            let right = json!({"issuer": format!("alice.dev@{id}"), "params": params});
            assert!(held[0].as_array().unwrap().contains(&right), "{held:?}");
        }
        send(id).await;
    };
    while_it_waits(&bench, "grants", &look_and_send, &heard).await;
    eventually("no rights left", Duration::from_secs(10), async || {
        let held = bench.server(&json!(["capabilities"])).await;
        (!held[0].to_string().contains("sing")).then_some(())
    })
    .await;
    // A script asks the process of its package, which may answer it.
    let ask = json!([{"await": {"to": format!("alice.dev@server:{PACKAGE}"), "expects": 5,
                                "body": {"run": ["begun"]}}}]);
    let (asked, _) = bench.show("grants", &ask);
    assert_eq!(asked[0]["is"], "response", "{asked:?}");
    let (asked, _) = bench.show("all_files", &ask);
    assert_eq!(asked[0]["is"], "Timeout", "it granted nothing: {asked:?}");
}

#[tokio::test]
async fn a_node_that_is_asleep_is_woken_for_a_line() {
    let mut bench = Bench::with_scripts().await;
    bench.sleep().await;
    let awake = bench.line("hello:my_scripts:alice.dev awake");
    assert_eq!(awake.unwrap(), "awake");
}
