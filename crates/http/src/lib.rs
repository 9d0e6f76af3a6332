//! HTTP/1.1 at the edge: accepting, bounds on what a client may send and how slowly, and the doors that stay closed to
//! web pages. Knows no operation.

pub mod body;
pub mod doors;
pub mod serve;
mod stream;
mod unread;

pub use body::{BodyError, BrokenOff, RequestBody, ResponseBody, read_body};
pub use serve::{Handler, Server, ServerLimits, serve_one};
pub use unread::Unread;
