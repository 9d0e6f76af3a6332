//! Which parameters a list shows.

use hearth_api::ApiError;
use hearth_api::ssm::errors;
use hearth_api::ssm::types::{ParameterStringFilter, ParametersFilter, ParametersFilterKey};

use super::get::is_below;
use super::record::ParameterRecord;

/// All of them must fit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Filters(Vec<Filter>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Filter {
    subject: Subject,
    how: How,
    values: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Subject {
    Name,
    Path,
    Type,
    KeyId,
    Tier,
    DataType,
    Label,
    Tag(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    Equals,
    BeginsWith,
    Contains,
    OneLevel,
    Recursive,
}

impl Filters {
    /// Of DescribeParameters.
    pub(super) fn of_parameters(given: Vec<ParameterStringFilter>) -> Result<Self, ApiError> {
        given.into_iter().map(|filter| Filter::new(filter, |_| true)).collect::<Result<_, _>>().map(Self)
    }

    /// The older form: a name is given by its beginning.
    pub(super) fn of_older(given: Vec<ParametersFilter>) -> Self {
        let filter = |filter: ParametersFilter| {
            let (subject, how) = match filter.key {
                ParametersFilterKey::Name => (Subject::Name, How::BeginsWith),
                ParametersFilterKey::Type => (Subject::Type, How::Equals),
                ParametersFilterKey::KeyId => (Subject::KeyId, How::Equals),
            };
            Filter { subject, how, values: filter.values }
        };
        Self(given.into_iter().map(filter).collect())
    }

    /// Of GetParametersByPath, which takes fewer.
    pub(super) fn of_values(given: Vec<ParameterStringFilter>) -> Result<Self, ApiError> {
        let allowed = |subject: &Subject| matches!(subject, Subject::Type | Subject::KeyId | Subject::Label);
        given.into_iter().map(|filter| Filter::new(filter, allowed)).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn fit(&self, parameter: &ParameterRecord) -> bool {
        self.0.iter().all(|filter| filter.fits(parameter))
    }

    /// The label whose version is meant, where one is.
    pub(super) fn label(&self) -> Option<&str> {
        let filter = self.0.iter().find(|filter| filter.subject == Subject::Label)?;
        filter.values.first().map(String::as_str)
    }
}

impl Filter {
    fn new(given: ParameterStringFilter, allowed: impl Fn(&Subject) -> bool) -> Result<Self, ApiError> {
        let key = given.key;
        let subject = match key.as_str() {
            "Name" => Some(Subject::Name),
            "Path" => Some(Subject::Path),
            "Type" => Some(Subject::Type),
            "KeyId" => Some(Subject::KeyId),
            "Tier" => Some(Subject::Tier),
            "DataType" => Some(Subject::DataType),
            "Label" => Some(Subject::Label),
            other => other.strip_prefix("tag:").map(|tag| Subject::Tag(tag.to_owned())),
        };
        let subject = subject.filter(allowed).ok_or_else(|| {
            ApiError::new(&errors::INVALID_FILTER_KEY, format!("The following filter key is not valid: {key}."))
        })?;
        let how = match (given.option.as_deref(), &subject) {
            (None | Some("OneLevel"), Subject::Path) => How::OneLevel,
            (Some("Recursive"), Subject::Path) => How::Recursive,
            (None | Some("Equals"), _) if subject != Subject::Path => How::Equals,
            (Some("BeginsWith"), Subject::Name | Subject::KeyId) => How::BeginsWith,
            (Some("Contains"), Subject::Name) => How::Contains,
            (option, _) => {
                let option = option.unwrap_or_default();
                let text = format!("The following filter option is not valid: {option}. It is not one for {key}.");
                return Err(ApiError::new(&errors::INVALID_FILTER_OPTION, text));
            }
        };
        let values = given.values.unwrap_or_default();
        if values.is_empty() && !matches!(subject, Subject::Tag(_)) {
            let text = format!("The following filter values are missing : null for filter key {key}.");
            return Err(ApiError::new(&errors::INVALID_FILTER_VALUE, text));
        }
        Ok(Self { subject, how, values })
    }

    fn fits(&self, parameter: &ParameterRecord) -> bool {
        let latest = &parameter.latest;
        let is = |text: &str| self.values.iter().any(|value| self.how.holds(value, text));
        match &self.subject {
            Subject::Name if self.how == How::Contains => is(&parameter.name),
            // Whether a name is written with its first slash does not matter.
            Subject::Name => {
                let name = parameter.name.trim_start_matches('/');
                self.values.iter().any(|value| self.how.holds(value.trim_start_matches('/'), name))
            }
            Subject::Path => is(&parameter.name),
            Subject::Type => is(latest.kind().as_str()),
            Subject::KeyId => latest.key_id().is_some_and(|key| is(&key)),
            Subject::Tier => is(latest.tier().as_str()),
            Subject::DataType => is("text"),
            Subject::Label => parameter.labels.keys().any(|label| is(label)),
            Subject::Tag(tag) => parameter.tags.get(tag).is_some_and(|value| self.values.is_empty() || is(value)),
        }
    }
}

impl How {
    fn holds(self, value: &str, text: &str) -> bool {
        match self {
            Self::Equals => text == value,
            Self::BeginsWith => text.starts_with(value),
            Self::Contains => text.contains(value),
            Self::OneLevel | Self::Recursive => {
                let path = format!("{}/", value.trim_end_matches('/'));
                is_below(&path, text, self == Self::Recursive)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(key: &str, option: Option<&str>, values: &[&str]) -> Result<Filter, ApiError> {
        let given = ParameterStringFilter {
            key: key.to_owned(),
            option: option.map(str::to_owned),
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        };
        Filter::new(given, |_| true)
    }

    #[test]
    fn what_is_no_filter_is_refused_by_its_part() {
        assert_eq!(filter("Colour", None, &["x"]).unwrap_err().kind, errors::INVALID_FILTER_KEY);
        assert_eq!(filter("Path", Some("Equals"), &["/x"]).unwrap_err().kind, errors::INVALID_FILTER_OPTION);
        assert_eq!(filter("Name", None, &[]).unwrap_err().kind, errors::INVALID_FILTER_VALUE);
        assert!(filter("tag:a", None, &[]).is_ok());
        assert!(
            Filters::of_values(vec![ParameterStringFilter { key: "Name".to_owned(), ..Default::default() }]).is_err()
        );
    }

    #[test]
    fn options_say_how_values_are_meant() {
        assert!(How::Recursive.holds("/a", "/a/b/c") && !How::OneLevel.holds("/a/", "/a/b/c"));
        assert!(How::OneLevel.holds("/", "/a") && !How::Equals.holds("/a", "/a/b"));
    }
}
