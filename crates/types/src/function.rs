//! A function as the metadata store keeps it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::arn::FunctionName;
use crate::digest::CodeDigest;
use crate::ids::RevisionId;
use crate::runtime::RuntimeVersion;

/// A function: its $LATEST and what belongs to the function as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunctionRecord {
    /// The name.
    pub name: FunctionName,
    /// The mutable version.
    pub latest: VersionRecord,
    /// Tags of the function.
    pub tags: BTreeMap<String, String>,
    /// The number of the last published version, deleted ones too: none is ever given again. 0 before the first.
    #[serde(default)]
    pub last_published: u64,
    /// The description of $LATEST when it was published last; the version may have got one of its own.
    #[serde(default)]
    pub published_description: String,
    /// Environments that are this function's alone, and the most it may have; none where nothing is reserved.
    #[serde(default)]
    pub reserved_concurrency: Option<u32>,
    /// What happens to a function that calls itself, directly or through others, again and again.
    #[serde(default)]
    pub recursive_loop: RecursiveLoop,
    /// The id of the code signing configuration that deployments are judged by.
    #[serde(default)]
    pub code_signing: Option<String>,
}

/// RecursiveLoop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RecursiveLoop {
    /// It goes on.
    Allow,
    /// It is ended.
    #[default]
    Terminate,
}

/// One version's code and configuration: $LATEST, or as it was when it was published.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionRecord {
    /// What runs.
    pub config: Configuration,
    /// What it is made of.
    pub code: Code,
    /// What new invokes run while an update is in progress: the code and configuration before it.
    pub serving: Option<Box<Serving>>,
    /// Whether it can be invoked.
    pub state: State,
    /// How the last update went; none right after the create.
    pub last_update: Option<UpdateStatus>,
    /// SnapStart.OptimizationStatus is `On`: environments go on from a snapshot.
    #[serde(default)]
    pub optimized: bool,
    /// Which of the runtime's versions runs it.
    #[serde(default)]
    pub runtime_update: RuntimeUpdate,
    /// Changes with every change, also of the states.
    pub revision: RevisionId,
    /// Milliseconds since 1970 of the last change by a client.
    pub last_modified_ms: i64,
}

impl VersionRecord {
    /// Whether a published version cannot be invoked before its snapshot is taken: of other runtimes none is.
    #[must_use]
    pub fn awaits_snapshot(&self) -> bool {
        self.state == State::Pending && self.config.takes_snapshots()
    }
}

impl Configuration {
    /// Whether a version that is published of it gets a snapshot.
    #[must_use]
    pub fn takes_snapshots(&self) -> bool {
        let is_python = self.runtime.as_deref().is_some_and(|runtime| runtime.starts_with("python"));
        self.snap_start == SnapStart::PublishedVersions && is_python
    }
}

/// The pair that serves until an update is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Serving {
    /// Configuration before the update.
    pub config: Configuration,
    /// Code before the update.
    pub code: Code,
    /// What ran it.
    #[serde(default)]
    pub runtime_update: RuntimeUpdate,
}

/// When a version's runtime becomes another version of itself: UpdateRuntimeOn.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RuntimeUpdate {
    /// Each new environment has what is the runtime's normal version then.
    #[default]
    Auto,
    /// With an update of code or configuration only: what was normal at the last one. None where the machine lacked the
    /// runtime then.
    FunctionUpdate(Option<RuntimeVersion>),
    /// Never.
    Manual(RuntimeVersion),
}

impl RuntimeUpdate {
    /// The one version of the runtime that may run it; none where that is not settled.
    #[must_use]
    pub fn pinned(&self) -> Option<&RuntimeVersion> {
        match self {
            Self::Auto => None,
            Self::FunctionUpdate(pinned) => pinned.as_ref(),
            Self::Manual(pinned) => Some(pinned),
        }
    }
}

/// What a function is made of. It is of one kind for its whole life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Code {
    /// A package, unpacked at the deploy.
    Zip(CodeRef),
    /// A container image.
    Image {
        /// As given.
        uri: String,
    },
}

impl Code {
    /// The package; none for an image.
    #[must_use]
    pub fn zip(&self) -> Option<&CodeRef> {
        match self {
            Self::Zip(code) => Some(code),
            Self::Image { .. } => None,
        }
    }

    /// CodeSize: bytes of the package; 0 for an image.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.zip().map_or(0, |code| code.size)
    }

    /// CodeSha256: of a package in base64, of an image in hexadecimal. Where an image's URI does not name its digest, it
    /// is the digest of the URI: nothing here asks a registry.
    #[must_use]
    pub fn sha256(&self) -> String {
        match self {
            Self::Zip(code) => code.digest.base64(),
            Self::Image { uri } => match uri.split_once("@sha256:") {
                Some((_, digest)) => digest.to_owned(),
                None => CodeDigest::of(uri.as_bytes()).to_string(),
            },
        }
    }
}

/// A package in the blob store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CodeRef {
    /// Its SHA-256.
    pub digest: CodeDigest,
    /// Bytes of the zip.
    pub size: u64,
    /// Bytes unpacked: what counts towards the limit of a function with its layers.
    #[serde(default)]
    pub unpacked: u64,
}

/// What a client sets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Configuration {
    /// `python3.12`, `provided.al2023`, ...; none for an image.
    pub runtime: Option<String>,
    /// As given; none for an image.
    pub handler: Option<String>,
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
    /// Where and how it logs.
    #[serde(default)]
    pub logging: Logging,
    /// Mounted at /opt, later ones over earlier ones. At most 5.
    #[serde(default)]
    pub layers: Vec<LayerRef>,
    /// What an image is to run instead of what it says itself.
    #[serde(default)]
    pub image: ImageConfig,
    /// Where events go that failed for good: the ARN of a queue or a topic.
    #[serde(default)]
    pub dead_letter: Option<String>,
    /// TracingConfig.Mode. Kept and shown.
    #[serde(default)]
    pub tracing: Tracing,
    /// SnapStart.ApplyOn.
    #[serde(default)]
    pub snap_start: SnapStart,
    /// KMSKeyArn. Kept and shown.
    #[serde(default)]
    pub kms_key: Option<String>,
    /// Whether a VpcConfig was given. It is empty, as there is no VPC here.
    #[serde(default)]
    pub vpc_given: bool,
    /// TenancyConfig.TenantIsolationMode is `PER_TENANT`, from the creation on: no environment is shared between tenants.
    #[serde(default)]
    pub per_tenant: bool,
}

/// ImageConfig; absent members are left to the image.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ImageConfig {
    /// EntryPoint.
    pub entry_point: Option<Vec<String>>,
    /// Command.
    pub command: Option<Vec<String>>,
    /// WorkingDirectory.
    pub working_directory: Option<String>,
}

/// TracingConfig.Mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Tracing {
    /// As the caller asks for in the trace header.
    #[default]
    PassThrough,
    /// Some invokes are traced that no caller asked for.
    Active,
}

/// SnapStart.ApplyOn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum SnapStart {
    /// No snapshots.
    #[default]
    None,
    /// Snapshots of initialised environments of published versions.
    PublishedVersions,
}

/// A layer version as a function uses it: it goes on doing so when the layer version is deleted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LayerRef {
    /// The version's ARN.
    pub arn: String,
    /// Its package.
    pub code: CodeRef,
}

/// LoggingConfig.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Logging {
    /// Plain lines, or JSON with levels.
    pub format: LogFormat,
    /// LogGroup; none stands for `/aws/lambda/NAME`.
    pub group: Option<String>,
}

/// How a function's log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum LogFormat {
    /// As the function wrote them.
    #[default]
    Text,
    /// One JSON object each.
    Json {
        /// Lines of the function below this are dropped.
        application: LogLevel,
        /// Lines of the platform below this are dropped.
        system: LogLevel,
    },
}

/// Levels, rising. The platform's are Debug, Info and Warn only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl LogLevel {
    /// As members and variables have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// A name for a version of a function: what routing needs no more than.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AliasRecord {
    /// The version that it stands for.
    pub version: VersionId,
    /// At most 256 characters.
    pub description: String,
    /// Further versions, and the part of the invokes that each gets, 0 to 1; the rest goes to `version`.
    pub weights: BTreeMap<u64, f64>,
    /// Changes with every change of the alias.
    pub revision: RevisionId,
}

/// One version of a function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum VersionId {
    /// `$LATEST`.
    Latest,
    /// A published one, from 1.
    Number(u64),
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("$LATEST"),
            Self::Number(number) => number.fmt(f),
        }
    }
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
