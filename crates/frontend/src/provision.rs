//! Which generations have how many environments that are kept initialised, and how far each configuration is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearth_scheduler::{Generation, Provision};
use hearth_types::Qualifier;
use hearth_types::function::VersionId;
use hearth_types::limits::PROVISION_METERED;
use hearth_types::settings::{Hindrance, Provisioning};

use crate::dispatcher::{Core, Dispatcher, lock};
use crate::environments::Environments;
use crate::snapshot::{EntryState, FunctionEntry};

/// What of it a version has, and which generation that is where one serves.
struct Share {
    generation: Option<Generation>,
    count: u32,
}

impl FunctionEntry {
    /// What a qualifier asks of each version.
    fn shares(&self, qualifier: &str, requested: u32) -> Vec<Share> {
        let versions = match Qualifier::from(qualifier) {
            Qualifier::Latest => Vec::new(),
            Qualifier::Version(number) => vec![(VersionId::Number(number), requested)],
            Qualifier::Alias(name) => self.aliases.get(&name).map_or_else(Vec::new, |alias| alias.shares(requested)),
        };
        let published = versions.into_iter().map(|(version, count)| {
            let state = if version == VersionId::Latest { None } else { self.version(version) };
            Share { generation: state.and_then(EntryState::ready).map(|ready| ready.generation()), count }
        });
        published.filter(|share| share.count > 0).collect()
    }

    /// How many environments of each generation are to be kept.
    fn wanted(&self) -> BTreeMap<Generation, u32> {
        let mut wanted = BTreeMap::new();
        for (qualifier, requested) in &self.provisioned {
            for Share { generation, count } in self.shares(qualifier, *requested) {
                if let Some(generation) = generation {
                    *wanted.entry(generation).or_default() += count;
                }
            }
        }
        wanted
    }
}

/// Each generation of which another number is wanted than was, of functions as they were and are: the smaller numbers
/// first.
pub(crate) fn changed<'a>(
    entries: impl Iterator<Item = (Option<&'a FunctionEntry>, Option<&'a FunctionEntry>)>,
) -> Vec<(Generation, u32)> {
    let mut changed = Vec::new();
    for (was, is) in entries {
        let (was, is) = (was.map(FunctionEntry::wanted).unwrap_or_default(), is.map(FunctionEntry::wanted));
        let is = is.unwrap_or_default();
        changed.extend(was.keys().filter(|generation| !is.contains_key(generation)).map(|gone| (*gone, 0)));
        changed.extend(is.into_iter().filter(|(generation, count)| was.get(generation) != Some(count)));
    }
    changed.sort_by_key(|(_, count)| *count);
    changed
}

impl Core {
    /// So many environments of the generation are provisioned from now on.
    pub(crate) fn note_provisioned(&mut self, generation: Generation, count: u32) {
        match self.serving.get(&generation).filter(|_| count > 0) {
            Some(ready) => drop(self.provisioned.insert(generation, Arc::clone(ready))),
            None => drop(self.provisioned.remove(&generation)),
        }
    }
}

impl<W: Environments> Dispatcher<W> {
    /// Meters what is provisioned, whether it is used or not, by the second; runs until it is dropped. Nothing is due while
    /// nothing is provisioned.
    pub async fn run_meter(self: Arc<Self>) {
        loop {
            self.provisioned.notified().await;
            let mut last = self.clock.uptime();
            while !lock(&self.core).provisioned.is_empty() {
                let busy = self.clock.sleep_until_uptime(last + PROVISION_METERED).await;
                let now = self.clock.uptime();
                self.meter_provisioned(now.saturating_sub(last));
                drop(busy);
                last = now;
            }
        }
    }

    fn meter_provisioned(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let core = lock(&self.core);
        for (generation, ready) in &core.provisioned {
            let allocated = u64::from(core.scheduler.provisioned(*generation).allocated);
            ready.metrics.usage().was_allocated(allocated * u64::from(ready.spec.memory_mb), ms);
        }
    }

    /// How far the provisioned concurrency of a qualifier is; none where it has none.
    #[must_use]
    pub fn provisioning(&self, function: &str, qualifier: &str) -> Option<Provisioning> {
        let entry = self.functions.get(function)?;
        let requested = *entry.provisioned.get(qualifier)?;
        let shares = entry.shares(qualifier, requested);
        let mut sum = Provisioning::default();
        if shares.is_empty() || shares.iter().any(|share| share.generation.is_none()) {
            sum.hindrance = Some(Hindrance::Version);
        }
        let core = lock(&self.core);
        for Share { generation, count } in shares {
            let Some(generation) = generation else { continue };
            add(&mut sum, core.scheduler.provisioned(generation), count);
        }
        Some(sum)
    }

    /// What is provisioned of each function: those in use, and all that are available. Functions without any are left
    /// out.
    #[must_use]
    pub fn provisioned_by_function(&self) -> Vec<(Arc<str>, Provision)> {
        let entries = self.functions.load();
        let core = lock(&self.core);
        let of = |entry: &FunctionEntry| {
            entry.wanted().into_keys().fold(Provision::default(), |sum, generation| {
                let one = core.scheduler.provisioned(generation);
                Provision {
                    wanted: sum.wanted + one.wanted,
                    allocated: sum.allocated + one.allocated,
                    available: sum.available + one.available,
                    in_use: sum.in_use + one.in_use,
                    ..sum
                }
            })
        };
        let provisioned = entries.iter().filter(|(_, entry)| !entry.provisioned.is_empty());
        provisioned.map(|(name, entry)| (Arc::clone(name), of(entry))).collect()
    }
}

/// Adds what a generation has, of which `count` are this configuration's: several may ask for the same version.
fn add(sum: &mut Provisioning, of_generation: Provision, count: u32) {
    sum.allocated += of_generation.allocated.min(count);
    sum.available += of_generation.available.min(count);
    if of_generation.available < count {
        let hindrance = of_generation.hindrance.map(|hindrance| match hindrance {
            hearth_scheduler::Hindrance::Init => Hindrance::Init,
            hearth_scheduler::Hindrance::NeverFits => Hindrance::NeverFits,
            hearth_scheduler::Hindrance::Room => Hindrance::Room,
        });
        sum.hindrance = sum.hindrance.or(hindrance);
    }
}
