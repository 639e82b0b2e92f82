//! The host's one HTTP door: the dashboard host with the REST API, and every
//! tenant's node at its own subdomain.
//!
//! Owns the listening socket and the connections on it. A connection passes
//! three stages: [`listener`] (framing, limits, deadlines), [`host_router`]
//! (which site a request is for) and then either [`apex`] (dashboard, REST
//! API) or [`proxy`] (a node, in process). Invariant: which tenant a request
//! reaches depends on its host name alone, and a request that came through here
//! is always `Origin::Public`. Stops with the token of the tasks it was bound
//! with: the socket closes, requests in flight get a grace period. Before that
//! [`Closing`] lets everybody finish while nodes still answer.

#![forbid(unsafe_code)]

mod apex;
mod api;
mod app;
mod auth;
mod client;
mod dashboard;
#[doc(hidden)]
pub mod fuzzing;
mod hold;
mod host_router;
mod in_flight;
mod listener;
mod operator;
mod options;
mod pages;
mod problem;
mod proxy;
mod rate_limit;

pub use api::openapi_json;
pub use listener::{BindError, Bound, Closing, adopt, bind};
pub use options::{Network, NetworkError, Options, OptionsError, Rate, RateLimits};
