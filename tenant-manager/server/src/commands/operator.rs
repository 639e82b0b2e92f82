//! `berth operator create`: makes an account an operator.

use std::sync::Arc;

use lifecycle::{Clock, Entropy, OsEntropy, SystemClock};
use node_api::Secret;
use tenant_manager::{Accounts, PromoteError};
use tenant_model::Plan;

use crate::commands::{say, with_database};
use crate::config::Config;

/// Promotes the account of `email`, making it first if there is none; then its
/// password is printed once.
///
/// # Errors
/// A malformed address, or the database cannot be used.
pub fn create(config: &Config, email: &str) -> anyhow::Result<()> {
    let made = with_database(config, async |database, tasks| {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let accounts = Accounts::new(
            database.pg.repositories(),
            clock,
            entropy,
            &tasks,
            Plan::default(),
        );
        match accounts.promote_operator(email).await {
            Ok(()) => Ok(None),
            Err(PromoteError::NotFound) => {
                let password = new_password();
                accounts
                    .register(email, Secret::new(password.clone()))
                    .await?;
                accounts.promote_operator(email).await?;
                Ok(Some(password))
            }
            Err(error) => Err(error.into()),
        }
    })?;
    if let Some(password) = made {
        say(&format!(
            "made an account for {email} with the password {password}"
        ))?;
    }
    say(&format!("{email} is an operator"))
}

/// 120 random bits, easy to copy.
fn new_password() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 24];
    OsEntropy.fill(&mut random);
    let letters: Vec<char> = random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect();
    letters
        .chunks(6)
        .map(|group| group.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join("-")
}
