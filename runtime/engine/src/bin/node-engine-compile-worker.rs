//! The compile worker alone, for tests and examples of this crate; the host
//! starts itself instead.

fn main() -> std::process::ExitCode {
    node_engine::compile_worker()
}
