//! From what a client names to the function that is meant, and the errors on the way. Pure.

use hearth_api::ApiError;
use hearth_types::{Place, Target, Unresolved};

use crate::{Control, invalid};

impl Control {
    /// Resolves a FunctionName member and a Qualifier member.
    pub(crate) fn resolve(&self, function_name: &str, qualifier: Option<&str>) -> Result<Target, ApiError> {
        self.parts.place.resolve(function_name, qualifier).map_err(unresolved)
    }

    /// Resolves the name of a function as a whole, whose `$LATEST` an operation changes.
    ///
    /// # Errors
    /// Also when a version or an alias is named: neither can be changed.
    pub(crate) fn resolve_whole(&self, function_name: &str) -> Result<Target, ApiError> {
        let target = self.resolve(function_name, None)?;
        match target.qualifier.as_deref() {
            None | Some("$LATEST") => Ok(target),
            Some(_) => Err(functions_only()),
        }
    }

    /// 404 for a function, named as the real service names it: without the qualifier unless one was asked for.
    pub(crate) fn function_not_found(&self, target: &Target) -> ApiError {
        not_found(&self.parts.place, target)
    }
}

/// For a qualifier where none may be.
pub(crate) fn functions_only() -> ApiError {
    invalid(
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. \
         Please specify either a function name or an unqualified function ARN.",
    )
}

pub(crate) fn not_found(place: &Place, target: &Target) -> ApiError {
    ApiError::not_found(format!("Function not found: {}", place.arn_as_asked(target)))
}

/// 412 for a function, a version or an alias that has changed since the client saw it.
pub(crate) fn stale_revision() -> ApiError {
    ApiError::precondition_failed(
        "The Revision Id provided does not match the latest Revision Id. \
         Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
    )
}

/// The answer to a name that means nothing here.
fn unresolved(cause: Unresolved) -> ApiError {
    match cause {
        Unresolved::TwoQualifiers => invalid(cause.to_string()),
        Unresolved::OtherRegion { .. } => ApiError::not_found(cause.to_string()),
        Unresolved::OtherAccount => ApiError::access_denied(None),
    }
}
