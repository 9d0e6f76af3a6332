//! The wire side of the Lambda API: which request is which operation, what its input says and whether it may, how its
//! output or error is written. Pure: bytes in, values out; no I/O, no clock.
//!
//! The way of a request: [`route()`] finds the operation from method, path and query; [`decode()`] binds labels, query,
//! headers and body to the operation's typed input and refuses what breaks the service model's constraints, in the
//! real service's words; a handler written elsewhere makes an output; [`encode()`] writes it. An [`ApiError`] can come
//! from any step and writes itself. Tables and types in [`generated`] come from `models/` by `cargo xtask codegen`.

mod decode;
mod encode;
pub mod error;
pub mod generated;
mod json;
mod operation;
mod print;
mod route;
mod schema;
mod uri;
mod validate;
mod value;

pub use decode::{check, decode};
pub use encode::{Head, JsonWriter, Output, ToJson, encode, encode_head};
pub use error::ApiError;
pub use generated::operations::{Operation, ops};
pub use operation::OperationType;
pub use route::{Matched, route};
pub use value::{FromValue, Map, Timestamp, Value};

/// Inputs, outputs and what they are made of.
pub mod types {
    pub use crate::generated::enums::*;
    pub use crate::generated::inputs::*;
    pub use crate::generated::outputs::*;
    pub use crate::generated::structures::*;
}
