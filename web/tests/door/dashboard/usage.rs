//! What a node uses, on its page.

use crate::support::{Browser, Host};
use crate::usage::busy;

#[tokio::test]
async fn the_page_of_a_node_shows_what_it_uses_of_what_and_a_crash_loop() {
    let host = Host::start().await;
    *host.control.report.lock().unwrap() = Some(busy());
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    ann.open("/nodes/alice").await;
    let text = ann.page.text();
    for words in [
        "Memory64 MB of 256 MB25 %",
        "Disk1 GB of 2 GB50 %",
        "Processes9 of 64",
        "What is on its diskFiles512 MBState128 MBKey-value128 MBSQLite256 MB",
        "Written to disk3 GB",
        "Writes that had to wait6",
        "5.5 s",
        "app:pack:me.dev",
        "It keeps ending, and restarts in 7.9 s (it waits 8.0 s now).",
        "12 prints were left out.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("vfs:distro:sys"), "modules are not theirs");
    let meters: Vec<_> = ann.page.all("meter").collect();
    let percents: Vec<_> = meters.iter().map(|meter| meter["value"].as_str()).collect();
    assert_eq!(percents, ["25", "50", "14"]);
    assert!(meters.iter().all(|meter| meter.contains_key("aria-label")));

    let pieces = ann.page.all("rect");
    let wide: Vec<_> = pieces.map(|piece| piece["width"].as_str()).collect();
    assert_eq!(wide, ["240", "60", "60", "120"]);

    // Two times that it ran: there is something to see of them.
    for _ in 0..2 {
        host.clock.advance(600);
        ann.submit("/nodes/alice/hibernate", &[]).await;
        ann.until("alice", "hibernated").await;
        ann.submit("/nodes/alice/start", &[]).await;
        ann.until("alice", "active").await;
    }
    let text = ann.page.text();
    assert!(
        text.contains("Memory in the last day, at most 64 MB"),
        "{text}"
    );
    ann.submit("/nodes/alice/hibernate", &[]).await;
    ann.until("alice", "hibernated").await;
    let text = ann.page.text();
    assert!(text.contains("Memorynothing of 256 MB"), "{text}");
    assert!(text.contains("Disk1 GB of 2 GB"), "{text}");
    assert!(text.contains("Files512 MB"), "{text}");
    assert!(text.contains("It does not run"), "{text}");
}
