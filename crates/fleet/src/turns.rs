//! Which queue the next poller works on. Pure: what has happened goes in, what is to be done comes out.
//!
//! Queues with something due stand in a ring and are served in turn; a turn takes some messages at most, so that each
//! queue gets its share whatever waits in the others. One queue may use a poller only while more are free than it uses
//! already: a flood takes half of them at most, and who comes after it finds one at once.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use hearth_store::MessageId;
use hearth_types::limits::{EVENT_FLEET_TURN, EVENT_FLEET_TURN_BYTES, EVENT_LANE_START};

use crate::Timing;

/// What a fleet may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Messages in work at a time.
    pub pollers: usize,
    /// Bytes of their bodies.
    pub bytes: usize,
}

/// What has happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A message was put that is due then.
    Arrived { queue: Arc<str>, due_ms: i64 },
    /// A look at a queue gave these messages; all of them are in work from now on.
    Looked { queue: Arc<str>, messages: Vec<(MessageId, usize)>, next_ms: Option<i64> },
    /// A look failed.
    NotLooked { queue: Arc<str> },
    /// A message is not in work any more.
    Finished { queue: Arc<str>, id: MessageId, verdict: Verdict },
    /// Time has passed.
    Tick,
}

/// How the work on a message ended, as far as its queue is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Whether the queue should be left alone for a while.
    pub refused: bool,
    /// When something of the queue is due that was not before: a retry, or an age that ends.
    pub again_ms: Option<i64>,
    /// How many at most may be in work, where that is known.
    pub ceiling: Option<usize>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Look for up to `limit` messages, `bytes` of them together, none of which is in `skip`.
    Look { queue: Arc<str>, skip: HashSet<MessageId>, limit: usize, bytes: usize },
}

/// A queue that has, or had, something to do.
#[derive(Debug)]
struct Lane {
    /// In work, with their bytes.
    held: HashMap<MessageId, usize>,
    /// What a look that is under way may bring: messages, bytes.
    looking: Option<(usize, usize)>,
    /// Something came while it was looked at.
    again: bool,
    /// Something due was left in the queue, for want of room.
    left: bool,
    /// Whether it stands in the ring.
    waiting: bool,
    /// When to look at it again, where that is known.
    wake_ms: Option<i64>,
    /// How many may be in work: found out, as the ways of the functions and of the machine change.
    limit: usize,
    ceiling: usize,
    /// Refusals in a row with nothing in work.
    refusals: u32,
}

impl Lane {
    fn new() -> Self {
        Self {
            held: HashMap::new(),
            looking: None,
            again: false,
            left: false,
            waiting: false,
            wake_ms: None,
            limit: EVENT_LANE_START,
            ceiling: usize::MAX,
            refusals: 0,
        }
    }

    /// Pollers that it uses.
    fn used(&self) -> usize {
        self.held.len() + self.looking.map_or(0, |(messages, _)| messages)
    }

    fn is_over(&self) -> bool {
        self.used() == 0 && !self.waiting && self.wake_ms.is_none()
    }
}

/// All queues that have something to do.
#[derive(Debug)]
pub(crate) struct Fleet {
    bounds: Bounds,
    timing: Timing,
    lanes: HashMap<Arc<str>, Lane>,
    /// Those with something due, in the order of their turns.
    ring: VecDeque<Arc<str>>,
    /// Those that are looked at again later.
    wakes: BTreeSet<(i64, Arc<str>)>,
    /// Pollers in use.
    used: usize,
    /// Bytes that are in memory, or may be.
    bytes: usize,
}

impl Fleet {
    pub(crate) fn new(bounds: Bounds, timing: Timing) -> Self {
        Self { bounds, timing, lanes: HashMap::new(), ring: VecDeque::new(), wakes: BTreeSet::new(), used: 0, bytes: 0 }
    }

    /// When [`Input::Tick`] is due, in milliseconds since 1970.
    pub(crate) fn next_tick(&self) -> Option<i64> {
        self.wakes.first().map(|(wake_ms, _)| *wake_ms)
    }

    /// Messages in work, and looks.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Takes in what has happened, all of it, then gives out turns.
    pub(crate) fn step(&mut self, now_ms: i64, inputs: impl IntoIterator<Item = Input>) -> Vec<Action> {
        for input in inputs {
            match input {
                Input::Arrived { queue, due_ms } => self.arrived(now_ms, &queue, due_ms),
                Input::Looked { queue, messages, next_ms } => self.looked(now_ms, &queue, messages, next_ms),
                Input::NotLooked { queue } => {
                    let due_ms = now_ms + self.timing.pause_ms(0);
                    self.looked(now_ms, &queue, Vec::new(), Some(due_ms));
                }
                Input::Finished { queue, id, verdict } => self.finished(now_ms, &queue, id, verdict),
                Input::Tick => {}
            }
        }
        self.wake(now_ms);
        self.serve()
    }

    fn arrived(&mut self, now_ms: i64, queue: &Arc<str>, due_ms: i64) {
        let lane = self.lanes.entry(Arc::clone(queue)).or_insert_with(Lane::new);
        if lane.looking.is_some() {
            lane.again = true;
        } else if due_ms > now_ms || lane.refusals > 0 {
            // Who was refused waits for the end of the pause, with whatever comes meanwhile.
            let refused = lane.refusals > 0;
            if !(refused && lane.wake_ms.is_some()) {
                self.wake_at(queue, due_ms);
            }
        } else {
            self.wait(queue);
        }
    }

    fn looked(&mut self, now_ms: i64, queue: &Arc<str>, messages: Vec<(MessageId, usize)>, next_ms: Option<i64>) {
        let Some(lane) = self.lanes.get_mut(queue) else { return };
        let (reserved, bytes) = lane.looking.take().unwrap_or_default();
        let found: usize = messages.iter().map(|(_, bytes)| bytes).sum();
        self.used = self.used - reserved + messages.len();
        self.bytes = self.bytes - bytes + found;
        lane.held.extend(messages);
        let again = std::mem::take(&mut lane.again);
        match next_ms {
            _ if again => self.wait(queue),
            Some(next_ms) if next_ms <= now_ms => self.wait(queue),
            Some(next_ms) => self.wake_at(queue, next_ms),
            None => self.tidy(queue),
        }
    }

    fn finished(&mut self, now_ms: i64, queue: &Arc<str>, id: MessageId, verdict: Verdict) {
        let Some(lane) = self.lanes.get_mut(queue) else { return };
        let Some(bytes) = lane.held.remove(&id) else { return };
        self.used -= 1;
        self.bytes -= bytes;
        lane.ceiling = verdict.ceiling.unwrap_or(usize::MAX).max(1);
        let in_work = lane.held.len();
        if !verdict.refused {
            lane.refusals = 0;
            lane.limit = lane.limit.saturating_add(1).min(self.bounds.pollers);
        } else if in_work > 0 {
            // As many as there was room for.
            (lane.limit, lane.left) = (in_work, true);
        } else {
            lane.limit = 1;
            let pause_ms = now_ms.saturating_add(self.timing.pause_ms(lane.refusals));
            lane.refusals = lane.refusals.saturating_add(1);
            let until_ms = verdict.again_ms.map_or(pause_ms, |again_ms| again_ms.clamp(now_ms + 1, pause_ms));
            self.pause(queue, until_ms);
            return;
        }
        let left = !verdict.refused && std::mem::take(&mut lane.left);
        if left {
            self.wait(queue);
        }
        if let Some(again_ms) = verdict.again_ms {
            self.wake_at(queue, again_ms);
        }
        self.tidy(queue);
    }

    /// Takes it out of the ring until then.
    fn pause(&mut self, queue: &Arc<str>, until_ms: i64) {
        let Some(lane) = self.lanes.get_mut(queue) else { return };
        if std::mem::take(&mut lane.waiting) {
            self.ring.retain(|other| other != queue);
        }
        if let Some(before) = lane.wake_ms.replace(until_ms) {
            self.wakes.remove(&(before, Arc::clone(queue)));
        }
        self.wakes.insert((until_ms, Arc::clone(queue)));
    }

    /// Lets it be looked at then, or earlier where that was known.
    fn wake_at(&mut self, queue: &Arc<str>, wake_ms: i64) {
        let Some(lane) = self.lanes.get_mut(queue) else { return };
        match lane.wake_ms {
            Some(known) if known <= wake_ms => return,
            Some(known) => drop(self.wakes.remove(&(known, Arc::clone(queue)))),
            None => {}
        }
        lane.wake_ms = Some(wake_ms);
        self.wakes.insert((wake_ms, Arc::clone(queue)));
    }

    fn wake(&mut self, now_ms: i64) {
        while let Some((wake_ms, _)) = self.wakes.first()
            && *wake_ms <= now_ms
            && let Some((_, queue)) = self.wakes.pop_first()
        {
            if let Some(lane) = self.lanes.get_mut(&queue) {
                lane.wake_ms = None;
                if lane.looking.is_some() { lane.again = true } else { self.wait(&queue) }
            }
        }
    }

    /// Puts it at the end of the ring.
    fn wait(&mut self, queue: &Arc<str>) {
        if let Some(lane) = self.lanes.get_mut(queue)
            && !std::mem::replace(&mut lane.waiting, true)
        {
            self.ring.push_back(Arc::clone(queue));
        }
    }

    fn tidy(&mut self, queue: &Arc<str>) {
        if self.lanes.get(queue).is_some_and(Lane::is_over) {
            self.lanes.remove(queue);
        }
    }

    /// One turn for each that stands in the ring, as long as there are pollers and bytes.
    fn serve(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for _ in 0..self.ring.len() {
            let full = self.used >= self.bounds.pollers || self.bytes + EVENT_FLEET_TURN_BYTES > self.bounds.bytes;
            if full && self.used > 0 {
                break;
            }
            let Some(queue) = self.ring.pop_front() else { break };
            let Some(lane) = self.lanes.get_mut(&queue) else { continue };
            let room = room(lane, self.bounds.pollers - self.used);
            if room == 0 {
                self.ring.push_back(queue);
                continue;
            }
            lane.waiting = false;
            lane.looking = Some((room, EVENT_FLEET_TURN_BYTES));
            self.used += room;
            self.bytes += EVENT_FLEET_TURN_BYTES;
            let skip = lane.held.keys().copied().collect();
            actions.push(Action::Look { queue, skip, limit: room, bytes: EVENT_FLEET_TURN_BYTES });
        }
        actions
    }
}

/// How many messages it may take now, where so many pollers are free.
fn room(lane: &Lane, free: usize) -> usize {
    let used = lane.used();
    // After taking n, it must not use more than are free: used + n <= free - n. The first is always granted.
    let fair = if used == 0 { (free / 2).max(1).min(free) } else { free.saturating_sub(used) / 2 };
    let allowed = lane.limit.min(lane.ceiling).saturating_sub(used);
    if lane.looking.is_some() { 0 } else { fair.min(allowed).min(EVENT_FLEET_TURN) }
}

#[cfg(test)]
mod tests;
