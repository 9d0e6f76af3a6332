//! The front end: from a client's Invoke to an execution environment's answer.
//!
//! What can be invoked is a [`FunctionSnapshot`] in memory, written by the follower of the metadata store and read
//! without a lock. The [`Dispatcher`] asks the scheduler where each invoke goes and carries out what it says on a
//! worker. An invoke of a plain name with usual headers takes the short way: one look into the snapshot, one scan over the
//! payload, one step of the scheduler. Anything else is read and validated by the API layer first.

mod alias;
mod changes;
mod client_context;
mod deploys;
mod dispatcher;
mod environments;
mod event;
mod invoke;
mod json;
mod lately;
mod lineage;
mod operate;
mod optimize;
mod overview;
mod provision;
mod recall;
mod request;
mod response;
mod sampling;
mod shares;
mod snapshot;
mod streamed;
mod tenants;
mod timing;
mod trace;
mod trial;
pub mod url;
mod workers;
mod writer;

pub use changes::FunctionChange;
pub use dispatcher::{Dispatcher, DispatcherConfig};
pub use environments::Environments;
pub use operate::{EnvironmentView, PhasesView};
pub use overview::{FunctionView, Overview};
pub use request::{InvokeRequest, async_payload_too_large, payload_too_large};
pub use response::InvokeResponse;
pub use snapshot::FunctionSnapshot;
pub use streamed::StreamedResponse;
pub use trial::{Trial, Tried};
