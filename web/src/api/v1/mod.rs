//! Version 1 of the API: one file per resource, one table of operations.

pub(super) mod access;
pub(super) mod accounts;
pub(super) mod egress;
pub(super) mod events;
pub(super) mod logs;
pub(super) mod names;
pub(super) mod nodes;
pub(super) mod operator;
pub(super) mod sessions;
pub(super) mod ssh_password;
pub(super) mod usage;

use std::sync::Arc;

use axum::routing::{MethodRouter, delete, get, post};

use crate::app::App;

/// One operation: how it is asked for, and what answers it.
pub(super) struct Operation {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests compare it with the description")
    )]
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) handler: MethodRouter<Arc<App>>,
}

/// All operations.
pub(super) fn operations() -> Vec<Operation> {
    let mut operations = for_accounts();
    operations.extend(for_operators());
    operations
}

fn operation(
    method: &'static str,
    path: &'static str,
    handler: MethodRouter<Arc<App>>,
) -> Operation {
    Operation {
        method,
        path,
        handler,
    }
}

fn for_accounts() -> Vec<Operation> {
    vec![
        operation("post", "/api/v1/accounts", post(accounts::create)),
        operation("get", "/api/v1/account", get(accounts::show)),
        operation("post", "/api/v1/sessions", post(sessions::create)),
        operation(
            "delete",
            "/api/v1/sessions/current",
            delete(sessions::delete),
        ),
        operation("get", "/api/v1/names/{label}", get(names::show)),
        operation("get", "/api/v1/nodes", get(nodes::list)),
        operation("post", "/api/v1/nodes", post(nodes::create)),
        operation("get", "/api/v1/events", get(events::watch)),
        operation("get", "/api/v1/nodes/{label}", get(nodes::show)),
        operation("delete", "/api/v1/nodes/{label}", delete(nodes::delete)),
        operation("post", "/api/v1/nodes/{label}/start", post(nodes::start)),
        operation("post", "/api/v1/nodes/{label}/stop", post(nodes::stop)),
        operation(
            "post",
            "/api/v1/nodes/{label}/restart",
            post(nodes::restart),
        ),
        operation(
            "post",
            "/api/v1/nodes/{label}/hibernate",
            post(nodes::hibernate),
        ),
        operation(
            "post",
            "/api/v1/nodes/{label}/password",
            post(access::set_password),
        ),
        operation("get", "/api/v1/nodes/{label}/logs", get(logs::show)),
        operation("get", "/api/v1/nodes/{label}/egress", get(egress::show)),
        operation("get", "/api/v1/nodes/{label}/usage", get(usage::show)),
        operation("post", "/api/v1/nodes/{label}/open", post(access::open)),
        operation(
            "get",
            "/api/v1/nodes/{label}/ssh-password",
            get(ssh_password::reveal),
        ),
        operation(
            "post",
            "/api/v1/nodes/{label}/ssh-password",
            post(ssh_password::rotate),
        ),
    ]
}

fn for_operators() -> Vec<Operation> {
    vec![
        operation("get", "/api/v1/operator/nodes", get(operator::list)),
        operation("get", "/api/v1/operator/nodes/{label}", get(operator::show)),
        operation(
            "post",
            "/api/v1/operator/nodes/{label}/start",
            post(operator::start),
        ),
        operation(
            "post",
            "/api/v1/operator/nodes/{label}/stop",
            post(operator::stop),
        ),
        operation(
            "post",
            "/api/v1/operator/nodes/{label}/restart",
            post(operator::restart),
        ),
        operation(
            "post",
            "/api/v1/operator/nodes/{label}/hibernate",
            post(operator::hibernate),
        ),
        operation(
            "post",
            "/api/v1/operator/nodes/{label}/suspend",
            post(operator::suspend),
        ),
        operation(
            "post",
            "/api/v1/operator/nodes/{label}/resume",
            post(operator::resume),
        ),
        operation(
            "get",
            "/api/v1/operator/nodes/{label}/logs",
            get(operator::log),
        ),
        operation(
            "get",
            "/api/v1/operator/nodes/{label}/egress",
            get(operator::egress),
        ),
    ]
}
