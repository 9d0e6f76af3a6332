//! Event source mappings: what is to be polled for which function, and how.

mod change;
mod filter;
mod operations;
mod settings;
mod source;
mod view;

use hearth_types::Target;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::mappings::settings::Settings;
use crate::mappings::source::Source;

/// A mapping.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Mapping {
    /// The function's name.
    function: String,
    /// As given when the mapping was made or last led elsewhere.
    qualifier: Option<String>,
    /// What is polled. It never changes.
    source: Source,
    /// How.
    settings: Settings,
    /// Whether the client wants it polled.
    wanted: bool,
    /// Tags.
    pub(crate) tags: std::collections::BTreeMap<String, String>,
    /// Milliseconds since 1970 of the last change by a client.
    last_modified_ms: i64,
}

/// A UUID as we write it, however a client does; none for what is no UUID.
pub(crate) fn one_form(uuid: &str) -> Option<String> {
    Uuid::try_parse(uuid).ok().map(|uuid| uuid.to_string())
}

impl Mapping {
    /// The function that it leads to.
    pub(crate) fn target(&self) -> Target {
        Target { name: self.function.clone(), qualifier: self.qualifier.clone() }
    }

    /// Names what only one mapping may have: a source and a function, as it is qualified.
    fn claim(&self) -> String {
        let qualifier = self.qualifier.as_deref().unwrap_or_default();
        hearth_types::keys::mapping_claim(&self.function, qualifier, &self.source.identity())
    }
}
