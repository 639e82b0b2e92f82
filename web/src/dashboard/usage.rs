//! What a node uses, on its page: meters against the plan, each process, and
//! the last day.

use std::fmt::Write as _;

use askama::Template;
use node_api::{DiskUse, NodeUsage, ProcessUsage};
use tenant_manager::{NodeOpError, Principal, UsageSample, UsageView};

use super::page::sentence;
use super::view::bytes;
use crate::app::App;

/// Seconds that the picture of the past shows.
const DAY: i64 = 24 * 3600;
/// Its size, in its own units.
const WIDE: i64 = 480;
const HIGH: u64 = 48;
/// How long the bar of the stores is, in its own units.
const BAR: u64 = 480;
/// Most processes that are shown: the plan's bound is not far above.
const MOST: usize = 200;

/// What a node uses, in words.
#[derive(Debug, Template)]
#[template(path = "dashboard/usage.html")]
pub(super) struct Shown {
    facts: Result<Facts, String>,
}

/// The template escapes what it inserts, so its text is not escaped again.
impl askama::filters::HtmlSafe for Shown {}

#[derive(Debug)]
struct Facts {
    meters: Vec<Meter>,
    /// What fills the disk; nothing while there is nothing.
    stores: Vec<StoreShare>,
    /// What it did since it was started; nothing while it does not run.
    since: Vec<(&'static str, String)>,
    processes: Vec<Row>,
    past: Vec<Picture>,
}

/// So much of so much.
#[derive(Debug)]
struct Meter {
    name: &'static str,
    used: String,
    limit: String,
    percent: u64,
}

/// One of the stores on the disk, and its piece of their bar.
#[derive(Debug, PartialEq, Eq)]
struct StoreShare {
    name: &'static str,
    /// Names its colour.
    class: &'static str,
    used: String,
    from: u64,
    wide: u64,
}

/// One process.
#[derive(Debug)]
struct Row {
    process: String,
    memory: String,
    cpu: String,
    received: u64,
    sent: u64,
    mailbox: String,
    waiting: u64,
    restarts: u64,
    /// What its owner should know.
    notes: Vec<String>,
}

/// How something changed in the last day.
#[derive(Debug)]
struct Picture {
    name: &'static str,
    most: String,
    /// Of the bars, for SVG.
    path: String,
}

impl Shown {
    /// What the node called `label` uses.
    pub(super) async fn of(app: &App, principal: &Principal, label: &str) -> Self {
        let usage = app.manager.node_usage(principal, label).await;
        let facts = usage.map(Facts::new).map_err(|error| match error {
            NodeOpError::NotFound => "There is no such node.".to_owned(),
            NodeOpError::Conflict(text) | NodeOpError::Unavailable(text) => sentence(&text),
        });
        Self { facts }
    }
}

impl Facts {
    fn new(usage: UsageView) -> Self {
        let (now, processes) = usage.now.map_or_else(Default::default, |report| {
            (Some(report.node), report.processes)
        });
        let used = now.unwrap_or_default();
        let limits = usage.limits;
        let in_bytes = |name, used: u64, limit: u64| Meter {
            name,
            used: bytes(used),
            limit: bytes(limit),
            percent: percent(used, limit),
        };
        let meters = vec![
            in_bytes("Memory", used.memory_bytes, limits.memory_bytes),
            in_bytes("Disk", usage.disk.total(), limits.disk_bytes),
            Meter {
                name: "Processes",
                used: used.processes.to_string(),
                limit: limits.processes.to_string(),
                percent: percent(used.processes.into(), limits.processes.into()),
            },
        ];
        let mut rows: Vec<_> = processes
            .iter()
            .filter(|(_, process)| !process.module)
            .collect();
        rows.sort_by_key(|(_, process)| std::cmp::Reverse(process.cpu_micros));
        let rows = rows.into_iter().take(MOST);
        Self {
            meters,
            stores: shares(&usage.disk),
            since: now.map(|now| since_start(&now)).unwrap_or_default(),
            processes: rows
                .map(|(id, process)| Row::new(id.to_string(), process))
                .collect(),
            past: pictures(&usage.history),
        }
    }
}

/// What fills the disk, side by side.
fn shares(disk: &DiskUse) -> Vec<StoreShare> {
    let total = disk.total();
    if total == 0 {
        return Vec::new();
    }
    let at = |below: u64| {
        let place = u128::from(below) * u128::from(BAR) / u128::from(total);
        u64::try_from(place).unwrap_or(BAR)
    };
    let mut below = 0_u64;
    let mut share = |name, class, used| {
        let from = at(below);
        below = below.saturating_add(used);
        StoreShare {
            name,
            class,
            used: bytes(used),
            from,
            wide: at(below) - from,
        }
    };
    vec![
        share("Files", "files", disk.files_bytes),
        share("State", "state", disk.state_bytes),
        share("Key-value", "kv", disk.kv_bytes),
        share("SQLite", "sqlite", disk.sqlite_bytes),
    ]
}

fn since_start(now: &NodeUsage) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Most memory", bytes(now.memory_peak_bytes)),
        ("Processor time", millis(now.cpu_micros / 1000)),
        ("Messages", (now.messages_in + now.messages_out).to_string()),
        ("Requests", now.requests.to_string()),
        ("Written to disk", bytes(now.disk_written_bytes)),
    ];
    let troubles = [
        ("Writes that had to wait", now.disk_slowed),
        ("Restarts", now.restarts),
        ("Prints left out", now.prints_left_out),
        ("Messages dropped", now.dropped),
        ("Messages refused", now.refused),
        ("Limits reached", now.denied),
    ];
    let seen = troubles.into_iter().filter(|(_, count)| *count > 0);
    facts.extend(seen.map(|(name, count)| (name, count.to_string())));
    facts
}

impl Row {
    fn new(process: String, usage: &ProcessUsage) -> Self {
        let mut notes = Vec::new();
        if let Some(wait) = usage.restart_in_ms {
            let whole = usage.restart_delay_ms.unwrap_or(wait);
            notes.push(format!(
                "It keeps ending, and restarts in {} (it waits {} now).",
                millis(wait),
                millis(whole)
            ));
        }
        for (count, what) in [
            (usage.prints_left_out, "prints were left out"),
            (usage.dropped, "messages found no room"),
            (usage.refused, "messages were not allowed"),
            (usage.denied, "times a limit was reached"),
        ] {
            if count > 0 {
                notes.push(format!("{count} {what}."));
            }
        }
        Self {
            process,
            memory: bytes(usage.memory_bytes),
            cpu: millis(usage.cpu_micros / 1000),
            received: usage.messages_in,
            sent: usage.messages_out,
            mailbox: format!(
                "{} ({}\u{202f}%)",
                usage.mailbox_messages, usage.mailbox_percent
            ),
            waiting: usage.outstanding,
            restarts: usage.restarts,
            notes,
        }
    }
}

fn percent(used: u64, limit: u64) -> u64 {
    (used.saturating_mul(100) / limit.max(1)).min(100)
}

/// A time as people say it.
fn millis(amount: u64) -> String {
    match amount {
        0..=9_999 => format!("{}.{} s", amount / 1000, amount % 1000 / 100),
        10_000..=119_999 => format!("{} s", amount / 1000),
        120_000..=7_199_999 => format!("{} min", amount / 60_000),
        _ => format!("{} h", amount / 3_600_000),
    }
}

fn pictures(history: &[UsageSample]) -> Vec<Picture> {
    // Of one sample there is nothing to see.
    if history.len() < 2 {
        return Vec::new();
    }
    let tenths = |sample: &UsageSample| sample.cpu_ms / u64::from(sample.seconds.max(1));
    let memory = picture("Memory", history, |sample| sample.memory_bytes, bytes);
    let cpu = picture("Processor", history, tenths, |tenths| {
        format!("{}.{} % of one core", tenths / 10, tenths % 10)
    });
    let messages = picture(
        "Messages",
        history,
        |sample| sample.messages * 60 / u64::from(sample.seconds.max(1)),
        |count| format!("{count} a minute"),
    );
    vec![memory, cpu, messages]
}

fn picture(
    name: &'static str,
    history: &[UsageSample],
    of: impl Fn(&UsageSample) -> u64,
    say: impl Fn(u64) -> String,
) -> Picture {
    let most = history.iter().map(&of).max().unwrap_or(0);
    let end = history
        .last()
        .map_or(0, |sample| sample.at.unix_timestamp());
    let x = |time: i64| ((time - end + DAY) * WIDE / DAY).clamp(0, WIDE);
    let mut path = String::new();
    for sample in history {
        let at = sample.at.unix_timestamp();
        let from = x(at - i64::from(sample.seconds));
        // Narrow bars of short times can still be seen.
        let to = x(at).max(from + 1);
        let height = of(sample).saturating_mul(HIGH) / most.max(1);
        if height > 0 {
            let top = HIGH.saturating_sub(height);
            // Writing to a string cannot fail.
            let _ = write!(path, "M{from} {HIGH}V{top}H{to}V{HIGH}Z");
        }
    }
    Picture {
        name,
        most: say(most),
        path,
    }
}

#[cfg(test)]
mod tests {
    use lifecycle::Timestamp;

    use super::*;

    #[test]
    fn a_picture_ends_with_the_newest_sample_and_its_highest_bar_fills_it() {
        let sample = |at: i64, memory_bytes| UsageSample {
            at: Timestamp::from_unix_timestamp(at).unwrap(),
            seconds: 900,
            memory_bytes,
            disk_bytes: 0,
            processes: 1,
            cpu_ms: 90_000,
            messages: 30,
            requests: 0,
        };
        let history = [sample(DAY, 1 << 20), sample(2 * DAY, 2 << 20)];
        let pictures = pictures(&history);
        assert_eq!(pictures[0].most, "2 MB");
        assert_eq!(pictures[0].path, "M0 48V24H1V48ZM475 48V0H480V48Z");
        assert_eq!(pictures[1].most, "10.0 % of one core");
        assert_eq!(pictures[2].most, "2 a minute");
    }

    #[test]
    fn the_bar_of_the_stores_has_no_gaps_and_an_empty_disk_has_none() {
        let disk = DiskUse {
            files_bytes: 3 << 20,
            state_bytes: 0,
            kv_bytes: 1 << 20,
            sqlite_bytes: 4 << 20,
        };
        let shares = shares(&disk);
        let places: Vec<_> = shares
            .iter()
            .map(|share| (share.class, share.from, share.wide, share.used.as_str()))
            .collect();
        assert_eq!(
            places,
            [
                ("files", 0, 180, "3 MB"),
                ("state", 180, 0, "nothing"),
                ("kv", 180, 60, "1 MB"),
                ("sqlite", 240, 240, "4 MB"),
            ]
        );
        assert_eq!(super::shares(&DiskUse::default()), []);
    }

    #[test]
    fn a_crash_loop_and_limits_are_told_in_words() {
        let usage = ProcessUsage {
            restart_in_ms: Some(7_900),
            restart_delay_ms: Some(8_000),
            denied: 2,
            ..ProcessUsage::default()
        };
        let row = Row::new("a:b:c".to_owned(), &usage);
        assert_eq!(
            row.notes,
            [
                "It keeps ending, and restarts in 7.9 s (it waits 8.0 s now).",
                "2 times a limit was reached."
            ]
        );
    }
}
