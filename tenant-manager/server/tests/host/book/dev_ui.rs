//! A front end while it is written: Vite's development server in front of a
//! hosted node, which it reaches through the owner's tunnel, as in the book's
//! guide.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::browser::chromium::{Chromium, Look};
use super::super::support::ssh::free_port;
use super::super::support::{Host, fetch};
use super::Node;
use super::script::Script;

const CHAT: &str = "my_chat_app:my_chat_app:template.os";
/// The page's project, by file.
const PROJECT: [(&str, &str); 3] = [
    ("index.html", include_str!("dev_ui/index.html")),
    ("src/main.js", include_str!("dev_ui/src/main.js")),
    ("vite.config.mjs", include_str!("dev_ui/vite.config.mjs")),
];

/// Where `infra/setup test` put Vite: in the target directory of the build.
fn vite() -> PathBuf {
    let berth = Path::new(env!("CARGO_BIN_EXE_berth"));
    let target = berth.ancestors().nth(2).unwrap();
    target.join("test-tools/node_modules/vite/bin/vite.js")
}

/// A running development server; dropping it ends it.
struct DevServer {
    port: u16,
    project: tempfile::TempDir,
    _server: Script,
}

impl DevServer {
    /// Starts one in front of `node`.
    fn start(node: &Node) -> Self {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir(project.path().join("src")).unwrap();
        for (name, text) in PROJECT {
            std::fs::write(project.path().join(name), text).unwrap();
        }
        let port = free_port();
        let mut command = Command::new("node");
        command
            .arg(vite())
            .current_dir(project.path())
            // On machines that say they are for CI it colours what it says.
            .env("NO_COLOR", "1")
            .env("PORT", port.to_string())
            .env(
                "VITE_NODE_URL",
                format!("http://localhost:{}", node.tunnel_port()),
            );
        let server = Script::run(command);
        while !server.line().contains("Local:") {}
        Self {
            port,
            project,
            _server: server,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_written_with_vite_in_front_of_a_hosted_node() {
    let host = Host::start();
    let alice = Node::create(&host, "alice").await;
    alice.install("my_chat_app:template.os").await;
    alice.has_begun(CHAT).await;
    let dev = DevServer::start(&alice);

    // The node's own answers, which Vite hands through.
    let get = async |path: String| {
        let answer = fetch(dev.url(&path)).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        (kind, answer.text().await.unwrap())
    };
    assert_eq!(get("/our".to_owned()).await.1, "alice.dev");
    for path in ["/our.js".to_owned(), format!("/{CHAT}/our.js")] {
        let (kind, script) = get(path).await;
        assert!(kind.starts_with("text/javascript"), "{kind}");
        assert!(script.contains("alice.dev"), "{script}");
    }
    let (_, login) = get(format!("/{CHAT}/messages")).await;
    assert!(login.contains("Sign in"), "{login}");
    // The page's source is Vite's.
    let (_, page) = get(format!("/{CHAT}/")).await;
    assert!(page.contains("Chat in the making"), "{page}");

    let browser = Chromium::start(Look::default()).await;
    browser.goto(&dev.url(&format!("/{CHAT}/"))).await;
    browser.sees("alice.dev is alice.dev").await;
    browser.sees("not signed in").await;
    browser.sees("direct: closed").await;
    browser.sees("proxied: closed").await;
    // Its writer signs in at the node; cookies do not ask for ports.
    browser
        .goto(&format!("http://localhost:{}/login", alice.tunnel_port()))
        .await;
    browser.fill("input[name=password]", "node password").await;
    browser.press("Sign in").await;
    browser.find("#live").await;
    browser.goto(&dev.url(&format!("/{CHAT}/"))).await;
    browser.sees("direct: open").await;
    browser.sees("proxied: open").await;
    browser.press("Say hello").await;
    browser.find("#said li").await;
    browser.sees("direct: hello from Vite").await;
    browser.sees("proxied: hello from Vite").await;
    alice.printed("alice.dev: hello from Vite").await;

    // What is edited is seen without a hand on the browser.
    let index = dev.project.path().join("index.html");
    let edited = PROJECT[0].1.replace("Chat in the making", "Chat, edited");
    std::fs::write(index, edited).unwrap();
    browser.sees("Chat, edited").await;
    browser.sees("proxied: open").await;
    browser.close().await;
}
