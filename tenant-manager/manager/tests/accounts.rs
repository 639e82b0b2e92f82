//! Signing up, in and out.

use std::time::Duration;

use node_api::Secret;
use tenant_manager::testing::manager_with_fakes;
use tenant_manager::{AuthError, PromoteError, RegisterError, SignInError};
use tenant_model::Role;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn an_account_signs_up_in_and_out() {
    let fakes = manager_with_fakes().await.unwrap();
    let manager = &fakes.manager;
    let new = manager
        .register("Ann@Example.org", secret("a long password"))
        .await
        .unwrap();
    let twice = manager
        .register("ann@example.org", secret("a long password"))
        .await;
    assert!(matches!(twice, Err(RegisterError::Taken)));
    let bad = manager
        .register("nonsense", secret("a long password"))
        .await;
    assert!(matches!(bad, Err(RegisterError::BadEmail(_))));
    let weak = manager.register("bob@example.org", secret("short")).await;
    assert!(matches!(weak, Err(RegisterError::WeakPassword(text)) if text.contains("10")));

    let principal = manager.authenticate(new.token.expose()).await.unwrap();
    assert_eq!(principal.account(), new.account_id);
    let view = manager.account(&principal).await.unwrap();
    assert_eq!(
        (view.email.as_str(), view.role),
        ("ann@example.org", Role::User)
    );
    assert_eq!((view.plan.name.as_str(), view.plan.nodes), ("default", 5));

    let session = manager
        .sign_in("ANN@example.org ", secret("a long password"))
        .await
        .unwrap();
    assert_ne!(session.token.expose(), new.token.expose());
    manager.sign_out(&principal).await.unwrap();
    let ended = manager.authenticate(new.token.expose()).await;
    assert!(matches!(ended, Err(AuthError::Unknown)));
    assert!(manager.authenticate(session.token.expose()).await.is_ok());
    fakes.clock.advance(31 * 24 * 3600);
    let old = manager.authenticate(session.token.expose()).await;
    assert!(matches!(old, Err(AuthError::Unknown)));
}

#[tokio::test]
async fn only_the_hash_of_a_token_is_kept() {
    let fakes = manager_with_fakes().await.unwrap();
    let new = fakes
        .manager
        .register("ann@example.org", secret("a long password"))
        .await
        .unwrap();
    let token = new.token.expose();
    assert!(
        token.starts_with("berth_") && token.len() == 6 + 43,
        "{token}"
    );
    let kept = format!("{:?}", fakes.repositories);
    assert!(!kept.contains(token) && !kept.contains("a long password"));
    for nonsense in ["", "berth_", "berth_AAAA", &"berth_".repeat(100)] {
        let unknown = fakes.manager.authenticate(nonsense).await;
        assert!(matches!(unknown, Err(AuthError::Unknown)));
    }
}

#[tokio::test]
async fn five_wrong_passwords_lock_an_address_out_whether_it_has_an_account_or_not() {
    let fakes = manager_with_fakes().await.unwrap();
    let manager = &fakes.manager;
    manager
        .register("ann@example.org", secret("a long password"))
        .await
        .unwrap();
    for address in ["ann@example.org", "nobody@example.org"] {
        // At once, as an attacker would.
        let guesses = (0..8).map(|_| manager.sign_in(address, secret("a wrong password")));
        let outcomes = futures::future::join_all(guesses).await;
        let wrong = outcomes
            .iter()
            .filter(|o| matches!(o, Err(SignInError::Wrong)))
            .count();
        assert_eq!(wrong, 5, "{address}: {outcomes:?}");
    }
    fakes.clock.advance(60);
    let locked = manager
        .sign_in("ann@example.org", secret("a long password"))
        .await;
    let Err(SignInError::LockedOut { retry_after }) = locked else {
        panic!("{locked:?}");
    };
    assert_eq!(retry_after, Duration::from_secs(14 * 60));
    fakes.clock.advance(14 * 60);
    assert!(
        manager
            .sign_in("ann@example.org", secret("a long password"))
            .await
            .is_ok()
    );
    // A right password wipes the slate.
    for _ in 0..4 {
        let wrong = manager
            .sign_in("ann@example.org", secret("a wrong password"))
            .await;
        assert!(matches!(wrong, Err(SignInError::Wrong)));
    }
    for _ in 0..10 {
        assert!(
            manager
                .sign_in("ann@example.org", secret("a long password"))
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn known_sessions_go_on_while_the_database_is_away() {
    let fakes = manager_with_fakes().await.unwrap();
    let manager = &fakes.manager;
    let new = manager
        .register("ann@example.org", secret("a long password"))
        .await
        .unwrap();
    let principal = manager.authenticate(new.token.expose()).await.unwrap();
    fakes.repositories.set_away(true);
    assert!(manager.authenticate(new.token.expose()).await.is_ok());
    let other = manager.authenticate("berth_never-seen").await;
    assert!(matches!(other, Err(AuthError::Unavailable(_))));
    let sign_in = manager
        .sign_in("ann@example.org", secret("a long password"))
        .await;
    assert!(matches!(sign_in, Err(SignInError::Unavailable(_))));
    fakes.repositories.set_away(false);
    manager.sign_out(&principal).await.unwrap();
    fakes.repositories.set_away(true);
    let ended = manager.authenticate(new.token.expose()).await;
    assert!(matches!(ended, Err(AuthError::Unavailable(_))));
}

#[tokio::test]
async fn operators_are_made_of_accounts() {
    let fakes = manager_with_fakes().await.unwrap();
    let ann = fakes.account("ann@example.org").await.unwrap();
    fakes
        .manager
        .promote_operator("Ann@example.org")
        .await
        .unwrap();
    assert_eq!(
        fakes.manager.account(&ann).await.unwrap().role,
        Role::Operator
    );
    let nobody = fakes.manager.promote_operator("bob@example.org").await;
    assert!(matches!(nobody, Err(PromoteError::NotFound)));
}
