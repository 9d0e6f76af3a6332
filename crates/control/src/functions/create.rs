//! CreateFunction.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_store::{Precondition, Write};
use hearth_types::FunctionName;
use hearth_types::function::{
    Configuration, FunctionRecord, RecursiveLoop, RuntimeUpdate, State, VersionId, VersionRecord,
};

use crate::functions::code::Then;
use crate::functions::configuration::{self, Given};
use crate::functions::members::{self, PackageKind};
use crate::records::{TRIES, contended};
use crate::signing::bindings;
use crate::view::{self, Shown};
use crate::{Control, coverage, invalid, new_revision, rules, versions};

impl Control {
    /// CreateFunction: the answer shows it Pending; it is Active when the front end has it.
    ///
    /// # Errors
    /// As the real service, and for members that have no effect here.
    pub async fn create_function(
        self: &Arc<Self>,
        mut input: api::CreateFunctionRequest,
    ) -> Result<api::FunctionConfiguration, ApiError> {
        let name = self.new_name(&input.function_name)?;
        coverage::supported(coverage::CREATE_FUNCTION, &input)?;
        let kind = PackageKind::new(input.package_type);
        if kind == PackageKind::Zip && (input.runtime.is_none() || input.handler.is_none()) {
            return Err(invalid(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            ));
        }
        let tags: BTreeMap<String, String> = input.tags.take().unwrap_or_default().into_iter().collect();
        rules::tags(&tags)?;
        let source = members::source(std::mem::take(&mut input.code));
        source.is_of(kind, "creating")?;
        let given = Given::from(&input);
        let architecture = self.architecture(input.architectures.as_deref());
        // There is one mode.
        let new = Configuration { per_tenant: input.tenancy_config.is_some(), ..configuration::new(architecture) };
        let config = given.applied_to(new, kind, self.layers(given.layers).await?)?;
        if self.load(name.as_str()).await?.is_some() {
            return Err(exists(&name));
        }
        self.assumable(&input.role).await?;
        let signing = input.code_signing_config_arn.as_deref();
        if let Some(arn) = signing {
            self.signs(arn, kind, &name).await?;
        }
        let code = self.code(source, Then::Keep).await?;
        members::fit_together(&code, &config.layers)?;
        let copies = if input.publish == Some(true) { 2 } else { 1 };
        self.reserve_code(code.size() * copies).await?;
        let mut record = FunctionRecord {
            name: name.clone(),
            latest: VersionRecord {
                config,
                code,
                serving: None,
                state: State::Pending,
                last_update: None,
                optimized: false,
                runtime_update: RuntimeUpdate::Auto,
                revision: new_revision(),
                last_modified_ms: self.now_ms(),
            },
            tags,
            last_published: 0,
            published_description: String::new(),
            reserved_concurrency: None,
            recursive_loop: RecursiveLoop::default(),
            code_signing: None,
        };
        let publication = (input.publish == Some(true)).then(|| versions::publish(&mut record, None, self.now_ms()));
        for _ in 0..TRIES {
            let binding = match signing {
                Some(arn) => Some(self.bind(&mut record, arn).await?),
                None => None,
            };
            let mut writes = versions::writes(&record, Precondition::Absent, publication.as_ref())?;
            writes.extend(binding);
            if self.begin(&name, writes).await? {
                // The real service shows the version's number beside the unqualified ARN (observed).
                return Ok(api::FunctionConfiguration {
                    version: Some(publication.map_or(VersionId::Latest, |published| published.id()).to_string()),
                    ..self.shown(&record)
                });
            }
            // If not this, it is gone again, or it was the code signing configuration that changed.
            if self.load(name.as_str()).await?.is_some() {
                return Err(exists(&name));
            }
        }
        Err(contended())
    }

    /// That the code signing configuration of a new function lets its code in.
    async fn signs(&self, arn: &str, kind: PackageKind, name: &FunctionName) -> Result<(), ApiError> {
        if kind == PackageKind::Image {
            return Err(bindings::images_have_none());
        }
        self.code_signing_config_to_bind(arn).await?.1.record.lets_in(name.as_str())
    }

    /// Binds a new function to a code signing configuration; what has to be written together with it.
    async fn bind(&self, record: &mut FunctionRecord, arn: &str) -> Result<Write, ApiError> {
        let (id, config) = self.code_signing_config_to_bind(arn).await?;
        let write = bindings::bound(&id, &config)?;
        record.code_signing = Some(id);
        Ok(write)
    }

    /// What is asked for; this machine's own where nothing is.
    fn architecture(&self, given: Option<&[api::Architecture]>) -> String {
        let wanted = given.and_then(<[_]>::first).map(|architecture| architecture.as_str());
        wanted.unwrap_or(self.parts.architecture).to_owned()
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

    /// $LATEST as a mutating operation shows it: whole, with the unqualified ARN.
    pub(crate) fn shown(&self, record: &FunctionRecord) -> api::FunctionConfiguration {
        let (place, name) = (&self.parts.place, record.name.as_str());
        view::configuration(
            place,
            name,
            place.arn(name).to_string(),
            VersionId::Latest,
            &record.latest,
            Shown::Whole(&self.parts.runtimes),
        )
    }
}

fn exists(name: &FunctionName) -> ApiError {
    ApiError::conflict(format!("Function already exist: {name}"))
}
