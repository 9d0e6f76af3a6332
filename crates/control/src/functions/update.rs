//! UpdateFunctionCode and UpdateFunctionConfiguration.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_store::Precondition;
use hearth_types::Target;
use hearth_types::function::{Code, Configuration, FunctionRecord, Serving, State, UpdateStatus, VersionRecord};

use crate::functions::code::Source;
use crate::functions::members;
use crate::records::{Loaded, NotWritten, TRIES};
use crate::{Control, invalid, names, new_revision, refused, rules};

impl Control {
    /// UpdateFunctionCode.
    ///
    /// # Errors
    /// As the real service, and for members that have no effect here.
    pub async fn update_function_code(
        self: &Arc<Self>,
        input: api::UpdateFunctionCodeRequest,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        if input.publish == Some(true) {
            return Err(refused("Publish", "versions are not published yet"));
        }
        members::refuse(&[
            ("PublishTo", input.publish_to.is_some()),
            ("SourceKMSKeyArn", input.source_kms_key_arn.is_some()),
        ])?;
        rules::architecture(input.architectures.as_deref().unwrap_or_default(), self.parts.architecture)?;
        let target = self.resolve_whole(&input.function_name)?;
        let revision = input.revision_id.as_deref();
        let loaded = self.updatable(&target, revision).await?;
        if input.image_uri.is_some() {
            return Err(invalid("Please don't provide ImageUri when updating a function with packageType Zip."));
        }
        let source = Source {
            zip: input.zip_file,
            s3_bucket: input.s3_bucket.as_deref(),
            s3_key: input.s3_key.as_deref(),
            s3_version: input.s3_object_version.as_deref(),
            image_uri: input.image_uri.as_deref(),
        };
        let package = self.package(source).await?;
        if input.dry_run == Some(true) {
            let code = Code::Zip(self.check_package(package).await?);
            let config = loaded.record.latest.config.clone();
            return Ok(self.shown(&self.updated(loaded.record, config, code)));
        }
        let code = Code::Zip(self.take_package(package).await?);
        self.update(&target, revision, |latest| Ok((latest.config.clone(), code.clone()))).await
    }

    /// UpdateFunctionConfiguration: an absent member changes nothing.
    ///
    /// # Errors
    /// As the real service, and for members that have no effect here.
    pub async fn update_function_configuration(
        self: &Arc<Self>,
        input: api::UpdateFunctionConfigurationRequest,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        refuse_unsupported(&input)?;
        let target = self.resolve_whole(&input.function_name)?;
        let change = |latest: &VersionRecord| Ok((changed(latest.config.clone(), &input)?, latest.code.clone()));
        self.update(&target, input.revision_id.as_deref(), change).await
    }

    /// The record, where it may be changed now and the client knows its latest revision.
    pub(crate) async fn updatable(&self, target: &Target, revision: Option<&str>) -> Result<Loaded, ApiError> {
        let loaded = self.function(target).await?;
        let latest = &loaded.record.latest;
        if revision.is_some_and(|revision| revision != latest.revision.to_string()) {
            return Err(names::stale_revision());
        }
        if latest.state == State::Pending || latest.last_update == Some(UpdateStatus::InProgress) {
            return Err(self.in_progress(&target.name));
        }
        Ok(loaded)
    }

    pub(crate) fn in_progress(&self, name: &str) -> ApiError {
        ApiError::conflict(format!(
            "The operation cannot be performed at this time. An update is in progress for resource: {}",
            self.parts.place.arn(name)
        ))
    }

    /// Looks at the record again where somebody else was faster: it may be gone, of another revision, or be updated.
    async fn update(
        self: &Arc<Self>,
        target: &Target,
        revision: Option<&str>,
        change: impl Fn(&VersionRecord) -> Result<(Configuration, Code), ApiError>,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        for _ in 0..TRIES {
            let loaded = self.updatable(target, revision).await?;
            let (config, code) = change(&loaded.record.latest)?;
            let record = self.updated(loaded.record, config, code);
            match self.begin(record, Precondition::Version(loaded.version)).await {
                Ok(record) => return Ok(self.shown(&record)),
                Err(NotWritten::Conflict) => {}
                Err(NotWritten::Failed(cause)) => return Err(cause),
            }
        }
        Err(self.in_progress(&target.name))
    }

    /// What the record becomes; what serves until the update is done is kept.
    fn updated(&self, mut record: FunctionRecord, config: Configuration, code: Code) -> FunctionRecord {
        let latest = &mut record.latest;
        latest.serving = Some(Box::new(Serving {
            config: std::mem::replace(&mut latest.config, config),
            code: std::mem::replace(&mut latest.code, code),
        }));
        latest.last_update = Some(UpdateStatus::InProgress);
        latest.revision = new_revision();
        latest.last_modified_ms = self.now_ms();
        record
    }
}

fn changed(
    mut config: Configuration,
    input: &api::UpdateFunctionConfigurationRequest,
) -> Result<Configuration, ApiError> {
    if let Some(runtime) = &input.runtime {
        rules::runtime(runtime)?;
        config.runtime = Some(runtime.clone());
    }
    if let Some(seconds) = input.timeout {
        config.timeout_s = rules::timeout(seconds.into())?;
    }
    if let Some(mb) = input.memory_size {
        config.memory_mb = rules::memory(mb.into())?;
    }
    if let Some(mb) = members::ephemeral(input.ephemeral_storage.as_ref())? {
        config.ephemeral_mb = mb;
    }
    if let Some(variables) = members::variables(input.environment.as_ref())? {
        config.variables = Some(variables);
    }
    if let Some(group) = members::log_group(input.logging_config.as_ref())? {
        config.logging.group = Some(group);
    }
    config.handler = input.handler.clone().or(config.handler);
    config.role = input.role.clone().unwrap_or(config.role);
    config.description = input.description.clone().unwrap_or(config.description);
    Ok(config)
}

fn refuse_unsupported(input: &api::UpdateFunctionConfigurationRequest) -> Result<(), ApiError> {
    members::refuse(&[
        ("ImageConfig", input.image_config.is_some()),
        ("CapacityProviderConfig", input.capacity_provider_config.is_some()),
        ("DurableConfig", input.durable_config.is_some()),
    ])?;
    members::Shared {
        vpc: input.vpc_config.as_ref(),
        dead_letter: input.dead_letter_config.as_ref(),
        kms_key: input.kms_key_arn.as_deref(),
        tracing: input.tracing_config.as_ref(),
        layers: input.layers.as_deref(),
        file_systems: input.file_system_configs.as_deref(),
        snap_start: input.snap_start.as_ref(),
    }
    .refuse_unsupported()
}
