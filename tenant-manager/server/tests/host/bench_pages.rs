//! Figures of the way people take: from sign-up to the homepage, and pages of a
//! node, static ones and an app's, beside nginx giving the same bytes (`make
//! bench`).

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::{Method, StatusCode};

use super::bench::percentile;
use super::support::nginx::{Nginx, Page, compare};
use super::support::{Api, Host, Kit, Ssh, eventually, json, test_package};

/// Opens the node as its owner does from the dashboard; the login cookie.
async fn open(api: &Api, label: &str) -> String {
    let link = json(api.act(&format!("/nodes/{label}/open")).await).await;
    let url: reqwest::Url = link["url"].as_str().unwrap().parse().unwrap();
    let host = url.host_str().unwrap().to_owned();
    let answer = api.node(Method::GET, &host, url.path(), "").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn bench_from_sign_up_to_the_homepage() {
    let host = Host::start_with(&["--plan-nodes", "100"]);
    let mut times = Vec::new();
    for round in 0..20 {
        let begun = Instant::now();
        let api = host.api();
        let api = api.sign_up(&format!("user{round}@example.org")).await;
        let label = format!("node{round}");
        let body = serde_json::json!({"label": label, "password": "node password"});
        let made = api.post("/nodes", &body).await;
        assert_eq!(made.status(), StatusCode::ACCEPTED);
        let cookie = open(&api, &label).await;
        let page = api
            .node_with(
                Method::GET,
                &format!("{label}.localhost"),
                "/",
                &[("cookie", &cookie)],
            )
            .await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.text().await.unwrap().contains(&format!("{label}.dev")));
        times.push(begun.elapsed());
    }
    let (p50, p99) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
    println!(
        "sign-up to homepage 200, three password hashes included: p50 {p50:?}, p99 {p99:?} \
         (goal: p50 at most 500 ms)"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_static_path_beside_nginx() {
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let (status, page) = api.node_get("alice.localhost", "/our.js").await;
    assert_eq!(status, StatusCode::OK);
    let nginx = Nginx::before_itself(page.as_bytes()).await;
    println!("static path, {} bytes:", page.len());
    let ours = Page {
        url: &format!("http://{}/our.js", host.http()),
        host: &format!("alice.{}", host.http().replace("127.0.0.1", "localhost")),
    };
    let theirs = Page {
        url: &format!("http://127.0.0.1:{}/page", nginx.port),
        host: "localhost",
    };
    compare(&ours, &theirs, "nginx to nginx", (0.5, 1.5));
}

/// An app that is no Wasm: it answers as the counter does, on threads of its
/// own.
fn native() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(answer(stream));
            }
        });
    });
    port
}

async fn answer(stream: tokio::net::TcpStream) {
    let service = service_fn(|_request| async {
        let answer = Response::builder().header("content-type", "application/json");
        answer.body(Full::new(Bytes::from_static(br#"{"count":0}"#)))
    });
    let server = hyper::server::conn::http1::Builder::new();
    // A client that goes is no failure.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_dynamic_path_beside_nginx() {
    const PATH: &str = "/counter:counter:tester.dev/api";
    let host = Host::start();
    let api = host.api().sign_up("alice@example.org").await;
    api.create_node("alice").await;
    let tunnel = Ssh::new(host.ssh_port(), "alice", &api.ssh_password("alice").await).tunnel();
    let kit = Kit::new(tunnel.port);
    kit.install(&test_package("counter:tester.dev")).await;
    let page = eventually("the app", Duration::from_secs(20), async || {
        let (status, page) = api.node_get("alice.localhost", PATH).await;
        (status == StatusCode::OK).then_some(page)
    })
    .await;
    assert_eq!(page, r#"{"count":0}"#);
    let nginx = Nginx::before(native()).await;
    println!(
        "dynamic path answered by a Wasm process, {} bytes:",
        page.len()
    );
    let ours = Page {
        url: &format!("http://{}{PATH}", host.http()),
        host: &format!("alice.{}", host.http().replace("127.0.0.1", "localhost")),
    };
    let theirs = Page {
        url: &format!("http://127.0.0.1:{}/", nginx.port),
        host: "localhost",
    };
    compare(&ours, &theirs, "nginx to a native server", (1.3, 0.77));
}
