//! The `berth` binary: reads configuration, wires the crates, owns the
//! process' life.
//!
//! Only this crate knows all the others. Exit status: 0 done, 1 failed (one
//! sentence says what to do), 2 bad usage or configuration.

#![forbid(unsafe_code)]

mod commands;
mod config;
mod control;
mod database;
mod gauge;
mod ops;
mod privileges;
mod runtimes;
mod serve;
mod telemetry;
mod units;
mod usage_text;
mod wiring;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Layer};

/// Memory goes back to the system when nodes sleep; glibc's allocator keeps it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A host on which anyone gets a personal Kinode node in a second.
#[derive(Debug, Parser)]
#[command(name = "berth", version, about, disable_help_subcommand = true)]
struct Cli {
    /// Configuration file [default: ./berth.toml if there is one]
    #[arg(long, env = "BERTH_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a host until SIGTERM
    Serve(Box<Layer>),
    /// Bring the database's schema up to date and exit
    Migrate(Box<Layer>),
    /// Check the configuration and print what `serve` would use
    CheckConfig(Box<Layer>),
    /// Manage operators
    Operator {
        #[command(subcommand)]
        command: OperatorCommand,
    },
    /// Look after nodes of the host on this data directory
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

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Make the account with this address an operator; a new account gets a
    /// password that is printed once
    Create {
        /// The account's address.
        email: String,
        #[command(flatten)]
        settings: Box<Layer>,
    },
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Print what a node's apps and the node itself printed, oldest first:
    /// time, process, text
    Logs {
        /// The node's label.
        label: String,
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
        settings: Box<Layer>,
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

fn main() -> ExitCode {
    let cli = Cli::parse();
    let file = cli.config;
    let configured = |settings: Layer| match configuration(settings, file.as_deref()) {
        Ok(config) => Ok(config),
        Err(error) => Err(complain(&error, 2)),
    };
    let done = match cli.command {
        Command::Serve(settings) => match configured(*settings) {
            Ok(config) => serve::run(&config),
            Err(code) => return code,
        },
        Command::Migrate(settings) => match configured(*settings) {
            Ok(config) => commands::migrate::run(&config),
            Err(code) => return code,
        },
        Command::CheckConfig(settings) => match configured(*settings) {
            Ok(config) => commands::check_config::run(&config),
            Err(code) => return code,
        },
        Command::Operator {
            command: OperatorCommand::Create { email, settings },
        } => match configured(*settings) {
            Ok(config) => commands::operator::create(&config, &email),
            Err(code) => return code,
        },
        Command::Node {
            command:
                NodeCommand::Logs {
                    label,
                    follow,
                    verbosity,
                    lines,
                    settings,
                },
        } => match configured(*settings) {
            Ok(config) => {
                let wanted = commands::node::Wanted {
                    lines: usize::try_from(lines).unwrap_or(usize::MAX),
                    verbosity,
                    follow,
                };
                commands::node::logs(&config, &label, wanted)
            }
            Err(code) => return code,
        },
        Command::Node {
            command:
                NodeCommand::Usage {
                    label,
                    history,
                    settings,
                },
        } => match configured(*settings) {
            Ok(config) => commands::node::usage(&config, &label, history),
            Err(code) => return code,
        },
        Command::Version => commands::version(),
        Command::CompileWorker => return node_engine::compile_worker(),
        Command::Precompile { directory } => commands::precompile::run(&directory),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

fn configuration(flags: Layer, file: Option<&std::path::Path>) -> anyhow::Result<Config> {
    flags.over(Layer::from_file(file)?).validate()
}

#[expect(
    clippy::print_stderr,
    reason = "the one sentence a failed command ends with"
)]
fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("berth: {error:#}");
    ExitCode::from(code)
}
