//! Schedules whose time has come.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_crash::{self as crash, Point};
use hearth_delivery::{DeadLetter, Delivery, Kind, Parcel, Retry, Sender, Source, Target};
use hearth_sqs::Attribute;
use hearth_store::Precondition;
use hearth_types::keys;
use hearth_types::limits::{RULES_PAGE, TIMER_PAUSE};
use serde_json::Value;
use tracing::{error, warn};
use uuid::Uuid;

use crate::Rules;
use crate::agenda::Agenda;
use crate::event::time;
use crate::schedule::ScheduleRecord;
use crate::schedules::without_schedule;
use crate::target::retry;
use hearth_records::put;

impl Rules {
    /// All schedules that there are, on the agenda at once.
    pub(crate) async fn load_schedules(&self, agenda: &mut Agenda, now_ms: i64) -> Result<(), ApiError> {
        let mut after: Option<String> = None;
        loop {
            let prefix = keys::SCHEDULES;
            let some =
                self.records.read_matching::<ScheduleRecord>(prefix, after.as_deref(), RULES_PAGE, |_| true).await?;
            let Some((last, _)) = some.last() else { return Ok(()) };
            after = Some(format!("{prefix}{last}"));
            for (rest, _) in &some {
                agenda.set(&format!("{prefix}{rest}"), Some(now_ms));
            }
        }
    }

    /// Sees to the schedules that were changed or are due; when one is due next.
    pub(crate) async fn schedules_at(&self, agenda: &mut Agenda, now_ms: i64) -> Option<i64> {
        for key in self.changed_schedules() {
            agenda.set(&key, Some(now_ms));
        }
        while let Some((due_ms, key)) = agenda.first() {
            if due_ms > now_ms {
                return Some(due_ms);
            }
            let key = key.to_owned();
            let next = self.attend(&key, now_ms).await.unwrap_or_else(|cause| {
                error!("{key} cannot be seen to: {cause}");
                Some(now_ms + i64::try_from(TIMER_PAUSE.as_millis()).unwrap_or(i64::MAX))
            });
            agenda.set(&key, next);
        }
        None
    }

    /// Fires a schedule where it is due; when it is due next.
    ///
    /// Of the times that were missed, the last one counts, where it is not older than its target wants events.
    async fn attend(&self, key: &str, now_ms: i64) -> Result<Option<i64>, ApiError> {
        let Some(found) = self.records.read::<ScheduleRecord>(key).await? else { return Ok(None) };
        let schedule = &found.record;
        let Some(timetable) = schedule.timetable() else { return Ok(None) };
        let seen_key = keys::schedule_time(&schedule.group, &schedule.name);
        let seen = self.records.read::<i64>(&seen_key).await?;
        let mut seen_ms = schedule.first_ms() - 1;
        if let Some(seen) = &seen {
            seen_ms = seen_ms.max(seen.record);
        }
        let next = |after: i64| timetable.next(after).filter(|time| schedule.is_within(*time));
        let due = |time: i64| time + schedule.delay_ms(time);
        let Some(first) = next(seen_ms) else { return self.completed(schedule, found.unchanged()).await };
        if due(first) > now_ms {
            return Ok(Some(due(first)));
        }
        let last = timetable.latest(seen_ms, schedule.when.until_ms.unwrap_or(i64::MAX).min(now_ms));
        let time_ms = last.filter(|last| due(*last) <= now_ms).unwrap_or(first);
        if time_ms > first {
            let (first, last) = (time(first / 1000), time(time_ms / 1000));
            warn!("schedule {}/{}: missed from {first} on; it fires once, for {last}", schedule.group, schedule.name);
        }
        self.send(self.parcel_of_schedule(schedule, time_ms, now_ms).into_iter().collect()).await?;
        crash::point(Point::ScheduleFired);
        // A crash before this repeats it, and nothing else.
        self.records.commit(vec![put(seen_key, &time_ms, Precondition::Any)?]).await?;
        match next(time_ms) {
            Some(next) => Ok(Some(due(next))),
            None => self.completed(schedule, found.unchanged()).await,
        }
    }

    /// No time is to come. Whoever changes it meanwhile has it seen to again.
    async fn completed(&self, schedule: &ScheduleRecord, as_found: Precondition) -> Result<Option<i64>, ApiError> {
        if schedule.ends_deleted {
            self.records.commit(without_schedule(&schedule.group, &schedule.name, as_found)).await?;
        }
        Ok(None)
    }

    /// What its target gets; of a time that is too long ago, its dead-letter queue.
    fn parcel_of_schedule(&self, schedule: &ScheduleRecord, time_ms: i64, now_ms: i64) -> Option<Parcel> {
        let arn = self.schedule_arn(&schedule.group, &schedule.name);
        let target = &schedule.target;
        let body = self.input_of_schedule(schedule, &arn, time_ms);
        let attributes = [("SCHEDULE_ARN", arn.as_str()), ("TARGET_ARN", target.arn.as_str())]
            .map(|(name, value)| (name.to_owned(), Attribute::text("String", value)));
        let dead_letter = target.dead_letters.as_ref().map(|queue| DeadLetter {
            says_why: true,
            attributes: attributes.into(),
            ..DeadLetter::plain(queue)
        });
        let Retry { attempts, age_ms, .. } = retry(target.attempts, target.age_s);
        let left_ms = age_ms - (now_ms - time_ms - schedule.delay_ms(time_ms));
        let (destination, dead_letter) = if left_ms > 0 {
            (target.destination()?, dead_letter)
        } else {
            warn!("schedule {}/{}: {} is too long ago", schedule.group, schedule.name, time(time_ms / 1000));
            let dead_letter = dead_letter?;
            let mut attributes = dead_letter.attributes;
            attributes.insert("ERROR_CODE".to_owned(), Attribute::text("String", "EVENT_AGE_EXCEEDED"));
            (Target::queue(dead_letter.arn, attributes), None)
        };
        Some(Parcel {
            lane: format!("schedule/{}/{}", schedule.group, schedule.name),
            delivery: Delivery {
                source: Source { kind: Kind::Schedule, arn },
                sender: Sender::Role { arn: target.role.clone(), session: schedule.name.clone() },
                target: destination,
                retry: Retry { attempts, age_ms: left_ms.max(60_000), pause_ms: None },
                dead_letter,
                trace: None,
                since_ms: 0,
                attempts: 0,
            },
            body: Bytes::from(body),
        })
    }

    /// Its Input with what it says about this time, or an event.
    fn input_of_schedule(&self, schedule: &ScheduleRecord, arn: &str, time_ms: i64) -> String {
        let id = Uuid::new_v4().to_string();
        let at = time(time_ms.div_euclid(1000));
        match (&schedule.target.input, &schedule.target.event) {
            (Some(input), _) => input
                .replace("<aws.scheduler.schedule-arn>", arn)
                .replace("<aws.scheduler.scheduled-time>", &at)
                .replace("<aws.scheduler.execution-id>", &id)
                .replace("<aws.scheduler.attempt-number>", "1"),
            (None, Some(_)) => "{}".to_owned(),
            (None, None) => format!(
                r#"{{"version":"0","id":"{id}","detail-type":"Scheduled Event","source":"aws.scheduler","account":"{}","time":"{at}","region":"{}","resources":[{}],"detail":"{{}}"}}"#,
                self.parts.place.account,
                self.parts.place.region,
                Value::from(arn),
            ),
        }
    }
}
