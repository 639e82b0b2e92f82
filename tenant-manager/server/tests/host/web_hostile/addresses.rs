//! The table of what an app may not reach, however it is spelled.

use std::net::{IpAddr, Ipv4Addr};

use super::super::support::Host;
use super::witness::own_addresses;

/// Names that the test's name server knows, all of them of inner addresses.
pub const NAMES: [(&str, &str); 12] = [
    ("metadata.google.internal", "169.254.169.254"),
    ("metadata", "169.254.169.254"),
    ("instance-data.ec2.internal", "fd00:ec2::254"),
    ("localtest.me", "127.0.0.1"),
    ("127.0.0.1.nip.test", "127.0.0.1"),
    ("six.test", "::1"),
    ("mapped.test", "::ffff:127.0.0.1"),
    ("nat64.test", "64:ff9b::7f00:1"),
    ("any.test", "0.0.0.0"),
    ("lan.test", "192.168.1.1"),
    ("ula.test", "fd12:3456:789a::1"),
    ("broadcast.test", "255.255.255.255"),
];

/// Spellings of 127.0.0.1 and of its neighbours that browsers, `inet_aton`,
/// proxies or other parsers read as such.
const LOOPBACK: [&str; 50] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.0.1",
    "127.1",
    "127.1.",
    "2130706433",
    "2130706433.",
    "0x7f000001",
    "0x7F000001",
    "0X7f000001",
    "0x00000000007f000001",
    "017700000001",
    "00000000017700000001",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "0177.1",
    "0177.0x0.0.1",
    "127.0x1",
    "127.0.0x1",
    "127.00.000.01",
    "127.0.0.001",
    "127.65535",
    "127.0.65535",
    "127.16777215",
    "127.127.127.127",
    "127.255.255.254",
    "127.0.0.2",
    "127.0.0.53",
    "\u{2460}\u{2461}\u{2466}.0.0.1",
    "\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "127\u{ff0e}0\u{ff0e}0\u{ff0e}1",
    "127\u{ff61}0\u{ff61}0\u{ff61}1",
    "\u{1d7cf}\u{1d7d0}\u{1d7d5}.0.0.1",
    "\u{b9}\u{b2}7.0.0.1",
    "127.0.0.\u{2081}",
    "%31%32%37.0.0.1",
    "%31%32%37%2e%30%2e%30%2e%31",
    "127%2E0%2E0%2E1",
    "%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1",
    "0%78%37f000001",
    "127.0.0.1%00",
    "127.0.0.1%20",
    "127.0\u{ad}.0.1",
    "12\u{200b}7.0.0.1",
];

/// Spellings of the machine's own name.
const LOCALHOST: [&str; 16] = [
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "localhost.",
    "LOCALHOST.",
    "a.localhost",
    "alice.localhost",
    "a.b.c.localhost.",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
    "\u{24db}\u{24de}\u{24d2}\u{24d0}\u{24db}\u{24d7}\u{24de}\u{24e2}\u{24e3}",
    "\u{ff4c}\u{ff4f}\u{ff43}\u{ff41}\u{ff4c}\u{ff48}\u{ff4f}\u{ff53}\u{ff54}",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "local\u{ad}host",
    "loca\u{2113}host",
];

/// IPv6 that is, or contains, an inner address.
const SIX: [&str; 46] = [
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::]",
    "[0::0]",
    "[::0.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:7f00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[0000:0000:0000:0000:0000:ffff:7f00:0001]",
    "[::ffff:0.0.0.0]",
    "[::ffff:10.0.0.1]",
    "[::ffff:172.16.0.1]",
    "[::ffff:192.168.1.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:100.64.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::127.0.0.1]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2002:7f00:1::1]",
    "[2002:a9fe:a9fe::1]",
    "[2002:a00:1::1]",
    "[2001:0:7f00:1::]",
    "[2001:db8::1]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fdff:ffff::1]",
    "[ff02::1]",
    "[ff05::2]",
    "[100::1]",
    "[3fff::1]",
];

/// IPv4 that is not on the public internet, or stands for a service of the
/// machine's own provider.
const FOUR: [&str; 53] = [
    "0.0.0.0",
    "0",
    "0.",
    "0x0",
    "00",
    "0.0",
    "0.1.2.3",
    "0.255.255.255",
    "10.0.0.1",
    "10.1",
    "167772161",
    "0x0a000001",
    "012.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "1681915905",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.169.254.",
    "169.254.43518",
    "169.16689662",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "025177524776",
    "\u{2460}\u{2465}\u{2468}.254.169.254",
    "169\u{3002}254\u{3002}169\u{3002}254",
    "169.254.170.2",
    "169.254.255.255",
    "168.63.129.16",
    "192.88.99.1",
    "172.16.0.1",
    "172.17.0.1",
    "172.31.255.255",
    "2886729729",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.0.1",
    "192.168.255.255",
    "3232235777",
    "0xc0a80101",
    "0300.0250.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
];

/// Whole URLs in which parsers disagree about what the host is; `PORT` is
/// that of the witness.
const CONFUSING: [&str; 30] = [
    "http://example.com@127.0.0.1:PORT/",
    "http://example.com:80@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT@localhost:PORT/",
    "http://a:b@127.0.0.1:PORT/",
    "http://example.com%40127.0.0.1:PORT/",
    "http://example.com%2F@127.0.0.1:PORT/",
    "http://example.com\\@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\.example.com/",
    "http:\\\\127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:////127.0.0.1:PORT/",
    "http:///127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@example.invalid/",
    "http://127.0.0.1:PORT?@example.invalid/",
    "http://127.0.0.1:PORT/#@example.invalid/",
    "http://127.0.0.1:PORT&@localhost/",
    "HTTP://127.0.0.1:PORT/",
    "  http://127.0.0.1:PORT/  ",
    "ht\ntp://127.0.0.1:PORT/",
    "http://127.0.\t0.1:PORT/",
    "http://127.0.0.1:PORT\r\n/",
    "http://127.0.0.1:0PORT/",
    "http://[::1]:PORT@127.0.0.1:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://[::1%lo]:PORT/",
    "http://127.0.0.1 :PORT/",
    "//127.0.0.1:PORT/",
    "127.0.0.1:PORT",
];

/// What is no web at all.
const SCHEMES: [&str; 14] = [
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "file://127.0.0.1:PORT/etc/passwd",
    "gopher://127.0.0.1:PORT/_GET%20/",
    "dict://127.0.0.1:PORT/info",
    "ftp://127.0.0.1:PORT/",
    "ldap://127.0.0.1:PORT/",
    "tftp://127.0.0.1:PORT/x",
    "unix:/run/docker.sock",
    "http+unix://%2Frun%2Fdocker.sock/info",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "jar:http://127.0.0.1:PORT/!/",
    "netdoc:///etc/passwd",
];

/// Of these there is a form for WebSockets too.
const SOCKETS: [&str; 24] = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "\u{2460}\u{2461}\u{2466}.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "%31%32%37.0.0.1",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "0.0.0.0",
    "0",
    "169.254.169.254",
    "10.0.0.1",
    "100.64.0.1",
    "192.168.1.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
];

/// A host as it stands in a URL.
fn in_url(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// What an app asks for.
pub struct Table {
    /// URLs whose host is plain to every parser, or else to none.
    pub plain: Vec<String>,
    /// URLs that parsers read differently.
    pub confusing: Vec<String>,
}

/// URLs for requests; the witness is at `port` of every address of the machine.
pub fn for_requests(host: &Host, port: u16) -> Table {
    let hosts = LOOPBACK.iter().chain(&LOCALHOST).chain(&SIX).chain(&FOUR);
    let mut plain: Vec<String> = hosts.map(|host| format!("http://{host}:{port}/")).collect();
    for (name, _) in NAMES {
        plain.push(format!("http://{name}:{port}/"));
        plain.push(format!("https://{}.:{port}/", name.to_uppercase()));
    }
    let own = own_addresses();
    assert!(own.contains(&Ipv4Addr::LOCALHOST.into()), "{own:?}");
    for address in &own {
        plain.push(format!("http://{}:{port}/", in_url(address)));
        if let IpAddr::V4(v4) = address {
            plain.push(format!("http://{}:{port}/", v4.to_bits()));
            plain.push(format!("http://[{}]:{port}/", v4.to_ipv6_mapped()));
        }
    }
    plain.extend(of_this_host(host));
    // Ports at which nobody is here are closed all the same.
    for host in ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1"] {
        plain.extend([22, 80, 443, 5432, 8080].map(|port| format!("http://{host}:{port}/")));
        plain.push(format!("https://{host}:{port}/"));
    }
    plain.push("http://169.254.169.254/latest/meta-data/iam/security-credentials/".to_owned());
    plain.push("http://metadata.google.internal/computeMetadata/v1/?recursive=true".to_owned());
    let confusing = CONFUSING.iter().chain(&SCHEMES);
    let confusing = confusing.map(|text| text.replace("PORT", &port.to_string()));
    Table {
        plain,
        confusing: confusing.collect(),
    }
}

/// The doors of the host that the node is on.
fn of_this_host(host: &Host) -> Vec<String> {
    let (http, metrics, ssh) = (host.http(), host.metrics(), host.ssh_port());
    let port = http.rsplit(':').next().unwrap();
    vec![
        format!("http://{http}/"),
        format!("http://{http}/api/v1/account"),
        format!("http://{http}/rpc:distro:sys/message"),
        format!("http://localhost:{port}/"),
        format!("http://bob.localhost:{port}/"),
        format!("http://alice.localhost:{port}/our"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://{metrics}/metrics"),
        format!("http://{metrics}/readyz"),
        format!("http://127.0.0.1:{ssh}/"),
    ]
}

/// URLs for WebSockets.
pub fn for_sockets(host: &Host, port: u16) -> Table {
    let hosts = SOCKETS.iter().map(|host| (*host).to_owned());
    let own = own_addresses();
    let hosts = hosts.chain(own.iter().map(in_url));
    let hosts = hosts.chain(NAMES.map(|(name, _)| name.to_owned()));
    let mut plain: Vec<String> = hosts
        .flat_map(|host| {
            [
                format!("ws://{host}:{port}/"),
                format!("wss://{host}:{port}/"),
            ]
        })
        .collect();
    let http = host.http();
    plain.push(format!("ws://{http}/"));
    plain.push(format!("ws://{http}/live:live:test.dev/echo"));
    let confusing = vec![
        format!("ws://example.com@127.0.0.1:{port}/"),
        format!("ws://127.0.0.1:{port}\\@example.invalid/"),
        format!("http+ws://127.0.0.1:{port}/"),
    ];
    Table { plain, confusing }
}
