//! The cookie that says "this browser is the node's owner".

use std::fmt;

use http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use lifecycle::Timestamp;
use node_api::Secret;
use node_types::{NodeName, ProcessId, alias};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Session, SignedOut};

/// How long a login lasts: 26 weeks.
const LIFETIME_SECONDS: u64 = 26 * 7 * 24 * 3600;
/// Most cookies of the right name that are looked at.
const MAX_CANDIDATES: usize = 8;
/// Longest token that is looked at.
const MAX_TOKEN: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    username: String,
    subdomain: Option<String>,
    expiration: u64,
    /// Tells logins of the same second apart. Tokens made before have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
}

/// Makes and checks login cookies of one node.
pub(in super::super) struct Tokens {
    our: NodeName,
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    signed_out: SignedOut,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("our", &self.our)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new(our: &NodeName, secret: &Secret<[u8; 32]>, signed_out: SignedOut) -> Self {
        // Only this algorithm; the claims are not the registered ones, so
        // they are checked here and not by the library.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            our: our.clone(),
            signing: EncodingKey::from_secret(secret.expose()),
            checking: DecodingKey::from_secret(secret.expose()),
            validation,
            signed_out,
        }
    }

    fn cookie_name(&self, subdomain: Option<&ProcessId>) -> String {
        match subdomain {
            None => format!("kinode-auth_{}", self.our),
            Some(process) => format!("kinode-auth_{}@{process}", self.our),
        }
    }

    /// The value of a Set-Cookie header for a fresh login; `nonce` is random.
    pub(super) fn cookie(
        &self,
        subdomain: Option<&ProcessId>,
        nonce: u128,
        now: Timestamp,
        secure: bool,
    ) -> Option<String> {
        let claims = Claims {
            username: self.our.to_string(),
            subdomain: subdomain.map(ToString::to_string),
            expiration: u64::try_from(now.unix_timestamp()).ok()? + LIFETIME_SECONDS,
            jti: Some(format!("{nonce:032x}")),
        };
        let header = Header::new(Algorithm::HS256);
        let token = jsonwebtoken::encode(&header, &claims, &self.signing).ok()?;
        let name = self.cookie_name(subdomain);
        let secure = if secure { "; Secure" } else { "" };
        Some(format!(
            "{name}={token}; Path=/; Max-Age={LIFETIME_SECONDS}; HttpOnly; SameSite=Lax{secure}"
        ))
    }

    /// Whether a cookie among `headers` signs the owner in for `subdomain`.
    pub(in super::super) fn accepts(
        &self,
        headers: &HeaderMap,
        subdomain: Option<&ProcessId>,
        now: Timestamp,
    ) -> bool {
        self.accepted(headers, subdomain, now).is_some()
    }

    /// The login of the cookie that signs the owner in for `subdomain`.
    pub(in super::super) fn session(
        &self,
        headers: &HeaderMap,
        subdomain: Option<&ProcessId>,
        now: Timestamp,
    ) -> Option<Session> {
        self.accepted(headers, subdomain, now).map(session_of)
    }

    /// All logins that `headers` carry, whatever they are for, and when they
    /// expire.
    pub(super) fn sessions(&self, headers: &HeaderMap, now: Timestamp) -> Vec<(Session, u64)> {
        let own = self.cookie_name(None);
        cookies(headers)
            .filter(|(given, _)| {
                let rest = given.strip_prefix(own.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
            })
            .take(MAX_CANDIDATES)
            .filter_map(|(_, token)| {
                let claims = self.claims(token, now)?;
                Some((session_of(token), claims.expiration))
            })
            .collect()
    }

    fn accepted<'a>(
        &self,
        headers: &'a HeaderMap,
        subdomain: Option<&ProcessId>,
        now: Timestamp,
    ) -> Option<&'a str> {
        let name = self.cookie_name(subdomain);
        cookies(headers)
            .filter(|(given, _)| same_cookie(given, &name))
            .take(MAX_CANDIDATES)
            .map(|(_, token)| token)
            .find(|token| self.valid(token, subdomain, now))
    }

    fn valid(&self, token: &str, subdomain: Option<&ProcessId>, now: Timestamp) -> bool {
        let Some(claims) = self.claims(token, now) else {
            return false;
        };
        let claimed = claims.subdomain.as_deref().filter(|text| !text.is_empty());
        let claimed = match claimed.map(str::parse::<ProcessId>) {
            None => None,
            Some(Ok(id)) => Some(alias::canonical(id)),
            Some(Err(_)) => return false,
        };
        claimed.as_ref() == subdomain
    }

    /// What a token of ours says that has neither expired nor been given up.
    fn claims(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation);
        let claims = decoded.ok()?.claims;
        let now = u64::try_from(now.unix_timestamp()).unwrap_or(u64::MAX);
        let ours = claims.username == self.our.as_str() && claims.expiration > now;
        (ours && !self.signed_out.contains(&session_of(token))).then_some(claims)
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// By what is signed: other spellings of the signature are the same login.
fn session_of(token: &str) -> Session {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    Session(Sha256::digest(signed.as_bytes()).into())
}

/// Whether a client's cookie name is ours; pages of published apps may spell
/// the process in it the old way.
fn same_cookie(given: &str, wanted: &str) -> bool {
    if given == wanted {
        return true;
    }
    let Some((prefix, process)) = given.split_once('@') else {
        return false;
    };
    let Ok(process) = process.parse::<ProcessId>() else {
        return false;
    };
    format!("{prefix}@{}", alias::canonical(process)) == wanted
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
