//! Several tabs of one browser, and sessions that end while they are open.

use crate::support::{Browser, Host};

#[tokio::test]
async fn an_answer_about_an_old_session_leaves_the_new_one_alone() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    let old = ann.session().to_owned();
    ann.submit("/sign-out", &[]).await;
    ann.open("/sign-in").await;
    let fields = [("email", "ann@example.org"), ("password", "long enough")];
    ann.submit("/sign-in", &fields).await;
    let new = ann.session().to_owned();
    // Sent before, answered after.
    let cookie = format!("berth-session={old}");
    for path in ["/nodes", "/account", "/nodes/new"] {
        let headers = [("Cookie", cookie.as_str())];
        let late = host.send("GET", "localhost", path, &headers, b"").await;
        let target = late.header("location").unwrap();
        assert!(target.contains("why=ended"), "{target}");
        assert_eq!(late.header("set-cookie"), None, "{path}");
    }
    assert_eq!(ann.open("/nodes").await.status, 200);
    assert_eq!(ann.session(), new);
}

#[tokio::test]
async fn an_older_tab_signs_out_too() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    let older = crate::support::fill_in(&ann.form("/sign-out"), &[]);
    // In another tab she signs out and in again.
    ann.submit("/sign-out", &[]).await;
    ann.open("/sign-in").await;
    let fields = [("email", "ann@example.org"), ("password", "long enough")];
    ann.submit("/sign-in", &fields).await;
    let session = ann.session().to_owned();
    let out = ann.post("/sign-out", &older).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/")));
    assert_eq!(ann.session(), "");
    let ended = host.api("GET", "/account", &session, None).await;
    ended.problem(401);
    // Once more, from a tab that does not know it yet.
    let again = ann.post("/sign-out", &older).await;
    assert_eq!((again.status, again.header("location")), (303, Some("/")));
}

#[tokio::test]
async fn nobody_is_told_to_be_signed_out_who_is_not() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    let out = crate::support::fill_in(&ann.form("/sign-out"), &[]);
    let session = ann.session().to_owned();
    host.rows.set_away(true);
    let failed = ann.post("/sign-out", &out).await;
    assert_eq!(failed.status, 503, "{}", failed.text());
    assert_eq!(ann.session(), session);
    host.rows.set_away(false);
    assert_eq!(ann.post("/sign-out", &out).await.status, 303);
    host.api("GET", "/account", &session, None)
        .await
        .problem(401);
}
