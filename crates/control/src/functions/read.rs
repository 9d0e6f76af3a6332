//! GetFunction, GetFunctionConfiguration, ListFunctions.

use hearth_api::types as api;
use hearth_api::{ApiError, Page};
use hearth_types::Target;
use hearth_types::function::{CodeRef, FunctionRecord, VersionId};
use hearth_types::limits::LIST_FUNCTIONS_PAGE;

use crate::named::Found;
use crate::versions::Listed;
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
        let found = self.found(&target).await?;
        let link =
            |code: &CodeRef| format!("{endpoint}{}", self.parts.links.path(&code.digest, self.parts.clock.now()));
        let record = &found.function.record;
        let is_whole = target.qualifier.is_none();
        let tags: Option<_> = (!record.tags.is_empty()).then(|| record.tags.clone().into_iter().collect());
        let reserved = record
            .reserved_concurrency
            .map(|reserved| api::Concurrency { reserved_concurrent_executions: i32::try_from(reserved).ok() });
        Ok(api::GetFunctionResponse {
            configuration: Some(self.as_asked(&target, &found)),
            code: Some(view::code(found.version(), link)),
            // They belong to the function as a whole.
            tags: tags.filter(|_| is_whole),
            concurrency: reserved.filter(|_| is_whole),
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
        let found = self.found(&target).await?;
        Ok(self.as_asked(&target, &found))
    }

    /// ListFunctions, in the order of their names; with FunctionVersion `ALL` each with its published versions.
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
        let (marker, most) = (input.marker.as_deref(), input.max_items);
        let (functions, next_marker) = match input.function_version {
            Some(api::FunctionVersion::All) => {
                let page = Page::new("versions of functions", marker, most, LIST_FUNCTIONS_PAGE)?;
                let mut found = self.all_versions(&page).await?;
                let next_marker = page.cut(&mut found, |listed| &listed.key);
                (found.iter().map(|listed| self.listed(listed)).collect(), next_marker)
            }
            None => {
                let page = Page::new("functions", marker, most, LIST_FUNCTIONS_PAGE)?;
                let mut found = self.list(page.after.as_deref(), page.read()).await?;
                let next_marker = page.cut(&mut found, |record| record.name.as_str());
                (found.iter().map(|record| self.listed_whole(record)).collect(), next_marker)
            }
        };
        Ok(api::ListFunctionsResponse { functions: Some(functions), next_marker })
    }

    /// The entries of a page and one more: each function's $LATEST, then its published versions by number.
    async fn all_versions(&self, page: &Page) -> Result<Vec<Listed>, ApiError> {
        let mut found = Vec::new();
        let mut behind = None;
        if let Some((name, version)) = page.after.as_deref().and_then(|after| after.split_once('/')) {
            // $LATEST comes before all numbers.
            let number = version.parse().unwrap_or(0);
            if let Some(function) = self.load(name).await? {
                found = self.versions_behind(&function.record, number, page.read()).await?;
            }
            behind = Some(name.to_owned());
        }
        while found.len() < page.read() {
            let functions = self.list(behind.as_deref(), page.read() - found.len()).await?;
            let Some(last) = functions.last() else { break };
            behind = Some(last.name.to_string());
            for function in functions {
                let room = page.read().saturating_sub(found.len() + 1);
                found.push(Listed::latest(&function));
                found.extend(self.versions_behind(&function, 0, room).await?);
            }
        }
        found.truncate(page.read());
        Ok(found)
    }

    fn as_asked(&self, target: &Target, found: &Found) -> api::FunctionConfiguration {
        let arn = self.parts.place.arn_as_asked(target).to_string();
        view::configuration(
            &self.parts.place,
            &target.name,
            arn,
            found.id,
            found.version(),
            Shown::Whole(&self.parts.runtimes),
        )
    }

    /// $LATEST in a list of functions: its ARN is not qualified.
    fn listed_whole(&self, record: &FunctionRecord) -> api::FunctionConfiguration {
        let (place, name) = (&self.parts.place, record.name.as_str());
        view::configuration(place, name, place.arn(name).to_string(), VersionId::Latest, &record.latest, Shown::Listed)
    }
}
