//! Carries out what the [`Fleet`] says: looks into the queues, hands messages to whoever works on them, waits.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hearth_clock::{Busy, Clock};
use hearth_store::{Look, Message, QueueStore};
use tokio::sync::{Notify, mpsc};
use tracing::error;

use crate::Timing;
use crate::turns::{Action, Bounds, Fleet, Input, Verdict};

/// A fleet and how it is reached.
pub struct Pollers {
    bounds: Bounds,
    timing: Timing,
    clock: Clock,
    arrivals: Mutex<Arrivals>,
    /// Something arrived, or it is to stop.
    changed: Notify,
    stopping: AtomicBool,
    /// Nothing is in work, and nothing will be.
    ended: Notify,
    has_ended: AtomicBool,
}

/// What has come and has not been taken in.
#[derive(Default)]
struct Arrivals {
    /// Queues that got messages, and when the earliest of these is due. As many as there are functions at most.
    queues: HashMap<Arc<str>, i64>,
    /// While there are any.
    busy: Option<Busy>,
}

/// Where messages come from and who works on them.
pub trait Work: Send + Sync + 'static {
    /// Where they come from.
    fn queues(&self) -> &dyn QueueStore;

    /// Works on a message until it is decided, durably, what becomes of it.
    fn work(&self, queue: &str, message: Message) -> impl Future<Output = Verdict> + Send;
}

/// What tasks tell the fleet.
enum Told {
    Looked(Arc<str>, Vec<Message>, Option<i64>),
    Input(Input),
}

impl Pollers {
    /// Of a fleet with nothing to do.
    #[must_use]
    pub fn new(bounds: Bounds, clock: Clock, timing: Timing) -> Self {
        Self {
            bounds,
            timing,
            clock,
            arrivals: Mutex::default(),
            changed: Notify::new(),
            stopping: AtomicBool::new(false),
            ended: Notify::new(),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Tells that a queue got a message that is due then.
    pub fn arrived(&self, queue: &str, due_ms: i64) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        match arrivals.queues.get_mut(queue) {
            Some(known) => *known = due_ms.min(*known),
            None => drop(arrivals.queues.insert(queue.into(), due_ms)),
        }
        arrivals.busy.get_or_insert_with(|| self.clock.busy());
        self.changed.notify_one();
    }

    /// Begins no more; returns when all that was begun has ended.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.changed.notify_one();
        while !self.has_ended.load(Ordering::Acquire) {
            self.ended.notified().await;
        }
    }

    /// Works until it is stopped.
    pub async fn run<W: Work>(&self, work: Arc<W>) {
        let mut fleet = Fleet::new(self.bounds, self.timing);
        // A task tells once for its look, and once for each message, and the fleet bounds these.
        let (tell, mut told) = mpsc::channel(self.bounds.pollers * 2 + 1);
        // There is always a sleeper at the time of the next tick, or somebody busy: no tick is stepped over.
        let mut armed = Some(i64::MAX);
        let mut sleep = std::pin::pin!(self.clock.rest_until_ms(self.clock.busy(), i64::MAX));
        let (mut _in_work, mut _begun) = (None, None);
        loop {
            let is_stopping = self.stopping.load(Ordering::Acquire);
            if is_stopping && fleet.used() == 0 {
                break;
            }
            let tick_ms = fleet.next_tick().filter(|_| !is_stopping).unwrap_or(i64::MAX);
            if armed != Some(tick_ms) {
                sleep.set(self.clock.rest_until_ms(self.clock.busy(), tick_ms));
                armed = Some(tick_ms);
            }
            _in_work = (fleet.used() > 0).then(|| self.clock.busy());
            _begun = None;
            let mut inputs = tokio::select! {
                biased;
                woken = &mut sleep => {
                    (armed, _begun) = (None, Some(woken));
                    vec![Input::Tick]
                }
                Some(first) = told.recv() => vec![self.input(&work, &tell, first)],
                () = self.changed.notified() => {
                    let taken = self.take_arrivals();
                    _begun = taken.busy;
                    taken.queues.into_iter().map(|(queue, due_ms)| Input::Arrived { queue, due_ms }).collect()
                }
            };
            // What ended together, as acknowledged by one flush, makes room for one look.
            while let Ok(more) = told.try_recv() {
                inputs.push(self.input(&work, &tell, more));
            }
            let actions = fleet.step(self.clock.now_ms(), inputs);
            if self.stopping.load(Ordering::Acquire) {
                self.decline(&mut fleet, actions);
            } else {
                actions.into_iter().for_each(|action| self.look(&work, &tell, action));
            }
        }
        self.has_ended.store(true, Ordering::Release);
        self.ended.notify_one();
    }

    fn take_arrivals(&self) -> Arrivals {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn input<W: Work>(&self, work: &Arc<W>, tell: &mpsc::Sender<Told>, told: Told) -> Input {
        match told {
            Told::Input(input) => input,
            Told::Looked(queue, _, next_ms) if self.stopping.load(Ordering::Acquire) => {
                Input::Looked { queue, messages: Vec::new(), next_ms }
            }
            Told::Looked(queue, messages, next_ms) => {
                let held = messages.iter().map(|message| (message.found.id, message.body.len())).collect();
                for message in messages {
                    self.begin(work, tell, &queue, message);
                }
                Input::Looked { queue, messages: held, next_ms }
            }
        }
    }

    fn begin<W: Work>(&self, work: &Arc<W>, tell: &mpsc::Sender<Told>, queue: &Arc<str>, message: Message) {
        let (work, tell, queue, id) = (Arc::clone(work), tell.clone(), Arc::clone(queue), message.found.id);
        tokio::spawn(async move {
            // In a task of its own, so that what panics is not for ever in work.
            let verdict = tokio::spawn({
                let (work, queue) = (Arc::clone(&work), Arc::clone(&queue));
                async move { work.work(&queue, message).await }
            });
            let verdict = verdict.await.unwrap_or(Verdict { refused: true, ..Verdict::default() });
            // Who does not listen has ended.
            let _ = tell.send(Told::Input(Input::Finished { queue, id, verdict })).await;
        });
    }

    fn look<W: Work>(&self, work: &Arc<W>, tell: &mpsc::Sender<Told>, action: Action) {
        let Action::Look { queue, skip, limit, bytes } = action;
        let (work, tell, until_ms) = (Arc::clone(work), tell.clone(), self.clock.now_ms());
        tokio::spawn(async move {
            let look = Look { queue: queue.to_string(), until_ms, skip, limit, bytes };
            let told = match work.queues().due(look).await {
                Ok(due) => Told::Looked(queue, due.messages, due.next_ms),
                Err(cause) => {
                    error!("{queue} cannot be looked at: {cause}");
                    Told::Input(Input::NotLooked { queue })
                }
            };
            let _ = tell.send(told).await;
        });
    }

    /// Looks that are not made any more.
    fn decline(&self, fleet: &mut Fleet, mut actions: Vec<Action>) {
        while let Some(Action::Look { queue, .. }) = actions.pop() {
            actions.extend(
                fleet.step(self.clock.now_ms(), [Input::Looked { queue, messages: Vec::new(), next_ms: None }]),
            );
        }
    }
}
