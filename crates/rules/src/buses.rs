//! Buses: made, shown, changed, deleted.

use hearth_api::events::types as api;
use hearth_api::events::{Operation, errors};
use hearth_api::{ApiError, Timestamp};
use hearth_identity::Caller;
use hearth_store::typed::as_found;
use hearth_store::{Precondition, Write};
use hearth_types::keys;

use crate::bus::{self, BusRecord, DEFAULT};
use crate::errors::{invalid, unsupported};
use crate::rule::RuleRecord;
use crate::{Rules, allow, page};
use hearth_records::put;

impl Rules {
    /// CreateEventBus.
    ///
    /// # Errors
    /// ResourceAlreadyExistsException, ValidationException.
    pub async fn create_event_bus(
        &self,
        caller: &Caller,
        input: api::CreateEventBusRequest,
    ) -> Result<api::CreateEventBusResponse, ApiError> {
        let arn = self.bus_arn(&input.name);
        allow(caller, Operation::CreateEventBus, &arn, None)?;
        if input.event_source_name.is_some() || input.name.contains('/') {
            return Err(unsupported("buses of partners (EventSourceName, names with a slash)"));
        }
        refuse(input.kms_key_identifier.is_some(), input.dead_letter_config.is_some(), input.log_config.is_some())?;
        let now_ms = self.now_ms();
        let bus = BusRecord {
            name: input.name.clone(),
            description: input.description.clone(),
            policy: None,
            tags: bus::tags(input.tags)?,
            created_ms: now_ms,
            modified_ms: now_ms,
        };
        let made = input.name != DEFAULT
            && self.records.commit(vec![put(keys::event_bus(&input.name), &bus, Precondition::Absent)?]).await?;
        if !made {
            let text = format!("Event bus {} already exists.", input.name);
            return Err(ApiError::new(&errors::RESOURCE_ALREADY_EXISTS, text));
        }
        Ok(api::CreateEventBusResponse {
            event_bus_arn: Some(arn),
            description: input.description,
            kms_key_identifier: None,
            dead_letter_config: None,
            log_config: None,
        })
    }

    /// UpdateEventBus.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn update_event_bus(
        &self,
        caller: &Caller,
        input: api::UpdateEventBusRequest,
    ) -> Result<api::UpdateEventBusResponse, ApiError> {
        let name = self.bus_name(input.name.as_deref())?;
        allow(caller, Operation::UpdateEventBus, &self.bus_arn(&name), None)?;
        refuse(input.kms_key_identifier.is_some(), input.dead_letter_config.is_some(), input.log_config.is_some())?;
        let description = input.description;
        self.change_bus(&name, |bus| {
            bus.description.clone_from(&description);
            Ok(())
        })
        .await?;
        Ok(api::UpdateEventBusResponse {
            arn: Some(self.bus_arn(&name)),
            name: Some(name),
            kms_key_identifier: None,
            description,
            dead_letter_config: None,
            log_config: None,
        })
    }

    /// DescribeEventBus.
    ///
    /// # Errors
    /// ResourceNotFoundException.
    pub async fn describe_event_bus(
        &self,
        caller: &Caller,
        input: api::DescribeEventBusRequest,
    ) -> Result<api::DescribeEventBusResponse, ApiError> {
        let name = self.bus_name(input.name.as_deref())?;
        allow(caller, Operation::DescribeEventBus, &self.bus_arn(&name), None)?;
        let (bus, _) = self.bus(&name).await?;
        Ok(api::DescribeEventBusResponse {
            arn: Some(self.bus_arn(&name)),
            name: Some(name),
            description: bus.description,
            policy: bus.policy,
            creation_time: time(bus.created_ms),
            last_modified_time: time(bus.modified_ms),
            kms_key_identifier: None,
            dead_letter_config: None,
            log_config: None,
            managed_by: None,
        })
    }

    /// ListEventBuses: the default one first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_event_buses(
        &self,
        caller: &Caller,
        input: api::ListEventBusesRequest,
    ) -> Result<api::ListEventBusesResponse, ApiError> {
        allow(caller, Operation::ListEventBuses, "*", None)?;
        let page = page("buses", input.next_token.as_deref(), input.limit)?;
        let prefix = input.name_prefix.unwrap_or_default();
        let after = page.after.as_deref().map(keys::event_bus);
        let named = keys::event_bus(&prefix);
        let found =
            self.records.read_matching::<BusRecord>(&named, after.as_deref(), page.read(), |bus| bus.name != DEFAULT);
        let mut buses: Vec<BusRecord> = found.await?.into_iter().map(|(_, found)| found.record).collect();
        if page.after.is_none() && DEFAULT.starts_with(&prefix) {
            buses.insert(0, self.bus(DEFAULT).await?.0);
        }
        let next_token = page.cut(&mut buses, |bus| &bus.name);
        let shown = |bus: BusRecord| api::EventBus {
            arn: Some(self.bus_arn(&bus.name)),
            name: Some(bus.name),
            description: bus.description,
            policy: bus.policy,
            creation_time: time(bus.created_ms),
            last_modified_time: time(bus.modified_ms),
            managed_by: None,
        };
        Ok(api::ListEventBusesResponse { event_buses: Some(buses.into_iter().map(shown).collect()), next_token })
    }

    /// DeleteEventBus. One that is not there is no error.
    ///
    /// # Errors
    /// ValidationException where it has rules, and for the default bus.
    pub async fn delete_event_bus(&self, caller: &Caller, input: api::DeleteEventBusRequest) -> Result<(), ApiError> {
        let name = self.bus_name(Some(&input.name))?;
        allow(caller, Operation::DeleteEventBus, &self.bus_arn(&name), None)?;
        if name == DEFAULT {
            return Err(invalid("Cannot delete event bus default."));
        }
        let (name, key) = (name.as_str(), keys::event_bus(&name));
        let key = key.as_str();
        self.records
            .until_written(|| async move {
                let Some(found) = self.records.read::<BusRecord>(key).await? else { return Ok(Some(())) };
                if !self.records.read_matching::<RuleRecord>(&keys::rules_of(name), None, 1, |_| true).await?.is_empty()
                {
                    return Err(invalid(format!("Event bus {name} has rules: delete them first.")));
                }
                // A rule that is made meanwhile touches the bus.
                let gone = self.records.commit(vec![Write::delete(key, found.unchanged())]).await?;
                Ok(gone.then_some(()))
            })
            .await
    }

    /// Changes the record of a bus.
    pub(crate) async fn change_bus(
        &self,
        name: &str,
        change: impl Fn(&mut BusRecord) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let change = &change;
        self.records
            .until_written(|| async move {
                let (mut bus, found) = self.bus(name).await?;
                change(&mut bus)?;
                bus.modified_ms = self.now_ms();
                let write = put(keys::event_bus(name), &bus, as_found(found.as_ref()))?;
                Ok(self.records.commit(vec![write]).await?.then_some(()))
            })
            .await
    }
}

/// What buses cannot have here.
fn refuse(key: bool, dead_letters: bool, log: bool) -> Result<(), ApiError> {
    match (key, dead_letters, log) {
        (true, ..) => Err(unsupported("keys of KMS for event buses (KmsKeyIdentifier)")),
        (_, true, _) => Err(unsupported("dead-letter queues of event buses (DeadLetterConfig): targets have them")),
        (.., true) => Err(unsupported("logs of event buses (LogConfig)")),
        _ => Ok(()),
    }
}

fn time(ms: i64) -> Option<Timestamp> {
    (ms > 0).then_some(Timestamp(ms))
}
