use super::*;

fn file(text: &str) -> Result<Layer, toml::de::Error> {
    toml::from_str(text)
}

#[test]
fn defaults_are_those_of_the_contract() {
    let config = Layer::default().validate().unwrap();
    assert_eq!(config.http, "127.0.0.1:8000".parse().unwrap());
    assert_eq!(config.ssh, "127.0.0.1:2222".parse().unwrap());
    assert_eq!(config.metrics, "127.0.0.1:9464".parse().unwrap());
    assert_eq!(
        (config.domain.as_str(), config.node_domain.as_str()),
        ("localhost", "localhost")
    );
    assert_eq!(config.idle_after, Some(Duration::from_secs(300)));
    assert_eq!(
        config.plan,
        PlanConfig {
            nodes: 5,
            memory_bytes: 256 << 20,
            disk_bytes: 2 << 30,
            disk_bytes_per_second: 256 << 20,
            processes: 64,
            always_on: false,
            egress_allow: Vec::new(),
        }
    );
    assert!(config.egress_dns.is_empty());
}

#[test]
fn an_unknown_key_is_named() {
    let error = file("htpp = \"127.0.0.1:1\"").unwrap_err().to_string();
    assert!(error.contains("htpp"), "{error}");
}

#[test]
fn flags_win_over_the_file() {
    let flags = Layer {
        domain: Some("flag.example".into()),
        ..Layer::default()
    };
    let merged = flags.over(file("domain = \"file.example\"\nidle-after = \"0\"").unwrap());
    assert_eq!(merged.domain.as_deref(), Some("flag.example"));
    let config = Layer {
        node_domain: Some("nodes.example".into()),
        ..merged
    }
    .validate()
    .unwrap();
    assert_eq!(config.idle_after, None);
}

#[test]
fn a_shared_domain_is_refused_off_localhost() {
    let shared = || Layer {
        domain: Some("berth.example".into()),
        ..Layer::default()
    };
    let error = shared().validate().unwrap_err().to_string();
    assert!(error.contains("--allow-shared-domain"), "{error}");
    assert!(
        Layer {
            allow_shared_domain: Some(true),
            ..shared()
        }
        .validate()
        .is_ok()
    );
    assert!(
        Layer {
            node_domain: Some("nodes.example".into()),
            ..shared()
        }
        .validate()
        .is_ok()
    );
}

#[test]
fn the_disk_rate_of_the_plan_has_units_and_may_be_without_bounds() {
    for (text, bytes) in [("8MiB", 8 << 20), ("1GiB", 1 << 30), ("0", 0)] {
        let layer = file(&format!("plan-disk-rate = \"{text}\"")).unwrap();
        let plan = layer.validate().unwrap().plan;
        assert_eq!(plan.disk_bytes_per_second, bytes, "{text}");
    }
}

#[test]
fn ways_out_are_lists_in_the_file() {
    let layer = file(
        "plan-egress-allow = [\"10.1.0.0/16\", \"fd00:1::/32\"]\negress-dns = [\"192.0.2.53\"]",
    );
    let config = layer.unwrap().validate().unwrap();
    assert_eq!(config.plan.egress_allow.len(), 2);
    assert_eq!(
        config.egress_dns,
        ["192.0.2.53:53".parse::<SocketAddr>().unwrap()]
    );
}

#[test]
fn bad_values_say_which_setting() {
    for (text, word) in [
        ("idle-after = \"soon\"", "idle-after"),
        ("plan-memory = \"lots\"", "plan-memory"),
        ("plan-processes = 1", "plan-processes"),
        ("plan-disk-rate = \"fast\"", "plan-disk-rate"),
        ("plan-disk-rate = \"1KiB\"", "plan-disk-rate"),
        ("plan-egress-allow = [\"all\"]", "plan-egress-allow"),
        ("egress-dns = [\"dns.example\"]", "egress-dns"),
        ("domain = \"http://x\"", "domain"),
        ("public-url = \"berth.example\"", "public-url"),
        ("database-url = \"mysql://x\"", "database-url"),
    ] {
        let error = format!("{:#}", file(text).unwrap().validate().unwrap_err());
        assert!(error.contains(word), "{text}: {error}");
    }
}
