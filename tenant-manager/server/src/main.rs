//! The `berth` binary: reads configuration, wires the crates, owns the
//! process' life.
//!
//! Only this crate knows all the others. Exit status: 0 done, 1 failed (one
//! sentence says what to do), 2 bad usage or configuration.

#![forbid(unsafe_code)]

mod accept;
mod api_client;
mod cli;
mod commands;
mod config;
mod control;
mod database;
mod doors;
mod gauge;
mod listeners;
mod notify;
mod ops;
mod privileges;
mod process_stats;
mod readiness;
mod restart;
mod runtimes;
mod serve;
mod signals;
mod telemetry;
mod units;
mod usage_text;
mod values;
mod wiring;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, NodeCommand, OperatorCommand};
use crate::commands::node::Wanted;
use crate::commands::nodes::{self, Asked};
use crate::config::{Config, Layer};
use crate::restart::{HandedOver, Started};

/// Memory goes back to the system when nodes sleep; glibc's allocator keeps it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Why a command ended, and its exit status.
struct Failure(anyhow::Error, u8);

/// Failed while it did what it was told.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self(error, 1)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::CompileWorker) {
        return node_engine::compile_worker();
    }
    match run(cli.command, cli.config.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(error, code)) => complain(&error, code),
    }
}

fn run(command: Command, file: Option<&Path>) -> Result<(), Failure> {
    match command {
        Command::Serve(settings) => {
            let (config, started) = to_serve(*settings, file).map_err(|error| Failure(error, 2))?;
            serve::run(&config, started)?;
        }
        Command::Restart(settings) => commands::restart::run(&configured(*settings, file)?)?,
        Command::Migrate(settings) => commands::migrate::run(&configured(*settings, file)?)?,
        Command::CheckConfig(settings) => {
            commands::check_config::run(&to_check(*settings, file)?)?;
        }
        Command::Operator {
            command: OperatorCommand::Create { email, settings },
        } => commands::operator::create(&configured(*settings, file)?, &email)?,
        Command::Node { command } => node(command, file)?,
        Command::Version => commands::version()?,
        Command::Precompile { directory } => commands::precompile::run(&directory)?,
        // Handled before: it has an exit status of its own.
        Command::CompileWorker => {}
    }
    Ok(())
}

fn node(command: NodeCommand, file: Option<&Path>) -> Result<(), Failure> {
    let (node, asked) = match command {
        NodeCommand::List {
            all,
            status,
            mut remote,
            settings,
        } => {
            remote.operator |= all;
            let config = configured(*settings, file)?;
            return Ok(nodes::list(&config, &remote, status.as_deref())?);
        }
        NodeCommand::Usage {
            label,
            history,
            settings,
        } => {
            let config = configured(*settings, file)?;
            return Ok(commands::node::usage(&config, &label, history)?);
        }
        NodeCommand::Logs {
            follow,
            verbosity,
            lines,
            node,
        } => {
            let config = configured(*node.settings, file)?;
            let wanted = Wanted {
                lines: usize::try_from(lines).unwrap_or(usize::MAX),
                verbosity,
                follow,
            };
            let remote = &node.remote;
            let printed = if nodes::is_remote(remote) {
                nodes::logs(&config, remote, &node.label, wanted)
            } else {
                commands::node::logs(&config, &node.label, wanted)
            };
            return Ok(printed?);
        }
        NodeCommand::Egress { limit, node } => {
            let config = configured(*node.settings, file)?;
            let (remote, label) = (&node.remote, &node.label);
            return Ok(commands::egress::run(&config, remote, label, limit)?);
        }
        NodeCommand::Create(node) => {
            let config = configured(*node.settings, file)?;
            return Ok(nodes::create(&config, &node.remote, &node.label)?);
        }
        NodeCommand::Archive { purge, node } => (node, Asked::Archive(purge)),
        NodeCommand::Show(node) => (node, Asked::Show),
        NodeCommand::Start(node) => (node, Asked::Act("start")),
        NodeCommand::Stop(node) => (node, Asked::Act("stop")),
        NodeCommand::Restart(node) => (node, Asked::Act("restart")),
        NodeCommand::Hibernate(node) => (node, Asked::Act("hibernate")),
        NodeCommand::Suspend { reason, node } => (node, Asked::Suspend(reason)),
        NodeCommand::Resume(node) => (node, Asked::Resume),
    };
    let config = configured(*node.settings, file)?;
    Ok(nodes::one(&config, &node.remote, &node.label, &asked)?)
}

/// The configuration of a command.
fn configured(settings: Layer, file: Option<&Path>) -> Result<Config, Failure> {
    let read = || settings.over(Layer::from_file(file)?).validate();
    read().map_err(|error| Failure(error, 2))
}

/// The configuration that `serve` would use; with what a host would hand over to
/// a new start, if one asks.
fn to_check(settings: Layer, file: Option<&Path>) -> Result<Config, Failure> {
    let read = || match HandedOver::preview()? {
        Some(handed) => handed.layer()?.validate(),
        None => settings.over(Layer::from_file(file)?).validate(),
    };
    read().map_err(|error| Failure(error, 2))
}

/// What to serve with: what an earlier program of this process handed over, else
/// what was said.
fn to_serve(settings: Layer, file: Option<&Path>) -> anyhow::Result<(Config, Started)> {
    let handed = HandedOver::receive()?;
    let layer = match &handed {
        Some(handed) => handed.layer()?,
        None => settings.over(Layer::from_file(file)?),
    };
    let config = layer.clone().validate()?;
    let said = Layer {
        data_dir: Some(config.data_dir.clone()),
        ..layer
    };
    let started = Started::look(said, handed)?;
    Ok((config, started))
}

#[expect(
    clippy::print_stderr,
    reason = "the one sentence a failed command ends with"
)]
fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("berth: {error:#}");
    ExitCode::from(code)
}
