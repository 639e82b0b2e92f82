//! The paths of the homepage, which begin at the node's root.
//!
//! Static content is for anybody: it says no more than the node's name.

use distro_logic::homepage::page::our_script;
use guest::lib::http::server::{HttpBindingConfig, HttpServer, HttpServerError, WsBindingConfig};
use guest::lib::LazyLoadBlob;
use guest::print;

/// Seconds to wait for the HTTP server at start.
const BIND_SECONDS: u64 = 5;
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// The look that apps may share, before anybody changes it.
const SHARED_CSS: &str = include_str!("ui/kinode.css");

/// Binds every path. What fails is printed; the rest works all the same.
pub fn bind(node: &str, stylesheet: Option<&str>) {
    let mut server = HttpServer::new(BIND_SECONDS);
    for (path, mime, text) in [
        ("/our", "text/html", node),
        ("/our.js", SCRIPT, &our_script(node)),
        ("/amionline", "text/plain", "yes"),
        ("/homepage.css", CSS, include_str!("ui/homepage.css")),
        ("/homepage.js", SCRIPT, include_str!("ui/homepage.js")),
    ] {
        told(path, bind_static(&mut server, path, mime, text));
    }
    bind_stylesheet(stylesheet);
    let signed_in = HttpBindingConfig::default();
    for path in [
        "/",
        "/apps",
        "/version",
        "/order",
        "/favorite",
        "/icons/:id",
        "/widgets/:id",
    ] {
        told(path, server.bind_http_path(path, signed_in.clone()));
    }
    told(
        "the WebSocket",
        server.bind_ws_path("/", WsBindingConfig::default()),
    );
}

/// Serves the shared stylesheet with what was set on top of it.
pub fn bind_stylesheet(set: Option<&str>) {
    let mut server = HttpServer::new(BIND_SECONDS);
    let sheet = format!("{SHARED_CSS}\n{}", set.unwrap_or_default());
    let path = "/kinode.css";
    told(path, bind_static(&mut server, path, CSS, &sheet));
}

fn bind_static(
    server: &mut HttpServer,
    path: &str,
    mime: &str,
    text: &str,
) -> Result<(), HttpServerError> {
    let content = LazyLoadBlob {
        mime: Some(mime.to_owned()),
        bytes: text.as_bytes().to_vec(),
    };
    let open = HttpBindingConfig::default().authenticated(false);
    server.bind_http_path(path, open.static_content(Some(content)))
}

fn told(what: &str, bound: Result<(), HttpServerError>) {
    if let Err(error) = bound {
        print(&format!("cannot bind {what}: {error}"));
    }
}
