//! A bus as the metadata store keeps it, and which one a client names.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::events::types as api;
use hearth_identity::policy::{Document, Kind};
use hearth_store::typed::Loaded;
use hearth_types::keys;
use serde::{Deserialize, Serialize};

use crate::Rules;
use crate::errors::{invalid, no_bus};

/// The bus that every account has.
pub(crate) const DEFAULT: &str = "default";

/// A bus.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BusRecord {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// A resource policy: who may put events.
    #[serde(default)]
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: i64,
}

impl BusRecord {
    pub(crate) fn document(&self) -> Option<Document> {
        Document::parse(self.policy.as_deref()?, Kind::Resource).ok()
    }
}

impl Rules {
    pub(crate) fn bus_arn(&self, name: &str) -> String {
        self.arn(&format!("event-bus/{name}"))
    }

    /// The name of the bus that a client means by a name, an ARN or nothing.
    ///
    /// # Errors
    /// For a bus of another account or region.
    pub(crate) fn bus_name(&self, given: Option<&str>) -> Result<String, ApiError> {
        let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(DEFAULT.to_owned()) };
        if !given.starts_with("arn:") {
            return Ok(given.to_owned());
        }
        let own = self.bus_arn("");
        given.strip_prefix(&own).map(str::to_owned).ok_or_else(|| no_bus(given))
    }

    /// The bus, with the version of its record. The default bus is there without a record.
    pub(crate) async fn bus(&self, name: &str) -> Result<(BusRecord, Option<Loaded<BusRecord>>), ApiError> {
        match self.records.read::<BusRecord>(&keys::event_bus(name)).await? {
            Some(found) => Ok((found.record.clone(), Some(found))),
            None if name == DEFAULT => Ok((BusRecord { name: DEFAULT.to_owned(), ..BusRecord::default() }, None)),
            None => Err(no_bus(name)),
        }
    }
}

pub(crate) fn tags(given: Option<Vec<api::Tag>>) -> Result<BTreeMap<String, String>, ApiError> {
    let tags: BTreeMap<String, String> =
        given.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
    if tags.len() > hearth_types::limits::TAGS {
        return Err(invalid("Too many tags: a resource has at most 50."));
    }
    Ok(tags)
}
