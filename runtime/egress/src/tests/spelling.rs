//! However an address is spelled, it is the address that is judged.

use std::net::Ipv4Addr;

use url::Url;

use super::dns::NameServer;
use super::{Listener, Node, Setup, tasks};
use crate::egress::EgressLimits;

/// Addresses that no app may reach.
const INSIDE: [[u8; 4]; 12] = [
    [127, 0, 0, 1],
    [127, 0, 0, 53],
    [127, 255, 255, 254],
    [0, 0, 0, 0],
    [10, 0, 0, 1],
    [100, 100, 100, 200],
    [169, 254, 169, 254],
    [172, 17, 0, 1],
    [192, 0, 0, 192],
    [192, 168, 1, 1],
    [168, 63, 129, 16],
    [255, 255, 255, 255],
];

/// Ways to write an address in a URL.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let bits = address.to_bits();
    let low = bits & 0xff_ffff;
    let (high, rest) = (bits >> 16, bits & 0xffff);
    let wide: String = address
        .to_string()
        .chars()
        .map(|c| match c.to_digit(10) {
            Some(digit) => char::from_u32(0xff10 + digit).unwrap(),
            None => '。',
        })
        .collect();
    let escaped: String = address
        .to_string()
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    vec![
        format!("{address}"),
        format!("{address}."),
        format!("{bits}"),
        format!("0x{bits:x}"),
        format!("0X{bits:X}"),
        format!("0{bits:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0000{a:o}.{b}.0x0{c:x}.{d}"),
        format!("{a}.{low}"),
        format!("{a}.0x{low:x}"),
        format!("{a}.{b}.{rest}"),
        format!("user:secret@{address}"),
        wide,
        escaped,
        format!("[::ffff:{address}]"),
        format!("[::ffff:{high:x}:{rest:x}]"),
        format!("[0:0:0:0:0:ffff:{address}]"),
        format!("[::{address}]"),
        format!("[::ffff:0:{address}]"),
        format!("[64:ff9b::{address}]"),
        format!("[64:ff9b:1::{high:x}:{rest:x}]"),
        format!("[2002:{high:x}:{rest:x}::1]"),
        format!("[2001:0:{high:x}:{rest:x}::]"),
    ]
}

#[tokio::test]
async fn no_spelling_leads_inside() {
    let tasks = tasks();
    let listener = Listener::new(&tasks, "0.0.0.0:0").await;
    let port = listener.address.port();
    let names = NameServer::new(&tasks, &[]).await;
    let node = Setup {
        name_server: Some(names.address),
        limits: EgressLimits {
            burst: u32::MAX,
            ..EgressLimits::default()
        },
        ..Setup::default()
    }
    .build();
    let mut tried = 0;
    for address in INSIDE.map(Ipv4Addr::from) {
        for spelling in spellings(address) {
            let url = Url::parse(&format!("http://{spelling}:{port}/")).unwrap();
            let host = url.host_str().unwrap();
            let error = node.connect(host, port).await.unwrap_err();
            assert!(
                matches!(error, crate::EgressError::Refused { .. }),
                "{spelling} is {host}: {error:?}"
            );
            // The same without a URL parser: then most of them are nothing.
            assert!(node.connect(&spelling, port).await.is_err(), "{spelling}");
            tried += 1;
        }
    }
    assert!(tried >= 200, "{tried}");
    assert_eq!(listener.count().await, 0);
}

#[tokio::test]
async fn a_nodes_own_log_is_harmless() {
    let node = Node::new(&[]);
    let host = format!("a\u{1b}]0;x\u{7}\n{}", "y".repeat(10_000));
    assert!(node.connect(&host, 80).await.is_err());
    let record = node.record();
    assert!(record.host.bytes().all(|b| b.is_ascii_graphic()));
    assert!(record.host.len() < 300 && record.reason.unwrap().len() < 400);
}
