//! The host's configuration: flags, `BERTH_*` variables and `berth.toml`, in
//! that precedence, checked once into [`Config`].
//!
//! Invariant: every other module sees only a [`Config`], whose values have
//! been validated together. An unknown key of the file is an error naming it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::units;
use crate::values::{base_url, host_name, name_servers, postgres_url, ranges};

/// One layer of settings; absent means "not said here". The command line and
/// the environment make one layer, the file another.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Layer {
    /// Directory of everything the host keeps [default: ./berth-data]
    #[arg(long, env = "BERTH_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of dashboard, API and nodes [default: 127.0.0.1:8000]
    #[arg(long, env = "BERTH_HTTP", value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Address of the SSH gateway [default: 127.0.0.1:2222]
    #[arg(long, env = "BERTH_SSH", value_name = "ADDR")]
    pub ssh: Option<SocketAddr>,
    /// Address of node-to-node networking over WebSocket, not served yet [default: 127.0.0.1:9000]
    #[arg(long, env = "BERTH_NET_WS", value_name = "ADDR")]
    pub net_ws: Option<SocketAddr>,
    /// Address of node-to-node networking over TCP, not served yet [default: 127.0.0.1:10000]
    #[arg(long, env = "BERTH_NET_TCP", value_name = "ADDR")]
    pub net_tcp: Option<SocketAddr>,
    /// Private address of /metrics, /healthz and /readyz [default: 127.0.0.1:9464]
    #[arg(long, env = "BERTH_METRICS", value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
    /// Host name of the dashboard [default: localhost]
    #[arg(long, env = "BERTH_DOMAIN", value_name = "NAME")]
    pub domain: Option<String>,
    /// Nodes are <label>.<node-domain> [default: the value of --domain]
    #[arg(long, env = "BERTH_NODE_DOMAIN", value_name = "NAME")]
    pub node_domain: Option<String>,
    /// A node's name in the network is <label>.<node-suffix> [default: dev]
    #[arg(long, env = "BERTH_NODE_SUFFIX", value_name = "NAME")]
    pub node_suffix: Option<String>,
    /// Postgres to use instead of a private one under the data directory
    #[arg(
        long,
        env = "BERTH_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database_url: Option<String>,
    /// Hibernate a node after this time without use; 0 = never [default: 5m]
    #[arg(long, env = "BERTH_IDLE_AFTER", value_name = "TIME")]
    pub idle_after: Option<String>,
    /// Most nodes awake at once; the longest idle one makes room for another
    /// [default: as many as memory, mappings and open files allow]
    #[arg(long, env = "BERTH_MAX_AWAKE", value_name = "N")]
    pub max_awake: Option<u32>,
    /// Default plan: nodes per account [default: 5]
    #[arg(long, env = "BERTH_PLAN_NODES", value_name = "N")]
    pub plan_nodes: Option<u32>,
    /// Default plan: memory of a node's processes together [default: 256MiB]
    #[arg(long, env = "BERTH_PLAN_MEMORY", value_name = "SIZE")]
    pub plan_memory: Option<String>,
    /// Default plan: disk of a node [default: 2GiB]
    #[arg(long, env = "BERTH_PLAN_DISK", value_name = "SIZE")]
    pub plan_disk: Option<String>,
    /// Default plan: what a node may write to disk in a second, with four
    /// seconds' worth at once; 0 = as much as it likes [default: 256MiB]
    #[arg(long, env = "BERTH_PLAN_DISK_RATE", value_name = "SIZE")]
    pub plan_disk_rate: Option<String>,
    /// Default plan: processes of a node [default: 64]
    #[arg(long, env = "BERTH_PLAN_PROCESSES", value_name = "N")]
    pub plan_processes: Option<u32>,
    /// Default plan: nodes run whether somebody uses them or not
    #[arg(
        long, env = "BERTH_PLAN_ALWAYS_ON", value_name = "BOOL",
        num_args = 0..=1, default_missing_value = "true"
    )]
    pub plan_always_on: Option<bool>,
    /// Default plan: ranges of addresses that apps may connect to besides the
    /// public internet, such as 10.1.0.0/16 [default: none]
    #[arg(
        long,
        env = "BERTH_PLAN_EGRESS_ALLOW",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub plan_egress_allow: Option<Vec<String>>,
    /// Name servers that names apps connect to are looked up with, such as
    /// 192.0.2.53 [default: the system's]
    #[arg(
        long,
        env = "BERTH_EGRESS_DNS",
        value_name = "ADDR[:PORT]",
        value_delimiter = ','
    )]
    pub egress_dns: Option<Vec<String>>,
    /// How the dashboard is reached from outside when a TLS terminator stands
    /// in front, such as https://berth.example
    #[arg(long, env = "BERTH_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Address of a proxy whose X-Forwarded-* headers are believed; repeatable
    #[arg(
        long,
        env = "BERTH_TRUSTED_PROXY",
        value_name = "IP",
        value_delimiter = ','
    )]
    pub trusted_proxy: Option<Vec<IpAddr>>,
    /// Serve nodes on the dashboard's own domain although they could then set
    /// cookies for it
    #[arg(
        long, env = "BERTH_ALLOW_SHARED_DOMAIN", value_name = "BOOL",
        num_args = 0..=1, default_missing_value = "true"
    )]
    pub allow_shared_domain: Option<bool>,
    /// Directory of the distro packages [default: berth-packages beside the binary]
    #[arg(long, env = "BERTH_PACKAGES", value_name = "DIR")]
    pub packages: Option<PathBuf>,
    /// User to become when started as root [default: berth, else nobody]
    #[arg(long, env = "BERTH_RUN_AS", value_name = "USER")]
    pub run_as: Option<String>,
    /// Count addresses of this machine in per-address limits too
    #[arg(
        long, env = "BERTH_LIMIT_LOOPBACK", value_name = "BOOL",
        num_args = 0..=1, default_missing_value = "true"
    )]
    pub limit_loopback: Option<bool>,
}

/// The default plan for new accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanConfig {
    /// Nodes per account.
    pub nodes: u32,
    /// Memory of a node, bytes.
    pub memory_bytes: u64,
    /// Disk of a node, bytes.
    pub disk_bytes: u64,
    /// What a node may write to disk in a second, bytes; 0 = as much as it
    /// likes.
    pub disk_bytes_per_second: u64,
    /// Processes of a node.
    pub processes: u32,
    /// Nodes never hibernate by themselves.
    pub always_on: bool,
    /// What apps may connect to besides the public internet.
    pub egress_allow: Vec<IpNet>,
}

/// Everything `serve` needs to know, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// Absolute.
    pub data_dir: PathBuf,
    /// Front door.
    pub http: SocketAddr,
    /// SSH gateway.
    pub ssh: SocketAddr,
    /// Operations port.
    pub metrics: SocketAddr,
    /// Dashboard host, lower case.
    pub domain: String,
    /// Base of node hosts, lower case.
    pub node_domain: String,
    /// Suffix of node names.
    pub node_suffix: String,
    /// External Postgres, if any.
    pub database_url: Option<String>,
    /// `None` = never.
    pub idle_after: Option<Duration>,
    /// Most nodes awake at once, if that is said.
    pub max_awake: Option<usize>,
    /// For new accounts.
    pub plan: PlanConfig,
    /// Where names that apps connect to are looked up; the system's name servers
    /// if it is empty.
    pub egress_dns: Vec<SocketAddr>,
    /// Without a trailing slash.
    pub public_url: Option<String>,
    /// Believed proxies.
    pub trusted_proxy: Vec<IpAddr>,
    /// Where the distro archives are.
    pub packages: PathBuf,
    /// User named for dropping privileges.
    pub run_as: Option<String>,
    /// Whether per-address limits count loopback.
    pub limit_loopback: bool,
}

impl Layer {
    /// Reads `path`, or `berth.toml` here if there is one.
    ///
    /// # Errors
    /// An unreadable or malformed file, or an unknown key, by name.
    pub fn from_file(path: Option<&Path>) -> anyhow::Result<Self> {
        let default = Path::new("berth.toml");
        let (path, must_exist) = path.map_or((default, false), |path| (path, true));
        if !must_exist && !path.exists() {
            return Ok(Self::default());
        }
        let text =
            std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("read {}", path.display()))
    }

    /// The same with paths that do not depend on the working directory.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn absolute(self) -> std::io::Result<Self> {
        let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
        Ok(Self {
            data_dir: absolute(self.data_dir)?,
            packages: absolute(self.packages)?,
            ..self
        })
    }

    /// This layer, with `below` filling what it does not say.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(below.data_dir),
            http: self.http.or(below.http),
            ssh: self.ssh.or(below.ssh),
            net_ws: self.net_ws.or(below.net_ws),
            net_tcp: self.net_tcp.or(below.net_tcp),
            metrics: self.metrics.or(below.metrics),
            domain: self.domain.or(below.domain),
            node_domain: self.node_domain.or(below.node_domain),
            node_suffix: self.node_suffix.or(below.node_suffix),
            database_url: self.database_url.or(below.database_url),
            idle_after: self.idle_after.or(below.idle_after),
            max_awake: self.max_awake.or(below.max_awake),
            plan_nodes: self.plan_nodes.or(below.plan_nodes),
            plan_memory: self.plan_memory.or(below.plan_memory),
            plan_disk: self.plan_disk.or(below.plan_disk),
            plan_disk_rate: self.plan_disk_rate.or(below.plan_disk_rate),
            plan_processes: self.plan_processes.or(below.plan_processes),
            plan_always_on: self.plan_always_on.or(below.plan_always_on),
            plan_egress_allow: self.plan_egress_allow.or(below.plan_egress_allow),
            egress_dns: self.egress_dns.or(below.egress_dns),
            public_url: self.public_url.or(below.public_url),
            trusted_proxy: self.trusted_proxy.or(below.trusted_proxy),
            allow_shared_domain: self.allow_shared_domain.or(below.allow_shared_domain),
            packages: self.packages.or(below.packages),
            run_as: self.run_as.or(below.run_as),
            limit_loopback: self.limit_loopback.or(below.limit_loopback),
        }
    }

    /// Fills in defaults and checks everything.
    ///
    /// # Errors
    /// One sentence naming the setting and what to do.
    pub fn validate(self) -> anyhow::Result<Config> {
        // Exhaustive, so that a new setting cannot be forgotten here.
        let Self {
            data_dir,
            http,
            ssh,
            net_ws: _,
            net_tcp: _,
            metrics,
            domain,
            node_domain,
            node_suffix,
            database_url,
            idle_after,
            max_awake,
            plan_nodes,
            plan_memory,
            plan_disk,
            plan_disk_rate,
            plan_processes,
            plan_always_on,
            plan_egress_allow,
            egress_dns,
            public_url,
            trusted_proxy,
            allow_shared_domain,
            packages,
            run_as,
            limit_loopback,
        } = self;
        let domain = host_name("domain", domain.as_deref().unwrap_or("localhost"))?;
        let node_domain = match node_domain {
            Some(name) => host_name("node-domain", &name)?,
            None => domain.clone(),
        };
        ensure!(
            domain != node_domain || domain == "localhost" || allow_shared_domain == Some(true),
            "domain and node-domain are both {domain}: nodes could then set cookies for the \
             dashboard; give nodes a domain of their own, or pass --allow-shared-domain"
        );
        let plan = PlanConfig {
            nodes: plan_nodes.unwrap_or(5),
            memory_bytes: size("plan-memory", plan_memory.as_deref().unwrap_or("256MiB"))?,
            disk_bytes: size("plan-disk", plan_disk.as_deref().unwrap_or("2GiB"))?,
            disk_bytes_per_second: plan_disk_rate
                .map_or(Ok(256 << 20), |text| size("plan-disk-rate", &text))?,
            processes: plan_processes.unwrap_or(64),
            always_on: plan_always_on.unwrap_or(false),
            egress_allow: ranges("plan-egress-allow", &plan_egress_allow.unwrap_or_default())?,
        };
        ensure!(
            max_awake != Some(0),
            "max-awake: at least one node must be able to run"
        );
        plan.check()?;
        let idle = units::duration(idle_after.as_deref().unwrap_or("5m")).context("idle-after")?;
        Ok(Config {
            data_dir: std::path::absolute(data_dir.unwrap_or_else(|| "berth-data".into()))
                .context("find data-dir")?,
            http: http.unwrap_or(local(8000)),
            ssh: ssh.unwrap_or(local(2222)),
            metrics: metrics.unwrap_or(local(9464)),
            node_suffix: host_name("node-suffix", node_suffix.as_deref().unwrap_or("dev"))?,
            domain,
            node_domain,
            database_url: database_url.map(|url| postgres_url(&url)).transpose()?,
            idle_after: (!idle.is_zero()).then_some(idle),
            max_awake: max_awake.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            plan,
            egress_dns: name_servers("egress-dns", &egress_dns.unwrap_or_default())?,
            public_url: public_url.map(|url| base_url(&url)).transpose()?,
            trusted_proxy: trusted_proxy.unwrap_or_default(),
            packages: match packages {
                Some(directory) => directory,
                None => beside_binary("berth-packages")?,
            },
            run_as,
            limit_loopback: limit_loopback.unwrap_or(false),
        })
    }
}

impl PlanConfig {
    /// Whether nodes can live on it.
    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.processes >= 4,
            "plan-processes: a node needs at least 4"
        );
        ensure!(
            self.memory_bytes >= 16 << 20,
            "plan-memory: a node needs at least 16MiB"
        );
        ensure!(
            self.disk_bytes_per_second == 0 || self.disk_bytes_per_second >= 1 << 20,
            "plan-disk-rate: a node needs at least 1MiB a second; 0 is as much as it likes"
        );
        Ok(())
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// `name` in the directory of the running binary.
fn beside_binary(name: &str) -> anyhow::Result<PathBuf> {
    let binary = std::env::current_exe().context("find the running binary")?;
    Ok(binary.parent().unwrap_or(Path::new("/")).join(name))
}

fn size(name: &str, text: &str) -> anyhow::Result<u64> {
    units::size(text).with_context(|| name.to_owned())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
