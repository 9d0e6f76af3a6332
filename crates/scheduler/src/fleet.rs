//! The living environments, by version, and what they use.

use std::collections::VecDeque;
use std::time::Duration;

use hearth_types::EnvironmentId;

use crate::environment::{Environment, Noted, Phase, Rest, Resting};
use crate::event::{Activity, FunctionKey, Generation, Limits, Purpose};
use crate::idle::Idle;
use crate::ids::IdMap;
use crate::in_use::Look;
use crate::keep_alive::Cost;
use crate::placement::{Use, WorkerId, Workers};
use crate::provision::Provisioned;
use crate::table::Table;
use crate::time::Time;

/// One generation and its environments. Where there are a million, reading one is waiting for memory: two lines of the
/// processor's cache, no more.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Version {
    pub(crate) function: FunctionKey,
    pub(crate) memory_mb: u32,
    pub(crate) retired: bool,
    /// Longest idle first; assignment takes from the back.
    pub(crate) idle: VecDeque<Resting>,
    /// Environments in [`Phase::Settling`].
    pub(crate) settling: u32,
    /// The fastest way of an environment from nothing to its first answer.
    pub(crate) first_answer: Option<Time>,
    /// How long an init takes, late ones counting more.
    pub(crate) init: Option<Time>,
    /// Those that are kept initialised.
    pub(crate) provisioned: Provisioned,
    /// All environments, the stopping ones too.
    pub(crate) alive: u32,
    /// Those of them that are not stopping.
    pub(crate) living: u32,
}

/// What an init is taken to last that has not been measured.
const TYPICAL_INIT: Duration = Duration::from_millis(250);

impl Version {
    /// Reads all of it; see [`crate::Scheduler::read_ahead`].
    pub(crate) fn read(&self) -> u64 {
        u64::from(self.memory_mb) ^ u64::from(self.retired) ^ u64::from(self.provisioned.spare)
    }

    /// What one of its environments costs.
    pub(crate) fn cost(&self) -> Cost {
        Cost { memory_mb: self.memory_mb, init: self.init.map_or(TYPICAL_INIT, Time::get) }
    }
}

/// Environments and their versions.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) versions: Table<Generation, Version>,
    pub(crate) workers: Workers,
    pub(crate) idle: Idle,
    pub(crate) environments: IdMap<EnvironmentId, Environment>,
    pub(crate) look: Look,
    /// Idle environments that are provisioned, which only assignment takes, of the versions that have any: as
    /// [`Version::idle`].
    provisioned_idle: IdMap<Generation, VecDeque<Resting>>,
    /// MB of all environments that are not stopping.
    memory_mb: u64,
    /// Environments that are not stopping.
    living: u32,
    last_id: u64,
}

impl Fleet {
    pub(crate) fn memory_mb(&self) -> u64 {
        self.memory_mb
    }

    pub(crate) fn living(&self) -> u32 {
        self.living
    }

    pub(crate) fn environment(&self, id: EnvironmentId) -> Option<&Environment> {
        self.environments.get(&id)
    }

    pub(crate) fn phase(&self, id: EnvironmentId) -> Option<Phase> {
        self.environments.get(&id).map(|environment| environment.phase)
    }

    pub(crate) fn generation(&self, id: EnvironmentId) -> Option<Generation> {
        self.environments.get(&id).map(|environment| environment.generation)
    }

    pub(crate) fn worker(&self, id: EnvironmentId) -> Option<WorkerId> {
        self.environments.get(&id).map(|environment| environment.worker)
    }

    /// All environments of a worker, the oldest first.
    pub(crate) fn on(&self, worker: WorkerId) -> Vec<EnvironmentId> {
        let on_it = self.environments.iter().filter(|(_, environment)| environment.worker == worker);
        let mut all: Vec<_> = on_it.map(|(id, _)| *id).collect();
        all.sort_unstable();
        all
    }

    /// Those of a generation that are being prepared, oldest first.
    pub(crate) fn preparing(&self, generation: Generation) -> Vec<EnvironmentId> {
        let is_one = |e: &Environment| e.generation == generation && e.phase == Phase::Preparing;
        let mut all: Vec<_> = self.environments.iter().filter(|(_, e)| is_one(e)).map(|(id, _)| *id).collect();
        all.sort_unstable();
        all
    }

    /// Idle environments of a worker that are provisioned, the oldest first.
    pub(crate) fn provisioned_idle_on(&self, worker: WorkerId) -> Vec<EnvironmentId> {
        let is_one = |e: &Environment| e.worker == worker && e.provisioned && e.phase == Phase::Idle;
        let mut all: Vec<_> = self.environments.iter().filter(|(_, e)| is_one(e)).map(|(id, _)| *id).collect();
        all.sort_unstable();
        all
    }

    /// Those of a generation, longest idle first.
    pub(crate) fn provisioned_idle_of(&self, generation: Generation) -> Vec<EnvironmentId> {
        self.provisioned_idle.get(&generation).into_iter().flatten().map(|resting| resting.id).collect()
    }

    /// Those of all generations.
    pub(crate) fn provisioned_idle(&self) -> impl Iterator<Item = EnvironmentId> {
        self.provisioned_idle.values().flatten().map(|resting| resting.id)
    }

    /// Those of them that are being prepared.
    pub(crate) fn preparing_provisioned(&self, generation: Generation) -> Vec<EnvironmentId> {
        self.preparing(generation).into_iter().filter(|id| self.is_provisioned(*id)).collect()
    }

    /// Whether more are provisioned than are wanted.
    pub(crate) fn has_spare(&self, generation: Generation) -> bool {
        self.versions.get(generation).is_some_and(|version| version.provisioned.living > version.provisioned.wanted)
    }

    /// The living environments of a function, oldest first: what each runs, and what it is doing.
    pub(crate) fn activities(&self, function: FunctionKey) -> Vec<(EnvironmentId, Generation, Activity)> {
        let is_its = |generation| self.versions.get(generation).is_some_and(|version| version.function == function);
        let of_it = self.environments.iter().filter(|(_, environment)| is_its(environment.generation));
        let mut all: Vec<_> = of_it
            .filter_map(|(id, environment)| {
                let activity = match environment.phase {
                    Phase::Preparing => Activity::Init,
                    Phase::Busy if environment.fresh => Activity::Init,
                    Phase::Busy | Phase::Settling => Activity::Busy,
                    Phase::Idle => Activity::Idle,
                    Phase::Stopping => return None,
                };
                Some((*id, environment.generation, activity))
            })
            .collect();
        all.sort_unstable_by_key(|(id, ..)| *id);
        all
    }

    /// Adds a busy environment of a known generation on this worker.
    pub(crate) fn create(
        &mut self,
        generation: Generation,
        worker: WorkerId,
        now: Duration,
        limits: &Limits,
    ) -> EnvironmentId {
        self.add((generation, worker), Phase::Busy, false, now, limits)
    }

    /// Adds one that is made without an invoke.
    pub(crate) fn prepare(
        &mut self,
        generation: Generation,
        worker: WorkerId,
        purpose: Purpose,
        now: Duration,
        limits: &Limits,
    ) -> EnvironmentId {
        self.add((generation, worker), Phase::Preparing, purpose == Purpose::Provisioned, now, limits)
    }

    fn add(
        &mut self,
        (generation, worker): (Generation, WorkerId),
        phase: Phase,
        provisioned: bool,
        made_at: Duration,
        limits: &Limits,
    ) -> EnvironmentId {
        self.last_id += 1;
        let id = EnvironmentId(self.last_id);
        let (fresh, unused) = (phase == Phase::Busy, phase == Phase::Preparing);
        let life_end = Time::from(made_at + limits.life_of(id));
        let made = Environment {
            generation,
            worker,
            phase,
            made_at: made_at.into(),
            life_end,
            fresh,
            provisioned,
            unused,
            down: false,
            ranked: false,
            unranked: false,
            rest: Rest::default(),
            noted: Noted::default(),
        };
        self.environments.insert(id, made);
        if let Some(version) = self.versions.get_mut(generation) {
            if provisioned {
                version.provisioned.living += 1;
                version.provisioned.preparing += 1;
            }
            version.alive += 1;
            version.living += 1;
            self.memory_mb += u64::from(version.memory_mb);
            self.living += 1;
            self.workers.count(worker, id, version.memory_mb, Use::Made);
        }
        id
    }

    /// The version's last used idle environment, busy from now on, and since when it had been idle: of the provisioned
    /// ones, where one of them is idle.
    pub(crate) fn take_idle(&mut self, generation: Generation) -> Option<(EnvironmentId, Duration)> {
        let version = self.versions.get(generation)?;
        let provisioned = self.provisioned_idle.get(&generation).and_then(VecDeque::back);
        let Resting { id, since, .. } = *provisioned.or_else(|| version.idle.back())?;
        self.set(id, Phase::Busy);
        Some((id, since.get()))
    }

    /// Busy to settling.
    pub(crate) fn settle(&mut self, id: EnvironmentId, now: Duration) {
        let made_at = self.environments.get(&id).filter(|environment| environment.fresh).map(|fresh| fresh.made_at);
        if let (Some(version), Some(made_at)) = (self.set(id, Phase::Settling), made_at) {
            let took = Time::from(now.saturating_sub(made_at.get()));
            version.first_answer = Some(version.first_answer.map_or(took, |fastest| fastest.min(took)));
        }
    }

    /// An init of this generation took so long.
    pub(crate) fn initialised(&mut self, id: EnvironmentId, took: Duration) {
        let version = self.generation(id).and_then(|generation| self.versions.get_mut(generation));
        if let Some(version) = version {
            version.init = Some(version.init.map_or(took, |before| (3 * before.get() + took) / 4).into());
        }
    }

    pub(crate) fn is_provisioned(&self, id: EnvironmentId) -> bool {
        self.environments.get(&id).is_some_and(|environment| environment.provisioned)
    }

    /// What it was initialised for is lost.
    pub(crate) fn set_down(&mut self, id: EnvironmentId) {
        if let Some(environment) = self.environments.get_mut(&id) {
            environment.down = true;
        }
    }

    pub(crate) fn is_down(&self, id: EnvironmentId) -> bool {
        self.environments.get(&id).is_some_and(|environment| environment.down)
    }

    /// Settling, or preparing, to busy.
    pub(crate) fn reuse(&mut self, id: EnvironmentId) {
        self.set(id, Phase::Busy);
    }

    /// Anything to stopping; the room it had is free from now on.
    pub(crate) fn stop(&mut self, id: EnvironmentId) {
        let provisioned = self.is_provisioned(id);
        self.environments.get(&id).into_iter().for_each(|environment| self.look.ends(environment));
        if let Some(version) = self.set(id, Phase::Stopping) {
            if provisioned {
                version.provisioned.living -= 1;
            }
            version.living -= 1;
            let memory_mb = u64::from(version.memory_mb);
            self.memory_mb -= memory_mb;
            self.living -= 1;
        }
    }

    /// Forgets an environment, and its version with the last one of a retired generation.
    pub(crate) fn remove(&mut self, id: EnvironmentId) {
        if self.phase(id) != Some(Phase::Stopping) {
            self.stop(id);
        }
        let Some(environment) = self.environments.remove(&id) else { return };
        if let Some(version) = self.versions.get_mut(environment.generation) {
            version.alive -= 1;
            self.workers.count(environment.worker, id, version.memory_mb, Use::Gone);
        }
        self.forget_if_done(environment.generation);
    }

    /// Forgets a retired generation that has no environment.
    pub(crate) fn forget_if_done(&mut self, generation: Generation) {
        if self.versions.get(generation).is_some_and(|version| version.retired && version.alive == 0) {
            self.versions.remove(generation);
        }
    }

    /// Moves an environment from one phase to another and keeps the version's lists in step.
    pub(crate) fn set(&mut self, id: EnvironmentId, phase: Phase) -> Option<&mut Version> {
        let environment = self.environments.get_mut(&id)?;
        let before = std::mem::replace(&mut environment.phase, phase);
        environment.fresh = false;
        environment.unused &= phase != Phase::Busy;
        let (generation, worker, provisioned) = (environment.generation, environment.worker, environment.provisioned);
        let (Rest { rank, since, .. }, ranked) = (environment.rest, environment.ranked);
        if before == Phase::Idle {
            self.woke(id);
        }
        let version = self.versions.get_mut(generation)?;
        if provisioned {
            version.provisioned.in_use += u32::from(phase == Phase::Busy);
            version.provisioned.in_use -= u32::from(before == Phase::Busy);
        }
        let mut count = |what| self.workers.count(worker, id, version.memory_mb, what);
        match before {
            Phase::Settling => version.settling -= 1,
            Phase::Idle if provisioned => drop_provisioned(&mut self.provisioned_idle, generation, rank.turn),
            Phase::Idle => {
                drop_from(&mut version.idle, rank.turn);
                count(Use::Woke(ranked.then_some(rank)));
            }
            Phase::Preparing if provisioned => version.provisioned.preparing -= 1,
            Phase::Preparing | Phase::Busy | Phase::Stopping => {}
        }
        match phase {
            Phase::Settling => version.settling += 1,
            // No other makes room by its end.
            Phase::Idle if provisioned => {
                self.provisioned_idle.entry(generation).or_default().push_back(Resting { id, since, turn: rank.turn });
            }
            Phase::Idle => {
                version.idle.push_back(Resting { id, since, turn: rank.turn });
                count(Use::Rests);
            }
            Phase::Stopping => count(Use::Stopping),
            Phase::Preparing | Phase::Busy => {}
        }
        Some(version)
    }

    /// What must hold between two steps.
    #[cfg(debug_assertions)]
    pub(crate) fn check(&self) {
        let mut memory_mb = 0;
        let mut living = 0;
        for (generation, version) in self.versions.iter() {
            let of =
                |phase| self.environments.values().filter(|e| e.generation == generation && e.phase == phase).count();
            let alive = self.environments.values().filter(|e| e.generation == generation).count();
            let here = alive - of(Phase::Stopping);
            assert_eq!((alive, here), (version.alive as usize, version.living as usize), "count of {generation:?}");
            let idle = version.idle.len() + self.provisioned_idle_of(generation).len();
            assert_eq!(of(Phase::Idle), idle, "idle lists of {generation:?}");
            assert_eq!(of(Phase::Settling), version.settling as usize, "settling of {generation:?}");
            assert!(version.idle.iter().is_sorted_by_key(|resting| resting.turn), "longest idle first");
            let kept = self.environments.values().filter(|e| e.generation == generation && e.provisioned);
            let count = |phase| kept.clone().filter(|e| e.phase == phase).count();
            let left = kept.clone().count() - count(Phase::Stopping);
            let counted = (version.provisioned.living as usize, version.provisioned.preparing as usize);
            assert_eq!((left, count(Phase::Preparing)), counted, "provisioned of {generation:?}");
            assert!(!version.retired || idle == 0, "retired is drained");
            memory_mb += u64::from(version.memory_mb) * here as u64;
            living += here;
        }
        assert_eq!((memory_mb, living), (self.memory_mb, self.living as usize), "memory and count of the fleet");
        assert!(self.environments.values().all(|e| self.versions.contains(e.generation)), "no orphans");
        self.check_idle();
        self.workers.check(|worker| self.counted_anew(worker));
    }

    /// MB, living, stopping and idle environments of a worker.
    #[cfg(debug_assertions)]
    fn counted_anew(&self, worker: WorkerId) -> (u64, u32, u32, u32) {
        let on_it = || self.environments.values().filter(|e| e.worker == worker);
        let of = |phase| on_it().filter(|e| e.phase == phase).count() as u32;
        let living = || on_it().filter(|e| e.phase != Phase::Stopping);
        let memory_mb = living().filter_map(|e| self.versions.get(e.generation)).map(|v| u64::from(v.memory_mb)).sum();
        let stopping = of(Phase::Stopping);
        let idle = on_it().filter(|e| e.phase == Phase::Idle && !e.provisioned).count() as u32;
        (memory_mb, living().count() as u32, stopping, idle)
    }
}

/// Takes the one with this turn out of those that are idle; mostly it is the last.
fn drop_from(idle: &mut VecDeque<Resting>, turn: u64) {
    if idle.back().is_some_and(|last| last.turn == turn) {
        idle.pop_back();
    } else if let Ok(at) = idle.binary_search_by_key(&turn, |resting| resting.turn) {
        idle.remove(at);
    }
}

/// The same of those that are provisioned.
fn drop_provisioned(of: &mut IdMap<Generation, VecDeque<Resting>>, generation: Generation, turn: u64) {
    let Some(idle) = of.get_mut(&generation) else { return };
    drop_from(idle, turn);
    if idle.is_empty() {
        of.remove(&generation);
    }
}
