//! Makes the snapshot's entries out of records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hearth_identity::policy::{Document, Kind};
use hearth_metrics::Metrics;
use hearth_scheduler::{FunctionKey, Generation};
use hearth_types::function::{
    AliasRecord, Code, CodeRef, Configuration, FunctionRecord, RuntimeUpdate, State, VersionId, VersionRecord,
};
use hearth_types::invoke::{Initialization, VersionSpec};
use hearth_types::policy::Policy;
use hearth_types::settings::UrlConfig;
use hearth_types::{CodeDigest, Place};
use tracing::error;

use crate::alias::Alias;
use crate::changes::FunctionChange;
use crate::lineage::LineName;
use crate::provision;
use crate::sampling::Sampler;
use crate::snapshot::{EntryState, FunctionEntry, Functions, Generations, Ready, Unfit, UrlOwner};

/// Makes entries out of records. One at a time writes.
#[derive(Debug)]
pub(crate) struct Writer {
    place: Place,
    architecture: &'static str,
    generations: Arc<Generations>,
    last_key: u64,
    metrics: Arc<Metrics>,
    /// `$LATEST`, shared by all versions that are called so.
    latest: Arc<str>,
}

/// What a change means to the scheduler.
#[derive(Default, Debug)]
pub(crate) struct Turnover {
    /// Known to the scheduler before the snapshot shows them.
    pub(crate) deploy: Vec<Arc<Ready>>,
    /// Reserved concurrency that is not what it was.
    pub(crate) reserve: Vec<(FunctionKey, Option<u32>)>,
    /// Retired after the snapshot has let go of them.
    pub(crate) retire: Vec<Generation>,
    /// How many environments of a generation are to be kept initialised, where that is not what it was; those of which
    /// there are to be fewer first, so that the others find room.
    pub(crate) provision: Vec<(Generation, u32)>,
    /// Versions that wait for their snapshot from now on.
    pub(crate) optimize: Vec<Arc<VersionSpec>>,
    /// URLs that lead elsewhere now, or nowhere.
    pub(crate) urls: Vec<(String, Option<UrlOwner>)>,
}

impl Turnover {
    fn version(&mut self, before: Option<&EntryState>, now: Option<&EntryState>) {
        let (waited, waits) = (before.and_then(EntryState::waiting), now.and_then(EntryState::waiting));
        if waited.map(|ready| ready.generation()) != waits.map(|ready| ready.generation()) {
            self.optimize.extend(waits.map(|ready| Arc::clone(&ready.spec)));
        }
        let (served, serves) = (before.and_then(EntryState::ready), now.and_then(EntryState::ready));
        if served.map(|ready| ready.generation()) != serves.map(|ready| ready.generation()) {
            self.deploy.extend(serves.cloned());
            self.retire.extend(served.map(|ready| ready.generation()));
        }
    }

    fn reservation(&mut self, key: FunctionKey, before: Option<u32>, now: Option<u32>) {
        if before != now {
            self.reserve.push((key, now));
        }
    }
}

impl Writer {
    pub(crate) fn new(
        place: Place,
        architecture: &'static str,
        generations: Arc<Generations>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { place, architecture, generations, last_key: 0, metrics, latest: "$LATEST".into() }
    }

    /// Applies what one commit changed.
    pub(crate) fn apply(&mut self, functions: &mut Functions, mut changes: Vec<FunctionChange>) -> Turnover {
        let mut turnover = Turnover::default();
        let before = functions.clone();
        let touched: BTreeSet<String> = changes.iter().map(|change| change.function().to_owned()).collect();
        // A function's own record first: what else is said of the function belongs to the one that is there then.
        changes.sort_by_key(|change| !matches!(change, FunctionChange::Function(..)));
        for change in changes {
            match change {
                FunctionChange::Function(name, Some(record)) => {
                    self.put_function(functions, &name, &record, &mut turnover);
                }
                FunctionChange::Function(name, None) => {
                    delete_function(functions, &name, &mut turnover);
                    self.metrics.forget(&name);
                }
                FunctionChange::Version(name, number, record) => {
                    if let Some(entry) = entry_of(functions, &name) {
                        self.set_version(entry, &name, number, record.as_deref(), &mut turnover);
                    }
                }
                FunctionChange::Alias(name, alias, record) => {
                    if let Some(entry) = entry_of(functions, &name) {
                        self.set_alias(entry, &name, alias, record.as_deref());
                    }
                }
                FunctionChange::Url(name, qualifier, record) => {
                    if let Some(entry) = entry_of(functions, &name) {
                        set_url(entry, UrlOwner { function: name, qualifier }, record, &mut turnover);
                    }
                }
                FunctionChange::Policy(name, qualifier, record) => {
                    if let Some(entry) = entry_of(functions, &name) {
                        set_policy(entry, &name, qualifier, record.as_deref());
                    }
                }
                FunctionChange::Provisioned(name, qualifier, record) => {
                    if let Some(entry) = entry_of(functions, &name) {
                        entry.provisioned.remove(&qualifier);
                        entry.provisioned.extend(record.map(|record| (qualifier, record.requested)));
                    }
                }
            }
        }
        let entries = touched.iter().map(|name| (before.get(&**name), functions.get(&**name)));
        turnover.provision = provision::changed(entries.map(|(was, is)| (was.map(|e| &**e), is.map(|e| &**e))));
        turnover
    }

    fn put_function(
        &mut self,
        functions: &mut Functions,
        name: &str,
        record: &FunctionRecord,
        turnover: &mut Turnover,
    ) {
        let before = functions.get(name).map(Arc::clone);
        let before = before.as_deref();
        let key = before.map_or_else(|| FunctionKey(next(&mut self.last_key)), |entry| entry.key);
        let served = before.map(|entry| &entry.latest);
        let log_group = log_group(name, serving(&record.latest).config);
        let latest = self.state(name, key, VersionId::Latest, &record.latest, served, &log_group);
        turnover.version(served, Some(&latest));
        turnover.reservation(key, before.and_then(|entry| entry.reserved), record.reserved_concurrency);
        let entry = FunctionEntry {
            key,
            latest,
            published: before.map_or_else(BTreeMap::new, |entry| entry.published.clone()),
            aliases: before.map_or_else(BTreeMap::new, |entry| entry.aliases.clone()),
            urls: before.map_or_else(BTreeMap::new, |entry| entry.urls.clone()),
            policies: before.map_or_else(BTreeMap::new, |entry| entry.policies.clone()),
            reserved: record.reserved_concurrency,
            provisioned: before.map_or_else(BTreeMap::new, |entry| entry.provisioned.clone()),
            recursive_loop: record.recursive_loop,
            lineage: before.map_or_else(|| LineName::of(&self.place.arn(name).to_string()), |entry| entry.lineage),
            log_group,
        };
        functions.insert_mut(name.into(), Arc::new(entry));
    }

    fn set_version(
        &mut self,
        entry: &mut FunctionEntry,
        name: &str,
        number: u64,
        record: Option<&VersionRecord>,
        turnover: &mut Turnover,
    ) {
        let before = entry.published.remove(&number);
        let now = record.map(|record| {
            let log_group = self.shared_log_group(entry, name, serving(record).config);
            self.state(name, entry.key, VersionId::Number(number), record, before.as_ref(), &log_group)
        });
        turnover.version(before.as_ref(), now.as_ref());
        entry.published.extend(now.map(|state| (number, state)));
    }

    fn set_alias(&self, entry: &mut FunctionEntry, name: &str, alias: String, record: Option<&AliasRecord>) {
        match record {
            None => {
                entry.aliases.remove(&alias);
            }
            Some(record) => {
                let arn = format!("{}:{alias}", self.place.arn(name)).into();
                entry.aliases.insert(alias, Alias::new(arn, record));
            }
        }
    }

    fn shared_log_group(&self, entry: &FunctionEntry, name: &str, config: &Configuration) -> Arc<str> {
        let group = log_group(name, config);
        if group == entry.log_group { Arc::clone(&entry.log_group) } else { group }
    }

    fn state(
        &mut self,
        name: &str,
        key: FunctionKey,
        id: VersionId,
        record: &VersionRecord,
        before: Option<&EntryState>,
        log_group: &Arc<str>,
    ) -> EntryState {
        match &record.state {
            State::Pending if id != VersionId::Latest && record.awaits_snapshot() => {}
            State::Pending => return EntryState::Pending,
            State::Failed(_, text) => return EntryState::Failed { text: text.clone() },
            State::Active => {}
        }
        let serving = serving(record);
        let config = serving.config;
        let Code::Zip(code) = serving.code else { return EntryState::Unfit(Unfit::Image) };
        if config.architecture != self.architecture {
            let of_version = config.architecture.clone();
            return EntryState::Unfit(Unfit::Architecture { of_version, of_machine: self.architecture });
        }
        let made_of = made_of(&serving, code);
        let waits = record.state == State::Pending;
        let initialization =
            if waits || record.optimized { Initialization::SnapStart } else { Initialization::OnDemand };
        let shown = |ready| if waits { EntryState::Optimizing(ready) } else { EntryState::Ready(ready) };
        match before.and_then(EntryState::made) {
            Some(ready) if ready.made_of == made_of && ready.spec.initialization == initialization => {
                shown(Arc::clone(ready))
            }
            _ => {
                let spec = Arc::new(VersionSpec { initialization, ..self.spec(name, id, &serving, code, log_group) });
                let qualified_arn = format!("{}:{id}", spec.function_arn).into();
                let metrics = self.metrics.function(name);
                shown(Arc::new(Ready {
                    key,
                    version: id,
                    spec,
                    qualified_arn,
                    made_of,
                    metrics,
                    tracing: config.tracing,
                    per_tenant: config.per_tenant,
                    sampler: Sampler::default(),
                }))
            }
        }
    }

    fn spec(
        &mut self,
        name: &str,
        id: VersionId,
        serving: &Runs<'_>,
        code: &CodeRef,
        log_group: &Arc<str>,
    ) -> VersionSpec {
        let config = serving.config;
        VersionSpec {
            generation: self.generations.next(),
            function: name.into(),
            function_arn: self.place.arn(name).to_string().into(),
            version: match id {
                VersionId::Latest => Arc::clone(&self.latest),
                VersionId::Number(number) => number.to_string().into(),
            },
            runtime: config.runtime.clone().unwrap_or_default(),
            runtime_version: serving.runtime_update.pinned().cloned(),
            handler: config.handler.clone().unwrap_or_default(),
            memory_mb: config.memory_mb,
            timeout_s: config.timeout_s,
            ephemeral_mb: config.ephemeral_mb,
            role: config.role.as_str().into(),
            variables: config.variables.clone().unwrap_or_default(),
            code: code.digest,
            layers: config.layers.iter().map(|layer| layer.code.digest).collect(),
            log_group: Arc::clone(log_group),
            log_format: config.logging.format,
            region: Arc::clone(&self.place.region),
            initialization: Initialization::OnDemand,
            tenant: None,
        }
    }
}

fn set_url(entry: &mut FunctionEntry, owner: UrlOwner, record: Option<Box<UrlConfig>>, turnover: &mut Turnover) {
    let before = entry.urls.remove(&owner.qualifier);
    turnover.urls.extend(before.map(|config| (config.id.clone(), None)));
    if let Some(config) = record {
        entry.urls.insert(owner.qualifier.clone(), Arc::from(config.clone()));
        turnover.urls.push((config.id, Some(owner)));
    }
}

/// A policy that cannot be read lets nobody in.
fn set_policy(entry: &mut FunctionEntry, name: &str, qualifier: String, record: Option<&Policy>) {
    entry.policies.remove(&qualifier);
    match record.map(|policy| Document::parse(&policy.document(), Kind::Resource)) {
        Some(Ok(document)) => drop(entry.policies.insert(qualifier, Arc::new(document))),
        Some(Err(cause)) => error!("the policy of {name}:{qualifier} cannot be read: {cause}"),
        None => {}
    }
}

/// A function's entry to change: a copy of the one that readers have, or the copy itself if this commit made one.
fn entry_of<'a>(functions: &'a mut Functions, name: &str) -> Option<&'a mut FunctionEntry> {
    functions.get_mut(name).map(Arc::make_mut)
}

fn delete_function(functions: &mut Functions, name: &str, turnover: &mut Turnover) {
    let Some(entry) = functions.get(name).map(Arc::clone) else { return };
    functions.remove_mut(name);
    turnover.retire.extend(entry.serving().map(|ready| ready.generation()));
    turnover.urls.extend(entry.urls.values().map(|config| (config.id.clone(), None)));
    turnover.reservation(entry.key, entry.reserved, None);
}

/// What new invokes run.
struct Runs<'a> {
    config: &'a Configuration,
    code: &'a Code,
    runtime_update: &'a RuntimeUpdate,
}

fn serving(record: &VersionRecord) -> Runs<'_> {
    match &record.serving {
        Some(serving) => Runs { config: &serving.config, code: &serving.code, runtime_update: &serving.runtime_update },
        None => Runs { config: &record.config, code: &record.code, runtime_update: &record.runtime_update },
    }
}

/// A digest stands for all of it, so that it is not kept a second time only to be compared.
fn made_of(serving: &Runs<'_>, code: &CodeRef) -> CodeDigest {
    // These records have no map with other keys than text, so they can always be written.
    let parts = (serving.config, code.digest, serving.runtime_update.pinned());
    CodeDigest::of(&serde_json::to_vec(&parts).unwrap_or_default())
}

fn log_group(name: &str, config: &Configuration) -> Arc<str> {
    config.logging.group.as_deref().map_or_else(|| format!("/aws/lambda/{name}").into(), Arc::from)
}

fn next(last: &mut u64) -> u64 {
    *last += 1;
    *last
}
