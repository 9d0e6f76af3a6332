//! Settings that belong to one qualifier of a function each, as the metadata store keeps them.

use serde::{Deserialize, Serialize};

/// What becomes of asynchronous invokes. It holds for invokes of exactly its qualifier.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EventInvokeConfig {
    /// Tries after the first, 0 to 2; none where the client gave none: 2.
    pub retries: Option<u8>,
    /// Seconds, 60 to 21,600; none where the client gave none: 21,600.
    pub event_age_s: Option<u32>,
    /// ARN of where a record of each success goes.
    pub on_success: Option<String>,
    /// ARN of where a record of each event goes that could not be processed.
    pub on_failure: Option<String>,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
}

/// Environments that a version or an alias asks to be kept initialised.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProvisionedConcurrency {
    /// How many, from 1.
    pub requested: u32,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
}

/// How far a [`ProvisionedConcurrency`] is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Provisioning {
    /// Environments that have their room.
    pub allocated: u32,
    /// Those of them that are initialised.
    pub available: u32,
    /// What keeps it from being complete, where it is known to.
    pub hindrance: Option<Hindrance>,
}

/// Why fewer environments are available than were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hindrance {
    /// The function's init failed the last time.
    Init,
    /// No environment of its size fits into any worker.
    NeverFits,
    /// The memory, or the count of environments, is used up for the moment.
    Room,
    /// There is no version for it: it is not published, or cannot be invoked.
    Version,
}

/// A function URL: an HTTP endpoint of the unqualified function or of an alias.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UrlConfig {
    /// The first label of its host name, its own for good: 32 of a-z 0-9.
    pub id: String,
    /// Who may call it.
    pub auth: UrlAuth,
    /// How answers come.
    pub invoke_mode: UrlInvokeMode,
    /// Which pages of other origins may call it; none where that was not set.
    pub cors: Option<Cors>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
}

/// AuthType.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum UrlAuth {
    /// Everybody whom the policy lets in.
    None,
    /// Who signs.
    AwsIam,
}

/// InvokeMode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum UrlInvokeMode {
    /// Whole.
    #[default]
    Buffered,
    /// As the function writes it.
    ResponseStream,
}

/// Cors: a member that was not given is none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Cors {
    /// Whether pages may send cookies.
    pub allow_credentials: Option<bool>,
    /// Headers that pages may send.
    pub allow_headers: Option<Vec<String>>,
    /// Methods that pages may use.
    pub allow_methods: Option<Vec<String>>,
    /// Origins of pages.
    pub allow_origins: Option<Vec<String>>,
    /// Headers that pages may read.
    pub expose_headers: Option<Vec<String>>,
    /// Seconds that a browser may keep all this, 0 to 86,400.
    pub max_age_s: Option<u32>,
}
