//! Tags: TagResource, UntagResource, ListTags. One set of rules for all that bears tags.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::mapping::Mapping;
use hearth_types::{Target, keys};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::records::{Loaded, TRIES, contended, put};
use crate::signing::{self, CodeSigningConfig};
use crate::{Control, invalid, new_revision, refused, rules};

type Tags = BTreeMap<String, String>;

/// What may bear tags, as its ARN names it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Resource {
    Function(Target),
    Mapping { uuid: String },
    CodeSigningConfig,
}

/// A record of its own that bears tags.
trait Tagged: Serialize + DeserializeOwned {
    fn tags(&mut self) -> &mut Tags;
}

impl Tagged for Mapping {
    fn tags(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Tagged for CodeSigningConfig {
    fn tags(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Control {
    /// TagResource: adds and overwrites.
    ///
    /// # Errors
    /// As the real service: no tags at all, or more than 50 together with those that there are.
    pub async fn tag_resource(&self, input: api::TagResourceRequest) -> Result<(), ApiError> {
        let resource = self.taggable(&input.resource)?;
        if input.tags.is_empty() {
            return Err(invalid("An error occurred and the request cannot be processed."));
        }
        let added: Tags = input.tags.into_iter().collect();
        self.change_tags(&resource, &input.resource, |tags| {
            tags.extend(added.clone());
            rules::tags(tags)
        })
        .await
    }

    /// UntagResource. Keys that are not there are no error (observed).
    ///
    /// # Errors
    /// As the real service.
    pub async fn untag_resource(&self, input: api::UntagResourceRequest) -> Result<(), ApiError> {
        let resource = self.taggable(&input.resource)?;
        self.change_tags(&resource, &input.resource, |tags| {
            tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(())
        })
        .await
    }

    /// ListTags.
    ///
    /// # Errors
    /// As the real service.
    pub async fn list_tags(&self, input: api::ListTagsRequest) -> Result<api::ListTagsResponse, ApiError> {
        let tags = match self.taggable(&input.resource)? {
            Resource::Function(target) => self.function(&target).await?.record.tags,
            Resource::Mapping { uuid } => self.tagged_mapping(&uuid, &input.resource).await?.record.tags,
            Resource::CodeSigningConfig => self.code_signing_config(&input.resource).await?.1.record.tags,
        };
        Ok(api::ListTagsResponse { tags: Some(tags.into_iter().collect()) })
    }

    /// Takes an ARN apart that has passed the member's pattern.
    fn taggable(&self, arn: &str) -> Result<Resource, ApiError> {
        let missing = |what: &str| Err(ApiError::not_found(format!("{what} not found: {arn}")));
        let parts: Vec<&str> = arn.split(':').collect();
        let (is_here, kind, name) = match parts.as_slice() {
            [_, _, _, region, account, kind, name, ..] => (self.is_here(region, account), *kind, *name),
            _ => return Err(invalid("An error occurred and the request cannot be processed.")),
        };
        match kind {
            "function" => {
                let target = self.resolve(arn, None)?;
                // Before the question whether there is such a function (observed).
                match target.qualifier {
                    None => Ok(Resource::Function(target)),
                    Some(_) => Err(invalid(
                        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
                    )),
                }
            }
            "code-signing-config" => Ok(Resource::CodeSigningConfig),
            "event-source-mapping" if is_here => Ok(Resource::Mapping { uuid: name.to_ascii_lowercase() }),
            "event-source-mapping" => missing("Event source mapping"),
            "capacity-provider" => missing("Capacity provider"),
            _ => Err(refused("Resource", &format!("there are no tags on a {kind}"))),
        }
    }

    async fn change_tags(
        &self,
        resource: &Resource,
        arn: &str,
        change: impl Fn(&mut Tags) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        match resource {
            Resource::Function(target) => {
                self.change_function(target, |function| {
                    self.must_be_settled(function)?;
                    function.latest.revision = new_revision();
                    change(&mut function.tags)
                })
                .await
            }
            Resource::Mapping { uuid } => {
                self.change_tags_of::<Mapping>(&keys::mapping(uuid), &mapping_not_found(arn), change).await
            }
            Resource::CodeSigningConfig => {
                let (id, _) = self.code_signing_config(arn).await?;
                let missing = signing::config_not_found(arn);
                self.change_tags_of::<CodeSigningConfig>(&keys::code_signing(&id), &missing, change).await
            }
        }
    }

    async fn change_tags_of<T: Tagged>(
        &self,
        key: &str,
        missing: &ApiError,
        change: impl Fn(&mut Tags) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            let mut found = self.read::<T>(key).await?.ok_or_else(|| missing.clone())?;
            change(found.record.tags())?;
            let write = put(key.to_owned(), &found.record, found.unchanged())?;
            if self.commit(vec![write]).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    async fn tagged_mapping(&self, uuid: &str, arn: &str) -> Result<Loaded<Mapping>, ApiError> {
        let found = self.read(&keys::mapping(uuid)).await?;
        found.ok_or_else(|| mapping_not_found(arn))
    }
}

fn mapping_not_found(arn: &str) -> ApiError {
    ApiError::not_found(format!("Event source mapping not found: {arn}"))
}
