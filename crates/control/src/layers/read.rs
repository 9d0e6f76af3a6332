//! GetLayerVersion, GetLayerVersionByArn, ListLayers, ListLayerVersions.

use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_types::keys;
use hearth_types::limits::LIST_LAYERS_PAGE;

use super::{Layer, LayerVersion, version_number};
use crate::{Control, view};

/// Which versions a list shows.
#[derive(Clone, Copy, Default)]
struct Filter {
    runtime: Option<api::Runtime>,
    architecture: Option<api::Architecture>,
}

impl Filter {
    /// A version that names no runtimes or architectures is compatible with none (as the real service sees it).
    fn takes(self, version: &LayerVersion) -> bool {
        let names = |list: &Option<Vec<String>>, wanted: &str| {
            list.as_ref().is_some_and(|list| list.iter().any(|named| named == wanted))
        };
        self.runtime.is_none_or(|runtime| names(&version.runtimes, runtime.as_str()))
            && self.architecture.is_none_or(|architecture| names(&version.architectures, architecture.as_str()))
    }
}

impl Control {
    /// GetLayerVersion. `endpoint` is the address the client used: the link to the package names it.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_layer_version(
        &self,
        input: api::GetLayerVersionRequest,
        endpoint: &str,
    ) -> Result<api::GetLayerVersionResponse, ApiError> {
        let layer = self.layer_name(&input.layer_name)?;
        let number = version_number(input.version_number)?;
        self.shown_if_there(&layer, number, endpoint).await
    }

    /// GetLayerVersionByArn.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_layer_version_by_arn(
        &self,
        input: api::GetLayerVersionByArnRequest,
        endpoint: &str,
    ) -> Result<api::GetLayerVersionResponse, ApiError> {
        let name = self.layer_version_name(&input.arn)?;
        self.shown_if_there(&name.layer, name.number, endpoint).await
    }

    async fn shown_if_there(
        &self,
        layer: &str,
        number: u64,
        endpoint: &str,
    ) -> Result<api::GetLayerVersionResponse, ApiError> {
        match self.layer_version(layer, number).await? {
            Some(version) => Ok(self.shown_layer_version(layer, &version, endpoint)),
            None => Err(ApiError::not_found("The resource you requested does not exist.")),
        }
    }

    /// ListLayerVersions, the newest first; none of a layer that is not there.
    ///
    /// # Errors
    /// A marker that is none of this list's.
    pub async fn list_layer_versions(
        &self,
        input: api::ListLayerVersionsRequest,
    ) -> Result<api::ListLayerVersionsResponse, ApiError> {
        let layer = self.layer_name(&input.layer_name)?;
        let filter = Filter { runtime: input.compatible_runtime, architecture: input.compatible_architecture };
        let page = Page::new("layer-versions", input.marker.as_deref(), input.max_items, LIST_LAYERS_PAGE)?;
        let prefix = keys::versions_of_layer(&layer);
        let after = page.after.as_ref().map(|rest| format!("{prefix}{rest}"));
        let takes = |version: &LayerVersion| filter.takes(version);
        let mut found = self.read_matching(&prefix, after.as_deref(), page.read(), takes).await?;
        let next_marker = page.cut(&mut found, |(rest, _)| rest);
        let shown = found.iter().map(|(_, loaded)| self.listed_layer_version(&layer, &loaded.record)).collect();
        Ok(api::ListLayerVersionsResponse { layer_versions: Some(shown), next_marker })
    }

    /// ListLayers, in the order of their names: those that have a version that the filter takes, with the newest of these.
    ///
    /// # Errors
    /// A marker that is none of this list's.
    pub async fn list_layers(&self, input: api::ListLayersRequest) -> Result<api::ListLayersResponse, ApiError> {
        let filter = Filter { runtime: input.compatible_runtime, architecture: input.compatible_architecture };
        let page = Page::new("layers", input.marker.as_deref(), input.max_items, LIST_LAYERS_PAGE)?;
        let mut found = self.matching_layers(&page, filter).await?;
        let next_marker = page.cut(&mut found, |(layer, _)| layer);
        let shown = found.iter().map(|(layer, version)| api::LayersListItem {
            layer_name: Some(layer.clone()),
            layer_arn: Some(self.layer_arn(layer)),
            latest_matching_version: Some(self.listed_layer_version(layer, version)),
        });
        Ok(api::ListLayersResponse { layers: Some(shown.collect()), next_marker })
    }

    async fn matching_layers(&self, page: &Page, filter: Filter) -> Result<Vec<(String, LayerVersion)>, ApiError> {
        let mut matching = Vec::new();
        let mut after = page.after.as_deref().map(keys::layer);
        loop {
            let layers = self.read_page::<Layer>(keys::LAYERS, after.as_deref(), page.read()).await?;
            let Some((last, _)) = layers.last() else { return Ok(matching) };
            after = Some(keys::layer(last));
            for (layer, _) in layers {
                let prefix = keys::versions_of_layer(&layer);
                let newest = self.read_matching(&prefix, None, 1, |version| filter.takes(version)).await?;
                matching.extend(newest.into_iter().next().map(|(_, loaded)| (layer, loaded.record)));
                if matching.len() == page.read() {
                    return Ok(matching);
                }
            }
        }
    }

    pub(super) fn shown_layer_version(
        &self,
        layer: &str,
        version: &LayerVersion,
        endpoint: &str,
    ) -> api::GetLayerVersionResponse {
        let listed = self.listed_layer_version(layer, version);
        let path = self.parts.links.path(&version.code.digest, self.parts.clock.now());
        api::GetLayerVersionResponse {
            content: Some(api::LayerVersionContentOutput {
                location: Some(format!("{endpoint}{path}")),
                code_sha256: Some(version.code.digest.base64()),
                code_size: i64::try_from(version.code.size).ok(),
                ..Default::default()
            }),
            layer_arn: Some(self.layer_arn(layer)),
            layer_version_arn: listed.layer_version_arn,
            description: listed.description,
            created_date: listed.created_date,
            version: listed.version,
            compatible_runtimes: listed.compatible_runtimes,
            license_info: listed.license_info,
            compatible_architectures: listed.compatible_architectures,
        }
    }

    fn listed_layer_version(&self, layer: &str, version: &LayerVersion) -> api::LayerVersionsListItem {
        let (runtimes, architectures) = (version.runtimes.as_ref(), version.architectures.as_ref());
        api::LayerVersionsListItem {
            layer_version_arn: Some(self.layer_version_arn(layer, version.number)),
            version: i64::try_from(version.number).ok(),
            description: Some(version.description.clone()),
            created_date: Some(view::last_modified(version.created_ms)),
            compatible_runtimes: runtimes
                .map(|list| list.iter().filter_map(|text| api::Runtime::from_text(text)).collect()),
            license_info: version.licence.clone(),
            compatible_architectures: architectures
                .map(|list| list.iter().filter_map(|text| api::Architecture::from_text(text)).collect()),
        }
    }
}
