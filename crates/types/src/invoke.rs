//! What goes in and out of one invoke.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::CodeDigest;
use crate::function::LogFormat;
use crate::ids::RequestId;
use crate::runtime::RuntimeVersion;

/// One deployed generation of one version: what an environment runs for its whole life. A new one is made by each
/// change of code or configuration; environments of an older generation are drained.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionSpec {
    /// Unique in this server's life; grows with each deploy.
    pub generation: u64,
    /// The function's name.
    pub function: Arc<str>,
    /// The unqualified ARN.
    pub function_arn: Arc<str>,
    /// `$LATEST` or a number.
    pub version: Arc<str>,
    /// As given, for instance `python3.12` or `provided.al2023`.
    pub runtime: String,
    /// The one version of the runtime that may run it; none where the normal one does.
    #[serde(default)]
    pub runtime_version: Option<RuntimeVersion>,
    /// As given.
    pub handler: String,
    /// MB.
    pub memory_mb: u32,
    /// Seconds.
    pub timeout_s: u32,
    /// MB of /tmp.
    pub ephemeral_mb: u32,
    /// The ARN of its role.
    pub role: Arc<str>,
    /// The customer's variables.
    pub variables: Vec<(String, String)>,
    /// The unpacked package.
    pub code: CodeDigest,
    /// Layers, unpacked, in the function's order: a later one covers an earlier one at /opt.
    pub layers: Vec<CodeDigest>,
    /// Where the log goes.
    pub log_group: Arc<str>,
    /// How its lines look, and which are kept.
    pub log_format: LogFormat,
    /// AWS_REGION inside.
    pub region: Arc<str>,
    /// What its environments are initialised for.
    pub initialization: Initialization,
    /// Whose its environments are alone, where the function's are not shared between tenants.
    pub tenant: Option<Arc<str>>,
}

/// What an environment is initialised for: `AWS_LAMBDA_INITIALIZATION_TYPE`, and `initializationType` of its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Initialization {
    /// An invoke that waits, or is expected.
    #[default]
    OnDemand,
    /// Provisioned concurrency.
    Provisioned,
    /// A snapshot of what has been initialised when the version was published.
    SnapStart,
}

impl Initialization {
    /// As functions are told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Provisioned => "provisioned-concurrency",
            Self::SnapStart => "snap-start",
        }
    }
}

/// An event for a function: an invoke for which no client waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventInvoke {
    /// The function's name.
    pub function: String,
    /// As it was sent: a version, an alias, `$LATEST`, or none. An alias is resolved when the event runs.
    pub qualifier: Option<String>,
    /// The same at each attempt.
    pub request_id: RequestId,
    /// The event, JSON.
    pub payload: Bytes,
    /// As the function is to see it, at each attempt.
    pub trace_id: Arc<str>,
    /// On whose behalf, where the function's environments are not shared between tenants.
    pub tenant: Option<Arc<str>>,
}

/// Why an environment's init or invoke gave no answer of its own. Types and texts: `Runtime.*`, `Sandbox.*`,
/// `Function.*` of the runtime contract.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunctionFailure {
    /// `errorType`.
    #[serde(rename = "errorType")]
    pub error_type: String,
    /// `errorMessage`.
    #[serde(rename = "errorMessage")]
    pub message: String,
}
