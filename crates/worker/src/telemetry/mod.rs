//! The Telemetry API and the older Logs API of one environment (runtime contract, section 4): who listens, what waits
//! for them, and how it gets there.
//!
//! Extensions subscribe while the environment is initialised; what happened until then is kept for them and told, too.
//! Each subscriber has a buffer and a task that empties it, so that one which does not listen harms itself alone, and
//! nobody ever waits for one. Nothing is delivered while the environment is frozen.

mod api;
mod buffer;
mod delivery;
mod event;
mod forms;
mod link;
mod mailbox;
mod subscription;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hearth_types::limits::{TELEMETRY_HISTORY_BYTES, TELEMETRY_HISTORY_ITEMS};
use rustix::fd::OwnedFd;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::buffer::Lost;
use self::delivery::Patience;
use self::event::Written;
use self::mailbox::Mailbox;

pub(crate) use self::api::subscribe;
pub(crate) use self::event::Event;
pub(crate) use self::subscription::{Api, Kind, Subscription};

/// One environment's telemetry.
pub(crate) struct Telemetry {
    /// Whether anything need be told at all: somebody listens, or may yet.
    on: AtomicBool,
    /// Whether the environment's processes run.
    awake: watch::Sender<bool>,
    /// Whether the function writes its log in JSON.
    objects: bool,
    hub: Mutex<Hub>,
}

#[derive(Default)]
struct Hub {
    /// Some while subscriptions are taken.
    history: Option<History>,
    subscribers: Vec<Subscriber>,
}

/// What happened since the processes of now were begun.
#[derive(Default)]
struct History {
    events: VecDeque<Event>,
    bytes: usize,
    /// What had no room.
    lost: Lost,
}

struct Subscriber {
    /// The extension's.
    name: Arc<str>,
    api: Api,
    mailbox: Arc<Mailbox>,
    /// Ends with the subscription.
    _delivery: JoinSet<()>,
}

/// Subscriptions are taken during init only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Closed;

impl Telemetry {
    /// With nobody listening. `objects`: the function writes its log in JSON.
    pub(crate) fn new(objects: bool) -> Self {
        Self { on: AtomicBool::new(false), awake: watch::Sender::new(true), objects, hub: Mutex::default() }
    }

    /// Whether there is anybody to tell, now or later.
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// New processes are begun: whoever listened is gone, and subscriptions are taken.
    pub(crate) fn open(&self) {
        let mut hub = self.lock();
        *hub = Hub { history: Some(History::default()), subscribers: Vec::new() };
        self.awake.send_replace(true);
        self.on.store(true, Ordering::Relaxed);
    }

    /// Init is over: no subscriptions any more.
    pub(crate) fn close(&self) {
        let mut hub = self.lock();
        hub.history = None;
        self.on.store(!hub.subscribers.is_empty(), Ordering::Relaxed);
    }

    /// The processes are gone, and with them who listened.
    pub(crate) fn end(&self) {
        if self.is_on() {
            self.on.store(false, Ordering::Relaxed);
            *self.lock() = Hub::default();
        }
    }

    /// Tells what has happened.
    pub(crate) fn push(&self, event: Event) {
        let mut hub = self.lock();
        let now = Instant::now();
        let written = Written::new(&event, self.objects);
        for subscriber in &hub.subscribers {
            subscriber.mailbox.push(now, &written);
        }
        if let Some(history) = &mut hub.history {
            history.keep(event);
        }
    }

    /// Has somebody listen. What the extension subscribed to before, with the same interface, is no more.
    ///
    /// # Errors
    /// That init is over.
    pub(crate) fn subscribe(
        &self,
        api: Api,
        name: Arc<str>,
        wanted: Subscription,
        socket: OwnedFd,
    ) -> Result<(), Closed> {
        let mut hub = self.lock();
        let history = hub.history.as_ref().ok_or(Closed)?;
        let mailbox = Arc::new(Mailbox::new(wanted));
        let now = Instant::now();
        mailbox.lose(history.lost);
        for event in &history.events {
            mailbox.push(now, &Written::new(event, self.objects));
        }
        let mut delivery = JoinSet::new();
        delivery.spawn(delivery::deliver(Arc::clone(&mailbox), socket, self.awake.subscribe(), Patience::USUAL));
        let subscriber = Subscriber { name, api, mailbox, _delivery: delivery };
        match hub.subscribers.iter_mut().find(|known| (&known.name, known.api) == (&subscriber.name, api)) {
            Some(known) => *known = subscriber,
            None => hub.subscribers.push(subscriber),
        }
        Ok(())
    }

    /// Whether subscriptions are taken.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().history.is_some()
    }

    /// What waits is delivered now, whatever the subscribers' times are.
    pub(crate) fn flush(&self) {
        if self.is_on() {
            self.lock().subscribers.iter().for_each(|subscriber| subscriber.mailbox.flush());
        }
    }

    /// Whether all that was flushed is delivered or given up.
    pub(crate) fn is_settled(&self) -> bool {
        !self.is_on() || self.lock().subscribers.iter().all(|subscriber| subscriber.mailbox.is_settled())
    }

    /// Flushes, and returns once all is delivered or given up. For a time that the caller bounds.
    pub(crate) async fn settled(&self) {
        self.flush();
        let mailboxes: Vec<_> = self.lock().subscribers.iter().map(|known| Arc::clone(&known.mailbox)).collect();
        for mailbox in mailboxes {
            mailbox.settled().await;
        }
    }

    /// The environment's processes stand still from now on, or go on.
    pub(crate) fn set_awake(&self, awake: bool) {
        if self.is_on() {
            self.awake.send_replace(awake);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn keep(&mut self, event: Event) {
        let bytes = event.size();
        if self.events.len() < TELEMETRY_HISTORY_ITEMS && self.bytes + bytes <= TELEMETRY_HISTORY_BYTES {
            self.bytes += bytes;
            self.events.push_back(event);
        } else {
            self.lost.records += 1;
            self.lost.bytes += bytes as u64;
        }
    }
}
