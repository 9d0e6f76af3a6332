//! Which role has which managed policy.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::iam::types as api;
use hearth_api::iam::{Operation, errors};
use hearth_identity::Caller;
use hearth_store::Write;
use hearth_types::identity::{AccessKeyRecord, RoleRecord};
use hearth_types::keys;
use hearth_types::limits::ATTACHED_POLICIES;

use super::policies::{Managed, not_found};
use super::{limit_exceeded, no_such, page, page_of};
use crate::Neighbours;
use hearth_records::put;

impl Neighbours {
    /// AttachRolePolicy: nothing where it is attached already.
    ///
    /// # Errors
    /// NoSuchEntity, LimitExceeded; an ARN that is none.
    pub async fn attach_role_policy(
        &self,
        caller: &Caller,
        input: api::AttachRolePolicyRequest,
    ) -> Result<(), ApiError> {
        let arn = &input.policy_arn;
        check_arn(arn)?;
        self.records
            .until_written(|| async {
                let role = self.role(caller, Operation::AttachRolePolicy, &input.role_name).await?;
                let policy = self.managed(arn).await?.ok_or_else(|| not_attachable(arn))?;
                if role.record.attached.contains(arn) {
                    return Ok(Some(()));
                }
                let mut changed = role.record.clone();
                changed.attached.push(arn.clone());
                if changed.attached.len() > ATTACHED_POLICIES {
                    return Err(limit_exceeded(format!(
                        "Cannot exceed quota for PoliciesPerRole: {ATTACHED_POLICIES}"
                    )));
                }
                let mut writes = vec![put(keys::role(&changed.name), &changed, role.unchanged())?];
                writes.extend(touch(&policy)?);
                Ok(self.records.commit(writes).await?.then_some(()))
            })
            .await
    }

    /// DetachRolePolicy.
    ///
    /// # Errors
    /// NoSuchEntity; an ARN that is none.
    pub async fn detach_role_policy(
        &self,
        caller: &Caller,
        input: api::DetachRolePolicyRequest,
    ) -> Result<(), ApiError> {
        check_arn(&input.policy_arn)?;
        self.change_role(caller, Operation::DetachRolePolicy, &input.role_name, |role| {
            let there = role.attached.len();
            role.attached.retain(|arn| *arn != input.policy_arn);
            if role.attached.len() == there { Err(not_found(&input.policy_arn)) } else { Ok(()) }
        })
        .await
        .map(drop)
    }

    /// ListAttachedRolePolicies, by ARN.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_attached_role_policies(
        &self,
        caller: &Caller,
        input: api::ListAttachedRolePoliciesRequest,
    ) -> Result<api::ListAttachedRolePoliciesResponse, ApiError> {
        let page = page("attached-policies", input.marker.as_deref(), input.max_items)?;
        let role = self.role(caller, Operation::ListAttachedRolePolicies, &input.role_name).await?.record;
        let prefix = input.path_prefix.unwrap_or_default();
        let mut arns: Vec<String> = role.attached.into_iter().filter(|arn| path_of(arn).starts_with(&prefix)).collect();
        arns.sort();
        let (arns, marker) = page_of(&page, arns, |arn: &String| arn);
        let attached = |arn: String| api::AttachedPolicy {
            policy_name: Some(arn.rsplit('/').next().unwrap_or_default().to_owned()),
            policy_arn: Some(arn),
        };
        Ok(api::ListAttachedRolePoliciesResponse {
            attached_policies: Some(arns.into_iter().map(attached).collect()),
            is_truncated: Some(marker.is_some()),
            marker,
        })
    }

    /// ListEntitiesForPolicy: roles, then users. There are no groups.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_entities_for_policy(
        &self,
        caller: &Caller,
        input: api::ListEntitiesForPolicyRequest,
    ) -> Result<api::ListEntitiesForPolicyResponse, ApiError> {
        let page = page("policy-entities", input.marker.as_deref(), input.max_items)?;
        let arn = &input.policy_arn;
        self.policy(caller, Operation::ListEntitiesForPolicy, arn).await?;
        let prefix = input.path_prefix.unwrap_or_default();
        let boundaries = input.policy_usage_filter == Some(api::PolicyUsageType::PermissionsBoundary);
        let wanted = |kind| !boundaries && input.entity_filter.is_none_or(|filter| filter == kind);

        let mut entities = BTreeMap::new();
        if wanted(api::EntityType::Role) {
            let has = |role: &RoleRecord| role.attached.contains(arn) && role.path.starts_with(&prefix);
            for role in self.records.all(keys::ROLES, has).await? {
                let shown = api::PolicyRole { role_name: Some(role.name.clone()), role_id: Some(role.id) };
                entities.insert(format!("role/{}", role.name), Entity::Role(shown));
            }
        }
        if wanted(api::EntityType::User) && "/".starts_with(&prefix) {
            for key in self.records.all(keys::ACCESS_KEYS, |key: &AccessKeyRecord| key.attached.contains(arn)).await? {
                let shown = api::PolicyUser { user_name: Some(key.user.clone()), user_id: Some(key.user_id) };
                entities.insert(format!("user/{}", key.user), Entity::User(shown));
            }
        }
        let (entities, marker) = page_of(&page, entities.into_iter().collect(), |(key, _)| key);
        let (mut roles, mut users) = (Vec::new(), Vec::new());
        for (_, entity) in entities {
            match entity {
                Entity::Role(role) => roles.push(role),
                Entity::User(user) => users.push(user),
            }
        }
        Ok(api::ListEntitiesForPolicyResponse {
            policy_groups: Some(Vec::new()),
            policy_users: Some(users),
            policy_roles: Some(roles),
            is_truncated: Some(marker.is_some()),
            marker,
        })
    }
}

enum Entity {
    Role(api::PolicyRole),
    User(api::PolicyUser),
}

/// Writes a customer's policy as it is: deleting it must notice that it was attached meanwhile.
fn touch(policy: &Managed) -> Result<Option<Write>, ApiError> {
    match policy {
        Managed::Customer(policy) => {
            put(keys::policy(&policy.record.name), &policy.record, policy.unchanged()).map(Some)
        }
        Managed::Aws(_) => Ok(None),
    }
}

/// `/service-role/` of `arn:aws:iam::aws:policy/service-role/NAME`.
fn path_of(arn: &str) -> &str {
    let path = arn.find('/').map_or("", |slash| &arn[slash..]);
    path.rfind('/').map_or("", |slash| &path[..=slash])
}

fn check_arn(arn: &str) -> Result<(), ApiError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", "", _, resource] if resource.starts_with("policy/") => Ok(()),
        _ => Err(ApiError::new(&errors::INVALID_INPUT, format!("ARN {arn} is not valid."))),
    }
}

fn not_attachable(arn: &str) -> ApiError {
    no_such(format!("Policy {arn} does not exist or is not attachable."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_in_arns() {
        assert_eq!(path_of("arn:aws:iam::aws:policy/service-role/A"), "/service-role/");
        assert_eq!(path_of("arn:aws:iam::aws:policy/A"), "/");
        assert!(check_arn("arn:aws:iam::aws:policy/A").is_ok());
        assert!(check_arn("arn:aws:iam::aws:role/A").is_err() && check_arn("policy/A").is_err());
    }
}
