//! The members that CreateFunction and UpdateFunctionConfiguration share: what a function is configured to be.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::function::{
    Configuration, ImageConfig, LayerRef, LogFormat, LogLevel, Logging, SnapStart, Tracing, Variables,
};
use hearth_types::limits::{EPHEMERAL_MIN_MB, MEMORY_MIN_MB, TIMEOUT_DEFAULT_S};

use super::members::PackageKind;
use crate::{invalid, rules};

/// What a client gives. What is absent stays as it was.
pub(super) struct Given<'a> {
    role: Option<&'a str>,
    runtime: Option<&'a str>,
    handler: Option<&'a str>,
    description: Option<&'a str>,
    timeout: Option<i32>,
    memory_size: Option<i32>,
    ephemeral_storage: Option<&'a api::EphemeralStorage>,
    environment: Option<&'a api::Environment>,
    logging_config: Option<&'a api::LoggingConfig>,
    pub(super) layers: Option<&'a [String]>,
    image_config: Option<&'a api::ImageConfig>,
    dead_letter_config: Option<&'a api::DeadLetterConfig>,
    tracing_config: Option<&'a api::TracingConfig>,
    snap_start: Option<&'a api::SnapStart>,
    kms_key_arn: Option<&'a str>,
    has_vpc_config: bool,
}

/// Reads the members that both requests have under the same names.
macro_rules! given {
    ($input:ident, $role:expr) => {
        Given {
            role: $role,
            runtime: $input.runtime.as_deref(),
            handler: $input.handler.as_deref(),
            description: $input.description.as_deref(),
            timeout: $input.timeout,
            memory_size: $input.memory_size,
            ephemeral_storage: $input.ephemeral_storage.as_ref(),
            environment: $input.environment.as_ref(),
            logging_config: $input.logging_config.as_ref(),
            layers: $input.layers.as_deref(),
            image_config: $input.image_config.as_ref(),
            dead_letter_config: $input.dead_letter_config.as_ref(),
            tracing_config: $input.tracing_config.as_ref(),
            snap_start: $input.snap_start.as_ref(),
            kms_key_arn: $input.kms_key_arn.as_deref(),
            has_vpc_config: $input.vpc_config.is_some(),
        }
    };
}

impl<'a> From<&'a api::CreateFunctionRequest> for Given<'a> {
    fn from(input: &'a api::CreateFunctionRequest) -> Self {
        given!(input, Some(&input.role))
    }
}

impl<'a> From<&'a api::UpdateFunctionConfigurationRequest> for Given<'a> {
    fn from(input: &'a api::UpdateFunctionConfigurationRequest) -> Self {
        given!(input, input.role.as_deref())
    }
}

impl Given<'_> {
    /// The configuration with what is given; `layers` is what the member Layers names.
    ///
    /// # Errors
    /// As the real service, and for what cannot have an effect here.
    pub(super) fn applied_to(
        &self,
        mut config: Configuration,
        kind: PackageKind,
        layers: Option<Vec<LayerRef>>,
    ) -> Result<Configuration, ApiError> {
        self.fits(kind)?;
        if let Some(runtime) = self.runtime {
            rules::runtime(runtime)?;
            config.runtime = Some(runtime.to_owned());
        }
        if let Some(handler) = self.handler {
            config.handler = Some(handler.to_owned());
        }
        if let Some(role) = self.role {
            role.clone_into(&mut config.role);
        }
        if let Some(description) = self.description {
            description.clone_into(&mut config.description);
        }
        if let Some(seconds) = self.timeout {
            config.timeout_s = rules::timeout(seconds.into())?;
        }
        if let Some(mb) = self.memory_size {
            config.memory_mb = rules::memory(mb.into())?;
        }
        if let Some(storage) = self.ephemeral_storage {
            config.ephemeral_mb = rules::ephemeral(storage.size.into())?;
        }
        if let Some(environment) = self.environment {
            config.variables = Some(variables(environment)?);
        }
        if let Some(given) = self.logging_config {
            config.logging = logging(config.logging, given)?;
        }
        if let Some(given) = self.image_config {
            config.image = image(given);
        }
        // An empty DeadLetterConfig changes nothing (observed), an empty TargetArn clears it.
        if let Some(target) = self.dead_letter_config.and_then(|given| given.target_arn.as_deref()) {
            config.dead_letter = dead_letter(target)?;
        }
        if let Some(mode) = self.tracing_config.and_then(|given| given.mode) {
            config.tracing = match mode {
                api::TracingMode::Active => Tracing::Active,
                api::TracingMode::PassThrough => Tracing::PassThrough,
            };
        }
        if let Some(apply_on) = self.snap_start.and_then(|given| given.apply_on) {
            config.snap_start = match apply_on {
                api::SnapStartApplyOn::None => SnapStart::None,
                api::SnapStartApplyOn::PublishedVersions => SnapStart::PublishedVersions,
            };
        }
        if let Some(key) = self.kms_key_arn {
            config.kms_key = Some(key.to_owned()).filter(|key| !key.is_empty());
        }
        config.vpc_given |= self.has_vpc_config;
        config.layers = layers.unwrap_or(config.layers);
        rules::snap_start(&config)?;
        rules::tenancy(&config)?;
        Ok(config)
    }

    /// That a package and an image get only what is theirs.
    fn fits(&self, kind: PackageKind) -> Result<(), ApiError> {
        let has_layers = self.layers.is_some_and(|layers| !layers.is_empty());
        let has_image_config = self.image_config.is_some_and(|given| image(given) != ImageConfig::default());
        match kind {
            PackageKind::Image if self.runtime.is_some() || self.handler.is_some() || has_layers => Err(invalid(
                "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
            )),
            PackageKind::Zip if has_image_config => {
                Err(invalid("Please don't provide ImageConfig when the intended function PackageType is Zip."))
            }
            _ => Ok(()),
        }
    }
}

/// What a function is where its client says nothing.
pub(super) fn new(architecture: String) -> Configuration {
    Configuration {
        runtime: None,
        handler: None,
        role: String::new(),
        description: String::new(),
        timeout_s: TIMEOUT_DEFAULT_S,
        memory_mb: MEMORY_MIN_MB,
        ephemeral_mb: EPHEMERAL_MIN_MB,
        variables: None,
        architecture,
        logging: Logging::default(),
        layers: Vec::new(),
        image: ImageConfig::default(),
        dead_letter: None,
        tracing: Tracing::default(),
        snap_start: SnapStart::default(),
        kms_key: None,
        vpc_given: false,
        per_tenant: false,
    }
}

fn variables(environment: &api::Environment) -> Result<Variables, ApiError> {
    let variables: Variables = environment.variables.clone().unwrap_or_default().into_iter().collect();
    rules::variables(&variables)?;
    Ok(variables)
}

fn image(given: &api::ImageConfig) -> ImageConfig {
    ImageConfig {
        entry_point: given.entry_point.clone(),
        command: given.command.clone(),
        working_directory: given.working_directory.clone(),
    }
}

/// LoggingConfig, member by member over what was (observed). Text has no levels, JSON has them at INFO at first.
fn logging(before: Logging, given: &api::LoggingConfig) -> Result<Logging, ApiError> {
    let group = given.log_group.clone().or(before.group);
    let (application, system) = match before.format {
        LogFormat::Text => (LogLevel::Info, LogLevel::Info),
        LogFormat::Json { application, system } => (application, system),
    };
    let is_json = given.log_format.map_or(before.format != LogFormat::Text, |format| format == api::LogFormat::Json);
    if is_json {
        let application = given.application_log_level.map_or(application, application_level);
        let system = given.system_log_level.map_or(system, system_level);
        return Ok(Logging { format: LogFormat::Json { application, system }, group });
    }
    if given.application_log_level.is_some() || given.system_log_level.is_some() {
        return Err(invalid("ApplicationLogLevel and SystemLogLevel can be set only with LogFormat JSON."));
    }
    Ok(Logging { format: LogFormat::Text, group })
}

fn application_level(given: api::ApplicationLogLevel) -> LogLevel {
    match given {
        api::ApplicationLogLevel::Trace => LogLevel::Trace,
        api::ApplicationLogLevel::Debug => LogLevel::Debug,
        api::ApplicationLogLevel::Info => LogLevel::Info,
        api::ApplicationLogLevel::Warn => LogLevel::Warn,
        api::ApplicationLogLevel::Error => LogLevel::Error,
        api::ApplicationLogLevel::Fatal => LogLevel::Fatal,
    }
}

fn system_level(given: api::SystemLogLevel) -> LogLevel {
    match given {
        api::SystemLogLevel::Debug => LogLevel::Debug,
        api::SystemLogLevel::Info => LogLevel::Info,
        api::SystemLogLevel::Warn => LogLevel::Warn,
    }
}

/// A queue's or a topic's ARN; none for the empty text.
fn dead_letter(target: &str) -> Result<Option<String>, ApiError> {
    match target.split(':').nth(2) {
        None => Ok(None),
        Some("sqs" | "sns") => Ok(Some(target.to_owned())),
        Some(_) => Err(invalid(format!("The dead letter target {target} is no queue of SQS and no topic of SNS."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(application: LogLevel, system: LogLevel) -> LogFormat {
        LogFormat::Json { application, system }
    }

    #[test]
    fn logging_merges_member_by_member() {
        let give = api::LoggingConfig::default;
        let to_json = api::LoggingConfig { log_format: Some(api::LogFormat::Json), ..give() };
        let debug = api::LoggingConfig { application_log_level: Some(api::ApplicationLogLevel::Debug), ..give() };
        let warn = api::LoggingConfig { system_log_level: Some(api::SystemLogLevel::Warn), ..give() };
        let group = api::LoggingConfig { log_group: Some("cool_lambda".into()), ..give() };
        let to_text = api::LoggingConfig { log_format: Some(api::LogFormat::Text), ..give() };
        let mut now = Logging::default();
        for (given, format, name) in [
            (&group, LogFormat::Text, Some("cool_lambda")),
            (&to_json, json(LogLevel::Info, LogLevel::Info), Some("cool_lambda")),
            (&debug, json(LogLevel::Debug, LogLevel::Info), Some("cool_lambda")),
            (&warn, json(LogLevel::Debug, LogLevel::Warn), Some("cool_lambda")),
            (&give(), json(LogLevel::Debug, LogLevel::Warn), Some("cool_lambda")),
            (&to_text, LogFormat::Text, Some("cool_lambda")),
            (&to_json, json(LogLevel::Info, LogLevel::Info), Some("cool_lambda")),
        ] {
            now = logging(now, given).unwrap();
            assert_eq!((now.format, now.group.as_deref()), (format, name));
        }
        assert!(logging(Logging::default(), &debug).is_err());
        assert!(logging(now, &api::LoggingConfig { log_format: Some(api::LogFormat::Text), ..warn }).is_err());
    }

    #[test]
    fn dead_letters_go_to_queues_and_topics() {
        assert_eq!(dead_letter("").unwrap(), None);
        let queue = "arn:aws:sqs:us-east-1:123456789012:q";
        assert_eq!(dead_letter(queue).unwrap().as_deref(), Some(queue));
        assert!(dead_letter("arn:aws:s3:::bucket").is_err());
    }
}
