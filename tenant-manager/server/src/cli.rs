//! The command line: what there is to say, and what each command needs.
//!
//! Stateless; [`crate::main`] does what was said.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use tenant_model::NodeStatus;

use crate::config::Layer;

/// A host on which anyone gets a personal Kinode node in a second.
#[derive(Debug, Parser)]
#[command(name = "berth", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// Configuration file [default: ./berth.toml if there is one]
    #[arg(long, env = "BERTH_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a host until SIGTERM; SIGUSR2 starts it anew in place
    Serve(Box<Layer>),
    /// Have the host on this data directory start anew in place, with the
    /// program that is now where it was started from, and wait until it is ready
    Restart(Box<Layer>),
    /// Bring the database's schema up to date and exit
    Migrate(Box<Layer>),
    /// Check the configuration and print what `serve` would use
    CheckConfig(Box<Layer>),
    /// Manage operators
    Operator {
        #[command(subcommand)]
        command: OperatorCommand,
    },
    /// Look after nodes: those of the account whose token is named, else all of
    /// the host on this data directory
    Node {
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// Print version information
    Version,
    /// Compile one component from standard input (used by the host itself)
    #[command(name = "__compile-worker", hide = true)]
    CompileWorker,
    /// Compile the components of all packages in a directory (used by the build)
    #[command(name = "__precompile", hide = true)]
    Precompile {
        /// Directory of package archives.
        directory: PathBuf,
    },
}

/// About operators.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Make the account with this address an operator; a new account gets a
    /// password that is printed once
    Create {
        /// The account's address.
        email: String,
        #[command(flatten)]
        settings: Box<Layer>,
    },
}

/// Whose API is asked, and how its answer is printed.
#[derive(Debug, Clone, Default, Args)]
pub struct Remote {
    /// Address of the API [default with a token: http://localhost:8000; without
    /// one: that of the host on the data directory, as operator]
    #[arg(long, env = "BERTH_API", value_name = "URL")]
    pub api: Option<String>,
    /// Token of the account to act as
    #[arg(
        long,
        env = "BERTH_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// Act on any node, not only on the account's own; operators may
    #[arg(long)]
    pub operator: bool,
    /// Print the API's JSON
    #[arg(long)]
    pub json: bool,
}

/// A node, and who asks for it.
#[derive(Debug, Clone, Args)]
pub struct OneNode {
    /// The node's label.
    pub label: String,
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub settings: Box<Layer>,
}

/// About nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List nodes
    List {
        /// Those of all accounts, as --operator
        #[arg(long)]
        all: bool,
        /// Only those with this status, such as active or broken
        #[arg(long, value_name = "STATUS", value_parser = statuses())]
        status: Option<String>,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        settings: Box<Layer>,
    },
    /// Make a node of the account, with the password on standard input
    Create(OneNode),
    /// Put a node of the account away: it does not run, and its data is kept
    Archive {
        /// Remove its data too, after a time in which that can be undone
        #[arg(long)]
        purge: bool,
        #[command(flatten)]
        node: OneNode,
    },
    /// Show a node
    Show(OneNode),
    /// Start a node
    Start(OneNode),
    /// Stop a node: it answers nobody until it is started
    Stop(OneNode),
    /// Stop a node and start it again
    Restart(OneNode),
    /// Put a node to sleep until somebody uses it
    Hibernate(OneNode),
    /// Keep a node from being used by anybody, its owner too; operators may
    Suspend {
        /// What its owner is told
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        node: OneNode,
    },
    /// Let a suspended node be used again; operators may
    Resume(OneNode),
    /// Print what a node's apps and the node itself printed, oldest first:
    /// time, process, text; without a token, from the files of the host on the
    /// data directory
    Logs {
        /// Go on printing what comes
        #[arg(long, short)]
        follow: bool,
        /// Highest verbosity: 0 = important, 1 = debug, 2 = detailed, 3 = every event
        #[arg(long, short, value_name = "N", default_value_t = 1,
              value_parser = clap::value_parser!(u8).range(0..=i64::from(node_api::MAX_VERBOSITY)))]
        verbosity: u8,
        /// Most lines to begin with
        #[arg(long, short = 'n', value_name = "N", default_value_t = 200)]
        lines: u32,
        #[command(flatten)]
        node: OneNode,
    },
    /// Print where a node's apps connected to, or tried to, newest first: time,
    /// what came of it, where, address, process, reason
    Egress {
        /// Most connections
        #[arg(long, short = 'n', value_name = "N", default_value_t = 100,
              value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[command(flatten)]
        node: OneNode,
    },
    /// Print what a node uses and may use, each of its processes, and what it
    /// used before; asks the host that runs
    Usage {
        /// The node's label.
        label: String,
        /// What it used in the last day too
        #[arg(long)]
        history: bool,
        #[command(flatten)]
        settings: Box<Layer>,
    },
}

/// What a node may be.
fn statuses() -> PossibleValuesParser {
    let all = [
        NodeStatus::Provisioning,
        NodeStatus::Booting,
        NodeStatus::Active,
        NodeStatus::Stopping,
        NodeStatus::Hibernated,
        NodeStatus::Stopped,
        NodeStatus::Suspended,
        NodeStatus::Broken,
        NodeStatus::Archived,
    ];
    all.map(NodeStatus::as_str).into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_status_that_there_is_not_is_refused_and_those_there_are_told() {
        let parse = |status| Cli::try_parse_from(["berth", "node", "list", "--status", status]);
        assert!(parse("broken").is_ok());
        let refused = parse("broke").unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        let text = refused.to_string();
        for known in ["active", "hibernated", "suspended"] {
            assert!(text.contains(known), "{text}");
        }
    }
}
