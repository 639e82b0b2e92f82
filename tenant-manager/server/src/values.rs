//! Names and addresses as people write them in settings.
//!
//! Stateless. Invariant: what is refused is answered with one sentence that names
//! the setting and says how to write it.

use std::net::{IpAddr, SocketAddr};

use anyhow::{bail, ensure};
use ipnet::IpNet;

/// Where name servers answer if nothing is said.
const DNS_PORT: u16 = 53;
/// Length of the prefix of IPv4 addresses within IPv6.
const MAPPED: u8 = 96;

/// A DNS name, lower case.
///
/// # Errors
/// Says how to write it.
pub fn host_name(setting: &str, text: &str) -> anyhow::Result<String> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    ensure!(
        name.len() <= 190 && name.split('.').all(label_ok),
        "{setting}: `{text}` is not a host name; write it like example.org, without scheme or port"
    );
    Ok(name)
}

/// An address of a Postgres database.
///
/// # Errors
/// Says how it begins.
pub fn postgres_url(text: &str) -> anyhow::Result<String> {
    ensure!(
        text.starts_with("postgres://") || text.starts_with("postgresql://"),
        "database-url: must begin with postgres://"
    );
    Ok(text.to_owned())
}

/// A scheme and a host, without a trailing slash.
///
/// # Errors
/// Says how to write it.
pub fn base_url(text: &str) -> anyhow::Result<String> {
    let url = text.trim_end_matches('/');
    let Some(rest) = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
    else {
        bail!("public-url: `{text}` must begin with https:// or http://");
    };
    ensure!(
        !rest.is_empty() && !rest.contains(['/', '?', '#', '@']),
        "public-url: `{text}` must be a scheme and a host, without a path"
    );
    Ok(url.to_owned())
}

/// Ranges of addresses; one address is a range too.
///
/// # Errors
/// Says how to write them.
pub fn ranges(setting: &str, texts: &[String]) -> anyhow::Result<Vec<IpNet>> {
    said(texts).map(|text| range(setting, text)).collect()
}

fn range(setting: &str, text: &str) -> anyhow::Result<IpNet> {
    let whole = text.parse::<IpNet>().ok();
    let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let Some(range) = whole.or_else(one) else {
        bail!(
            "{setting}: `{text}` is not a range of addresses; write it like 10.1.0.0/16 or \
             fd00:1::/32"
        );
    };
    let cut = range.trunc();
    ensure!(
        range == cut,
        "{setting}: `{text}` has bits beyond its prefix; write {cut} for that range"
    );
    // Addresses are compared as IPv4 where they are that: it would open nothing.
    if let IpNet::V6(six) = range
        && let Some(four) = six.addr().to_ipv4_mapped()
        && let Some(length) = six.prefix_len().checked_sub(MAPPED)
    {
        bail!("{setting}: `{text}` is IPv4 within IPv6; write {four}/{length} for that range");
    }
    Ok(range)
}

/// Addresses of name servers.
///
/// # Errors
/// Says how to write them.
pub fn name_servers(setting: &str, texts: &[String]) -> anyhow::Result<Vec<SocketAddr>> {
    said(texts).map(|text| name_server(setting, text)).collect()
}

fn name_server(setting: &str, text: &str) -> anyhow::Result<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare.unwrap_or(text).parse::<IpAddr>() {
        Ok(address) => Ok(SocketAddr::new(address, DNS_PORT)),
        Err(_) => bail!(
            "{setting}: `{text}` is not the address of a name server; write it like 192.0.2.53 \
             or [2001:db8::53]:5353"
        ),
    }
}

/// The entries of a list in which something is said: an empty variable says
/// nothing.
fn said(texts: &[String]) -> impl Iterator<Item = &str> {
    texts
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn ranges_are_read_and_what_is_none_is_explained() {
        let read = |list: &[&str]| ranges("plan-egress-allow", &texts(list));
        let found = read(&["10.1.0.0/16", " fd00:1::/32 ", "192.0.2.7", "::1", ""]).unwrap();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["10.1.0.0/16", "fd00:1::/32", "192.0.2.7/32", "::1/128"]
        );
        for (text, words) in [
            ("10.1.0.1/16", "write 10.1.0.0/16"),
            ("10.1.0.0/33", "write it like"),
            ("example.org", "write it like"),
            ("10.1", "write it like"),
            ("::ffff:10.0.0.0/104", "write 10.0.0.0/8"),
            ("::ffff:0:0/96", "write 0.0.0.0/0"),
            ("::ffff:192.0.2.7", "write 192.0.2.7/32"),
        ] {
            let error = read(&[text]).unwrap_err().to_string();
            assert!(error.starts_with("plan-egress-allow: "), "{error}");
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn name_servers_are_read_with_and_without_a_port() {
        let read = |list: &[&str]| name_servers("egress-dns", &texts(list));
        let list = [
            "192.0.2.53",
            "192.0.2.53:5353",
            "2001:db8::53",
            "[::1]",
            "[::1]:54",
            "",
        ];
        let found: Vec<String> = read(&list)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "192.0.2.53:53",
                "192.0.2.53:5353",
                "[2001:db8::53]:53",
                "[::1]:53",
                "[::1]:54"
            ]
        );
        for text in ["dns.example.org", "192.0.2.53:", "[192.0.2.53"] {
            let error = read(&[text]).unwrap_err().to_string();
            assert!(
                error.contains("egress-dns: ") && error.contains(text),
                "{error}"
            );
        }
    }
}
