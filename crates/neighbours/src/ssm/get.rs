//! Values: GetParameter, GetParameters, GetParametersByPath.

use hearth_api::ApiError;
use hearth_api::ssm::types as api;
use hearth_api::ssm::{Operation, errors};
use hearth_identity::Caller;
use hearth_types::keys;
use hearth_types::limits::PARAMETERS_BY_PATH_PAGE;

use super::filters::Filters;
use super::names::Wanted;
use super::record::{ParameterRecord, VersionRecord};
use super::{not_found, page};
use crate::{Neighbours, allow};

impl Neighbours {
    /// GetParameter.
    ///
    /// # Errors
    /// ParameterNotFound, ParameterVersionNotFound.
    pub async fn get_parameter(
        &self,
        caller: &Caller,
        input: api::GetParameterRequest,
    ) -> Result<api::GetParameterResult, ApiError> {
        let wanted = Wanted::parse(&input.name, &self.parts.place);
        allow(caller, Operation::GetParameter, &self.parameter_arn(wanted.name()))?;
        let parameter = self.selected(&wanted, input.with_decryption == Some(true)).await?;
        Ok(api::GetParameterResult { parameter: Some(parameter) })
    }

    /// GetParameters: names that mean nothing are listed, each once.
    ///
    /// # Errors
    /// A caller that may not read one of them.
    pub async fn get_parameters(
        &self,
        caller: &Caller,
        input: api::GetParametersRequest,
    ) -> Result<api::GetParametersResult, ApiError> {
        let (mut parameters, mut invalid) = (Vec::new(), Vec::new());
        for name in input.names {
            let wanted = Wanted::parse(&name, &self.parts.place);
            allow(caller, Operation::GetParameters, &self.parameter_arn(wanted.name()))?;
            match self.selected(&wanted, input.with_decryption == Some(true)).await {
                Ok(parameter) if !parameters.contains(&parameter) => parameters.push(parameter),
                Ok(_) => {}
                Err(error) if is_absence(&error) && !invalid.contains(&name) => invalid.push(name),
                Err(error) if is_absence(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(api::GetParametersResult { parameters: Some(parameters), invalid_parameters: Some(invalid) })
    }

    /// GetParametersByPath, by name.
    ///
    /// # Errors
    /// A path or a filter that is none.
    pub async fn get_parameters_by_path(
        &self,
        caller: &Caller,
        input: api::GetParametersByPathRequest,
    ) -> Result<api::GetParametersByPathResult, ApiError> {
        let path = whole_path(&input.path)?;
        let arn = format!("{}/", self.parameter_arn(&path).trim_end_matches('/'));
        allow(caller, Operation::GetParametersByPath, &arn)?;
        let filters = Filters::of_values(input.parameter_filters.unwrap_or_default())?;
        let page = page("parameters-by-path", input.next_token.as_deref(), input.max_results, PARAMETERS_BY_PATH_PAGE)?;
        let recursive = input.recursive == Some(true);
        let keep = |parameter: &ParameterRecord| is_below(&path, &parameter.name, recursive) && filters.fit(parameter);
        // Names without a slash are at the root too.
        let prefix = if path == "/" { keys::PARAMETERS.to_owned() } else { keys::parameter(&path) };
        let after = page.after.as_deref().map(keys::parameter);
        let mut found = self.records.read_matching(&prefix, after.as_deref(), page.read(), keep).await?;
        let next_token = page.cut(&mut found, |(_, parameter)| &parameter.record.name);
        let mut parameters = Vec::new();
        for (_, parameter) in found {
            let version = self.labelled(&parameter.record, filters.label()).await?;
            let opened = input.with_decryption == Some(true);
            parameters.push(self.shown_parameter(&parameter.record.name, &version, None, opened)?);
        }
        Ok(api::GetParametersByPathResult { parameters: Some(parameters), next_token })
    }

    async fn selected(&self, wanted: &Wanted, opened: bool) -> Result<api::Parameter, ApiError> {
        let parameter = self.parameter(wanted).await?.ok_or_else(not_found)?.record;
        let Some(selector) = &wanted.selector else {
            return self.shown_parameter(&parameter.name, &parameter.latest, None, opened);
        };
        let (name, absent) = (&parameter.name, errors::PARAMETER_VERSION_NOT_FOUND);
        let version = match selector.parse::<u64>() {
            Ok(number) => self.version(&parameter, number).await?.ok_or_else(|| {
                let text = format!(
                    "Systems Manager could not find version {number} of {name}. Verify the version and try again."
                );
                ApiError::new(&absent, text)
            })?,
            Err(_) if parameter.labels.contains_key(selector) => self.labelled(&parameter, Some(selector)).await?,
            Err(_) => {
                let text = format!(
                    "Systems Manager could not find label {selector} for parameter {name}. Verify the label and try again."
                );
                return Err(ApiError::new(&absent, text));
            }
        };
        self.shown_parameter(name, &version, Some(selector), opened)
    }

    /// The version of that number, where it is kept.
    pub(super) async fn version(
        &self,
        parameter: &ParameterRecord,
        number: u64,
    ) -> Result<Option<VersionRecord>, ApiError> {
        if number == parameter.latest.number {
            return Ok(Some(parameter.latest.clone()));
        }
        let found = self.records.read(&keys::parameter_version(&parameter.name, number)).await?;
        Ok(found.map(|version| version.record))
    }

    /// The version that has a label; the latest where none is asked for.
    async fn labelled(&self, parameter: &ParameterRecord, label: Option<&str>) -> Result<VersionRecord, ApiError> {
        let number = label.and_then(|label| parameter.labels.get(label)).copied();
        // A version that went meanwhile took its label along.
        let version = self.version(parameter, number.unwrap_or(parameter.latest.number)).await?;
        version.ok_or_else(not_found)
    }

    fn shown_parameter(
        &self,
        name: &str,
        version: &VersionRecord,
        selector: Option<&str>,
        opened: bool,
    ) -> Result<api::Parameter, ApiError> {
        Ok(api::Parameter {
            name: Some(name.to_owned()),
            r#type: Some(version.kind()),
            value: Some(version.shown(&self.parts.key, name, opened)?),
            version: Some(version.number_shown()),
            selector: selector.map(|selector| format!(":{selector}")),
            source_result: None,
            last_modified_date: Some(hearth_api::Timestamp(version.modified_ms)),
            arn: Some(self.parameter_arn(name)),
            data_type: Some("text".to_owned()),
        })
    }
}

fn is_absence(error: &ApiError) -> bool {
    [errors::PARAMETER_NOT_FOUND, errors::PARAMETER_VERSION_NOT_FOUND].contains(&error.kind)
}

/// The path with a slash at its end.
fn whole_path(path: &str) -> Result<String, ApiError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/');
    if !path.starts_with('/') || path.contains("//") || !path.bytes().all(is_plain) {
        return Err(ApiError::validation(
            "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward \
             slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, \
             numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not \
             allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". Valid example: \
             /get/parameters2-/by1./path0_.",
        ));
    }
    Ok(if path.ends_with('/') { path.to_owned() } else { format!("{path}/") })
}

/// Whether a name is below a path that ends with a slash.
pub(super) fn is_below(path: &str, name: &str, recursive: bool) -> bool {
    let rest = if path == "/" { name.strip_prefix('/').or(Some(name)) } else { name.strip_prefix(path) };
    rest.is_some_and(|rest| recursive || !rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_hold_what_is_below_them() {
        assert!(is_below("/a/", "/a/b", false) && !is_below("/a/", "/a/b/c", false) && is_below("/a/", "/a/b/c", true));
        assert!(!is_below("/a/", "/ab", true) && !is_below("/a/", "/a", true));
        assert!(is_below("/", "x", false) && is_below("/", "/x", false) && !is_below("/", "/x/y", false));
        assert_eq!(whole_path("/a"), Ok("/a/".to_owned()));
        assert!(whole_path("a").is_err() && whole_path("/a//b").is_err() && whole_path("/a*").is_err());
    }
}
