//! From what a client names to the function that is meant. Pure.

use hearth_api::ApiError;
use hearth_types::{FunctionArn, FunctionRef};

use crate::invalid;

/// Where this server says it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Of all ARNs.
    pub region: String,
    /// 12 digits.
    pub account: String,
}

/// A function as a client named it, resolved to this account and region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The bare name; it may be longer than a function's name can be, and then there is none of it.
    pub name: String,
    /// From the name or the Qualifier member.
    pub qualifier: Option<String>,
}

impl Target {
    /// For an operation on a function as a whole, whose `$LATEST` it changes.
    ///
    /// # Errors
    /// When a version or an alias is named: neither can be changed.
    pub(crate) fn whole_function(self) -> Result<Self, ApiError> {
        match self.qualifier.as_deref() {
            None | Some("$LATEST") => Ok(self),
            Some(_) => Err(invalid(
                "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
                 operation. Please specify either a function name or an unqualified function ARN.",
            )),
        }
    }
}

impl Place {
    /// Resolves a FunctionName member and a Qualifier member.
    ///
    /// # Errors
    /// When they name two different qualifiers, another region or another account. Both come before the question
    /// whether the function exists (observed).
    pub fn resolve(&self, function_name: &str, qualifier: Option<&str>) -> Result<Target, ApiError> {
        let named = FunctionRef::parse(function_name);
        if let (Some(derived), Some(given)) = (named.qualifier.as_deref(), qualifier)
            && derived != given
        {
            return Err(invalid(
                "The derived qualifier from the function name does not match the specified qualifier.",
            ));
        }
        if let Some(region) = named.region.as_deref().filter(|region| *region != self.region) {
            return Err(ApiError::not_found(format!(
                "Functions from '{region}' are not reachable in this region ('{}')",
                self.region
            )));
        }
        if named.account.as_ref().is_some_and(|account| *account != self.account) {
            return Err(ApiError::access_denied(None));
        }
        let qualifier = named.qualifier.or_else(|| qualifier.map(str::to_owned)).filter(|text| !text.is_empty());
        Ok(Target { name: named.name, qualifier })
    }

    /// The unqualified ARN of a function.
    #[must_use]
    pub fn arn(&self, name: &str) -> FunctionArn {
        FunctionArn {
            region: self.region.clone(),
            account: self.account.clone(),
            name: name.to_owned(),
            qualifier: None,
        }
    }

    /// An ARN that ends with the qualifier that was asked for, if one was.
    #[must_use]
    pub fn arn_as_asked(&self, target: &Target) -> FunctionArn {
        FunctionArn { qualifier: target.qualifier.clone(), ..self.arn(&target.name) }
    }

    /// 404 for a function, named as the real service names it: without the qualifier unless one was asked for.
    #[must_use]
    pub fn function_not_found(&self, target: &Target) -> ApiError {
        ApiError::not_found(format!("Function not found: {}", self.arn_as_asked(target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { region: "us-east-1".into(), account: "000000000000".into() }
    }

    #[test]
    fn a_qualifier_may_stand_in_either_place_but_not_differ() {
        let target = place().resolve("f:1", Some("1")).unwrap();
        assert_eq!((target.name.as_str(), target.qualifier.as_deref()), ("f", Some("1")));
        assert_eq!(place().resolve("f", Some("p")).unwrap().qualifier.as_deref(), Some("p"));
        assert!(place().resolve("f:1", Some("2")).unwrap_err().to_string().contains("derived qualifier"));
    }

    #[test]
    fn another_region_is_not_reachable_and_another_account_is_denied() {
        let error = place().resolve("arn:aws:lambda:eu-west-1:000000000000:function:f", None).unwrap_err();
        assert!(
            error.to_string().contains("Functions from 'eu-west-1' are not reachable in this region ('us-east-1')")
        );
        assert!(place().resolve("arn:aws:lambda:us-east-1:111111111111:function:f", None).is_err());
    }
}
