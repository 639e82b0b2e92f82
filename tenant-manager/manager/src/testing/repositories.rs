//! Repositories in memory, with a database that can be taken away.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use tenant_model::{
    Account, AccountId, AccountRepository, Change, Conflict, Credentials, Deed, DesiredState,
    Email, Failures, Generation, Host, HostId, Incarnation, Label, NewAccount, NewSession,
    NewTenant, Repositories, Role, Session, SessionId, SessionRepository, SshAccess, StorageError,
    StoredVerifiers, Tenant, TenantId, TenantRepository,
};
use time::OffsetDateTime;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct MemoryRepositories {
    tables: Mutex<Tables>,
    away: AtomicBool,
    uses: AtomicUsize,
    lose_answer: AtomicBool,
}

#[derive(Debug, Default)]
struct Tables {
    accounts: HashMap<AccountId, NewAccount>,
    failures: HashMap<[u8; 32], Failures>,
    sessions: HashMap<[u8; 32], NewSession>,
    tenants: HashMap<TenantId, (HostId, Tenant)>,
    hosts: HashMap<HostId, Host>,
    audit: Vec<Deed>,
}

impl MemoryRepositories {
    /// As the manager takes them.
    #[must_use]
    pub fn repositories(self: &Arc<Self>) -> Repositories {
        Repositories {
            accounts: self.clone(),
            sessions: self.clone(),
            tenants: self.clone(),
        }
    }

    /// Takes the database away, or brings it back.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// The next tenant is written, but whoever wrote it is told otherwise.
    pub fn lose_next_answer(&self) {
        self.lose_answer.store(true, Ordering::SeqCst);
    }

    /// How often anything was read or written.
    pub fn uses(&self) -> usize {
        self.uses.load(Ordering::SeqCst)
    }

    /// The tenant that has `label`.
    pub fn tenant(&self, label: &str) -> Option<Tenant> {
        let tables = self.tables.lock();
        let mut tenants = tables.tenants.values();
        tenants
            .find(|(_, tenant)| tenant.label.as_str() == label)
            .map(|(_, tenant)| tenant.clone())
    }

    /// What was audited that changed no row.
    pub fn audited(&self) -> Vec<Deed> {
        self.tables.lock().audit.clone()
    }

    /// Ends the row of `label`, as a purge does whose answer is lost.
    pub fn remove(&self, label: &str) {
        let mut tables = self.tables.lock();
        tables
            .tenants
            .retain(|_, (_, tenant)| tenant.label.as_str() != label);
    }

    /// Gives every tenant to another host, as a fleet would.
    pub fn take_over(&self) {
        for (_, tenant) in self.tables.lock().tenants.values_mut() {
            tenant.generation.0 += 1;
        }
    }

    fn tables(&self) -> Result<MutexGuard<'_, Tables>, StorageError> {
        self.uses.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(StorageError::Unavailable("taken away".to_owned()));
        }
        Ok(self.tables.lock())
    }
}

impl Tables {
    fn fenced(&mut self, change: Change) -> Result<&mut Tenant, StorageError> {
        self.tenants
            .get_mut(&change.tenant)
            .map(|(_, tenant)| tenant)
            .filter(|tenant| tenant.generation == change.generation)
            .ok_or(StorageError::Fenced)
    }
}

#[async_trait]
impl AccountRepository for MemoryRepositories {
    async fn insert(&self, new: NewAccount) -> Result<(), StorageError> {
        let mut tables = self.tables()?;
        let same = |known: &NewAccount| known.account.email == new.account.email;
        if tables.accounts.values().any(same) {
            return Err(StorageError::Conflict(Conflict::Email));
        }
        tables.accounts.insert(new.account.id, new);
        Ok(())
    }

    async fn credentials(&self, email: &Email) -> Result<Option<Credentials>, StorageError> {
        let tables = self.tables()?;
        let mut accounts = tables.accounts.values();
        let found = accounts.find(|known| known.account.email == *email);
        Ok(found.map(|known| Credentials {
            account: known.account.clone(),
            password_hash: known.password_hash.clone(),
        }))
    }

    async fn find(&self, id: AccountId) -> Result<Option<Account>, StorageError> {
        let tables = self.tables()?;
        Ok(tables.accounts.get(&id).map(|known| known.account.clone()))
    }

    async fn set_role(
        &self,
        email: &Email,
        role: Role,
        _at: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let mut tables = self.tables()?;
        let mut accounts = tables.accounts.values_mut();
        let found = accounts.find(|known| known.account.email == *email);
        Ok(found.map(|known| known.account.role = role).is_some())
    }

    async fn failures(&self, email_hash: [u8; 32]) -> Result<Option<Failures>, StorageError> {
        Ok(self.tables()?.failures.get(&email_hash).copied())
    }

    async fn count_failure(
        &self,
        email_hash: [u8; 32],
        at: OffsetDateTime,
        window: Duration,
    ) -> Result<(), StorageError> {
        let mut tables = self.tables()?;
        let fresh = Failures {
            count: 0,
            window_started_at: at,
        };
        let failures = tables.failures.entry(email_hash).or_insert(fresh);
        if at - failures.window_started_at >= window {
            *failures = fresh;
        }
        failures.count += 1;
        Ok(())
    }

    async fn forget_failures(&self, email_hash: [u8; 32]) -> Result<(), StorageError> {
        self.tables()?.failures.remove(&email_hash);
        Ok(())
    }
}

#[async_trait]
impl SessionRepository for MemoryRepositories {
    async fn insert(&self, new: NewSession) -> Result<(), StorageError> {
        self.tables()?.sessions.insert(new.token_hash, new);
        Ok(())
    }

    async fn find(
        &self,
        token_hash: [u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<Session>, StorageError> {
        let tables = self.tables()?;
        let live = tables.sessions.get(&token_hash);
        let Some(session) = live.filter(|session| session.expires_at > now) else {
            return Ok(None);
        };
        let account = tables.accounts.get(&session.account);
        Ok(account.map(|known| Session {
            id: session.id,
            account: known.account.clone(),
            signed_in_at: session.signed_in_at,
            expires_at: session.expires_at,
        }))
    }

    async fn delete(&self, id: SessionId) -> Result<(), StorageError> {
        self.tables()?
            .sessions
            .retain(|_, session| session.id != id);
        Ok(())
    }

    async fn sweep(&self, before: OffsetDateTime) -> Result<(), StorageError> {
        let mut tables = self.tables()?;
        tables
            .sessions
            .retain(|_, session| session.expires_at >= before);
        tables
            .failures
            .retain(|_, failures| failures.window_started_at >= before);
        Ok(())
    }
}

#[async_trait]
impl TenantRepository for MemoryRepositories {
    async fn register_host(
        &self,
        host: HostId,
        key_check: &[u8],
        _now: OffsetDateTime,
    ) -> Result<Host, StorageError> {
        let mut tables = self.tables()?;
        let row = tables.hosts.entry(host).or_insert_with(|| Host {
            id: host,
            generation: Generation(0),
            key_check: key_check.to_vec(),
        });
        row.generation.0 += 1;
        Ok(row.clone())
    }

    async fn claim(&self, host: HostId) -> Result<Vec<Tenant>, StorageError> {
        let mut tables = self.tables()?;
        let own = tables.tenants.values_mut().filter(|(on, _)| *on == host);
        Ok(own
            .map(|(_, tenant)| {
                tenant.generation.0 += 1;
                tenant.clone()
            })
            .collect())
    }

    async fn of_host(&self, host: HostId) -> Result<Vec<Tenant>, StorageError> {
        let tables = self.tables()?;
        let own = tables.tenants.values().filter(|(on, _)| *on == host);
        Ok(own.map(|(_, tenant)| tenant.clone()).collect())
    }

    async fn label_taken(&self, label: &Label) -> Result<bool, StorageError> {
        let tables = self.tables()?;
        let mut tenants = tables.tenants.values();
        Ok(tenants.any(|(_, tenant)| tenant.label == *label))
    }

    async fn labelled(&self, label: &Label) -> Result<Option<TenantId>, StorageError> {
        let tables = self.tables()?;
        let mut tenants = tables.tenants.values();
        let found = tenants.find(|(_, tenant)| tenant.label == *label);
        Ok(found.map(|(_, tenant)| tenant.id))
    }

    async fn insert(&self, new: NewTenant) -> Result<Tenant, StorageError> {
        let mut tables = self.tables()?;
        let Some(account) = tables.accounts.get(&new.account) else {
            return Err(StorageError::Unavailable("no such account".to_owned()));
        };
        let plan = account.account.plan.clone();
        let own = |archived| {
            let mine = tables.tenants.values().filter(|(_, tenant)| {
                let is_archived = tenant.desired == DesiredState::Archived;
                tenant.account == new.account && is_archived == archived
            });
            u32::try_from(mine.count()).unwrap_or(u32::MAX)
        };
        if own(false) >= plan.nodes {
            return Err(StorageError::Conflict(Conflict::Quota {
                limit: plan.nodes,
            }));
        }
        if own(true) >= plan.archived_nodes() {
            return Err(StorageError::Conflict(Conflict::ArchiveFull {
                limit: plan.archived_nodes(),
            }));
        }
        if tables
            .tenants
            .values()
            .any(|(_, tenant)| tenant.label == new.label)
        {
            return Err(StorageError::Conflict(Conflict::Label));
        }
        let tenant = Tenant {
            id: new.id,
            account: new.account,
            label: new.label,
            name: new.name,
            desired: DesiredState::Running,
            suspended: None,
            generation: Generation(1),
            incarnation: Incarnation(1),
            keys: new.keys,
            login: new.login,
            keyfile: Vec::new(),
            ssh: new.ssh,
            plan,
            created_at: new.created_at,
            last_started_at: None,
            archived_at: None,
            purge_at: None,
        };
        tables.tenants.insert(tenant.id, (new.host, tenant.clone()));
        if self.lose_answer.swap(false, Ordering::SeqCst) {
            return Err(StorageError::Unavailable("the answer was lost".to_owned()));
        }
        Ok(tenant)
    }

    async fn set_desired(
        &self,
        change: Change,
        desired: DesiredState,
        purge_at: Option<OffsetDateTime>,
    ) -> Result<(), StorageError> {
        let mut tables = self.tables()?;
        let tenant = tables.fenced(change)?;
        tenant.desired = desired;
        tenant.purge_at = purge_at;
        tenant.archived_at = (desired == DesiredState::Archived).then_some(change.at);
        Ok(())
    }

    async fn set_suspended(
        &self,
        change: Change,
        reason: Option<&str>,
    ) -> Result<(), StorageError> {
        self.tables()?.fenced(change)?.suspended = reason.map(str::to_owned);
        Ok(())
    }

    async fn audit(&self, deed: Deed) -> Result<(), StorageError> {
        self.tables()?.audit.push(deed);
        Ok(())
    }

    async fn set_ssh(&self, change: Change, ssh: &SshAccess) -> Result<(), StorageError> {
        self.tables()?.fenced(change)?.ssh = ssh.clone();
        Ok(())
    }

    async fn set_login(
        &self,
        change: Change,
        login: &StoredVerifiers,
        jwt_secret: &[u8],
    ) -> Result<(), StorageError> {
        let mut tables = self.tables()?;
        let tenant = tables.fenced(change)?;
        tenant.login = *login;
        tenant.keyfile.clear();
        tenant.keys.jwt_secret = jwt_secret.to_vec();
        Ok(())
    }

    async fn set_keyfile(
        &self,
        change: Change,
        login: &StoredVerifiers,
        keyfile: &[u8],
    ) -> Result<(), StorageError> {
        let mut tables = self.tables()?;
        let tenant = tables.fenced(change)?;
        if tenant.login == *login {
            tenant.keyfile = keyfile.to_vec();
        }
        Ok(())
    }

    async fn set_last_started(
        &self,
        tenant: TenantId,
        generation: Generation,
        at: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let change = Change {
            tenant,
            generation,
            actor: None,
            at,
        };
        self.tables()?.fenced(change)?.last_started_at = Some(at);
        Ok(())
    }

    async fn purge(&self, change: Change) -> Result<(), StorageError> {
        let mut tables = self.tables()?;
        tables.fenced(change)?;
        tables.tenants.remove(&change.tenant);
        Ok(())
    }
}
