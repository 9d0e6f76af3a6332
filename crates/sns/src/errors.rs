//! Errors, as the service words them.

use hearth_api::ApiError;
use hearth_api::sns::errors;

pub(crate) fn no_topic() -> ApiError {
    ApiError::new(&errors::NOT_FOUND, "Topic does not exist")
}

pub(crate) fn no_subscription() -> ApiError {
    ApiError::new(&errors::NOT_FOUND, "Subscription does not exist")
}

/// `Invalid parameter: WHAT`.
pub(crate) fn invalid(what: impl std::fmt::Display) -> ApiError {
    ApiError::new(&errors::INVALID_PARAMETER, format!("Invalid parameter: {what}"))
}

/// `Invalid parameter: WHAT Reason: WHY`.
pub(crate) fn invalid_because(what: &str, why: impl std::fmt::Display) -> ApiError {
    invalid(format!("{what} Reason: {why}"))
}

pub(crate) fn unsupported(what: &str) -> ApiError {
    ApiError::new(&hearth_api::error::NOT_IMPLEMENTED, format!("Hearth does not have {what}."))
}

pub(crate) fn unavailable(cause: &dyn std::fmt::Display) -> ApiError {
    tracing::error!("SNS: {cause}");
    ApiError::service("The topics are not available.")
}
