//! What a function is set to, read when an event of it is looked at: settings hold for events that wait, too.

use hearth_fleet::Timing;
use hearth_store::MetadataStore;
use hearth_store::typed::{Fault, read};
use hearth_types::function::{AliasRecord, FunctionRecord, VersionId, VersionRecord};
use hearth_types::keys::{self, Part};
use hearth_types::limits::{EVENT_AGE_DEFAULT_S, EVENT_RETRIES_DEFAULT};
use hearth_types::settings::EventInvokeConfig;

use crate::decide::Rules;
use crate::event::Event;

/// What decides about a function's events, and where the records of their ends go.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) rules: Rules,
    /// ARN of the destination of successes.
    pub(crate) on_success: Option<String>,
    /// ARN of the destination of failures.
    pub(crate) on_failure: Option<String>,
    /// ARN of the dead-letter queue.
    pub(crate) dead_letter: Option<String>,
    /// ARN of the role in whose name records are delivered.
    pub(crate) role: String,
}

impl Policy {
    /// None where the function is gone. The settings are those of exactly the qualifier that the event was sent to; dead
    /// letters and role are of the version that it stands for.
    pub(crate) async fn read(
        metadata: &dyn MetadataStore,
        timing: Timing,
        function: &str,
        event: &Event,
    ) -> Result<Option<Self>, Fault> {
        let Some(found) = read::<FunctionRecord>(metadata, &keys::function(function)).await? else { return Ok(None) };
        let key = Part::EventInvokeConfig.key(function, event.qualifier());
        let config = read::<EventInvokeConfig>(metadata, &key).await?.map(|found| found.record).unwrap_or_default();
        let version = version(metadata, function, event).await?.unwrap_or(found.record.latest);
        Ok(Some(Self {
            rules: Rules {
                retries: config.retries.map_or(EVENT_RETRIES_DEFAULT, u32::from),
                age_ms: i64::from(config.event_age_s.unwrap_or(EVENT_AGE_DEFAULT_S)) * 1000,
                reserved: found.record.reserved_concurrency,
                timing,
            },
            on_success: config.on_success,
            on_failure: config.on_failure,
            dead_letter: version.config.dead_letter,
            role: version.config.role,
        }))
    }
}

/// The published version that an event's qualifier stands for.
async fn version(metadata: &dyn MetadataStore, function: &str, event: &Event) -> Result<Option<VersionRecord>, Fault> {
    let Some(qualifier) = event.qualifier.as_deref() else { return Ok(None) };
    let number = match qualifier.parse::<u64>() {
        Ok(number) => Some(number),
        Err(_) => {
            let key = Part::Alias.key(function, qualifier);
            match read::<AliasRecord>(metadata, &key).await?.map(|found| found.record.version) {
                Some(VersionId::Number(number)) => Some(number),
                _ => None,
            }
        }
    };
    let Some(number) = number else { return Ok(None) };
    Ok(read::<VersionRecord>(metadata, &keys::version(function, number)).await?.map(|found| found.record))
}
