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
    let at = host.rows.tenant("alice").unwrap().purge_at;
    assert!(at.is_some());

    // It is not offered again; the page says when it happens.
    for page in ["/nodes/alice", "/nodes/alice/purge"] {
        ann.open(page).await;
        assert_eq!(ann.path, "/nodes/alice", "{page}");
        assert!(!ann.page.links().contains(&"/nodes/alice/purge"));
        let text = ann.page.text();
        assert!(
            text.contains("will be removed soon after 8 January 1970"),
            "{text}"
        );
    }
    ann.open("/nodes").await;
    let quota = ann.page.text_of_id("quota");
    assert_eq!(quota.as_deref(), Some("0 of 5 in use"));
}

#[tokio::test]
async fn a_full_archive_says_what_makes_room() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    let session = ann.session().to_owned();
    for number in 0..20 {
        let label = format!("n{number}");
        host.make_node(&session, &label).await;
        let path = format!("/nodes/{label}");
        host.api("DELETE", &path, &session, None).await;
    }
    ann.open("/nodes/new").await;
    let fields = [("label", "alice"), ("password", "node password")];
    ann.submit("/nodes/new", &fields).await;
    assert_eq!(ann.answer.status, 403);
    let alert = ann.page.alert().unwrap();
    assert!(alert.contains("20 archived nodes"), "{alert}");
    let input = serde_json::json!({"label": "alice", "password": "node password"});
    let refused = host.api("POST", "/nodes", &session, Some(input)).await;
    assert!(refused.problem(403).contains("20 archived nodes"));
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
