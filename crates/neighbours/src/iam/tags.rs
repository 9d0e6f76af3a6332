//! Tags of roles and policies.

use std::collections::{BTreeMap, BTreeSet};

use hearth_api::ApiError;
use hearth_api::iam::types as api;
use hearth_api::iam::{Operation, errors};
use hearth_identity::Caller;
use hearth_types::limits::TAGS;

use super::{limit_exceeded, page, page_of, shown_tags};
use crate::Neighbours;

impl Neighbours {
    /// TagRole.
    ///
    /// # Errors
    /// NoSuchEntity, InvalidInput, LimitExceeded.
    pub async fn tag_role(&self, caller: &Caller, input: api::TagRoleRequest) -> Result<(), ApiError> {
        let more = given(input.tags)?;
        let tag = |tags: &mut BTreeMap<String, String>| add(tags, &more);
        self.change_role(caller, Operation::TagRole, &input.role_name, |role| tag(&mut role.tags)).await.map(drop)
    }

    /// UntagRole.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn untag_role(&self, caller: &Caller, input: api::UntagRoleRequest) -> Result<(), ApiError> {
        self.change_role(caller, Operation::UntagRole, &input.role_name, |role| {
            remove(&mut role.tags, &input.tag_keys);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// ListRoleTags.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_role_tags(
        &self,
        caller: &Caller,
        input: api::ListRoleTagsRequest,
    ) -> Result<api::ListRoleTagsResponse, ApiError> {
        let page = page("role-tags", input.marker.as_deref(), input.max_items)?;
        let role = self.role(caller, Operation::ListRoleTags, &input.role_name).await?.record;
        let (tags, marker) = page_of(&page, shown_tags(&role.tags), |tag| &tag.key);
        Ok(api::ListRoleTagsResponse { tags, is_truncated: Some(marker.is_some()), marker })
    }

    /// TagPolicy.
    ///
    /// # Errors
    /// NoSuchEntity, InvalidInput, LimitExceeded.
    pub async fn tag_policy(&self, caller: &Caller, input: api::TagPolicyRequest) -> Result<(), ApiError> {
        let more = given(input.tags)?;
        self.change_policy(caller, Operation::TagPolicy, &input.policy_arn, |policy| add(&mut policy.tags, &more))
            .await
            .map(drop)
    }

    /// UntagPolicy.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn untag_policy(&self, caller: &Caller, input: api::UntagPolicyRequest) -> Result<(), ApiError> {
        self.change_policy(caller, Operation::UntagPolicy, &input.policy_arn, |policy| {
            remove(&mut policy.tags, &input.tag_keys);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// ListPolicyTags.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_policy_tags(
        &self,
        caller: &Caller,
        input: api::ListPolicyTagsRequest,
    ) -> Result<api::ListPolicyTagsResponse, ApiError> {
        let page = page("policy-tags", input.marker.as_deref(), input.max_items)?;
        let policy = self.policy(caller, Operation::ListPolicyTags, &input.policy_arn).await?;
        let (tags, marker) = page_of(&page, policy.tags(), |tag| &tag.key);
        Ok(api::ListPolicyTagsResponse { tags, is_truncated: Some(marker.is_some()), marker })
    }
}

/// The tags of a request. Two keys that differ only in case are one.
pub(super) fn given(tags: Vec<api::Tag>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut seen = BTreeSet::new();
    if !tags.iter().all(|tag| seen.insert(tag.key.to_lowercase())) {
        let text = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
        return Err(ApiError::new(&errors::INVALID_INPUT, text));
    }
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// A tag whose key differs only in case is replaced.
fn add(tags: &mut BTreeMap<String, String>, more: &BTreeMap<String, String>) -> Result<(), ApiError> {
    for (key, value) in more {
        tags.retain(|there, _| !there.eq_ignore_ascii_case(key));
        tags.insert(key.clone(), value.clone());
    }
    if tags.len() > TAGS {
        return Err(limit_exceeded(format!("The number of tags has reached the maximum limit of {TAGS}.")));
    }
    Ok(())
}

fn remove(tags: &mut BTreeMap<String, String>, keys: &[String]) {
    tags.retain(|there, _| !keys.iter().any(|key| there.eq_ignore_ascii_case(key)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> api::Tag {
        api::Tag { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn keys_are_one_whatever_their_case() {
        assert!(given(vec![tag("Stage", "1"), tag("stage", "2")]).is_err());
        let mut tags = given(vec![tag("Stage", "1"), tag("b", "2")]).unwrap();
        add(&mut tags, &given(vec![tag("stage", "3")]).unwrap()).unwrap();
        assert_eq!(tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(), ["b=2", "stage=3"]);
        remove(&mut tags, &["B".to_owned()]);
        assert_eq!(tags.len(), 1);
        let many = (0..TAGS).map(|number| (format!("k{number}"), String::new())).collect();
        assert_eq!(add(&mut tags, &many).unwrap_err().kind, errors::LIMIT_EXCEEDED);
    }
}
