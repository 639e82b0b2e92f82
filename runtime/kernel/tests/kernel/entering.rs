//! Entering, killing, persisting and restoring processes.

use node_kernel::{
    Granted, InitializeError, InitializeProcess, MAX_CAPABILITIES, ProcessTable, boot_requests,
    exit_message,
};
use node_types::{Capability, MessageId, OnExit, ProcessId, Request};

use crate::common::*;

const LIMIT: usize = 3;

fn installer() -> (ProcessTable, ProcessId) {
    let mut table = table();
    let installer = id("main:app-store:sys");
    table.insert(
        installer.clone(),
        app(false).with_capabilities([messaging("vfs:distro:sys")]),
    );
    (table, installer)
}

fn wanted(name: &str, on_exit: OnExit, caps: Vec<Capability>) -> InitializeProcess {
    InitializeProcess {
        id: id(name),
        wasm_bytes_handle: "/k:g/pkg/p.wasm".into(),
        wit_version: Some(1),
        book: false,
        on_exit,
        initial_capabilities: caps,
        public: false,
    }
}

#[test]
fn a_process_gets_what_the_sender_holds_and_both_may_message_it() {
    let (mut table, source) = installer();
    let caps = vec![messaging("vfs:distro:sys"), messaging("timer:distro:sys")];
    let done = table
        .initialize(&source, wanted("p:k:g", OnExit::Restart, caps), None, LIMIT)
        .unwrap();
    assert_eq!(done.skipped, [messaging("timer:distro:sys")]);
    assert!(done.persist);
    assert_eq!(
        table.caps(&id("p:k:g")),
        [messaging("p:k:g"), messaging("vfs:distro:sys")]
    );
    assert!(table.holds(&source, &messaging("p:k:g")));
}

#[test]
fn the_kernel_may_give_anything() {
    let (mut table, _) = installer();
    let kernel = id("kernel:distro:sys");
    let caps = vec![messaging("timer:distro:sys"), Capability::network(&our())];
    let done = table
        .initialize(
            &kernel,
            wanted("p:k:g", OnExit::None, caps.clone()),
            None,
            LIMIT,
        )
        .unwrap();
    assert!(done.skipped.is_empty() && !done.persist);
    assert!(caps.iter().all(|cap| table.holds(&id("p:k:g"), cap)));
}

#[test]
fn a_bad_entry_is_refused_and_changes_nothing() {
    let (mut table, source) = installer();
    let enter = |table: &mut ProcessTable, request| table.initialize(&source, request, None, LIMIT);
    enter(&mut table, wanted("p:k:g", OnExit::None, vec![])).unwrap();
    let before = table.persisted();
    let long = InitializeProcess {
        wasm_bytes_handle: "x".repeat(2000),
        ..wanted("q:k:g", OnExit::None, vec![])
    };
    let flood = OnExit::Requests(vec![(at("b:k:g"), Request::default(), None); 65]);
    let errors = [
        wanted("p:k:g", OnExit::None, vec![]),
        wanted("vfs:distro:sys", OnExit::None, vec![]),
        wanted("kernel:k:g", OnExit::None, vec![]),
        long,
        wanted("q:k:g", flood, vec![]),
    ]
    .map(|request| enter(&mut table, request).unwrap_err());
    assert!(matches!(errors[0], InitializeError::AlreadyRunning(_)));
    assert!(matches!(errors[1], InitializeError::AlreadyRunning(_)));
    assert!(matches!(errors[2], InitializeError::ReservedName(_)));
    assert!(matches!(errors[3], InitializeError::HandleTooLong(_)));
    assert!(matches!(errors[4], InitializeError::OnExit { .. }));
    assert_eq!(table.persisted(), before);
    enter(&mut table, wanted("q:k:g", OnExit::None, vec![])).unwrap();
    let refused = enter(&mut table, wanted("r:k:g", OnExit::None, vec![]));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "process limit reached: `r:k:g` was not entered, the plan allows 3 processes; kill one first (`top` lists them)"
    );
}

#[test]
fn killing_revokes_what_the_process_issued_unless_told_not_to() {
    let (mut table, source) = installer();
    for revoke in [false, true] {
        table
            .initialize(
                &source,
                wanted("p:k:g", OnExit::Restart, vec![]),
                None,
                LIMIT,
            )
            .unwrap();
        assert!(table.kill(&id("p:k:g"), revoke).unwrap().persist);
        assert_eq!(table.holds(&source, &messaging("p:k:g")), !revoke);
        assert!(table.get(&id("p:k:g")).is_none());
    }
    assert!(table.kill(&id("p:k:g"), true).is_none());
    assert!(table.kill(&id("vfs:distro:sys"), true).is_none());
    assert!(table.get(&id("vfs:distro:sys")).is_some());
}

#[test]
fn processes_with_a_behaviour_and_grants_to_modules_survive_a_reboot() {
    let (mut table, source) = installer();
    for (name, on_exit) in [("stays:k:g", OnExit::Restart), ("goes:k:g", OnExit::None)] {
        let request = wanted(name, on_exit, vec![messaging("vfs:distro:sys")]);
        table.initialize(&source, request, None, 9).unwrap();
        table.grant(&id("http-server:distro:sys"), [messaging(name)]);
    }
    let bytes = serde_json::to_vec(&table.persisted()).unwrap();

    let mut rebooted = crate::common::table();
    rebooted.restore(serde_json::from_slice(&bytes).unwrap());
    assert!(rebooted.get(&id("goes:k:g")).is_none());
    let stays = id("stays:k:g");
    assert_eq!(rebooted.get(&stays), table.get(&stays));
    let http = id("http-server:distro:sys");
    assert!(rebooted.holds(&http, &messaging("stays:k:g")));
    assert!(rebooted.holds(&http, &messaging("goes:k:g")));
    // Rights to what is gone are of no use to anyone.
    assert_eq!(rebooted.prune_dangling(), 2);
    assert!(!rebooted.holds(&http, &messaging("goes:k:g")));
    assert!(!rebooted.holds(&source, &messaging("goes:k:g")));
    assert!(rebooted.holds(&http, &messaging("stays:k:g")));
    assert_eq!(rebooted.prune_dangling(), 0);
}

#[test]
fn nothing_stored_can_make_or_unmake_a_module() {
    let mut stored = table().persisted();
    let vfs = id("vfs:distro:sys");
    let mut forged = stored.processes[&vfs].clone();
    stored
        .processes
        .insert(id("new:distro:sys"), forged.clone());
    forged.module = false;
    forged.wasm_bytes_handle = "/k:g/pkg/p.wasm".into();
    stored.processes.insert(vfs.clone(), forged);
    let mut rebooted = table();
    rebooted.restore(stored);
    assert!(rebooted.get(&id("new:distro:sys")).is_none());
    assert_eq!(rebooted.get(&vfs), table().get(&vfs));
}

#[test]
fn a_distro_package_overwrites_all_but_capabilities() {
    let (mut table, source) = installer();
    table.grant(&source, [messaging("p:k:g")]);
    let mut entry = app(true).with_capabilities([messaging("timer:distro:sys")]);
    entry.wit_version = None;
    table.upsert(source.clone(), entry);
    let now = table.get(&source).unwrap();
    assert!(now.public && now.wit_version.is_none());
    for cap in ["p:k:g", "timer:distro:sys", "vfs:distro:sys"] {
        assert!(now.capabilities().contains(&messaging(cap)), "{cap}");
    }
}

#[test]
fn exit_requests_expect_nothing_and_carry_what_the_process_may_hand_on() {
    let (mut table, _) = installer();
    table.insert(
        id("p:k:g"),
        app(false).with_capabilities([messaging("b:k:g")]),
    );
    let request = Request {
        expects_response: Some(5),
        capabilities: vec![
            messaging("our@b:k:g"),
            messaging("c:k:g"),
            messaging("our@p:k:g"),
        ],
        ..Request::default()
    };
    let target = "our@b:k:g".parse().unwrap();
    let message = exit_message(
        &table,
        &id("p:k:g"),
        (target, request, Some(blob("x"))),
        MessageId(4),
    );
    assert_eq!(message.source, at("p:k:g"));
    assert_eq!(message.target, at("b:k:g"));
    assert!(!message.message.expects_response() && message.rsvp.is_none());
    assert_eq!(
        message.message.capabilities(),
        [messaging("b:k:g"), messaging("p:k:g")]
    );
}

#[test]
fn at_boot_only_exit_requests_that_may_be_sent_are_sent() {
    let (mut table, _) = installer();
    let mut entry = app(false).with_capabilities([messaging("b:k:g")]);
    entry.on_exit = OnExit::Requests(
        ["b:k:g", "c:k:g"]
            .map(|target| (at(target), Request::default(), None))
            .to_vec(),
    );
    table.insert(id("p:k:g"), entry);
    let sent = boot_requests(&table, &id("p:k:g"));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, at("b:k:g"));
    assert!(boot_requests(&table, &id("main:app-store:sys")).is_empty());
}

#[test]
fn on_exit_can_be_replaced_for_apps_only() {
    let (mut table, source) = installer();
    assert_eq!(table.set_on_exit(&source, OnExit::None), Ok(true));
    assert_eq!(table.get(&source).unwrap().on_exit, OnExit::None);
    assert_eq!(
        table.set_on_exit(&id("vfs:distro:sys"), OnExit::Restart),
        Ok(false)
    );
    let flood = OnExit::Requests(vec![(at("b:k:g"), Request::default(), None); 65]);
    assert!(table.set_on_exit(&source, flood).is_err());
    assert_eq!(table.get(&source).unwrap().on_exit, OnExit::None);
}

#[test]
fn capabilities_that_do_not_fit_are_counted() {
    let (mut table, source) = installer();
    let numbered = |number: usize| Capability::new(table_address(), number.to_string());
    let many = (0..MAX_CAPABILITIES + 10).map(numbered);
    let granted = table.grant_counted(&source, many);
    assert!(granted.changed && granted.full >= 10, "{granted:?}");
    let again = table.grant_counted(&source, [numbered(0), numbered(MAX_CAPABILITIES + 9)]);
    assert_eq!((again.changed, again.full), (false, 1));
    let nobody = table.grant_counted(&id("no:such:one"), [numbered(0)]);
    assert_eq!(nobody, Granted::default());
}

fn table_address() -> node_types::Address {
    "alice.dev@vfs:distro:sys".parse().unwrap()
}
