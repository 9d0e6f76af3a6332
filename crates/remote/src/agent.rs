//! The worker's side of its own connection: joining, log lines, identities, draining.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_identity::Credentials;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::{
    INSIDE_CONNECTIONS, LATELY_VERSIONS, SEGMENT_LETTERS, WORKER_LOG_BYTES, WORKER_LOG_LINES, WORKER_NUMBERS,
};
use hearth_worker::{
    Door, EnvironmentEvent, EnvironmentSink, Identities, Identity, InvokeSpan, LogSink, Segments, Soon, SpanSink,
    Worker,
};
use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::hosted::{self, Hosted};
use crate::message::{By, FromWorker, Join, Numbers, Opening, ToWorker, VERSION};
use crate::wire;

/// Between two attempts to join.
const AGAIN: Duration = Duration::from_millis(200);
/// Messages about itself that wait to be sent.
const MESSAGES: usize = 256;

/// What a worker joins with.
pub struct Joining {
    /// The server's socket.
    pub server: PathBuf,
    /// Its own, where the server connects to.
    pub listener: UnixListener,
    /// The name of that socket, which lies beside the server's.
    pub socket: String,
    /// What it calls itself.
    pub name: String,
    /// MB for all environments together.
    pub memory_mb: u64,
    /// Environments, at most.
    pub environments: u32,
}

/// Why a worker has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It was to leave, and nothing is left of it.
    Left,
    /// The server does not take it.
    Refused(String),
}

/// The worker's way to its server: hears of environments, takes log lines, asks for identities.
struct Agent {
    server: PathBuf,
    hosted: Arc<Hosted>,
    /// While it has joined.
    to: Mutex<Option<mpsc::Sender<FromWorker>>>,
    asked: Mutex<HashMap<u64, oneshot::Sender<Result<Known, String>>>>,
    last: AtomicU64,
    lines: mpsc::Sender<Line>,
    /// Bytes of lines that wait.
    line_bytes: AtomicUsize,
    lines_dropped: AtomicU64,
    segments: mpsc::Sender<Segments>,
    /// Segments that found no room, until the server is told.
    segments_lost: AtomicU64,
}

/// What waits to be told, beside messages.
struct Queues {
    lines: mpsc::Receiver<Line>,
    segments: mpsc::Receiver<Segments>,
}

/// Credentials, and what is shown to fetch them.
type Known = (Credentials, String);

struct Line {
    group: Arc<str>,
    stream: Arc<str>,
    timestamp_ms: i64,
    line: Bytes,
}

/// Joins the server with the worker that `make` makes, again whenever the server has been away, until `leave` says that it
/// is to go; then drains. Environments end with the server that they are of.
pub async fn join(
    joining: Joining,
    leave: watch::Receiver<bool>,
    make: impl FnOnce(Arc<dyn EnvironmentSink>, Arc<dyn LogSink>, Arc<dyn SpanSink>, Arc<dyn Identities>) -> Worker,
) -> Ended {
    let Joining { server, listener, socket, name, memory_mb, environments } = joining;
    let (lines, waiting) = mpsc::channel(WORKER_LOG_LINES);
    let (segments, letters) = mpsc::channel(SEGMENT_LETTERS);
    let queues = Queues { lines: waiting, segments: letters };
    let agent = Arc::new(Agent {
        server,
        hosted: Arc::default(),
        to: Mutex::default(),
        asked: Mutex::default(),
        last: AtomicU64::new(0),
        lines,
        line_bytes: AtomicUsize::new(0),
        lines_dropped: AtomicU64::new(0),
        segments,
        segments_lost: AtomicU64::new(0),
    });
    let worker = Arc::new(make(
        Arc::clone(&agent) as _,
        Arc::clone(&agent) as _,
        Arc::clone(&agent) as _,
        Arc::clone(&agent) as _,
    ));
    let taking = tokio::spawn(hosted::take(listener, Arc::clone(&agent.hosted), Arc::clone(&worker)));
    let pid = std::process::id();
    let opening = Opening::Join(Join { version: VERSION.to_owned(), pid, name, memory_mb, environments, socket });
    let ended = agent.stay(&opening, &worker, queues, leave).await;
    taking.abort();
    worker.drain().await;
    ended
}

impl Agent {
    async fn stay(
        self: &Arc<Self>,
        opening: &Opening,
        worker: &Arc<Worker>,
        mut queues: Queues,
        mut leave: watch::Receiver<bool>,
    ) -> Ended {
        let mut said = false;
        loop {
            match self.connect(opening).await {
                Ok(Ok((from, mut to))) => {
                    info!("joined");
                    said = false;
                    let (messages, waiting) = mpsc::channel(MESSAGES);
                    *self.to() = Some(messages);
                    let outcome = tokio::select! {
                        outcome = self.hear(from, worker) => outcome,
                        outcome = self.say(&mut to, waiting, &mut queues, worker, leave.clone()) => outcome.map(|()| false),
                    };
                    *self.to() = None;
                    self.asked().clear();
                    if outcome.is_ok_and(|drained| drained) {
                        self.say_last(&mut to, &mut queues).await;
                        return Ended::Left;
                    }
                    warn!("the server is gone, and with it all environments; waiting for it to come back");
                    worker.end_all().await;
                    worker.forget_all();
                }
                Ok(Err(why)) => return Ended::Refused(why),
                Err(error) if !std::mem::replace(&mut said, true) => {
                    warn!("waiting for the server at {}: {error}", self.server.display());
                }
                Err(_) => {}
            }
            if tokio::time::timeout(AGAIN, told(&mut leave)).await.is_ok() {
                return Ended::Left;
            }
        }
    }

    /// A connection over which the worker has been taken in, or why not.
    async fn connect(
        &self,
        opening: &Opening,
    ) -> io::Result<Result<(BufReader<OwnedReadHalf>, OwnedWriteHalf), String>> {
        let stream = UnixStream::connect(&self.server).await?;
        if !wire::is_ours(&stream) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the server is somebody else's"));
        }
        let (from, mut to) = stream.into_split();
        let mut from = BufReader::new(from);
        wire::write(&mut to, opening, &[]).await?;
        match wire::read(&mut from).await? {
            Some((ToWorker::Accepted, _)) => Ok(Ok((from, to))),
            Some((ToWorker::Refused(why), _)) => Ok(Err(why)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Does what the server says. True where nothing of this worker is left there.
    async fn hear(&self, mut from: BufReader<OwnedReadHalf>, worker: &Arc<Worker>) -> io::Result<bool> {
        let mut recalled = Vec::new();
        while let Some((message, _)) = wire::read(&mut from).await? {
            match message {
                ToWorker::Drained => return Ok(true),
                ToWorker::EndAll => {
                    let worker = Arc::clone(worker);
                    tokio::spawn(async move { worker.end_all().await });
                }
                ToWorker::Identity { number, identity } => {
                    if let Some(asked) = self.asked().remove(&number) {
                        let _ = asked.send(identity.map(Into::into));
                    }
                }
                ToWorker::Snapshot { number, spec } => {
                    let (worker, to) = (Arc::clone(worker), self.to().clone());
                    tokio::spawn(async move {
                        let outcome = worker.snapshot(&spec).await;
                        if let Some(to) = to {
                            let _ = to.send(FromWorker::Snapshot { number, outcome }).await;
                        }
                    });
                }
                ToWorker::Foresee { spec } => worker.foresee(&spec),
                ToWorker::Recall(recall) if recalled.len() < LATELY_VERSIONS => recalled.push(recall),
                ToWorker::Recall(_) => return Err(io::ErrorKind::InvalidData.into()),
                ToWorker::Recalled => worker.recall(std::mem::take(&mut recalled)),
                ToWorker::Forget { generation } => worker.forget(generation),
                ToWorker::Accepted | ToWorker::Refused(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        Ok(false)
    }

    /// Says what there is to say until the connection ends.
    async fn say(
        &self,
        to: &mut OwnedWriteHalf,
        mut messages: mpsc::Receiver<FromWorker>,
        queues: &mut Queues,
        worker: &Worker,
        mut leave: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let mut due = tokio::time::interval(WORKER_NUMBERS);
        let mut leaves = false;
        loop {
            tokio::select! {
                Some(message) = messages.recv() => wire::write(to, &message, &[]).await?,
                Some(line) = queues.lines.recv() => self.say_line(to, line).await?,
                Some(segments) = queues.segments.recv() => self.say_segments(to, segments).await?,
                () = told(&mut leave), if !leaves => {
                    leaves = true;
                    info!("draining");
                    wire::write(to, &FromWorker::Drain, &[]).await?;
                }
                _ = due.tick() => wire::write(to, &FromWorker::Numbers(self.numbers(worker)), &[]).await?,
            }
        }
    }

    async fn say_line(&self, to: &mut OwnedWriteHalf, line: Line) -> io::Result<()> {
        let Line { group, stream, timestamp_ms, line } = line;
        self.line_bytes.fetch_sub(line.len(), Ordering::Relaxed);
        wire::write(to, &FromWorker::Line { group, stream, timestamp_ms }, &[line]).await
    }

    async fn say_segments(&self, to: &mut OwnedWriteHalf, segments: Segments) -> io::Result<()> {
        let lost = segments.lost + self.segments_lost.swap(0, Ordering::Relaxed);
        // What one environment may send is far less than 4 GB.
        let lengths = segments.documents.iter().map(|document| document.len() as u32).collect();
        let spec = Box::new(VersionSpec::clone(&segments.spec));
        let message =
            FromWorker::Segments { spec, of: segments.of.clone(), until_ns: segments.until_ns, lost, lengths };
        wire::write(to, &message, &segments.documents).await
    }

    /// What the last invokes left.
    async fn say_last(&self, to: &mut OwnedWriteHalf, queues: &mut Queues) {
        while let Ok(segments) = queues.segments.try_recv() {
            if let Err(error) = self.say_segments(to, segments).await {
                return warn!("the last segments of traces do not get to the server: {error}");
            }
        }
        while let Ok(line) = queues.lines.try_recv() {
            if let Err(error) = self.say_line(to, line).await {
                return warn!("the last log lines do not get to the server: {error}");
            }
        }
    }

    fn numbers(&self, worker: &Worker) -> Numbers {
        let (ahead, disk) = (worker.started_ahead(), worker.disk());
        Numbers {
            descriptors: descriptors(),
            ahead_waiting: ahead.waiting as u64,
            ahead_taken: ahead.taken,
            ahead_wanted: ahead.wanted as u64,
            lines_dropped: self.lines_dropped.load(Ordering::Relaxed),
            disk_short: disk.short,
            disk_ended: disk.ended,
        }
    }

    async fn identify(&self, spec: &VersionSpec, by: By) -> Result<Identity, String> {
        let gone = || "the server is gone".to_owned();
        let to = self.to().clone().ok_or_else(gone)?;
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let (asked, answer) = oneshot::channel();
        self.asked().insert(number, asked);
        let spec = Box::new(spec.clone());
        to.send(FromWorker::Identify { number, spec, by }).await.map_err(|_| gone())?;
        let (credentials, token) = answer.await.map_err(|_| gone())??;
        let doorkeeper =
            Doorkeeper { server: self.server.clone(), access_key_id: credentials.access_key_id.clone(), to };
        let door: Door = Box::new(move |listener| Box::pin(doorkeeper.serve(listener)));
        Ok(Identity { credentials, token, door })
    }

    fn to(&self) -> MutexGuard<'_, Option<mpsc::Sender<FromWorker>>> {
        self.to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<Known, String>>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns once it is to go, or nobody is left who could say so.
async fn told(leave: &mut watch::Receiver<bool>) {
    let _ = leave.wait_for(|leave| *leave).await;
}

/// Open descriptors of this process.
#[must_use]
pub fn descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |all| all.count().saturating_sub(1) as u64)
}

impl EnvironmentSink for Agent {
    fn event(&self, event: EnvironmentEvent) {
        self.hosted.event(event);
    }
}

impl LogSink for Agent {
    fn line(&self, group: &Arc<str>, stream: &Arc<str>, timestamp_ms: i64, line: Bytes) {
        let bytes = line.len();
        let had = self.line_bytes.fetch_add(bytes, Ordering::Relaxed);
        let line = Line { group: Arc::clone(group), stream: Arc::clone(stream), timestamp_ms, line };
        if had + bytes > WORKER_LOG_BYTES || self.lines.try_send(line).is_err() {
            self.line_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.lines_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl SpanSink for Agent {
    fn span(&self, span: InvokeSpan) {
        // A trace that has no room is dropped.
        if let Some(to) = &*self.to() {
            let _ = to.try_send(FromWorker::Span(Box::new(span)));
        }
    }

    fn segments(&self, segments: Segments) {
        let count = segments.documents.len() as u64 + segments.lost;
        if self.segments.try_send(segments).is_err() {
            self.segments_lost.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl Identities for Agent {
    fn identity<'a>(&'a self, spec: &'a VersionSpec) -> Soon<'a, Result<Identity, String>> {
        Box::pin(self.identify(spec, By::Environment))
    }

    fn identity_of_template<'a>(&'a self, spec: &'a VersionSpec) -> Soon<'a, Result<Identity, String>> {
        Box::pin(self.identify(spec, By::Template))
    }
}

/// Passes on what the processes of one environment send to the server's API.
struct Doorkeeper {
    server: PathBuf,
    access_key_id: String,
    to: mpsc::Sender<FromWorker>,
}

impl Doorkeeper {
    async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(INSIDE_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            // A place first: who has none waits in the kernel's queue.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (server, access_key_id) = (self.server.clone(), self.access_key_id.clone());
                    connections.spawn(async move {
                        if let Err(error) = pass_on(stream, &server, access_key_id).await {
                            tracing::debug!(%error, "a function's connection to the server has ended");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!("accepting a function's connection: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

impl Drop for Doorkeeper {
    fn drop(&mut self) {
        let forget = FromWorker::Forget { access_key_id: std::mem::take(&mut self.access_key_id) };
        // What has no room waits for it: one such message of each environment. Without a runtime the worker is about to end,
        // and the server forgets all of them.
        if let (Err(TrySendError::Full(forget)), Ok(runtime)) = (self.to.try_send(forget), Handle::try_current()) {
            let to = self.to.clone();
            runtime.spawn(async move { to.send(forget).await });
        }
    }
}

async fn pass_on(mut inside: TcpStream, server: &std::path::Path, access_key_id: String) -> io::Result<()> {
    inside.set_nodelay(true)?;
    let mut outside = UnixStream::connect(server).await?;
    wire::write(&mut outside, &Opening::Door { access_key_id }, &[]).await?;
    tokio::io::copy_bidirectional(&mut inside, &mut outside).await.map(|_| ())
}
