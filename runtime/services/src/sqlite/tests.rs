mod actions;
mod bench;
mod refusals;
mod running;
