//! Ways for fuzzers into what reads the bytes of strangers. Nothing else calls
//! it, so that the host's binary has none of it; it owns nothing. What should
//! not happen is told as a text.

pub use crate::listener::fuzzing::http_head;
