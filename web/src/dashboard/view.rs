//! A node as pages show it.

use tenant_manager::NodeView;
use tenant_model::NodeStatus;
use time::UtcOffset;
use time::macros::format_description;

use super::page::sentence;
use crate::app::App;

/// A node, in words.
#[derive(Debug)]
pub(super) struct NodeCard {
    pub(super) label: String,
    /// Its name in the network.
    pub(super) name: String,
    pub(super) url: String,
    /// Its address without the scheme.
    pub(super) address: String,
    /// Its status as the API names it.
    pub(super) status: &'static str,
    /// Its status in a word or two.
    pub(super) state: &'static str,
    /// What that means.
    pub(super) meaning: &'static str,
    pub(super) reason: Option<String>,
    /// It will look different soon, by itself.
    pub(super) moving: bool,
    /// Its plan keeps it running, whether somebody uses it or not.
    pub(super) always_on: bool,
    pub(super) can: Can,
    pub(super) memory: String,
    pub(super) disk: String,
    pub(super) created: String,
    pub(super) last_started: Option<String>,
    /// It counts against the plan.
    pub(super) counts: bool,
    /// When everything of it is removed, if that is to be.
    pub(super) purge_at: Option<String>,
}

/// What can be done with it now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Can {
    pub(super) open: bool,
    /// What starting it is called.
    pub(super) start: Option<&'static str>,
    pub(super) stop: bool,
    pub(super) restart: bool,
    pub(super) hibernate: bool,
    /// Its passwords can be shown and changed.
    pub(super) secrets: bool,
    pub(super) delete: bool,
    pub(super) purge: bool,
}

impl NodeCard {
    pub(super) fn new(node: NodeView, app: &App) -> Self {
        let label = node.label.to_string();
        let url = app.urls.node(&label);
        let address = url.split_once("://").map_or("", |(_, rest)| rest);
        let (state, meaning) = words(node.status);
        Self {
            address: address.to_owned(),
            url,
            label,
            name: node.name,
            status: node.status.as_str(),
            state,
            meaning,
            reason: node.status_reason.as_deref().map(sentence),
            moving: matches!(
                node.status,
                NodeStatus::Provisioning | NodeStatus::Booting | NodeStatus::Stopping
            ),
            can: Can {
                purge: node.status == NodeStatus::Archived && node.purge_at.is_none(),
                ..can(node.status)
            },
            always_on: false,
            counts: node.status != NodeStatus::Archived,
            purge_at: node.purge_at.map(date),
            memory: bytes(node.usage.memory_bytes),
            disk: bytes(node.usage.disk.total()),
            created: date(node.created_at),
            last_started: node.last_started_at.map(date),
        }
    }

    /// The same node under a plan that keeps it running, if it does.
    pub(super) fn kept_on(self, always_on: bool) -> Self {
        let can = Can {
            hibernate: self.can.hibernate && !always_on,
            ..self.can
        };
        // Of a node that is switched off it would promise too much.
        let runs = matches!(self.status, "provisioning" | "booting" | "active");
        Self {
            always_on: always_on && runs,
            can,
            ..self
        }
    }

    /// What a script compares to notice a change.
    pub(super) fn mark(&self) -> String {
        format!("{}:{}", self.label, self.status)
    }
}

/// A status in a word or two.
pub(super) fn name_of(status: NodeStatus) -> &'static str {
    words(status).0
}

fn words(status: NodeStatus) -> (&'static str, &'static str) {
    match status {
        NodeStatus::Provisioning => (
            "Being made",
            "Your node is being made. This takes a moment; this page shows when it is up.",
        ),
        NodeStatus::Booting => (
            "Starting",
            "Your node is starting. This takes a moment; this page shows when it is up.",
        ),
        NodeStatus::Active => ("Running", "Your node is up and answers at its address."),
        NodeStatus::Stopping => ("Stopping", "Your node is finishing what it was doing."),
        NodeStatus::Hibernated => (
            "Asleep",
            "Nobody used your node for a while, so it sleeps. It wakes by itself as soon as \
             somebody visits it.",
        ),
        NodeStatus::Stopped => (
            "Stopped",
            "Your node is switched off. It answers nobody until you start it.",
        ),
        NodeStatus::Suspended => (
            "Suspended",
            "The operator of this host has switched your node off. Nothing in it is lost, but you \
             cannot start it: ask the operator to resume it. You can still delete it.",
        ),
        NodeStatus::Broken => (
            "Not working",
            "Your node could not start, or failed. Start it again; if that does not help, tell \
             the operator of this host the reason.",
        ),
        NodeStatus::Archived => (
            "Archived",
            "Your node is put away and cannot be started any more. Its name stays yours until you \
             remove it for good.",
        ),
    }
}

fn can(status: NodeStatus) -> Can {
    let nothing = Can::default();
    let living = Can {
        stop: true,
        secrets: true,
        delete: true,
        ..nothing
    };
    match status {
        NodeStatus::Provisioning | NodeStatus::Booting => living,
        NodeStatus::Active => Can {
            open: true,
            restart: true,
            hibernate: true,
            ..living
        },
        NodeStatus::Hibernated => Can {
            open: true,
            start: Some("Wake up"),
            ..living
        },
        NodeStatus::Stopping => Can {
            stop: false,
            ..living
        },
        NodeStatus::Stopped => Can {
            start: Some("Start"),
            stop: false,
            ..living
        },
        NodeStatus::Broken => Can {
            start: Some("Start again"),
            ..living
        },
        NodeStatus::Suspended => Can {
            delete: true,
            ..nothing
        },
        NodeStatus::Archived => nothing,
    }
}

/// An amount of bytes as people say it.
pub(super) fn bytes(amount: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];
    for (unit, size) in UNITS {
        if amount >= size {
            let (whole, tenth) = (amount / size, amount % size * 10 / size);
            return if whole < 10 && tenth > 0 {
                format!("{whole}.{tenth} {unit}")
            } else {
                format!("{whole} {unit}")
            };
        }
    }
    match amount {
        0 => "nothing".to_owned(),
        _ => format!("{amount} bytes"),
    }
}

fn date(at: lifecycle::Timestamp) -> String {
    let shape =
        format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    let text = at.to_offset(UtcOffset::UTC).format(shape);
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_as_people_do() {
        for (amount, text) in [
            (0, "nothing"),
            (999, "999 bytes"),
            (1024, "1 KB"),
            (1_500_000, "1.4 MB"),
            (256 << 20, "256 MB"),
            (2 << 30, "2 GB"),
            (u64::MAX, "17179869183 GB"),
        ] {
            assert_eq!(bytes(amount), text);
        }
    }

    #[test]
    fn what_is_gone_or_suspended_can_not_be_opened() {
        for status in [
            NodeStatus::Archived,
            NodeStatus::Suspended,
            NodeStatus::Stopping,
            NodeStatus::Stopped,
        ] {
            assert!(!can(status).open, "{status}");
        }
        let held = Can {
            delete: true,
            ..Can::default()
        };
        assert_eq!(can(NodeStatus::Suspended), held, "only given up");
        assert!(can(NodeStatus::Hibernated).open);
        assert!(!can(NodeStatus::Archived).secrets);
    }

    #[test]
    fn dates_are_read_by_people() {
        let start = lifecycle::Timestamp::UNIX_EPOCH;
        assert_eq!(date(start), "1 January 1970, 00:00 UTC");
    }
}
