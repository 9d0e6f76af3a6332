//! Who may do what, without any I/O: signatures of requests, policies, credentials.

pub mod managed;
pub mod policy;
mod secret;
pub mod sigv4;

pub use secret::{Credentials, Secret};
