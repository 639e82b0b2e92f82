//! What the bindings of all editions have in common.
//!
//! An edition's module has the types that `bindgen!` makes of its WIT; this
//! macro puts [`super::ProcessHost`] behind them. It only translates: every id
//! that a guest names is checked and brought to its canonical spelling on the
//! way in, and spelled as the edition knows it on the way out; a malformed one
//! ends the guest with a message that says which. Byte strings move without a
//! copy where their buffer is not shared.

use super::HostTrap;

/// Most capabilities that a guest may hand over in one call: as many as one
/// process can hold.
pub(super) const MAX_CAPABILITIES: usize = 4096;

pub(super) fn trap(error: impl std::fmt::Display) -> wasmtime::Error {
    wasmtime::Error::new(HostTrap(error.to_string()))
}

/// Functions that interfaces have from 1.0 on.
macro_rules! newer {
    (none) => {};
    (all) => {
        fn our(&mut self) -> wasmtime::Result<wit::Address> {
            Ok(lower::address(self.host.our()))
        }

        fn has_blob(&mut self) -> wasmtime::Result<bool> {
            Ok(self.host.has_blob())
        }

        fn last_blob(&mut self) -> wasmtime::Result<Option<wit::LazyLoadBlob>> {
            Ok(self.host.last_blob().map(lower::blob))
        }
    };
}

/// Implements the interface of one edition. Expects its types as `wit` and its
/// world as `Lib`.
///
/// - `edition`: the one it is.
/// - `grant`: what it lists in `grant-capabilities` of `spawn`, and how that
///   becomes a holder with params.
/// - `send_error`: the field that names the target, where there is one.
/// - `newer`: whether it has the functions of [`newer`], `all` or `none`.
macro_rules! edition {
    (
        edition: $edition:ident,
        grant: $grant:ty => $grants:expr,
        send_error: { $($target:ident)? },
        newer: $newer:ident,
    ) => {
        use bytes::Bytes;
        use node_types::{
            Address, Blob, Capability, Edition, Message, NodeName, OnExit, ProcessId, Request,
            Response, SendError, SendErrorKind, alias,
        };
        use wasmtime::component::{HasSelf, Linker};

        use super::bindings::{MAX_CAPABILITIES, trap};
        use super::{OutgoingRequest, SpawnChild, SpawnError};
        use crate::guest::Guest;

        /// Offers this edition to components.
        pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
            Lib::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
        }

        /// From the guest's types; fails on malformed ids.
        mod lift {
            use super::*;

            pub(super) fn process(id: &wit::ProcessId) -> wasmtime::Result<ProcessId> {
                ProcessId::new(&id.process_name, &id.package_name, &id.publisher_node)
                    .map(alias::canonical)
                    .map_err(trap)
            }

            pub(super) fn address(address: &wit::Address) -> wasmtime::Result<Address> {
                Ok(Address::new(
                    NodeName::new(&address.node).map_err(trap)?,
                    process(&address.process)?,
                ))
            }

            pub(super) fn capability(capability: wit::Capability) -> wasmtime::Result<Capability> {
                Ok(Capability::new(
                    address(&capability.issuer)?,
                    capability.params,
                ))
            }

            pub(super) fn grant(grant: $grant) -> wasmtime::Result<(ProcessId, String)> {
                let (holder, params) = $grants(grant);
                Ok((process(&holder)?, params))
            }

            pub(super) fn capabilities(
                capabilities: Vec<wit::Capability>,
            ) -> wasmtime::Result<Vec<Capability>> {
                if capabilities.len() > MAX_CAPABILITIES {
                    let count = capabilities.len();
                    return Err(trap(format!(
                        "{count} capabilities in one call: at most {MAX_CAPABILITIES} are taken"
                    )));
                }
                capabilities.into_iter().map(capability).collect()
            }

            pub(super) fn blob(blob: wit::LazyLoadBlob) -> Blob {
                Blob {
                    mime: blob.mime,
                    bytes: blob.bytes.into(),
                }
            }

            pub(super) fn request(request: wit::Request) -> wasmtime::Result<Request> {
                Ok(Request {
                    inherit: request.inherit,
                    expects_response: request.expects_response,
                    body: request.body.into(),
                    metadata: request.metadata,
                    capabilities: capabilities(request.capabilities)?,
                })
            }

            pub(super) fn response(response: wit::Response) -> wasmtime::Result<Response> {
                Ok(Response {
                    inherit: response.inherit,
                    body: response.body.into(),
                    metadata: response.metadata,
                    capabilities: capabilities(response.capabilities)?,
                })
            }

            pub(super) fn on_exit(on_exit: wit::OnExit) -> wasmtime::Result<OnExit> {
                Ok(match on_exit {
                    wit::OnExit::None => OnExit::None,
                    wit::OnExit::Restart => OnExit::Restart,
                    wit::OnExit::Requests(list) => OnExit::Requests(
                        list.into_iter()
                            .map(|(to, message, data)| {
                                Ok((address(&to)?, request(message)?, data.map(blob)))
                            })
                            .collect::<wasmtime::Result<_>>()?,
                    ),
                })
            }
        }

        /// To the guest's types.
        mod lower {
            use super::*;

            pub(super) fn process(id: &ProcessId) -> wit::ProcessId {
                let id = alias::spelled(id, Edition::$edition);
                wit::ProcessId {
                    process_name: id.process().to_owned(),
                    package_name: id.package().to_owned(),
                    publisher_node: id.publisher().to_owned(),
                }
            }

            pub(super) fn address(address: &Address) -> wit::Address {
                wit::Address {
                    node: address.node.as_str().to_owned(),
                    process: process(&address.process),
                }
            }

            pub(super) fn capability(capability: Capability) -> wit::Capability {
                wit::Capability {
                    issuer: address(&capability.issuer),
                    params: capability.params,
                }
            }

            pub(super) fn capabilities(capabilities: Vec<Capability>) -> Vec<wit::Capability> {
                capabilities.into_iter().map(capability).collect()
            }

            pub(super) fn blob(blob: Blob) -> wit::LazyLoadBlob {
                wit::LazyLoadBlob {
                    mime: blob.mime,
                    bytes: blob.bytes.into(),
                }
            }

            pub(super) fn request(request: Request) -> wit::Request {
                wit::Request {
                    inherit: request.inherit,
                    expects_response: request.expects_response,
                    body: request.body.into(),
                    metadata: request.metadata,
                    capabilities: capabilities(request.capabilities),
                }
            }

            pub(super) fn message(message: Message) -> wit::Message {
                match message {
                    Message::Request(message) => wit::Message::Request(request(message)),
                    Message::Response(response, context) => wit::Message::Response((
                        wit::Response {
                            inherit: response.inherit,
                            body: response.body.into(),
                            metadata: response.metadata,
                            capabilities: capabilities(response.capabilities),
                        },
                        context.map(Into::into),
                    )),
                }
            }

            pub(super) fn on_exit(on_exit: OnExit) -> wit::OnExit {
                match on_exit {
                    OnExit::None => wit::OnExit::None,
                    OnExit::Restart => wit::OnExit::Restart,
                    OnExit::Requests(list) => wit::OnExit::Requests(
                        list.into_iter()
                            .map(|(to, message, data)| (address(&to), request(message), data.map(blob)))
                            .collect(),
                    ),
                }
            }

            pub(super) fn send_error(error: SendError) -> wit::SendError {
                wit::SendError {
                    kind: match error.kind {
                        SendErrorKind::Offline => wit::SendErrorKind::Offline,
                        SendErrorKind::Timeout => wit::SendErrorKind::Timeout,
                    },
                    $($target: address(&error.target),)?
                    message: message(error.message),
                    lazy_load_blob: error.lazy_load_blob.map(blob),
                }
            }
        }

        async fn send(
            guest: &mut Guest,
            target: &wit::Address,
            request: wit::Request,
            context: Option<Vec<u8>>,
            blob: Option<wit::LazyLoadBlob>,
        ) -> wasmtime::Result<()> {
            let outgoing = OutgoingRequest {
                target: lift::address(target)?,
                request: lift::request(request)?,
                context: context.map(Bytes::from),
                blob: blob.map(lift::blob),
            };
            Ok(guest.host.send_request(outgoing).await?)
        }

        impl wit::Host for Guest {
            async fn print_to_terminal(&mut self, verbosity: u8, message: String) -> wasmtime::Result<()> {
                Ok(self.host.print(verbosity, message).await?)
            }

            fn get_on_exit(&mut self) -> wasmtime::Result<wit::OnExit> {
                Ok(lower::on_exit(self.host.on_exit()))
            }

            async fn set_on_exit(&mut self, on_exit: wit::OnExit) -> wasmtime::Result<()> {
                let on_exit = lift::on_exit(on_exit)?;
                Ok(self.host.set_on_exit(on_exit).await?)
            }

            async fn get_state(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
                Ok(self.host.get_state().await.map(Into::into))
            }

            async fn set_state(&mut self, bytes: Vec<u8>) -> wasmtime::Result<()> {
                Ok(self.host.set_state(bytes.into()).await?)
            }

            async fn clear_state(&mut self) -> wasmtime::Result<()> {
                Ok(self.host.clear_state().await?)
            }

            async fn spawn(
                &mut self,
                name: Option<String>,
                wasm_path: String,
                on_exit: wit::OnExit,
                request_capabilities: Vec<wit::Capability>,
                grant_capabilities: Vec<$grant>,
                public: bool,
            ) -> wasmtime::Result<Result<wit::ProcessId, wit::SpawnError>> {
                let child = SpawnChild {
                    name,
                    wasm_path,
                    on_exit: lift::on_exit(on_exit)?,
                    request_capabilities: lift::capabilities(request_capabilities)?,
                    grant_capabilities: grant_capabilities
                        .into_iter()
                        .map(lift::grant)
                        .collect::<wasmtime::Result<_>>()?,
                    public,
                };
                Ok(match self.host.spawn(child).await? {
                    Ok(id) => Ok(lower::process(&id)),
                    Err(SpawnError::NameTaken) => Err(wit::SpawnError::NameTaken),
                    Err(SpawnError::NoFileAtPath) => Err(wit::SpawnError::NoFileAtPath),
                })
            }

            async fn save_capabilities(&mut self, caps: Vec<wit::Capability>) -> wasmtime::Result<()> {
                let caps = lift::capabilities(caps)?;
                Ok(self.host.save_capabilities(caps).await?)
            }

            async fn drop_capabilities(&mut self, caps: Vec<wit::Capability>) -> wasmtime::Result<()> {
                let caps = lift::capabilities(caps)?;
                Ok(self.host.drop_capabilities(caps).await?)
            }

            fn our_capabilities(&mut self) -> wasmtime::Result<Vec<wit::Capability>> {
                Ok(lower::capabilities(self.host.our_capabilities()))
            }

            async fn receive(
                &mut self,
            ) -> wasmtime::Result<Result<(wit::Address, wit::Message), (wit::SendError, Option<Vec<u8>>)>>
            {
                Ok(match self.host.receive().await? {
                    Ok((source, message)) => Ok((lower::address(&source), lower::message(message))),
                    Err((error, context)) => Err((lower::send_error(error), context.map(Into::into))),
                })
            }

            fn get_blob(&mut self) -> wasmtime::Result<Option<wit::LazyLoadBlob>> {
                Ok(self.host.get_blob().map(lower::blob))
            }

            async fn send_request(
                &mut self,
                target: wit::Address,
                request: wit::Request,
                context: Option<Vec<u8>>,
                blob: Option<wit::LazyLoadBlob>,
            ) -> wasmtime::Result<()> {
                send(self, &target, request, context, blob).await
            }

            async fn send_requests(
                &mut self,
                requests: Vec<(
                    wit::Address,
                    wit::Request,
                    Option<Vec<u8>>,
                    Option<wit::LazyLoadBlob>,
                )>,
            ) -> wasmtime::Result<()> {
                for (target, request, context, blob) in requests {
                    send(self, &target, request, context, blob).await?;
                }
                Ok(())
            }

            async fn send_response(
                &mut self,
                response: wit::Response,
                blob: Option<wit::LazyLoadBlob>,
            ) -> wasmtime::Result<()> {
                let response = lift::response(response)?;
                Ok(self
                    .host
                    .send_response(response, blob.map(lift::blob))
                    .await?)
            }

            async fn send_and_await_response(
                &mut self,
                target: wit::Address,
                request: wit::Request,
                blob: Option<wit::LazyLoadBlob>,
            ) -> wasmtime::Result<Result<(wit::Address, wit::Message), wit::SendError>> {
                let target = lift::address(&target)?;
                let request = lift::request(request)?;
                let answer = self
                    .host
                    .send_and_await_response(target, request, blob.map(lift::blob))
                    .await?;
                Ok(match answer {
                    Ok((source, message)) => Ok((lower::address(&source), lower::message(message))),
                    Err(error) => Err(lower::send_error(error)),
                })
            }

            super::bindings::newer! { $newer }
        }
    };
}

pub(super) use {edition, newer};
