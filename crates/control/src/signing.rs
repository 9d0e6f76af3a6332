//! Code signing: configurations that say what becomes of unsigned packages, and the functions that they are bound to.
//!
//! Hearth verifies no signatures, so that to it every package is unsigned: under Enforce none is deployed, under Warn all
//! are. That is what the real service does with a package that is not signed.

pub(crate) mod bindings;
mod configs;

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::error::modelled::{CODE_SIGNING_CONFIG_NOT_FOUND, CODE_VERIFICATION_FAILED};
use hearth_types::{Place, keys};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::Control;
use crate::layers::is_at;
use crate::records::Loaded;

/// A code signing configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct CodeSigningConfig {
    /// None where the client gave none.
    pub(crate) description: Option<String>,
    /// ARNs of the signing profile versions that may sign.
    pub(crate) publishers: Vec<String>,
    /// What becomes of a package that none of them has signed.
    pub(crate) untrusted: Untrusted,
    pub(crate) tags: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: i64,
}

/// UntrustedArtifactOnDeployment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Untrusted {
    /// It is deployed, and the log says so.
    #[default]
    Warn,
    /// It is refused.
    Enforce,
}

impl CodeSigningConfig {
    /// Whether unsigned code may be deployed to a function, or a layer to it.
    pub(crate) fn lets_in(&self, function: &str) -> Result<(), ApiError> {
        match self.untrusted {
            Untrusted::Warn => {
                warn!(function, "code is deployed whose signature nobody has verified");
                Ok(())
            }
            // The text is the real service's (reported).
            Untrusted::Enforce => Err(ApiError::new(
                &CODE_VERIFICATION_FAILED,
                format!(
                    "Lambda cannot deploy the function. The function or layer might be signed using a signature that \
                     the client is not configured to accept. Check the provided signature for {function}."
                ),
            )),
        }
    }
}

/// 404 for a configuration. The real service leaves the Type out (observed).
pub(crate) fn config_not_found(arn: &str) -> ApiError {
    ApiError::not_found(format!("The Lambda code signing configuration {arn} can not be found.")).without_type()
}

impl Control {
    /// The configuration that an ARN names, as the operations on configurations look for it.
    pub(crate) async fn code_signing_config(&self, arn: &str) -> Result<(String, Loaded<CodeSigningConfig>), ApiError> {
        self.read_by_arn(arn).await?.ok_or_else(|| config_not_found(arn))
    }

    /// The configuration that is to be bound to a function.
    pub(crate) async fn code_signing_config_to_bind(
        &self,
        arn: &str,
    ) -> Result<(String, Loaded<CodeSigningConfig>), ApiError> {
        let missing = || {
            ApiError::new(
                &CODE_SIGNING_CONFIG_NOT_FOUND,
                format!(
                    "The code signing configuration cannot be found. Check that the provided configuration is not \
                     deleted: {arn}."
                ),
            )
        };
        self.read_by_arn(arn).await?.ok_or_else(missing)
    }

    /// That unsigned code, or a layer, may be deployed to a function that is bound to this configuration, if to any.
    pub(crate) async fn may_deploy(&self, function: &str, bound: Option<&str>) -> Result<(), ApiError> {
        let Some(id) = bound else { return Ok(()) };
        match self.read::<CodeSigningConfig>(&keys::code_signing(id)).await? {
            Some(config) => config.record.lets_in(function),
            None => Ok(()),
        }
    }

    async fn read_by_arn(&self, arn: &str) -> Result<Option<(String, Loaded<CodeSigningConfig>)>, ApiError> {
        let Some(id) = id_here(&self.parts.place, arn) else { return Ok(None) };
        let found = self.read(&keys::code_signing(id)).await?;
        Ok(found.map(|config| (id.to_owned(), config)))
    }

    fn code_signing_arn(&self, id: &str) -> String {
        let place = &self.parts.place;
        format!("arn:aws:lambda:{}:{}:code-signing-config:{id}", place.region, place.account)
    }
}

/// The id of a configuration by its ARN; none of an ARN of another region or account.
pub(crate) fn id_here<'a>(place: &Place, arn: &'a str) -> Option<&'a str> {
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        [_, _, _, region, account, _, id] if is_at(place, region, account) => Some(id),
        _ => None,
    }
}
