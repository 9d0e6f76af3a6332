//! The worker's side of its environments: a connection each.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hearth_metrics::{Run, Runs};
use hearth_types::EnvironmentId;
use hearth_types::limits::STREAM_PARTS;
use hearth_worker::{Answer, EnvironmentEvent, Invocation, Reply, Streamed, Worker, WorkerError};
use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::message::{Call, FromEnvironment, ToEnvironment};
use crate::stream::send_parts;
use crate::wire;

/// Events of one environment that wait to be sent: each invoke has two, and it has one invoke at a time.
const EVENTS: usize = 16;

type Frame = (FromEnvironment, Vec<Bytes>);

/// The environments here, and where their events go.
#[derive(Default)]
pub(crate) struct Hosted(Mutex<HashMap<EnvironmentId, mpsc::Sender<FromEnvironment>>>);

impl Hosted {
    /// Passes an event on to the environment's connection.
    pub(crate) fn event(&self, event: EnvironmentEvent) {
        let (id, is_last) = match event {
            EnvironmentEvent::Answered(id)
            | EnvironmentEvent::Idle(id)
            | EnvironmentEvent::Prepared(id, _)
            | EnvironmentEvent::Down(id) => (id, false),
            EnvironmentEvent::Gone(id, _) => (id, true),
        };
        let mut all = self.lock();
        let to = if is_last { all.remove(&id) } else { all.get(&id).cloned() };
        drop(all);
        if to.is_some_and(|to| to.try_send(FromEnvironment::Happened(event)).is_err()) {
            tracing::debug!(environment = %id, "its server hears no more of it");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EnvironmentId, mpsc::Sender<FromEnvironment>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes connections of the server, each an environment, for as long as the worker lives.
pub(crate) async fn take(listener: UnixListener, hosted: Arc<Hosted>, worker: Arc<Worker>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if wire::is_ours(&stream) => {
                let (hosted, worker) = (Arc::clone(&hosted), Arc::clone(&worker));
                tokio::spawn(async move {
                    if let Err(error) = host(stream, &hosted, &worker).await {
                        tracing::debug!(%error, "an environment's connection has ended");
                    }
                });
            }
            Ok(_) => tracing::warn!("somebody who is not this worker's user connected to it"),
            Err(error) => {
                tracing::warn!("accepting environments: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn host(stream: UnixStream, hosted: &Hosted, worker: &Worker) -> io::Result<()> {
    let (from, to) = stream.into_split();
    let mut from = BufReader::new(from);
    let Some((ToEnvironment::Make { id, spec, first }, payload)) = wire::read(&mut from).await? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let (events, heard) = mpsc::channel(EVENTS);
    let (answers, given) = mpsc::channel(STREAM_PARTS);
    let (gone, going) = watch::channel(false);
    let weak = events.downgrade();
    hosted.lock().insert(id, events);
    let mut connection = Connection { id, events: weak, answers: Some(answers), credits: HashMap::new() };
    let spec = Arc::new(*spec);
    match first {
        Some(first) => worker.create(id, spec, connection.invocation(first, payload)?),
        None => worker.prepare(id, spec),
    }
    let mut writing = tokio::spawn(say(to, heard, given, gone));
    let (written, ended) = tokio::select! {
        // Until then there may be parts of an answer to ask for, of an environment that is gone.
        written = &mut writing => (Some(written), Ok(())),
        ended = connection.hear(from, worker, going) => (None, ended),
    };
    // Whoever asked for it is gone: it ends when its invoke does.
    worker.stop(id);
    drop(connection);
    let written = match written {
        Some(written) => written,
        None => writing.await,
    };
    written.map_err(io::Error::other)?.and(ended)
}

/// Sends what happens, and answers. Gone is said last of all.
async fn say(
    mut to: OwnedWriteHalf,
    mut events: mpsc::Receiver<FromEnvironment>,
    mut answers: mpsc::Receiver<Frame>,
    gone: watch::Sender<bool>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            biased;
            event = events.recv() => {
                let Some(event) = event else { return Ok(()) };
                if let FromEnvironment::Happened(EnvironmentEvent::Gone(..)) = event {
                    gone.send_replace(true);
                    while let Some((message, body)) = answers.recv().await {
                        wire::write(&mut to, &message, &body).await?;
                    }
                    return wire::write(&mut to, &event, &[]).await;
                }
                wire::write(&mut to, &event, &[]).await?;
            }
            Some((message, body)) = answers.recv() => wire::write(&mut to, &message, &body).await?,
        }
    }
}

async fn is_gone(gone: &mut watch::Receiver<bool>) {
    let _ = gone.wait_for(|gone| *gone).await;
}

/// Tells the server of a run.
#[derive(Debug)]
struct Told {
    events: mpsc::WeakSender<FromEnvironment>,
    number: u64,
}

impl Runs for Told {
    fn ran(&self, run: &Run) {
        if let Some(events) = self.events.upgrade() {
            let _ = events.try_send(FromEnvironment::Ran { number: self.number, run: *run });
        }
    }
}

/// What an environment's connection has begun.
struct Connection {
    id: EnvironmentId,
    events: mpsc::WeakSender<FromEnvironment>,
    /// None once the environment is gone: what is still to be answered is the last that holds it then.
    answers: Option<mpsc::Sender<Frame>>,
    /// Of answers that may come in parts.
    credits: HashMap<u64, std::sync::Weak<Semaphore>>,
}

impl Drop for Connection {
    /// Nobody asks for parts any more: what waits for that would wait for ever.
    fn drop(&mut self) {
        self.credits.values().filter_map(std::sync::Weak::upgrade).for_each(|credits| credits.close());
    }
}

impl Connection {
    /// Does what is asked until nobody asks.
    async fn hear(
        &mut self,
        mut from: BufReader<OwnedReadHalf>,
        worker: &Worker,
        mut gone: watch::Receiver<bool>,
    ) -> io::Result<()> {
        loop {
            let Some((message, payload)) = self.next(&mut from, &mut gone).await? else { return Ok(()) };
            match message {
                ToEnvironment::Make { .. } => return Err(io::ErrorKind::InvalidData.into()),
                // The server hears that it is gone, and what that means for this one.
                ToEnvironment::Invoke(_) if self.answers.is_none() => {}
                ToEnvironment::Invoke(call) => worker.invoke(self.id, self.invocation(call, payload)?),
                ToEnvironment::Stop => worker.stop(self.id),
                ToEnvironment::Leave => worker.leave(self.id),
                ToEnvironment::More(number) => {
                    if let Some(credits) = self.credits_of(number) {
                        credits.add_permits(1);
                    }
                }
                ToEnvironment::Abandon(number) => {
                    if let Some(credits) = self.credits_of(number) {
                        credits.close();
                    }
                }
            }
        }
    }

    /// The next frame. Lets go of the answers on the way, once the environment is gone.
    async fn next(
        &mut self,
        from: &mut BufReader<OwnedReadHalf>,
        gone: &mut watch::Receiver<bool>,
    ) -> io::Result<Option<(ToEnvironment, Bytes)>> {
        let reading = wire::read(from);
        tokio::pin!(reading);
        tokio::select! {
            read = &mut reading => return read,
            () = is_gone(gone), if self.answers.is_some() => self.answers = None,
        }
        reading.await
    }

    fn credits_of(&self, number: u64) -> Option<Arc<Semaphore>> {
        self.credits.get(&number).and_then(std::sync::Weak::upgrade)
    }

    /// The invoke, whose answer goes back over this connection.
    fn invocation(&mut self, call: Call, payload: Bytes) -> io::Result<Invocation> {
        let (number, id) = (call.number, self.id);
        let answers = self.answers.clone().ok_or(io::ErrorKind::NotConnected)?;
        let runs = Arc::new(Told { events: self.events.clone(), number });
        if !call.streamed {
            let (reply, outcome) = oneshot::channel();
            tokio::spawn(async move {
                let outcome = outcome.await.unwrap_or(Err(WorkerError::Ended(id)));
                let _ = answers.send(FromEnvironment::reply(number, outcome)).await;
            });
            return Ok(call.invocation(payload, runs, Reply::Whole(reply)));
        }
        let (reply, answer) = oneshot::channel();
        let credits = Arc::new(Semaphore::new(0));
        self.credits.retain(|_, credits| credits.strong_count() > 0);
        self.credits.insert(number, Arc::downgrade(&credits));
        tokio::spawn(async move {
            let frame = match answer.await {
                Ok(Ok(Answer::Streamed(streamed))) => {
                    return stream(number, streamed, &credits, &answers).await;
                }
                Ok(Ok(Answer::Whole(outcome))) => FromEnvironment::reply(number, Ok(outcome)),
                Ok(Err(cause)) => FromEnvironment::reply(number, Err(cause)),
                Err(_) => FromEnvironment::reply(number, Err(WorkerError::Ended(id))),
            };
            let _ = answers.send(frame).await;
        });
        Ok(call.invocation(payload, runs, Reply::Streamed(reply)))
    }
}

async fn stream(number: u64, streamed: Streamed, credits: &Semaphore, answers: &mpsc::Sender<Frame>) {
    let Streamed { content_type, parts, phases } = streamed;
    let content_type = content_type.and_then(|value| value.to_str().ok().map(str::to_owned));
    if answers.send((FromEnvironment::Begin { number, content_type, phases }, Vec::new())).await.is_ok() {
        send_parts(number, parts, credits, answers).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: EnvironmentId = EnvironmentId(1);

    fn connection() -> (Connection, mpsc::Receiver<Frame>) {
        let (events, _) = mpsc::channel(EVENTS);
        let (answers, given) = mpsc::channel(STREAM_PARTS);
        let events = events.downgrade();
        (Connection { id: ID, events, answers: Some(answers), credits: HashMap::new() }, given)
    }

    #[tokio::test]
    async fn the_parts_of_one_that_is_gone_can_still_be_asked_for() {
        let (mut connection, mut given) = connection();
        let (here, mut there) = UnixStream::pair().unwrap();
        let mut from = BufReader::new(here.into_split().0);
        let (say_gone, mut gone) = watch::channel(true);
        let asked = async {
            assert!(given.recv().await.is_none(), "nothing else is to be answered");
            wire::write(&mut there, &ToEnvironment::More(3), &[]).await.unwrap();
        };
        let (next, ()) = tokio::join!(connection.next(&mut from, &mut gone), asked);
        assert!(matches!(next, Ok(Some((ToEnvironment::More(3), _)))));
        drop(say_gone);
    }

    #[tokio::test]
    async fn without_a_connection_nothing_waits_for_credit() {
        let (mut connection, _given) = connection();
        let credits = Arc::new(Semaphore::new(0));
        connection.credits.insert(1, Arc::downgrade(&credits));
        drop(connection);
        assert!(credits.acquire().await.is_err());
    }
}
