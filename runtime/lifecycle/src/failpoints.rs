//! Places where a test lets the host fail: named, off unless armed at start.
//!
//! Owns the process-wide table of armed failpoints, which is set once, before
//! any work, and costs one load where it is not. The tests of this project run
//! the very binary that operators run, so failpoints are part of it; whoever
//! can arm them decides over the host's environment and can stop it anyway.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What an armed failpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The process ends where it stands, as if killed.
    Abort,
    /// The step fails.
    Error,
    /// The step panics.
    Panic,
}

#[derive(Debug)]
struct Armed {
    action: Action,
    /// Hits that pass before it acts, once.
    passes: AtomicU32,
}

static ARMED: OnceLock<HashMap<String, Armed>> = OnceLock::new();

/// A failure that a failpoint made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failpoint {0}")]
pub struct Injected(pub &'static str);

/// Arms what `text` says, such as `purge.files=abort;boot.launched=2*error`:
/// name, and `abort`, `error` or `panic` at the first hit, or at the hit whose
/// number stands before the `*`. Acts once. Only the first call counts.
///
/// # Errors
/// The part that is not understood.
pub fn arm(text: &str) -> Result<(), String> {
    let mut armed = HashMap::new();
    for part in text.split(';').filter(|part| !part.trim().is_empty()) {
        let wrong = || format!("`{part}` is no failpoint; write name=abort or name=2*error");
        let (name, wanted) = part.split_once('=').ok_or_else(wrong)?;
        let (number, action) = wanted.split_once('*').unwrap_or(("1", wanted));
        let number: u32 = number.trim().parse().map_err(|_| wrong())?;
        let action = match action.trim() {
            "abort" => Action::Abort,
            "error" => Action::Error,
            "panic" => Action::Panic,
            _ => return Err(wrong()),
        };
        let passes = number.checked_sub(1).ok_or_else(wrong)?;
        armed.insert(
            name.trim().to_owned(),
            Armed {
                action,
                passes: AtomicU32::new(passes),
            },
        );
    }
    if !armed.is_empty() {
        tracing::warn!("failpoints are armed: {text}");
    }
    // A second call changes nothing.
    let _ = ARMED.set(armed);
    Ok(())
}

/// A step called `name` is reached.
///
/// # Errors
/// [`Injected`] if it is armed to fail.
#[expect(
    clippy::panic,
    reason = "what a test asks for: a panic at this very place"
)]
pub fn hit(name: &'static str) -> Result<(), Injected> {
    let Some(armed) = ARMED.get().and_then(|armed| armed.get(name)) else {
        return Ok(());
    };
    // Counts down past zero only once: later hits find the highest number.
    if armed.passes.fetch_sub(1, Ordering::AcqRel) != 0 {
        return Ok(());
    }
    tracing::warn!("failpoint {name}: {:?}", armed.action);
    match armed.action {
        Action::Abort => std::process::abort(),
        Action::Error => Err(Injected(name)),
        Action::Panic => panic!("failpoint {name}"),
    }
}

/// The same where a step cannot fail: only its end or a panic can be asked for.
pub fn crash(name: &'static str) {
    if hit(name).is_err() {
        tracing::warn!("{name} cannot fail: arm it with abort or panic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armed_ones_act_once_at_their_hit_and_others_never() {
        assert!(arm("a=sometimes").is_err());
        assert!(arm("a").is_err());
        assert!(arm("a=0*error").is_err());
        assert_eq!(hit("test.second"), Ok(()));
        arm("test.second=2*error; test.panic=panic;").unwrap();
        assert_eq!(hit("test.second"), Ok(()));
        assert_eq!(hit("test.second"), Err(Injected("test.second")));
        assert_eq!(hit("test.second"), Ok(()));
        assert_eq!(hit("test.unarmed"), Ok(()));
        assert!(std::panic::catch_unwind(|| hit("test.panic")).is_err());
    }
}
