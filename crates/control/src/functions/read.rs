//! GetFunction, GetFunctionConfiguration, ListFunctions.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::function::FunctionRecord;
use hearth_types::limits::LIST_FUNCTIONS_PAGE;
use hearth_types::{Qualifier, Target};

use crate::paging::Page;
use crate::view::{self, Shown};
use crate::{Control, refused};

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
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let record = self.found(&target).await?;
        let location = record.latest.code.zip().map(|code| {
            let path = self.parts.links.path(&code.digest, (self.parts.now)());
            format!("{endpoint}{path}")
        });
        let tags: Option<_> = (!record.tags.is_empty()).then(|| record.tags.clone().into_iter().collect());
        Ok(api::GetFunctionResponse {
            configuration: Some(self.as_asked(&target, &record)),
            code: Some(api::FunctionCodeLocation {
                repository_type: Some("S3".into()),
                location,
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
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
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
        let page = Page::new("functions", input.marker.as_deref(), input.max_items, LIST_FUNCTIONS_PAGE)?;
        let mut found = self.list(page.after.as_deref(), page.read()).await?;
        let next_marker = page.cut(&mut found, |record| record.name.as_str());
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
            _ => Err(self.function_not_found(target)),
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
