//! PutRuntimeManagementConfig, GetRuntimeManagementConfig. A version of a runtime is one of this machine's interpreters:
//! Auto runs the normal one, the other modes hold a version of the function to the one that it has.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::function::{Code, Configuration, FunctionRecord, RuntimeUpdate, VersionId, VersionRecord};
use hearth_types::runtime::{Installed, RuntimeVersion};
use hearth_types::{Qualifier, Target, keys};

use crate::named::Found;
use crate::records::{TRIES, contended, put, touch};
use crate::{Control, invalid, parts};

impl Control {
    /// PutRuntimeManagementConfig: what is asked for holds from the next new environment on.
    ///
    /// # Errors
    /// As the real service; and where RuntimeVersionArn names nothing that this machine has for the function's runtime.
    pub async fn put_runtime_management_config(
        &self,
        input: api::PutRuntimeManagementConfigRequest,
    ) -> Result<api::PutRuntimeManagementConfigResponse, ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let asked = Asked::new(input.update_runtime_on, input.runtime_version_arn.as_deref());
        for _ in 0..TRIES {
            let found = self.version_of(&target).await?;
            let asked = asked.clone()?;
            self.must_be_settled(&found.function.record)?;
            let update = asked.of(&self.parts.place.region, found.version(), &self.parts.runtimes)?;
            if *found.version() == with(found.version(), &update)
                || self.replace_update(&target, &found, &update).await?
            {
                return Ok(api::PutRuntimeManagementConfigResponse {
                    update_runtime_on: mode(&update),
                    function_arn: self.arn_of_version(&target),
                    runtime_version_arn: self.manual_arn(&update),
                });
            }
        }
        Err(contended())
    }

    /// GetRuntimeManagementConfig.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_runtime_management_config(
        &self,
        input: api::GetRuntimeManagementConfigRequest,
    ) -> Result<api::GetRuntimeManagementConfigResponse, ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let found = self.version_of(&target).await?;
        let update = &found.version().runtime_update;
        Ok(api::GetRuntimeManagementConfigResponse {
            update_runtime_on: Some(mode(update)),
            function_arn: Some(self.arn_of_version(&target)),
            runtime_version_arn: self.manual_arn(update),
        })
    }

    /// The version that is meant. An alias has no runtime of its own.
    async fn version_of(&self, target: &Target) -> Result<Found, ApiError> {
        let found = self.found(target).await?;
        match target.qualifier.as_deref().map(Qualifier::from) {
            Some(Qualifier::Alias(_)) => Err(self.function_not_found(target)),
            _ => Ok(found),
        }
    }

    /// Says, as [`Self::commit`], whether it is written.
    async fn replace_update(&self, target: &Target, found: &Found, update: &RuntimeUpdate) -> Result<bool, ApiError> {
        let function = &found.function;
        let writes = match found.id {
            VersionId::Latest => {
                let latest = with(&function.record.latest, update);
                let record = FunctionRecord { latest, ..function.record.clone() };
                vec![put(keys::function(&target.name), &record, function.unchanged())?]
            }
            VersionId::Number(number) => {
                let Some(version) = self.published_version(&target.name, number).await? else { return Ok(false) };
                let record = with(&version.record, update);
                vec![touch(function)?, put(keys::version(&target.name, number), &record, version.unchanged())?]
            }
        };
        self.commit(writes).await
    }

    fn arn_of_version(&self, target: &Target) -> String {
        format!("{}:{}", self.parts.place.arn(&target.name), parts::qualifier(target))
    }

    /// Only this mode shows which it is.
    fn manual_arn(&self, update: &RuntimeUpdate) -> Option<String> {
        match update {
            RuntimeUpdate::Manual(version) => Some(version.arn(&self.parts.place.region)),
            RuntimeUpdate::Auto | RuntimeUpdate::FunctionUpdate(_) => None,
        }
    }
}

/// What a request wants: a mode, with the ARN that belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Asked<'a> {
    Auto,
    FunctionUpdate,
    Manual(&'a str),
}

impl<'a> Asked<'a> {
    fn new(mode: api::UpdateRuntimeOn, arn: Option<&'a str>) -> Result<Self, ApiError> {
        match (mode, arn) {
            (api::UpdateRuntimeOn::Auto, None) => Ok(Self::Auto),
            (api::UpdateRuntimeOn::FunctionUpdate, None) => Ok(Self::FunctionUpdate),
            (api::UpdateRuntimeOn::Manual, Some(arn)) => Ok(Self::Manual(arn)),
            (api::UpdateRuntimeOn::Manual, None) => {
                Err(invalid("RuntimeVersionArn must be given where UpdateRuntimeOn is Manual."))
            }
            (mode, Some(_)) => {
                Err(invalid(format!("RuntimeVersionArn cannot be given where UpdateRuntimeOn is {}.", mode.as_str())))
            }
        }
    }

    /// What it means for this version of a function.
    fn of(&self, region: &str, version: &VersionRecord, installed: &Installed) -> Result<RuntimeUpdate, ApiError> {
        if *self != Self::Auto && matches!(version.code, Code::Image { .. }) {
            return Err(invalid("Functions created with container images have no runtime to manage."));
        }
        match self {
            Self::Auto => Ok(RuntimeUpdate::Auto),
            // What it has stays until the next update, also where it was chosen by hand.
            Self::FunctionUpdate => {
                let now = version.runtime_update.pinned().or_else(|| normal(&version.config, installed));
                Ok(RuntimeUpdate::FunctionUpdate(now.cloned()))
            }
            Self::Manual(arn) => manual(region, arn, &version.config, installed).map(RuntimeUpdate::Manual),
        }
    }
}

fn manual(region: &str, arn: &str, config: &Configuration, installed: &Installed) -> Result<RuntimeVersion, ApiError> {
    let runtime = config.runtime.as_deref().unwrap_or_default();
    match installed.find(region, arn) {
        Some((name, version)) if name == runtime => Ok(version.clone()),
        Some((name, _)) => {
            Err(invalid(format!("The runtime version {arn} is one of {name}. The function's runtime is {runtime}.")))
        }
        None => {
            let has = normal(config, installed).map_or_else(
                || "this machine has no interpreter for it".to_owned(),
                |normal| format!("this machine's is {}", normal.arn(region)),
            );
            Err(invalid(format!("There is no runtime version {arn} of {runtime} here: {has}.")))
        }
    }
}

/// The mode after an update of code or configuration.
#[must_use]
pub(crate) fn updated(before: &RuntimeUpdate, config: &Configuration, installed: &Installed) -> RuntimeUpdate {
    match before {
        RuntimeUpdate::FunctionUpdate(_) => RuntimeUpdate::FunctionUpdate(normal(config, installed).cloned()),
        RuntimeUpdate::Auto | RuntimeUpdate::Manual(_) => before.clone(),
    }
}

/// That a version which is held to an interpreter keeps the runtime whose interpreter that is.
///
/// # Errors
/// With another one.
pub(crate) fn fits(region: &str, latest: &VersionRecord, config: &Configuration) -> Result<(), ApiError> {
    match &latest.runtime_update {
        RuntimeUpdate::Manual(version) if config.runtime != latest.config.runtime => Err(invalid(format!(
            "The runtime cannot be {} while the function is held to the version {} of {}. Call PutRuntimeManagementConfig \
             with UpdateRuntimeOn Auto first.",
            config.runtime.as_deref().unwrap_or_default(),
            version.arn(region),
            latest.config.runtime.as_deref().unwrap_or_default(),
        ))),
        _ => Ok(()),
    }
}

/// RuntimeVersionConfig: what the next environment runs. None of an image.
#[must_use]
pub(crate) fn shown(region: &str, record: &VersionRecord, installed: &Installed) -> Option<api::RuntimeVersionConfig> {
    let (config, pinned) = (&record.config, record.runtime_update.pinned());
    let runtime = config.runtime.as_deref()?;
    let nominal = || RuntimeVersion::nominal(runtime, &config.architecture);
    let version = pinned.or_else(|| normal(config, installed)).cloned().unwrap_or_else(nominal);
    let error = pinned.filter(|pinned| !installed.has(runtime, pinned)).map(|gone| api::RuntimeVersionError {
        error_code: Some("Runtime.InvalidRuntime".to_owned()),
        message: Some(format!("This machine does not have it any more: {}.", gone.interpreter())),
    });
    Some(api::RuntimeVersionConfig { runtime_version_arn: Some(version.arn(region)), error })
}

fn normal<'a>(config: &Configuration, installed: &'a Installed) -> Option<&'a RuntimeVersion> {
    installed.normal(config.runtime.as_deref()?, &config.architecture)
}

fn mode(update: &RuntimeUpdate) -> api::UpdateRuntimeOn {
    match update {
        RuntimeUpdate::Auto => api::UpdateRuntimeOn::Auto,
        RuntimeUpdate::FunctionUpdate(_) => api::UpdateRuntimeOn::FunctionUpdate,
        RuntimeUpdate::Manual(_) => api::UpdateRuntimeOn::Manual,
    }
}

fn with(version: &VersionRecord, update: &RuntimeUpdate) -> VersionRecord {
    VersionRecord { runtime_update: update.clone(), ..version.clone() }
}
