//! Operations on functions.

pub(crate) mod code;
mod configuration;
mod create;
mod delete;
mod members;
mod read;
mod settle;
mod tidy;
mod update;
