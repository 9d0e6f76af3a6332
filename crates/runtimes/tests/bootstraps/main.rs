//! The bootstraps, run by the machine's real interpreters as plain processes against a real socket.

mod node;
mod process;
mod python;
