pub(crate) mod bench;
mod dialects;
mod quotas;
mod rights;
mod serving;
mod transactions;
