//! Closed sets of names: roles, intents, statuses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stored name that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a known name")]
pub struct UnknownName(pub String);

macro_rules! names {
    ($(#[$doc:meta])* $kind:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $kind { $($(#[$variant_doc])* $variant),* }

        impl $kind {
            /// Its name as stored and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $kind {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(UnknownName(other.to_owned())),
                }
            }
        }
    };
}

names!(
    /// What an account may do.
    Role {
        /// Uses its own nodes.
        User = "user",
        /// Runs the fleet too.
        Operator = "operator",
    }
);

names!(
    /// What the owner wants of a tenant; kept in the database.
    DesiredState {
        /// It runs, or sleeps and wakes on demand.
        Running = "running",
        /// It does not run until started.
        Stopped = "stopped",
        /// It is put away.
        Archived = "archived",
    }
);

names!(
    /// What people see of a node.
    NodeStatus {
        /// Created, not booted yet.
        Provisioning = "provisioning",
        /// Being booted.
        Booting = "booting",
        /// Running.
        Active = "active",
        /// Ending.
        Stopping = "stopping",
        /// Not running; wakes on demand.
        Hibernated = "hibernated",
        /// Not running until started.
        Stopped = "stopped",
        /// Held by an operator.
        Suspended = "suspended",
        /// It could not be booted, or failed.
        Broken = "broken",
        /// Put away.
        Archived = "archived",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for state in [
            DesiredState::Running,
            DesiredState::Stopped,
            DesiredState::Archived,
        ] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!("operator".parse(), Ok(Role::Operator));
        assert_eq!("Root".parse::<Role>(), Err(UnknownName("Root".to_owned())));
    }
}
