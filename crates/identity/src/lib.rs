//! Who may do what, without any I/O: signatures of requests, policies, credentials.

mod secret;
pub mod sigv4;

pub use secret::{Credentials, Secret};
