//! The wire side of the APIs: which request is which operation of which service, what its input says and whether it may,
//! how its output or error is written. Pure: bytes in, values out; no I/O, no clock.
//!
//! The way of a request: [`Addressed`] tells the service. Lambda's operations are found by [`route()`], from method, path
//! and query, and [`decode()`] binds labels, query, headers and body to the operation's typed input. Those of services
//! that share one path are read by [`Call`], from JSON or a form. Both refuse what breaks the service model's
//! constraints, in the real service's words. A handler written elsewhere makes an output; [`encode()`], [`encode_json()`]
//! or [`encode_xml()`] writes it. An [`ApiError`] can come from any step and writes itself. Tables and types in
//! [`generated`] come from `models/` by `cargo xtask codegen`: a module per service, Lambda's also here at the top.

mod addressed;
mod call;
mod decode;
mod encode;
pub mod error;
pub mod event_stream;
mod form;
pub mod generated;
mod json;
mod older_code;
mod older_query;
mod operation;
mod paging;
mod print;
mod refusal;
mod route;
mod schema;
mod uri;
mod validate;
mod value;
mod xml;

pub use addressed::{Addressed, Style};
pub use call::{Call, encode_json};
pub use decode::{check, decode};
pub use encode::{Head, JsonWriter, Output, ToJson, encode, encode_head};
pub use error::ApiError;
pub use form::Form;
pub use generated::lambda::{Operation, ops, types};
pub use generated::{application_autoscaling, events, iam, logs, scheduler, sns, sqs, ssm, sts};
pub use older_query::encode_older_xml;
pub use operation::{OperationType, Protocol, Service, ServiceOperation, Table};
pub use paging::Page;
pub use refusal::ErrorFormat;
pub use route::{Matched, route, route_of};
pub use value::{FromValue, Map, Timestamp, Value};
pub use xml::{ToXml, XmlWriter, encode_xml};
