//! Putting a node away and removing it for good.

use crate::support::{Browser, Host};

#[tokio::test]
async fn deleting_takes_the_name_and_removing_takes_it_again() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    assert!(ann.page.links().contains(&"/nodes/alice/delete"));
    ann.open("/nodes/alice/purge").await;
    assert_eq!(ann.path, "/nodes/alice", "only what is put away is removed");
    ann.open("/nodes/alice/delete").await;
    for typed in ["", "bob", "alice.dev", "alic"] {
        ann.submit("/nodes/alice/delete", &[("confirm_label", typed)])
            .await;
        assert_eq!(ann.answer.status, 422, "{typed}");
        assert!(ann.page.text_of_id("confirm_label-error").is_some());
    }
    ann.until("alice", "active").await;
    ann.open("/nodes/alice/delete").await;
    ann.submit("/nodes/alice/delete", &[("confirm_label", " Alice ")])
        .await;
    assert_eq!(ann.path, "/nodes/alice?done=delete");
    ann.until("alice", "archived").await;
    assert_eq!(host.get("alice.localhost", "/name").await.status, 503);
    let forms: Vec<String> = ann
        .page
        .forms()
        .into_iter()
        .map(|form| form.action)
        .collect();
    assert_eq!(forms, ["/sign-out"], "nothing else can be done with it");
    assert!(ann.page.id("advanced").is_none());

    ann.open("/nodes/alice/delete").await;
    assert_eq!(ann.path, "/nodes/alice");
    ann.open("/nodes/alice/purge").await;
    ann.submit("/nodes/alice/purge", &[("confirm_label", "bob")])
        .await;
    assert_eq!(ann.answer.status, 422);
    assert!(host.rows.tenant("alice").unwrap().purge_at.is_none());
    ann.submit("/nodes/alice/purge", &[("confirm_label", "alice")])
        .await;
    assert_eq!(ann.path, "/nodes/alice?done=purge");
    assert!(ann.page.text().contains("removed for good"));
    assert!(host.rows.tenant("alice").unwrap().purge_at.is_some());
}

#[tokio::test]
async fn a_running_node_is_not_removed_by_a_form_made_up() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let body = crate::support::fill_in(&ann.form("/sign-out"), &[]);
    let answer = ann
        .post("/nodes/alice/purge", &format!("{body}&confirm_label=alice"))
        .await;
    assert_eq!(answer.header("location"), Some("/nodes/alice"));
    assert!(host.rows.tenant("alice").unwrap().purge_at.is_none());
    ann.until("alice", "active").await;
}
