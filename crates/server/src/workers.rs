//! The workers of a server: its own, and the way in for others.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hearth_logs::LogStore;
use hearth_metrics::{Kind, Text};
use hearth_remote::{Dispatcher, Doors, EMBEDDED, Numbers, SOCKET};
use hearth_runtimes::Catalogue;
use hearth_sandbox::{Disk, Spawner};
use hearth_scheduler::WorkerView;
use hearth_types::limits::LEAVING;
use hearth_worker::{Identities, LogSink, SpanSink, Worker, WorkerConfig};
use tokio::net::UnixListener;

use crate::keeper::Keeper;
use crate::node_args::{NodeArgs, StartPython};

/// What the worker in the server's own process is called.
pub(crate) const OWN: &str = "server";

/// The folder, in the data folder, of what worker processes have for themselves.
pub(crate) const FOLDER: &str = "workers";

/// Time for the server's own worker processes to start.
const JOINED: Duration = Duration::from_secs(60);

/// What a worker needs of the process that it is in.
pub(crate) struct WorkerParts {
    pub(crate) spawner: Spawner,
    pub(crate) catalogue: Catalogue,
    pub(crate) logs: Arc<dyn LogSink>,
    pub(crate) spans: Arc<dyn SpanSink>,
    pub(crate) identities: Arc<dyn Identities>,
}

/// A worker of at most so many environments as the command line wants it.
pub(crate) fn config(parts: WorkerParts, args: &NodeArgs, environments: u32, data: &Path) -> WorkerConfig {
    let WorkerParts { spawner, catalogue, logs, spans, identities } = parts;
    // Refused before, where it cannot be.
    let stock = catalogue.stock(&args.stock).unwrap_or_default();
    WorkerConfig {
        spawner,
        catalogue: Arc::new(catalogue),
        stock,
        leaving: LEAVING.min(environments / 2) as usize,
        logs,
        spans,
        identities,
        freeze_after: Duration::from_millis(args.freeze_after),
        stream_bandwidth: (args.stream_bandwidth > 0).then_some(args.stream_bandwidth * 1024 * 1024),
        packages: data.join("code"),
        ahead: usize::try_from(args.ahead).unwrap_or(0),
        interpreter_snapshots: args.start_python == StartPython::Snapshot,
    }
}

/// What its environments may be promised.
pub(crate) fn memory_budget_mb(args: &NodeArgs) -> u64 {
    args.memory_budget.unwrap_or_else(three_quarters_of_memory_mb)
}

/// MB. A machine that does not say how much it has gets the budget of a small one.
fn three_quarters_of_memory_mb() -> u64 {
    memory_mb() * 3 / 4
}

/// MB of the machine.
fn memory_mb() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total_kb = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .unwrap_or(2 * 1024 * 1024);
    total_kb / 1024
}

/// Log lines go to the store.
struct Lines(Arc<LogStore>);

impl LogSink for Lines {
    fn line(&self, group: &Arc<str>, stream: &Arc<str>, timestamp_ms: i64, line: Bytes) {
        self.0.append(group, stream, timestamp_ms, line);
    }

    fn line_quietly(&self, group: &Arc<str>, stream: &Arc<str>, timestamp_ms: i64, line: Bytes) {
        self.0.append_quietly(group, stream, timestamp_ms, line);
    }

    fn wake(&self) {
        self.0.wake();
    }
}

/// The way of log lines into the store.
pub(crate) fn lines(logs: &Arc<LogStore>) -> Arc<dyn LogSink> {
    Arc::new(Lines(Arc::clone(logs)))
}

/// Opens the socket in the data folder, which nobody but its owner and root can enter, and takes in who joins there.
///
/// # Errors
/// When it cannot be bound.
pub(crate) fn take_in(
    data: &Path,
    dispatcher: Arc<Dispatcher>,
    doors: Arc<dyn Doors>,
    sinks: (Arc<dyn LogSink>, Arc<dyn SpanSink>),
) -> Result<impl Future<Output = ()> + use<>> {
    let path = data.join(SOCKET);
    // The metadata file's lock is ours: no other server uses this one.
    close(data);
    let listener = UnixListener::bind(&path).context("binding the workers' socket")?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .context("the workers' socket")?;
    let folder = data.join(FOLDER);
    Ok(async move { hearth_remote::take_in(listener, dispatcher, doors, sinks, &folder, memory_mb()).await })
}

/// Returns once so many workers have joined: who asks the server then finds them.
///
/// # Errors
/// When they do not in time.
pub(crate) async fn until_joined(dispatcher: &Dispatcher, workers: u32, keeper: Option<&Keeper>) -> Result<()> {
    let joined = dispatcher.environments().hub().until_joined(workers as usize);
    tokio::select! {
        joined = tokio::time::timeout(JOINED, joined) => joined.with_context(|| {
            format!("not all of the {workers} worker processes have joined within {} s: see above why", JOINED.as_secs())
        }),
        () = lost(keeper) => bail!("the keeper of worker processes has ended: see above why"),
    }
}

/// Returns when nobody keeps the server's own workers any more.
pub(crate) async fn lost(keeper: Option<&Keeper>) {
    match keeper {
        Some(keeper) => keeper.closed().await,
        None => std::future::pending().await,
    }
}

/// A worker as operators see it.
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) view: WorkerView,
    pub(crate) descriptors: u64,
    pub(crate) lines_dropped: u64,
    /// Runtimes that were started ahead there, and wait.
    pub(crate) waiting: u64,
    /// Behind its environments' /tmps.
    pub(crate) disk: Disk,
}

/// All workers, this process's own first.
pub(crate) fn seen(dispatcher: &Dispatcher) -> Vec<Seen> {
    let joined = dispatcher.worker().hub().workers();
    let views = dispatcher.workers().into_iter();
    let seen = views.filter_map(|view| {
        if view.worker == EMBEDDED {
            let (name, pid, descriptors) = (OWN.to_owned(), std::process::id(), hearth_remote::descriptors());
            let own = dispatcher.worker().embedded();
            let disk = own.map(Worker::disk).unwrap_or_default();
            let waiting = own.map_or(0, |own| own.started_ahead().waiting as u64);
            return Some(Seen { name, pid, view, descriptors, lines_dropped: 0, waiting, disk });
        }
        let info = joined.iter().find(|info| info.worker == view.worker)?.clone();
        let Numbers { descriptors, lines_dropped, ahead_waiting: waiting, disk_short, disk_ended, .. } = info.numbers;
        let disk = Disk { short: disk_short, ended: disk_ended };
        Some(Seen { name: info.name, pid: info.pid, view, descriptors, lines_dropped, waiting, disk })
    });
    seen.collect()
}

/// How it stands with the disks behind the /tmps of all of them together.
pub(crate) fn disk(dispatcher: &Dispatcher) -> Disk {
    let disks = seen(dispatcher).into_iter().map(|worker| worker.disk);
    disks.fold(Disk::default(), |all, one| Disk { short: all.short || one.short, ended: all.ended + one.ended })
}

/// The same as JSON.
pub(crate) fn list(dispatcher: &Dispatcher) -> serde_json::Value {
    let all =
        seen(dispatcher).into_iter().map(|Seen { name, pid, view, descriptors, lines_dropped, waiting, disk }| {
            serde_json::json!({
                "Name": name,
                "Pid": pid,
                "State": if view.draining { "Draining" } else { "Active" },
                "MemoryMB": view.capacity.memory_mb,
                "UsedMemoryMB": view.memory_mb,
                "MaxEnvironments": view.capacity.environments,
                "Environments": view.environments,
                "IdleEnvironments": view.idle,
                "StoppingEnvironments": view.stopping,
                "WaitingRuntimes": waiting,
                "Descriptors": descriptors,
                "DroppedLogLines": lines_dropped,
                "DiskShort": disk.short,
                "EndedForDisk": disk.ended,
            })
        });
    serde_json::json!({ "Workers": all.collect::<Vec<_>>() })
}

/// The same for Prometheus.
pub(crate) fn write(dispatcher: &Dispatcher, text: &mut Text) {
    type Read = fn(&Seen) -> u64;
    const FAMILIES: &[(&str, Kind, &str, Read)] = &[
        ("hearth_worker_environments", Kind::Gauge, "Environments of a worker that are not ending.", |w| {
            w.view.environments.into()
        }),
        ("hearth_worker_idle_environments", Kind::Gauge, "Those of them that are idle.", |w| w.view.idle.into()),
        ("hearth_worker_memory_megabytes", Kind::Gauge, "What they may use together.", |w| w.view.memory_mb),
        ("hearth_worker_memory_budget_megabytes", Kind::Gauge, "What all of a worker's may.", |w| {
            w.view.capacity.memory_mb
        }),
        ("hearth_worker_runtimes_ahead", Kind::Gauge, "Runtimes that wait there, started ahead.", |w| w.waiting),
        ("hearth_worker_descriptors", Kind::Gauge, "Open descriptors of the worker's process.", |w| w.descriptors),
        ("hearth_worker_draining", Kind::Gauge, "1 where it takes no new environment.", |w| w.view.draining.into()),
        ("hearth_worker_disk_short", Kind::Gauge, "1 where the disk behind /tmp is short.", |w| w.disk.short.into()),
        ("hearth_worker_disk_ended_total", Kind::Counter, "Environments that were ended for that.", |w| w.disk.ended),
    ];
    let all = seen(dispatcher);
    for (name, kind, help, read) in FAMILIES {
        text.family(name, *kind, help);
        all.iter().for_each(|worker| text.number(name, &[("worker", &worker.name)], read(worker)));
    }
}

/// Removes the socket.
pub(crate) fn close(data: &Path) {
    // What is left is replaced at the next start.
    let _ = std::fs::remove_file(data.join(SOCKET));
}
