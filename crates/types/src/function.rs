//! A function as the metadata store keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::arn::FunctionName;
use crate::digest::CodeDigest;
use crate::ids::RevisionId;

/// A function: its $LATEST and what belongs to the function as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunctionRecord {
    /// The name.
    pub name: FunctionName,
    /// The mutable version.
    pub latest: VersionRecord,
    /// Tags of the function.
    pub tags: BTreeMap<String, String>,
}

/// One version's code and configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionRecord {
    /// What runs.
    pub config: Configuration,
    /// The package.
    pub code: CodeRef,
    /// What new invokes run while an update is in progress: the code and configuration before it.
    pub serving: Option<Box<Serving>>,
    /// Whether it can be invoked.
    pub state: State,
    /// How the last update went; none right after the create.
    pub last_update: Option<UpdateStatus>,
    /// Changes with every change, also of the states.
    pub revision: RevisionId,
    /// Milliseconds since 1970 of the last change by a client.
    pub last_modified_ms: i64,
}

/// The pair that serves until an update is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Serving {
    /// Configuration before the update.
    pub config: Configuration,
    /// Package before the update.
    pub code: CodeRef,
}

/// A package in the blob store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CodeRef {
    /// Its SHA-256.
    pub digest: CodeDigest,
    /// Bytes of the zip.
    pub size: u64,
}

/// What a client sets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Configuration {
    /// `python3.12`, `provided.al2023`, ...
    pub runtime: String,
    /// As given.
    pub handler: String,
    /// Role ARN.
    pub role: String,
    /// At most 256 characters.
    pub description: String,
    /// Seconds, 1 to 900.
    pub timeout_s: u32,
    /// MB, 128 to 10,240.
    pub memory_mb: u32,
    /// MB, 512 to 10,240.
    pub ephemeral_mb: u32,
    /// None where the client gave none: then the member is absent in answers.
    pub variables: Option<Variables>,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// LoggingConfig.LogGroup; none stands for `/aws/lambda/NAME`.
    pub log_group: Option<String>,
}

/// Environment variables in the order given: the order is part of an error's text.
pub type Variables = Vec<(String, String)>;

/// Whether a version can be invoked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// Being created.
    Pending,
    /// Ready.
    Active,
    /// The create failed for good: code, text.
    Failed(String, String),
}

/// How the last update went.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum UpdateStatus {
    /// Being made effective.
    InProgress,
    /// Effective.
    Successful,
    /// Not effective; what served before serves on: code, text.
    Failed(String, String),
}
