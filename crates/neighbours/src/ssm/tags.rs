//! Tags of parameters.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::ssm::types as api;
use hearth_api::ssm::{Operation, errors};
use hearth_identity::Caller;
use hearth_types::limits::TAGS;

use super::names::Wanted;
use super::not_found;
use crate::{Neighbours, allow};

impl Neighbours {
    /// AddTagsToResource, of parameters.
    ///
    /// # Errors
    /// InvalidResourceId, InvalidResourceType, TooManyTagsError.
    pub async fn add_tags_to_resource(
        &self,
        caller: &Caller,
        input: api::AddTagsToResourceRequest,
    ) -> Result<api::AddTagsToResourceResult, ApiError> {
        only_parameters(input.resource_type)?;
        let more = given(input.tags)?;
        self.change_parameter(caller, Operation::AddTagsToResource, &input.resource_id, |parameter| {
            parameter.tags.extend(more.clone());
            if parameter.tags.len() > TAGS { Err(too_many()) } else { Ok(()) }
        })
        .await
        .map_err(|error| as_resource(error, &input.resource_id))?;
        Ok(api::AddTagsToResourceResult {})
    }

    /// RemoveTagsFromResource, of parameters.
    ///
    /// # Errors
    /// InvalidResourceId, InvalidResourceType.
    pub async fn remove_tags_from_resource(
        &self,
        caller: &Caller,
        input: api::RemoveTagsFromResourceRequest,
    ) -> Result<api::RemoveTagsFromResourceResult, ApiError> {
        only_parameters(input.resource_type)?;
        self.change_parameter(caller, Operation::RemoveTagsFromResource, &input.resource_id, |parameter| {
            parameter.tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(())
        })
        .await
        .map_err(|error| as_resource(error, &input.resource_id))?;
        Ok(api::RemoveTagsFromResourceResult {})
    }

    /// ListTagsForResource, of parameters.
    ///
    /// # Errors
    /// InvalidResourceId, InvalidResourceType.
    pub async fn list_tags_for_resource(
        &self,
        caller: &Caller,
        input: api::ListTagsForResourceRequest,
    ) -> Result<api::ListTagsForResourceResult, ApiError> {
        only_parameters(input.resource_type)?;
        let wanted = Wanted::parse(&input.resource_id, &self.parts.place);
        allow(caller, Operation::ListTagsForResource, &self.parameter_arn(wanted.name()))?;
        let found = self.parameter(&wanted).await?;
        let parameter = found.ok_or_else(|| as_resource(not_found(), &input.resource_id))?.record;
        let tags = parameter.tags.into_iter().map(|(key, value)| api::Tag { key, value });
        Ok(api::ListTagsForResourceResult { tag_list: Some(tags.collect()) })
    }
}

/// The tags of a request, each key once.
pub(super) fn given(tags: Vec<api::Tag>) -> Result<BTreeMap<String, String>, ApiError> {
    let count = tags.len();
    let given: BTreeMap<String, String> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    if given.len() < count {
        return Err(ApiError::validation("Duplicate tag keys are not allowed."));
    }
    if given.len() > TAGS {
        return Err(too_many());
    }
    Ok(given)
}

fn only_parameters(kind: api::ResourceTypeForTagging) -> Result<(), ApiError> {
    if kind == api::ResourceTypeForTagging::Parameter {
        return Ok(());
    }
    let text = format!("Hearth has no {}: only the tags of a Parameter.", kind.as_str());
    Err(ApiError::new(&errors::INVALID_RESOURCE_TYPE, text))
}

/// These operations speak of resources.
fn as_resource(error: ApiError, id: &str) -> ApiError {
    if error.kind != errors::PARAMETER_NOT_FOUND {
        return error;
    }
    ApiError::new(
        &errors::INVALID_RESOURCE_ID,
        format!("The resource ID \"{id}\" is not valid. Verify that it exists."),
    )
}

fn too_many() -> ApiError {
    ApiError::new(&errors::TOO_MANY_TAGS_ERROR, format!("A parameter can have at most {TAGS} tags."))
}
