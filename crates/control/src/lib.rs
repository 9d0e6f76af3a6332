//! The control plane: Lambda's operations as plain async functions that know no HTTP, over the store's seams.

pub mod access_keys;
mod account;
mod aliases;
mod autoscaling;
pub mod code_source;
pub mod concurrency;
pub mod coverage;
mod event_invoke;
pub mod event_sources;
pub mod functions;
mod layers;
pub mod links;
mod mappings;
mod named;
mod names;
mod parts;
mod permissions;
pub mod permit;
mod policy;
pub mod provisioned;
mod records;
mod recursion;
pub mod roles;
mod rules;
mod runtime_management;
mod signing;
pub mod snapshots;
mod tags;
pub mod trees;
mod urls;
mod versions;
mod view;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth_api::ApiError;
use hearth_clock::Clock;
use hearth_records::Records;
use hearth_store::{BlobStore, MetadataStore};
use hearth_types::limits::PACKAGES_FETCHED;
use hearth_types::runtime::Installed;
use hearth_types::{CodeDigest, Place, RevisionId};
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::code_source::CodeSource;
use crate::concurrency::AccountConcurrency;
use crate::event_sources::EventSources;
use crate::links::CodeLinks;
use crate::provisioned::Provisioner;
use crate::roles::Roles;
use crate::trees::Trees;

/// What the control plane works on.
pub struct Parts {
    /// Where this server says it is.
    pub place: Place,
    /// `x86_64` or `arm64`: what this machine runs.
    pub architecture: &'static str,
    /// What of runtimes this machine has.
    pub runtimes: Installed,
    /// What the account has to reserve from.
    pub concurrency: AccountConcurrency,
    /// Bytes of packages that the account may have.
    pub code_storage: u64,
    /// Which roles functions may be given.
    pub roles: Roles,
    /// How long a create or an update is under way at least.
    pub settle_after: Duration,
    /// Records.
    pub store: Arc<dyn MetadataStore>,
    /// Packages as they came.
    pub blobs: Arc<dyn BlobStore>,
    /// Packages unpacked.
    pub trees: Arc<Trees>,
    /// The store's version up to which the front end follows it. What a client is told must already be so there.
    pub applied: watch::Receiver<u64>,
    /// Packages that clients name by S3Bucket and S3Key; none where there is no such store.
    pub objects: Option<Arc<dyn CodeSource>>,
    /// Signs links to packages.
    pub links: CodeLinks,
    /// What mappings poll.
    pub event_sources: Arc<dyn EventSources>,
    /// How far what is provisioned is.
    pub provisioner: Arc<dyn Provisioner>,
    /// By which everything here happens.
    pub clock: Clock,
}

/// The control plane's operations.
pub struct Control {
    parts: Parts,
    records: Records,
    /// A place for each package that is fetched and held in memory.
    fetching: Arc<Semaphore>,
    /// Bytes of packages that the account has at most; none before they were counted.
    code_bytes: Mutex<Option<u64>>,
    /// Packages that came since [`Control::tidy`] looked last.
    sent: Arc<Mutex<HashSet<CodeDigest>>>,
    scaling: autoscaling::Changes,
}

impl Control {
    /// Over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            records: Records::of(&parts.store),
            parts,
            fetching: Arc::new(Semaphore::new(PACKAGES_FETCHED)),
            code_bytes: Mutex::default(),
            sent: Arc::default(),
            scaling: autoscaling::Changes::default(),
        }
    }

    /// Signs and checks links to packages.
    #[must_use]
    pub fn links(&self) -> &CodeLinks {
        &self.parts.links
    }

    /// Packages as they came.
    #[must_use]
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.parts.blobs
    }

    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64 {
        self.parts.clock.now_ms()
    }
}

fn new_revision() -> RevisionId {
    RevisionId(Uuid::new_v4())
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::invalid_parameter(message)
}

/// For a member, or a value of one, that has no effect here yet: refused, never ignored.
fn refused(member: &str, why: &str) -> ApiError {
    ApiError::new(
        &hearth_api::error::NOT_IMPLEMENTED,
        format!("{member} is not supported by this version of Hearth: {why}."),
    )
}
