//! What has happened on a node in miniature, and which laws that breaks.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use node_types::{CapKey, Capability, MessageId, SendErrorKind};
use proptest::prelude::*;

use crate::common::our;
use crate::node_sim::target;

/// A broken law ends the case.
pub type Check = Result<(), TestCaseError>;

/// A request that waits for its end.
#[derive(Debug)]
struct Ask {
    app: usize,
    life: u64,
    id: MessageId,
    due: u64,
    kind: SendErrorKind,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Ledger {
    open: BTreeMap<u64, Ask>,
    /// Responses that somebody sent, by their body.
    responses: BTreeMap<u64, MessageId>,
    /// What each app has been given by somebody who had it.
    given: BTreeMap<usize, BTreeSet<CapKey>>,
}

impl Ledger {
    fn open_under(&self, app: usize, id: MessageId) -> Option<u64> {
        let found = self
            .open
            .iter()
            .find(|(_, ask)| ask.app == app && ask.id == id);
        found.map(|(tag, _)| *tag)
    }

    pub fn asked(&mut self, app: usize, life: u64, id: MessageId, tag: u64, due: u64) {
        // The later of two requests under an inherited id takes its place.
        if let Some(replaced) = self.open_under(app, id) {
            self.open.remove(&replaced);
        }
        let kind = SendErrorKind::Timeout;
        let ask = Ask {
            app,
            life,
            id,
            due,
            kind,
        };
        self.open.insert(tag, ask);
    }

    /// A send failed: that is told in its turn.
    pub fn refused(&mut self, app: usize, id: MessageId, kind: SendErrorKind, now: u64) {
        if let Some(tag) = self.open_under(app, id)
            && let Some(ask) = self.open.get_mut(&tag)
            && ask.due > now
        {
            (ask.due, ask.kind) = (now, kind);
        }
    }

    fn close(
        &mut self,
        app: usize,
        life: u64,
        context: Option<Bytes>,
    ) -> Result<Ask, TestCaseError> {
        let tag = context
            .and_then(|context| std::str::from_utf8(&context).ok()?.parse::<u64>().ok())
            .ok_or_else(|| TestCaseError::fail("an end without its context"))?;
        let ask = self.open.remove(&tag);
        let ask = ask.ok_or_else(|| TestCaseError::fail("the end of what nobody waits for"))?;
        prop_assert_eq!((ask.app, ask.life), (app, life), "somebody else's end");
        Ok(ask)
    }

    pub fn failed(
        &mut self,
        app: usize,
        life: u64,
        context: Option<Bytes>,
        kind: SendErrorKind,
        now: u64,
    ) -> Check {
        let ask = self.close(app, life, context)?;
        prop_assert!(ask.due <= now, "failed before its time");
        prop_assert_eq!(ask.kind, kind);
        Ok(())
    }

    pub fn responded(&mut self, id: MessageId, tag: u64) {
        self.responses.insert(tag, id);
    }

    pub fn answered(
        &mut self,
        app: usize,
        life: u64,
        id: MessageId,
        context: Option<Bytes>,
        body: &[u8],
        arrived: u64,
    ) -> Check {
        let ask = self.close(app, life, context)?;
        prop_assert_eq!(ask.id, id, "the answer to another request");
        prop_assert!(arrived <= ask.due, "an answer after the deadline");
        let tag = std::str::from_utf8(body)
            .ok()
            .and_then(|tag| tag.parse().ok());
        let sent = tag.and_then(|tag: u64| self.responses.get(&tag));
        prop_assert_eq!(sent, Some(&id), "an answer that nobody gave");
        Ok(())
    }

    /// A message was taken out of a mailbox and not delivered.
    pub fn dropped(&self, app: usize, id: MessageId) -> Check {
        prop_assert_eq!(self.open_under(app, id), None, "an awaited answer is lost");
        Ok(())
    }

    /// A life has ended: nobody waits any more.
    pub fn died(&mut self, app: usize, life: u64) {
        self.open
            .retain(|_, ask| (ask.app, ask.life) != (app, life));
    }

    /// The process is removed with all it held.
    pub fn gone(&mut self, app: usize) {
        self.given.remove(&app);
    }

    pub fn gave(&mut self, to: usize, capabilities: &[Capability]) {
        let given = self.given.entry(to).or_default();
        given.extend(capabilities.iter().map(Capability::key));
    }

    fn is_rightful(&self, app: usize, capability: &Capability) -> bool {
        capability.issuer == target(app)
            || capability.issuer.node != our()
            || self
                .given
                .get(&app)
                .is_some_and(|given| given.contains(&capability.key()))
    }

    /// What leaves an app with a message or for a child.
    pub fn hands_on(&self, app: usize, capabilities: &[Capability]) -> Check {
        for capability in capabilities {
            let rightful = self.is_rightful(app, capability);
            prop_assert!(rightful, "p{app} hands on {capability:?} from nowhere");
        }
        Ok(())
    }

    /// What an app holds.
    pub fn holds(&self, app: usize, capabilities: &[Capability]) -> Check {
        for capability in capabilities {
            let rightful = self.is_rightful(app, capability);
            prop_assert!(rightful, "p{app} holds {capability:?} from nowhere");
        }
        Ok(())
    }

    /// Nothing is left that waits.
    pub fn all_ended(&self) -> Check {
        prop_assert!(self.open.is_empty(), "never ended: {:?}", self.open);
        Ok(())
    }
}
