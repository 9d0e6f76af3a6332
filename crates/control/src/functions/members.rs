//! Members that several operations take: read, and refused where they would have no effect.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::function::Variables;

use crate::functions::code::Source;
use crate::{invalid, refused, rules};

/// Where CreateFunction says the code is.
pub(super) fn source(code: &api::FunctionCode) -> Source<'_> {
    Source {
        zip: code.zip_file.clone(),
        s3_bucket: code.s3_bucket.as_deref(),
        s3_key: code.s3_key.as_deref(),
        s3_version: code.s3_object_version.as_deref(),
        image_uri: code.image_uri.as_deref(),
    }
}

pub(super) fn ephemeral(given: Option<&api::EphemeralStorage>) -> Result<Option<u32>, ApiError> {
    given.map(|storage| rules::ephemeral(storage.size.into())).transpose()
}

/// None where the member is absent: then nothing changes.
pub(super) fn variables(given: Option<&api::Environment>) -> Result<Option<Variables>, ApiError> {
    let Some(environment) = given else { return Ok(None) };
    let variables: Variables = environment.variables.clone().unwrap_or_default().into_iter().collect();
    rules::variables(&variables)?;
    Ok(Some(variables))
}

/// The group, where one is given.
pub(super) fn log_group(given: Option<&api::LoggingConfig>) -> Result<Option<String>, ApiError> {
    let Some(logging) = given else { return Ok(None) };
    if logging.log_format == Some(api::LogFormat::Json) {
        return Err(refused("LoggingConfig.LogFormat", "logs are text"));
    }
    if logging.application_log_level.is_some() || logging.system_log_level.is_some() {
        return Err(invalid(
            "Log levels can be set only with LogFormat JSON, which this version of Hearth does not have.",
        ));
    }
    Ok(logging.log_group.clone())
}

pub(super) fn package_type(given: Option<api::PackageType>) -> Result<(), ApiError> {
    match given {
        None | Some(api::PackageType::Zip) => Ok(()),
        Some(api::PackageType::Image) => Err(refused("PackageType", "only zip packages run")),
    }
}

/// Refuses the first member that is given and should not be.
pub(super) fn refuse(members: &[(&str, bool)]) -> Result<(), ApiError> {
    match members.iter().find(|(_, given)| *given) {
        Some((member, _)) => Err(refused(member, "it has no effect here yet")),
        None => Ok(()),
    }
}

/// Members of create and update whose empty forms deploy tools send as a matter of course.
pub(super) struct Shared<'a> {
    pub(super) vpc: Option<&'a api::VpcConfig>,
    pub(super) dead_letter: Option<&'a api::DeadLetterConfig>,
    pub(super) kms_key: Option<&'a str>,
    pub(super) tracing: Option<&'a api::TracingConfig>,
    pub(super) layers: Option<&'a [String]>,
    pub(super) file_systems: Option<&'a [api::FileSystemConfig]>,
    pub(super) snap_start: Option<&'a api::SnapStart>,
}

impl Shared<'_> {
    pub(super) fn refuse_unsupported(&self) -> Result<(), ApiError> {
        let some = |list: Option<&Vec<String>>| list.is_some_and(|list| !list.is_empty());
        let text = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        rules::layers(self.layers.map_or(0, <[String]>::len))?;
        refuse(&[
            (
                "VpcConfig",
                self.vpc.is_some_and(|vpc| {
                    some(vpc.subnet_ids.as_ref())
                        || some(vpc.security_group_ids.as_ref())
                        || vpc.ipv6_allowed_for_dual_stack == Some(true)
                }),
            ),
            ("DeadLetterConfig", text(self.dead_letter.and_then(|config| config.target_arn.as_deref()))),
            ("KMSKeyArn", text(self.kms_key)),
            ("TracingConfig", self.tracing.and_then(|config| config.mode) == Some(api::TracingMode::Active)),
            ("Layers", self.layers.is_some_and(|layers| !layers.is_empty())),
            ("FileSystemConfigs", self.file_systems.is_some_and(|systems| !systems.is_empty())),
            (
                "SnapStart",
                self.snap_start.and_then(|config| config.apply_on) == Some(api::SnapStartApplyOn::PublishedVersions),
            ),
        ])
    }
}
