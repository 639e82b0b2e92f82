//! Writes when nodes became active, after the fact and off everyone's path.
//!
//! Such a write may be lost: the time is for people, and a tenant whose first
//! start was lost is booted once more at the next start of the host.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{TaskKind, Tasks, Timestamp};
use tenant_model::{Generation, TenantId, TenantRepository};
use tokio::sync::mpsc;

/// Times waiting to be written; when full a new one is dropped.
const QUEUE: usize = 1024;
/// How long one write may take; then the time is lost.
const WRITE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Started {
    tenant: TenantId,
    generation: Generation,
    at: Timestamp,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Recorder(mpsc::Sender<Started>);

impl Recorder {
    /// Starts writing; stops with `tasks`, after what is queued.
    pub(crate) fn start(tenants: Arc<dyn TenantRepository>, tasks: &Tasks) -> Self {
        let (sender, mut queue) = mpsc::channel::<Started>(QUEUE);
        let cancelled = tasks.token().clone();
        tasks.spawn(TaskKind::graceful("record starts"), async move {
            loop {
                let next = tokio::select! {
                    biased;
                    next = queue.recv() => next,
                    () = cancelled.cancelled() => queue.try_recv().ok(),
                };
                let Some(Started {
                    tenant,
                    generation,
                    at,
                }) = next
                else {
                    return;
                };
                let write = tenants.set_last_started(tenant, generation, at);
                match tokio::time::timeout(WRITE, write).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!("failed to record a start: {error}"),
                    Err(_) => tracing::debug!("recording a start took too long"),
                }
            }
        });
        Self(sender)
    }

    /// Queues a time.
    pub(crate) fn started(&self, tenant: TenantId, generation: Generation, at: Timestamp) {
        let started = Started {
            tenant,
            generation,
            at,
        };
        if self.0.try_send(started).is_err() {
            metrics::counter!("berth_starts_not_recorded_total").increment(1);
        }
    }
}
