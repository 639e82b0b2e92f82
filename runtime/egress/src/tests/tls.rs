//! Who does not prove its name is not spoken with.

use std::net::SocketAddr;
use std::sync::Arc;

use lifecycle::{TaskKind, Tasks};
use node_api::EgressOutcome;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::dns::NameServer;
use super::{Node, Setup, tasks, wish};
use crate::egress::Wish;
use crate::tls::Tls;
use crate::{EgressError, TlsError};

/// A server that answers every connection with what it got, once.
struct Server {
    address: SocketAddr,
    /// Whoever trusts these trusts the server.
    roots: RootCertStore,
}

impl Server {
    async fn new(tasks: &Tasks, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key)
                .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks.spawn(TaskKind::abortable("server"), async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut bytes = [0; 4];
                if stream.read_exact(&mut bytes).await.is_ok() {
                    stream.write_all(&bytes).await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            }
        });
        Self { address, roots }
    }
}

fn secure(host: &str, port: u16) -> Wish {
    Wish {
        scheme: "https",
        tls: true,
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        ..wish(host, port)
    }
}

async fn node(tasks: &Tasks, tls: Tls) -> Node {
    let here: &[&str] = &["127.0.0.1"];
    let answers = [("good.test", here), ("other.test", here)];
    Setup {
        allow: &["127.0.0.0/8"],
        name_server: Some(NameServer::new(tasks, &answers).await.address),
        tls,
        ..Setup::default()
    }
    .build()
}

#[tokio::test]
async fn a_server_that_proves_its_name() {
    let tasks = tasks();
    let server = Server::new(&tasks, &["good.test"]).await;
    let node = node(&tasks, Tls::trusting(server.roots)).await;
    let port = server.address.port();
    // A final dot is not part of the name that is proven.
    for host in ["good.test", "good.test."] {
        let mut connection = node.egress.connect(&secure(host, port)).await.unwrap();
        assert_eq!(connection.alpn(), Some(&b"http/1.1"[..]));
        connection.write_all(b"ping").await.unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"ping");
        let record = node.record();
        assert_eq!(record.outcome, EgressOutcome::Connected);
        assert_eq!(record.scheme, "https");
        assert_eq!(record.address, Some(server.address));
    }
}

#[tokio::test]
async fn a_server_that_proves_another_name() {
    let tasks = tasks();
    let server = Server::new(&tasks, &["good.test"]).await;
    let node = node(&tasks, Tls::trusting(server.roots)).await;
    for host in ["other.test", "127.0.0.1", "localhost"] {
        let wish = secure(host, server.address.port());
        let error = node.egress.connect(&wish).await.unwrap_err();
        assert!(
            matches!(error, EgressError::Tls(TlsError::Handshake(_))),
            "{host}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_vouches_for_itself() {
    let tasks = tasks();
    let server = Server::new(&tasks, &["good.test"]).await;
    let another = Server::new(&tasks, &["good.test"]).await;
    let node = node(&tasks, Tls::trusting(another.roots)).await;
    let wish = secure("good.test", server.address.port());
    let error = node.egress.connect(&wish).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls(TlsError::Handshake(_))));
    let record = node.record();
    assert_eq!(record.outcome, EgressOutcome::Failed);
    assert_eq!(record.address, Some(server.address));
    let reason = record.reason.unwrap();
    assert!(
        reason.starts_with("TLS failed: invalid peer certificate"),
        "{reason}"
    );
}

/// With the roots of the machine, which may have none.
#[tokio::test]
async fn the_machines_roots_do_not_vouch_for_it() {
    let tasks = tasks();
    let server = Server::new(&tasks, &["good.test"]).await;
    let node = node(&tasks, Tls::default()).await;
    let wish = secure("good.test", server.address.port());
    let error = node.egress.connect(&wish).await.unwrap_err();
    assert!(
        matches!(
            error,
            EgressError::Tls(TlsError::Handshake(_) | TlsError::NoRoots)
        ),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_ends_in_time() {
    let tasks = tasks();
    let server = Server::new(&tasks, &["good.test"]).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = Setup {
        allow: &["127.0.0.0/8"],
        tls: Tls::trusting(server.roots),
        ..Setup::default()
    }
    .build();
    let wish = secure("127.0.0.1", silent.local_addr().unwrap().port());
    let error = node.egress.connect(&wish).await.unwrap_err();
    assert!(matches!(error, EgressError::TimedOut), "{error:?}");
}
