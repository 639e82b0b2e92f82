//! Nothing: this crate exists for its list of dependencies, see `Cargo.toml`.
