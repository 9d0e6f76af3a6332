//! Where a server says it is, and what a client's names mean there.

use std::sync::Arc;

use crate::arn::{FunctionArn, FunctionRef};

/// Region and account of all that this server has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Of all ARNs, and AWS_REGION inside.
    pub region: Arc<str>,
    /// 12 digits.
    pub account: Arc<str>,
}

/// A function as a client named it, resolved to this account and region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The bare name; it may be longer than a function's name can be, and then there is none of it.
    pub name: String,
    /// From the name or the Qualifier member.
    pub qualifier: Option<String>,
}

/// Why a name means nothing here. All come before the question whether the function exists (observed).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unresolved {
    /// InvalidParameterValueException.
    #[error("The derived qualifier from the function name does not match the specified qualifier.")]
    TwoQualifiers,
    /// ResourceNotFoundException.
    #[error("Functions from '{theirs}' are not reachable in this region ('{ours}')")]
    OtherRegion {
        /// The name's.
        theirs: String,
        /// The server's.
        ours: Arc<str>,
    },
    /// AccessDeniedException, without a text.
    #[error("the function belongs to another account")]
    OtherAccount,
}

impl Place {
    /// Resolves a FunctionName member and a Qualifier member.
    ///
    /// # Errors
    /// When they name two different qualifiers, another region or another account.
    pub fn resolve(&self, function_name: &str, qualifier: Option<&str>) -> Result<Target, Unresolved> {
        let named = FunctionRef::parse(function_name);
        if let (Some(derived), Some(given)) = (named.qualifier.as_deref(), qualifier)
            && derived != given
        {
            return Err(Unresolved::TwoQualifiers);
        }
        if let Some(theirs) = named.region.filter(|region| **region != *self.region) {
            return Err(Unresolved::OtherRegion { theirs, ours: Arc::clone(&self.region) });
        }
        if named.account.is_some_and(|account| *account != *self.account) {
            return Err(Unresolved::OtherAccount);
        }
        let qualifier = named.qualifier.or_else(|| qualifier.map(str::to_owned)).filter(|text| !text.is_empty());
        Ok(Target { name: named.name, qualifier })
    }

    /// The unqualified ARN of a function.
    #[must_use]
    pub fn arn(&self, name: &str) -> FunctionArn {
        FunctionArn {
            region: self.region.to_string(),
            account: self.account.to_string(),
            name: name.to_owned(),
            qualifier: None,
        }
    }

    /// An ARN that ends with the qualifier that was asked for, if one was.
    #[must_use]
    pub fn arn_as_asked(&self, target: &Target) -> FunctionArn {
        FunctionArn { qualifier: target.qualifier.clone(), ..self.arn(&target.name) }
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
        assert_eq!(place().resolve("f:1", Some("2")), Err(Unresolved::TwoQualifiers));
    }

    #[test]
    fn another_region_is_not_reachable_and_another_account_is_denied() {
        let error = place().resolve("arn:aws:lambda:eu-west-1:000000000000:function:f", None).unwrap_err();
        assert_eq!(error.to_string(), "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')");
        let other = place().resolve("arn:aws:lambda:us-east-1:111111111111:function:f", None);
        assert_eq!(other, Err(Unresolved::OtherAccount));
    }
}
