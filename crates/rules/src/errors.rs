//! Errors, as the services word them.

use hearth_api::ApiError;
use hearth_api::events::errors;

pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(&hearth_api::error::VALIDATION, message)
}

pub(crate) fn no_bus(name: &str) -> ApiError {
    ApiError::new(&errors::RESOURCE_NOT_FOUND, format!("Event bus {name} does not exist."))
}

pub(crate) fn no_rule(name: &str, bus: &str) -> ApiError {
    ApiError::new(&errors::RESOURCE_NOT_FOUND, format!("Rule {name} does not exist on EventBus {bus}."))
}

pub(crate) fn too_many() -> ApiError {
    ApiError::new(&errors::LIMIT_EXCEEDED, "The requested resource exceeds the maximum number allowed.")
}

pub(crate) fn no_pattern(reason: &str) -> ApiError {
    ApiError::new(&errors::INVALID_EVENT_PATTERN, format!("Event pattern is not valid. Reason: {reason}"))
}

/// Hearth's own.
pub(crate) fn unsupported(what: &str) -> ApiError {
    ApiError::new(&hearth_api::error::NOT_IMPLEMENTED, format!("Hearth does not have {what}."))
}
