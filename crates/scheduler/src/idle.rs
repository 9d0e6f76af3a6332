//! The idle environments, by when they go and by when their worth is another one.

use std::collections::BTreeSet;
use std::time::Duration;

use hearth_types::EnvironmentId;

use crate::ids::IdMap;

/// What is planned for an idle environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) since: Duration,
    /// When it goes at the latest.
    pub(crate) end: Duration,
    /// When its loss is to be found out anew.
    pub(crate) look: Option<Duration>,
    /// Grows with each environment that becomes idle: tells apart those of the same time.
    pub(crate) turn: u64,
}

type ByTime = BTreeSet<(Duration, u64, EnvironmentId)>;

/// Idle environments in order. Each change takes time by the logarithm of their number.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    plans: IdMap<EnvironmentId, Plan>,
    ends: ByTime,
    looks: ByTime,
}

impl Idle {
    pub(crate) fn insert(&mut self, id: EnvironmentId, plan: Plan) {
        self.remove(id);
        self.ends.insert((plan.end, plan.turn, id));
        self.looks.extend(plan.look.map(|look| (look, plan.turn, id)));
        self.plans.insert(id, plan);
    }

    pub(crate) fn remove(&mut self, id: EnvironmentId) -> Option<Plan> {
        let plan = self.plans.remove(&id)?;
        self.ends.remove(&(plan.end, plan.turn, id));
        if let Some(look) = plan.look {
            self.looks.remove(&(look, plan.turn, id));
        }
        Some(plan)
    }

    /// Its loss is to be found out anew then.
    pub(crate) fn look_at(&mut self, id: EnvironmentId, look: Option<Duration>) {
        let Some(plan) = self.plans.get_mut(&id) else { return };
        let (before, turn) = (std::mem::replace(&mut plan.look, look), plan.turn);
        if let Some(before) = before {
            self.looks.remove(&(before, turn, id));
        }
        self.looks.extend(look.map(|look| (look, turn, id)));
    }

    pub(crate) fn get(&self, id: EnvironmentId) -> Option<Plan> {
        self.plans.get(&id).copied()
    }

    /// When the first one goes.
    pub(crate) fn first_end(&self) -> Option<Duration> {
        self.ends.first().map(|(end, ..)| *end)
    }

    /// One whose time has come.
    pub(crate) fn ended(&self, now: Duration) -> Option<EnvironmentId> {
        self.ends.first().filter(|(end, ..)| *end <= now).map(|(.., id)| *id)
    }

    /// One whose loss is to be found out anew.
    pub(crate) fn outdated(&self, now: Duration) -> Option<EnvironmentId> {
        self.looks.first().filter(|(look, ..)| *look <= now).map(|(.., id)| *id)
    }

    /// What must hold between two steps.
    #[cfg(debug_assertions)]
    pub(crate) fn check(&self) {
        let looked_at = self.plans.values().filter(|plan| plan.look.is_some()).count();
        assert_eq!((self.ends.len(), self.looks.len()), (self.plans.len(), looked_at), "idle ones are in order");
    }
}
