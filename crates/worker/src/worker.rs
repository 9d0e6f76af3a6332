//! The worker's calls and its environments by id.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_runtimes::{Ahead, Catalogue};
use hearth_sandbox::{Disk, Snapshot, Spawner};
use hearth_types::EnvironmentId;
use hearth_types::invoke::VersionSpec;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::api::{EnvironmentEvent, EnvironmentSink, Identities, Invocation, LogSink, Recall, WorkerError};
use crate::bring_up;
use crate::clock::Moment;
use crate::departures::Departures;
use crate::environment::{Environment, Shared};
use crate::forecast::Likely;
use crate::interpreters::Interpreters;
use crate::names::Resolver;
use crate::segments::SegmentRoom;
use crate::snapshots::Snapshots;
use crate::span::SpanSink;
use crate::supervisor::{Machine, supervise};
use crate::template::{NoSnapshot, write_down};
use crate::waiting::Pool;

/// What a worker is made of.
pub struct WorkerConfig {
    /// Makes sandboxes, with the catalogue's roots.
    pub spawner: Spawner,
    /// The machine's runtimes.
    pub catalogue: Arc<Catalogue>,
    /// Where log lines go.
    pub logs: Arc<dyn LogSink>,
    /// Where the spans of traced invokes go.
    pub spans: Arc<dyn SpanSink>,
    /// As whom functions call the server.
    pub identities: Arc<dyn Identities>,
    /// How long an environment is idle before it is frozen.
    pub freeze_after: std::time::Duration,
    /// Bytes a second of a streamed answer beyond its first [`hearth_types::limits::STREAM_BURST_BYTES`]; none is without
    /// bound.
    pub stream_bandwidth: Option<u64>,
    /// Where layers lie, unpacked, each in a folder named by its digest: `code/` of the data folder.
    pub packages: PathBuf,
    /// How many runtimes may wait, started ahead, for functions to come because such were wanted or deployed lately.
    pub ahead: usize,
    /// How many of these kinds always wait, from the start on, besides.
    pub stock: Vec<(Ahead, usize)>,
    /// How many environments that are to end may be there still because others start.
    pub leaving: usize,
    /// Whether functions may go on, where none waits, from an interpreter that was written down before it knew them, and so
    /// have its hash seed and memory layout in common.
    pub interpreter_snapshots: bool,
}

/// Environments and the way into them. Its calls return at once; what becomes of them is heard through the invokes'
/// replies and the sink. Needs a tokio runtime around it.
pub struct Worker {
    machine: Arc<Machine>,
    shared: Arc<Shared>,
    fleet: Arc<Fleet>,
    departures: Arc<Departures>,
}

/// Runtimes that were started ahead of their function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StartedAhead {
    /// Those that wait.
    pub waiting: usize,
    /// Those that became a function's, since the start of the worker.
    pub taken: u64,
    /// How many are to wait, as far as the machine has the means.
    pub wanted: usize,
}

/// The environments that live.
#[derive(Default)]
struct Fleet {
    environments: Mutex<HashMap<EnvironmentId, Arc<Environment>>>,
    /// One has gone.
    gone: Notify,
}

impl Worker {
    /// A worker without environments. `events` hears of what happens to them.
    #[must_use]
    pub fn new(config: WorkerConfig, events: Arc<dyn EnvironmentSink>) -> Self {
        let WorkerConfig {
            spawner,
            catalogue,
            logs,
            spans,
            identities,
            freeze_after,
            stream_bandwidth,
            packages,
            ahead,
            stock,
            leaving,
            interpreter_snapshots,
        } = config;
        let segment_room = SegmentRoom::default();
        let waiting = Pool::open(spawner.clone(), ahead, stock);
        let interpreters = interpreter_snapshots.then(|| Interpreters::new(spawner.clone()));
        Self {
            machine: Arc::new(Machine {
                spawner,
                catalogue,
                identities,
                names: Arc::new(Resolver::new(hearth_sandbox::name_servers)),
                waiting,
                packages,
                snapshots: Snapshots::default(),
                interpreters,
            }),
            shared: Arc::new(Shared { events, logs, spans, segment_room, freeze_after, stream_bandwidth }),
            departures: Departures::new(leaving),
            fleet: Arc::default(),
        }
    }

    /// What there is of runtimes started ahead.
    #[must_use]
    pub fn started_ahead(&self) -> StartedAhead {
        self.machine.waiting.count()
    }

    /// How it stands with the disk behind its environments' /tmps.
    #[must_use]
    pub fn disk(&self) -> Disk {
        self.machine.spawner.disk()
    }

    /// Makes an environment of this version and gives it its first invoke. Which id is free is the caller's to know.
    pub fn create(&self, id: EnvironmentId, spec: Arc<VersionSpec>, first: Invocation) {
        self.make(id, spec, Some(first));
    }

    /// Makes an environment of this version ahead of any invoke: its init is on nobody's time and no invoke's report
    /// has it. Ends with [`EnvironmentEvent::Prepared`], or with [`EnvironmentEvent::Gone`].
    pub fn prepare(&self, id: EnvironmentId, spec: Arc<VersionSpec>) {
        self.make(id, spec, None);
    }

    fn make(&self, id: EnvironmentId, spec: Arc<VersionSpec>, first: Option<Invocation>) {
        let runtime = self.machine.catalogue.find(&spec.runtime, spec.runtime_version.as_ref()).ok().cloned();
        let stream = stream_name(Moment::now(), &spec).into();
        let environment = Arc::new(Environment::new(id, spec, runtime, stream, Arc::clone(&self.shared), first));
        self.fleet.lock().insert(id, Arc::clone(&environment));
        self.machine.waiting.one_more_lives();
        self.departures.one_starts();
        let (machine, fleet) = (Arc::clone(&self.machine), Arc::clone(&self.fleet));
        tokio::spawn(async move {
            let events = Arc::clone(&environment.shared.events);
            let reason = supervise(environment, Arc::clone(&machine)).await;
            machine.waiting.one_less_lives();
            fleet.lock().remove(&id);
            fleet.gone.notify_waiters();
            events.event(EnvironmentEvent::Gone(id, reason));
        });
    }

    /// Environments of this version, which was just deployed, are likely to be asked for: has a runtime wait for them where one
    /// can, as far as any are started ahead.
    pub fn foresee(&self, spec: &VersionSpec) {
        let machine = Arc::clone(&self.machine);
        if machine.waiting.foresees() {
            let spec = spec.clone();
            // Who deploys has his answer first.
            tokio::spawn(async move {
                let kind = bring_up::foreseen(&machine, &spec);
                machine.waiting.deployed(&spec.function, kind);
            });
        }
    }

    /// Environments of these versions were in use lately and are not there, and are likely to be asked for again: has runtimes
    /// wait for them where they can, as far as any are started ahead. What was said before counts no more. What was in use
    /// last comes last.
    pub fn recall(&self, all: Vec<Recall>) {
        let machine = Arc::clone(&self.machine);
        if machine.waiting.foresees() {
            let number = machine.waiting.next_recall();
            tokio::spawn(async move {
                let likely = |Recall { spec, count, look_ms }| {
                    let kind = bring_up::foreseen(&machine, &spec)?;
                    let version = format!("{}:{}", spec.function, spec.version).into();
                    Some(Likely { version, kind, count: count as usize, look_ms })
                };
                machine.waiting.recalled(number, all.into_iter().filter_map(likely).collect());
            });
        }
    }

    /// Has a version's snapshot ready, from which its environments will go on: initialises it, where there is none yet.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn snapshot(&self, spec: &VersionSpec) -> Result<(), NoSnapshot> {
        self.machine.snapshot(&self.shared.logs, spec).await.map(drop)
    }

    /// Lets a version's snapshot go that no further environment will start from.
    pub fn forget(&self, generation: u64) {
        self.machine.snapshots.forget(generation);
    }

    /// Lets all snapshots go: whoever numbered the versions is gone.
    pub fn forget_all(&self) {
        self.machine.snapshots.forget_all();
    }

    /// Gives an invoke to an environment that is idle. One that has ended refuses it through its reply.
    pub fn invoke(&self, id: EnvironmentId, invocation: Invocation) {
        match self.find(id) {
            Some(environment) => {
                self.machine.waiting.invoked();
                environment.invoke(invocation);
            }
            None => {
                invocation.reply.send(Err(WorkerError::Ended(id)));
            }
        }
    }

    /// Ends an environment once the invoke that it may have is over.
    pub fn stop(&self, id: EnvironmentId) {
        if let Some(environment) = self.find(id) {
            environment.stop();
        }
    }

    /// Ends an environment that has no invoke soon: as long as others start they have the processors first, for
    /// [`hearth_types::limits::LEAVE_WITHIN`] at most.
    pub fn leave(&self, id: EnvironmentId) {
        if let Some(environment) = self.find(id) {
            self.departures.add(environment);
        }
    }

    fn find(&self, id: EnvironmentId) -> Option<Arc<Environment>> {
        self.fleet.lock().get(&id).map(Arc::clone)
    }

    /// Ends all environments, and what was started ahead, for good.
    pub async fn drain(&self) {
        self.machine.waiting.close();
        self.end_all().await;
    }

    /// Ends all environments now and returns when nothing of them is left. An invoke in progress gets no answer of its
    /// function.
    pub async fn end_all(&self) {
        loop {
            let gone = self.fleet.gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable(); // From here on no end is missed.
            let all: Vec<_> = self.fleet.lock().values().map(Arc::clone).collect();
            if all.is_empty() {
                return;
            }
            for environment in all {
                environment.lock().killed = true;
                environment.wake.notify_one();
            }
            gone.await;
        }
    }
}

impl Machine {
    /// A version's snapshot; made now where there is none.
    pub(crate) async fn snapshot(
        &self,
        logs: &Arc<dyn LogSink>,
        spec: &VersionSpec,
    ) -> Result<Arc<Snapshot>, NoSnapshot> {
        let make = async || {
            let stream = stream_name(Moment::now(), spec).into();
            write_down(self, Arc::clone(logs), stream, spec).await
        };
        self.snapshots.get(spec, make).await
    }
}

impl Fleet {
    fn lock(&self) -> MutexGuard<'_, HashMap<EnvironmentId, Arc<Environment>>> {
        self.environments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `YYYY/MM/DD/[VERSION]32hex`; in a group that several functions may share, with the name before the version.
fn stream_name(now: Moment, spec: &VersionSpec) -> String {
    let is_own = spec.log_group.strip_prefix("/aws/lambda/") == Some(&*spec.function);
    let (name, version) = (if is_own { "" } else { &*spec.function }, &spec.version);
    let time = jiff::Timestamp::from_millisecond(now.wall_ms).unwrap_or_default();
    let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
    let (year, month, day) = (date.year(), date.month(), date.day());
    format!("{year:04}/{month:02}/{day:02}/{name}[{version}]{}", Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(group: &str, version: &str) -> VersionSpec {
        VersionSpec { version: version.into(), log_group: group.into(), ..crate::test_support::spec() }
    }

    #[test]
    fn streams_are_named_by_day_and_version() {
        let now = Moment { at: std::time::Instant::now(), wall_ms: 1_709_640_000_000 };
        for (group, version, start) in [
            ("/aws/lambda/f", "$LATEST", "2024/03/05/[$LATEST]"),
            ("/aws/lambda/f", "12", "2024/03/05/[12]"),
            ("shared", "12", "2024/03/05/f[12]"),
            ("/aws/lambda/ff", "12", "2024/03/05/f[12]"),
        ] {
            let name = stream_name(now, &spec(group, version));
            assert!(name.starts_with(start), "{name}");
            assert_eq!(name.len(), start.len() + 32);
        }
    }
}
