//! Rules that are due at times.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_crash::{self as crash, Point};
use hearth_store::Precondition;
use hearth_types::keys;
use serde_json::Value;
use tracing::warn;

use crate::Rules;
use crate::bus::DEFAULT;
use crate::event::{Event, time};
use crate::rule::RuleRecord;
use crate::target::Leads;
use hearth_records::put;

impl Rules {
    /// Fires the rules that are due; when one is due next.
    ///
    /// Of the times that were missed, the last one counts: the server did not run, or its clock was set.
    pub(crate) async fn rules_at(&self, now_ms: i64) -> Result<Option<i64>, ApiError> {
        let mut next: Option<i64> = None;
        for rule in self.compiled(DEFAULT).await?.iter() {
            let rule = &rule.record;
            let Some(timetable) = rule.timetable() else { continue };
            let seen = self.records.read::<i64>(&keys::rule_time(&rule.bus, &rule.name)).await?;
            let mut seen_ms = seen.map_or(rule.start_ms, |seen| seen.record.max(rule.start_ms));
            if let Some(due_ms) = timetable.latest(seen_ms, now_ms) {
                if let Some(missed) = timetable.next(seen_ms).filter(|first| *first < due_ms) {
                    let (first, last) = (time(missed / 1000), time(due_ms / 1000));
                    warn!("rule {}: missed from {first} on; it fires once, for {last}", rule.name);
                }
                self.fire(rule, due_ms).await?;
                seen_ms = due_ms;
            }
            next = [next, timetable.next(seen_ms)].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// A crash before the second commit repeats it, and nothing else.
    async fn fire(&self, rule: &RuleRecord, due_ms: i64) -> Result<(), ApiError> {
        let event = Event {
            resources: vec![self.rule_arn(&rule.bus, &rule.name)],
            ..Event::new("aws.events", "Scheduled Event", due_ms.div_euclid(1000), "{}".to_owned())
        };
        let text = Bytes::from(event.text(&self.parts.place));
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        let mut buses = vec![];
        let mut parcels = vec![];
        for target in &rule.targets {
            match Leads::of(&target.arn) {
                Some(Leads::Bus) if self.leads_on(target, &mut buses).await? => {}
                _ => parcels.extend(self.parcel(rule, target, &event, &text, &value)),
            }
        }
        for bus in buses {
            parcels.extend(self.parcels(&bus, &event).await?);
        }
        self.send(parcels).await?;
        crash::point(Point::RuleFired);
        let write = put(keys::rule_time(&rule.bus, &rule.name), &due_ms, Precondition::Any)?;
        self.records.commit(vec![write]).await.map(drop)
    }
}
