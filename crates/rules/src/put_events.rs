//! PutEvents.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::events::Operation;
use hearth_api::events::types as api;
use hearth_identity::Caller;
use hearth_types::limits::{EVENT_ENTRIES_BYTES, EVENT_TIME_BYTES};

use crate::errors::{invalid, unsupported};
use crate::event::{Event, is_object};
use crate::{Rules, allow};

/// Why an entry is not taken.
struct Refused {
    code: &'static str,
    message: String,
}

impl Rules {
    /// PutEvents. An entry that is not taken keeps the others from nothing; what was taken is on stable storage.
    ///
    /// # Errors
    /// ValidationException where all is too large; AccessDeniedException.
    pub async fn put_events(
        &self,
        caller: &Caller,
        input: api::PutEventsRequest,
    ) -> Result<api::PutEventsResponse, ApiError> {
        if input.endpoint_id.is_some() {
            return Err(unsupported("global endpoints (EndpointId)"));
        }
        if input.entries.iter().map(size).sum::<usize>() > EVENT_ENTRIES_BYTES {
            return Err(invalid("Total size of the entries in the request is over the limit."));
        }
        let there = self.allowed_buses(caller, &input.entries).await?;
        let (mut results, mut parcels) = (vec![], vec![]);
        for entry in input.entries {
            let bus = self.bus_name(entry.event_bus_name.as_deref()).unwrap_or_default();
            let event = match self.event(entry) {
                Ok(event) => event,
                Err(Refused { code, message }) => {
                    let (error_code, error_message) = (Some(code.to_owned()), Some(message));
                    results.push(api::PutEventsResultEntry { event_id: None, error_code, error_message });
                    continue;
                }
            };
            // What comes to a bus that is not there is taken, and nobody gets it.
            if there.get(&bus) == Some(&true) {
                parcels.extend(self.parcels(&bus, &event).await?);
            }
            results.push(api::PutEventsResultEntry { event_id: Some(event.id), error_code: None, error_message: None });
        }
        self.send(parcels).await?;
        let failed = results.iter().filter(|result| result.error_code.is_some()).count();
        Ok(api::PutEventsResponse { failed_entry_count: i32::try_from(failed).ok(), entries: Some(results) })
    }

    /// The buses that entries name, and whether they are there.
    async fn allowed_buses(
        &self,
        caller: &Caller,
        entries: &[api::PutEventsRequestEntry],
    ) -> Result<BTreeMap<String, bool>, ApiError> {
        let mut buses = BTreeMap::new();
        for entry in entries {
            let name = self.bus_name(entry.event_bus_name.as_deref()).unwrap_or_default();
            if buses.contains_key(&name) {
                continue;
            }
            let bus = self.bus(&name).await.map(|(bus, _)| bus).ok();
            let policy = bus.as_ref().and_then(|bus| bus.document());
            allow(caller, Operation::PutEvents, &self.bus_arn(&name), policy.as_ref())?;
            buses.insert(name, bus.is_some());
        }
        Ok(buses)
    }

    fn event(&self, entry: api::PutEventsRequestEntry) -> Result<Event, Refused> {
        let source = required("Source", entry.source)?;
        let detail_type = required("DetailType", entry.detail_type)?;
        let detail = required("Detail", entry.detail)?;
        if source.starts_with("aws.") {
            let message = "Not authorized for the source.".to_owned();
            return Err(Refused { code: "NotAuthorizedForSource", message });
        }
        if !is_object(&detail) {
            return Err(Refused { code: "MalformedDetail", message: "Detail is malformed.".to_owned() });
        }
        let time_ms = entry.time.map_or_else(|| self.now_ms(), |time| time.0);
        let event = Event::new(source, detail_type, time_ms.div_euclid(1000), detail);
        Ok(Event { resources: entry.resources.unwrap_or_default(), trace: entry.trace_header, ..event })
    }
}

fn required(name: &str, given: Option<String>) -> Result<String, Refused> {
    given.filter(|text| !text.is_empty()).ok_or_else(|| Refused {
        code: "InvalidArgument",
        message: format!("Parameter {name} is not valid. Reason: {name} is a required argument."),
    })
}

/// As the service counts.
fn size(entry: &api::PutEventsRequestEntry) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let time = if entry.time.is_some() { EVENT_TIME_BYTES } else { 0 };
    let resources = entry.resources.iter().flatten().map(String::len).sum::<usize>();
    time + length(&entry.source) + length(&entry.detail_type) + length(&entry.detail) + resources
}
