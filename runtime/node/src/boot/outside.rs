//! What processes of a node reach outside: its way out, the record of that,
//! and the module that uses it.

use std::sync::Arc;

use lifecycle::Tasks;
use node_api::NodeSpec;
use node_egress::{Egress, EgressLimits, EgressPolicy};
use node_services::KernelPort;
use node_services::http_client::{Config, HttpClient, InUse, Used};

use crate::activity::Activity;
use crate::launcher::Launcher;
use crate::log::EgressFiles;

/// Puts these together. The record outlives the tasks of the node, so that
/// nothing they do last is missing.
pub(super) fn outside(
    host: &Launcher,
    spec: &NodeSpec,
    port: &Arc<dyn KernelPort>,
    tasks: &Tasks,
    activity: &Arc<Activity>,
) -> (Arc<HttpClient>, Arc<EgressFiles>) {
    let log = EgressFiles::start(spec.log_dir.clone(), host.tasks.child());
    let policy = EgressPolicy {
        allow: spec.egress_allow.clone(),
    };
    let egress = Egress::new(
        host.dialer.clone(),
        policy,
        EgressLimits::default(),
        log.clone(),
        host.clock.clone(),
    );
    let config = Config {
        our: spec.name.clone(),
        response_bytes: spec.limits.local_message_bytes,
        egress,
    };
    // A WebSocket that a process opened counts as use, like one that it serves,
    // as long as messages move on it.
    let activity = activity.clone();
    let in_use: InUse = Arc::new(move |used: Used| -> Box<dyn Send + Sync> {
        match used {
            Used::Socket => Box::new(activity.begin()),
            Used::Request => Box::new(activity.ask()),
        }
    });
    let client = HttpClient::new(config, port.clone(), tasks.clone(), in_use);
    (client, log)
}
