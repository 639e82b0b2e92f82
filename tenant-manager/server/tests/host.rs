//! Whole-process tests: the real binary on free ports with an empty data
//! directory, driven only through its public contract by an HTTP client and
//! OpenSSH's own `ssh`. One binary, so that it is linked once.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests wait on a real process in real time"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "helpers of tests fail like tests"
)]

mod host {
    pub mod support;

    mod api;
    mod apps;
    mod bad_input;
    mod bench;
    mod bench_editions;
    mod bench_flood;
    mod bench_neighbours;
    mod bench_pages;
    mod bench_sleep;
    mod bench_sockets;
    mod bench_stores;
    mod bench_tunnel;
    mod book;
    mod browser;
    mod commands;
    mod conformance;
    mod crash;
    mod doors;
    mod editions;
    mod egress;
    mod faults;
    mod homepage;
    mod isolation;
    mod logs;
    mod neighbours;
    mod node_commands;
    mod pages;
    mod restart;
    mod shutdown;
    mod sleep;
    mod soak;
    mod soak_sleep;
    mod sockets;
    mod ssh;
    mod stores;
    mod storm;
    mod terminal;
    mod usage;
    mod users;
    mod web_hostile;
}
