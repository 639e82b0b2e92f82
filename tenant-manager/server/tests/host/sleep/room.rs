//! More nodes than may be awake at once.

use reqwest::{Method, StatusCode};

use super::support::{Host, eventually};
use super::{Node, PATIENCE};

#[tokio::test]
async fn the_longest_idle_node_makes_room_and_who_is_in_use_stays() {
    let host = Host::start_with(&["--max-awake", "2", "--idle-after", "0"]);
    let alice = Node::create(&host, "alice").await;
    let bob = Node::create(&host, "bob").await;
    // Alice's was used last.
    alice.serves("/login").await;
    let carol = Node::create(&host, "carol").await;
    assert_eq!(alice.status().await, "active");
    bob.is("hibernated").await;

    // Both in use: whoever comes is told when to try again, and nobody is put
    // out.
    let mut shells = [&alice, &carol].map(|node| {
        let mut shell = node.ssh(&host).shell();
        shell.expect(&format!("{}.dev > ", node.label));
        shell
    });
    let refused = bob
        .api
        .node(Method::GET, "bob.localhost", "/login", "")
        .await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let wait = refused.headers()["retry-after"].to_str().unwrap();
    assert!(wait.parse::<u64>().unwrap() > 0, "{wait}");
    let command = bob.ssh(&host).exec("echo let me in");
    assert_eq!(command.status.code(), Some(1), "{command:?}");
    assert!(!command.stderr.is_empty(), "{command:?}");
    for shell in &mut shells {
        shell.type_keys("echo still here\r");
        shell.expect("still here\r\n");
    }
    assert_eq!(alice.status().await, "active");
    assert_eq!(carol.status().await, "active");
    assert_eq!(bob.status().await, "hibernated", "it is not broken");

    // Once one of them is idle there is room.
    let [of_alice, of_carol] = shells;
    drop(of_carol);
    eventually("room", PATIENCE, async || {
        (bob.page("/login").await.0 == StatusCode::OK).then_some(())
    })
    .await;
    carol.is("hibernated").await;
    assert_eq!(alice.status().await, "active");
    drop(of_alice);
}
