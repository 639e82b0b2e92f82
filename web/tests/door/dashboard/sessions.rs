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
