//! Who may do what, without any I/O: signatures of requests, policies, credentials.
//!
//! Time and random bytes are passed in.

mod caller;
pub mod ids;
pub mod managed;
pub mod policy;
mod seal;
mod secret;
pub mod session;
pub mod sigv4;

pub use caller::{AccessDenied, Caller, Rights};
pub use seal::{MasterKey, NONCE_BYTES};
pub use secret::{Credentials, Secret};
