//! The kernel's rules, one test each, and its laws as properties. One binary,
//! so that there is one thing to link. `cfg(test)` tells clippy that helpers
//! may unwrap, too.

#[cfg(test)]
mod blobs;
#[cfg(test)]
mod borders;
#[cfg(test)]
mod common;
#[cfg(test)]
mod conversation_laws;
#[cfg(test)]
mod entering;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod node_laws;
#[cfg(test)]
mod node_ledger;
#[cfg(test)]
mod node_sim;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod sending;
