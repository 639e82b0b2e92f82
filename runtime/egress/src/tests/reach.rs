//! What is dialled, what is not, and what is written about it.

use std::net::SocketAddr;

use node_api::EgressOutcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::dns::NameServer;
use super::{Listener, Node, Setup, tasks, time, wish};
use crate::{EgressError, RefusedWhy};

fn is_refused(result: &Result<crate::Connection, EgressError>) -> bool {
    matches!(
        result,
        Err(EgressError::Refused {
            why: RefusedWhy::NotPublic,
            ..
        })
    )
}

#[tokio::test]
async fn the_machine_itself_is_not_reached() {
    let tasks = tasks();
    let listener = Listener::new(&tasks, "127.0.0.1:0").await;
    let names = NameServer::new(&tasks, &[("local.test", &["127.0.0.1 ::1"])]).await;
    let node = Node::asking(names.address, &[]);
    let port = listener.address.port();
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "localhost",
        "a.localhost.",
        "local.test",
    ] {
        assert!(is_refused(&node.connect(host, port).await), "{host}");
        let record = node.record();
        assert_eq!(record.outcome, EgressOutcome::Refused);
        assert_eq!(record.host, host);
        // What a name means here is nothing that an app learns.
        assert_eq!(record.address.is_none(), host.contains("local"), "{host}");
    }
    assert_eq!(listener.count().await, 0);
    // No name server is asked what the machine is called.
    assert_eq!(names.asked("localhost") + names.asked("a.localhost"), 0);
}

#[tokio::test]
async fn a_range_opens_what_it_contains() {
    let tasks = tasks();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let node = Node::new(&["127.0.0.0/8"]);
    let mut connection = node.connect("127.0.0.1", address.port()).await.unwrap();
    assert_eq!(connection.address(), address);
    assert_eq!(connection.alpn(), None);
    let (mut other, _) = listener.accept().await.unwrap();
    connection.write_all(b"to").await.unwrap();
    connection.shutdown().await.unwrap();
    let mut text = String::new();
    other.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "to");
    other.write_all(b"fro").await.unwrap();
    drop(other);
    text.clear();
    connection.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "fro");

    let record = node.record();
    assert_eq!(record.number, 0);
    assert_eq!(record.time, time());
    assert_eq!(record.process, "fetch:app:someone.os");
    assert_eq!(
        (record.scheme.as_str(), record.port),
        ("http", address.port())
    );
    assert_eq!(record.host, "127.0.0.1");
    assert_eq!(record.address, Some(address));
    assert_eq!(record.outcome, EgressOutcome::Connected);
    assert_eq!(record.reason, None);

    // By name too, and nothing beyond the range.
    let counted = Listener::new(&tasks, "127.0.0.1:0").await;
    node.connect("localhost", counted.address.port())
        .await
        .unwrap();
    assert!(is_refused(&node.connect("[::1]", address.port()).await));
    assert!(is_refused(&node.connect("10.0.0.1", address.port()).await));
}

#[tokio::test]
async fn the_machines_own_public_address_is_refused() {
    let own = ["8.8.8.8", "2606:4700:4700::1111"];
    let node = Setup {
        own: Some(&own),
        ..Setup::default()
    }
    .build();
    for host in ["8.8.8.8", "[2606:4700:4700::1111]", "[64:ff9b::8.8.8.8]"] {
        assert!(is_refused(&node.connect(host, 80).await), "{host}");
    }
    // What an app reads does not say why the address is none for it.
    let error = node.connect("8.8.8.8", 80).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "8.8.8.8 may not be reached: it has no public address"
    );
    for record in node.records() {
        assert_eq!(record.outcome, EgressOutcome::Refused);
    }
}

#[tokio::test]
async fn what_was_checked_is_what_is_dialled() {
    let tasks = tasks();
    let good = Listener::new(&tasks, "127.0.0.2:0").await;
    let port = good.address.port();
    // A name server that says something else the second time.
    let bad = Listener::new(&tasks, &format!("127.0.0.1:{port}")).await;
    let names = NameServer::new(&tasks, &[("turn.test", &["127.0.0.2", "127.0.0.1"])]).await;
    let node = Node::asking(names.address, &["127.0.0.2/32"]);

    let connection = node.connect("turn.test", port).await.unwrap();
    assert_eq!(connection.address(), good.address);
    assert_eq!(names.asked("turn.test"), 1, "resolved once");
    assert_eq!(node.record().address, Some(good.address));

    assert!(is_refused(&node.connect("turn.test", port).await));
    assert_eq!(names.asked("turn.test"), 2);
    let record = node.record();
    assert_eq!(record.address, None);
    assert_eq!(
        record.reason.unwrap(),
        "turn.test may not be reached: it has no public address"
    );
    assert_eq!((good.count().await, bad.count().await), (1, 0));
}

#[tokio::test]
async fn of_a_name_only_good_addresses_are_used() {
    let tasks = tasks();
    let good = Listener::new(&tasks, "127.0.0.2:0").await;
    let port = good.address.port();
    let bad = Listener::new(&tasks, &format!("127.0.0.1:{port}")).await;
    let mixed = "127.0.0.1 10.0.0.1 ::1 169.254.169.254 127.0.0.2 fe80::1";
    let names = NameServer::new(&tasks, &[("mixed.test", &[mixed])]).await;
    let node = Node::asking(names.address, &["127.0.0.2/32"]);
    for _ in 0..3 {
        let connection = node.connect("mixed.test", port).await.unwrap();
        assert_eq!(connection.address(), good.address);
    }
    assert_eq!((good.count().await, bad.count().await), (3, 0));
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let tasks = tasks();
    let last = Listener::new(&tasks, "127.0.0.3:0").await;
    let port = last.address.port();
    let names = NameServer::new(
        &tasks,
        &[("three.test", &["127.0.0.1 127.0.0.2 127.0.0.3"])],
    )
    .await;
    let node = Node::asking(names.address, &["127.0.0.0/8"]);
    let connection = node.connect("three.test", port).await.unwrap();
    assert_eq!(connection.address(), last.address);
    assert_eq!(node.record().address, Some(last.address));
}

#[tokio::test]
async fn nobody_listens() {
    let node = Node::new(&["127.0.0.0/8"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = node.connect("127.0.0.1", address.port()).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect(_)), "{error:?}");
    let record = node.record();
    assert_eq!(record.outcome, EgressOutcome::Failed);
    assert_eq!(record.address, Some(address));
    assert!(record.reason.unwrap().starts_with("cannot connect: "));
}

#[tokio::test]
async fn names_that_lead_nowhere() {
    let tasks = tasks();
    let names = NameServer::new(&tasks, &[("empty.test", &[""])]).await;
    let node = Node::asking(names.address, &[]);
    for host in ["missing.test", "empty.test", "a b", "[fe80::1%eth0]", ""] {
        let error = node.connect(host, 80).await.unwrap_err();
        assert!(
            matches!(error, EgressError::NotFound(_)),
            "{host} {error:?}"
        );
        let record = node.record();
        assert_eq!(record.outcome, EgressOutcome::Failed);
        assert_eq!(record.address, None);
        assert_eq!(record.reason, Some(error.to_string()));
    }
    // The machine's own domains are not tried.
    assert_eq!(names.asked("missing.test"), 1);
}

#[tokio::test]
async fn ports_that_are_closed() {
    let tasks = tasks();
    let names = NameServer::new(&tasks, &[]).await;
    let node = Node::asking(names.address, &["127.0.0.0/8"]);
    for port in [0, 25] {
        let error = node.connect("mail.test", port).await.unwrap_err();
        let EgressError::Refused { why, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(why, RefusedWhy::Port(port));
        assert_eq!(node.record().outcome, EgressOutcome::Refused);
    }
    assert_eq!(names.asked_at_all(), 0);
}

#[tokio::test(start_paused = true)]
async fn name_servers_that_are_silent() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let node = Node::asking(silent.local_addr().unwrap(), &[]);
    let error = node.connect("a.test", 80).await.unwrap_err();
    assert!(matches!(error, EgressError::Unresolved(_)), "{error:?}");
    assert_eq!(node.record().outcome, EgressOutcome::Failed);
}

/// A listener whose queue is full answers nobody.
#[tokio::test(start_paused = true)]
async fn an_address_that_is_silent_ends_in_time() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let second = std::time::Duration::from_secs(1);
    while let Ok(stream) =
        tokio::time::timeout(second, tokio::net::TcpStream::connect(address)).await
    {
        queue.push(stream.unwrap());
    }
    let node = Node::new(&["127.0.0.0/8"]);
    let error = node.connect("127.0.0.1", address.port()).await.unwrap_err();
    assert!(matches!(error, EgressError::TimedOut), "{error:?}");
    let record = node.record();
    assert_eq!(record.address, Some(address));
    assert_eq!(record.reason, Some(error.to_string()));
}

#[tokio::test]
async fn who_gives_up_leaves_a_record() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let node = Node::asking(silent.local_addr().unwrap(), &[]);
    let wish = wish("a.test", 80);
    let mut packet = [0; 512];
    tokio::select! {
        _ = node.egress.connect(&wish) => panic!("nobody answers"),
        asked = silent.recv_from(&mut packet) => { asked.unwrap(); }
    }
    let record = node.record();
    assert_eq!(record.outcome, EgressOutcome::Failed);
    assert_eq!(record.reason.unwrap(), "nobody waited for the answer");
}
