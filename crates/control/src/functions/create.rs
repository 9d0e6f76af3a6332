//! CreateFunction.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_store::Precondition;
use hearth_types::FunctionName;
use hearth_types::function::{
    Code, Configuration, FunctionRecord, Logging, RecursiveLoop, State, VersionId, VersionRecord,
};
use hearth_types::limits::{EPHEMERAL_MIN_MB, MEMORY_MIN_MB, TIMEOUT_DEFAULT_S};

use crate::functions::members;
use crate::records::NotWritten;
use crate::view::{self, Shown};
use crate::{Control, invalid, new_revision, refused, rules};

impl Control {
    /// CreateFunction: the answer shows it Pending; it is Active when the front end has it.
    ///
    /// # Errors
    /// As the real service, and for members that have no effect here.
    pub async fn create_function(
        self: &Arc<Self>,
        input: api::CreateFunctionRequest,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        let name = self.new_name(&input.function_name)?;
        refuse_unsupported(&input)?;
        let config = self.new_configuration(&input)?;
        let tags: BTreeMap<String, String> = input.tags.unwrap_or_default().into_iter().collect();
        rules::tags(&tags)?;
        let package = self.package(members::source(&input.code)).await?;
        if self.load(name.as_str()).await?.is_some() {
            return Err(exists(&name));
        }
        let code = Code::Zip(self.take_package(package).await?);
        let record = FunctionRecord {
            name: name.clone(),
            latest: VersionRecord {
                config,
                code,
                serving: None,
                state: State::Pending,
                last_update: None,
                revision: new_revision(),
                last_modified_ms: self.now_ms(),
            },
            tags,
            last_published: 0,
            published_description: String::new(),
            reserved_concurrency: None,
            recursive_loop: RecursiveLoop::default(),
        };
        match self.begin(record, Precondition::Absent).await {
            Ok(record) => Ok(self.shown(&record)),
            Err(NotWritten::Conflict) => Err(exists(&name)),
            Err(NotWritten::Failed(cause)) => Err(cause),
        }
    }

    fn new_name(&self, given: &str) -> Result<FunctionName, ApiError> {
        let target = self.resolve(given, None)?;
        if let Some(qualifier) = target.qualifier {
            return Err(invalid(format!(
                "A new function is named without a qualifier: ':{qualifier}' is one too many."
            )));
        }
        rules::name_length(&target.name)?;
        FunctionName::try_from(target.name).map_err(|cause| invalid(cause.to_string()))
    }

    fn new_configuration(&self, input: &api::CreateFunctionRequest) -> Result<Configuration, ApiError> {
        let (Some(runtime), Some(handler)) = (input.runtime.clone(), input.handler.clone()) else {
            return Err(invalid(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            ));
        };
        rules::runtime(&runtime)?;
        rules::architecture(input.architectures.as_deref().unwrap_or_default(), self.parts.architecture)?;
        Ok(Configuration {
            runtime: Some(runtime),
            handler: Some(handler),
            role: input.role.clone(),
            description: input.description.clone().unwrap_or_default(),
            timeout_s: input.timeout.map_or(Ok(TIMEOUT_DEFAULT_S), |s| rules::timeout(s.into()))?,
            memory_mb: input.memory_size.map_or(Ok(MEMORY_MIN_MB), |mb| rules::memory(mb.into()))?,
            ephemeral_mb: members::ephemeral(input.ephemeral_storage.as_ref())?.unwrap_or(EPHEMERAL_MIN_MB),
            variables: members::variables(input.environment.as_ref())?,
            architecture: self.parts.architecture.to_owned(),
            logging: Logging { group: members::log_group(input.logging_config.as_ref())?, ..Logging::default() },
            layers: Vec::new(),
        })
    }

    /// $LATEST as a mutating operation shows it: whole, with the unqualified ARN.
    pub(crate) fn shown(&self, record: &FunctionRecord) -> api::FunctionConfiguration {
        let (place, name) = (&self.parts.place, record.name.as_str());
        view::configuration(place, name, place.arn(name).to_string(), VersionId::Latest, &record.latest, Shown::Whole)
    }
}

fn exists(name: &FunctionName) -> ApiError {
    ApiError::conflict(format!("Function already exist: {name}"))
}

fn refuse_unsupported(input: &api::CreateFunctionRequest) -> Result<(), ApiError> {
    if input.publish == Some(true) {
        return Err(refused("Publish", "versions are not published yet"));
    }
    members::package_type(input.package_type)?;
    members::refuse(&[
        ("ImageConfig", input.image_config.is_some()),
        ("CodeSigningConfigArn", input.code_signing_config_arn.is_some()),
        ("CapacityProviderConfig", input.capacity_provider_config.is_some()),
        ("PublishTo", input.publish_to.is_some()),
        ("DurableConfig", input.durable_config.is_some()),
        ("TenancyConfig", input.tenancy_config.is_some()),
        ("Code.SourceKMSKeyArn", input.code.source_kms_key_arn.is_some()),
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
