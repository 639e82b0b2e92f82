//! A node's two passwords.

use tenant_manager::ManagerLimits;

use crate::support::{Browser, Host, fill_in, options};

#[tokio::test]
async fn the_ssh_password_is_shown_soon_after_a_sign_in_only() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    assert!(ann.page.id("ssh-password").is_none());
    let details = ann.page.id("advanced").unwrap();
    assert!(!details.contains_key("open"));
    let link = ann.page.id("show-ssh-password").unwrap()["href"].clone();
    ann.open(&link).await;
    let shown = ann.page.text_of_id("ssh-password").unwrap();
    let api = host
        .api("GET", "/nodes/alice/ssh-password", ann.session(), None)
        .await;
    assert_eq!(api.json()["password"], shown);
    assert!(ann.page.id("advanced").unwrap().contains_key("open"));
    assert_eq!(ann.answer.header("cache-control"), Some("no-store"));

    ann.submit("/nodes/alice/ssh-password", &[]).await;
    let rotated = ann.page.text_of_id("ssh-password").unwrap();
    assert_ne!(rotated, shown);
    assert!(ann.page.text().contains("has a new SSH password"));

    host.clock.advance(11 * 60);
    ann.open(&link).await;
    assert!(!ann.answer.text().contains(&rotated));
    let before = ann.session().to_owned();
    ann.submit(
        "/nodes/alice/confirm",
        &[("account_password", "not my password")],
    )
    .await;
    assert_eq!(ann.answer.status, 422);
    let error = ann.page.text_of_id("account_password-error").unwrap();
    assert!(error.contains("not your account"), "{error}");
    assert!(!ann.answer.text().contains("not my password"));
    assert_eq!(ann.session(), before);
    ann.submit(
        "/nodes/alice/confirm",
        &[("account_password", "long enough")],
    )
    .await;
    assert_eq!(ann.path, "/nodes/alice?show=ssh-password");
    assert_eq!(ann.page.text_of_id("ssh-password"), Some(rotated));
    // A new session, and the old one is over.
    assert_ne!(ann.session(), before);
    host.api("GET", "/account", &before, None)
        .await
        .problem(401);

    // Making a new one asks for the password too.
    host.clock.advance(11 * 60);
    ann.open("/nodes/alice").await;
    ann.submit("/nodes/alice/ssh-password", &[]).await;
    assert_eq!(ann.answer.status, 403);
    assert!(ann.page.id("account_password").is_some());
}

#[tokio::test]
async fn asking_for_the_password_again_cannot_be_used_for_guessing() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    host.clock.advance(11 * 60);
    ann.open("/nodes/alice?show=ssh-password").await;
    for _ in 0..5 {
        ann.submit(
            "/nodes/alice/confirm",
            &[("account_password", "guess guess")],
        )
        .await;
        assert_eq!(ann.answer.status, 422);
    }
    ann.submit(
        "/nodes/alice/confirm",
        &[("account_password", "long enough")],
    )
    .await;
    assert_eq!(ann.answer.status, 429);
    assert!(ann.answer.header("retry-after").is_some());
    assert!(ann.page.id("ssh-password").is_none());
}

#[tokio::test]
async fn lines_to_copy_name_the_real_addresses() {
    let mut options = options();
    options.ssh_host = "ssh.example".to_owned();
    options.ssh_port = 2022;
    let host = Host::start_with(options, ManagerLimits::default()).await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    for (id, line) in [
        ("ssh-address", "alice@ssh.example"),
        ("local-port", "8080"),
        ("line-ssh", "ssh -p 2022 alice@ssh.example"),
        (
            "line-tunnel",
            "ssh -p 2022 -N -L 9090:localhost:8080 alice@ssh.example",
        ),
        (
            "line-kit",
            "kit connect --host ssh://alice@ssh.example:2022",
        ),
    ] {
        assert_eq!(ann.page.text_of_id(id).as_deref(), Some(line));
    }
}

#[tokio::test]
async fn the_node_password_is_set_and_never_shown() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    // A link made before is worth nothing after.
    let open = fill_in(&ann.form("/nodes/alice/open"), &[]);
    let answer = ann.post("/nodes/alice/open", &open).await;
    let link = answer.header("location").unwrap().to_owned();
    let before = host.rows.tenant("alice").unwrap().login;
    ann.open("/nodes/alice/password").await;
    ann.submit("/nodes/alice/password", &[("password", "short")])
        .await;
    assert_eq!(ann.answer.status, 422);
    assert!(
        ann.page
            .text_of_id("password-error")
            .unwrap()
            .contains("at least 8")
    );
    assert_eq!(host.rows.tenant("alice").unwrap().login, before);
    assert!(host.control.logins.lock().unwrap().is_empty());
    ann.submit("/nodes/alice/password", &[("password", "another password")])
        .await;
    assert_eq!(ann.path, "/nodes/alice?done=password");
    assert!(ann.page.text().contains("password is changed"));
    assert!(!ann.answer.text().contains("another password"));
    let after = host.rows.tenant("alice").unwrap().login;
    assert_ne!(after, before);
    let told = host.control.logins.lock().unwrap().clone();
    assert_eq!(told, [after.sha256], "the node asks for it from now on");
    let path = &link[link.find("/login/").unwrap()..];
    assert_eq!(host.get("alice.localhost", path).await.status, 403);
}
