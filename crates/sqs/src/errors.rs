//! Errors, as the service words them.

use hearth_api::ApiError;
use hearth_api::error::Kind;
use hearth_api::sqs::errors;

pub(crate) fn no_queue() -> ApiError {
    ApiError::new(&errors::QUEUE_DOES_NOT_EXIST, "The specified queue does not exist.")
}

/// A parameter is out of its range.
pub(crate) fn invalid_parameter(message: impl Into<String>) -> ApiError {
    static KIND: Kind = Kind { code: "InvalidParameterValue", ..hearth_api::error::VALIDATION };
    ApiError::new(&KIND, message)
}

/// `Value V for parameter P is invalid. Reason: R`.
pub(crate) fn invalid_value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> ApiError {
    invalid_parameter(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
}

pub(crate) fn missing(parameter: &str) -> ApiError {
    static KIND: Kind = Kind { code: "MissingParameter", ..hearth_api::error::VALIDATION };
    ApiError::new(&KIND, format!("The request must contain the parameter {parameter}."))
}

pub(crate) fn unknown_attribute(name: &str) -> ApiError {
    ApiError::new(&errors::INVALID_ATTRIBUTE_NAME, format!("Unknown Attribute {name}."))
}

/// An attribute of a queue has a value that it cannot have.
pub(crate) fn invalid_attribute(name: &str, reason: &str) -> ApiError {
    let reason = if reason.is_empty() { String::new() } else { format!(" Reason: {reason}") };
    ApiError::new(&errors::INVALID_ATTRIBUTE_VALUE, format!("Invalid value for the parameter {name}.{reason}"))
}

pub(crate) fn invalid_handle(handle: &str) -> ApiError {
    let shown: String = handle.chars().take(200).collect();
    ApiError::new(
        &errors::RECEIPT_HANDLE_IS_INVALID,
        format!("The input receipt handle \"{shown}\" is not a valid receipt handle."),
    )
}

pub(crate) fn unsupported(what: &str) -> ApiError {
    ApiError::new(&hearth_api::error::NOT_IMPLEMENTED, format!("Hearth does not have {what} yet."))
}
