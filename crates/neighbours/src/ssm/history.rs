//! GetParameterHistory.

use hearth_api::ApiError;
use hearth_api::ssm::Operation;
use hearth_api::ssm::types as api;
use hearth_identity::Caller;
use hearth_types::keys;
use hearth_types::limits::PARAMETERS_PAGE;

use super::names::Wanted;
use super::record::{ParameterRecord, VersionRecord};
use super::{not_found, page};
use crate::{Neighbours, allow};

impl Neighbours {
    /// GetParameterHistory, the oldest first.
    ///
    /// # Errors
    /// ParameterNotFound.
    pub async fn get_parameter_history(
        &self,
        caller: &Caller,
        input: api::GetParameterHistoryRequest,
    ) -> Result<api::GetParameterHistoryResult, ApiError> {
        let wanted = Wanted::parse(&input.name, &self.parts.place);
        allow(caller, Operation::GetParameterHistory, &self.parameter_arn(wanted.name()))?;
        let page = page("parameter-history", input.next_token.as_deref(), input.max_results, PARAMETERS_PAGE)?;
        let parameter = self.parameter(&wanted).await?.ok_or_else(not_found)?.record;
        let name = &parameter.name;

        let prefix = keys::versions_of_parameter(name);
        let after = page.after.as_deref().map(|number| format!("{prefix}{number}"));
        // A version that was written after the record was read is not shown: the next call does.
        let kept = |version: &VersionRecord| (parameter.oldest..parameter.latest.number).contains(&version.number);
        let earlier = self.records.read_matching(&prefix, after.as_deref(), page.read(), kept).await?;
        let latest = format!("{:020}", parameter.latest.number);
        let mut versions: Vec<(String, VersionRecord)> =
            earlier.into_iter().map(|(number, version)| (number, version.record)).collect();
        if versions.len() < page.read() && page.after.as_deref().is_none_or(|after| after < latest.as_str()) {
            versions.push((latest, parameter.latest.clone()));
        }
        let next_token = page.cut(&mut versions, |(number, _)| number);
        let opened = input.with_decryption == Some(true);
        let shown = versions.iter().map(|(_, version)| self.shown_history(&parameter, version, opened));
        Ok(api::GetParameterHistoryResult { parameters: Some(shown.collect::<Result<_, _>>()?), next_token })
    }

    fn shown_history(
        &self,
        parameter: &ParameterRecord,
        version: &VersionRecord,
        opened: bool,
    ) -> Result<api::ParameterHistory, ApiError> {
        Ok(api::ParameterHistory {
            name: Some(parameter.name.clone()),
            r#type: Some(version.kind()),
            key_id: version.key_id(),
            last_modified_date: Some(hearth_api::Timestamp(version.modified_ms)),
            last_modified_user: Some(version.modified_by.clone()),
            description: version.description.clone(),
            value: Some(version.shown(&self.parts.key, &parameter.name, opened)?),
            allowed_pattern: version.allowed_pattern.clone(),
            version: Some(version.number_shown()),
            labels: Some(parameter.labels_of(version.number)),
            tier: Some(version.tier()),
            policies: Some(Vec::new()),
            data_type: Some("text".to_owned()),
        })
    }
}
