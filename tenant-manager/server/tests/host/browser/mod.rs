//! People with a browser: headless Chromium on the dashboard, on homepages and
//! in apps of a real host, under names as a host in the open has them.

mod attacks;
mod axe;
pub mod chromium;
mod follow;
mod people;
mod plain;
mod screenshots;

use chromium::Chromium;

use super::support::{Host, Kit, Ssh, Tunnel, test_package};

/// The account that the tests use.
const EMAIL: &str = "alice@example.org";
const PASSWORD: &str = "correct horse battery";
const NODE_PASSWORD: &str = "a node's own password";

/// A host whose dashboard and nodes live on names of their own.
fn start_host() -> Host {
    Host::start_with(&["--domain", "berth.test", "--node-domain", "nodes.test"])
}

/// A page of the dashboard.
fn dashboard(host: &Host, path: &str) -> String {
    format!("{}{path}", host.ready()["dashboard"].as_str().unwrap())
}

/// A page of a node.
fn node(host: &Host, label: &str, path: &str) -> String {
    let port = host.http().rsplit(':').next().unwrap().to_owned();
    format!("http://{label}.nodes.test:{port}{path}")
}

/// Signs up by clicks.
async fn sign_up(browser: &Chromium, host: &Host, email: &str) {
    browser.goto(&dashboard(host, "/sign-up")).await;
    browser.fill("input[name=email]", email).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main form button[type=submit]").await;
    browser.sees("You have no node yet").await;
}

/// Creates a node by clicks and waits until it is up.
async fn create_node(browser: &Chromium, host: &Host, label: &str) {
    browser.goto(&dashboard(host, "/nodes/new")).await;
    browser.fill("input[name=label]", label).await;
    browser.fill("input[name=password]", NODE_PASSWORD).await;
    browser.press("Create node").await;
    browser.find("[data-status=active]").await;
}

/// Installs a test package through the tunnel that the owner's page describes.
/// Dropping the tunnel ends it.
async fn install(host: &Host, email: &str, label: &str, package: &str) -> Tunnel {
    let api = host.api().sign_in(email, PASSWORD).await;
    let ssh = Ssh::new(host.ssh_port(), label, &api.ssh_password(label).await);
    let tunnel = ssh.tunnel();
    Kit::new(tunnel.port).install(&test_package(package)).await;
    tunnel
}

/// Bytes that a browser hands out as base64.
fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}
