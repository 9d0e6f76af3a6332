//! The workers that have joined, on the server's side.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_scheduler::{Capacity, WorkerId};
use hearth_types::EnvironmentId;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::{WORKER_SILENCE, WORKERS_MAX};
use hearth_worker::{
    EnvironmentEvent, EnvironmentSink, GoneReason, Invocation, LogSink, Recall, SegmentRoom, Segments, SpanSink,
};
use tokio::io::BufReader;
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc, watch};
use tracing::{info, warn};

use crate::environment::{Remote, run};
use crate::message::{By, FromWorker, Join, Numbers, Opening, ToWorker, VERSION};
use crate::snapshots::Asked;
use crate::wire;
use crate::workers::{Dispatcher, Doors};

/// Time for the first frame of a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Answers that wait to be sent to a worker.
const ANSWERS: usize = 64;

/// The workers that have joined and their environments.
pub struct Hub {
    sink: Arc<dyn EnvironmentSink>,
    inner: Mutex<Inner>,
    /// Of environments: who has none in other processes need not look for them.
    count: AtomicUsize,
    /// An environment has gone, or a worker.
    changed: Notify,
    snapshots: Asked,
}

#[derive(Default)]
struct Inner {
    last: u64,
    workers: HashMap<WorkerId, Joined>,
    environments: HashMap<EnvironmentId, (WorkerId, Arc<Remote>)>,
}

struct Joined {
    info: WorkerInfo,
    /// Where it listens.
    socket: PathBuf,
    to: mpsc::Sender<ToWorker>,
    recalled: watch::Sender<Vec<Recall>>,
}

/// How a worker is told what there is to tell, and what was in use lately, of which only the last list counts.
type Ways = (mpsc::Sender<ToWorker>, watch::Sender<Vec<Recall>>);

/// A worker process as operators see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerInfo {
    /// Which.
    pub worker: WorkerId,
    /// What it calls itself.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// What it has said of itself last.
    pub numbers: Numbers,
}

impl Hub {
    pub(crate) fn new(sink: Arc<dyn EnvironmentSink>) -> Self {
        Self {
            sink,
            inner: Mutex::default(),
            count: AtomicUsize::new(0),
            changed: Notify::new(),
            snapshots: Asked::default(),
        }
    }

    /// The worker processes, the first to join first.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerInfo> {
        let mut all: Vec<_> = self.lock().workers.values().map(|joined| joined.info.clone()).collect();
        all.sort_by_key(|info| info.worker);
        all
    }

    /// Makes an environment there, with its first invoke where it has one.
    pub(crate) fn make(
        self: &Arc<Self>,
        worker: WorkerId,
        id: EnvironmentId,
        spec: &VersionSpec,
        first: Option<Invocation>,
    ) {
        let (remote, beginning) = Remote::new(id, spec, first);
        let socket = {
            let mut inner = self.lock();
            let socket = inner.workers.get(&worker).map(|joined| joined.socket.clone());
            if socket.is_some() {
                inner.environments.insert(id, (worker, Arc::clone(&remote)));
                self.count.store(inner.environments.len(), Ordering::Release);
            }
            socket
        };
        let Some(socket) = socket else {
            remote.close();
            return self.sink.event(EnvironmentEvent::Gone(id, GoneReason::Stopped));
        };
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            let reason = run(&remote, &socket, beginning, &hub.sink).await;
            {
                let mut inner = hub.lock();
                inner.environments.remove(&id);
                hub.count.store(inner.environments.len(), Ordering::Release);
            }
            hub.sink.event(EnvironmentEvent::Gone(id, reason));
            hub.changed.notify_waiters();
        });
    }

    /// Tells a worker that environments of this version are likely to be asked for. One that has much to hear is not told.
    pub(crate) fn foresee(&self, worker: WorkerId, spec: &VersionSpec) {
        if let Some(to) = self.way_to(worker) {
            let _ = to.try_send(ToWorker::Foresee { spec: Box::new(spec.clone()) });
        }
    }

    /// Tells a worker which environments are likely to be asked for again. What it has not been told yet of what was said before, it
    /// is not told any more.
    pub(crate) fn recall(&self, worker: WorkerId, all: Vec<Recall>) {
        if let Some(joined) = self.lock().workers.get(&worker) {
            joined.recalled.send_replace(all);
        }
    }

    /// An environment in another process.
    pub(crate) fn find(&self, id: EnvironmentId) -> Option<Arc<Remote>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.lock().environments.get(&id).map(|(_, remote)| Arc::clone(remote))
    }

    /// Who waits for a snapshot.
    pub(crate) fn snapshots(&self) -> &Asked {
        &self.snapshots
    }

    /// The way to a worker.
    pub(crate) fn way_to(&self, worker: WorkerId) -> Option<mpsc::Sender<ToWorker>> {
        self.lock().workers.get(&worker).map(|joined| joined.to.clone())
    }

    /// Ends all environments; returns when none is left.
    pub(crate) async fn end_all(&self) {
        let (workers, environments): (Vec<_>, Vec<_>) = {
            let inner = self.lock();
            let workers = inner.workers.values().map(|joined| joined.to.clone()).collect();
            (workers, inner.environments.values().map(|(_, remote)| Arc::clone(remote)).collect())
        };
        // By its own connection each: its worker may not have heard of it yet when it is told to end all.
        environments.iter().for_each(|remote| remote.stop());
        for to in workers {
            let _ = to.send(ToWorker::EndAll).await;
        }
        self.until(|inner| inner.environments.is_empty() || inner.workers.is_empty()).await;
    }

    /// Returns once so many have joined.
    pub async fn until_joined(&self, workers: usize) {
        self.until(|inner| inner.workers.len() >= workers).await;
    }

    /// Returns when it is so.
    async fn until(&self, is_so: impl Fn(&Inner) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable(); // From here on no change is missed.
            if is_so(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// A number for a worker, or why there is no place for it.
    fn admit(&self, join: &Join, socket: PathBuf, (to, recalled): Ways) -> Result<WorkerId, String> {
        if join.version != VERSION {
            return Err(format!("this server is of version {VERSION}, the worker of {}", join.version));
        }
        if !join.is_named() {
            return Err("a worker's name is 1 to 64 letters, digits, - and _".to_owned());
        }
        let mut inner = self.lock();
        if inner.workers.values().any(|joined| joined.info.name == join.name) {
            return Err(format!("a worker of the name {} has joined already: give this one another --name", join.name));
        }
        if inner.workers.len() >= WORKERS_MAX {
            return Err(format!("{WORKERS_MAX} workers have joined already"));
        }
        inner.last += 1;
        let worker = WorkerId(inner.last);
        let info = WorkerInfo { worker, name: join.name.clone(), pid: join.pid, numbers: Numbers::default() };
        inner.workers.insert(worker, Joined { info, socket, to, recalled });
        Ok(worker)
    }

    /// It is no more: what it ran is replied to.
    fn lost(&self, worker: WorkerId) {
        let lost: Vec<_> = {
            let mut inner = self.lock();
            inner.workers.remove(&worker);
            let lost =
                inner.environments.extract_if(|_, (on, _)| *on == worker).map(|(_, (_, remote))| remote).collect();
            self.count.store(inner.environments.len(), Ordering::Release);
            lost
        };
        lost.iter().for_each(|remote| remote.close());
        self.snapshots.lost(worker);
        self.changed.notify_waiters();
    }

    fn said(&self, worker: WorkerId, numbers: Numbers) {
        if let Some(joined) = self.lock().workers.get_mut(&worker) {
            joined.info.numbers = numbers;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What workers are taken in by.
struct House {
    dispatcher: Arc<Dispatcher>,
    doors: Arc<dyn Doors>,
    logs: Arc<dyn LogSink>,
    spans: Arc<dyn SpanSink>,
    segment_room: SegmentRoom,
    /// Where workers' sockets lie.
    folder: PathBuf,
    /// What the machine has, in MB.
    memory_mb: u64,
}

/// Takes in workers, and functions' connections from there, for as long as the server lives. Workers' own sockets lie in
/// `folder`; the machine has `memory_mb` MB.
pub async fn take_in(
    listener: UnixListener,
    dispatcher: Arc<Dispatcher>,
    doors: Arc<dyn Doors>,
    (logs, spans): (Arc<dyn LogSink>, Arc<dyn SpanSink>),
    folder: &Path,
    memory_mb: u64,
) {
    let house = Arc::new(House {
        dispatcher,
        doors,
        logs,
        spans,
        segment_room: SegmentRoom::default(),
        folder: folder.to_owned(),
        memory_mb,
    });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let house = Arc::clone(&house);
                tokio::spawn(async move {
                    if let Err(error) = house.receive(stream).await {
                        tracing::debug!(%error, "a worker's connection has ended");
                    }
                });
            }
            Err(error) => {
                warn!("accepting workers: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl House {
    async fn receive(&self, mut stream: UnixStream) -> io::Result<()> {
        if !wire::is_ours(&stream) {
            warn!("somebody who is not this server's user tried to join as a worker");
            return Ok(());
        }
        let opening = tokio::time::timeout(PATIENCE, wire::read(&mut stream)).await??;
        match opening {
            Some((Opening::Join(join), _)) => self.worker(join, stream).await,
            Some((Opening::Door { access_key_id }, _)) => {
                if let Some(serving) = self.doors.serve(&access_key_id, stream) {
                    serving.await;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A worker, from when it joins until it is lost or has drained.
    async fn worker(&self, join: Join, stream: UnixStream) -> io::Result<()> {
        let hub = self.dispatcher.worker().hub();
        let (from, mut to) = stream.into_split();
        let (answers, mut waiting) = mpsc::channel(ANSWERS);
        let (recalls, mut recalled) = watch::channel(Vec::new());
        // A name, not a path: what it listens on lies in the folder.
        let socket = self.folder.join(Path::new(&join.socket).file_name().unwrap_or_default());
        let worker = match hub.admit(&join, socket, (answers.clone(), recalls)) {
            Ok(worker) => worker,
            Err(why) => {
                warn!("the worker {} (process {}) is not taken in: {why}", join.name, join.pid);
                return wire::write(&mut to, &ToWorker::Refused(why), &[]).await;
            }
        };
        // From here on it is there, however this goes on.
        let Join { name, pid, memory_mb, environments, .. } = join;
        info!("the worker {name} (process {pid}) has joined: {memory_mb} MB, {environments} environments");
        self.dispatcher.join(worker, Capacity { memory_mb, environments });
        hub.changed.notify_waiters();
        self.warn_of_budgets();
        let writing = async {
            wire::write(&mut to, &ToWorker::Accepted, &[]).await?;
            loop {
                tokio::select! {
                    message = waiting.recv() => match message {
                        Some(message) => wire::write(&mut to, &message, &[]).await?,
                        None => return io::Result::Ok(()),
                    },
                    Ok(()) = recalled.changed() => {
                        let all = recalled.borrow_and_update().clone();
                        for recall in all {
                            wire::write(&mut to, &ToWorker::Recall(recall), &[]).await?;
                        }
                        wire::write(&mut to, &ToWorker::Recalled, &[]).await?;
                    }
                }
            }
        };
        let mut link = Link { house: self, worker, answers, keys: HashSet::new(), drains: false };
        let ended = tokio::select! {
            ended = link.hear(BufReader::new(from)) => ended,
            ended = writing => ended,
        };
        hub.lost(worker);
        self.dispatcher.lost(worker);
        link.keys.iter().for_each(|key| self.doors.forget(key));
        match (link.drains, ended) {
            (true, _) => info!("the worker {name} (process {pid}) has drained and gone"),
            (false, ended) => warn!("the worker {name} (process {pid}) is lost, with all that it ran: {ended:?}"),
        }
        Ok(())
    }

    /// Workers share the machine: what they may promise together should be there.
    fn warn_of_budgets(&self) {
        let promised: u64 = self.dispatcher.workers().iter().map(|view| view.capacity.memory_mb).sum();
        if promised > self.memory_mb {
            let machine = self.memory_mb;
            warn!("all workers may promise {promised} MB together, the machine has {machine}: lower --memory-budget");
        }
    }
}

/// The body's parts of these lengths, which are all of it.
fn parts(body: &Bytes, lengths: &[u32]) -> Option<Vec<Bytes>> {
    let mut rest = body.clone();
    let part = |length: &u32| {
        let length = *length as usize;
        (length <= rest.len()).then(|| rest.split_to(length))
    };
    let parts = lengths.iter().map(part).collect::<Option<Vec<_>>>()?;
    rest.is_empty().then_some(parts)
}

/// A worker's own connection.
struct Link<'a> {
    house: &'a House,
    worker: WorkerId,
    answers: mpsc::Sender<ToWorker>,
    /// Credentials of processes there.
    keys: HashSet<String>,
    drains: bool,
}

impl Link<'_> {
    async fn hear(&mut self, mut from: BufReader<OwnedReadHalf>) -> io::Result<()> {
        while let Some((message, body)) = tokio::time::timeout(WORKER_SILENCE, wire::read(&mut from)).await?? {
            match message {
                FromWorker::Drain => self.drain(),
                FromWorker::Line { group, stream, timestamp_ms } => {
                    self.house.logs.line(&group, &stream, timestamp_ms, body);
                }
                FromWorker::Identify { number, spec, by } => self.identify(number, &spec, by).await,
                FromWorker::Snapshot { number, outcome } => {
                    self.house.dispatcher.worker().hub().snapshots().answered(self.worker, number, outcome);
                }
                // Those of other workers are not its own to forget.
                FromWorker::Forget { access_key_id } => {
                    if self.keys.remove(&access_key_id) {
                        self.house.doors.forget(&access_key_id);
                    }
                }
                FromWorker::Span(mut span) => {
                    span.cause = span.cause.and_then(|cause| cause.received(&self.house.segment_room));
                    self.house.spans.span(*span);
                }
                FromWorker::Segments { spec, of, until_ns, lost, lengths } => {
                    let documents = parts(&body, &lengths).ok_or(io::ErrorKind::InvalidData)?;
                    let segments = Segments::new(Arc::from(spec), of, until_ns, documents, lost);
                    self.house.spans.segments(segments.received(&self.house.segment_room));
                }
                FromWorker::Numbers(numbers) => self.house.dispatcher.worker().hub().said(self.worker, numbers),
            }
        }
        Ok(())
    }

    async fn identify(&mut self, number: u64, spec: &VersionSpec, by: By) {
        let identity = self.house.doors.identify(spec, by).await;
        if let Ok((credentials, _)) = &identity {
            self.keys.insert(credentials.access_key_id.clone());
        }
        let _ = self.answers.send(ToWorker::Identity { number, identity: identity.map(Into::into) }).await;
    }

    /// No invoke is given to it any more; it may go when nothing of it is left.
    fn drain(&mut self) {
        if std::mem::replace(&mut self.drains, true) {
            return;
        }
        let (dispatcher, worker, answers) = (Arc::clone(&self.house.dispatcher), self.worker, self.answers.clone());
        dispatcher.drain_worker(worker);
        tokio::spawn(async move {
            let is_empty = |_: &Inner| {
                let views = dispatcher.workers();
                views.iter().all(|view| view.worker != worker || view.environments + view.stopping == 0)
            };
            dispatcher.worker().hub().until(is_empty).await;
            let _ = answers.send(ToWorker::Drained).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(hub: &Hub, name: &str) -> Result<WorkerId, String> {
        let (version, name, socket) = (VERSION.to_owned(), name.to_owned(), String::new());
        let join = Join { version, pid: 1, name, memory_mb: 1, environments: 1, socket };
        hub.admit(&join, PathBuf::new(), (mpsc::channel(ANSWERS).0, watch::channel(Vec::new()).0))
    }

    #[test]
    fn a_body_is_its_parts_and_nothing_else() {
        let body = Bytes::from_static(b"abc");
        assert_eq!(parts(&body, &[1, 0, 2]).unwrap(), ["a", "", "bc"]);
        assert!(parts(&body, &[1, 1]).is_none() && parts(&body, &[4]).is_none() && parts(&body, &[u32::MAX]).is_none());
        assert_eq!(parts(&Bytes::new(), &[]).unwrap(), [""; 0]);
    }

    #[test]
    fn a_name_is_one_workers_and_can_be_shown() {
        let hub = Hub::new(Arc::new(|_: EnvironmentEvent| {}));
        let first = admit(&hub, "w-1").unwrap();
        assert!(admit(&hub, "w-1").is_err_and(|why| why.contains("w-1 has joined already")));
        admit(&hub, "w-2").unwrap();
        hub.lost(first);
        admit(&hub, "w-1").unwrap();
        for name in ["", "a b", "a\nb", "\"", &"x".repeat(65)] {
            assert!(admit(&hub, name).is_err(), "{name:?}");
        }
    }
}
