//! The server's side of an environment in a worker process: its connection.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_metrics::Runs;
use hearth_types::EnvironmentId;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::STREAM_PARTS;
use hearth_worker::{
    Answer, EnvironmentEvent, EnvironmentSink, GoneReason, InitPhases, Invocation, Parts, Reply, Streamed, WorkerError,
};
use http::HeaderValue;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use crate::message::{Call, FromEnvironment, ToEnvironment};
use crate::stream::{Flowing, flow};
use crate::wire;

/// An environment is given one invoke at a time, and an end.
const COMMANDS: usize = 4;
/// Time for a worker on this machine to take a connection.
const PATIENCE: Duration = Duration::from_secs(5);

type Frame = (ToEnvironment, Bytes);

/// What can be asked of an environment elsewhere.
pub(crate) struct Remote {
    id: EnvironmentId,
    commands: mpsc::Sender<Frame>,
    pending: Mutex<Pending>,
}

/// What is owed to those that wait for its invokes.
#[derive(Default)]
struct Pending {
    last: u64,
    calls: HashMap<u64, Reply>,
    /// Who hears of the runs of the last two: a new invoke may come before the last one is told of.
    runs: HashMap<u64, Arc<dyn Runs>>,
    /// Answers that have begun.
    streams: HashMap<u64, mpsc::Sender<Flowing>>,
    /// Nothing more comes of it.
    closed: bool,
}

/// What its connection is made from.
pub(crate) struct Beginning {
    commands: mpsc::Receiver<Frame>,
    first: Frame,
}

impl Remote {
    /// An environment that is still to be made, with its first invoke where it has one.
    pub(crate) fn new(id: EnvironmentId, spec: &VersionSpec, first: Option<Invocation>) -> (Arc<Self>, Beginning) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let remote = Self { id, commands: sender, pending: Mutex::default() };
        let (first, payload) = first.map(|first| remote.lock().owe(first)).unzip();
        let make = ToEnvironment::Make { id, spec: Box::new(spec.clone()), first };
        let payload = payload.unwrap_or_default();
        (Arc::new(remote), Beginning { commands, first: (make, payload) })
    }

    /// Gives it an invoke; one that has ended refuses it through its reply.
    pub(crate) fn invoke(&self, invocation: Invocation) {
        let mut pending = self.lock();
        if pending.closed {
            drop(pending);
            return invocation.reply.send(Err(WorkerError::Ended(self.id)));
        }
        let (call, payload) = pending.owe(invocation);
        let number = call.number;
        if self.commands.try_send((ToEnvironment::Invoke(call), payload)).is_err() {
            let owed = pending.calls.remove(&number);
            drop(pending);
            owed.into_iter().for_each(|reply| reply.send(Err(WorkerError::Ended(self.id))));
        }
    }

    /// Ends it once it has no invoke.
    pub(crate) fn stop(&self) {
        self.tell(ToEnvironment::Stop);
    }

    /// Ends it soon; it has no invoke.
    pub(crate) fn leave(&self) {
        self.tell(ToEnvironment::Leave);
    }

    fn tell(&self, message: ToEnvironment) {
        // Where there is no room for it, the connection is as good as ended.
        let _ = self.commands.try_send((message, Bytes::new()));
    }

    /// Replies to all that wait: it is no more.
    pub(crate) fn close(&self) {
        let owed = {
            let mut pending = self.lock();
            pending.closed = true;
            pending.streams.clear();
            std::mem::take(&mut pending.calls)
        };
        for reply in owed.into_values() {
            reply.send(Err(WorkerError::Ended(self.id)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn owe(&mut self, invocation: Invocation) -> (Call, Bytes) {
        self.last += 1;
        let (call, payload, reply, runs) = Call::of(self.last, invocation);
        self.calls.insert(self.last, reply);
        self.runs.retain(|number, _| number + 2 > self.last);
        self.runs.extend(runs.map(|runs| (self.last, runs)));
        (call, payload)
    }
}

/// Runs an environment in the worker that listens there, to its end. All its invokes have been replied to then.
pub(crate) async fn run(
    remote: &Remote,
    socket: &Path,
    beginning: Beginning,
    sink: &Arc<dyn EnvironmentSink>,
) -> GoneReason {
    let reason = match connect(socket).await {
        Ok(stream) => converse(remote, stream, beginning, sink).await,
        Err(error) => {
            tracing::warn!(environment = %remote.id, %error, "its worker takes no connection");
            Ok(GoneReason::Failed)
        }
    };
    remote.close();
    reason.unwrap_or_else(|error| {
        tracing::debug!(environment = %remote.id, %error, "its connection has ended");
        GoneReason::Stopped
    })
}

async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = tokio::time::timeout(PATIENCE, UnixStream::connect(socket)).await??;
    if wire::is_ours(&stream) {
        return Ok(stream);
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "somebody else listens there"))
}

async fn converse(
    remote: &Remote,
    stream: UnixStream,
    beginning: Beginning,
    sink: &Arc<dyn EnvironmentSink>,
) -> io::Result<GoneReason> {
    let (from, to) = stream.into_split();
    let (credits, granted) = mpsc::channel(STREAM_PARTS);
    tokio::select! {
        outcome = hear(remote, BufReader::new(from), sink, &credits) => outcome,
        outcome = say(to, beginning, granted) => outcome.map(|()| GoneReason::Stopped),
    }
}

/// Sends what is asked of it. What is large may wait here for the worker, and nothing that is heard waits behind it.
async fn say(
    mut to: OwnedWriteHalf,
    beginning: Beginning,
    mut granted: mpsc::Receiver<ToEnvironment>,
) -> io::Result<()> {
    let Beginning { mut commands, first: (make, payload) } = beginning;
    wire::write(&mut to, &make, &[payload]).await?;
    loop {
        let (message, body) = tokio::select! {
            biased;
            Some(command) = commands.recv() => command,
            Some(credit) = granted.recv() => (credit, Bytes::new()),
            else => return Ok(()),
        };
        wire::write(&mut to, &message, &[body]).await?;
    }
}

/// Passes on what it says, until it is gone.
async fn hear(
    remote: &Remote,
    mut from: BufReader<OwnedReadHalf>,
    sink: &Arc<dyn EnvironmentSink>,
    credits: &mpsc::Sender<ToEnvironment>,
) -> io::Result<GoneReason> {
    while let Some((message, body)) = wire::read(&mut from).await? {
        match message {
            FromEnvironment::Happened(event) => match event {
                EnvironmentEvent::Gone(id, reason) if id == remote.id => return Ok(reason),
                EnvironmentEvent::Answered(id)
                | EnvironmentEvent::Idle(id)
                | EnvironmentEvent::Prepared(id, _)
                | EnvironmentEvent::Down(id)
                    if id == remote.id =>
                {
                    sink.event(event);
                }
                _ => return Err(unexpected()),
            },
            FromEnvironment::Ran { number, run } => {
                let runs = remote.lock().runs.remove(&number);
                runs.iter().for_each(|runs| runs.ran(&run));
            }
            FromEnvironment::Reply { number, outcome } => {
                let owed = remote.lock().calls.remove(&number);
                let Some(reply) = owed else { return Err(unexpected()) };
                reply.send(outcome.map(|answered| answered.outcome(body)));
            }
            FromEnvironment::Begin { number, content_type, phases } => {
                begin(remote, number, content_type, phases, credits.clone())?;
            }
            FromEnvironment::Part { number } => {
                let stream = remote.lock().streams.get(&number).cloned();
                flowing(&stream.ok_or_else(unexpected)?, Flowing::Part(body))?;
            }
            FromEnvironment::End { number, failure, tail } => {
                let stream = remote.lock().streams.remove(&number);
                flowing(&stream.ok_or_else(unexpected)?, Flowing::End(failure.end(body, tail)))?;
            }
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// An answer in parts begins.
fn begin(
    remote: &Remote,
    number: u64,
    content_type: Option<String>,
    phases: Option<InitPhases>,
    credits: mpsc::Sender<ToEnvironment>,
) -> io::Result<()> {
    let (feed, parts) = Parts::fed(remote.id);
    // As many as there can be credits, and the end.
    let (stream, incoming) = mpsc::channel(STREAM_PARTS + 1);
    let reply = {
        let mut pending = remote.lock();
        let Some(Reply::Streamed(reply)) = pending.calls.remove(&number) else { return Err(unexpected()) };
        pending.streams.insert(number, stream);
        reply
    };
    let content_type = content_type.and_then(|text| HeaderValue::from_str(&text).ok());
    tokio::spawn(flow(number, feed, incoming, credits));
    let _ = reply.send(Ok(Answer::Streamed(Streamed { content_type, parts, phases })));
    Ok(())
}

fn flowing(stream: &mpsc::Sender<Flowing>, what: Flowing) -> io::Result<()> {
    match stream.try_send(what) {
        Err(mpsc::error::TrySendError::Full(_)) => Err(unexpected()),
        // Nobody wants it any more.
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
    }
}

fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the worker says what it cannot mean")
}
