//! A node in miniature: the table, and the conversations and mailboxes of a
//! few apps, driven one step at a time as the runtime drives them. Everything
//! that happens is written down in a ledger, which knows nothing of the
//! kernel and complains at once when a law is broken.

use std::collections::{BTreeMap, VecDeque};

use node_kernel::{
    BlobPolicy, Conversation, ExitPlan, ExitReason, InitializeProcess, Moment, Outgoing,
    ProcessTable, RestartBackoff, Verdict, boot_requests, exit_message, on_exit, route,
};
use node_types::{
    Address, Blob, Capability, KernelMessage, Message, MessageId, OnExit, ProcessId, Request,
    SendErrorKind,
};
use proptest::prelude::TestCaseError;

use crate::common::*;
use crate::node_ledger::{Check, Ledger};

/// Apps there may be; one more number stands for one that never exists.
pub const APPS: usize = 4;

/// The app with this number.
pub fn app_id(app: usize) -> ProcessId {
    id(&format!("p{app}:k:g"))
}

/// Where a message goes: an app, or beyond them the other node.
pub fn target(number: usize) -> Address {
    if number <= APPS {
        Address::new(our(), app_id(number))
    } else {
        at("bob.dev@peer:k:g")
    }
}

fn number_of(id: &ProcessId) -> usize {
    (0..=APPS).find(|app| app_id(*app) == *id).unwrap()
}

struct App {
    life: u64,
    began: u64,
    talk: Conversation,
    mailbox: VecDeque<(KernelMessage, u64)>,
    restarts: RestartBackoff,
}

/// See the module's documentation.
pub struct Node {
    table: ProcessTable,
    apps: BTreeMap<usize, App>,
    /// What left for the other node.
    away: Vec<KernelMessage>,
    now: u64,
    /// The source of ids, tags and lives.
    fresh: u64,
    ledger: Ledger,
}

impl Node {
    /// Two apps that may message each other and the other node.
    pub fn new() -> Self {
        let mut node = Self {
            table: table(),
            apps: BTreeMap::new(),
            away: Vec::new(),
            now: 0,
            fresh: 0,
            ledger: Ledger::default(),
        };
        for app in 0..2 {
            let rights = [messaging("p0:k:g"), messaging("p1:k:g"), network()];
            let entry = crate::common::app(false).with_capabilities(rights.clone());
            node.table.insert(app_id(app), entry);
            node.ledger.gave(app, &rights);
            node.begin(app);
        }
        node
    }

    fn fresh(&mut self) -> u64 {
        self.fresh += 1;
        self.fresh
    }

    /// A first life.
    fn begin(&mut self, app: usize) {
        let life = self.fresh();
        let begun = App {
            life,
            began: self.now,
            talk: Self::talk(app),
            mailbox: VecDeque::new(),
            restarts: RestartBackoff::default(),
        };
        self.apps.insert(app, begun);
    }

    fn talk(app: usize) -> Conversation {
        Conversation::new(Address::new(our(), app_id(app)), BlobPolicy::CurrentMessage)
    }

    pub fn time_passes(&mut self, seconds: u64) {
        self.now += seconds;
    }

    pub fn send(
        &mut self,
        from: usize,
        to: usize,
        expects: Option<u64>,
        inherit: bool,
        attached: Vec<Capability>,
    ) -> Check {
        let (tag, id, now) = (self.fresh(), MessageId(self.fresh()), self.now);
        let Some(app) = self.apps.get_mut(&from) else {
            return Ok(());
        };
        let mut request = request(expects, inherit);
        request.capabilities = attached;
        let outgoing = Outgoing {
            target: target(to),
            request,
            context: Some(tag.to_string().into()),
            blob: None,
        };
        let message = app
            .talk
            .prepare_request(outgoing, || id, moment(now))
            .unwrap()
            .message;
        if let Some(seconds) = expects {
            self.ledger
                .asked(from, app.life, message.id, tag, now + seconds);
        }
        self.dispatch(from, message)
    }

    pub fn respond(&mut self, from: usize, attached: Vec<Capability>) -> Check {
        let tag = self.fresh();
        let Some(app) = self.apps.get_mut(&from) else {
            return Ok(());
        };
        let mut response = response();
        response.body = tag.to_string().into();
        response.capabilities = attached;
        match app.talk.prepare_response(response, None) {
            Some(message) => {
                self.ledger.responded(message.id, tag);
                self.dispatch(from, message)
            }
            None => Ok(()),
        }
    }

    /// As a process sends: only what it may hand on is attached, and a send
    /// that fails comes back.
    fn dispatch(&mut self, from: usize, mut message: KernelMessage) -> Check {
        let attached = message.message.capabilities_mut();
        let given = std::mem::take(attached);
        *attached = self.table.filter_attached(&app_id(from), given);
        self.ledger.hands_on(from, attached)?;
        let (id, now) = (message.id, self.now);
        if !self.post(message)
            && let Some(app) = self.apps.get_mut(&from)
        {
            app.talk.bounce(id, SendErrorKind::Timeout, moment(now));
            self.ledger.refused(from, id, SendErrorKind::Timeout, now);
        }
        Ok(())
    }

    /// Whether the message has gone where it was to go.
    fn post(&mut self, message: KernelMessage) -> bool {
        match route(&self.table, &message) {
            Verdict::Deliver => {
                let receiver = number_of(&message.target.process);
                let mailbox = &mut self.apps.get_mut(&receiver).unwrap().mailbox;
                mailbox.push_back((message, self.now));
                true
            }
            Verdict::Egress => {
                self.away.push(message);
                true
            }
            Verdict::KernelCommand => true,
            Verdict::Refused(_) => false,
        }
    }

    /// One receive: what came first of the next message and the next deadline.
    pub fn receive(&mut self, who: usize) -> Check {
        let now = self.now;
        let Some(app) = self.apps.get_mut(&who) else {
            return Ok(());
        };
        let due = app.talk.next_deadline().map(seconds);
        let arrived = app.mailbox.front().map(|(_, arrived)| *arrived);
        let is_due = app.talk.expire(moment(now)).is_some();
        let first = due.filter(|due| is_due && arrived.is_none_or(|arrived| *due < arrived));
        if first.is_some() {
            let (error, context) = app.talk.fail_due(moment(now)).unwrap();
            return self.ledger.failed(who, app.life, context, error.kind, now);
        }
        let Some((message, arrived)) = app.mailbox.pop_front() else {
            return Ok(());
        };
        let id = message.id;
        match app.talk.ingest(message) {
            Some((_, Message::Response(response, context))) => {
                self.ledger.gave(who, &response.capabilities);
                let life = app.life;
                self.ledger
                    .answered(who, life, id, context, &response.body, arrived)
            }
            Some((_, Message::Request(request))) => {
                self.ledger.gave(who, &request.capabilities);
                Ok(())
            }
            None => self.ledger.dropped(who, id),
        }
    }

    pub fn save(&mut self, who: usize, capability: Capability) {
        if let Some(app) = self.apps.get(&who)
            && let Some(given) = app.talk.as_received(capability)
        {
            self.table.grant(&app_id(who), [given]);
        }
    }

    pub fn drop_right(&mut self, who: usize, capability: &Capability) {
        let Some(app) = self.apps.get_mut(&who) else {
            return;
        };
        let asked = vec![capability.clone()];
        let held = self.table.filter_attached(&app_id(who), asked);
        app.talk.gave_up(&held);
        self.table.drop_caps(&app_id(who), [capability]);
    }

    pub fn spawn(
        &mut self,
        parent: usize,
        child: usize,
        on_exit: OnExit,
        requested: Vec<Capability>,
    ) -> Check {
        if !self.apps.contains_key(&parent) || self.apps.contains_key(&child) {
            return Ok(());
        }
        let initial = self.table.filter_attached(&app_id(parent), requested);
        self.ledger.hands_on(parent, &initial)?;
        self.ledger.gave(child, &initial);
        let request = InitializeProcess {
            id: app_id(child),
            wasm_bytes_handle: "/k:g/pkg/p.wasm".into(),
            wit_version: Some(1),
            book: false,
            on_exit,
            initial_capabilities: initial,
            public: false,
        };
        let kernel = self.table.kernel().process.clone();
        self.table.initialize(&kernel, request, None, 10).unwrap();
        for (holder, of) in [(child, parent), (parent, child)] {
            let right = Capability::messaging(target(of));
            self.ledger.gave(holder, std::slice::from_ref(&right));
            self.table.grant(&app_id(holder), [right]);
        }
        self.begin(child);
        Ok(())
    }

    pub fn set_on_exit(&mut self, who: usize, on_exit: OnExit) {
        self.table.set_on_exit(&app_id(who), on_exit).unwrap();
    }

    /// A process ends by itself.
    pub fn end(&mut self, who: usize, reason: ExitReason) -> Check {
        let Some(app) = self.apps.get_mut(&who) else {
            return Ok(());
        };
        let uptime = std::time::Duration::from_secs(self.now - app.began);
        let behaviour = self.table.get(&app_id(who)).unwrap().on_exit_now().clone();
        let plan = on_exit(&behaviour, reason, uptime, &mut app.restarts);
        self.ledger.died(who, app.life);
        match plan {
            ExitPlan::Keep => return Err(TestCaseError::fail("it did start")),
            ExitPlan::Remove { revoke } => return self.remove(who, revoke),
            ExitPlan::Restart { after } => {
                if after.as_secs() > 600 {
                    return Err(TestCaseError::fail("a restart in more than ten minutes"));
                }
                // What its first life was sent is received by the second.
                self.fresh += 1;
                app.life = self.fresh;
                app.began = self.now + after.as_secs();
                app.talk = Self::talk(who);
                self.now = app.began;
            }
            ExitPlan::SendThenRemove(requests) => {
                self.say_last(who, requests)?;
                return self.remove(who, true);
            }
        }
        Ok(())
    }

    fn say_last(&mut self, who: usize, requests: Vec<(Address, Request, Option<Blob>)>) -> Check {
        for request in requests {
            let id = MessageId(self.fresh());
            let message = exit_message(&self.table, &app_id(who), request, id);
            self.ledger.hands_on(who, message.message.capabilities())?;
            if message.message.expects_response() {
                return Err(TestCaseError::fail("the dead expect an answer"));
            }
            self.post(message);
        }
        Ok(())
    }

    /// A process is killed.
    pub fn kill(&mut self, who: usize, revoke: bool) -> Check {
        match self.apps.get(&who) {
            Some(app) => {
                self.ledger.died(who, app.life);
                self.remove(who, revoke)
            }
            None => Ok(()),
        }
    }

    fn remove(&mut self, who: usize, revoke: bool) -> Check {
        self.table.kill(&app_id(who), revoke).unwrap();
        self.apps.remove(&who);
        self.ledger.gone(who);
        let still = self
            .table
            .iter()
            .any(|(_, entry)| entry.capabilities().issuers().any(|by| *by == target(who)));
        if revoke && still {
            return Err(TestCaseError::fail("a revoked capability is still held"));
        }
        Ok(())
    }

    /// The other node answers one of the messages that went there.
    pub fn peer_answers(&mut self, which: usize) {
        let Some(asked) = self.away.get(which).cloned() else {
            return;
        };
        if matches!(asked.message, Message::Response(..)) {
            return;
        }
        let tag = self.fresh();
        self.ledger.responded(asked.id, tag);
        let mut response = response();
        response.body = tag.to_string().into();
        self.post(KernelMessage {
            id: asked.id,
            source: asked.target,
            target: asked.rsvp.unwrap_or(asked.source),
            rsvp: None,
            message: Message::Response(response, None),
            lazy_load_blob: None,
        });
    }

    /// One of the messages that went away cannot be delivered.
    pub fn peer_is_offline(&mut self, which: usize) {
        let Some(asked) = self.away.get(which) else {
            return;
        };
        let (who, now) = (number_of(&asked.source.process), self.now);
        if asked.message.expects_response()
            && let Some(app) = self.apps.get_mut(&who)
        {
            app.talk
                .bounce(asked.id, SendErrorKind::Offline, moment(now));
            self.ledger
                .refused(who, asked.id, SendErrorKind::Offline, now);
        }
    }

    /// The other node asks an app.
    pub fn peer_asks(&mut self, who: usize) {
        let id = self.fresh();
        let app = app_id(who).to_string();
        self.post(asks("bob.dev@peer:k:g", &app, id, Some(5)));
    }

    /// The node stops and comes back with what is stored.
    pub fn reboot(&mut self) -> Check {
        for (who, app) in &self.apps {
            self.ledger.died(*who, app.life);
        }
        let before = std::mem::replace(&mut self.table, table());
        self.table.restore(before.persisted());
        let apps: Vec<_> = std::mem::take(&mut self.apps).into_keys().collect();
        let mut last = Vec::new();
        for who in apps {
            let (was, is) = (before.get(&app_id(who)), self.table.get(&app_id(who)));
            let stays = was.is_some_and(|entry| entry.on_exit != OnExit::None);
            if stays != is.is_some() {
                return Err(TestCaseError::fail(format!(
                    "p{who} after a reboot: {is:?}"
                )));
            }
            if stays {
                if before.caps(&app_id(who)) != self.table.caps(&app_id(who)) {
                    return Err(TestCaseError::fail("other rights after a reboot"));
                }
                self.begin(who);
                last.push(who);
            } else {
                self.ledger.gone(who);
            }
        }
        for who in last {
            let requests = boot_requests(&self.table, &app_id(who));
            self.say_last(who, requests)?;
        }
        Ok(())
    }

    /// What is true after every step.
    pub fn check(&self) -> Check {
        for app in 0..APPS {
            let id = app_id(app);
            if self.table.get(&id).is_some() != self.apps.contains_key(&app) {
                return Err(TestCaseError::fail("a process without a mailbox"));
            }
            self.ledger.holds(app, &self.table.caps(&id))?;
        }
        Ok(())
    }

    /// Everybody receives what there is, until nothing is left and all time
    /// has passed.
    pub fn settle(mut self) -> Check {
        self.now += 100_000;
        for app in 0..APPS {
            while let Some(state) = self.apps.get(&app) {
                if state.mailbox.is_empty() && state.talk.next_deadline().is_none() {
                    break;
                }
                self.receive(app)?;
            }
        }
        self.check()?;
        self.ledger.all_ended()
    }
}

fn seconds(moment: Moment) -> u64 {
    moment.as_elapsed().as_secs()
}

/// The right to use the network.
pub fn network() -> Capability {
    Capability::network(&our())
}
