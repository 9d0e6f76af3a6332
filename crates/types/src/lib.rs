//! The vocabulary that all layers share: names, records, limits. No I/O, no clock, no async.

pub mod arn;
pub mod digest;
pub mod function;
pub mod identity;
pub mod ids;
pub mod invoke;
pub mod keys;
pub mod lately;
pub mod limits;
pub mod mapping;
pub mod package;
pub mod place;
pub mod policy;
pub mod rootfs;
pub mod runtime;
pub mod settings;
#[cfg(feature = "test-support")]
pub mod test_support;
pub mod url_host;

pub use arn::{FunctionArn, FunctionName, FunctionRef, Qualifier};
pub use digest::CodeDigest;
pub use ids::{EnvironmentId, RequestId, RevisionId};
pub use place::{Place, Target, Unresolved};
pub use url_host::UrlHost;
