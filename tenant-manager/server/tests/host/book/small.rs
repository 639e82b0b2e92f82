//! Examples of one node: echo, fibonacci, typed messages with a page, children.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::super::support::{Host, Visitor, eventually, test_package};
use super::{Node, PATIENCE};

const MFA: &str = "mfa_fe_demo:mfa_fe_demo:template.os";

#[tokio::test]
async fn echo_and_fibonacci_answer_here_and_from_elsewhere() {
    let host = Host::start();
    let (alice, bob) = super::two_nodes(&host).await;
    alice.install("echo:template.os").await;
    // By both generations of kit.
    alice
        .kit
        .install(&test_package("fibonacci:template.os"))
        .await;
    for name in ["echo", "fibonacci"] {
        alice.has_begun(&format!("{name}:{name}:template.os")).await;
    }

    let echoed = alice.run("m our@echo:echo:template.os 'hello there' -a 5");
    assert!(echoed.ends_with("\nhello there"), "{echoed}");
    let blob = vec![7; 100_000];
    let answer = alice
        .kit
        .rpc("echo:echo:template.os", "with a blob", Some(&blob), Some(5))
        .await;
    assert_eq!(answer.body, "with a blob");
    assert_eq!(answer.blob, Some(blob));
    let echoed = bob.run("m alice.dev@echo:echo:template.os 'from bob' -a 5");
    assert!(echoed.ends_with("\nfrom bob"), "{echoed}");

    let fibonacci = "fibonacci:fibonacci:template.os";
    let told = alice.run(&format!("m our@{fibonacci} -a 5 '{{\"Number\": 10}}'"));
    assert!(told.ends_with(r#"{"Number":55}"#), "{told}");
    alice.printed("fibonacci(10) = 55; ").await;
    let told = bob.run(&format!(
        "m alice.dev@{fibonacci} -a 5 '{{\"Number\": 90}}'"
    ));
    assert!(
        told.ends_with(r#"{"Number":2880067194370816120}"#),
        "{told}"
    );
    for (asked, answer) in [
        (0, r#"{"Number":0}"#),
        (1, r#"{"Number":1}"#),
        (186, r#"{"Number":332825110087067562321196029789634457848}"#),
        (187, r#"{"TooLarge":{"largest":186}}"#),
        (u32::MAX, r#"{"TooLarge":{"largest":186}}"#),
    ] {
        let body = json!({ "Number": asked }).to_string();
        assert_eq!(alice.kit.inject(fibonacci, &body).await.body, answer);
    }
    let trials = alice.ask(fibonacci, &json!({"Numbers": [20, 3]})).await;
    assert_eq!(trials["Numbers"][0], 6765, "{trials}");
    assert_eq!(trials["Numbers"][1].as_array().unwrap().len(), 3);
    // What it does not understand gets no answer, and does it no harm.
    let told = alice.run(&format!("m our@{fibonacci} -a 1 '{{\"Number\": -1}}'"));
    assert!(told.ends_with("timed out"), "{told}");
    let told = alice.run(&format!("m our@{fibonacci} -a 5 '{{\"Number\": 3}}'"));
    assert!(told.ends_with(r#"{"Number":2}"#), "{told}");
}

#[tokio::test]
async fn typed_messages_come_from_the_terminal_and_by_http() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    alice.install("mfa_fe_demo:template.os").await;
    alice
        .printed("got a Hello response: hello to you too!")
        .await;

    let line = format!("m our@{MFA} '{{\"Hello\": \"hey there\"}}'");
    assert_eq!(alice.run(&line), "");
    alice.printed("got a Hello: hey there").await;
    let told = alice.run(&format!("{line} -a 5"));
    assert!(told.ends_with(r#"{"Hello":"hello to you too!"}"#), "{told}");
    let told = alice.run(&format!("m our@{MFA} '{{\"Howdy\": 1}}' -a 1"));
    assert!(told.ends_with("timed out"), "{told}");
    alice.printed("got error while handling message").await;

    // `curl -X PUT -d '{"Hello": …}'`, as anybody may.
    let api = format!("/{MFA}/api");
    let put = |body: &'static str| alice.api.node(Method::PUT, "alice.localhost", &api, body);
    assert_eq!(
        put(r#"{"Hello": "greetings"}"#).await.status(),
        StatusCode::OK
    );
    alice.printed("got a Hello: greetings").await;
    let got = alice.api.node_get("alice.localhost", &api).await;
    assert_eq!(got.0, StatusCode::METHOD_NOT_ALLOWED);

    // The page is the owner's, and so is the tile on the homepage.
    let owner = Visitor::owner(&host, &alice.api, "alice").await;
    let page = owner.page(&host, &format!("/{MFA}/")).await;
    assert!(page.contains("<h1>My First App</h1>"), "{page}");
    let stranger = alice
        .api
        .node_get("alice.localhost", &format!("/{MFA}/"))
        .await;
    assert!(!stranger.1.contains("My First App"), "{stranger:?}");
    let apps = owner.apps(&host).await;
    let ours = apps.iter().find(|app| app["label"] == "My First App");
    let ours = ours.unwrap_or_else(|| panic!("{apps:?}"));
    assert!(ours["widget"].as_str().unwrap().contains("Hello, Kinode!"));

    // It ends with its farewell, and does not come back by itself.
    assert_eq!(put(r#""Goodbye""#).await.status(), StatusCode::OK);
    alice.printed("goodbye!").await;
    let gone = eventually("the end", PATIENCE, async || {
        let told = alice.run(&format!("{line} -a 1"));
        told.ends_with("timed out").then_some(told)
    });
    gone.await;
    assert_eq!(
        put(r#"{"Hello": "?"}"#).await.status(),
        StatusCode::NOT_FOUND
    );
    alice.install("mfa_fe_demo:template.os").await;
    let told = alice.run(&format!("{line} -a 5"));
    assert!(told.ends_with(r#"{"Hello":"hello to you too!"}"#), "{told}");
}

#[tokio::test]
async fn a_parent_spawns_a_child_with_some_of_its_rights() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    alice.install("spawn:template.os").await;
    let child = "spawned_child_process:spawn:template.os";
    alice
        .printed("alice.dev@parent:spawn:template.os: start")
        .await;
    alice.printed(&format!("spawned {child}")).await;
    alice.printed(&format!("alice.dev@{child}: start")).await;
    alice.printed("this is the child process, wow!").await;
    let running = |name: &str| alice.run("top").contains(name);
    let ended = async |what: &str, name: &str| {
        eventually(what, PATIENCE, async || (!running(name)).then_some(())).await;
    };
    ended("the parent's end", "parent:spawn:template.os").await;
    // The terminal may ask it, since the parent granted that. It has what the
    // parent gave it, and not what the parent has besides; the right to message
    // the parent ended with that.
    let told = alice.run(&format!("m our@{child} 'what do you have?' -a 5"));
    let issuers = format!(r#"["alice.dev@{child}","alice.dev@timer:distro:sys"]"#);
    assert!(told.contains(&format!(r#""issuers":{issuers}"#)), "{told}");
    // Both have ended, so the parent may spawn one of that name again.
    ended("the end of both", ":spawn:template.os").await;
    alice.install("spawn:template.os").await;
    let again = eventually("another child", PATIENCE, async || {
        running(child).then(|| alice.run(&format!("m our@{child} 'and now?' -a 5")))
    });
    let told = again.await;
    assert!(told.contains("timer:distro:sys"), "{told}");
}
