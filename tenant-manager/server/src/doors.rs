//! Opens the doors of a host and closes them again.
//!
//! Owns the tasks of every door. Closing has two steps: [`Doors::finish`] takes
//! nothing new and answers what was asked, [`Doors::close`] ends the rest. In
//! between nodes stop. Invariant: the host says that it is not ready from the
//! first step on.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use lifecycle::{TaskKind, Tasks};
use serde_json::json;
use tenant_manager::Manager;
use tenant_storage_pg::Pg;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::control::{self, Control};
use crate::listeners::Listeners;
use crate::ops::{self, Ops};
use crate::readiness::Readiness;
use crate::restart::Asker;
use crate::wiring::Ground;

/// The port every tenant is told for HTTP through its tunnel.
const LOCAL_HTTP_PORT: u16 = 8080;

/// Open doors.
#[derive(Debug)]
pub struct Doors {
    ready: serde_json::Value,
    web: web::Closing,
    ssh: CancellationToken,
    closing: Arc<AtomicBool>,
    tasks: Tasks,
}

/// What doors are opened with.
pub struct Opening<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The data directory as this process reaches it.
    pub home: &'a Path,
    /// Whom everybody asks.
    pub manager: &'a Manager,
    /// Store, clock and metrics.
    pub ground: &'a Ground,
    /// The control plane's database.
    pub pg: &'a Pg,
    /// How somebody at the control socket has the host start anew.
    pub restart: Asker,
}

impl Opening<'_> {
    /// Opens them all.
    ///
    /// # Errors
    /// What could not be opened, and what to do.
    pub async fn open(self, listeners: Listeners, tasks: Tasks) -> anyhow::Result<Doors> {
        let ssh = self.ssh(listeners.ssh, &tasks).await?;
        let web = self.web(listeners.http, ssh.local_addr().port(), &tasks)?;
        let socket = control::bind(self.home)?;
        let metrics = adopt(listeners.metrics)?;
        let metrics_address = metrics
            .local_addr()
            .context("look at the operations port")?;
        let ready = json!({
            "dashboard": web.dashboard_url(),
            "ssh": ssh.local_addr().to_string(),
            "metrics": metrics_address.to_string(),
            "net_ws": null,
            "net_tcp": null,
            "pid": std::process::id(),
        });
        tracing::info!(fingerprint = ssh.host_key_fingerprint(), "SSH host key");
        let closing = Arc::new(AtomicBool::new(false));
        let doors = Doors {
            ready,
            web: web.closing(),
            ssh: ssh.closing(),
            closing: closing.clone(),
            tasks: tasks.clone(),
        };
        let readiness = Readiness {
            pg: self.pg.clone(),
            store: self.ground.store.clone(),
            home: self.home.to_owned(),
            closing,
        };
        let ops = Ops::new(self.ground.metrics.clone(), readiness, tasks.clone());
        let control = Control::new(
            self.manager.clone(),
            web.local_addr(),
            self.config.domain.clone(),
            self.restart,
        );
        tasks.spawn(TaskKind::essential("ssh gateway"), ssh.serve());
        tasks.spawn(TaskKind::essential("web"), web.serve());
        tasks.spawn(
            TaskKind::essential("control socket"),
            control::serve(socket, Arc::new(control), tasks.clone()),
        );
        tasks.spawn(
            TaskKind::essential("operations port"),
            ops::serve(metrics, Arc::new(ops), tasks.clone()),
        );
        Ok(doors)
    }

    async fn ssh(
        &self,
        listener: TcpListener,
        tasks: &Tasks,
    ) -> anyhow::Result<ssh_gateway::Bound> {
        let key = self.home.join("ssh_host_ed25519_key");
        let options = ssh_gateway::Options::new(self.config.ssh, key);
        let manager = self.manager.clone();
        Ok(ssh_gateway::adopt(adopt(listener)?, options, manager, tasks).await?)
    }

    fn web(
        &self,
        listener: TcpListener,
        ssh_port: u16,
        tasks: &Tasks,
    ) -> anyhow::Result<web::Bound> {
        let config = self.config;
        let proxies = config.trusted_proxy.iter().copied();
        let options = web::Options {
            http: config.http,
            domain: config.domain.clone(),
            node_domain: config.node_domain.clone(),
            node_suffix: config.node_suffix.clone(),
            public_url: config.public_url.clone(),
            trusted_proxies: proxies.map(Into::into).collect(),
            ssh_host: config.domain.clone(),
            ssh_port,
            local_http_port: LOCAL_HTTP_PORT,
            allow_shared_domain: true,
            rate_limits: web::RateLimits {
                count_loopback: config.limit_loopback,
                ..Default::default()
            },
        };
        let (manager, clock) = (self.manager.clone(), self.ground.clock.clone());
        Ok(web::adopt(
            adopt(listener)?,
            options,
            manager,
            tasks,
            clock,
        )?)
    }
}

fn adopt(listener: TcpListener) -> anyhow::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listener).context("take over a port")
}

impl Doors {
    /// What the ready line tells.
    #[must_use]
    pub fn ready_json(&self) -> &serde_json::Value {
        &self.ready
    }

    /// Waits until one of them has failed.
    pub async fn failed(&self) {
        self.tasks.token().cancelled().await;
    }

    /// Takes nothing new, and waits until every request has its answer. Returns
    /// whether all had within `grace`.
    pub async fn finish(&self, grace: Duration) -> bool {
        self.closing.store(true, Ordering::Relaxed);
        self.ssh.cancel();
        self.web.finish(grace).await
    }

    /// Tells who is still there that it is over, and ends every task.
    pub async fn close(&self, grace: Duration) {
        self.tasks.shutdown(grace).await;
    }
}
