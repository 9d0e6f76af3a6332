//! Functions whose environments are not shared between tenants: to the scheduler each tenant of a version is a generation
//! of its own, deployed with its first invoke.

use std::collections::HashMap;
use std::sync::Arc;

use hearth_api::ApiError;
use hearth_scheduler::{Event, Generation, Throttle};
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::TENANTS;

use crate::dispatcher::{Core, Dispatcher, Work, lock};
use crate::environments::Environments;
use crate::invoke::throttled;
use crate::snapshot::Ready;

/// The tenants of all versions.
#[derive(Default)]
pub(crate) struct Tenants {
    /// By the version's own generation.
    of: HashMap<Generation, HashMap<Arc<str>, Arc<Ready>>>,
}

impl Tenants {
    fn get(&self, version: Generation, tenant: &str) -> Option<&Arc<Ready>> {
        self.of.get(&version)?.get(tenant)
    }

    fn count(&self) -> usize {
        self.of.values().map(HashMap::len).sum()
    }

    fn add(&mut self, version: Generation, tenant: &Arc<str>, own: Arc<Ready>) {
        self.of.entry(version).or_default().insert(Arc::clone(tenant), own);
    }

    /// Forgets a version: its tenants' generations.
    pub(crate) fn remove(&mut self, version: Generation) -> Vec<Generation> {
        self.of.remove(&version).into_iter().flatten().map(|(_, own)| own.generation()).collect()
    }

    /// Forgets those that nothing is there of: their generations.
    fn remove_unused(&mut self, is_used: impl Fn(Generation) -> bool) -> Vec<Generation> {
        let unused = |own: &Arc<Ready>| !is_used(own.generation());
        let gone = self.of.values_mut().flat_map(|tenants| tenants.extract_if(|_, own| unused(own)));
        let gone = gone.map(|(_, own)| own.generation()).collect();
        self.of.retain(|_, tenants| !tenants.is_empty());
        gone
    }
}

/// That a tenant is named where environments are not shared between tenants, and nowhere else.
pub(crate) fn fits(ready: &Ready, tenant: Option<&str>) -> Result<(), ApiError> {
    match (ready.per_tenant, tenant) {
        (true, None) => Err(ApiError::invalid_parameter(
            "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again.",
        )),
        (false, Some(_)) => Err(ApiError::invalid_parameter(
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try \
             again.",
        )),
        _ => Ok(()),
    }
}

impl<W: Environments> Dispatcher<W> {
    /// The tenant's own generation of a version.
    ///
    /// # Errors
    /// When as many tenants have environments as may.
    pub(crate) fn of_tenant(&self, version: &Arc<Ready>, tenant: &Arc<str>) -> Result<Arc<Ready>, ApiError> {
        if let Some(own) = lock(&self.core).tenants.get(version.generation(), tenant) {
            return Ok(Arc::clone(own));
        }
        let (own, work) = self.deploy_for(version, tenant)?;
        self.carry_out(work);
        Ok(own)
    }

    fn deploy_for(&self, version: &Arc<Ready>, tenant: &Arc<str>) -> Result<(Arc<Ready>, Vec<Work>), ApiError> {
        let mut core = lock(&self.core);
        if let Some(own) = core.tenants.get(version.generation(), tenant) {
            return Ok((Arc::clone(own), Vec::new()));
        }
        let spec = VersionSpec {
            generation: self.generations.next(),
            tenant: Some(Arc::clone(tenant)),
            ..VersionSpec::clone(&version.spec)
        };
        let own = Arc::new(version.made_as(spec));
        if !core.serving.contains_key(&version.generation()) {
            // A deploy has overtaken the invoke: the scheduler does not know this one, and so it is looked up again.
            return Ok((own, Vec::new()));
        }
        let Some(mut work) = self.make_room(&mut core) else {
            version.metrics.throttles.count();
            return Err(throttled(Throttle::Environments, &version.spec.function));
        };
        let memory_mb = own.spec.memory_mb;
        let deploy = Event::Deploy { generation: own.generation(), function: own.key, memory_mb };
        work.extend(self.step(&mut core, deploy));
        core.serving.insert(own.generation(), Arc::clone(&own));
        core.tenants.add(version.generation(), tenant, Arc::clone(&own));
        Ok((own, work))
    }

    /// Where there are as many tenants as may be, those without an environment go. None where each has one.
    fn make_room(&self, core: &mut Core) -> Option<Vec<Work>> {
        let Core { tenants, scheduler, .. } = &mut *core;
        if tenants.count() < TENANTS {
            return Some(Vec::new());
        }
        let unused = tenants.remove_unused(|generation| scheduler.has_environments(generation));
        let mut work = Vec::new();
        for generation in &unused {
            work.extend(self.step(core, Event::Retire(*generation)));
            core.serving.remove(generation);
        }
        (!unused.is_empty()).then_some(work)
    }
}
