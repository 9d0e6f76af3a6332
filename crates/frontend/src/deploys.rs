//! Taking over what the control plane committed.

use std::sync::Arc;

use hearth_scheduler::{Event, Generation};

use crate::changes::{FunctionChange, replacement};
use crate::dispatcher::{Dispatcher, lock};
use crate::environments::Environments;
use crate::snapshot::Ready;

impl<W: Environments> Dispatcher<W> {
    /// Takes over what one commit in the metadata store changed, all at once. When it returns, new invokes run the new
    /// code, and the environments of the old one are being drained.
    pub fn apply(&self, changes: Vec<FunctionChange>) {
        self.turn_over(changes, false);
    }

    /// Takes over a complete list: what is not in it is gone.
    pub fn replace(&self, listed: Vec<FunctionChange>) {
        self.turn_over(listed, true);
    }

    /// In this order no invoke fails: deployed before it can be seen, retired when it cannot be seen any more.
    fn turn_over(&self, changes: Vec<FunctionChange>, complete: bool) {
        let mut writer = lock(&self.writer);
        let mut functions = self.functions.load();
        let changes = if complete { replacement(&functions, changes) } else { changes };
        let turnover = writer.apply(&mut functions, changes);
        for ready in &turnover.deploy {
            let memory_mb = ready.spec.memory_mb;
            lock(&self.core).serving.insert(ready.generation(), Arc::clone(ready));
            self.turn(Event::Deploy { generation: ready.generation(), function: ready.key, memory_mb });
        }
        for (function, concurrency) in turnover.reserve {
            self.turn(Event::Reserve { function, concurrency });
        }
        for (generation, count) in turnover.provision {
            self.turn(Event::Provision { generation, count });
            lock(&self.core).note_provisioned(generation, count);
            self.provisioned.notify_one();
        }
        self.optimizations.add(turnover.optimize);
        self.functions.change_urls(turnover.urls);
        self.functions.store(functions);
        for generation in turnover.retire {
            self.retire(generation);
            // Only now: before, one more of its tenants could come.
            let tenants = lock(&self.core).tenants.remove(generation);
            tenants.into_iter().for_each(|generation| self.retire(generation));
        }
        // What is in a list was there before: what of it was in use lately is recalled.
        if !complete {
            turnover.deploy.iter().for_each(|ready| self.foresee(ready));
        }
    }

    /// What was just deployed is likely to be called.
    fn foresee(&self, ready: &Ready) {
        let worker = lock(&self.core).scheduler.place_for(ready.spec.memory_mb);
        if let Some(worker) = worker {
            self.worker.foresee(worker, &ready.spec);
        }
    }

    /// No invoke is given to a generation any more.
    fn retire(&self, generation: Generation) {
        self.turn(Event::Retire(generation));
        let mut core = lock(&self.core);
        core.serving.remove(&generation);
        core.provisioned.remove(&generation);
        drop(core);
        self.worker.forget(generation.0);
    }
}
