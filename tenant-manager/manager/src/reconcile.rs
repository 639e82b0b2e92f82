//! What to do about a tenant, from what is wanted and what is. Pure.
//!
//! Doing it is elsewhere and one step at a time: each step ends by asking here
//! again, so a change of mind in between is seen.

use std::fmt;

use tenant_model::{DesiredState, Label};

/// What is wanted of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intent {
    /// What its owner wants.
    pub(crate) desired: DesiredState,
    /// It is to run now, not only on demand.
    pub(crate) boot_wanted: bool,
    /// The node that runs now is to end first.
    pub(crate) restart: bool,
    /// An operator holds it.
    pub(crate) suspended: bool,
    /// Everything of it is to be removed now.
    pub(crate) purge_due: bool,
    /// A failure was too recent to try again.
    pub(crate) held_back: bool,
    /// Another host has it.
    pub(crate) lost: bool,
}

/// What its slot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    Resting,
    Booting,
    Active,
    Stopping,
    Purging,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    Boot,
    CancelBoot,
    Stop,
    Purge,
    Forget,
}

/// The next thing to do about one tenant.
pub(crate) fn step(intent: Intent, observed: Observed) -> Step {
    let runs = intent.desired == DesiredState::Running && !intent.lost && !intent.suspended;
    match observed {
        Observed::Resting if intent.lost => Step::Forget,
        // What an operator holds is kept.
        Observed::Resting if intent.suspended => Step::Nothing,
        Observed::Resting if intent.desired == DesiredState::Archived && intent.purge_due => {
            Step::Purge
        }
        Observed::Resting if runs && intent.boot_wanted && !intent.held_back => Step::Boot,
        Observed::Booting if !runs => Step::CancelBoot,
        Observed::Active if !runs || intent.restart => Step::Stop,
        _ => Step::Nothing,
    }
}

/// What a pass over all tenants is about to do.
#[derive(Debug, Default)]
pub(crate) struct Plan(Vec<(Label, Step)>);

impl Plan {
    /// Adds a tenant's step unless there is none.
    pub(crate) fn add(&mut self, label: &Label, step: Step) {
        if step != Step::Nothing {
            self.0.push((label.clone(), step));
        }
    }

    /// Whether nothing is to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Most tenants named when a plan is written out.
const SHOWN: usize = 20;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (label, step)) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{step} {label}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "leave",
            Self::Boot => "boot",
            Self::CancelBoot => "stop booting",
            Self::Stop => "stop",
            Self::Purge => "purge",
            Self::Forget => "forget",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn intents() -> impl Strategy<Value = Intent> {
        let desired = prop_oneof![
            Just(DesiredState::Running),
            Just(DesiredState::Stopped),
            Just(DesiredState::Archived)
        ];
        (desired, any::<[bool; 6]>()).prop_map(|(desired, flags)| Intent {
            desired,
            boot_wanted: flags[0],
            restart: flags[1],
            purge_due: flags[2],
            held_back: flags[3],
            lost: flags[4],
            suspended: flags[5],
        })
    }

    proptest! {
        #[test]
        fn nothing_boots_or_stays_up_against_the_owners_will(intent in intents()) {
            let unwanted =
                intent.desired != DesiredState::Running || intent.lost || intent.suspended;
            if unwanted {
                prop_assert_ne!(step(intent, Observed::Resting), Step::Boot);
                prop_assert_eq!(step(intent, Observed::Active), Step::Stop);
                prop_assert_eq!(step(intent, Observed::Booting), Step::CancelBoot);
            }
            if intent.desired != DesiredState::Archived || !intent.purge_due || intent.suspended {
                prop_assert_ne!(step(intent, Observed::Resting), Step::Purge);
            }
            for busy in [Observed::Stopping, Observed::Purging] {
                prop_assert_eq!(step(intent, busy), Step::Nothing);
            }
        }

        #[test]
        fn a_running_tenant_reaches_active_and_stays(mut intent in intents()) {
            intent.desired = DesiredState::Running;
            intent.lost = false;
            intent.suspended = false;
            intent.held_back = false;
            intent.boot_wanted = true;
            prop_assert_eq!(step(intent, Observed::Resting), Step::Boot);
            // Booting answers the wish to restart and to boot.
            intent.restart = false;
            intent.boot_wanted = false;
            prop_assert_eq!(step(intent, Observed::Active), Step::Nothing);
        }
    }

    #[test]
    fn a_plan_reads_well() {
        let mut plan = Plan::default();
        let label = Label::parse("alice").unwrap();
        plan.add(&label, Step::Nothing);
        assert!(plan.is_empty());
        plan.add(&label, Step::Boot);
        plan.add(&Label::parse("bob").unwrap(), Step::Stop);
        assert_eq!(plan.to_string(), "boot alice, stop bob");
    }
}
