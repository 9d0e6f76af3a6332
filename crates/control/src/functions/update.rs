//! UpdateFunctionCode and UpdateFunctionConfiguration.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::Target;
use hearth_types::function::{Code, Configuration, FunctionRecord, Serving, State, UpdateStatus, VersionRecord};

use crate::functions::code::{Source, Then};
use crate::functions::configuration::Given;
use crate::functions::members::{self, PackageKind};
use crate::records::{Loaded, TRIES};
use crate::{Control, coverage, names, new_revision, runtime_management, versions};

impl Control {
    /// UpdateFunctionCode.
    ///
    /// # Errors
    /// As the real service, and for members that have no effect here.
    pub async fn update_function_code(
        self: &Arc<Self>,
        input: api::UpdateFunctionCodeRequest,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        let revision = input.revision_id.as_deref();
        let loaded = self.updatable(&target, revision).await?;
        coverage::supported(coverage::UPDATE_FUNCTION_CODE, &input)?;
        let source = Source {
            zip: input.zip_file,
            s3_bucket: input.s3_bucket,
            s3_key: input.s3_key,
            s3_version: input.s3_object_version,
            image_uri: input.image_uri,
        };
        source.is_of(PackageKind::of(&loaded.record.latest.code), "updating")?;
        self.may_deploy(&target.name, loaded.record.code_signing.as_deref()).await?;
        let is_dry = input.dry_run == Some(true);
        let code = self.code(source, if is_dry { Then::Forget } else { Then::Keep }).await?;
        let architecture = input.architectures.as_deref().and_then(<[_]>::first);
        let change = |latest: &VersionRecord| {
            // Meanwhile it may have been deleted and made again, as another kind.
            if PackageKind::of(&latest.code) != PackageKind::of(&code) {
                return Err(self.in_progress(&target.name));
            }
            members::fit_together(&code, &latest.config.layers)?;
            let mut config = latest.config.clone();
            if let Some(architecture) = architecture {
                architecture.as_str().clone_into(&mut config.architecture);
            }
            Ok((config, code.clone()))
        };
        if is_dry {
            let (config, code) = change(&loaded.record.latest)?;
            return Ok(self.shown(&self.updated(loaded.record, config, code)));
        }
        let publishes = input.publish == Some(true);
        self.reserve_code(code.size() * if publishes { 2 } else { 1 }).await?;
        self.update(&target, revision, publishes, change).await
    }

    /// UpdateFunctionConfiguration: an absent member changes nothing.
    ///
    /// # Errors
    /// As the real service, and for members that have no effect here.
    pub async fn update_function_configuration(
        self: &Arc<Self>,
        input: api::UpdateFunctionConfigurationRequest,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        let target = self.resolve_whole(&input.function_name)?;
        let revision = input.revision_id.as_deref();
        let function = self.updatable(&target, revision).await?.record;
        let given = Given::from(&input);
        let layers = self.layers(given.layers).await?;
        if layers.as_ref().is_some_and(|layers| !layers.is_empty()) {
            self.may_deploy(&target.name, function.code_signing.as_deref()).await?;
        }
        if let Some(role) = &input.role {
            self.assumable(role).await?;
        }
        let change = |latest: &VersionRecord| {
            coverage::supported(coverage::UPDATE_FUNCTION_CONFIGURATION, &input)?;
            let config = given.applied_to(latest.config.clone(), PackageKind::of(&latest.code), layers.clone())?;
            runtime_management::fits(&self.parts.place.region, latest, &config)?;
            members::fit_together(&latest.code, &config.layers)?;
            Ok((config, latest.code.clone()))
        };
        self.update(&target, revision, false, change).await
    }

    /// The record, where it may be changed now and the client knows its latest revision.
    pub(crate) async fn updatable(&self, target: &Target, revision: Option<&str>) -> Result<Loaded, ApiError> {
        let loaded = self.function(target).await?;
        let latest = &loaded.record.latest;
        if revision.is_some_and(|revision| revision != latest.revision.to_string()) {
            return Err(names::stale_revision());
        }
        self.must_be_settled(&loaded.record)?;
        Ok(loaded)
    }

    /// # Errors
    /// While a create or an update of the function is under way.
    pub(crate) fn must_be_settled(&self, function: &FunctionRecord) -> Result<(), ApiError> {
        let latest = &function.latest;
        if latest.state == State::Pending || latest.last_update == Some(UpdateStatus::InProgress) {
            return Err(self.in_progress(function.name.as_str()));
        }
        Ok(())
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
        publishes: bool,
        change: impl Fn(&VersionRecord) -> Result<(Configuration, Code), ApiError>,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        for _ in 0..TRIES {
            let loaded = self.updatable(target, revision).await?;
            let unchanged = loaded.unchanged();
            let (config, code) = change(&loaded.record.latest)?;
            let mut record = self.updated(loaded.record, config, code);
            let publication = if publishes { Some(self.publish_once(&mut record, None).await?) } else { None };
            let writes = versions::writes(&record, unchanged, publication.as_ref())?;
            if self.begin(&record.name, writes).await? {
                return Ok(match publication {
                    Some(publication) => self.shown_publication(&target.name, &publication),
                    None => self.shown(&record),
                });
            }
        }
        Err(self.in_progress(&target.name))
    }

    /// What the record becomes; what serves until the update is done is kept.
    fn updated(&self, mut record: FunctionRecord, config: Configuration, code: Code) -> FunctionRecord {
        let latest = &mut record.latest;
        let runtime_update = runtime_management::updated(&latest.runtime_update, &config, &self.parts.runtimes);
        latest.serving = Some(Box::new(Serving {
            config: std::mem::replace(&mut latest.config, config),
            code: std::mem::replace(&mut latest.code, code),
            runtime_update: std::mem::replace(&mut latest.runtime_update, runtime_update),
        }));
        latest.last_update = Some(UpdateStatus::InProgress);
        latest.revision = new_revision();
        latest.last_modified_ms = self.now_ms();
        record
    }
}
