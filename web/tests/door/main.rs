//! The door as clients see it: a real listener, a real manager over fakes, and
//! clients that speak TCP.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod accounts;
mod apex;
mod clients;
mod corpus;
mod dashboard;
mod drain;
mod egress;
mod events;
mod hosts;
mod http2;
mod http2_tricks;
mod logs;
mod nodes;
mod operator;
mod problems;
mod proxy;
mod refusals;
mod shares;
mod slow;
mod smuggling;
mod sockets;
mod support;
mod trusted;
mod usage;
