//! A rule as the metadata store keeps it.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::events::types as api;
use hearth_cron::{Expression, Timetable, Zone};
use hearth_store::typed::Loaded;
use hearth_types::keys;
use serde::{Deserialize, Serialize};

use crate::Rules;
use crate::bus::DEFAULT;
use crate::errors::no_rule;
use crate::target::TargetRecord;

/// A rule with its targets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct RuleRecord {
    pub(crate) bus: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) pattern: Option<String>,
    /// On the default bus only.
    #[serde(default)]
    pub(crate) schedule: Option<String>,
    /// Whether it does anything.
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) role: Option<String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) targets: Vec<TargetRecord>,
    /// Since when its schedule counts, in milliseconds since 1970.
    pub(crate) start_ms: i64,
}

impl RuleRecord {
    /// When it is due; none where it is not by time, or not at all.
    pub(crate) fn timetable(&self) -> Option<Timetable> {
        let expression = Expression::of_rule(self.schedule.as_deref().filter(|_| self.enabled)?)?;
        Some(Timetable { expression, zone: Zone::utc(), start_ms: self.start_ms, at_start: false })
    }

    pub(crate) fn state(&self) -> api::RuleState {
        if self.enabled { api::RuleState::Enabled } else { api::RuleState::Disabled }
    }
}

impl Rules {
    pub(crate) fn rule_arn(&self, bus: &str, name: &str) -> String {
        if bus == DEFAULT { self.arn(&format!("rule/{name}")) } else { self.arn(&format!("rule/{bus}/{name}")) }
    }

    pub(crate) async fn rule(&self, bus: &str, name: &str) -> Result<Loaded<RuleRecord>, ApiError> {
        self.records.read(&keys::rule(bus, name)).await?.ok_or_else(|| no_rule(name, bus))
    }
}
