//! What can be invoked: every function's serving code and configuration, in memory, read without a lock.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hearth_scheduler::{FunctionKey, Generation};
use hearth_types::Place;
use hearth_types::function::{Code, CodeRef, Configuration, FunctionRecord, State};
use hearth_types::invoke::VersionSpec;

/// One change that a commit in the metadata store made.
#[derive(Clone, Copy, Debug)]
pub enum FunctionChange<'a> {
    /// The record is now this.
    Put(&'a FunctionRecord),
    /// There is no function of this name any more.
    Delete(&'a str),
}

/// A function as the front end knows it.
#[derive(Debug)]
pub(crate) struct FunctionEntry {
    pub(crate) key: FunctionKey,
    pub(crate) state: EntryState,
    log_group: Arc<str>,
}

/// Whether it can be invoked.
#[derive(Clone, Debug)]
pub(crate) enum EntryState {
    Pending,
    Failed { text: String },
    Ready(Arc<Ready>),
}

/// One generation that serves.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) key: FunctionKey,
    pub(crate) spec: Arc<VersionSpec>,
    /// The ARN with `:$LATEST`.
    pub(crate) qualified_arn: Arc<str>,
    /// What the generation was made of: an update that changes any of it makes a new one.
    config: Configuration,
    code: CodeRef,
}

impl Ready {
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.spec.generation)
    }
}

/// Why an image is not invoked.
const IMAGE: &str = "Container images cannot be run by this version of Hearth";

/// All functions by name.
pub(crate) type Functions = HashMap<Arc<str>, Arc<FunctionEntry>>;

/// All functions by name.
#[derive(Debug, Default)]
pub struct FunctionSnapshot {
    functions: ArcSwap<Functions>,
}

impl FunctionSnapshot {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<FunctionEntry>> {
        self.functions.load().get(name).cloned()
    }

    /// Where a function's log is; none where there is no such function.
    #[must_use]
    pub fn log_group(&self, name: &str) -> Option<Arc<str>> {
        self.functions.load().get(name).map(|entry| Arc::clone(&entry.log_group))
    }

    /// How many functions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.functions.load().len()
    }

    pub(crate) fn load(&self) -> Functions {
        Functions::clone(&self.functions.load())
    }

    pub(crate) fn store(&self, functions: Functions) {
        self.functions.store(Arc::new(functions));
    }
}

/// Makes entries out of records. One at a time writes.
#[derive(Debug)]
pub(crate) struct Writer {
    place: Place,
    last_generation: u64,
    last_key: u64,
}

/// What a change means to the scheduler.
#[derive(Default, Debug)]
pub(crate) struct Turnover {
    /// Known to the scheduler before the snapshot shows them.
    pub(crate) deploy: Vec<Arc<Ready>>,
    /// Retired after the snapshot has let go of them.
    pub(crate) retire: Vec<Generation>,
}

impl Writer {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, last_generation: 0, last_key: 0 }
    }

    pub(crate) fn change(&mut self, functions: &mut Functions, change: FunctionChange<'_>, turnover: &mut Turnover) {
        match change {
            FunctionChange::Put(record) => {
                let name = record.name.as_str();
                let before = functions.get(name).cloned();
                let entry = self.entry(record, before.as_deref());
                let served = before.as_deref().and_then(ready);
                let serves = ready(&entry);
                if served.map(|ready| ready.generation()) != serves.map(|ready| ready.generation()) {
                    turnover.deploy.extend(serves.cloned());
                    turnover.retire.extend(served.map(|ready| ready.generation()));
                }
                functions.insert(name.into(), Arc::new(entry));
            }
            FunctionChange::Delete(name) => {
                let before = functions.remove(name);
                turnover.retire.extend(before.as_deref().and_then(ready).map(|ready| ready.generation()));
            }
        }
    }

    fn entry(&mut self, record: &FunctionRecord, before: Option<&FunctionEntry>) -> FunctionEntry {
        let version = &record.latest;
        let (config, code) = match &version.serving {
            Some(serving) => (&serving.config, &serving.code),
            None => (&version.config, &version.code),
        };
        let key = before.map_or_else(|| FunctionKey(next(&mut self.last_key)), |entry| entry.key);
        let state = match &version.state {
            State::Pending => EntryState::Pending,
            State::Failed(_, text) => EntryState::Failed { text: text.clone() },
            State::Active => match (code, before.and_then(ready)) {
                (Code::Image { .. }, _) => EntryState::Failed { text: IMAGE.to_owned() },
                (Code::Zip(code), Some(ready)) if ready.config == *config && ready.code == *code => {
                    EntryState::Ready(Arc::clone(ready))
                }
                (Code::Zip(code), _) => {
                    EntryState::Ready(Arc::new(self.ready(record.name.as_str(), key, config, code)))
                }
            },
        };
        FunctionEntry { key, state, log_group: log_group(record.name.as_str(), config) }
    }

    fn ready(&mut self, name: &str, key: FunctionKey, config: &Configuration, code: &CodeRef) -> Ready {
        let arn = self.place.arn(name).to_string();
        let spec = VersionSpec {
            generation: next(&mut self.last_generation),
            function: name.into(),
            function_arn: arn.as_str().into(),
            version: "$LATEST".into(),
            runtime: config.runtime.clone().unwrap_or_default(),
            handler: config.handler.clone().unwrap_or_default(),
            memory_mb: config.memory_mb,
            timeout_s: config.timeout_s,
            ephemeral_mb: config.ephemeral_mb,
            variables: config.variables.clone().unwrap_or_default(),
            code: code.digest,
            layers: config.layers.iter().map(|layer| layer.code.digest).collect(),
            log_group: log_group(name, config),
            log_format: config.logging.format,
            region: Arc::clone(&self.place.region),
        };
        Ready {
            key,
            spec: Arc::new(spec),
            qualified_arn: format!("{arn}:$LATEST").into(),
            config: config.clone(),
            code: code.clone(),
        }
    }
}

fn ready(entry: &FunctionEntry) -> Option<&Arc<Ready>> {
    match &entry.state {
        EntryState::Ready(ready) => Some(ready),
        _ => None,
    }
}

fn next(last: &mut u64) -> u64 {
    *last += 1;
    *last
}

fn log_group(name: &str, config: &Configuration) -> Arc<str> {
    config.logging.group.as_deref().map_or_else(|| format!("/aws/lambda/{name}").into(), Arc::from)
}
