//! What a body says that permissions depend on. Read apart from the input as a whole, which comes after the question
//! whether the caller may.

use std::collections::BTreeMap;

use hearth_api::{ApiError, Matched, Operation, check};
use hearth_identity::policy::Context;
use hearth_types::{Place, keys};
use http::HeaderMap;
use serde::Deserialize;

use crate::Control;
use crate::code_source::ObjectName;
use crate::permit::resources::{code_signing_config, layer_version};
use hearth_types::mapping::Mapping;

/// The members that count, of all operations.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Said {
    pub(super) function_name: Option<String>,
    role: Option<String>,
    layers: Option<Vec<Option<String>>>,
    vpc_config: Option<Vpc>,
    code_signing_config_arn: Option<String>,
    tags: Option<BTreeMap<String, Option<String>>>,
    principal: Option<String>,
    function_url_auth_type: Option<String>,
    auth_type: Option<String>,
    /// Of CreateFunction.
    code: Option<Object>,
    /// Of PublishLayerVersion.
    content: Option<Object>,
    /// Of UpdateFunctionCode, as the two that follow.
    #[serde(rename = "S3Bucket")]
    bucket: Option<String>,
    #[serde(rename = "S3Key")]
    key: Option<String>,
    #[serde(rename = "S3ObjectVersion")]
    version: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vpc {
    subnet_ids: Option<Vec<Option<String>>>,
    security_group_ids: Option<Vec<Option<String>>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
struct Object {
    #[serde(rename = "S3Bucket")]
    bucket: Option<String>,
    #[serde(rename = "S3Key")]
    key: Option<String>,
    #[serde(rename = "S3ObjectVersion")]
    version: Option<String>,
}

impl Said {
    /// Of a request's body.
    ///
    /// # Errors
    /// When it cannot be read, or names a member twice: nothing may be hidden from policies that way.
    pub fn read(matched: &Matched, body: &bytes::Bytes) -> Result<Self, ApiError> {
        if !counts(matched.operation) {
            return Ok(Self::default());
        }
        serde_json::from_slice(body).or_else(|_| {
            check(matched, &HeaderMap::new(), body.clone())?;
            Err(ApiError::serialization("The request's body cannot be read"))
        })
    }

    /// The role that a function is given.
    pub(super) fn role(&self, operation: Operation) -> Option<&str> {
        let gives = matches!(operation, Operation::CreateFunction | Operation::UpdateFunctionConfiguration);
        self.role.as_deref().filter(|_| gives)
    }

    /// The layers that a function is given.
    pub(super) fn layers(&self, operation: Operation) -> impl Iterator<Item = &str> {
        let gives = matches!(operation, Operation::CreateFunction | Operation::UpdateFunctionConfiguration);
        texts(&self.layers).filter(move |_| gives)
    }

    /// The object that a package is taken from.
    pub(super) fn object<'a>(&'a self, operation: Operation) -> Option<ObjectName<'a>> {
        let nested = |object: &'a Option<Object>| object.as_ref().map(|o| (&o.bucket, &o.key, &o.version));
        let (bucket, key, version) = match operation {
            Operation::CreateFunction => nested(&self.code)?,
            Operation::PublishLayerVersion => nested(&self.content)?,
            Operation::UpdateFunctionCode => (&self.bucket, &self.key, &self.version),
            _ => return None,
        };
        Some(ObjectName { bucket: bucket.as_deref()?, key: key.as_deref()?, version: version.as_deref() })
    }

    /// The condition keys that a request gives.
    pub(super) fn keys(&self, matched: &Matched, place: &Place) -> Context {
        let mut keys = Context::default();
        let signing = self.code_signing_config_arn.as_deref().map(|arn| code_signing_config(place, arn));
        let single = [
            ("lambda:CodeSigningConfigArn", &signing),
            ("lambda:Principal", &self.principal),
            ("lambda:FunctionUrlAuthType", &self.function_url_auth_type),
            ("lambda:FunctionUrlAuthType", &self.auth_type),
        ];
        for (key, value) in single {
            if let Some(value) = value {
                keys.set(key, value);
            }
        }
        let vpc = self.vpc_config.clone().unwrap_or_default();
        let many = [("lambda:SubnetIds", &vpc.subnet_ids), ("lambda:SecurityGroupIds", &vpc.security_group_ids)];
        keys.set_all("lambda:Layer", texts(&self.layers).map(|arn| layer_version(place, arn)));
        for (key, values) in many {
            keys.set_all(key, texts(values).map(str::to_owned));
        }
        for (key, value) in self.tags.iter().flatten() {
            keys.set(&format!("aws:RequestTag/{key}"), value.clone().unwrap_or_default());
        }
        let removed = matched.parameters("tagKeys").map(|key| key.into_owned());
        keys.set_all("aws:TagKeys", self.tags.iter().flatten().map(|(key, _)| key.clone()).chain(removed));
        let leads_to =
            matches!(matched.operation, Operation::CreateEventSourceMapping | Operation::UpdateEventSourceMapping);
        if let Some(name) = self.function_name.as_deref().filter(|_| leads_to)
            && let Ok(target) = place.resolve(name, None)
        {
            keys.set("lambda:FunctionArn", place.arn_as_asked(&target).to_string());
        }
        keys
    }
}

impl Control {
    /// What is known of a mapping: the function that it leads to, and its tags.
    pub(super) async fn known_of_mapping(&self, uuid: &str) -> Result<Context, ApiError> {
        let mut known = Context::default();
        let Some(mapping) = self.read::<Mapping>(&keys::mapping(uuid)).await? else { return Ok(known) };
        known.set("lambda:FunctionArn", self.parts.place.arn_as_asked(&mapping.record.target()).to_string());
        for (key, value) in &mapping.record.tags {
            known.set(&format!("aws:ResourceTag/{key}"), value);
        }
        Ok(known)
    }
}

/// Whether permissions depend on the body.
fn counts(operation: Operation) -> bool {
    use Operation as O;
    matches!(
        operation,
        O::AddPermission
            | O::CreateCapacityProvider
            | O::CreateCodeSigningConfig
            | O::CreateEventSourceMapping
            | O::CreateFunction
            | O::CreateFunctionUrlConfig
            | O::PublishLayerVersion
            | O::PutFunctionCodeSigningConfig
            | O::TagResource
            | O::UpdateEventSourceMapping
            | O::UpdateFunctionCode
            | O::UpdateFunctionConfiguration
            | O::UpdateFunctionUrlConfig
    )
}

fn texts(values: &Option<Vec<Option<String>>>) -> impl Iterator<Item = &str> {
    values.iter().flatten().flatten().map(String::as_str)
}
