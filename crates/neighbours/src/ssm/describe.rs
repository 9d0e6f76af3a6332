//! DescribeParameters.

use hearth_api::ApiError;
use hearth_api::ssm::Operation;
use hearth_api::ssm::types as api;
use hearth_identity::Caller;
use hearth_types::keys;
use hearth_types::limits::PARAMETERS_PAGE;

use super::filters::Filters;
use super::page;
use super::record::ParameterRecord;
use crate::{Neighbours, allow};

impl Neighbours {
    /// DescribeParameters, by name. Nothing is shared between accounts here.
    ///
    /// # Errors
    /// A filter that is none.
    pub async fn describe_parameters(
        &self,
        caller: &Caller,
        input: api::DescribeParametersRequest,
    ) -> Result<api::DescribeParametersResult, ApiError> {
        allow(caller, Operation::DescribeParameters, "*")?;
        let (older, filters) = (input.filters.unwrap_or_default(), input.parameter_filters.unwrap_or_default());
        let filters = match (older.is_empty(), filters.is_empty()) {
            (false, false) => {
                let text = "You can use either Filters or ParameterFilters in a single request.";
                return Err(ApiError::validation(text));
            }
            (false, true) => Filters::of_older(older),
            (true, _) => Filters::of_parameters(filters)?,
        };
        let page = page("parameters", input.next_token.as_deref(), input.max_results, PARAMETERS_PAGE)?;
        let is_shared = input.shared == Some(true);
        let keep = |parameter: &ParameterRecord| !is_shared && filters.fit(parameter);
        let after = page.after.as_deref().map(keys::parameter);
        let mut found = self.records.read_matching(keys::PARAMETERS, after.as_deref(), page.read(), keep).await?;
        let next_token = page.cut(&mut found, |(name, _)| name);
        let parameters = found.iter().map(|(_, parameter)| self.shown_metadata(&parameter.record)).collect();
        Ok(api::DescribeParametersResult { parameters: Some(parameters), next_token })
    }

    fn shown_metadata(&self, parameter: &ParameterRecord) -> api::ParameterMetadata {
        let latest = &parameter.latest;
        api::ParameterMetadata {
            name: Some(parameter.name.clone()),
            arn: Some(self.parameter_arn(&parameter.name)),
            r#type: Some(latest.kind()),
            key_id: latest.key_id(),
            last_modified_date: Some(hearth_api::Timestamp(latest.modified_ms)),
            last_modified_user: Some(latest.modified_by.clone()),
            description: latest.description.clone(),
            allowed_pattern: latest.allowed_pattern.clone(),
            version: Some(latest.number_shown()),
            tier: Some(latest.tier()),
            policies: Some(Vec::new()),
            data_type: Some("text".to_owned()),
        }
    }
}
