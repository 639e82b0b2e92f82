pub(crate) mod bench;
mod files;
mod hostile;
mod messages;
mod positioned;
mod rights;
