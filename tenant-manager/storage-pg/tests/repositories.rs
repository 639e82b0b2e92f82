//! The repositories on a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test may")]
#![expect(clippy::print_stdout, reason = "a test may")]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, Row};
use tenant_model::*;
use tenant_storage_pg::cluster::{ClusterOptions, PrivateCluster};
use tenant_storage_pg::{Pg, PgConnectOptions};
use time::OffsetDateTime;

/// Runs every case on one server, each in a database of its own, and stops the
/// server in the end. A case that fails drops the server, which stops it too.
#[tokio::test]
async fn the_repositories_on_a_real_server() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut options = ClusterOptions::new(dir.path().join("berth-data"));
    options.elsewhere = dir.path().join("elsewhere");
    let running = PrivateCluster::start(options).await.unwrap();
    let server = running.connect_options();
    accounts_are_one_per_address(&database(&server, "accounts_are_one_per_address").await).await;
    wrong_passwords_are_counted_within_a_window(
        &database(&server, "wrong_passwords_are_counted_within_a_window").await,
    )
    .await;
    sessions_end_by_time_and_by_hand(&database(&server, "sessions_end_by_time_and_by_hand").await)
        .await;
    a_label_goes_to_one_of_many_and_is_free_again_after_a_purge(
        &database(
            &server,
            "a_label_goes_to_one_of_many_and_is_free_again_after_a_purge",
        )
        .await,
    )
    .await;
    the_quota_holds_against_many_at_once(
        &database(&server, "the_quota_holds_against_many_at_once").await,
    )
    .await;
    the_archive_is_bounded_too(&database(&server, "the_archive_is_bounded_too").await).await;
    an_old_generation_writes_nothing(&database(&server, "an_old_generation_writes_nothing").await)
        .await;
    a_host_keeps_the_check_it_began_with(
        &database(&server, "a_host_keeps_the_check_it_began_with").await,
    )
    .await;
    a_schema_of_the_future_is_refused(
        &database(&server, "a_schema_of_the_future_is_refused").await,
    )
    .await;
    running.stop(Duration::from_secs(20)).await;
}

/// A migrated database of this name.
async fn database(server: &PgConnectOptions, case: &str) -> Pg {
    println!("case {case}");
    let admin = Pg::connect_with(server.clone()).await.unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {case}"));
    admin.pool_for_tests().execute(create).await.unwrap();
    admin.close().await;
    let pg = Pg::connect_with(server.clone().database(case))
        .await
        .unwrap();
    pg.migrate().await.unwrap();
    pg
}

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000)
}

fn account(number: u8) -> NewAccount {
    NewAccount {
        account: Account {
            id: AccountId::from_random([number; 16]),
            email: Email::parse(&format!("user{number}@example.org")).unwrap(),
            role: Role::User,
            plan: Plan::default(),
            created_at: now(),
        },
        password_hash: "$argon2id$not-a-real-one".to_owned(),
    }
}

fn host() -> HostId {
    HostId::from_random([200; 16])
}

fn tenant(number: u8, owner: &NewAccount, label: &str) -> NewTenant {
    NewTenant {
        id: TenantId::from_random([number; 16]),
        account: owner.account.id,
        label: Label::parse(label).unwrap(),
        name: format!("{label}.dev"),
        host: host(),
        keys: WrappedKeys {
            tenant_key: vec![1; 60],
            networking_key: vec![2; 60],
            jwt_secret: vec![3; 60],
            file_key: vec![4; 60],
        },
        login: StoredVerifiers {
            sha256: [5; 32],
            argon2id: [6; 32],
        },
        ssh: SshAccess {
            verifier: [7; 32],
            sealed: vec![8; 40],
        },
        created_at: now(),
    }
}

fn change(tenant: &Tenant) -> Change {
    Change {
        tenant: tenant.id,
        generation: tenant.generation,
        actor: Some(tenant.account),
        at: now(),
    }
}

async fn with_owner(pg: &Pg) -> (Repositories, NewAccount) {
    let repositories = pg.repositories();
    let owner = account(1);
    repositories.accounts.insert(owner.clone()).await.unwrap();
    let tenants = &repositories.tenants;
    tenants
        .register_host(host(), b"check", now())
        .await
        .unwrap();
    (repositories, owner)
}

async fn accounts_are_one_per_address(pg: &Pg) {
    let accounts = pg.repositories().accounts;
    let first = account(1);
    accounts.insert(first.clone()).await.unwrap();
    let mut twin = account(2);
    twin.account.email = first.account.email.clone();
    assert_eq!(
        accounts.insert(twin).await,
        Err(StorageError::Conflict(Conflict::Email))
    );
    let known = accounts
        .credentials(&first.account.email)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(known.account, first.account);
    assert_eq!(known.password_hash, first.password_hash);
    assert!(
        accounts
            .set_role(&first.account.email, Role::Operator, now())
            .await
            .unwrap()
    );
    let found = accounts.find(first.account.id).await.unwrap().unwrap();
    assert_eq!(found.role, Role::Operator);
    let nobody = Email::parse("nobody@example.org").unwrap();
    assert!(
        !accounts
            .set_role(&nobody, Role::Operator, now())
            .await
            .unwrap()
    );
    assert!(accounts.credentials(&nobody).await.unwrap().is_none());
}

async fn wrong_passwords_are_counted_within_a_window(pg: &Pg) {
    let accounts = pg.repositories().accounts;
    let window = Duration::from_secs(900);
    let count = |at| accounts.count_failure([9; 32], at, window);
    assert_eq!(accounts.failures([9; 32]).await.unwrap(), None);
    for _ in 0..3 {
        count(now()).await.unwrap();
    }
    let failures = accounts.failures([9; 32]).await.unwrap().unwrap();
    assert_eq!((failures.count, failures.window_started_at), (3, now()));
    count(now() + window).await.unwrap();
    assert_eq!(accounts.failures([9; 32]).await.unwrap().unwrap().count, 1);
    accounts.forget_failures([9; 32]).await.unwrap();
    assert_eq!(accounts.failures([9; 32]).await.unwrap(), None);
    count(now()).await.unwrap();
    pg.repositories()
        .sessions
        .sweep(now() + window)
        .await
        .unwrap();
    assert_eq!(accounts.failures([9; 32]).await.unwrap(), None);
}

async fn sessions_end_by_time_and_by_hand(pg: &Pg) {
    let (repositories, owner) = with_owner(pg).await;
    let sessions = repositories.sessions;
    let new = NewSession {
        id: SessionId::from_random([3; 16]),
        account: owner.account.id,
        token_hash: [4; 32],
        signed_in_at: now(),
        expires_at: now() + time::Duration::days(30),
    };
    sessions.insert(new.clone()).await.unwrap();
    let found = sessions.find([4; 32], now()).await.unwrap().unwrap();
    assert_eq!((found.id, found.account), (new.id, owner.account));
    assert!(sessions.find([5; 32], now()).await.unwrap().is_none());
    assert!(
        sessions
            .find([4; 32], new.expires_at)
            .await
            .unwrap()
            .is_none()
    );
    sessions.delete(new.id).await.unwrap();
    assert!(sessions.find([4; 32], now()).await.unwrap().is_none());
}

async fn a_label_goes_to_one_of_many_and_is_free_again_after_a_purge(pg: &Pg) {
    let (repositories, owner) = with_owner(pg).await;
    let tenants = repositories.tenants;
    for number in 2..8 {
        repositories.accounts.insert(account(number)).await.unwrap();
    }
    let race = (2..8).map(|number| tenants.insert(tenant(number, &account(number), "alice")));
    let outcomes = futures::future::join_all(race).await;
    let won: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_ok()).collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    let taken = Err(StorageError::Conflict(Conflict::Label));
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == taken).count(),
        5
    );

    let first = won[0].clone().unwrap();
    assert_eq!((first.incarnation.0, first.generation.0), (1, 1));
    assert!(tenants.label_taken(&first.label).await.unwrap());
    assert_eq!(tenants.labelled(&first.label).await, Ok(Some(first.id)));
    tenants.purge(change(&first)).await.unwrap();
    assert!(!tenants.label_taken(&first.label).await.unwrap());
    assert_eq!(tenants.labelled(&first.label).await, Ok(None));
    assert_eq!(
        tenants.purge(change(&first)).await,
        Err(StorageError::Fenced)
    );
    let kept = sqlx_row(pg, "SELECT tenant_key FROM tenants").await;
    assert_eq!(
        kept.get::<Vec<u8>, _>(0),
        Vec::<u8>::new(),
        "keys are wiped"
    );
    let second = tenants.insert(tenant(9, &owner, "alice")).await.unwrap();
    assert_eq!(second.incarnation.0, 2);
}

async fn the_quota_holds_against_many_at_once(pg: &Pg) {
    let (repositories, owner) = with_owner(pg).await;
    let tenants = repositories.tenants;
    let race = (10..20).map(|number| tenants.insert(tenant(number, &owner, &format!("n{number}"))));
    let outcomes = futures::future::join_all(race).await;
    let made: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().ok())
        .collect();
    assert_eq!(made.len(), 5, "{outcomes:?}");
    let full = Err(StorageError::Conflict(Conflict::Quota { limit: 5 }));
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == full).count(),
        5
    );
    // An archived node makes room.
    let archived = DesiredState::Archived;
    tenants
        .set_desired(change(made[0]), archived, None)
        .await
        .unwrap();
    tenants.insert(tenant(30, &owner, "another")).await.unwrap();
    assert_eq!(tenants.insert(tenant(31, &owner, "more")).await, full);
}

async fn the_archive_is_bounded_too(pg: &Pg) {
    let (repositories, owner) = with_owner(pg).await;
    let tenants = repositories.tenants;
    let archived = DesiredState::Archived;
    let mut last = None;
    for number in 10..30 {
        let label = format!("n{number}");
        let made = tenants.insert(tenant(number, &owner, &label)).await;
        let made = made.unwrap();
        let put_away = tenants.set_desired(change(&made), archived, None).await;
        put_away.unwrap();
        last = Some(made);
    }
    let one_more = || tenants.insert(tenant(30, &owner, "another"));
    let full = StorageError::Conflict(Conflict::ArchiveFull { limit: 20 });
    assert_eq!(one_more().await, Err(full));
    // Only what is gone makes room, not what is to go.
    let last = last.unwrap();
    let soon = Some(now() + time::Duration::days(7));
    let marked = tenants.set_desired(change(&last), archived, soon).await;
    marked.unwrap();
    assert!(one_more().await.is_err());
    tenants.purge(change(&last)).await.unwrap();
    one_more().await.unwrap();
}

async fn an_old_generation_writes_nothing(pg: &Pg) {
    let (repositories, owner) = with_owner(pg).await;
    let tenants = repositories.tenants;
    let old = tenants.insert(tenant(2, &owner, "alice")).await.unwrap();
    let claimed = tenants.claim(host()).await.unwrap();
    assert_eq!(claimed[0].generation.0, old.generation.0 + 1);
    assert_eq!(claimed[0].keys, old.keys);
    let fenced = Err(StorageError::Fenced);
    let stopped = DesiredState::Stopped;
    assert_eq!(
        tenants.set_desired(change(&old), stopped, None).await,
        fenced
    );
    assert_eq!(tenants.set_ssh(change(&old), &old.ssh).await, fenced);
    assert_eq!(
        tenants
            .set_last_started(old.id, old.generation, now())
            .await,
        fenced
    );
    assert_eq!(tenants.purge(change(&old)).await, fenced);
    assert_eq!(tenants.of_host(host()).await.unwrap(), claimed);

    let new = change(&claimed[0]);
    tenants.set_desired(new, stopped, None).await.unwrap();
    tenants
        .set_last_started(new.tenant, new.generation, now())
        .await
        .unwrap();
    let kept = tenants.of_host(host()).await.unwrap().remove(0);
    assert_eq!((kept.desired, kept.last_started_at), (stopped, Some(now())));
    // What was refused is not in the audit; what was done is.
    let row = sqlx_row(pg, "SELECT count(*) FROM audit WHERE action = 'node.state'").await;
    assert_eq!(row.get::<i64, _>(0), 1);
}

async fn a_host_keeps_the_check_it_began_with(pg: &Pg) {
    let tenants = pg.repositories().tenants;
    let first = tenants
        .register_host(host(), b"first", now())
        .await
        .unwrap();
    let second = tenants
        .register_host(host(), b"second", now())
        .await
        .unwrap();
    assert_eq!(second.key_check, b"first");
    assert_eq!(second.generation.0, first.generation.0 + 1);
}

async fn a_schema_of_the_future_is_refused(pg: &Pg) {
    sqlx_row(
        pg,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99991231000000, 'future', true, '', 0) RETURNING version",
    )
    .await;
    let error = pg.migrate().await.unwrap_err();
    assert!(
        error.to_string().contains("start the newer version"),
        "{error}"
    );
}

/// One row of `sql`, past the repositories.
async fn sqlx_row(pg: &Pg, sql: &'static str) -> sqlx::postgres::PgRow {
    sqlx::query(sql)
        .fetch_one(pg.pool_for_tests())
        .await
        .unwrap()
}
