//! The private Postgres with its traps, on the real programs.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tenant_storage_pg::Pg;
use tenant_storage_pg::cluster::{ClusterError, ClusterOptions, PrivateCluster};

/// Names the data directory for the child of the kill test.
const CHILD: &str = "BERTH_TEST_CLUSTER_CHILD";
const GRACE: Duration = Duration::from_secs(20);

/// A directory that every user can reach.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn options(dir: &Path) -> ClusterOptions {
    let mut options = ClusterOptions::new(dir.join("berth-data"));
    options.elsewhere = dir.join("elsewhere");
    options
}

async fn usable(options: tenant_storage_pg::PgConnectOptions) -> bool {
    let Ok(pg) = Pg::connect_with(options).await else {
        return false;
    };
    let migrated = pg.migrate().await.is_ok();
    pg.close().await;
    migrated
}

#[tokio::test]
async fn it_starts_afresh_and_again_and_only_once_at_a_time() {
    let dir = directory();
    let running = PrivateCluster::start(options(dir.path())).await.unwrap();
    assert!(usable(running.connect_options()).await);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(running.socket_dir()), 0o700);
    assert_eq!(mode(running.data_dir()), 0o700);

    let found = PrivateCluster::find(&dir.path().join("berth-data")).unwrap();
    assert!(usable(found).await);
    let second = PrivateCluster::start(options(dir.path()))
        .await
        .unwrap_err();
    assert!(matches!(second, ClusterError::InUse(_)), "{second}");
    assert!(second.to_string().contains("--data-dir"), "{second}");

    running.stop(GRACE).await;
    assert!(PrivateCluster::find(&dir.path().join("berth-data")).is_none());
    let running = PrivateCluster::start(options(dir.path())).await.unwrap();
    assert!(usable(running.connect_options()).await);
    running.stop(GRACE).await;
}

#[tokio::test]
async fn it_starts_again_after_the_server_itself_was_killed() {
    let dir = directory();
    let mut running = PrivateCluster::start(options(dir.path())).await.unwrap();
    let pid = i32::try_from(running.pid().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    running.ended().await.unwrap();
    running.start_again().await.unwrap();
    assert!(usable(running.connect_options()).await);
    running.stop(GRACE).await;
}

/// Starts it again. Other tests of this process start programs meanwhile, each
/// of which holds copies of all open files, locks among them, for an instant.
async fn taken_over(dir: &Path) -> tenant_storage_pg::cluster::Running {
    let mut tries = 100;
    loop {
        match PrivateCluster::start(options(dir)).await {
            Err(ClusterError::InUse(_)) if tries > 0 => {
                tries -= 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            started => return started.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_server_that_was_handed_over_is_taken_over_and_watched() {
    let dir = directory();
    let running = PrivateCluster::start(options(dir.path())).await.unwrap();
    let before = running.pid().unwrap();
    running.hand_over();
    let mut running = taken_over(dir.path()).await;
    assert_eq!(running.pid(), Some(before), "the same server");
    assert!(usable(running.connect_options()).await);

    let pid = rustix::process::Pid::from_raw(i32::try_from(before).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    running.ended().await.unwrap();
    assert_eq!(running.pid(), None);
    running.start_again().await.unwrap();
    assert!(usable(running.connect_options()).await);
    running.hand_over();
    let running = taken_over(dir.path()).await;
    running.stop(GRACE).await;
    assert!(PrivateCluster::find(&dir.path().join("berth-data")).is_none());
}

#[tokio::test]
async fn a_server_that_nobody_takes_over_is_stopped() {
    let dir = directory();
    let running = PrivateCluster::start(options(dir.path())).await.unwrap();
    let (data, place) = (running.data_dir().to_owned(), options(dir.path()).data_dir);
    running.hand_over();
    assert!(data.join("postmaster.pid").exists());
    PrivateCluster::stop_left(&place).await;
    assert!(!data.join("postmaster.pid").exists());
    PrivateCluster::stop_left(&place).await;

    // Taking it over is cut short, while it is asked whether it answers.
    taken_over(dir.path()).await.hand_over();
    let start = PrivateCluster::start(options(dir.path()));
    let cut = tokio::time::timeout(Duration::ZERO, start).await;
    drop(cut);
    PrivateCluster::stop_left(&place).await;
    assert!(!data.join("postmaster.pid").exists());
}

/// Not a test of its own: the host that the next test kills.
#[tokio::test]
async fn child_host() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let running = PrivateCluster::start(options(Path::new(&dir)))
        .await
        .unwrap();
    assert!(usable(running.connect_options()).await);
    println!("child-ready {}", running.pid().unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn it_starts_within_seconds_after_the_host_was_killed() {
    let dir = directory();
    for _ in 0..2 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_host", "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .map_while(Result::ok)
            .find(|line| line.contains("child-ready"));
        let orphan: i32 = ready
            .unwrap()
            .split(' ')
            .next_back()
            .unwrap()
            .parse()
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            Path::new(&format!("/proc/{orphan}")).exists(),
            "the server outlives its host"
        );

        let began = tokio::time::Instant::now();
        let running = PrivateCluster::start(options(dir.path())).await.unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        assert_ne!(i32::try_from(running.pid().unwrap()).unwrap(), orphan);
        assert!(usable(running.connect_options()).await);
        running.stop(GRACE).await;
    }
}

#[tokio::test]
async fn a_stale_lock_file_that_names_another_process_is_no_obstacle() {
    let dir = directory();
    let running = PrivateCluster::start(options(dir.path())).await.unwrap();
    let data = running.data_dir().to_owned();
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    running.stop(GRACE).await;
    // As after a reboot: the number belongs to someone else now.
    let (_, rest) = text.split_once('\n').unwrap();
    let stale = format!("{}\n{rest}", std::process::id());
    std::fs::write(data.join("postmaster.pid"), stale).unwrap();
    let running = PrivateCluster::start(options(dir.path())).await.unwrap();
    assert!(usable(running.connect_options()).await);
    running.stop(GRACE).await;
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket() {
    let dir = directory();
    let long = dir.path().join("x".repeat(60)).join("y".repeat(60));
    std::fs::create_dir_all(&long).unwrap();
    let running = PrivateCluster::start(options(&long)).await.unwrap();
    assert!(running.socket_dir().as_os_str().len() < 60);
    assert!(running.socket_dir().join(".s.PGSQL.5432").exists());
    assert!(usable(running.connect_options()).await);
    let socket_dir = running.socket_dir().to_owned();
    running.stop(GRACE).await;
    std::fs::remove_dir_all(socket_dir).unwrap();
}

#[tokio::test]
async fn a_closed_home_sends_the_cluster_elsewhere() {
    let dir = directory();
    if !rustix::process::geteuid().is_root() {
        return; // Only root runs the server as someone else.
    }
    let home = dir.path().join("home");
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&home)
        .unwrap();
    let mut options = options(dir.path());
    options.data_dir = home.join("berth data");
    let running = PrivateCluster::start(options.clone()).await.unwrap();
    assert!(running.data_dir().starts_with(dir.path().join("elsewhere")));
    let place = running.data_dir().to_owned();
    assert!(usable(PrivateCluster::find(&options.data_dir).unwrap()).await);
    running.stop(GRACE).await;
    let again = PrivateCluster::start(options).await.unwrap();
    assert_eq!(again.data_dir(), place);
    again.stop(GRACE).await;
}

#[tokio::test]
async fn missing_programs_and_foreign_data_are_told_plainly() {
    let dir = directory();
    let mut missing = options(dir.path());
    missing.search = Some(vec![PathBuf::from("/nonexistent")]);
    let error = PrivateCluster::start(missing).await.unwrap_err();
    assert!(matches!(error, ClusterError::MissingBinaries), "{error}");

    let data = dir.path().join("berth-data/postgres/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let error = PrivateCluster::start(options(dir.path()))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, ClusterError::ForeignVersion { .. }),
        "{text}"
    );
    assert!(
        text.contains("Postgres 9") && text.contains("postgresql-9"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let dir = directory();
    let running = PrivateCluster::start(options(dir.path())).await.unwrap();
    let data = running.data_dir().to_owned();
    running.stop(GRACE).await;
    std::fs::write(data.join("postgresql.auto.conf"), "no_such_setting = 1\n").unwrap();
    let error = PrivateCluster::start(options(dir.path()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}
