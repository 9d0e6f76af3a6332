//! Tags of groups, by ARN and, as before, by name.

use std::collections::BTreeMap;

use hearth_api::logs::Operation;
use hearth_api::logs::errors::TOO_MANY_TAGS;
use hearth_api::logs::types::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, ListTagsLogGroupRequest, ListTagsLogGroupResponse,
    TagLogGroupRequest, TagResourceRequest, UntagLogGroupRequest, UntagResourceRequest,
};
use hearth_api::{ApiError, Map};
use hearth_identity::Caller;
use hearth_types::limits::TAGS;

use super::{CloudWatchLogs, no_group};

impl CloudWatchLogs {
    /// The tags of a group, by ARN.
    ///
    /// # Errors
    /// Where there is no such group.
    pub async fn list_tags_for_resource(
        &self,
        caller: &Caller,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse, ApiError> {
        let group = self.group_of_arn(&input.resource_arn)?;
        self.allow(caller, Operation::ListTagsForResource, &group)?;
        Ok(ListTagsForResourceResponse { tags: Some(self.tags(group).await?) })
    }

    /// The tags of a group, by name.
    ///
    /// # Errors
    /// Where there is no such group.
    pub async fn list_tags_log_group(
        &self,
        caller: &Caller,
        input: ListTagsLogGroupRequest,
    ) -> Result<ListTagsLogGroupResponse, ApiError> {
        self.allow(caller, Operation::ListTagsLogGroup, &input.log_group_name)?;
        Ok(ListTagsLogGroupResponse { tags: Some(self.tags(input.log_group_name).await?) })
    }

    /// Adds tags to a group, by ARN.
    ///
    /// # Errors
    /// Where there is no such group, or it would have too many.
    pub async fn tag_resource(&self, caller: &Caller, input: TagResourceRequest) -> Result<(), ApiError> {
        let group = self.group_of_arn(&input.resource_arn)?;
        self.allow(caller, Operation::TagResource, &group)?;
        self.add_tags(group, input.tags).await
    }

    /// Adds tags to a group, by name.
    ///
    /// # Errors
    /// Where there is no such group, or it would have too many.
    pub async fn tag_log_group(&self, caller: &Caller, input: TagLogGroupRequest) -> Result<(), ApiError> {
        self.allow(caller, Operation::TagLogGroup, &input.log_group_name)?;
        self.add_tags(input.log_group_name, input.tags).await
    }

    /// Takes tags from a group, by ARN.
    ///
    /// # Errors
    /// Where there is no such group.
    pub async fn untag_resource(&self, caller: &Caller, input: UntagResourceRequest) -> Result<(), ApiError> {
        let group = self.group_of_arn(&input.resource_arn)?;
        self.allow(caller, Operation::UntagResource, &group)?;
        self.remove_tags(group, input.tag_keys).await
    }

    /// Takes tags from a group, by name.
    ///
    /// # Errors
    /// Where there is no such group.
    pub async fn untag_log_group(&self, caller: &Caller, input: UntagLogGroupRequest) -> Result<(), ApiError> {
        self.allow(caller, Operation::UntagLogGroup, &input.log_group_name)?;
        self.remove_tags(input.log_group_name, input.tags).await
    }

    fn group_of_arn(&self, arn: &str) -> Result<String, ApiError> {
        if arn.starts_with("arn:") { self.group_of(arn) } else { Err(no_group()) }
    }

    async fn tags(&self, group: String) -> Result<Map<String>, ApiError> {
        Ok(self.flushed(move |store| store.tags(&group)).await?.into_iter().collect())
    }

    async fn add_tags(&self, group: String, tags: Map<String>) -> Result<(), ApiError> {
        let add = move |all: &mut BTreeMap<String, String>| {
            all.extend(tags);
            if all.len() > TAGS { Err(too_many_tags()) } else { Ok(()) }
        };
        self.flushed(move |store| store.change_tags(&group, add)).await?
    }

    async fn remove_tags(&self, group: String, keys: Vec<String>) -> Result<(), ApiError> {
        let remove = move |all: &mut BTreeMap<String, String>| {
            all.retain(|key, _| !keys.contains(key));
            Ok(())
        };
        self.flushed(move |store| store.change_tags(&group, remove)).await?
    }
}

fn too_many_tags() -> ApiError {
    ApiError::new(&TOO_MANY_TAGS, format!("A log group can have at most {TAGS} tags."))
}
