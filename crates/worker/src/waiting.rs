//! Runtimes that are started ahead of their function, and wait. Each is used once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hearth_runtimes::Ahead;
use hearth_sandbox::{Program, SandboxError, Spawner, Tmp, Waiting};
use hearth_types::limits::{AHEAD_AVAILABLE_MB_EACH, EPHEMERAL_MIN_MB, INIT_TIMEOUT};
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot};

use crate::forecast::{Forecast, Step, There};
use crate::journal::output_pipe;
use crate::worker::StartedAhead;

/// How long what was found of the machine's memory holds.
const ROOM_HOLDS: Duration = Duration::from_secs(1);

/// The runtimes that wait.
pub(crate) struct Pool {
    spawner: Spawner,
    inner: Mutex<Inner>,
    /// Something is to be decided.
    changed: Notify,
}

struct Inner {
    forecast: Forecast<Ahead>,
    /// The oldest first.
    entries: Vec<Entry>,
    next: u64,
    taken: u64,
    closed: bool,
}

/// One that waits or is being started. A task has it; dropped, it is taken down.
struct Entry {
    id: u64,
    kind: Ahead,
    ready: bool,
    call: oneshot::Sender<oneshot::Sender<Ready>>,
}

/// One that has been taken.
pub(crate) struct Ready {
    pub(crate) waiting: Waiting,
    /// What it writes.
    pub(crate) output: Arc<pipe::Receiver>,
}

impl Pool {
    /// At most `most` wait at a time. Needs a tokio runtime around it.
    pub(crate) fn open(spawner: Spawner, most: usize) -> Arc<Self> {
        let inner = Inner { forecast: Forecast::new(most), entries: Vec::new(), next: 0, taken: 0, closed: most == 0 };
        let pool = Arc::new(Self { spawner, inner: Mutex::new(inner), changed: Notify::new() });
        if most > 0 {
            tokio::spawn(Arc::clone(&pool).tend());
        }
        pool
    }

    pub(crate) fn count(&self) -> StartedAhead {
        let inner = self.lock();
        let waiting = inner.entries.iter().filter(|entry| entry.ready).count();
        StartedAhead { waiting, taken: inner.taken }
    }

    /// One of this kind: that has waited longest, else one that is being started. None where one has to be started for
    /// the function.
    pub(crate) async fn take(&self, kind: &Ahead) -> Option<Ready> {
        let entry = {
            let mut inner = self.lock();
            if inner.closed {
                return None;
            }
            let find = |ready| move |entry: &Entry| entry.ready == ready && entry.kind == *kind;
            let ready = inner.entries.iter().position(find(true));
            inner.forecast.wanted(kind, Instant::now(), ready.is_some());
            let at = ready.or_else(|| inner.entries.iter().position(find(false)));
            at.map(|at| inner.entries.remove(at))
        };
        self.changed.notify_one();
        let (call, answer) = oneshot::channel();
        entry?.call.send(call).ok()?;
        answer.await.ok()
    }

    /// One has become a function's.
    pub(crate) fn taken(&self) {
        self.lock().taken += 1;
    }

    /// Lets all go; none waits from now on.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.entries.clear();
        drop(inner);
        self.changed.notify_one();
    }

    /// Starts and ends what the forecast says, until the pool is closed.
    async fn tend(self: Arc<Self>) {
        let mut room = Room::look();
        loop {
            room.look_again();
            let step = {
                let inner = self.lock();
                if inner.closed {
                    return;
                }
                let there = inner.entries.iter().map(|entry| There { kind: &entry.kind, ready: entry.ready });
                inner.forecast.step(Instant::now(), &there.collect::<Vec<_>>(), room.runtimes)
            };
            match step {
                Step::Start(kind) => self.begin(kind),
                Step::End(kind) => self.end(&kind),
                Step::Wait(None) => self.changed.notified().await,
                Step::Wait(Some(time)) => {
                    let _ = tokio::time::timeout(time, self.changed.notified()).await;
                }
            }
        }
    }

    fn begin(self: &Arc<Self>, kind: Ahead) {
        let (call, called) = oneshot::channel();
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        inner.entries.push(Entry { id, kind: kind.clone(), ready: false, call });
        drop(inner);
        tokio::spawn(Arc::clone(self).keep(id, kind, called));
    }

    fn end(&self, kind: &Ahead) {
        let mut inner = self.lock();
        let at = inner.entries.iter().position(|entry| entry.ready && entry.kind == *kind);
        drop(at.map(|at| inner.entries.remove(at)));
    }

    /// Starts one and has it until it is called for, let go, or ends by itself.
    async fn keep(self: Arc<Self>, id: u64, kind: Ahead, mut called: oneshot::Receiver<oneshot::Sender<Ready>>) {
        let started = tokio::time::timeout(INIT_TIMEOUT, start(&self.spawner, &kind)).await;
        let error = match started {
            Ok(Ok(ready)) => {
                self.is_ready(id);
                tokio::select! {
                    call = &mut called => {
                        // Whoever called may have gone, or nobody did: then it is dropped.
                        if let Ok(call) = call {
                            let _ = call.send(ready);
                        }
                        return;
                    }
                    () = ready.waiting.ended() => "it ended while it waited".to_owned(),
                }
            }
            // Nothing more is to be had of it, and who has it says why.
            Ok(Err(SandboxError::SpawnerGone)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it was not there after {INIT_TIMEOUT:?}"),
        };
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.forecast.failed(&kind, Instant::now());
        inner.entries.retain(|entry| entry.id != id);
        drop(inner);
        tracing::warn!(program = program(&kind), error, "a runtime is not started ahead");
        self.changed.notify_one();
    }

    fn is_ready(&self, id: u64) {
        if let Some(entry) = self.lock().entries.iter_mut().find(|entry| entry.id == id) {
            entry.ready = true;
        }
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the log: its variables are long.
fn program(kind: &Ahead) -> String {
    match kind {
        Ahead::Program { argv, .. } => argv.first().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
        Ahead::Process { .. } => "none yet".to_owned(),
    }
}

async fn start(spawner: &Spawner, kind: &Ahead) -> Result<Ready, SandboxError> {
    let failed = |source| SandboxError::Failed { what: "making a pipe for its output".to_owned(), source };
    let (reader, output) = output_pipe().map_err(failed)?;
    let made = spawner.make(Tmp::New { mb: EPHEMERAL_MIN_MB }).await?;
    let waiting = match kind.clone() {
        Ahead::Program { root, argv, env, cwd } => {
            let started = spawner.start(made, root).await?;
            spawner.launch(started, Program { argv, otherwise: None, env, cwd, output }).await?
        }
        Ahead::Process { root } => spawner.hold(spawner.start(made, root).await?, output).await?,
    };
    Ok(Ready { waiting, output: Arc::new(reader) })
}

/// For how many the machine has memory.
struct Room {
    runtimes: usize,
    looked: Instant,
}

impl Room {
    fn look() -> Self {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kb = text
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok());
        let runtimes = usize::try_from(kb.unwrap_or(0) / 1024 / AHEAD_AVAILABLE_MB_EACH).unwrap_or(usize::MAX);
        Self { runtimes, looked: Instant::now() }
    }

    /// Not at each decision: this is where cold starts pass.
    fn look_again(&mut self) {
        if self.looked.elapsed() >= ROOM_HOLDS {
            *self = Self::look();
        }
    }
}
