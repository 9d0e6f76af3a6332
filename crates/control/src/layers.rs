//! Operations on layers.

mod delete;
mod permissions;
mod publish;
mod read;

use hearth_api::ApiError;
use hearth_types::function::CodeRef;
use hearth_types::keys;
use hearth_types::policy::Policy;
use serde::{Deserialize, Serialize};

use crate::Control;
use crate::records::Loaded;

/// A layer as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Layer {
    /// The number of the version that was published last, deleted or not: none is ever given again.
    last_version: u64,
}

/// One version of a layer. It never changes, but for its policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct LayerVersion {
    /// From 1.
    pub(crate) number: u64,
    /// Its package.
    pub(crate) code: CodeRef,
    /// At most 256 characters.
    pub(crate) description: String,
    /// As given: advice to clients only.
    pub(crate) runtimes: Option<Vec<String>>,
    /// As given: advice to clients only.
    pub(crate) architectures: Option<Vec<String>>,
    /// As given.
    pub(crate) licence: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// Who else may use it.
    pub(crate) policy: Option<Policy>,
}

/// A layer version as a client names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LayerVersionName {
    pub(crate) layer: String,
    pub(crate) number: u64,
}

impl Control {
    /// A version of a layer, where it is there.
    pub(crate) async fn layer_version(&self, layer: &str, number: u64) -> Result<Option<LayerVersion>, ApiError> {
        Ok(self.load_layer_version(layer, number).await?.map(|loaded| loaded.record))
    }

    async fn load_layer_version(&self, layer: &str, number: u64) -> Result<Option<Loaded<LayerVersion>>, ApiError> {
        self.read(&keys::layer_version(layer, number)).await
    }

    /// The bare name of a layer that a client names so or by its ARN.
    ///
    /// # Errors
    /// When the ARN is of another region or account: none of those layers is here.
    fn layer_name(&self, text: &str) -> Result<String, ApiError> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [name] => Ok((*name).to_owned()),
            [_, _, _, region, account, _, name, ..] if self.is_here(region, account) => Ok((*name).to_owned()),
            _ => Err(ApiError::access_denied(Some(format!(
                "User: arn:aws:iam::{}:root is not authorized to perform: lambda:GetLayerVersion on resource: {text} \
                 because no resource-based policy allows the lambda:GetLayerVersion action",
                self.parts.place.account
            )))),
        }
    }

    /// The layer and the number in the ARN of a layer version.
    ///
    /// # Errors
    /// As [`Self::layer_name`].
    pub(crate) fn layer_version_name(&self, arn: &str) -> Result<LayerVersionName, ApiError> {
        let number = arn.rsplit(':').next().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX);
        Ok(LayerVersionName { layer: self.layer_name(arn)?, number })
    }

    pub(crate) fn is_here(&self, region: &str, account: &str) -> bool {
        let place = &self.parts.place;
        *place.region == *region && *place.account == *account
    }

    fn layer_arn(&self, layer: &str) -> String {
        let place = &self.parts.place;
        format!("arn:aws:lambda:{}:{}:layer:{layer}", place.region, place.account)
    }

    pub(crate) fn layer_version_arn(&self, layer: &str, number: u64) -> String {
        format!("{}:{number}", self.layer_arn(layer))
    }
}
