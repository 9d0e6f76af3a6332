//! Runtimes that are started ahead of their function, and wait. Each is used once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hearth_runtimes::Ahead;
use hearth_sandbox::{Program, SandboxError, Spawner, Tmp, Waiting};
use hearth_types::limits::{AHEAD_CALM, EPHEMERAL_MIN_MB, INIT_TIMEOUT};
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot};

use crate::forecast::{Forecast, Likely, Step, There};
use crate::journal::output_pipe;
use crate::means::{Look, Means};
use crate::worker::StartedAhead;

/// The runtimes that wait.
pub(crate) struct Pool {
    spawner: Spawner,
    inner: Mutex<Inner>,
    /// Something is to be decided.
    changed: Notify,
    /// Environments that live: they, too, need sandboxes.
    living: AtomicUsize,
    /// Invokes of environments that were there.
    invokes: AtomicU64,
    /// The number of the last recall.
    recalls: AtomicU64,
}

struct Inner {
    forecast: Forecast<Arc<Ahead>>,
    /// One for each kind of which some are there.
    shelves: Vec<Shelf>,
    next: u64,
    taken: u64,
    /// How many there are to be.
    goal: usize,
    tending: Tending,
    /// The number of the recall that it goes by.
    recall: u64,
    closed: bool,
}

/// All of one kind.
struct Shelf {
    kind: Arc<Ahead>,
    /// The one that has waited longest first.
    ready: VecDeque<Entry>,
    starting: VecDeque<Entry>,
}

/// One that waits or is being started. A task has it; dropped, it is taken down.
struct Entry {
    id: u64,
    call: oneshot::Sender<oneshot::Sender<Ready>>,
}

/// Whether who decides looks again by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tending {
    /// He is about to.
    Awake,
    Until(Instant),
    /// Not before he is told.
    Asleep,
}

/// One that has been taken.
pub(crate) struct Ready {
    pub(crate) waiting: Waiting,
    /// What it writes.
    pub(crate) output: Arc<pipe::Receiver>,
}

impl Pool {
    /// At most `most` wait at a time because they were wanted or deployed lately, and so many of these kinds always. Needs a tokio
    /// runtime around it.
    pub(crate) fn open(spawner: Spawner, most: usize, stock: Vec<(Ahead, usize)>) -> Arc<Self> {
        let stock = stock.into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| (Arc::new(kind), count));
        let stock: Vec<_> = stock.collect();
        let closed = most == 0 && stock.is_empty();
        let inner = Inner {
            forecast: Forecast::new(most, stock),
            shelves: Vec::new(),
            next: 0,
            taken: 0,
            goal: 0,
            tending: Tending::Awake,
            recall: 0,
            closed,
        };
        let pool = Arc::new(Self {
            spawner,
            inner: Mutex::new(inner),
            changed: Notify::new(),
            living: AtomicUsize::new(0),
            invokes: AtomicU64::new(0),
            recalls: AtomicU64::new(0),
        });
        if !closed {
            tokio::spawn(Arc::clone(&pool).tend());
        }
        pool
    }

    pub(crate) fn count(&self) -> StartedAhead {
        let inner = self.lock();
        let waiting = inner.shelves.iter().map(|shelf| shelf.ready.len()).sum();
        StartedAhead { waiting, taken: inner.taken, wanted: inner.goal }
    }

    /// An environment begins to live, with one that waited or without.
    pub(crate) fn one_more_lives(&self) {
        self.living.fetch_add(1, Ordering::Relaxed);
    }

    /// One has gone.
    pub(crate) fn one_less_lives(&self) {
        self.living.fetch_sub(1, Ordering::Relaxed);
    }

    /// An environment that is there gets an invoke.
    pub(crate) fn invoked(&self) {
        self.invokes.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether what is deployed makes any wait.
    pub(crate) fn foresees(&self) -> bool {
        let inner = self.lock();
        !inner.closed && inner.forecast.has_room_for_wanted()
    }

    /// This function was deployed: its first start will look for one of this kind; for none where it cannot use any.
    pub(crate) fn deployed(&self, function: &Arc<str>, kind: Option<Ahead>) {
        let mut inner = self.lock();
        inner.forecast.deployed(function, kind.map(Arc::new), Instant::now());
        drop(inner);
        self.changed.notify_one();
    }

    /// Says of what [`Self::recalled`] brings that it is newer than all before.
    pub(crate) fn next_recall(&self) -> u64 {
        self.recalls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Environments of these versions are likely to be asked for, of all that were in use lately and are not there. What is older than
    /// what is known already is left.
    pub(crate) fn recalled(&self, number: u64, all: Vec<Likely<Ahead>>) {
        let mut kinds: Vec<Arc<Ahead>> = Vec::new();
        let mut shared = |kind: Ahead| match kinds.iter().find(|known| ***known == kind) {
            Some(known) => Arc::clone(known),
            None => {
                kinds.push(Arc::new(kind));
                Arc::clone(&kinds[kinds.len() - 1])
            }
        };
        let all = all.into_iter().map(|Likely { version, kind, count, look_ms }| Likely {
            version,
            kind: shared(kind),
            count,
            look_ms,
        });
        let all = all.collect();
        let mut inner = self.lock();
        if number > inner.recall {
            inner.recall = number;
            inner.forecast.recalled(all, Instant::now());
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// One of this kind, for this function: that has waited longest, else one that is being started. None where one has to be
    /// started for the function. Who has got one says with [`Self::settled`] what became of it.
    pub(crate) async fn take(&self, kind: &Ahead, function: &str) -> Option<Ready> {
        let (entry, met) = {
            let mut inner = self.lock();
            if inner.closed {
                return None;
            }
            inner.take(kind, function)
        };
        if !met {
            self.changed.notify_one();
        }
        let (call, answer) = oneshot::channel();
        entry?.call.send(call).ok()?;
        answer.await.ok()
    }

    /// One that was taken has become a function's, or is none. Only now what comes next is thought of: the function was to
    /// have the processors first.
    pub(crate) fn settled(&self, became_functions: bool) {
        let mut inner = self.lock();
        inner.taken += u64::from(became_functions);
        let looks_soon = match inner.tending {
            Tending::Awake => true,
            Tending::Until(when) => when <= Instant::now() + AHEAD_CALM,
            Tending::Asleep => false,
        };
        drop(inner);
        if !looks_soon {
            self.changed.notify_one();
        }
    }

    /// Lets all go; none waits from now on.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.goal = 0;
        let gone = std::mem::take(&mut inner.shelves);
        drop(inner);
        drop(gone);
        self.changed.notify_one();
    }

    /// Starts and ends what the forecast says, until the pool is closed.
    async fn tend(self: Arc<Self>) {
        let mut look = Look::now(0);
        let mut invokes = 0;
        loop {
            let now_invokes = self.invokes.load(Ordering::Relaxed);
            let held = self.lock().bytes();
            look = look.again(held);
            let means = look.means(self.living.load(Ordering::Relaxed));
            let step = {
                let mut inner = self.lock();
                if inner.closed {
                    return;
                }
                inner.step(means, now_invokes != invokes)
            };
            match step {
                Step::Start(kind) => {
                    invokes = now_invokes;
                    self.begin(kind);
                }
                Step::End(kind) => self.end(&kind),
                Step::Wait(None) => self.changed.notified().await,
                Step::Wait(Some(time)) => {
                    let _ = tokio::time::timeout(time, self.changed.notified()).await;
                }
            }
        }
    }

    fn begin(self: &Arc<Self>, kind: Arc<Ahead>) {
        let (call, called) = oneshot::channel();
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        inner.forecast.begun(Instant::now());
        inner.shelf(&kind).starting.push_back(Entry { id, call });
        drop(inner);
        tokio::spawn(Arc::clone(self).keep(id, kind, called));
    }

    fn end(&self, kind: &Arc<Ahead>) {
        let mut inner = self.lock();
        let shelf = inner.shelves.iter_mut().find(|shelf| shelf.kind == *kind);
        let entry = shelf.and_then(|shelf| shelf.ready.pop_front());
        inner.clear();
        drop(inner);
        drop(entry);
    }

    /// Starts one and has it until it is called for, let go, or ends by itself.
    async fn keep(self: Arc<Self>, id: u64, kind: Arc<Ahead>, mut called: oneshot::Receiver<oneshot::Sender<Ready>>) {
        let started = tokio::time::timeout(INIT_TIMEOUT, start(&self.spawner, &kind)).await;
        let error = match started {
            Ok(Ok(ready)) => {
                self.is_ready(id, &kind, ready.waiting.memory_peak_bytes().ok());
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
        if inner.closed || self.spawner.is_stopping() {
            return;
        }
        inner.forecast.failed(&kind, Instant::now());
        inner.forget(&kind, id);
        drop(inner);
        tracing::warn!(program = program(&kind), error, "a runtime is not started ahead");
        self.changed.notify_one();
    }

    fn is_ready(&self, id: u64, kind: &Arc<Ahead>, bytes: Option<u64>) {
        let mut inner = self.lock();
        if let Some(bytes) = bytes {
            inner.forecast.weighed(kind, bytes);
        }
        if let Some(shelf) = inner.shelves.iter_mut().find(|shelf| shelf.kind == *kind)
            && let Some(at) = shelf.starting.iter().position(|entry| entry.id == id)
        {
            shelf.ready.extend(shelf.starting.remove(at));
        }
        drop(inner);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// One of this kind, and whether it was ready.
    fn take(&mut self, kind: &Ahead, function: &str) -> (Option<Entry>, bool) {
        let shelf = self.shelves.iter_mut().find(|shelf| *shelf.kind == *kind);
        let Some(shelf) = shelf else {
            self.forecast.wanted(&Arc::new(kind.clone()), function, Instant::now(), false);
            return (None, false);
        };
        let ready = shelf.ready.pop_front();
        let met = ready.is_some();
        let entry = ready.or_else(|| shelf.starting.pop_front());
        let kind = Arc::clone(&shelf.kind);
        self.forecast.wanted(&kind, function, Instant::now(), entry.is_some());
        if !met {
            self.clear();
        }
        (entry, met)
    }

    fn bytes(&self) -> u64 {
        self.forecast.bytes(&self.there())
    }

    fn step(&mut self, means: Means, invoked: bool) -> Step<Arc<Ahead>> {
        let now = Instant::now();
        self.goal = self.forecast.goal(now, means);
        let step = self.forecast.step(now, &self.there(), means, invoked);
        self.tending = match &step {
            Step::Wait(None) => Tending::Asleep,
            Step::Wait(Some(time)) => Tending::Until(now + *time),
            Step::Start(_) | Step::End(_) => Tending::Awake,
        };
        step
    }

    fn there<'a>(&'a self) -> Vec<There<'a, Arc<Ahead>>> {
        let there =
            |Shelf { kind, ready, starting }: &'a Shelf| There { kind, ready: ready.len(), starting: starting.len() };
        self.shelves.iter().map(there).collect()
    }

    /// The shelf of a kind, with nothing on it where there was none.
    fn shelf(&mut self, kind: &Arc<Ahead>) -> &mut Shelf {
        let at = self.shelves.iter().position(|shelf| shelf.kind == *kind).unwrap_or_else(|| {
            let kind = Arc::clone(kind);
            self.shelves.push(Shelf { kind, ready: VecDeque::new(), starting: VecDeque::new() });
            self.shelves.len() - 1
        });
        &mut self.shelves[at]
    }

    fn forget(&mut self, kind: &Arc<Ahead>, id: u64) {
        let shelf = self.shelf(kind);
        shelf.ready.retain(|entry| entry.id != id);
        shelf.starting.retain(|entry| entry.id != id);
        self.clear();
    }

    /// Without what is empty: kinds come and go.
    fn clear(&mut self) {
        self.shelves.retain(|shelf| !(shelf.ready.is_empty() && shelf.starting.is_empty()));
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
    let made = spawner.make_ahead(Tmp::New { mb: EPHEMERAL_MIN_MB }).await?;
    let waiting = match kind.clone() {
        Ahead::Program { root, argv, env, cwd } => {
            let started = spawner.start(made, root).await?;
            spawner.launch(started, Program { argv, otherwise: None, env, cwd, output }).await?
        }
        Ahead::Process { root } => spawner.hold(spawner.start(made, root).await?, output).await?,
    };
    Ok(Ready { waiting, output: Arc::new(reader) })
}
