//! The dashboard, used as browsers without a script use it.

mod egress;
mod enter;
mod forms;
mod hostile;
mod log;
mod nodes;
mod operator;
mod pages;
mod passwords;
mod removal;
mod sessions;
mod usage;
