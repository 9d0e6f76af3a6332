//! How parameters are named: plainly, as a path, by an ARN; with a version or a label behind a colon.

use hearth_api::ApiError;
use hearth_api::ssm::errors;
use hearth_types::Place;
use hearth_types::limits::{PARAMETER_LEVELS, PARAMETER_NAME_CHARS};

/// A parameter as a client named it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    /// The names that it can mean: an ARN does not say whether its parameter's name begins with a slash. None where the
    /// ARN is of another account or region.
    pub(super) names: Vec<String>,
    /// What stands behind the colon: a version or a label.
    pub(super) selector: Option<String>,
}

impl Wanted {
    pub(super) fn parse(text: &str, place: &Place) -> Self {
        let Some(resource) = text.strip_prefix("arn:") else {
            let (name, selector) = selected(text);
            return Self { names: vec![name.to_owned()], selector };
        };
        let parts: Vec<&str> = resource.splitn(5, ':').collect();
        let [_, "ssm", region, account, named] = parts[..] else { return Self { names: Vec::new(), selector: None } };
        let is_here = region == &*place.region && account == &*place.account;
        let (path, selector) = selected(named.strip_prefix("parameter").unwrap_or_default());
        let names = [path, path.trim_start_matches('/')].map(str::to_owned);
        Self { names: if is_here { names.to_vec() } else { Vec::new() }, selector }
    }

    /// The name to speak of.
    pub(super) fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }
}

fn selected(text: &str) -> (&str, Option<String>) {
    text.split_once(':').map_or((text, None), |(name, selector)| (name, Some(selector.to_owned())))
}

/// What a new parameter may be called.
///
/// # Errors
/// As the service says it.
pub(super) fn check(name: &str) -> Result<(), ApiError> {
    if name.chars().count() > PARAMETER_NAME_CHARS {
        return Err(ApiError::validation(format!(
            "The parameter name is too long: at most {PARAMETER_NAME_CHARS} characters are allowed."
        )));
    }
    let bare = name.strip_prefix('/').unwrap_or(name).to_ascii_lowercase();
    if bare.starts_with("aws") {
        let text = format!("No access to reserved parameter name: {name}.");
        return Err(ApiError::access_denied(Some(text)));
    }
    let levels: Vec<&str> = name.strip_prefix('/').unwrap_or(name).split('/').collect();
    let is_level = |level: &&str| {
        !level.is_empty() && level.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    if bare.starts_with("ssm") || !levels.iter().all(is_level) {
        return Err(ApiError::validation(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of \
             sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the \
             following 3 symbols .-_",
        ));
    }
    if levels.len() > 1 && !name.starts_with('/') {
        return Err(ApiError::validation("Parameter name must be a fully qualified name."));
    }
    if levels.len() > PARAMETER_LEVELS {
        let text = format!("The hierarchy of a parameter's name can have a maximum of {PARAMETER_LEVELS} levels.");
        return Err(ApiError::new(&errors::HIERARCHY_LEVEL_LIMIT_EXCEEDED, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { region: "us-east-1".into(), account: "000000000000".into() }
    }

    #[test]
    fn names_have_selectors_and_arns() {
        let wanted = |text: &str| {
            let Wanted { names, selector } = Wanted::parse(text, &place());
            (names, selector)
        };
        assert_eq!(wanted("/a/b:3"), (vec!["/a/b".to_owned()], Some("3".to_owned())));
        assert_eq!(wanted("a"), (vec!["a".to_owned()], None));
        let both = vec!["/a".to_owned(), "a".to_owned()];
        assert_eq!(wanted("arn:aws:ssm:us-east-1:000000000000:parameter/a:live"), (both, Some("live".to_owned())));
        assert!(wanted("arn:aws:ssm:eu-west-1:000000000000:parameter/a").0.is_empty());
        assert!(wanted("arn:aws:s3:::b").0.is_empty());
    }

    #[test]
    fn names_are_words_divided_by_slashes() {
        for name in ["a", "/a", "/a/b.c-d_e", "A1"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", "/", "a/b", "/a/", "//a", "/a b", "ssm-x", "/SSM", "aws", "/aws/x", "a:b", &"x".repeat(1012)] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check(&"/x".repeat(15)).is_ok() && check(&"/x".repeat(16)).is_err());
    }
}
