//! Parameters as the metadata store keeps them.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::ssm::types as api;
use hearth_identity::{MasterKey, Secret};
use hearth_types::identity::SealedSecret;
use serde::{Deserialize, Serialize};
use tracing::error;

use super::DEFAULT_KEY;
use crate::random;

/// A parameter with its latest version; the earlier ones have records of their own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct ParameterRecord {
    pub(super) name: String,
    pub(super) tags: BTreeMap<String, String>,
    /// Versions by label.
    pub(super) labels: BTreeMap<String, u64>,
    /// The first version that is kept.
    pub(super) oldest: u64,
    pub(super) latest: VersionRecord,
}

/// One version of a parameter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct VersionRecord {
    pub(super) number: u64,
    pub(super) value: Held,
    pub(super) is_list: bool,
    pub(super) is_advanced: bool,
    pub(super) description: Option<String>,
    pub(super) allowed_pattern: Option<String>,
    /// Milliseconds since 1970.
    pub(super) modified_ms: i64,
    /// An ARN.
    pub(super) modified_by: String,
}

/// A value as it may be written down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Held {
    Plain(String),
    Sealed(SealedSecret),
}

impl Held {
    /// Of the version `number` of the parameter `name`, sealed for it alone.
    pub(super) fn sealed(key: &MasterKey, name: &str, number: u64, value: &str) -> Result<Self, ApiError> {
        Ok(Self::Sealed(key.seal_parameter(&id(name, number), &Secret::new(value), random()?)))
    }
}

fn id(name: &str, number: u64) -> String {
    format!("{name}:{number}")
}

impl VersionRecord {
    pub(super) fn kind(&self) -> api::ParameterType {
        match (&self.value, self.is_list) {
            (Held::Sealed(_), _) => api::ParameterType::SecureString,
            (Held::Plain(_), true) => api::ParameterType::StringList,
            (Held::Plain(_), false) => api::ParameterType::String,
        }
    }

    pub(super) fn tier(&self) -> api::ParameterTier {
        if self.is_advanced { api::ParameterTier::Advanced } else { api::ParameterTier::Standard }
    }

    /// The key that a SecureString is encrypted with.
    pub(super) fn key_id(&self) -> Option<String> {
        matches!(self.value, Held::Sealed(_)).then(|| DEFAULT_KEY.to_owned())
    }

    /// The value as text; that of a SecureString is the sealed one unless it is to be opened.
    pub(super) fn shown(&self, key: &MasterKey, name: &str, opened: bool) -> Result<String, ApiError> {
        match &self.value {
            Held::Plain(text) => Ok(text.clone()),
            Held::Sealed(sealed) if !opened => Ok(sealed.0.clone()),
            Held::Sealed(sealed) => {
                let secret = key.open_parameter(&id(name, self.number), sealed).ok_or_else(|| {
                    error!("the parameter {name} was sealed with another key file");
                    ApiError::service("The parameter cannot be decrypted: it was sealed with another key file.")
                })?;
                Ok(secret.reveal().to_owned())
            }
        }
    }

    pub(super) fn number_shown(&self) -> i64 {
        i64::try_from(self.number).unwrap_or(i64::MAX)
    }
}

impl ParameterRecord {
    /// Labels of a version, by name.
    pub(super) fn labels_of(&self, number: u64) -> Vec<String> {
        self.labels.iter().filter(|(_, version)| **version == number).map(|(label, _)| label.clone()).collect()
    }
}
