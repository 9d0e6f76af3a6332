//! Which runtimes are worth starting ahead, from what was wanted or deployed lately, what was in use before the server or a worker
//! started again, and what is to be kept. Decides only: time is given, nothing is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_sandbox::Bursts;
use hearth_types::limits::{
    AHEAD_BURST, AHEAD_CALM, AHEAD_DEPLOYED, AHEAD_KEEP, AHEAD_KERNEL_MB, AHEAD_KINDS, AHEAD_LOOK, AHEAD_PACE,
    AHEAD_REST, AHEAD_RUNTIMES, AHEAD_UNSEEN_MB, LATELY_VERSIONS,
};

use crate::means::{MB, Means};

use self::recalled::Recalled;

mod recalled;

/// What was wanted and is to be kept, by kind of start.
pub(crate) struct Forecast<K> {
    /// Runtimes that may wait at a time because some of their kind were wanted or deployed; those that are kept come on top.
    most: usize,
    /// The one wanted last comes first.
    kinds: Vec<Known<K>>,
    /// When the function that got a runtime last will be through with its beginning. None where the last one got none:
    /// then whatever can be started is late already.
    calm_from: Option<Instant>,
    /// When one was begun last.
    begun: Option<Instant>,
}

struct Known<K> {
    kind: K,
    /// So many are kept, whatever was wanted.
    stock: usize,
    bursts: Bursts,
    deployed: Deployed,
    recalled: Recalled,
    /// What one of them takes of the machine's memory.
    each_bytes: u64,
    /// After a failure.
    rests_until: Option<Instant>,
}

/// Functions that have not started since they were deployed, and when that was: the last of them, and what came within
/// [`AHEAD_BURST`] before another.
#[derive(Default)]
struct Deployed(Vec<(Arc<str>, Instant)>);

/// Environments of a version that are likely to be asked for, and look for one of this kind then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Likely<K> {
    /// With its function's name.
    pub(crate) version: Arc<str>,
    pub(crate) kind: K,
    pub(crate) count: usize,
    /// When so many were in use at once: those that have the same were in use together.
    pub(crate) look_ms: i64,
}

/// The runtimes of a kind that wait or will.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct There<'a, K> {
    pub(crate) kind: &'a K,
    pub(crate) ready: usize,
    pub(crate) starting: usize,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step<K> {
    Start(K),
    /// One of these that wait.
    End(K),
    /// Nothing until something happens, or so much time has passed.
    Wait(Option<Duration>),
}

/// What is left while it is handed out.
struct Left {
    means: Means,
    /// For those that are there because some were wanted.
    wanted: usize,
}

impl<K: Clone + PartialEq> Forecast<K> {
    /// With a stock of so many of these kinds.
    pub(crate) fn new(most: usize, stock: impl IntoIterator<Item = (K, usize)>) -> Self {
        let kinds = stock.into_iter().map(|(kind, stock)| Known { stock, ..Known::new(kind) }).collect();
        Self { most, kinds, calm_from: None, begun: None }
    }

    /// A function of this kind starts; whether there was one for it, ready or being started.
    pub(crate) fn wanted(&mut self, kind: &K, function: &str, now: Instant, met: bool) {
        self.calm_from = met.then_some(now + AHEAD_CALM);
        let known = self.last(kind);
        known.bursts.add(now);
        known.deployed.remove(function);
    }

    /// This function is there anew, and will start as one of this kind; of none where it cannot use what waits.
    pub(crate) fn deployed(&mut self, function: &Arc<str>, kind: Option<K>, now: Instant) {
        self.kinds.iter_mut().for_each(|known| known.deployed.remove(function));
        if let Some(kind) = kind {
            self.last(&kind).deployed.add(function, now);
        }
    }

    /// Environments of these versions are likely to be asked for, of all that were in use lately and are not there; what was said
    /// before counts no more. What was in use last comes last.
    pub(crate) fn recalled(&mut self, all: Vec<Likely<K>>, now: Instant) {
        let before: HashMap<_, _> = self.kinds.iter_mut().flat_map(|known| known.recalled.take()).collect();
        for Likely { version, kind, count, look_ms } in all.into_iter().take(LATELY_VERSIONS) {
            // Saying it again makes nothing wait for longer.
            let known = before.get(&version).filter(|known| known.look_ms == look_ms);
            let since = known.map_or(now, |known| known.since);
            let of_kind = if known.is_some() { self.known(&kind) } else { self.last(&kind) };
            of_kind.recalled.add(version, recalled::Known { count, look_ms, since });
        }
    }

    /// Whether any may wait beside those that are kept.
    pub(crate) fn has_room_for_wanted(&self) -> bool {
        self.most > 0
    }

    /// This kind, wherever it is among them; the last to have been wanted where it is not.
    fn known(&mut self, kind: &K) -> &mut Known<K> {
        match self.kinds.iter().position(|known| known.kind == *kind) {
            Some(at) => &mut self.kinds[at],
            None => self.last(kind),
        }
    }

    /// This kind, which is the last to have been wanted from now on.
    fn last(&mut self, kind: &K) -> &mut Known<K> {
        let known = self.kinds.iter().position(|known| known.kind == *kind);
        let known = known.map_or_else(|| Known::new(kind.clone()), |at| self.kinds.remove(at));
        self.kinds.insert(0, known);
        if self.kinds.iter().filter(|known| known.stock == 0).count() > AHEAD_KINDS {
            let oldest = self.kinds.iter().rposition(|known| known.stock == 0);
            oldest.map(|at| self.kinds.remove(at));
        }
        &mut self.kinds[0]
    }

    /// One of this kind is being started.
    pub(crate) fn begun(&mut self, now: Instant) {
        self.begun = Some(now);
    }

    /// One of this kind waits; its control group is charged with so much.
    pub(crate) fn weighed(&mut self, kind: &K, bytes: u64) {
        if let Some(known) = self.kinds.iter_mut().find(|known| known.kind == *kind) {
            known.each_bytes = bytes + AHEAD_KERNEL_MB * MB;
        }
    }

    /// One of this kind could not be started ahead, or ended while it waited.
    pub(crate) fn failed(&mut self, kind: &K, now: Instant) {
        if let Some(known) = self.kinds.iter_mut().find(|known| known.kind == *kind) {
            known.rests_until = Some(now + AHEAD_REST);
        }
    }

    /// What these take of the machine's memory.
    pub(crate) fn bytes(&self, there: &[There<'_, K>]) -> u64 {
        there.iter().map(|some| self.each_bytes(some.kind) * some.count() as u64).sum()
    }

    /// How many there are to be.
    pub(crate) fn goal(&self, now: Instant, means: Means) -> usize {
        self.targets(now, means).into_iter().map(|(_, target)| target).sum()
    }

    /// What to do, where these are there, all of them may take so much, and whether functions were invoked since one was begun
    /// last.
    pub(crate) fn step(&self, now: Instant, there: &[There<'_, K>], means: Means, invoked: bool) -> Step<K> {
        let targets = self.targets(now, means);
        let target = |kind: &K| targets.iter().find(|(known, _)| known.kind == *kind).map_or(0, |(_, count)| *count);
        let count = |kind: &K| there.iter().find(|some| some.kind == kind).map_or(0, There::count);
        let ready = || there.iter().filter(|some| some.ready > 0);
        let total: usize = there.iter().map(There::count).sum();
        let fits = |more: usize, bytes: u64| {
            let most = means.sandboxes.min(self.most + self.stock());
            total + more <= most && self.bytes(there) + bytes <= means.bytes
        };
        let surplus = ready().find(|some| some.count() > target(some.kind));
        let unwanted = ready().find(|some| target(some.kind) == 0);
        if let Some(some) = unwanted.or(surplus.filter(|_| !fits(0, 0))) {
            return Step::End(some.kind.clone());
        }
        let rests = |known: &Known<K>| known.rests_until.is_some_and(|until| until > now);
        let lacking = targets.iter().find(|(known, target)| count(&known.kind) < *target && !rests(known));
        let Some((known, _)) = lacking else { return Step::Wait(self.patience(now, there)) };
        // One after the other: whoever starts a function now has the machine's processors for himself but for one.
        if there.iter().any(|some| some.starting > 0) {
            return Step::Wait(None);
        }
        let pace = self.begun.filter(|_| invoked && total as u64 >= AHEAD_RUNTIMES).map(|begun| begun + AHEAD_PACE);
        if let Some(due) = self.calm_from.max(pace).filter(|due| *due > now) {
            return Step::Wait(Some(due.saturating_duration_since(now)));
        }
        match surplus {
            _ if fits(1, known.each_bytes) => Step::Start(known.kind.clone()),
            Some(some) => Step::End(some.kind.clone()),
            None => Step::Wait(self.patience(now, there)),
        }
    }

    /// How many of each kind there should be: one of each that was wanted or deployed lately, then what is kept, then as many
    /// as the largest burst had or functions were deployed, of those that came last first.
    fn targets(&self, now: Instant, means: Means) -> Vec<(&Known<K>, usize)> {
        let mut left = Left { means, wanted: self.most };
        let mut targets: Vec<_> = self.kinds.iter().map(|known| (known, 0)).collect();
        let alive = |known: &Known<K>| known.stock == 0 && known.until() > Some(now);
        for (known, target) in targets.iter_mut().filter(|(known, _)| alive(known)) {
            *target += left.for_wanted(1, known.each_bytes);
        }
        for (known, target) in &mut targets {
            *target += left.take(known.stock.saturating_sub(*target), known.each_bytes);
        }
        for (known, target) in &mut targets {
            *target += left.for_wanted(known.wanted(now).saturating_sub(*target), known.each_bytes);
        }
        targets
    }

    /// Until time alone changes something.
    fn patience(&self, now: Instant, there: &[There<'_, K>]) -> Option<Duration> {
        let ends =
            self.kinds.iter().filter(|known| known.stock == 0 && there.iter().any(|some| *some.kind == known.kind));
        // One whose time is over is ended by a step as soon as it is ready: nothing to wait for.
        let ends = ends.filter_map(|known| known.until()).filter(|until| *until > now);
        let rests = self.kinds.iter().filter_map(|known| known.rests_until).filter(|until| *until > now);
        let grow = self.kinds.iter().filter_map(|known| known.deployed.grows_at()).filter(|at| *at > now);
        let look = (!there.is_empty() || self.stock() > 0).then_some(now + AHEAD_LOOK);
        ends.chain(rests).chain(grow).chain(look).min().map(|when| when.saturating_duration_since(now))
    }

    /// All that is kept.
    fn stock(&self) -> usize {
        self.kinds.iter().map(|known| known.stock).sum()
    }

    fn each_bytes(&self, kind: &K) -> u64 {
        self.kinds.iter().find(|known| known.kind == *kind).map_or(AHEAD_UNSEEN_MB * MB, |known| known.each_bytes)
    }
}

impl<K> Known<K> {
    fn new(kind: K) -> Self {
        let each_bytes = AHEAD_UNSEEN_MB * MB;
        let (bursts, deployed, recalled) = (Bursts::default(), Deployed::default(), Recalled::default());
        Self { kind, stock: 0, bursts, deployed, recalled, each_bytes, rests_until: None }
    }

    /// How many are likely to be wanted at once.
    fn wanted(&self, now: Instant) -> usize {
        self.bursts.largest(now).max(self.deployed.count(now)).max(self.recalled.count(now))
    }

    /// When nothing of its kind waits any more, but for its stock.
    fn until(&self) -> Option<Instant> {
        self.bursts.until().max(self.deployed.until()).max(self.recalled.until())
    }
}

impl<K> There<'_, K> {
    fn count(&self) -> usize {
        self.ready + self.starting
    }
}

impl Left {
    fn take(&mut self, count: usize, each_bytes: u64) -> usize {
        let for_bytes = usize::try_from(self.means.bytes / each_bytes.max(1)).unwrap_or(usize::MAX);
        let count = count.min(self.means.sandboxes).min(for_bytes);
        self.means.sandboxes -= count;
        self.means.bytes -= each_bytes * count as u64;
        count
    }

    fn for_wanted(&mut self, count: usize, each_bytes: u64) -> usize {
        let count = self.take(count.min(self.wanted), each_bytes);
        self.wanted -= count;
        count
    }
}

impl Deployed {
    /// At most [`AHEAD_DEPLOYED`], the last ones.
    fn add(&mut self, function: &Arc<str>, now: Instant) {
        self.0.retain(|(_, at)| now < *at + AHEAD_BURST);
        self.0.push((Arc::clone(function), now));
        if self.0.len() > AHEAD_DEPLOYED {
            self.0.remove(0);
        }
    }

    fn remove(&mut self, function: &str) {
        self.0.retain(|(name, _)| **name != *function);
    }

    /// Until when some wait for them.
    fn until(&self) -> Option<Instant> {
        self.0.last().map(|(_, at)| *at + AHEAD_KEEP)
    }

    /// One at first: while deployments come, they have the processors.
    fn count(&self, now: Instant) -> usize {
        let most = if self.grows_at() > Some(now) { 1 } else { AHEAD_DEPLOYED };
        if self.until() > Some(now) { self.0.len().min(most) } else { 0 }
    }

    /// When more than one count.
    fn grows_at(&self) -> Option<Instant> {
        self.0.last().map(|(_, at)| *at + AHEAD_CALM)
    }
}

#[cfg(test)]
mod tests;
