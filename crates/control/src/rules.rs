//! Rules that the service model does not state: runtimes that are blocked, names that are reserved, sizes of wholes.
//! Pure; the texts are those of the real service.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_types::function::{Configuration, SnapStart};
use hearth_types::limits::{
    ENVIRONMENT_BYTES, EPHEMERAL_MAX_MB, EPHEMERAL_MIN_MB, FUNCTION_NAME_CHARS, LAYERS, MEMORY_MAX_MB, MEMORY_MIN_MB,
    TAGS, TIMEOUT_MAX_S,
};

use crate::invalid;

/// Runtimes that the real service takes, in the order in which its message lists them (2026-01).
const RUNTIMES: &[&str] = &[
    "nodejs20.x",
    "python3.14",
    "provided.al2023",
    "python3.12",
    "python3.13",
    "nodejs24.x",
    "nodejs22.x",
    "java25",
    "python3.10",
    "python3.11",
    "java21",
    "ruby3.3",
    "ruby3.4",
    "ruby3.2",
    "python3.8",
    "python3.9",
    "java17",
    "nodejs16.x",
    "dotnet10",
    "dotnet8",
    "java11",
    "dotnet6",
    "nodejs18.x",
    "provided.al2",
    "java8.al2",
];

/// Runtimes that it takes since.
const NEWER: &[&str] = &["ruby4.0"];

/// Runtimes that the real service knows and no longer takes.
const BLOCKED: &[&str] = &[
    "nodejs",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "java8",
    "python2.7",
    "python3.6",
    "python3.7",
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "ruby2.5",
    "ruby2.7",
    "provided",
];

/// Runtimes that the real service takes snapshots of (2026-01).
const SNAP_START: &[&str] =
    &["java11", "java17", "java21", "java25", "python3.12", "python3.13", "python3.14", "dotnet8", "dotnet10"];

/// Variables that a client may not set (AWS Lambda's list).
const RESERVED: &[&str] = &[
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
    "AWS_LAMBDA_MAX_CONCURRENCY",
];

/// A bare name is at most 64 characters long, although the member may hold a whole ARN.
///
/// # Errors
/// With the text that CreateFunction gives.
pub(crate) fn name_length(name: &str) -> Result<(), ApiError> {
    if name.len() <= FUNCTION_NAME_CHARS {
        return Ok(());
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: \
         Member must have length less than or equal to {FUNCTION_NAME_CHARS}"
    )))
}

/// # Errors
/// When the real service does not know the runtime, or no longer takes it.
pub(crate) fn runtime(runtime: &str) -> Result<(), ApiError> {
    if BLOCKED.contains(&runtime) {
        return Err(invalid(format!(
            "The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. \
             We recommend you use a supported runtime while creating or updating functions."
        )));
    }
    if RUNTIMES.contains(&runtime) || NEWER.contains(&runtime) {
        return Ok(());
    }
    Err(invalid(format!(
        "Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{}] \
         or be a valid ARN",
        RUNTIMES.join(", ")
    )))
}

/// Keys that are reserved, and the size of the whole as compact JSON.
///
/// # Errors
/// With the texts of the real service.
pub(crate) fn variables(variables: &[(String, String)]) -> Result<(), ApiError> {
    let reserved: Vec<&str> =
        variables.iter().map(|(key, _)| key.as_str()).filter(|key| RESERVED.contains(key)).collect();
    if !reserved.is_empty() {
        return Err(invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. \
             Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    let measured = compact_json(variables);
    if measured.len() <= ENVIRONMENT_BYTES {
        return Ok(());
    }
    Err(invalid(format!(
        "Lambda was unable to configure your environment variables because the environment variables you have \
         provided exceeded the 4KB limit. String measured: {measured}"
    )))
}

fn compact_json(variables: &[(String, String)]) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let members: Vec<String> =
        variables.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    format!("{{{}}}", members.join(","))
}

/// # Errors
/// Outside 1 to 900 s.
pub(crate) fn timeout(seconds: i64) -> Result<u32, ApiError> {
    within("timeout", seconds, 1, TIMEOUT_MAX_S)
}

/// # Errors
/// Outside 128 to 10,240 MB. The model's own limit is another one: more is for functions on instances.
pub(crate) fn memory(mb: i64) -> Result<u32, ApiError> {
    if mb > MEMORY_MAX_MB.into() {
        return Err(invalid(format!(
            "'MemorySize' value failed to satisfy constraint: \
             Member must have value less than or equal to {MEMORY_MAX_MB}"
        )));
    }
    within("memorySize", mb, MEMORY_MIN_MB, MEMORY_MAX_MB)
}

/// # Errors
/// Outside 512 to 10,240 MB.
pub(crate) fn ephemeral(mb: i64) -> Result<u32, ApiError> {
    within("ephemeralStorage.size", mb, EPHEMERAL_MIN_MB, EPHEMERAL_MAX_MB)
}

fn within(member: &str, value: i64, least: u32, most: u32) -> Result<u32, ApiError> {
    let constraint = if value < i64::from(least) {
        format!("greater than or equal to {least}")
    } else if value > i64::from(most) {
        format!("less than or equal to {most}")
    } else {
        return u32::try_from(value).map_err(|_| invalid(format!("{value} at '{member}' is out of range")));
    };
    Err(ApiError::validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
         Member must have value {constraint}"
    )))
}

/// # Errors
/// More than 50 tags, and keys that AWS keeps for itself. (How long keys and values may be is in the model.)
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > TAGS {
        return Err(invalid("Number of tags exceeds resource tag limit."));
    }
    if tags.keys().any(|key| key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))) {
        return Err(invalid("aws: prefixed tag key names are not allowed for external use."));
    }
    Ok(())
}

/// # Errors
/// More than 5.
pub(crate) fn layers(count: usize) -> Result<(), ApiError> {
    if count <= LAYERS { Ok(()) } else { Err(invalid(format!("Cannot reference more than {LAYERS} layers."))) }
}

/// What snapshots are taken of.
///
/// # Errors
/// Runtimes that the real service takes none of, and a larger /tmp.
pub(crate) fn snap_start(config: &Configuration) -> Result<(), ApiError> {
    if config.snap_start == SnapStart::None {
        return Ok(());
    }
    let runtime = config.runtime.as_deref().unwrap_or("container image");
    if !SNAP_START.contains(&runtime) {
        return Err(invalid(format!("{runtime} is not supported for SnapStart enabled functions.")));
    }
    if config.ephemeral_mb > EPHEMERAL_MIN_MB {
        return Err(invalid(format!(
            "EphemeralStorage of more than {EPHEMERAL_MIN_MB} MB is not supported for SnapStart enabled functions."
        )));
    }
    Ok(())
}

/// Environments of each tenant's own have no common snapshot.
pub(crate) fn tenancy(config: &Configuration) -> Result<(), ApiError> {
    match config.snap_start {
        SnapStart::PublishedVersions if config.per_tenant => Err(no_tenants("SnapStart")),
        _ => Ok(()),
    }
}

/// What cannot name a tenant is refused where environments are not shared between tenants.
pub(crate) fn no_tenants(what: &str) -> ApiError {
    invalid(format!("{what} is not supported for functions with tenancy configuration."))
}

#[cfg(test)]
mod tests {
    use hearth_api::types as api;

    use super::*;

    #[test]
    fn runtimes_are_taken_blocked_or_unknown() {
        assert!(runtime("python3.12").is_ok() && runtime("provided.al2023").is_ok());
        assert!(runtime("go1.x").unwrap_err().to_string().contains("The runtime parameter of go1.x is no longer"));
        assert!(runtime("PYTHON3.9").unwrap_err().to_string().contains("Value PYTHON3.9 at 'runtime' failed"));
    }

    /// A later service model may bring others.
    #[test]
    fn every_runtime_of_the_model_is_in_one_list() {
        let mut known = [RUNTIMES, NEWER, BLOCKED].concat();
        known.sort_unstable();
        let mut model: Vec<&str> = api::Runtime::VALUES.to_vec();
        model.sort_unstable();
        assert_eq!(known, model);
    }

    #[test]
    fn variables_are_measured_as_compact_json_in_their_order() {
        let pair = |key: &str, value: String| (key.to_owned(), value);
        let large = [pair("SMALL_VAR", "ok".into()), pair("LARGE_VAR", "x".repeat(4096))];
        let text = variables(&large).unwrap_err().to_string();
        assert!(text.contains(r#"String measured: {"SMALL_VAR":"ok","LARGE_VAR":"xx"#), "{text}");
        // {"A1":"..."} has 9 bytes around the value.
        assert!(variables(&[pair("A1", "x".repeat(4096 - 9))]).is_ok());
        assert!(variables(&[pair("A1", "x".repeat(4096 - 8))]).is_err());
        assert!(variables(&[pair("AWS_REGION", String::new())]).is_err());
    }

    #[test]
    fn sizes_have_ends() {
        assert_eq!(timeout(900).unwrap(), 900);
        assert!(timeout(0).is_err() && timeout(901).is_err());
        assert!(memory(127).is_err() && memory(128).is_ok() && memory(10_241).is_err());
        assert!(ephemeral(511).is_err() && ephemeral(512).is_ok());
    }
}
