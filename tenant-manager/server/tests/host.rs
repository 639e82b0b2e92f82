//! Whole-process tests: the real binary on free ports with an empty data
//! directory, driven only through its public contract by an HTTP client and
//! OpenSSH's own `ssh`. One binary, so that it is linked once.

#![expect(
    clippy::disallowed_methods,
    reason = "tests wait on a real process in real time"
)]

mod host {
    pub mod support;

    mod api;
    mod apps;
    mod bad_input;
    mod bench;
    mod commands;
    mod crash;
    mod doors;
    mod isolation;
    mod shutdown;
    mod ssh;
}
