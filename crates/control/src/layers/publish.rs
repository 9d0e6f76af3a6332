//! PublishLayerVersion.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_store::Precondition;
use hearth_types::keys;

use super::{Layer, LayerVersion};
use crate::Control;
use crate::functions::code::Source;
use crate::records::{TRIES, as_found, contended, put};

impl Control {
    /// PublishLayerVersion: each call makes a version of its own, with a number that was never given before.
    /// `endpoint` is the address the client used: the link to the package names it.
    ///
    /// # Errors
    /// As the real service.
    pub async fn publish_layer_version(
        &self,
        input: api::PublishLayerVersionRequest,
        endpoint: &str,
    ) -> Result<api::PublishLayerVersionResponse, ApiError> {
        let layer = self.layer_name(&input.layer_name)?;
        let content = input.content;
        let source = Source {
            zip: content.zip_file,
            s3_bucket: content.s3_bucket,
            s3_key: content.s3_key,
            s3_version: content.s3_object_version,
            image_uri: None,
        };
        let package = self.package(source).await?;
        let version = LayerVersion {
            number: 0,
            code: self.take_package(package).await?,
            description: input.description.unwrap_or_default(),
            runtimes: input.compatible_runtimes.map(|list| texts(&list)),
            architectures: input.compatible_architectures.map(|list| texts(&list)),
            licence: input.license_info,
            created_ms: self.now_ms(),
            policy: None,
        };
        self.reserve_code(version.code.size).await?;
        let version = self.number_and_write(&layer, version).await?;
        Ok(self.published(&layer, &version, endpoint))
    }

    /// Gives the version the layer's next number and writes it.
    async fn number_and_write(&self, layer: &str, mut version: LayerVersion) -> Result<LayerVersion, ApiError> {
        for _ in 0..TRIES {
            let found = self.read::<Layer>(&keys::layer(layer)).await?;
            version.number = found.as_ref().map_or(0, |found| found.record.last_version) + 1;
            let unchanged = as_found(found.as_ref());
            let writes = vec![
                put(keys::layer(layer), &Layer { last_version: version.number }, unchanged)?,
                put(keys::layer_version(layer, version.number), &version, Precondition::Absent)?,
            ];
            if self.commit(writes).await? {
                return Ok(version);
            }
        }
        Err(contended())
    }

    fn published(&self, layer: &str, version: &LayerVersion, endpoint: &str) -> api::PublishLayerVersionResponse {
        let shown = self.shown_layer_version(layer, version, endpoint);
        api::PublishLayerVersionResponse {
            content: shown.content,
            layer_arn: shown.layer_arn,
            layer_version_arn: shown.layer_version_arn,
            description: shown.description,
            created_date: shown.created_date,
            version: shown.version,
            compatible_runtimes: shown.compatible_runtimes,
            license_info: shown.license_info,
            compatible_architectures: shown.compatible_architectures,
        }
    }
}

fn texts<T: AsRef<str>>(list: &[T]) -> Vec<String> {
    list.iter().map(|item| item.as_ref().to_owned()).collect()
}
