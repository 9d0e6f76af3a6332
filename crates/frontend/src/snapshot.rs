//! What can be invoked: the serving code and configuration of every version of every function, in memory, read without
//! a lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use hearth_identity::policy::Document;
use hearth_metrics::OfFunction;
use hearth_scheduler::{FunctionKey, Generation, Purpose};
use hearth_types::function::{RecursiveLoop, Tracing, VersionId};
use hearth_types::invoke::{Initialization, VersionSpec};
use hearth_types::settings::UrlConfig;
use hearth_types::{CodeDigest, RequestId};

use crate::alias::Alias;
use crate::lineage::LineName;
use crate::sampling::Sampler;
use crate::trace;

/// A function as the front end knows it.
#[derive(Clone, Debug)]
pub(crate) struct FunctionEntry {
    pub(crate) key: FunctionKey,
    pub(crate) latest: EntryState,
    pub(crate) published: BTreeMap<u64, EntryState>,
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// By qualifier. Those of an alias outlive it (observed).
    pub(crate) urls: BTreeMap<String, Arc<UrlConfig>>,
    /// By qualifier.
    pub(crate) policies: BTreeMap<String, Arc<Document>>,
    pub(crate) reserved: Option<u32>,
    /// How many environments are to be kept initialised, by qualifier: a version's number or an alias.
    pub(crate) provisioned: BTreeMap<String, u32>,
    pub(crate) recursive_loop: RecursiveLoop,
    /// What it is called in lineages of traces.
    pub(crate) lineage: LineName,
    /// Of $LATEST.
    pub(crate) log_group: Arc<str>,
}

/// Whether a version can be invoked.
#[derive(Clone, Debug)]
pub(crate) enum EntryState {
    Pending,
    /// It is invoked as this once its snapshot is taken.
    Optimizing(Arc<Ready>),
    Failed {
        text: String,
    },
    /// It is well, but not for this server.
    Unfit(Unfit),
    Ready(Arc<Ready>),
}

/// Why this server cannot run a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unfit {
    /// It is a container image.
    Image,
    /// It is built for another architecture than the machine's.
    Architecture { of_version: String, of_machine: &'static str },
}

/// One generation that serves.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) key: FunctionKey,
    pub(crate) version: VersionId,
    pub(crate) spec: Arc<VersionSpec>,
    /// The ARN with `:$LATEST` or `:NUMBER`.
    pub(crate) qualified_arn: Arc<str>,
    /// Of the configuration and code that it was made of: an update that changes any of it makes a new one.
    pub(crate) made_of: CodeDigest,
    pub(crate) metrics: Arc<OfFunction>,
    pub(crate) tracing: Tracing,
    /// Its environments are not shared between tenants: each tenant's invokes run a generation of its own.
    pub(crate) per_tenant: bool,
    pub(crate) sampler: Sampler,
}

/// Numbers of generations: no two have the same.
#[derive(Debug, Default)]
pub(crate) struct Generations(AtomicU64);

impl Generations {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Ready {
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.spec.generation)
    }

    /// Another generation of the same version.
    pub(crate) fn made_as(&self, spec: VersionSpec) -> Self {
        Self {
            key: self.key,
            version: self.version,
            spec: Arc::new(spec),
            qualified_arn: Arc::clone(&self.qualified_arn),
            made_of: self.made_of,
            metrics: Arc::clone(&self.metrics),
            tracing: self.tracing,
            per_tenant: self.per_tenant,
            sampler: Sampler::default(),
        }
    }

    /// What an environment for this purpose runs.
    pub(crate) fn spec_for(&self, purpose: Purpose) -> Arc<VersionSpec> {
        match purpose {
            Purpose::Ahead => Arc::clone(&self.spec),
            Purpose::Provisioned => {
                let initialization = Initialization::Provisioned;
                Arc::new(VersionSpec { initialization, ..VersionSpec::clone(&self.spec) })
            }
        }
    }

    /// The trace id of a request: as the caller has it, with what it left open decided.
    pub(crate) fn trace_id(&self, given: Option<&[u8]>, request: RequestId, now_s: u64) -> Arc<str> {
        let decides = || self.tracing == Tracing::Active && self.sampler.takes(now_s, trace::random(request));
        trace::trace_id(given, request, now_s, decides)
    }
}

impl EntryState {
    pub(crate) fn ready(&self) -> Option<&Arc<Ready>> {
        match self {
            Self::Ready(ready) => Some(ready),
            _ => None,
        }
    }
}

impl EntryState {
    /// What waits for its snapshot.
    pub(crate) fn waiting(&self) -> Option<&Arc<Ready>> {
        match self {
            Self::Optimizing(ready) => Some(ready),
            _ => None,
        }
    }

    /// What can be invoked, now or once its snapshot is taken.
    pub(crate) fn made(&self) -> Option<&Arc<Ready>> {
        self.ready().or_else(|| self.waiting())
    }
}

impl FunctionEntry {
    /// A version; none where there is no such one.
    pub(crate) fn version(&self, id: VersionId) -> Option<&EntryState> {
        match id {
            VersionId::Latest => Some(&self.latest),
            VersionId::Number(number) => self.published.get(&number),
        }
    }

    /// All generations that serve.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Arc<Ready>> {
        std::iter::once(&self.latest).chain(self.published.values()).filter_map(EntryState::ready)
    }
}

/// All functions by name. A copy shares all but what is changed in it, so that a change costs the same however many
/// functions there are.
pub(crate) type Functions = rpds::HashTrieMapSync<Arc<str>, Arc<FunctionEntry>>;

/// Whose URL one is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UrlOwner {
    pub(crate) function: String,
    /// `$LATEST` or an alias.
    pub(crate) qualifier: String,
}

/// All URLs by their ids.
pub(crate) type Urls = rpds::HashTrieMapSync<String, UrlOwner>;

/// All functions by name.
#[derive(Debug, Default)]
pub struct FunctionSnapshot {
    functions: ArcSwap<Functions>,
    /// Where in the functions a URL is. One that is not there (any more) is none.
    urls: ArcSwap<Urls>,
}

impl FunctionSnapshot {
    /// All functions as the scheduler knows them.
    pub(crate) fn keys(&self) -> Vec<(Arc<str>, FunctionKey)> {
        self.functions.load().iter().map(|(name, entry)| (Arc::clone(name), entry.key)).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<FunctionEntry>> {
        self.functions.load().get(name).cloned()
    }

    /// Where the log of a function's $LATEST is; none where there is no such function.
    #[must_use]
    pub fn log_group(&self, name: &str) -> Option<Arc<str>> {
        self.functions.load().get(name).map(|entry| Arc::clone(&entry.log_group))
    }

    /// How many functions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.functions.load().size()
    }

    pub(crate) fn load(&self) -> Functions {
        Functions::clone(&self.functions.load())
    }

    pub(crate) fn store(&self, functions: Functions) {
        self.functions.store(Arc::new(functions));
    }

    /// Whose URL this is.
    pub(crate) fn owner_of_url(&self, id: &str) -> Option<UrlOwner> {
        self.urls.load().get(id).cloned()
    }

    /// One at a time writes.
    pub(crate) fn change_urls(&self, changes: Vec<(String, Option<UrlOwner>)>) {
        if changes.is_empty() {
            return;
        }
        let mut urls = Urls::clone(&self.urls.load());
        for (id, owner) in changes {
            match owner {
                Some(owner) => urls.insert_mut(id, owner),
                None => drop(urls.remove_mut(&id)),
            }
        }
        self.urls.store(Arc::new(urls));
    }
}
