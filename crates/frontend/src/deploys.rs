//! Taking over what the control plane committed.

use std::collections::HashSet;
use std::sync::Arc;

use hearth_scheduler::Event;
use hearth_types::function::FunctionRecord;

use crate::dispatcher::{Dispatcher, lock};
use crate::environments::Environments;
use crate::snapshot::{FunctionChange, Functions, Turnover, Writer};

impl<W: Environments> Dispatcher<W> {
    /// Takes over what commits in the metadata store changed. When it returns, new invokes run the new code, and the
    /// environments of the old one are being drained.
    pub fn apply(&self, changes: &[FunctionChange<'_>]) {
        self.turn_over(|writer, functions, turnover| {
            for change in changes {
                writer.change(functions, *change, turnover);
            }
        });
    }

    /// Takes over a complete list of all functions: what is not in it is gone.
    pub fn replace<'a>(&self, records: impl IntoIterator<Item = &'a FunctionRecord>) {
        self.turn_over(|writer, functions, turnover| {
            let mut gone: HashSet<Arc<str>> = functions.keys().cloned().collect();
            for record in records {
                gone.remove(record.name.as_str());
                writer.change(functions, FunctionChange::Put(record), turnover);
            }
            for name in gone {
                writer.change(functions, FunctionChange::Delete(&name), turnover);
            }
        });
    }

    /// In this order no invoke fails: deployed before it can be seen, retired when it cannot be seen any more.
    fn turn_over(&self, change: impl FnOnce(&mut Writer, &mut Functions, &mut Turnover)) {
        let mut writer = lock(&self.writer);
        let mut functions = self.functions.load();
        let mut turnover = Turnover::default();
        change(&mut writer, &mut functions, &mut turnover);
        for ready in &turnover.deploy {
            let memory_mb = ready.spec.memory_mb;
            self.turn(Event::Deploy { generation: ready.generation(), function: ready.key, memory_mb });
        }
        self.functions.store(functions);
        for generation in turnover.retire {
            self.turn(Event::Retire(generation));
        }
    }
}
