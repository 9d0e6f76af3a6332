//! Labels of versions.

use hearth_api::ApiError;
use hearth_api::ssm::types as api;
use hearth_api::ssm::{Operation, errors};
use hearth_identity::Caller;
use hearth_types::keys;
use hearth_types::limits::PARAMETER_LABELS;

use super::names::Wanted;
use super::not_found;
use super::record::ParameterRecord;
use crate::{Neighbours, allow};
use hearth_records::put;

impl Neighbours {
    /// LabelParameterVersion: of the latest one where none is named. A label moves from the version that had it.
    ///
    /// # Errors
    /// ParameterNotFound, ParameterVersionNotFound, ParameterVersionLabelLimitExceeded.
    pub async fn label_parameter_version(
        &self,
        caller: &Caller,
        input: api::LabelParameterVersionRequest,
    ) -> Result<api::LabelParameterVersionResult, ApiError> {
        let (valid, invalid): (Vec<String>, Vec<String>) = input.labels.into_iter().partition(|label| is_label(label));
        let number = self
            .change_parameter(caller, Operation::LabelParameterVersion, &input.name, |parameter| {
                let number = numbered(parameter, input.parameter_version)?;
                parameter.labels.extend(valid.iter().map(|label| (label.clone(), number)));
                if parameter.labels_of(number).len() > PARAMETER_LABELS {
                    let text = format!(
                        "An error occurred because a parameter version can have a maximum of {PARAMETER_LABELS} labels. \
                         To continue, move or remove one of its labels."
                    );
                    return Err(ApiError::new(&errors::PARAMETER_VERSION_LABEL_LIMIT_EXCEEDED, text));
                }
                Ok(number)
            })
            .await?;
        Ok(api::LabelParameterVersionResult {
            invalid_labels: Some(invalid),
            parameter_version: i64::try_from(number).ok(),
        })
    }

    /// UnlabelParameterVersion.
    ///
    /// # Errors
    /// ParameterNotFound, ParameterVersionNotFound.
    pub async fn unlabel_parameter_version(
        &self,
        caller: &Caller,
        input: api::UnlabelParameterVersionRequest,
    ) -> Result<api::UnlabelParameterVersionResult, ApiError> {
        let (removed, invalid) = self
            .change_parameter(caller, Operation::UnlabelParameterVersion, &input.name, |parameter| {
                let number = numbered(parameter, Some(input.parameter_version))?;
                let has = |label: &&String| parameter.labels.get(*label) == Some(&number);
                let (removed, invalid): (Vec<_>, Vec<_>) = input.labels.iter().partition(has);
                let (removed, invalid): (Vec<String>, Vec<String>) =
                    (removed.into_iter().cloned().collect(), invalid.into_iter().cloned().collect());
                parameter.labels.retain(|label, _| !removed.contains(label));
                Ok((removed, invalid))
            })
            .await?;
        Ok(api::UnlabelParameterVersionResult { removed_labels: Some(removed), invalid_labels: Some(invalid) })
    }

    /// Changes what all versions of a parameter share; what the change says.
    pub(super) async fn change_parameter<T>(
        &self,
        caller: &Caller,
        operation: Operation,
        name: &str,
        change: impl Fn(&mut ParameterRecord) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let wanted = Wanted::parse(name, &self.parts.place);
        allow(caller, operation, &self.parameter_arn(wanted.name()))?;
        self.records
            .until_written(|| async {
                let found = self.parameter(&wanted).await?.ok_or_else(not_found)?;
                let mut changed = found.record.clone();
                let said = change(&mut changed)?;
                if changed == found.record {
                    return Ok(Some(said));
                }
                let write = put(keys::parameter(&changed.name), &changed, found.unchanged())?;
                Ok(self.records.commit(vec![write]).await?.then_some(said))
            })
            .await
    }
}

/// The version that a request means.
fn numbered(parameter: &ParameterRecord, given: Option<i64>) -> Result<u64, ApiError> {
    let latest = parameter.latest.number;
    let Some(given) = given else { return Ok(latest) };
    u64::try_from(given).ok().filter(|number| (parameter.oldest..=latest).contains(number)).ok_or_else(|| {
        let text = format!(
            "Systems Manager could not find version {given} of {}. Verify the version and try again.",
            parameter.name
        );
        ApiError::new(&errors::PARAMETER_VERSION_NOT_FOUND, text)
    })
}

/// Letters, digits, `.-_`; not beginning with a digit, `aws` or `ssm`.
fn is_label(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && !lower.starts_with("aws")
        && !lower.starts_with("ssm")
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_words() {
        assert!(is_label("live") && is_label("a.b-c_1"));
        assert!(!is_label("1a") && !is_label("aws1") && !is_label("SSM") && !is_label("a b") && !is_label("a/b"));
    }
}
