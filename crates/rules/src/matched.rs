//! The rules of a bus, read once and kept until one is changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_api::ApiError;
use hearth_pattern::Pattern;
use hearth_types::keys;
use hearth_types::limits::RULES as RULES_MAX;
use serde_json::Value;
use tracing::error;

use crate::Rules;
use crate::rule::RuleRecord;

/// A rule and its pattern, read.
pub(crate) struct CompiledRule {
    pub(crate) record: RuleRecord,
    pattern: Option<Pattern>,
}

/// What is kept.
#[derive(Default)]
pub(crate) struct Compiled(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// How often anything was forgotten: what was read before is not kept after.
    generation: u64,
    buses: HashMap<String, Arc<Vec<CompiledRule>>>,
}

impl Compiled {
    /// A rule of the bus was written.
    pub(crate) fn forget(&self, bus: &str) {
        let mut kept = self.kept();
        kept.generation += 1;
        kept.buses.remove(bus);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CompiledRule {
    fn of(record: RuleRecord) -> CompiledRule {
        let pattern = record.pattern.as_deref().and_then(|text| {
            let read = Pattern::parse(text);
            read.map_err(|cause| error!("rule {}: the pattern that was taken is none: {cause}", record.name)).ok()
        });
        CompiledRule { record, pattern }
    }

    /// Whether an event is one for its targets.
    pub(crate) fn matches(&self, event: &Value) -> bool {
        self.record.enabled && self.pattern.as_ref().is_some_and(|pattern| pattern.matches(event))
    }
}

impl Rules {
    /// The rules of a bus that is there.
    pub(crate) async fn compiled(&self, bus: &str) -> Result<Arc<Vec<CompiledRule>>, ApiError> {
        let generation = {
            let kept = self.compiled.kept();
            if let Some(rules) = kept.buses.get(bus) {
                return Ok(Arc::clone(rules));
            }
            kept.generation
        };
        let found = self.records.read_matching::<RuleRecord>(&keys::rules_of(bus), None, RULES_MAX, |_| true).await?;
        let rules: Arc<Vec<_>> = Arc::new(found.into_iter().map(|(_, found)| CompiledRule::of(found.record)).collect());
        let mut kept = self.compiled.kept();
        if kept.generation == generation {
            kept.buses.insert(bus.to_owned(), Arc::clone(&rules));
        }
        Ok(rules)
    }
}
