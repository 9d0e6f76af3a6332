//! Operations on layers.

mod delete;
mod permissions;
mod publish;
mod read;

use hearth_api::ApiError;
use hearth_types::function::CodeRef;
use hearth_types::policy::Policy;
use hearth_types::{Place, keys};
use serde::{Deserialize, Serialize};

use crate::records::Loaded;
use crate::{Control, invalid};

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
        let here = layer_here(&self.parts.place, text).map(str::to_owned);
        here.ok_or_else(|| self.denied_elsewhere("lambda:GetLayerVersion", text))
    }

    /// The layer and the number in the ARN of a layer version.
    ///
    /// # Errors
    /// As [`Self::layer_name`].
    pub(crate) fn layer_version_name(&self, arn: &str) -> Result<LayerVersionName, ApiError> {
        Ok(LayerVersionName { layer: self.layer_name(arn)?, number: number_of(arn).unwrap_or(u64::MAX) })
    }

    pub(crate) fn is_here(&self, region: &str, account: &str) -> bool {
        is_at(&self.parts.place, region, account)
    }

    fn layer_arn(&self, layer: &str) -> String {
        let place = &self.parts.place;
        format!("arn:aws:lambda:{}:{}:layer:{layer}", place.region, place.account)
    }

    pub(crate) fn layer_version_arn(&self, layer: &str, number: u64) -> String {
        format!("{}:{number}", self.layer_arn(layer))
    }
}

/// The bare name of a layer that is named so or by its ARN; none of an ARN of another region or account.
pub(crate) fn layer_here<'a>(place: &Place, text: &'a str) -> Option<&'a str> {
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [name] => Some(name),
        [_, _, _, region, account, _, name, ..] if is_at(place, region, account) => Some(name),
        _ => None,
    }
}

/// The number of a version that a client gives.
pub(crate) fn version_number(given: i64) -> Result<u64, ApiError> {
    let number = u64::try_from(given).ok().filter(|number| *number > 0);
    number.ok_or_else(|| invalid("Layer Version Cannot be less than 1"))
}

/// The number at the end of a layer version's ARN.
pub(crate) fn number_of(arn: &str) -> Option<u64> {
    arn.rsplit(':').next()?.parse().ok()
}

pub(crate) fn is_at(place: &Place, region: &str, account: &str) -> bool {
    *place.region == *region && *place.account == *account
}
