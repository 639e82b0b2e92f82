//! The kernel's rules, one test each, and its laws as properties. One binary,
//! so that there is one thing to link.

mod blobs;
mod common;
mod conversation_laws;
mod entering;
mod laws;
mod routing;
mod sending;
