//! The control plane's rows in Postgres, and a private Postgres for hosts that
//! are not given one.
//!
//! What is stored: accounts with hashed passwords, sessions by the hash of
//! their token, tenants with sealed keys, hosts, and an audit of changes. Why
//! here: it must outlive hosts and be one truth for a fleet. Not here:
//! anything a warm or waking node needs; hosts keep that in memory. Invariant:
//! a write to a tenant names the newest generation or changes nothing. Stops
//! by [`Pg::close`] and [`cluster::Running::stop`].

#![forbid(unsafe_code)]

mod account;
pub mod cluster;
mod error;
mod health;
mod pg;
mod row;
mod session;
mod tenant;

pub use error::{ConnectError, MigrateError};
pub use pg::Pg;
pub use sqlx::postgres::PgConnectOptions;
