//! The pool of connections, and the schema.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tenant_model::Repositories;

use crate::error::{ConnectError, MigrateError};
use crate::health::Health;

/// Connections of one host; who finds all busy waits for [`ACQUIRE`].
const CONNECTIONS: u32 = 10;
const ACQUIRE: Duration = Duration::from_secs(5);
/// Bound on one statement, kept by the database.
const STATEMENT_MILLISECONDS: &str = "7000";
/// Bound on one operation, kept here for when the database is not there to.
pub(crate) const OPERATION: Duration = Duration::from_secs(8);
/// Bound on asking whether it is there.
const PING: Duration = Duration::from_secs(3);
/// Bound on the one that takes over every tenant of a host.
pub(crate) const TAKING_OVER: Duration = Duration::from_secs(60);

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The database. Clones share the pool.
#[derive(Debug, Clone)]
pub struct Pg {
    pub(crate) pool: PgPool,
    pub(crate) health: Arc<Health>,
    options: PgConnectOptions,
}

impl Pg {
    /// Connects to a `postgres://` URL.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        let options = PgConnectOptions::from_str(url).map_err(ConnectError::BadUrl)?;
        Self::connect_with(options).await
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError::Unreachable`].
    pub async fn connect_with(options: PgConnectOptions) -> Result<Self, ConnectError> {
        let options = options
            .application_name("berth")
            .disable_statement_logging();
        let bounded = options
            .clone()
            .options([("statement_timeout", STATEMENT_MILLISECONDS)]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .connect_with(bounded)
            .await
            .map_err(ConnectError::Unreachable)?;
        Ok(Self {
            pool,
            health: Arc::default(),
            options,
        })
    }

    /// Brings the schema up to date. Hosts that do it at once wait for one
    /// another.
    ///
    /// # Errors
    /// [`MigrateError`].
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        let failed = |error: sqlx::Error| MigrateError::Failed(error.to_string());
        // Outside the pool: a migration may take longer than a statement.
        let mut connection = self.options.connect().await.map_err(failed)?;
        let migrated = MIGRATIONS.run(&mut connection).await;
        migrated.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => MigrateError::TooNew(version),
            other => MigrateError::Failed(other.to_string()),
        })?;
        connection.close().await.map_err(failed)
    }

    /// Whether the database answers now.
    ///
    /// # Errors
    /// What the database or the connection said.
    pub async fn ping(&self) -> Result<(), ConnectError> {
        let answer = sqlx::query("SELECT 1").execute(&self.pool);
        match tokio::time::timeout(PING, answer).await {
            Ok(answer) => answer.map(|_| ()).map_err(ConnectError::Unreachable),
            Err(_elapsed) => Err(ConnectError::Silent),
        }
    }

    /// The repositories over this pool.
    #[must_use]
    pub fn repositories(&self) -> Repositories {
        let shared = Arc::new(self.clone());
        Repositories {
            accounts: shared.clone(),
            sessions: shared.clone(),
            tenants: shared,
        }
    }

    /// The pool, for tests that look past the repositories.
    #[doc(hidden)]
    #[must_use]
    pub fn pool_for_tests(&self) -> &PgPool {
        &self.pool
    }

    /// Closes the pool once every connection is back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
