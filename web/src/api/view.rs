//! The JSON of the API.

mod egress;
mod operator;
mod usage;

use lifecycle::Timestamp;
use node_api::{LogPage, LogRecord, Secret};
use serde::{Deserialize, Serialize, Serializer};
use tenant_manager::{AccountView, Availability, NewAccount, NewSession, NodeView, Reason};
use tenant_model::{NodeStatus, Role};
use time::UtcOffset;
use time::format_description::well_known::Rfc3339;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;

pub(super) use egress::Connections;
pub(super) use operator::{NodesWanted, OperatorNode, OperatorNodeList, Suspension};
pub(super) use usage::NodeUsage;

/// Address and password of an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    /// The account's e-mail address.
    #[schema(example = "ann@example.org")]
    pub(super) email: String,
    /// At least 10 characters.
    #[schema(format = Password)]
    pub(super) password: String,
}

/// What a new node needs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNode {
    /// The subdomain: `[a-z]([a-z0-9-]{0,61}[a-z0-9])?`, no `--`, not reserved.
    #[schema(example = "alice")]
    pub(super) label: String,
    /// Password of the node's own login page.
    #[schema(format = Password)]
    pub(super) password: String,
}

/// A new password of a node.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NodePassword {
    /// Password of the node's own login page.
    #[schema(format = Password)]
    pub(super) password: String,
}

/// A link that signs its owner in to a node.
#[derive(Serialize, ToSchema)]
pub(super) struct NodeLink {
    /// Works once, for a minute; whoever opens it is signed in.
    pub(super) url: String,
}

/// How to delete a node.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Deletion {
    /// `true` removes its data after a grace period; else it is archived.
    #[serde(default)]
    #[param(required = false)]
    pub(super) purge: bool,
}

/// A new account, signed in.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountCreated {
    account_id: String,
    /// Bearer token of its first session.
    token: String,
}

/// A new session.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionCreated {
    /// Bearer token.
    token: String,
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// An account as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct Account {
    account_id: String,
    email: String,
    role: AccountRole,
    plan: AccountPlan,
}

/// What an account may do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AccountRole {
    User,
    Operator,
}

/// What an account may use.
#[derive(Serialize, ToSchema)]
struct AccountPlan {
    name: String,
    /// How many nodes it may have.
    nodes: u32,
    /// Memory of each node.
    memory_bytes: u64,
    /// Disk of each node.
    disk_bytes: u64,
    /// What each node may write to disk in a second; 0 is as much as it likes.
    disk_bytes_per_second: u64,
    /// Processes of each node.
    processes: u32,
    /// Its nodes run whether somebody uses them or not.
    always_on: bool,
    /// Ranges of addresses that apps of its nodes may connect to besides the
    /// public internet.
    egress_allow: Vec<String>,
}

/// Whether a label can be had.
#[derive(Serialize, ToSchema)]
pub(super) struct NameAvailability {
    available: bool,
    /// Why not.
    #[schema(required = true)]
    reason: Option<NameReason>,
}

/// Why a label cannot be had.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum NameReason {
    Taken,
    Reserved,
    Invalid,
}

/// A node as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct Node {
    label: String,
    /// Its name in the network.
    #[schema(example = "alice.dev")]
    name: String,
    status: Status,
    #[schema(required = true)]
    status_reason: Option<String>,
    #[schema(example = "http://alice.localhost:8000")]
    url: String,
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_started_at: Option<Timestamp>,
    /// Name of its plan.
    plan: String,
    access: Access,
    usage: Usage,
}

/// How a node is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Provisioning,
    Booting,
    Active,
    Stopping,
    Hibernated,
    Stopped,
    Suspended,
    Broken,
    Archived,
}

/// How to reach a node over SSH.
#[derive(Serialize, ToSchema)]
struct Access {
    ssh_host: String,
    ssh_port: u16,
    ssh_user: String,
    /// The node's HTTP port as seen through a tunnel.
    http_port: u16,
}

/// What a node uses.
#[derive(Serialize, ToSchema)]
struct Usage {
    memory_bytes: u64,
    disk_bytes: u64,
}

/// All nodes of the account.
#[derive(Serialize, ToSchema)]
pub(super) struct NodeList {
    items: Vec<Node>,
    /// Where the next page begins, if there is one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// A node's SSH password.
#[derive(Serialize, ToSchema)]
pub(super) struct SshPassword {
    password: String,
}

/// Something that a process of a node printed.
#[derive(Serialize, ToSchema)]
pub(super) struct LogLine {
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// 0 = always shown, 1 = debug, 2 = runtime information, 3 = every kernel event.
    verbosity: u8,
    /// The process that printed.
    #[schema(example = "main:app-store:sys")]
    source: String,
    /// What it printed: text, line feeds, tabs, and colours (`ESC [ … m`).
    text: String,
}

/// Part of a node's log, oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct LogLines {
    items: Vec<LogLine>,
    /// Where older lines are, if there are some.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl From<LogRecord> for LogLine {
    fn from(record: LogRecord) -> Self {
        Self {
            time: record.time,
            verbosity: record.verbosity,
            source: record.source,
            text: record.text,
        }
    }
}

impl From<LogPage> for LogLines {
    fn from(page: LogPage) -> Self {
        let first = page.records.first().filter(|_| page.more);
        Self {
            next_cursor: first.map(|record| record.number.to_string()),
            items: page.records.into_iter().map(LogLine::from).collect(),
        }
    }
}

impl From<NewAccount> for AccountCreated {
    fn from(account: NewAccount) -> Self {
        Self {
            account_id: account.account_id.to_string(),
            token: account.token.expose().clone(),
        }
    }
}

impl From<NewSession> for SessionCreated {
    fn from(session: NewSession) -> Self {
        Self {
            token: session.token.expose().clone(),
            expires_at: session.expires_at,
        }
    }
}

impl From<AccountView> for Account {
    fn from(account: AccountView) -> Self {
        Self {
            account_id: account.account_id.to_string(),
            email: account.email.to_string(),
            role: match account.role {
                Role::User => AccountRole::User,
                Role::Operator => AccountRole::Operator,
            },
            plan: AccountPlan {
                name: account.plan.name,
                nodes: account.plan.nodes,
                memory_bytes: account.plan.memory_bytes,
                disk_bytes: account.plan.disk_bytes,
                disk_bytes_per_second: account.plan.disk_bytes_per_second,
                processes: account.plan.processes,
                always_on: account.plan.always_on,
                egress_allow: account
                    .plan
                    .egress_allow
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            },
        }
    }
}

impl From<Availability> for NameAvailability {
    fn from(name: Availability) -> Self {
        Self {
            available: name.available,
            reason: name.reason.map(|reason| match reason {
                Reason::Taken => NameReason::Taken,
                Reason::Reserved => NameReason::Reserved,
                Reason::Invalid => NameReason::Invalid,
            }),
        }
    }
}

impl From<NodeStatus> for Status {
    fn from(status: NodeStatus) -> Self {
        match status {
            NodeStatus::Provisioning => Self::Provisioning,
            NodeStatus::Booting => Self::Booting,
            NodeStatus::Active => Self::Active,
            NodeStatus::Stopping => Self::Stopping,
            NodeStatus::Hibernated => Self::Hibernated,
            NodeStatus::Stopped => Self::Stopped,
            NodeStatus::Suspended => Self::Suspended,
            NodeStatus::Broken => Self::Broken,
            NodeStatus::Archived => Self::Archived,
        }
    }
}

impl From<Secret<String>> for SshPassword {
    fn from(password: Secret<String>) -> Self {
        Self {
            password: password.expose().clone(),
        }
    }
}

impl Node {
    pub(super) fn new(node: NodeView, app: &App) -> Self {
        let label = node.label.to_string();
        Self {
            url: app.urls.node(&label),
            access: Access {
                ssh_host: app.ssh_host.clone(),
                ssh_port: app.ssh_port,
                ssh_user: label.clone(),
                http_port: app.local_http_port,
            },
            label,
            name: node.name,
            status: node.status.into(),
            status_reason: node.status_reason,
            created_at: node.created_at,
            last_started_at: node.last_started_at,
            plan: node.plan,
            usage: Usage {
                memory_bytes: node.usage.memory_bytes,
                disk_bytes: node.usage.disk.total(),
            },
        }
    }
}

impl NodeList {
    pub(super) fn new(nodes: Vec<NodeView>, app: &App) -> Self {
        Self {
            items: nodes.into_iter().map(|node| Node::new(node, app)).collect(),
            next_cursor: None,
        }
    }
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let text = time
        .to_offset(UtcOffset::UTC)
        .format(&Rfc3339)
        .map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

fn rfc3339_or_null<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}
