//! The task of one process: run, and see what its end means.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use lifecycle::{Backoff, TaskKind};
use node_engine::{Exit, PrepareError};
use node_kernel::{ExitPlan, ExitReason, RestartBackoff, exit_message, on_exit};
use node_services::{NodeEvent, ProcessExit};
use tokio::time::Instant;

use super::WasmProcess;
use super::host::Host;
use crate::kernel::Kernel;
use crate::readiness::{Readiness, Starting};

/// Shortest and longest pause before a component that the host was too busy to
/// compile is tried again.
const COMPILE_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Starts the task of `process` unless it runs already.
pub(crate) fn run(kernel: &Arc<Kernel>, process: &Arc<WasmProcess>) {
    if process.running.swap(true, Ordering::AcqRel) {
        return;
    }
    let starting = Readiness::process_starts(kernel);
    let (kernel_, process) = (kernel.clone(), process.clone());
    let counters = process.counters.clone();
    let life = async move {
        live(&kernel_, &process, starting).await;
        process.counters.ended();
    };
    kernel.executor.spawn(life, counters);
}

/// Begins to make the component ready, ahead of the first run.
pub(crate) fn prepare(kernel: &Arc<Kernel>, process: &Arc<WasmProcess>) {
    let (kernel_, process) = (kernel.clone(), process.clone());
    kernel
        .tasks
        .spawn(TaskKind::abortable("prepare component"), async move {
            // A failure is reported by the run, which tries again.
            let _ = process.component(&kernel_).await;
        });
}

/// Runs a process until it ends for good.
async fn live(kernel: &Arc<Kernel>, process: &Arc<WasmProcess>, starting: Starting) {
    let mut starting = Some(starting);
    let mut restarts = RestartBackoff::default();
    loop {
        let began = Instant::now();
        process.counters.begins(began);
        let ended = tokio::select! {
            biased;
            () = process.killed.cancelled() => None,
            ended = AssertUnwindSafe(once(kernel, process, starting.take())).catch_unwind() => Some(ended),
        };
        let exit = match ended {
            None => {
                report(kernel, process, ProcessExit::Killed);
                return;
            }
            Some(Ok(exit)) => exit,
            Some(Err(_panic)) => {
                tracing::error!(node = %kernel.our, process = %process.id, "a host function panicked");
                Exit::Trapped {
                    message: "the host failed while it ran; this is a bug of the host".into(),
                }
            }
        };
        let reason = match &exit {
            Exit::Finished => ExitReason::Finished,
            Exit::Trapped { .. } => ExitReason::Trapped,
            Exit::NotInstantiable { .. } => ExitReason::CouldNotStart,
        };
        report(kernel, process, told(exit));
        // Its next life knows nothing of the channels of this one.
        if let Some(http) = kernel.http() {
            http.process_ended(&process.id);
        }
        if let Some(client) = kernel.http_client() {
            client.process_ended(&process.id);
        }
        let plan = {
            let table = kernel.table.read();
            let Some(entry) = table.get(&process.id) else {
                return;
            };
            on_exit(entry.on_exit_now(), reason, began.elapsed(), &mut restarts)
        };
        match plan {
            ExitPlan::Keep => return,
            ExitPlan::Remove { revoke } => return leave(kernel, process, revoke).await,
            ExitPlan::SendThenRemove(requests) => {
                for request in requests {
                    let id = kernel.fresh_id();
                    let message = exit_message(&kernel.table.read(), &process.id, request, id);
                    tokio::select! {
                        biased;
                        () = process.killed.cancelled() => return,
                        _ = kernel.send_from_process(message) => {}
                    }
                }
                return leave(kernel, process, true).await;
            }
            ExitPlan::Restart { after } => {
                process.counters.waits(after, Instant::now());
                say_restart(kernel, process, after);
                tokio::select! {
                    () = process.killed.cancelled() => return,
                    () = tokio::time::sleep(after) => {}
                }
            }
        }
    }
}

/// Tells of a restart. One that has to wait shows an owner who looks at nothing
/// else that the process keeps ending.
fn say_restart(kernel: &Kernel, process: &WasmProcess, after: Duration) {
    let restarts = process.counters.restarts();
    let (verbosity, text) = if after.is_zero() {
        (1, format!("process {} restarts at once", process.id))
    } else {
        let text = format!(
            "process {} restarts in {after:?}: it keeps ending ({restarts} restarts so far); the \
             wait doubles each time until it stays up",
            process.id
        );
        (0, text)
    };
    kernel.say(verbosity, &text);
}

/// Removes a process that has ended for good, unless another has its id by now.
async fn leave(kernel: &Kernel, process: &Arc<WasmProcess>, revoke: bool) {
    let ours = kernel
        .processes
        .read()
        .get(&process.id)
        .is_some_and(|now| Arc::ptr_eq(now, process));
    if ours {
        let persist = kernel.remove(&process.id, revoke);
        kernel.save_if(persist == Some(true)).await;
    }
}

fn told(exit: Exit) -> ProcessExit {
    match exit {
        Exit::Finished => ProcessExit::Finished,
        Exit::Trapped { message } | Exit::NotInstantiable { message } => {
            ProcessExit::Failed(message)
        }
    }
}

/// One life of a process, from its first instruction to its end.
async fn once(
    kernel: &Arc<Kernel>,
    process: &Arc<WasmProcess>,
    starting: Option<Starting>,
) -> Exit {
    let mut pauses = Backoff::new(COMPILE_PAUSES.0, COMPILE_PAUSES.1);
    let component = loop {
        match process.component(kernel).await {
            Ok(component) => break component,
            // Not the component's fault: it waits for its turn.
            Err(PrepareError::Busy | PrepareError::Host(_)) => {
                tokio::time::sleep(pauses.next_delay()).await;
            }
            Err(error) => {
                return Exit::NotInstantiable {
                    message: error.to_string(),
                };
            }
        }
    };
    let host = Host::new(kernel.clone(), process.clone(), starting);
    kernel
        .engine
        .run(&component, Box::new(host), &kernel.budget)
        .await
}

fn report(kernel: &Kernel, process: &WasmProcess, exit: ProcessExit) {
    const RED: &str = "\x1b[31m";
    const PLAIN: &str = "\x1b[0m";
    match &exit {
        ProcessExit::Failed(text) => kernel.say(
            0,
            &format!(
                "{RED}process {} ended with error:{PLAIN} {text}",
                kernel.address(&process.id)
            ),
        ),
        ProcessExit::Finished => kernel.say(1, &format!("process {} ended", process.id)),
        ProcessExit::Killed => kernel.say(2, &format!("process {} was killed", process.id)),
    }
    kernel.emit(NodeEvent::Exited {
        process: process.id.clone(),
        exit,
    });
}
