//! The adapter between russh and the session task: every callback becomes one
//! typed event, and answers what the session task says.
//!
//! Owns nothing of a session. Callbacks run in russh's own task, which waits
//! for them: while a verdict is outstanding nothing else of this connection
//! is read. Stops with the connection.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet, Pty, Sig};
use tenant_manager::TenantAccess;
use tokio::sync::{mpsc, oneshot};

use crate::auth::{Attempt, SignIn};
use crate::session::channels::Inlets;
use crate::session::event::{Event, Opening, Request, window};

/// The ways to sign in.
pub(crate) fn methods() -> MethodSet {
    MethodSet::from([MethodKind::KeyboardInteractive, MethodKind::Password].as_slice())
}

/// See the module's documentation.
pub(crate) struct Adapter {
    sign_in: SignIn,
    access: Option<Arc<TenantAccess>>,
    events: mpsc::Sender<Event>,
    inlets: Inlets,
}

impl Adapter {
    pub(crate) fn new(sign_in: SignIn, events: mpsc::Sender<Event>, inlets: Inlets) -> Self {
        Self {
            sign_in,
            access: None,
            events,
            inlets,
        }
    }

    /// Tells the session task. If that has ended the connection is about to
    /// end too, and the event does not matter any more.
    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    /// Asks the session task, and answers the client.
    async fn ask(
        &self,
        channel: ChannelId,
        request: Request,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let (verdict, answer) = oneshot::channel();
        let id = channel.number();
        self.tell(Event::Request {
            id,
            request,
            verdict,
        })
        .await;
        if answer.await.unwrap_or(false) {
            session.channel_success(channel)
        } else {
            session.channel_failure(channel)
        }
    }

    /// Has the refusal of something recorded, before the client hears of it.
    async fn refused(&self, what: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        let (recorded, done) = oneshot::channel();
        self.tell(Event::Refused {
            what,
            detail,
            recorded,
        })
        .await;
        // An error is the answer: the sender is dropped.
        let _ = done.await;
    }

    async fn try_password(&mut self, user: &str, password: &str) -> Auth {
        match self.sign_in.attempt(user, password).await {
            Attempt::Accepted(access) => {
                self.access = Some(access);
                Auth::Accept
            }
            Attempt::Refused => refusal(),
            Attempt::Final(why) => {
                self.tell(Event::TurnedAway(why)).await;
                refusal()
            }
        }
    }
}

/// "No", with every method still open: the number of tries is counted apart.
fn refusal() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(methods()),
        partial_success: false,
    }
}

impl Handler for Adapter {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(refusal())
    }

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        _offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(refusal())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.try_password(user, password).await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Borrowed(&[(Cow::Borrowed("Password: "), false)]),
            });
        };
        let password = response.next().unwrap_or_default();
        // A password that is no text is wrong, and counts as a try.
        let password = std::str::from_utf8(&password).unwrap_or_default();
        Ok(self.try_password(user, password).await)
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(access) = self.access.clone() {
            self.tell(Event::SignedIn(access)).await;
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let (_, writer) = channel.split();
        self.tell(Event::OpenSession(Opening { writer, reply }))
            .await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let (_, writer) = channel.split();
        self.tell(Event::OpenForward {
            opening: Opening { writer, reply },
            host: host.to_owned(),
            port,
        })
        .await;
        Ok(())
    }

    // Dropping a `ChannelOpenHandle` refuses the channel.

    async fn channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.refused("x11 channel", "").await;
        Ok(())
    }

    async fn channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.refused("forwarded-tcpip channel", format!("{host}:{port}"))
            .await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.refused("unix socket", socket_path).await;
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inlets
            .deliver(channel.number(), Bytes::copy_from_slice(data))
            .await;
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inlets.end(channel.number());
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inlets.close(channel.number());
        self.tell(Event::Closed(channel.number())).await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.ask(channel, Request::Terminal(window(columns, rows)), session)
            .await
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.ask(channel, Request::Resize(window(columns, rows)), session)
            .await
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.ask(channel, Request::Shell, session).await
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let line = Bytes::copy_from_slice(data);
        self.ask(channel, Request::Exec(line), session).await
    }

    async fn signal(
        &mut self,
        channel: ChannelId,
        signal: Sig,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match signal {
            Sig::INT | Sig::TERM | Sig::HUP | Sig::QUIT | Sig::KILL => {
                self.ask(channel, Request::Interrupt, session).await
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // A node has no environment; clients do not mind.
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.refused("subsystem", name).await;
        session.channel_failure(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single_connection: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.refused("x11 forwarding", "").await;
        session.channel_failure(channel)
    }

    async fn agent_request(
        &mut self,
        _channel: ChannelId,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.refused("agent forwarding", "").await;
        Ok(false)
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.refused("remote forwarding", format!("{address}:{port}"))
            .await;
        Ok(false)
    }

    async fn streamlocal_forward(
        &mut self,
        socket_path: &str,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        self.refused("remote unix socket forwarding", socket_path)
            .await;
        Ok(false)
    }
}
