//! Accounts and sessions.
//!
//! A session's token is 256 random bits of which only the SHA-256 is kept.
//! Invariant: whatever an attempt to sign in reveals, it is the same for an
//! address with an account and one without.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lifecycle::{Clock, Entropy, Tasks, Timestamp};
use node_api::Secret;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tenant_model::{
    Account, AccountId, Conflict, Email, Plan, Repositories, Role, Session, SessionId,
    StorageError, check_account_password,
};
use tokio::sync::broadcast;

use crate::error::{AuthError, PromoteError, RegisterError, SignInError, unavailable};
use crate::hashing::Hasher;
use crate::keys::random;
use crate::principal::Principal;

/// What every token begins with, so that a leaked one is recognised.
const TOKEN_PREFIX: &str = "berth_";
/// Longest text that can be a token, bytes.
const LONGEST_TOKEN: usize = 128;
/// How long a session lasts.
const SESSION: time::Duration = time::Duration::days(30);
/// Wrong passwords allowed within [`LOCK_OUT`].
const MOST_FAILURES: u32 = 5;
const LOCK_OUT: Duration = Duration::from_secs(15 * 60);
/// Sessions remembered for when the database is away; when full all are
/// forgotten and remembered anew.
const REMEMBERED_SESSIONS: usize = 10_000;
/// Sign-ins for one address run one after the other; addresses share these.
const LANES: usize = 64;
/// Ended sessions kept for slow listeners; one that misses some takes its own for
/// ended.
const ENDED: usize = 64;

/// An account just made, signed in.
#[derive(Debug)]
pub struct NewAccount {
    /// Its id.
    pub account_id: AccountId,
    /// Token of its first session.
    pub token: Secret<String>,
    /// When that session ends.
    pub expires_at: Timestamp,
}

/// A session just begun.
#[derive(Debug)]
pub struct NewSession {
    /// Its token, told once.
    pub token: Secret<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An account as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Its id.
    pub account_id: AccountId,
    /// Its address.
    pub email: Email,
    /// What it may do.
    pub role: Role,
    /// What it may use.
    pub plan: Plan,
}

/// Signs people up and in. Usable without a manager, by the command line.
#[derive(Debug)]
pub struct Accounts {
    repositories: Repositories,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    plan: Plan,
    hasher: Hasher,
    remembered: Mutex<HashMap<[u8; 32], Session>>,
    lanes: Vec<tokio::sync::Mutex<()>>,
    /// Sessions that were ended here.
    ended: broadcast::Sender<SessionId>,
}

impl Accounts {
    /// Keeps accounts in `repositories`; new ones get `plan`.
    #[must_use]
    pub fn new(
        repositories: Repositories,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        tasks: &Tasks,
        plan: Plan,
    ) -> Self {
        Self {
            repositories,
            clock,
            entropy,
            plan,
            hasher: Hasher::new(tasks.clone()),
            remembered: Mutex::default(),
            lanes: (0..LANES).map(|_| tokio::sync::Mutex::default()).collect(),
            ended: broadcast::Sender::new(ENDED),
        }
    }

    /// The sessions that are ended here from now on.
    pub(crate) fn ended_sessions(&self) -> broadcast::Receiver<SessionId> {
        self.ended.subscribe()
    }

    pub(crate) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Makes an account and signs it in.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(
        &self,
        email: &str,
        password: Secret<String>,
    ) -> Result<NewAccount, RegisterError> {
        let email = Email::parse(email).map_err(|e| RegisterError::BadEmail(e.to_string()))?;
        check_account_password(password.expose())
            .map_err(|e| RegisterError::WeakPassword(e.to_string()))?;
        let account_id = self.create(email, password, Role::User).await?;
        let session = self.begin_session(account_id).await;
        let session = session.map_err(|e| RegisterError::Unavailable(unavailable(&e)))?;
        Ok(NewAccount {
            account_id,
            token: session.token,
            expires_at: session.expires_at,
        })
    }

    async fn create(
        &self,
        email: Email,
        password: Secret<String>,
        role: Role,
    ) -> Result<AccountId, RegisterError> {
        let hash = self.hasher.hash(password, &*self.entropy).await;
        let password_hash = hash.map_err(|e| RegisterError::Unavailable(e.to_string()))?;
        let id = AccountId::from_random(random(&*self.entropy));
        let account = Account {
            id,
            email,
            role,
            plan: self.plan.clone(),
            created_at: self.clock.now(),
        };
        let new = tenant_model::NewAccount {
            account,
            password_hash,
        };
        match self.repositories.accounts.insert(new).await {
            Ok(()) => Ok(id),
            Err(StorageError::Conflict(Conflict::Email)) => Err(RegisterError::Taken),
            Err(error) => Err(RegisterError::Unavailable(unavailable(&error))),
        }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        email: &str,
        password: Secret<String>,
    ) -> Result<NewSession, SignInError> {
        let Ok(email) = Email::parse(email) else {
            return Err(SignInError::Wrong);
        };
        let email_hash: [u8; 32] = Sha256::digest(email.as_str().as_bytes()).into();
        // One at a time, so that guesses made at once are all counted.
        let _lane = self.lanes[usize::from(email_hash[0]) % LANES].lock().await;
        let failed = |error: StorageError| SignInError::Unavailable(unavailable(&error));
        let accounts = &self.repositories.accounts;
        let failures = accounts.failures(email_hash).await.map_err(failed)?;
        if let Some(retry_after) = failures.and_then(|f| self.locked_out(f)) {
            metrics::counter!("berth_sign_ins_total", "outcome" => "locked_out").increment(1);
            return Err(SignInError::LockedOut { retry_after });
        }
        let credentials = accounts.credentials(&email).await.map_err(failed)?;
        let hash = credentials
            .as_ref()
            .map(|known| known.password_hash.clone());
        // A password that nobody can have is not worth hashing; that it is not
        // reveals nothing about the address.
        let right = check_account_password(password.expose()).is_ok()
            && self
                .hasher
                .verify(password, hash)
                .await
                .map_err(|e| SignInError::Unavailable(e.to_string()))?;
        let Some(known) = credentials.filter(|_| right) else {
            let now = self.clock.now();
            let counted = accounts.count_failure(email_hash, now, LOCK_OUT).await;
            counted.map_err(failed)?;
            metrics::counter!("berth_sign_ins_total", "outcome" => "wrong").increment(1);
            return Err(SignInError::Wrong);
        };
        if failures.is_some() {
            accounts.forget_failures(email_hash).await.map_err(failed)?;
        }
        metrics::counter!("berth_sign_ins_total", "outcome" => "ok").increment(1);
        self.begin_session(known.account.id).await.map_err(failed)
    }

    fn locked_out(&self, failures: tenant_model::Failures) -> Option<Duration> {
        if failures.count < MOST_FAILURES {
            return None;
        }
        let ends = failures.window_started_at + LOCK_OUT;
        let left = Duration::try_from(ends - self.clock.now()).ok()?;
        // A clock set back must not lock anyone out for longer.
        (!left.is_zero()).then_some(left.min(LOCK_OUT))
    }

    async fn begin_session(&self, account: AccountId) -> Result<NewSession, StorageError> {
        let token = format!(
            "{TOKEN_PREFIX}{}",
            URL_SAFE_NO_PAD.encode(random::<32>(&*self.entropy))
        );
        let now = self.clock.now();
        let expires_at = now + SESSION;
        let new = tenant_model::NewSession {
            id: SessionId::from_random(random(&*self.entropy)),
            account,
            token_hash: hash_token(&token),
            signed_in_at: now,
            expires_at,
        };
        self.repositories.sessions.insert(new).await?;
        Ok(NewSession {
            token: Secret::new(token),
            expires_at,
        })
    }

    /// Whose token this is. While the database is away, sessions it has shown
    /// before go on.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        if token.len() > LONGEST_TOKEN || !token.starts_with(TOKEN_PREFIX) {
            return Err(AuthError::Unknown);
        }
        let token_hash = hash_token(token);
        let now = self.clock.now();
        match self.repositories.sessions.find(token_hash, now).await {
            Ok(Some(session)) => {
                let mut remembered = self.remembered.lock();
                if remembered.len() >= REMEMBERED_SESSIONS && !remembered.contains_key(&token_hash)
                {
                    remembered.clear();
                }
                remembered.insert(token_hash, session.clone());
                Ok(Principal::of(session))
            }
            Ok(None) => {
                self.remembered.lock().remove(&token_hash);
                Err(AuthError::Unknown)
            }
            Err(error) => {
                let known = self.remembered.lock().get(&token_hash).cloned();
                match known.filter(|session| session.expires_at > now) {
                    Some(session) => Ok(Principal::of(session)),
                    None => Err(AuthError::Unavailable(unavailable(&error))),
                }
            }
        }
    }

    /// Ends the session.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn sign_out(&self, principal: &Principal) -> Result<(), AuthError> {
        let ended = self.repositories.sessions.delete(principal.session()).await;
        ended.map_err(|e| AuthError::Unavailable(unavailable(&e)))?;
        self.remembered
            .lock()
            .retain(|_, session| session.id != principal.session());
        // Nobody may be listening.
        let _ = self.ended.send(principal.session());
        Ok(())
    }

    /// The account.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn account(&self, principal: &Principal) -> Result<AccountView, AuthError> {
        let found = self.repositories.accounts.find(principal.account()).await;
        let account = found
            .map_err(|e| AuthError::Unavailable(unavailable(&e)))?
            .ok_or(AuthError::Unknown)?;
        Ok(AccountView {
            account_id: account.id,
            email: account.email,
            role: account.role,
            plan: account.plan,
        })
    }

    /// Makes the account of `email` an operator.
    ///
    /// # Errors
    /// [`PromoteError`].
    pub async fn promote_operator(&self, email: &str) -> Result<(), PromoteError> {
        let email = Email::parse(email).map_err(|e| PromoteError::BadEmail(e.to_string()))?;
        let accounts = &self.repositories.accounts;
        let now = self.clock.now();
        match accounts.set_role(&email, Role::Operator, now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(PromoteError::NotFound),
            Err(error) => Err(PromoteError::Unavailable(unavailable(&error))),
        }
    }

    /// Makes an operator's account with this password.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn create_operator(
        &self,
        email: &str,
        password: Secret<String>,
    ) -> Result<AccountId, RegisterError> {
        let email = Email::parse(email).map_err(|e| RegisterError::BadEmail(e.to_string()))?;
        check_account_password(password.expose())
            .map_err(|e| RegisterError::WeakPassword(e.to_string()))?;
        self.create(email, password, Role::Operator).await
    }

    /// Removes sessions that ended and sign-in windows that are over.
    pub(crate) async fn sweep(&self) {
        let before = self.clock.now() - LOCK_OUT;
        if let Err(error) = self.repositories.sessions.sweep(before).await {
            tracing::warn!("failed to sweep sessions: {error}");
        }
        let now = self.clock.now();
        self.remembered
            .lock()
            .retain(|_, session| session.expires_at > now);
    }
}

fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
