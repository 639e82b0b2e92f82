//! The life of nodes under random wishes, visitors, failures and restarts of
//! the host: whatever happens, at most one node runs for a tenant, what was
//! acknowledged is kept, no lease outlives its node, and when the trouble is
//! over every tenant is what its owner and the operators want.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may"
)]

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use common::password;
use node_api::{NodeStatus as Running, Secret};
use parking_lot::Mutex;
use proptest::prelude::*;
use tenant_manager::testing::{self, FakeLauncher, FakeOptions, Fakes, MemoryRepositories};
use tenant_manager::{ManagerLimits, NodeOpError, Principal};
use tenant_model::{DesiredState, NodeStatus, Plan};
use tokio::sync::watch;

const LABELS: [&str; 3] = ["one", "two", "three"];

#[derive(Debug, Clone)]
enum Step {
    Create(usize),
    Start(usize),
    Stop(usize),
    Restart(usize),
    Hibernate(usize),
    Delete(usize, bool),
    Suspend(usize),
    Resume(usize),
    Visit(usize),
    LetGo,
    FailNext(u32),
    HoldLaunches,
    ReleaseLaunches,
    HoldStop(usize),
    BreakDown(usize),
    TimerIn(usize, u64),
    Database(bool),
    Wait(u64),
    SetClock(i64),
    RestartHost,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..LABELS.len();
    let step = prop_oneof![
        4 => which.clone().prop_map(Step::Create),
        3 => which.clone().prop_map(Step::Start),
        3 => which.clone().prop_map(Step::Stop),
        2 => which.clone().prop_map(Step::Restart),
        3 => which.clone().prop_map(Step::Hibernate),
        1 => (which.clone(), any::<bool>()).prop_map(|(at, purge)| Step::Delete(at, purge)),
        2 => which.clone().prop_map(Step::Suspend),
        3 => which.clone().prop_map(Step::Resume),
        6 => which.clone().prop_map(Step::Visit),
        2 => Just(Step::LetGo),
        1 => (1..7_u32).prop_map(Step::FailNext),
        1 => Just(Step::HoldLaunches),
        3 => Just(Step::ReleaseLaunches),
        4 => which.clone().prop_map(Step::HoldStop),
        2 => which.clone().prop_map(Step::BreakDown),
        2 => (which, 0..500_000_u64).prop_map(|(at, millis)| Step::TimerIn(at, millis)),
        2 => any::<bool>().prop_map(Step::Database),
        6 => (0..400_000_u64).prop_map(Step::Wait),
        1 => (-4000..100_000_i64).prop_map(Step::SetClock),
        1 => Just(Step::RestartHost),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Everything of one run.
struct World {
    options: FakeOptions,
    fakes: Fakes,
    alice: Principal,
    operator: Principal,
    /// What the last acknowledged wish was, by label.
    acknowledged: HashMap<&'static str, DesiredState>,
    /// Leases held, by label.
    held: Arc<Mutex<HashMap<String, usize>>>,
    let_go: watch::Sender<u32>,
}

impl World {
    async fn new(always_on: bool, max_awake: usize) -> Self {
        let options = FakeOptions {
            plan: Plan {
                always_on,
                ..Plan::default()
            },
            idle_after: Duration::from_secs(300),
            limits: ManagerLimits {
                max_awake,
                purge_grace: Duration::from_secs(1000),
                ..ManagerLimits::default()
            },
            ..FakeOptions::default()
        };
        let launcher = Arc::new(FakeLauncher::default());
        let fakes = testing::start(options.clone(), launcher, Arc::default());
        let fakes = fakes.await.unwrap();
        let alice = fakes.account("alice@example.org").await.unwrap();
        fakes.account("operator@example.org").await.unwrap();
        let manager = &fakes.manager;
        manager
            .promote_operator("operator@example.org")
            .await
            .unwrap();
        let password = Secret::new("long enough".to_owned());
        let session = manager.sign_in("operator@example.org", password);
        let session = session.await.unwrap();
        let operator = manager.authenticate(session.token.expose()).await.unwrap();
        Self {
            options,
            fakes,
            alice,
            operator,
            acknowledged: HashMap::new(),
            held: Arc::default(),
            let_go: watch::Sender::new(0),
        }
    }

    fn rows(&self) -> &Arc<MemoryRepositories> {
        &self.fakes.repositories
    }

    async fn take(&mut self, step: &Step) {
        let manager = self.fakes.manager.clone();
        let (alice, launcher) = (&self.alice, &self.fakes.launcher);
        let node = |at: usize| launcher.running_node(&format!("{}.dev", LABELS[at]));
        match *step {
            Step::Create(at) => {
                let created = manager.create_node(alice, LABELS[at], password()).await;
                self.acknowledge(at, created.is_ok(), DesiredState::Running);
            }
            Step::Start(at) => {
                let started = manager.start_node(alice, LABELS[at]).await;
                self.acknowledge(at, started.is_ok(), DesiredState::Running);
            }
            Step::Restart(at) => {
                let restarted = manager.restart_node(alice, LABELS[at]).await;
                self.acknowledge(at, restarted.is_ok(), DesiredState::Running);
            }
            Step::Stop(at) => {
                let stopped = manager.stop_node(alice, LABELS[at]).await;
                self.acknowledge(at, stopped.is_ok(), DesiredState::Stopped);
            }
            Step::Delete(at, purge) => {
                let deleted = manager.delete_node(alice, LABELS[at], purge).await;
                self.acknowledge(at, deleted.is_ok(), DesiredState::Archived);
            }
            Step::Hibernate(at) => drop(manager.hibernate_node(alice, LABELS[at]).await),
            Step::Suspend(at) => {
                let operator = manager.operator(&self.operator).unwrap();
                drop(operator.suspend_node(LABELS[at], "to see").await);
            }
            Step::Resume(at) => {
                let operator = manager.operator(&self.operator).unwrap();
                drop(operator.resume_node(LABELS[at]).await);
            }
            Step::Visit(at) => self.visit(LABELS[at]),
            Step::LetGo => self.let_go.send_modify(|times| *times += 1),
            Step::FailNext(times) => launcher.fail_next(times),
            Step::HoldLaunches => launcher.hold(),
            Step::ReleaseLaunches => launcher.release(),
            Step::HoldStop(at) => {
                if let Some(node) = node(at) {
                    node.hold_stop(true);
                }
            }
            Step::BreakDown(at) => {
                if let Some(node) = node(at) {
                    node.break_down("worn out");
                }
            }
            Step::TimerIn(at, millis) => {
                if let Some(node) = node(at) {
                    node.set_wake_in(Some(Duration::from_millis(millis)));
                }
            }
            Step::Database(there) => self.rows().set_away(!there),
            Step::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Step::SetClock(seconds) => self.fakes.clock.advance(seconds),
            Step::RestartHost => self.restart_host().await,
        }
    }

    fn acknowledge(&mut self, at: usize, done: bool, state: DesiredState) {
        if done {
            self.acknowledged.insert(LABELS[at], state);
        }
    }

    /// Somebody comes, and stays until told to go or until the node stops, as
    /// the doors do.
    fn visit(&self, label: &'static str) {
        let (manager, held) = (self.fakes.manager.clone(), self.held.clone());
        let mut let_go = self.let_go.subscribe();
        tokio::spawn(async move {
            let access = manager.visitor(label).ok()?;
            let lease = manager.acquire(&access).await.ok()?;
            *held.lock().entry(label.to_owned()).or_default() += 1;
            let mut status = lease.node().status();
            tokio::select! {
                _ = status.wait_for(|status| !matches!(status, Running::Active)) => {}
                _ = let_go.changed() => {}
            }
            drop(lease);
            *held.lock().get_mut(label)? -= 1;
            Some(())
        });
    }

    /// Trouble that a dead process would not have any more.
    fn calm_down(&self) {
        self.fakes.launcher.release();
        self.fakes.launcher.fail_next(0);
        for node in self.fakes.launcher.all() {
            node.hold_stop(false);
        }
    }

    async fn restart_host(&mut self) {
        self.calm_down();
        let down = self.fakes.manager.shutdown(Duration::from_secs(60)).await;
        assert!(down, "the host went down in time");
        assert!(self.fakes.launcher.running().is_empty());
        self.rows().set_away(false);
        let fakes = testing::start(
            self.options.clone(),
            self.fakes.launcher.clone(),
            self.fakes.repositories.clone(),
        );
        self.fakes = fakes.await.unwrap();
    }

    /// What holds after every step.
    async fn check(&self) {
        assert_eq!(self.fakes.launcher.clashes(), 0, "two nodes of one tenant");
        for (label, desired) in &self.acknowledged {
            let Some(row) = self.rows().tenant(label) else {
                assert_eq!(*desired, DesiredState::Archived, "{label} was forgotten");
                continue;
            };
            assert_eq!(row.desired, *desired, "of {label}");
        }
        // Whoever held a lease of a node that stops had a moment to let go.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let held = self.held.lock().clone();
        for (label, leases) in held.iter().filter(|(_, leases)| **leases > 0) {
            let status = self.status(label).await;
            let runs = matches!(status, Some(NodeStatus::Active | NodeStatus::Stopping));
            assert!(runs, "{leases} leases of {label}, which is {status:?}");
        }
    }

    async fn status(&self, label: &str) -> Option<NodeStatus> {
        match self.fakes.manager.node(&self.alice, label).await {
            Ok(view) => Some(view.status),
            Err(NodeOpError::NotFound) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The trouble is over: is every tenant what it should be?
    async fn settles(&self) {
        self.calm_down();
        self.rows().set_away(false);
        self.let_go.send_modify(|times| *times += 1);
        tokio::time::sleep(Duration::from_secs(900)).await;
        self.check().await;
        for label in LABELS {
            let status = self.status(label).await;
            let Some(row) = self.rows().tenant(label) else {
                assert_eq!(status, None, "{label} is gone");
                continue;
            };
            let wanted = match (row.desired, row.suspended) {
                (DesiredState::Archived, _) => NodeStatus::Archived,
                (_, Some(_)) => NodeStatus::Suspended,
                (DesiredState::Stopped, None) => NodeStatus::Stopped,
                (DesiredState::Running, None) => {
                    if self.options.plan.always_on {
                        let fine = matches!(status, Some(NodeStatus::Active | NodeStatus::Broken));
                        assert!(fine, "{label} is always on, but {status:?}");
                    }
                    self.answers(label).await;
                    continue;
                }
            };
            assert_eq!(status, Some(wanted), "{label}");
        }
    }

    /// A running tenant is reached, if it was given up too.
    async fn answers(&self, label: &str) {
        let access = self.fakes.manager.visitor(label).unwrap();
        let reached = self.fakes.manager.acquire(&access).await;
        let lease = reached.unwrap_or_else(|error| panic!("{label} does not answer: {error}"));
        assert_eq!(*lease.node().status().borrow(), Running::Active);
    }
}

/// Takes `steps` in a world of its own.
fn live(steps: &[Step], always_on: bool, max_awake: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        // Nodes that are always on do not make room.
        let max_awake = if always_on { LABELS.len() } else { max_awake };
        let mut world = World::new(always_on, max_awake).await;
        for step in steps {
            world.take(step).await;
            world.check().await;
        }
        world.settles().await;
    });
}

/// Few cases in the tests, since passwords are hashed in earnest; many in the
/// long proofs.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn whatever_happens_every_tenant_ends_as_it_should(
        steps in steps(), always_on in any::<bool>(), max_awake in 1..4_usize,
    ) {
        live(&steps, always_on, max_awake);
    }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    #[ignore = "ten minutes: make soak"]
    fn soak_whatever_happens_every_tenant_ends_as_it_should(
        steps in steps(), always_on in any::<bool>(), max_awake in 1..4_usize,
    ) {
        live(&steps, always_on, max_awake);
    }
}
