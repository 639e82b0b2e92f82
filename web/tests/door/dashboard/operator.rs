//! The page with all nodes of a host.

use tenant_manager::testing::FakeOptions;
use tenant_model::Plan;

use super::pages::check;
use crate::support::{Browser, Host, fill_in, options};

const SUSPEND: &str = "/operator/nodes/alice/suspend";

/// A browser of an operator.
async fn operator<'a>(host: &'a Host, email: &str) -> Browser<'a> {
    let mut browser = Browser::signed_up(host, email).await;
    host.manager.promote_operator(email).await.unwrap();
    browser.open("/nodes").await;
    browser
}

/// What stands in the list about a node.
fn row(browser: &Browser<'_>, label: &str) -> Option<String> {
    let page = &browser.page;
    page.text_of(|_, attributes| {
        attributes
            .get("data-node")
            .is_some_and(|node| node == label)
    })
}

/// The buttons of a node in the list.
fn buttons(browser: &Browser<'_>, label: &str) -> Vec<String> {
    let start = format!("/operator/nodes/{label}/");
    let forms = browser.page.forms().into_iter();
    let action = |action: String| action.strip_prefix(&start).map(str::to_owned);
    forms.filter_map(|form| action(form.action)).collect()
}

#[tokio::test]
async fn the_page_is_there_for_operators_only() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    assert!(!ann.page.links().contains(&"/operator"));
    ann.open("/nothing").await;
    let nothing = ann.answer.text();
    for path in ["/operator", "/operator?status=active", SUSPEND] {
        ann.open(path).await;
        assert_eq!(ann.answer.status, 404, "{path}");
        assert_eq!(ann.answer.text(), nothing, "{path}");
        let mut nobody = Browser::new(&host);
        nobody.open(path).await;
        assert!(nobody.path.starts_with("/sign-in?next=%2Foperator"));
    }
    ann.open("/nodes").await;
    let token = fill_in(&ann.form("/sign-out"), &[]);
    for action in ["start", "stop", "hibernate", "resume", "suspend"] {
        let path = format!("/operator/nodes/alice/{action}");
        let answer = ann.post(&path, &format!("{token}&reason=spite")).await;
        assert_eq!(answer.status, 404, "{action}");
    }
    ann.until("alice", "active").await;

    let mut ops = operator(&host, "ops@example.org").await;
    assert!(ops.page.links().contains(&"/operator"));
    for path in ["/operator", "/operator?cursor=alice", SUSPEND] {
        ops.open(path).await;
        assert_eq!((ops.answer.status, ops.path.as_str()), (200, path));
        assert_eq!(ops.answer.header("cache-control"), Some("no-store"));
        check(&ops.page, path);
    }
    // Signing in leads back there.
    let mut again = Browser::new(&host);
    again.open("/operator?status=active").await;
    let fields = [("email", "ops@example.org"), ("password", "long enough")];
    again.submit("/sign-in", &fields).await;
    assert_eq!(again.path, "/operator?status=active");
}

#[tokio::test]
async fn the_list_shows_everybodys_nodes_by_status_and_from_a_place_on() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let mut bob = Browser::signed_up(&host, "bob@example.org").await;
    bob.make_node("bob").await;
    bob.submit("/nodes/bob/stop", &[]).await;
    bob.until("bob", "stopped").await;
    let mut ops = operator(&host, "ops@example.org").await;
    ops.open("/operator").await;
    let account = host.api("GET", "/account", ann.session(), None).await;
    let alice = row(&ops, "alice").unwrap();
    for part in [
        "Running",
        "1000 bytes",
        "1 January 1970",
        account.json()["account_id"].as_str().unwrap(),
    ] {
        assert!(alice.contains(part), "{part}: {alice}");
    }
    assert_eq!(buttons(&ops, "alice"), ["hibernate", "stop"]);
    assert!(row(&ops, "bob").unwrap().contains("Stopped"));
    assert_eq!(buttons(&ops, "bob"), ["start"]);
    assert!(ops.page.id("first").is_none() && ops.page.id("next").is_none());

    ops.open("/operator?status=stopped").await;
    assert!(row(&ops, "alice").is_none() && row(&ops, "bob").is_some());
    ops.open("/operator?cursor=alice").await;
    assert!(row(&ops, "alice").is_none() && row(&ops, "bob").is_some());
    assert_eq!(ops.page.id("first").unwrap()["href"], "/operator");
    ops.open("/operator?status=broken").await;
    assert!(ops.page.text().contains("There is no such node"));
    // What cannot be read says nothing.
    ops.open("/operator?status=odd&cursor=%22&x").await;
    assert!(row(&ops, "alice").is_some() && row(&ops, "bob").is_some());
}

#[tokio::test]
async fn buttons_act_and_lead_back_to_the_same_part_of_the_list() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let mut ops = operator(&host, "ops@example.org").await;
    ops.open("/operator?status=active").await;
    let stop = "/operator/nodes/alice/stop?status=active";
    let stale = fill_in(&ops.form(stop), &[]);
    ops.submit(stop, &[]).await;
    assert_eq!(ops.path, "/operator?status=active");
    ann.until("alice", "stopped").await;
    // What its state does not allow is said above the list.
    let refused = ops.post("/operator/nodes/alice/hibernate", &stale).await;
    assert_eq!(refused.status, 409);
    let page = crate::support::Markup::read(&refused.text());
    check(&page, "a refusal");
    assert!(page.alert().unwrap().contains("only a running node"));
    let missing = ops.post("/operator/nodes/nobody/stop", &stale).await;
    assert_eq!(missing.status, 404);
    let forged = ops
        .post("/operator/nodes/alice/start", "form_token=x")
        .await;
    assert_eq!(forged.status, 403);
    let page = host.api("GET", "/nodes/alice", ann.session(), None).await;
    assert_eq!(page.json()["status"], "stopped");
    ops.open("/operator").await;
    ops.submit("/operator/nodes/alice/start", &[]).await;
    ann.until("alice", "active").await;
}

#[tokio::test]
async fn a_suspended_node_tells_its_owner_why_and_what_can_be_done() {
    let host = Host::start().await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let mut ops = operator(&host, "ops@example.org").await;
    ops.open("/operator").await;
    assert!(ops.page.links().contains(&SUSPEND));
    ops.open(SUSPEND).await;
    let long = "x".repeat(501);
    for reason in [" ", long.as_str()] {
        ops.submit(SUSPEND, &[("reason", reason)]).await;
        assert_eq!(ops.answer.status, 422);
        assert!(ops.page.text_of_id("reason-error").is_some());
        assert_eq!(ops.page.id("reason").unwrap()["value"], reason.trim());
    }
    ann.until("alice", "active").await;
    ops.submit(SUSPEND, &[("reason", "it sends unwanted messages")])
        .await;
    assert_eq!(ops.path, "/operator");
    ann.until("alice", "suspended").await;
    let text = ann.page.text();
    for part in [
        "Suspended",
        "It sends unwanted messages.",
        "ask the operator to resume it",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let forms = ann.page.forms().into_iter().map(|form| form.action);
    assert_eq!(forms.collect::<Vec<_>>(), ["/sign-out"]);
    assert!(ann.page.links().contains(&"/nodes/alice/delete"));
    ann.open("/nodes").await;
    assert!(ann.page.text().contains("It sends unwanted messages."));

    ops.open("/operator?status=suspended").await;
    let resume = "resume?status=suspended".to_owned();
    assert_eq!(buttons(&ops, "alice"), [resume]);
    assert!(row(&ops, "alice").unwrap().contains("unwanted"));
    ops.submit("/operator/nodes/alice/resume?status=suspended", &[])
        .await;
    assert_eq!(
        host.get("alice.localhost", "/name").await.text(),
        "alice.dev"
    );
    ann.until("alice", "active").await;
}

#[tokio::test]
async fn under_a_plan_that_is_always_on_nobody_is_offered_to_put_a_node_to_sleep() {
    let fakes = FakeOptions {
        plan: Plan {
            always_on: true,
            ..Plan::default()
        },
        ..FakeOptions::default()
    };
    let host = Host::start_over(options(), fakes).await;
    let mut ann = Browser::signed_up(&host, "ann@example.org").await;
    ann.make_node("alice").await;
    let told = ann.page.text_of_id("always-on").unwrap();
    assert!(told.contains("keeps it running"), "{told}");
    let mut actions = ann.page.forms().into_iter().map(|form| form.action);
    assert!(actions.all(|action| action != "/nodes/alice/hibernate"));
    let account = host.api("GET", "/account", ann.session(), None).await;
    assert_eq!(account.json()["plan"]["always_on"], true);
    ann.open("/account").await;
    assert!(ann.page.text().contains("it runs on"));
    ann.open("/nodes/alice").await;
    ann.submit("/nodes/alice/stop", &[]).await;
    ann.until("alice", "stopped").await;
    assert!(ann.page.id("always-on").is_none(), "it does not run now");
}
