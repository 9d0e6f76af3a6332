//! Which worker gets a new environment.
//!
//! The rules, in their order:
//! 1. Only a worker that takes environments, whose memory one of this size fits into at all, and of whose environments
//!    fewer are stopping than may live.
//! 2. Where it fits without an end of others, [`Placement`] chooses.
//! 3. Otherwise the worker on which least is lost with the first to go, of those where room can be made by ending idle
//!    ones; no more of them than it takes. Their order is found out when room is short, not at each call.
//! 4. Otherwise none.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hearth_types::EnvironmentId;

use crate::event::Throttle;
use crate::keep_alive::{Loss, Rank};

/// A worker, from when it joins until it is lost; one that comes back has a new number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct WorkerId(pub u64);

/// What a worker has room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// MB that its living environments may have as their memory limits together.
    pub memory_mb: u64,
    /// Living environments; each costs descriptors and kernel memory.
    pub environments: u32,
}

/// Among workers that have room, which gets a new environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Placement {
    /// The one with the least memory left: what is large finds room later, and empty workers can go. Of those with as
    /// much, the first to join.
    #[default]
    Pack,
    /// The one with the most memory left: the end of one worker costs as little as it can. Of those with as much, the one
    /// with the fewest environments, then the first to join.
    Spread,
}

/// A worker as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkerView {
    /// Which.
    pub worker: WorkerId,
    /// What it has room for.
    pub capacity: Capacity,
    /// It gets no new environment, and what it has goes as soon as it is idle.
    pub draining: bool,
    /// Environments that are not stopping.
    pub environments: u32,
    /// Those of them that are idle, provisioned ones among them.
    pub idle: u32,
    /// Environments that have been told to go and are not gone.
    pub stopping: u32,
    /// MB of those that are not stopping.
    pub memory_mb: u64,
}

/// The workers and what is used of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers {
    hosts: BTreeMap<WorkerId, Host>,
    /// None of them gets another environment, nor does any that is still to join.
    closed: bool,
}

/// A worker and what is used of it.
#[derive(Clone, Debug)]
struct Host {
    capacity: Capacity,
    draining: bool,
    /// Of all that are not stopping.
    memory_mb: u64,
    living: u32,
    stopping: u32,
    /// Of those that are idle.
    idle_mb: u64,
    idle: u32,
    /// Those of them of which it is known what is lost with them; who goes first comes first.
    ranked: BTreeMap<Rank, EnvironmentId>,
}

impl Host {
    /// Why there is no room for one more, once `idle_mb` of `idle` environments are gone.
    fn short(&self, needed_mb: u32, (idle_mb, idle): (u64, u32)) -> Result<(), Throttle> {
        if self.memory_mb - idle_mb + u64::from(needed_mb) > self.capacity.memory_mb {
            Err(Throttle::Memory)
        } else if self.living - idle >= self.capacity.environments {
            Err(Throttle::Environments)
        } else {
            Ok(())
        }
    }

    fn fits(&self, needed_mb: u32) -> Result<(), Throttle> {
        self.short(needed_mb, (0, 0))
    }

    /// The same, without those that are idle.
    fn could_fit(&self, needed_mb: u32) -> Result<(), Throttle> {
        // What is stopping uses the machine still; a bound on it keeps a storm of evictions from piling up.
        if self.stopping >= self.capacity.environments {
            return Err(Throttle::Environments);
        }
        self.short(needed_mb, (self.idle_mb, self.idle))
    }

    fn free_mb(&self) -> u64 {
        self.capacity.memory_mb - self.memory_mb
    }
}

impl Workers {
    pub(crate) fn join(&mut self, worker: WorkerId, capacity: Capacity) {
        debug_assert!(!self.hosts.contains_key(&worker), "{worker:?} joined twice");
        let host = Host {
            capacity,
            draining: false,
            memory_mb: 0,
            living: 0,
            stopping: 0,
            idle_mb: 0,
            idle: 0,
            ranked: BTreeMap::new(),
        };
        self.hosts.insert(worker, host);
    }

    /// From now on it gets none.
    pub(crate) fn drain(&mut self, worker: WorkerId) {
        if let Some(host) = self.hosts.get_mut(&worker) {
            host.draining = true;
        }
    }

    /// From now on none gets any.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// It is no more; nor is any of its environments, by now.
    pub(crate) fn lost(&mut self, worker: WorkerId) {
        self.hosts.remove(&worker);
    }

    pub(crate) fn is_draining(&self, worker: WorkerId) -> bool {
        self.hosts.get(&worker).is_none_or(|host| host.draining)
    }

    /// Where a new environment of this size goes. What is idle there may have to go first: see [`Self::fits`].
    pub(crate) fn place(&self, placement: Placement, needed_mb: u32) -> Result<WorkerId, Throttle> {
        let budget_mb = self.hosts.values().map(|host| host.capacity.memory_mb).max().ok_or(Throttle::NoWorker)?;
        if u64::from(needed_mb) > budget_mb {
            return Err(Throttle::NeverFits { needed_mb, budget_mb });
        }
        let may = || self.taking().filter(|(_, host)| host.capacity.memory_mb >= u64::from(needed_mb));
        let could = || may().filter(|(_, host)| host.could_fit(needed_mb).is_ok());
        let free = could().filter(|(_, host)| host.fits(needed_mb).is_ok());
        let chosen = match placement {
            Placement::Pack => free.min_by_key(|(worker, host)| (host.free_mb(), *worker)),
            Placement::Spread => free.min_by_key(|(worker, host)| (Reverse(host.free_mb()), host.living, *worker)),
        };
        let chosen = chosen.or_else(|| {
            could().min_by_key(|(worker, host)| (host.ranked.first_key_value().map(|(rank, _)| *rank), *worker))
        });
        match chosen {
            Some((worker, _)) => Ok(worker),
            None => Err(may().filter_map(|(_, host)| host.could_fit(needed_mb).err()).fold(
                Throttle::NoWorker,
                |short, of_host| match short {
                    // Of what is short on several, memory is what the function is to hear of.
                    Throttle::Memory => short,
                    _ => of_host,
                },
            )),
        }
    }

    /// Where as many new environments of each size would go, one after the other, as long as none has to end for them: by
    /// size, how many on which worker.
    pub(crate) fn places(
        &self,
        placement: Placement,
        wanted: impl IntoIterator<Item = (u32, u32)>,
    ) -> Vec<Vec<(WorkerId, u32)>> {
        let mut then = self.clone();
        let mut place = |memory_mb| {
            let worker = then.place(placement, memory_mb).ok().filter(|worker| then.fits(*worker, memory_mb))?;
            then.count(worker, EnvironmentId(0), memory_mb, Use::Made);
            Some(worker)
        };
        let of_size = |(memory_mb, count)| {
            let mut places: Vec<(WorkerId, u32)> = Vec::new();
            for worker in (0..count).map_while(|_| place(memory_mb)) {
                match places.iter_mut().find(|(known, _)| *known == worker) {
                    Some((_, count)) => *count += 1,
                    None => places.push((worker, 1)),
                }
            }
            places
        };
        wanted.into_iter().map(of_size).collect()
    }

    /// Whether there is room for one more of this size on this worker as it is.
    pub(crate) fn fits(&self, worker: WorkerId, needed_mb: u32) -> bool {
        self.hosts.get(&worker).is_none_or(|host| host.fits(needed_mb).is_ok())
    }

    /// How much is lost with that.
    pub(crate) fn cheapest_loss(&self, worker: WorkerId) -> Option<Loss> {
        self.hosts.get(&worker)?.ranked.first_key_value().map(|(rank, _)| rank.loss)
    }

    /// The idle environment that is the first to go there.
    pub(crate) fn cheapest(&self, worker: WorkerId) -> Option<EnvironmentId> {
        self.hosts.get(&worker)?.ranked.first_key_value().map(|(_, id)| *id)
    }

    pub(crate) fn views(&self) -> Vec<WorkerView> {
        let view = |(worker, host): (&WorkerId, &Host)| WorkerView {
            worker: *worker,
            capacity: host.capacity,
            draining: host.draining,
            environments: host.living,
            idle: host.idle,
            stopping: host.stopping,
            memory_mb: host.memory_mb,
        };
        self.hosts.iter().map(view).collect()
    }

    fn taking(&self) -> impl Iterator<Item = (WorkerId, &Host)> {
        self.hosts.iter().filter(|(_, host)| !self.closed && !host.draining).map(|(worker, host)| (*worker, host))
    }
}

/// What happens to an environment there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    /// It is made.
    Made,
    /// It is idle, and may go for others.
    Rests,
    /// It is found out what is lost with it: it stands here among those that are idle, no more where it stood before.
    Ranked { before: Option<Rank>, rank: Rank },
    /// It is idle no more, and stood there, if it did.
    Woke(Option<Rank>),
    /// It is told to go.
    Stopping,
    /// It was, and is gone.
    Gone,
}

impl Workers {
    /// Keeps count of what happens to an environment of `memory_mb`.
    pub(crate) fn count(&mut self, worker: WorkerId, id: EnvironmentId, memory_mb: u32, what: Use) {
        let Some(host) = self.hosts.get_mut(&worker) else { return };
        let memory_mb = u64::from(memory_mb);
        match what {
            Use::Made => {
                host.memory_mb += memory_mb;
                host.living += 1;
                // In every build: never one more than allowed.
                assert!(host.memory_mb <= host.capacity.memory_mb, "memory of {worker:?}");
                assert!(host.living <= host.capacity.environments, "environments of {worker:?}");
            }
            Use::Rests => {
                host.idle += 1;
                host.idle_mb += memory_mb;
            }
            Use::Ranked { before, rank } => {
                if before != Some(rank) {
                    before.and_then(|before| host.ranked.remove(&before));
                    host.ranked.insert(rank, id);
                }
            }
            Use::Woke(rank) => {
                rank.and_then(|rank| host.ranked.remove(&rank));
                host.idle -= 1;
                host.idle_mb -= memory_mb;
            }
            Use::Stopping => {
                host.memory_mb -= memory_mb;
                host.living -= 1;
                host.stopping += 1;
            }
            Use::Gone => host.stopping -= 1,
        }
    }

    /// What must hold between two steps: `of` tells MB, living, stopping and idle ones of a worker, counted
    /// anew.
    #[cfg(debug_assertions)]
    pub(crate) fn check(&self, of: impl Fn(WorkerId) -> (u64, u32, u32, u32)) {
        for (worker, host) in &self.hosts {
            let counted = (host.memory_mb, host.living, host.stopping, host.idle);
            assert_eq!(counted, of(*worker), "MB, living, stopping, idle of {worker:?}");
            assert!(host.memory_mb <= host.capacity.memory_mb, "memory of {worker:?}");
            assert!(host.living <= host.capacity.environments, "environments of {worker:?}");
            assert!(!host.draining || host.idle == 0, "{worker:?} drains");
            assert!(host.ranked.len() <= host.idle as usize, "those of {worker:?} that are ranked are idle");
        }
    }
}
