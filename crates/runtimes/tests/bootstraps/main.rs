//! The bootstraps, run by the machine's real interpreters as plain processes against a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod node;
mod node_loading;
mod node_streams;
mod process;
mod python;
mod ruby;
