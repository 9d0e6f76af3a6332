//! What is counted of event source mappings that ask for it (EventCount), under Lambda's names.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use hearth_types::limits::METRIC_MAPPINGS;

use crate::{Counter, Kind, Text};

/// What is counted of one mapping since the server started, or since it was made: events, each time that it happens.
#[derive(Debug, Default)]
pub struct OfMapping {
    /// Read from the source.
    pub polled: Counter,
    /// Held back by the filters.
    pub filtered_out: Counter,
    /// Given to the function, each attempt by itself.
    pub invoked: Counter,
    /// Given to the function without success, each attempt by itself; those that its answer names as failed.
    pub failed: Counter,
    /// Given up.
    pub dropped: Counter,
    /// Of these, what the destination was told of.
    pub told: Counter,
    /// Deleted from the queue, the function having taken them.
    pub deleted: Counter,
    /// Committed to Kafka as read.
    pub committed: Counter,
}

/// All mappings that are counted.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    known: RwLock<HashMap<Arc<str>, Arc<OfMapping>>>,
    /// Of mappings beyond the bound: together, under no name.
    others: Arc<OfMapping>,
}

type Read = fn(&OfMapping) -> &Counter;

const COUNTERS: &[(&str, &str, Read)] = &[
    ("lambda_polled_event_count_total", "PolledEventCount: events read from the source.", |of| &of.polled),
    ("lambda_filtered_out_event_count_total", "FilteredOutEventCount: held back by filters.", |of| &of.filtered_out),
    ("lambda_invoked_event_count_total", "InvokedEventCount: given to the function.", |of| &of.invoked),
    ("lambda_failed_invoke_event_count_total", "FailedInvokeEventCount: without success.", |of| &of.failed),
    ("lambda_dropped_event_count_total", "DroppedEventCount: given up.", |of| &of.dropped),
    (
        "lambda_on_failure_destination_delivered_event_count_total",
        "OnFailureDestinationDeliveredEventCount: given up, and the destination was told.",
        |of| &of.told,
    ),
    ("lambda_deleted_event_count_total", "DeletedEventCount: deleted from the queue when done.", |of| &of.deleted),
    ("lambda_committed_event_count_total", "CommittedEventCount: committed to Kafka.", |of| &of.committed),
];

impl Mappings {
    pub(crate) fn of(&self, uuid: &str) -> Arc<OfMapping> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= METRIC_MAPPINGS && !known.contains_key(uuid) {
            return Arc::clone(&self.others);
        }
        Arc::clone(known.entry(uuid.into()).or_default())
    }

    pub(crate) fn forget(&self, uuid: &str) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(uuid);
    }

    pub(crate) fn write(&self, text: &mut Text) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(&str, &OfMapping)> = known.iter().map(|(uuid, of)| (&**uuid, &**of)).collect();
        if known.len() >= METRIC_MAPPINGS {
            all.push(("", &self.others));
        }
        all.sort_by_key(|(uuid, _)| *uuid);
        for (family, help, read) in COUNTERS {
            text.family(family, Kind::Counter, help);
            for (uuid, of) in &all {
                text.number(family, &[("event_source_mapping_uuid", uuid)], read(of).get());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(mappings: &Mappings) -> String {
        let mut text = Text::default();
        mappings.write(&mut text);
        text.finish()
    }

    #[test]
    fn mappings_are_counted_each_by_itself_up_to_a_bound_and_forgotten() {
        let mappings = Mappings::default();
        for n in 0..METRIC_MAPPINGS + 2 {
            mappings.of(&format!("m{n}")).polled.add(3);
        }
        mappings.of("m0").told.count();
        let text = written(&mappings);
        assert!(text.contains("\nlambda_polled_event_count_total{event_source_mapping_uuid=\"m1\"} 3\n"), "{text}");
        assert!(text.contains("\nlambda_polled_event_count_total{event_source_mapping_uuid=\"\"} 6\n"));
        let told = "lambda_on_failure_destination_delivered_event_count_total";
        assert!(text.contains(&format!("\n{told}{{event_source_mapping_uuid=\"m0\"}} 1\n")));
        mappings.forget("m0");
        assert!(!written(&mappings).contains("\"m0\""));
    }
}
