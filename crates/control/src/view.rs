//! Records as Lambda shows them. Pure.

use hearth_api::types as api;
use hearth_types::Place;
use hearth_types::function::{
    Code, CodeRef, Configuration, ImageConfig, LayerRef, LogFormat, LogLevel, SnapStart, State, Tracing, UpdateStatus,
    VersionId, VersionRecord,
};
use hearth_types::runtime::Installed;

use crate::runtime_management;

/// Which members an operation shows: lists leave the states out (observed).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shown<'a> {
    /// All of them, where these runtimes are installed.
    Whole(&'a Installed),
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
    shown: Shown<'_>,
) -> api::FunctionConfiguration {
    let config = &record.config;
    let mut view = api::FunctionConfiguration {
        function_name: Some(name.to_owned()),
        function_arn: Some(arn),
        runtime: config.runtime.clone(),
        role: Some(config.role.clone()),
        handler: config.handler.clone(),
        code_size: i64::try_from(record.code.size()).ok(),
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
        tracing_config: Some(api::TracingConfigResponse { mode: Some(tracing_mode(config.tracing)) }),
        package_type: Some(match record.code {
            Code::Zip(_) => api::PackageType::Zip,
            Code::Image { .. } => api::PackageType::Image,
        }),
        architectures: api::Architecture::from_text(&config.architecture).map(|own| vec![own]),
        ephemeral_storage: Some(api::EphemeralStorage { size: i32::try_from(config.ephemeral_mb).unwrap_or(i32::MAX) }),
        snap_start: Some(api::SnapStartResponse {
            apply_on: Some(match config.snap_start {
                SnapStart::None => api::SnapStartApplyOn::None,
                SnapStart::PublishedVersions => api::SnapStartApplyOn::PublishedVersions,
            }),
            optimization_status: Some(match record.optimized {
                true => api::SnapStartOptimizationStatus::On,
                false => api::SnapStartOptimizationStatus::Off,
            }),
        }),
        logging_config: Some(logging(name, config)),
        layers: (!config.layers.is_empty()).then(|| config.layers.iter().map(layer).collect()),
        image_config_response: image_config(&config.image),
        dead_letter_config: config.dead_letter.clone().map(|target| api::DeadLetterConfig { target_arn: Some(target) }),
        kms_key_arn: config.kms_key.clone(),
        tenancy_config: config
            .per_tenant
            .then_some(api::TenancyConfig { tenant_isolation_mode: api::TenantIsolationMode::PerTenant }),
        vpc_config: config.vpc_given.then(|| api::VpcConfigResponse {
            subnet_ids: Some(Vec::new()),
            security_group_ids: Some(Vec::new()),
            vpc_id: Some(String::new()),
            ipv6_allowed_for_dual_stack: Some(false),
        }),
        ..Default::default()
    };
    if let Shown::Whole(installed) = shown {
        show_states(&mut view, record);
        view.runtime_version_config = runtime_management::shown(&place.region, record, installed);
    }
    view
}

/// The group that a function's log goes to.
#[must_use]
pub(crate) fn log_group(name: &str, config: &Configuration) -> String {
    config.logging.group.clone().unwrap_or_else(|| format!("/aws/lambda/{name}"))
}

fn tracing_mode(tracing: Tracing) -> api::TracingMode {
    match tracing {
        Tracing::PassThrough => api::TracingMode::PassThrough,
        Tracing::Active => api::TracingMode::Active,
    }
}

/// Text has no levels (observed).
fn logging(name: &str, config: &Configuration) -> api::LoggingConfig {
    let log_group = Some(log_group(name, config));
    match config.logging.format {
        LogFormat::Text => {
            api::LoggingConfig { log_format: Some(api::LogFormat::Text), log_group, ..Default::default() }
        }
        LogFormat::Json { application, system } => api::LoggingConfig {
            log_format: Some(api::LogFormat::Json),
            application_log_level: api::ApplicationLogLevel::from_text(level(application)),
            system_log_level: api::SystemLogLevel::from_text(level(system)),
            log_group,
        },
    }
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "TRACE",
        LogLevel::Debug => "DEBUG",
        LogLevel::Info => "INFO",
        LogLevel::Warn => "WARN",
        LogLevel::Error => "ERROR",
        LogLevel::Fatal => "FATAL",
    }
}

fn layer(layer: &LayerRef) -> api::Layer {
    api::Layer { arn: Some(layer.arn.clone()), code_size: i64::try_from(layer.code.size).ok(), ..Default::default() }
}

/// Only the members that were given; nothing where none was.
fn image_config(image: &ImageConfig) -> Option<api::ImageConfigResponse> {
    (*image != ImageConfig::default()).then(|| api::ImageConfigResponse {
        image_config: Some(api::ImageConfig {
            entry_point: image.entry_point.clone(),
            command: image.command.clone(),
            working_directory: image.working_directory.clone(),
        }),
        ..Default::default()
    })
}

/// Where a version's code is, as GetFunction shows it. `link` is where its package can be had.
pub(crate) fn code(version: &VersionRecord, link: impl Fn(&CodeRef) -> String) -> api::FunctionCodeLocation {
    match &version.code {
        Code::Zip(code) => api::FunctionCodeLocation {
            repository_type: Some("S3".into()),
            location: Some(link(code)),
            ..Default::default()
        },
        Code::Image { uri } => api::FunctionCodeLocation {
            repository_type: Some("ECR".into()),
            image_uri: Some(uri.clone()),
            resolved_image_uri: Some(format!("{}@sha256:{}", repository(uri), version.code.sha256())),
            ..Default::default()
        },
    }
}

/// An image's URI without its tag and digest. A port is no tag: it stands before the last slash.
fn repository(uri: &str) -> &str {
    let uri = uri.split_once('@').map_or(uri, |(before, _)| before);
    match uri.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => uri,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_image_without_its_tag() {
        for (uri, expected) in [
            ("registry:5000/a/b:latest", "registry:5000/a/b"),
            ("registry:5000/a/b", "registry:5000/a/b"),
            ("a:1@sha256:00", "a"),
            ("a", "a"),
        ] {
            assert_eq!(repository(uri), expected, "{uri}");
        }
    }

    #[test]
    fn dates_look_like_lambdas() {
        assert_eq!(last_modified(1_709_640_000_007), "2024-03-05T12:00:00.007+0000");
    }
}
