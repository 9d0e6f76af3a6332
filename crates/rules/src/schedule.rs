//! A schedule as the metadata store keeps it.

use hearth_api::scheduler::types as api;
use hearth_api::{ApiError, Timestamp};
use hearth_cron::{Expression, Timetable, Zone};
use hearth_delivery::Target;
use hearth_types::limits::SCHEDULE_INPUT_BYTES;
use serde::{Deserialize, Serialize};

use crate::errors::{invalid, unsupported};
use crate::target::{Leads, destination};

/// How long ago a schedule may start (EventBridge Scheduler).
const START_AGO_MS: i64 = 5 * 60_000;

/// A schedule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ScheduleRecord {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) when: When,
    pub(crate) target: ScheduleTarget,
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// Whether it is deleted when there is no more time to come.
    #[serde(default)]
    pub(crate) ends_deleted: bool,
    /// What the client calls the request that made it.
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// Since when its times count, in milliseconds since 1970.
    pub(crate) start_ms: i64,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: i64,
}

/// When it is due.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct When {
    pub(crate) expression: String,
    #[serde(default)]
    pub(crate) zone: Option<String>,
    /// No time of a rate or a cron expression comes before, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) from_ms: Option<i64>,
    /// And none after.
    #[serde(default)]
    pub(crate) until_ms: Option<i64>,
    /// Minutes after each time within which it is due.
    #[serde(default)]
    pub(crate) window_minutes: Option<i32>,
}

/// What it calls.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ScheduleTarget {
    pub(crate) arn: String,
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) input: Option<String>,
    /// MessageGroupId, of a FIFO queue.
    #[serde(default)]
    pub(crate) group: Option<String>,
    /// `source` and `detail-type`, of an event bus.
    #[serde(default)]
    pub(crate) event: Option<(String, String)>,
    #[serde(default)]
    pub(crate) dead_letters: Option<String>,
    #[serde(default)]
    pub(crate) attempts: Option<i32>,
    #[serde(default)]
    pub(crate) age_s: Option<i32>,
}

impl When {
    /// # Errors
    /// ValidationException.
    pub(crate) fn of(
        expression: String,
        zone: Option<String>,
        (from, until): (Option<Timestamp>, Option<Timestamp>),
        window: &api::FlexibleTimeWindow,
        now_ms: i64,
    ) -> Result<When, ApiError> {
        if Expression::of_schedule(&expression).is_none() {
            return Err(invalid(format!("Invalid Schedule Expression {expression}.")));
        }
        if let Some(zone) = zone.as_deref().filter(|zone| Zone::named(zone).is_none()) {
            return Err(invalid(format!("Invalid Schedule Expression Timezone {zone}.")));
        }
        let (from_ms, until_ms) = (from.map(|time| time.0), until.map(|time| time.0));
        if from_ms.is_some_and(|from| from < now_ms - START_AGO_MS) {
            return Err(invalid("The StartDate you specify cannot be earlier than 5 minutes ago."));
        }
        if until_ms.is_some_and(|until| until < now_ms || from_ms.is_some_and(|from| until <= from)) {
            return Err(invalid("The EndDate you specify must be after the StartDate and in the future."));
        }
        let window_minutes = match (window.mode, window.maximum_window_in_minutes) {
            (api::FlexibleTimeWindowMode::Off, None) => None,
            (api::FlexibleTimeWindowMode::Flexible, Some(minutes)) => Some(minutes),
            (api::FlexibleTimeWindowMode::Off, Some(_)) => {
                return Err(invalid("MaximumWindowInMinutes must not be provided for Mode OFF."));
            }
            (api::FlexibleTimeWindowMode::Flexible, None) => {
                return Err(invalid("MaximumWindowInMinutes must be provided for Mode FLEXIBLE."));
            }
        };
        Ok(When { expression, zone, from_ms, until_ms, window_minutes })
    }
}

impl ScheduleTarget {
    /// # Errors
    /// ValidationException; and for what targets cannot be here, by name.
    pub(crate) fn of(given: api::Target) -> Result<ScheduleTarget, ApiError> {
        let arn = given.arn;
        let named = [
            ("EcsParameters", given.ecs_parameters.is_some()),
            ("EventBridgePutEventsV2Parameters", given.event_bridge_put_events_v2_parameters.is_some()),
            ("EventBridgePutRawEventsParameters", given.event_bridge_put_raw_events_parameters.is_some()),
            ("KinesisParameters", given.kinesis_parameters.is_some()),
            ("SageMakerPipelineParameters", given.sage_maker_pipeline_parameters.is_some()),
        ];
        if let Some((name, _)) = named.iter().find(|(_, given)| *given) {
            return Err(unsupported(&format!("targets with {name}")));
        }
        let leads = Leads::of(&arn).filter(|leads| *leads != Leads::LogGroup);
        let leads = leads.ok_or_else(|| {
            unsupported(&format!("schedules for {arn}: their targets are functions, queues, topics and event buses"))
        })?;
        let event = given.event_bridge_parameters.map(|event| (event.source, event.detail_type));
        if (leads == Leads::Bus) != event.is_some() {
            return Err(invalid("EventBridgeParameters belong to targets that are event buses, and to no others."));
        }
        if given.input.as_ref().is_some_and(|input| input.len() > SCHEDULE_INPUT_BYTES) {
            return Err(invalid(format!("The Input has more than {SCHEDULE_INPUT_BYTES} bytes.")));
        }
        let retry = given.retry_policy;
        Ok(ScheduleTarget {
            arn,
            role: given.role_arn,
            input: given.input,
            group: given.sqs_parameters.and_then(|parameters| parameters.message_group_id),
            event,
            dead_letters: given.dead_letter_config.and_then(|config| config.arn),
            attempts: retry.as_ref().and_then(|retry| retry.maximum_retry_attempts),
            age_s: retry.and_then(|retry| retry.maximum_event_age_in_seconds),
        })
    }

    /// As clients see it: retries are shown though none were given.
    pub(crate) fn shown(&self) -> api::Target {
        let retry = crate::target::retry(self.attempts, self.age_s);
        api::Target {
            arn: self.arn.clone(),
            role_arn: self.role.clone(),
            dead_letter_config: self.dead_letters.clone().map(|arn| api::DeadLetterConfig { arn: Some(arn) }),
            retry_policy: Some(api::RetryPolicy {
                maximum_event_age_in_seconds: i32::try_from(retry.age_ms / 1000).ok(),
                maximum_retry_attempts: i32::try_from(retry.attempts).ok(),
            }),
            input: self.input.clone(),
            event_bridge_parameters: self
                .event
                .clone()
                .map(|(source, detail_type)| api::EventBridgeParameters { detail_type, source }),
            sqs_parameters: self.group.clone().map(|group| api::SqsParameters { message_group_id: Some(group) }),
            ecs_parameters: None,
            event_bridge_put_events_v2_parameters: None,
            event_bridge_put_raw_events_parameters: None,
            kinesis_parameters: None,
            sage_maker_pipeline_parameters: None,
        }
    }

    /// Where the outbox takes something for it.
    pub(crate) fn destination(&self) -> Option<Target> {
        match self.event.clone() {
            Some((source, detail_type)) => {
                Some(Target::Bus { arn: self.arn.clone(), source, detail_type, resources: vec![] })
            }
            None => destination(&self.arn, self.group.clone()),
        }
    }
}

impl ScheduleRecord {
    /// When it is due; none where it is switched off.
    pub(crate) fn timetable(&self) -> Option<Timetable> {
        let expression = Expression::of_schedule(self.enabled.then_some(self.when.expression.as_str())?)?;
        let zone = self.when.zone.as_deref().and_then(Zone::named).unwrap_or_else(Zone::utc);
        Some(Timetable { expression, zone, start_ms: self.first_ms(), at_start: true })
    }

    /// No time comes before.
    pub(crate) fn first_ms(&self) -> i64 {
        let once = self.when.expression.starts_with("at(");
        self.when.from_ms.filter(|_| !once).map_or(self.start_ms, |from| from.max(self.start_ms))
    }

    /// Whether a time is not after its end. A single time has none.
    pub(crate) fn is_within(&self, time_ms: i64) -> bool {
        self.when.expression.starts_with("at(") || self.when.until_ms.is_none_or(|until| time_ms <= until)
    }

    /// How long after a time it is due, in milliseconds: as if thrown for, and the same whenever it is asked.
    pub(crate) fn delay_ms(&self, time_ms: i64) -> i64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let Some(minutes) = self.when.window_minutes else { return 0 };
        let mut hasher = DefaultHasher::new();
        (&self.group, &self.name, time_ms).hash(&mut hasher);
        let seconds = u64::try_from(minutes).unwrap_or(0).max(1) * 60;
        i64::try_from(hasher.finish() % seconds).unwrap_or(0) * 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(expression: &str) -> ScheduleRecord {
        let target = ScheduleTarget {
            arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
            role: "r".into(),
            input: None,
            group: None,
            event: None,
            dead_letters: None,
            attempts: None,
            age_s: None,
        };
        let expression = expression.to_owned();
        let when = When { expression, zone: None, from_ms: None, until_ms: None, window_minutes: None };
        ScheduleRecord {
            group: "default".into(),
            name: "s".into(),
            when,
            target,
            enabled: true,
            description: None,
            ends_deleted: false,
            token: None,
            start_ms: 1000,
            created_ms: 1000,
            modified_ms: 1000,
        }
    }

    #[test]
    fn a_rate_begins_at_once_or_at_its_start() {
        let mut rate = schedule("rate(1 hour)");
        assert_eq!(rate.timetable().unwrap().next(rate.first_ms() - 1), Some(1000));
        rate.when.from_ms = Some(50_000);
        rate.when.until_ms = Some(60_000);
        assert_eq!(rate.timetable().unwrap().next(rate.first_ms() - 1), Some(50_000));
        assert!(rate.is_within(60_000) && !rate.is_within(60_001));
    }

    #[test]
    fn a_window_delays_the_same_time_by_the_same() {
        let mut rate = schedule("rate(1 hour)");
        assert_eq!(rate.delay_ms(5), 0);
        rate.when.window_minutes = Some(15);
        let delays: std::collections::BTreeSet<i64> = (0..200).map(|time| rate.delay_ms(time)).collect();
        assert!(delays.len() > 50 && delays.iter().all(|delay| (0..15 * 60_000).contains(delay)));
        assert_eq!(rate.delay_ms(7), rate.clone().delay_ms(7));
    }
}
