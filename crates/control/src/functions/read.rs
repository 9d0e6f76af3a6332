//! GetFunction, GetFunctionConfiguration, ListFunctions.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::Qualifier;
use hearth_types::function::FunctionRecord;
use hearth_types::limits::LIST_FUNCTIONS_PAGE;

use crate::names::Target;
use crate::view::{self, Shown};
use crate::{Control, invalid, refused};

impl Control {
    /// GetFunction. `endpoint` is the address the client used: the link to the package names it.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_function(
        &self,
        input: api::GetFunctionRequest,
        endpoint: &str,
    ) -> Result<api::GetFunctionResponse, ApiError> {
        let target = self.parts.place.resolve(&input.function_name, input.qualifier.as_deref())?;
        let record = self.found(&target).await?;
        let path = self.parts.links.path(&record.latest.code.digest, (self.parts.now)());
        let tags: Option<_> = (!record.tags.is_empty()).then(|| record.tags.clone().into_iter().collect());
        Ok(api::GetFunctionResponse {
            configuration: Some(self.as_asked(&target, &record)),
            code: Some(api::FunctionCodeLocation {
                repository_type: Some("S3".into()),
                location: Some(format!("{endpoint}{path}")),
                ..Default::default()
            }),
            tags,
            ..Default::default()
        })
    }

    /// GetFunctionConfiguration.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_function_configuration(
        &self,
        input: api::GetFunctionConfigurationRequest,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        let target = self.parts.place.resolve(&input.function_name, input.qualifier.as_deref())?;
        let record = self.found(&target).await?;
        Ok(self.as_asked(&target, &record))
    }

    /// ListFunctions, in the order of their names. The marker is the name that a page ended with.
    ///
    /// # Errors
    /// A marker that is none of ours.
    pub async fn list_functions(
        &self,
        input: api::ListFunctionsRequest,
    ) -> Result<api::ListFunctionsResponse, ApiError> {
        if input.master_region.is_some() {
            return Err(refused("MasterRegion", "functions are not replicated between regions"));
        }
        let after = input.marker.as_deref().filter(|marker| !marker.is_empty()).map(name_of_marker).transpose()?;
        let wanted = input.max_items.and_then(|most| usize::try_from(most).ok()).unwrap_or(LIST_FUNCTIONS_PAGE);
        let page = wanted.min(LIST_FUNCTIONS_PAGE);
        let mut found = self.list(after.as_deref(), page + 1).await?;
        let more = found.len() > page;
        found.truncate(page);
        let next_marker = found.last().filter(|_| more).map(|last| marker_of_name(last.name.as_str()));
        let all_versions = input.function_version.is_some();
        Ok(api::ListFunctionsResponse {
            functions: Some(found.iter().map(|record| self.listed(record, all_versions)).collect()),
            next_marker,
        })
    }

    /// The record of a function that has the qualifier that was asked for.
    async fn found(&self, target: &Target) -> Result<FunctionRecord, ApiError> {
        let is_latest = target.qualifier.as_deref().is_none_or(|text| Qualifier::from(text) == Qualifier::Latest);
        match self.load(&target.name).await? {
            Some(loaded) if is_latest => Ok(loaded.record),
            _ => Err(self.parts.place.function_not_found(target)),
        }
    }

    fn as_asked(&self, target: &Target, record: &FunctionRecord) -> api::FunctionConfiguration {
        let place = &self.parts.place;
        let arn = place.arn_as_asked(target).to_string();
        view::configuration(place, record.name.as_str(), arn, &record.latest, Shown::Whole)
    }

    fn listed(&self, record: &FunctionRecord, qualified: bool) -> api::FunctionConfiguration {
        let (place, name) = (&self.parts.place, record.name.as_str());
        let arn = if qualified { format!("{}:$LATEST", place.arn(name)) } else { place.arn(name).to_string() };
        view::configuration(place, name, arn, &record.latest, Shown::Listed)
    }
}

/// Opaque to clients, and told from other lists' markers.
const MARKER: &str = "functions/";

fn marker_of_name(name: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{MARKER}{name}"))
}

fn name_of_marker(marker: &str) -> Result<String, ApiError> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(marker)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix(MARKER).map(str::to_owned))
        .ok_or_else(|| invalid("Invalid marker: take it from NextMarker of the page before."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_names_where_a_page_ended() {
        assert_eq!(name_of_marker(&marker_of_name("my-function")).unwrap(), "my-function");
        assert!(name_of_marker("my-function").is_err());
        assert!(name_of_marker("!").is_err());
    }
}
