//! Requests of our own to other servers, over http and https: connections that are kept, times that end, bodies with a
//! bound, and signatures as AWS has them where a service asks for them.

mod aws;
mod endpoint;
mod error;
mod transport;

pub use aws::{Api, JsonVersion, Service};
pub use endpoint::Endpoint;
pub use error::{CallError, Unreached, Unread};
pub use transport::{Client, whole};
