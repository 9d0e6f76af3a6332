//! Records as Lambda shows them. Pure.

use hearth_api::types as api;
use hearth_types::Place;
use hearth_types::function::{Configuration, State, UpdateStatus, VersionId, VersionRecord};
use sha2::{Digest as _, Sha256};

/// Which members an operation shows: lists leave the states out (observed).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shown {
    /// All of them.
    Whole,
    /// Without State*, LastUpdateStatus* and RuntimeVersionConfig.
    Listed,
}

const CREATING_TEXT: &str = "The function is being created.";

/// A version as FunctionConfiguration. `arn` is already as the operation shows it.
#[must_use]
pub(crate) fn configuration(
    place: &Place,
    name: &str,
    arn: String,
    id: VersionId,
    record: &VersionRecord,
    shown: Shown,
) -> api::FunctionConfiguration {
    let config = &record.config;
    let mut view = api::FunctionConfiguration {
        function_name: Some(name.to_owned()),
        function_arn: Some(arn),
        runtime: config.runtime.clone(),
        role: Some(config.role.clone()),
        handler: config.handler.clone(),
        code_size: record.code.zip().and_then(|code| i64::try_from(code.size).ok()),
        code_sha256: Some(record.code.sha256()),
        description: Some(config.description.clone()),
        timeout: i32::try_from(config.timeout_s).ok(),
        memory_size: i32::try_from(config.memory_mb).ok(),
        last_modified: Some(last_modified(record.last_modified_ms)),
        version: Some(id.to_string()),
        revision_id: Some(record.revision.to_string()),
        environment: config.variables.clone().map(|variables| api::EnvironmentResponse {
            variables: Some(variables.into_iter().collect()),
            ..Default::default()
        }),
        tracing_config: Some(api::TracingConfigResponse { mode: Some(api::TracingMode::PassThrough) }),
        package_type: Some(api::PackageType::Zip),
        architectures: api::Architecture::from_text(&config.architecture).map(|own| vec![own]),
        ephemeral_storage: Some(api::EphemeralStorage { size: i32::try_from(config.ephemeral_mb).unwrap_or(i32::MAX) }),
        snap_start: Some(api::SnapStartResponse {
            apply_on: Some(api::SnapStartApplyOn::None),
            optimization_status: Some(api::SnapStartOptimizationStatus::Off),
        }),
        logging_config: Some(api::LoggingConfig {
            log_format: Some(api::LogFormat::Text),
            log_group: Some(log_group(name, config)),
            ..Default::default()
        }),
        ..Default::default()
    };
    if shown == Shown::Whole {
        show_states(&mut view, record);
        view.runtime_version_config = Some(api::RuntimeVersionConfig {
            runtime_version_arn: config.runtime.as_deref().map(|runtime| runtime_version_arn(place, runtime)),
            ..Default::default()
        });
    }
    view
}

/// The group that a function's log goes to.
#[must_use]
pub(crate) fn log_group(name: &str, config: &Configuration) -> String {
    config.logging.group.clone().unwrap_or_else(|| format!("/aws/lambda/{name}"))
}

fn show_states(view: &mut api::FunctionConfiguration, record: &VersionRecord) {
    match &record.state {
        State::Pending => {
            view.state = Some(api::State::Pending);
            view.state_reason = Some(CREATING_TEXT.into());
            view.state_reason_code = Some(api::StateReasonCode::Creating);
        }
        State::Active => view.state = Some(api::State::Active),
        State::Failed(code, text) => {
            view.state = Some(api::State::Failed);
            view.state_reason = Some(text.clone());
            view.state_reason_code = api::StateReasonCode::from_text(code);
        }
    }
    match &record.last_update {
        None => {}
        Some(UpdateStatus::Successful) => view.last_update_status = Some(api::LastUpdateStatus::Successful),
        // The service words an update's reason like a create's (observed).
        Some(UpdateStatus::InProgress) => {
            view.last_update_status = Some(api::LastUpdateStatus::InProgress);
            view.last_update_status_reason = Some(CREATING_TEXT.into());
            view.last_update_status_reason_code = api::LastUpdateStatusReasonCode::from_text("Creating");
        }
        Some(UpdateStatus::Failed(code, text)) => {
            view.last_update_status = Some(api::LastUpdateStatus::Failed);
            view.last_update_status_reason = Some(text.clone());
            view.last_update_status_reason_code = api::LastUpdateStatusReasonCode::from_text(code);
        }
    }
}

/// `2024-03-05T12:00:00.000+0000`.
pub(crate) fn last_modified(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

/// The form of the real one: 64 hexadecimal digits, the same for the same runtime.
fn runtime_version_arn(place: &Place, runtime: &str) -> String {
    let digest = Sha256::digest(runtime.as_bytes());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("arn:aws:lambda:{}::runtime:{digits}", place.region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_look_like_lambdas() {
        assert_eq!(last_modified(1_709_640_000_007), "2024-03-05T12:00:00.007+0000");
    }
}
