//! PutParameter.

use std::collections::BTreeMap;

use fancy_regex::{Regex, RegexBuilder};
use hearth_api::ApiError;
use hearth_api::ssm::types as api;
use hearth_api::ssm::{Operation, errors};
use hearth_identity::Caller;
use hearth_store::typed::{Loaded, as_found};
use hearth_store::{Precondition, Write};
use hearth_types::keys;
use hearth_types::limits::{PARAMETER_ADVANCED_CHARS, PARAMETER_CHARS, PARAMETER_VERSIONS, PATTERN_BACKTRACKS};

use super::record::{Held, ParameterRecord, VersionRecord};
use super::{DEFAULT_KEY, names, tags};
use crate::{Neighbours, allow};
use hearth_records::put;

impl Neighbours {
    /// PutParameter: a new parameter, or with Overwrite a new version of one.
    ///
    /// # Errors
    /// As the real service; policies of parameters, keys of KMS and AMIs as values are refused.
    pub async fn put_parameter(
        &self,
        caller: &Caller,
        input: api::PutParameterRequest,
    ) -> Result<api::PutParameterResult, ApiError> {
        allow(caller, Operation::PutParameter, &self.parameter_arn(&input.name))?;
        refuse_unsupported(&input)?;
        names::check(&input.name)?;
        check_value(&input)?;
        let tags = tags::given(input.tags.clone().unwrap_or_default())?;
        let overwrite = input.overwrite == Some(true);
        if overwrite && !tags.is_empty() {
            return Err(ApiError::validation(
                "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please \
                 remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
                 RemoveTagsFromResource.",
            ));
        }
        self.records.until_written(|| async {
            let found: Option<Loaded<ParameterRecord>> = self.records.read(&keys::parameter(&input.name)).await?;
            if found.is_some() && !overwrite {
                return Err(ApiError::new(
                    &errors::PARAMETER_ALREADY_EXISTS,
                    "The parameter already exists. To overwrite this value, set the overwrite option in the request to \
                     true.",
                ));
            }
            let latest = self.version_of(&input, caller, found.as_ref().map(|found| &found.record.latest))?;
            let result = api::PutParameterResult { version: Some(latest.number_shown()), tier: Some(latest.tier()) };
            let mut writes = Vec::new();
            let record = match &found {
                None => ParameterRecord {
                    name: input.name.clone(),
                    tags: tags.clone(),
                    labels: BTreeMap::new(),
                    oldest: 1,
                    latest,
                },
                Some(found) => behind(&found.record, latest, &mut writes)?,
            };
            writes.push(put(keys::parameter(&input.name), &record, as_found(found.as_ref()))?);
            Ok(self.records.commit(writes).await?.then_some(result))
        })
        .await
    }

    /// The version that a request makes.
    fn version_of(
        &self,
        input: &api::PutParameterRequest,
        caller: &Caller,
        before: Option<&VersionRecord>,
    ) -> Result<VersionRecord, ApiError> {
        let kind = kind(input.r#type, before)?;
        let number = before.map_or(0, |before| before.number) + 1;
        let given = |given: &Option<String>, kept: Option<&Option<String>>| {
            given.clone().or_else(|| kept.cloned().flatten()).filter(|text| !text.is_empty())
        };
        let allowed_pattern = given(&input.allowed_pattern, before.map(|before| &before.allowed_pattern));
        check_pattern(allowed_pattern.as_deref(), &input.value)?;
        Ok(VersionRecord {
            number,
            value: match kind {
                api::ParameterType::SecureString => Held::sealed(&self.parts.key, &input.name, number, &input.value)?,
                _ => Held::Plain(input.value.clone()),
            },
            is_list: kind == api::ParameterType::StringList,
            is_advanced: is_advanced(input, before)?,
            description: given(&input.description, before.map(|before| &before.description)),
            allowed_pattern,
            modified_ms: self.now_ms(),
            modified_by: caller.arn(),
        })
    }
}

/// The parameter with a version more; what was the latest one gets a record of its own, and the oldest goes.
fn behind(
    before: &ParameterRecord,
    latest: VersionRecord,
    writes: &mut Vec<Write>,
) -> Result<ParameterRecord, ApiError> {
    let name = &before.name;
    let mut record = ParameterRecord { latest, ..before.clone() };
    let earlier = keys::parameter_version(name, before.latest.number);
    writes.push(put(earlier, &before.latest, Precondition::Any)?);
    if record.latest.number - record.oldest >= PARAMETER_VERSIONS {
        let oldest = record.oldest;
        if !record.labels_of(oldest).is_empty() {
            let text = format!(
                "You attempted to create a new version of {name} by calling the PutParameter API with the overwrite \
                 flag. Version {oldest}, the oldest version, can't be deleted because it has a label associated with \
                 it. Move the label to another version of the parameter, and try again."
            );
            return Err(ApiError::new(&errors::PARAMETER_MAX_VERSION_LIMIT_EXCEEDED, text));
        }
        writes.push(Write::delete(keys::parameter_version(name, oldest), Precondition::Any));
        record.oldest += 1;
    }
    Ok(record)
}

fn kind(given: Option<api::ParameterType>, before: Option<&VersionRecord>) -> Result<api::ParameterType, ApiError> {
    match (given, before.map(VersionRecord::kind)) {
        (Some(kind), None) => Ok(kind),
        (None, Some(kind)) => Ok(kind),
        (Some(kind), Some(there)) if kind == there => Ok(kind),
        (Some(_), Some(there)) => Err(ApiError::new(
            &errors::HIERARCHY_TYPE_MISMATCH,
            format!("The type of a parameter cannot be changed: it is {}.", there.as_str()),
        )),
        (None, None) => Err(ApiError::validation("A parameter type is required when you create a parameter.")),
    }
}

/// The tier that the parameter gets; an advanced one stays so.
fn is_advanced(input: &api::PutParameterRequest, before: Option<&VersionRecord>) -> Result<bool, ApiError> {
    let was = before.is_some_and(|before| before.is_advanced);
    let chars = input.value.chars().count();
    let too_long = |text: String| Err(ApiError::validation(text));
    if chars > PARAMETER_ADVANCED_CHARS {
        return too_long(format!(
            "Advanced tier parameters support a maximum parameter value of {PARAMETER_ADVANCED_CHARS} characters."
        ));
    }
    match input.tier {
        Some(api::ParameterTier::Advanced) => Ok(true),
        Some(api::ParameterTier::IntelligentTiering) => Ok(was || chars > PARAMETER_CHARS),
        Some(api::ParameterTier::Standard) if was => Err(ApiError::validation(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
             advanced-parameter tier to the standard-parameter tier.",
        )),
        Some(api::ParameterTier::Standard) | None if was || chars <= PARAMETER_CHARS => Ok(was),
        Some(api::ParameterTier::Standard) | None => too_long(format!(
            "Standard tier parameters support a maximum parameter value of {PARAMETER_CHARS} characters. To create a \
             larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, \
             see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
        )),
    }
}

fn check_value(input: &api::PutParameterRequest) -> Result<(), ApiError> {
    if input.value.is_empty() {
        return Err(ApiError::validation(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length \
             greater than or equal to 1.",
        ));
    }
    Ok(())
}

fn check_pattern(pattern: Option<&str>, value: &str) -> Result<(), ApiError> {
    let Some(pattern) = pattern else { return Ok(()) };
    let regex: Result<Regex, _> = RegexBuilder::new(pattern).backtrack_limit(PATTERN_BACKTRACKS).build();
    let regex = regex.map_err(|_| {
        let text = format!("The regular expression {pattern} is not valid.");
        ApiError::new(&errors::INVALID_ALLOWED_PATTERN, text)
    })?;
    // A pattern that tries too many ways matches nothing.
    if regex.is_match(value).unwrap_or(false) {
        return Ok(());
    }
    let text = format!("Parameter value, cannot be validated against allowedPattern: {pattern}");
    Err(ApiError::new(&errors::PARAMETER_PATTERN_MISMATCH, text))
}

fn refuse_unsupported(input: &api::PutParameterRequest) -> Result<(), ApiError> {
    let policies = input.policies.as_deref().map(str::trim).unwrap_or_default();
    if !matches!(policies, "" | "[]" | "{}" | "[{}]") {
        return Err(ApiError::unsupported_member(Operation::PutParameter, "Policies"));
    }
    match input.data_type.as_deref() {
        None | Some("" | "text") => {}
        Some(other) => {
            let text =
                format!("The following data type is not supported: {other} (Data type names are all lowercase.)");
            return Err(ApiError::validation(text));
        }
    }
    match (input.key_id.as_deref(), input.r#type) {
        (None, _) => Ok(()),
        (Some(DEFAULT_KEY), Some(api::ParameterType::SecureString) | None) => Ok(()),
        (Some(_), Some(api::ParameterType::String | api::ParameterType::StringList)) => {
            Err(ApiError::validation("KeyId is only for parameters of the type SecureString."))
        }
        (Some(other), _) => {
            let text = format!("Hearth has no key {other}: leave KeyId out, or name {DEFAULT_KEY}.");
            Err(ApiError::new(&errors::INVALID_KEY_ID, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(chars: usize, tier: Option<api::ParameterTier>) -> api::PutParameterRequest {
        api::PutParameterRequest { value: "x".repeat(chars), tier, ..Default::default() }
    }

    #[test]
    fn long_values_need_the_advanced_tier() {
        use api::ParameterTier::{Advanced, IntelligentTiering, Standard};
        assert_eq!(is_advanced(&input(4096, None), None), Ok(false));
        assert!(is_advanced(&input(4097, Some(Standard)), None).is_err());
        assert_eq!(is_advanced(&input(4097, Some(IntelligentTiering)), None), Ok(true));
        assert_eq!(is_advanced(&input(8192, Some(Advanced)), None), Ok(true));
        assert!(is_advanced(&input(8193, Some(Advanced)), None).is_err());
    }

    #[test]
    fn values_match_their_pattern() {
        assert!(check_pattern(Some("^[0-9]+$"), "12").is_ok());
        assert_eq!(check_pattern(Some("^[0-9]+$"), "a").unwrap_err().kind, errors::PARAMETER_PATTERN_MISMATCH);
        assert_eq!(check_pattern(Some("("), "a").unwrap_err().kind, errors::INVALID_ALLOWED_PATTERN);
    }
}
