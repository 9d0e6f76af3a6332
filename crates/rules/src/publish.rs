//! From an event to what its rules' targets get.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::events::Operation;
use hearth_delivery::{DeadLetter, Delivery, Kind, Parcel, Sender, Source, Target};
use hearth_identity::Caller;
use hearth_sqs::Attribute;
use hearth_types::limits::EVENT_BUSES;
use serde_json::Value;
use tracing::{debug, error, warn};

use crate::errors::invalid;
use crate::event::{Event, is_object, time};
use crate::input::About;
use crate::rule::RuleRecord;
use crate::target::{Leads, TargetRecord, retry};
use crate::{Rules, allow};

/// The name of EventBridge as a principal.
const PRINCIPAL: &str = "events.amazonaws.com";

impl Rules {
    /// Takes an event to a bus, named or by its ARN; in the name of a caller, or of a service of this server's, which may.
    /// When it returns Ok, what follows is on stable storage.
    ///
    /// # Errors
    /// AccessDeniedException, ResourceNotFoundException where there is no such bus, and when the store cannot be written.
    pub async fn publish(&self, caller: Option<&Caller>, bus: &str, event: &Event) -> Result<(), ApiError> {
        if !is_object(&event.detail) {
            return Err(invalid("Detail is malformed."));
        }
        let bus = self.bus_name(Some(bus))?;
        let policy = self.bus(&bus).await?.0.document();
        if let Some(caller) = caller {
            allow(caller, Operation::PutEvents, &self.bus_arn(&bus), policy.as_ref())?;
        }
        let parcels = self.parcels(&bus, event).await?;
        self.send(parcels).await
    }

    /// Has parcels on stable storage.
    pub(crate) async fn send(&self, parcels: Vec<Parcel>) -> Result<(), ApiError> {
        if parcels.is_empty() {
            return Ok(());
        }
        self.parts.outbox.post(parcels).await.map_err(|cause| {
            error!("the outbox: {cause}");
            ApiError::service("The queues are not available.")
        })
    }

    /// What all targets get of an event that comes to a bus.
    pub(crate) async fn parcels(&self, bus: &str, event: &Event) -> Result<Vec<Parcel>, ApiError> {
        let text = Bytes::from(event.text(&self.parts.place));
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        let mut parcels = vec![];
        let mut buses = vec![bus.to_owned()];
        let mut come_to = 0;
        while let Some(bus) = buses.get(come_to).cloned() {
            come_to += 1;
            let goes_on = come_to < EVENT_BUSES;
            for rule in self.compiled(&bus).await?.iter().filter(|rule| rule.matches(&value)) {
                for target in &rule.record.targets {
                    match Leads::of(&target.arn) {
                        Some(Leads::Bus) if goes_on && self.leads_on(target, &mut buses).await? => {}
                        Some(Leads::Bus) if goes_on => {
                            parcels.extend(self.parcel(&rule.record, target, event, &text, &value));
                        }
                        Some(Leads::Bus) => debug!("rule {}: an event goes on to one bus only", rule.record.name),
                        _ => parcels.extend(self.parcel(&rule.record, target, event, &text, &value)),
                    }
                }
            }
        }
        Ok(parcels)
    }

    /// Whether a target is a bus of this server, to which the event goes on. For any other, which nothing can take, there
    /// is a parcel: it goes the way of all that a target does not take.
    pub(crate) async fn leads_on(&self, target: &TargetRecord, buses: &mut Vec<String>) -> Result<bool, ApiError> {
        let Ok(name) = self.bus_name(Some(&target.arn)) else { return Ok(false) };
        match self.bus(&name).await {
            Ok(_) if buses.contains(&name) => Ok(true),
            Ok(_) => {
                buses.push(name);
                Ok(true)
            }
            Err(error) if error.kind.status < 500 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What one target gets.
    pub(crate) fn parcel(
        &self,
        rule: &RuleRecord,
        target: &TargetRecord,
        event: &Event,
        text: &Bytes,
        value: &Value,
    ) -> Option<Parcel> {
        let arn = self.rule_arn(&rule.bus, &rule.name);
        let now = time(self.now_ms().div_euclid(1000));
        let about = About { rule_arn: &arn, rule_name: &rule.name, ingestion_time: &now };
        let sender = match &target.role {
            Some(role) => Sender::Role { arn: role.clone(), session: format!("Events_Invoke_{}", rule.name) },
            None => Sender::Service { principal: PRINCIPAL.to_owned(), source_arn: arn.clone() },
        };
        let dead_letter = target.dead_letters.as_ref().map(|queue| DeadLetter {
            says_why: true,
            body: Some(String::from_utf8_lossy(text).into_owned()),
            attributes: [("RULE_ARN", arn.as_str()), ("TARGET_ARN", target.arn.as_str())]
                .map(|(name, value)| (name.to_owned(), Attribute::text("String", value)))
                .into(),
            ..DeadLetter::plain(queue)
        });
        let (destination, body, dead_letter) = match target.input.of(text, value, about) {
            Some(body) => (target.destination(event)?, body, dead_letter),
            None => {
                warn!("rule {}: what target {} is to get is too large", rule.name, target.id);
                let DeadLetter { arn, mut attributes, .. } = dead_letter?;
                attributes.insert("ERROR_CODE".to_owned(), Attribute::text("String", "INVALID_PARAMETER"));
                (Target::queue(arn, attributes), text.clone(), None)
            }
        };
        Some(Parcel {
            lane: format!("rule/{}/{}/{}", rule.bus, rule.name, target.id),
            delivery: Delivery {
                source: Source { kind: Kind::Rule, arn },
                sender,
                target: destination,
                retry: retry(target.attempts, target.age_s),
                dead_letter,
                trace: event.trace.clone(),
                since_ms: 0,
                attempts: 0,
            },
            body,
        })
    }
}
