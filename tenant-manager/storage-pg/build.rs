//! Migrations are compiled in: a changed one is a reason to compile again.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
