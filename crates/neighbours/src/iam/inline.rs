//! Policies that are a role's own: Put-, Get-, Delete- and ListRolePolicies.

use hearth_api::ApiError;
use hearth_api::iam::Operation;
use hearth_api::iam::types as api;
use hearth_identity::Caller;
use hearth_identity::policy::Kind;
use hearth_types::limits::INLINE_POLICIES_CHARS;

use super::{chars, check_document, limit_exceeded, no_such, page, page_of, shown_document};
use crate::Neighbours;

impl Neighbours {
    /// PutRolePolicy: one of the same name is replaced.
    ///
    /// # Errors
    /// NoSuchEntity, MalformedPolicyDocument, LimitExceeded.
    pub async fn put_role_policy(&self, caller: &Caller, input: api::PutRolePolicyRequest) -> Result<(), ApiError> {
        check_document(&input.policy_document, Kind::Identity)?;
        self.change_role(caller, Operation::PutRolePolicy, &input.role_name, |role| {
            role.inline.insert(input.policy_name.clone(), input.policy_document.clone());
            if role.inline.values().map(|document| chars(document)).sum::<usize>() > INLINE_POLICIES_CHARS {
                let name = &role.name;
                let text = format!("Maximum policy size of {INLINE_POLICIES_CHARS} bytes exceeded for role {name}");
                return Err(limit_exceeded(text));
            }
            Ok(())
        })
        .await
        .map(drop)
    }

    /// GetRolePolicy.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn get_role_policy(
        &self,
        caller: &Caller,
        input: api::GetRolePolicyRequest,
    ) -> Result<api::GetRolePolicyResponse, ApiError> {
        let role = self.role(caller, Operation::GetRolePolicy, &input.role_name).await?.record;
        let document = role.inline.get(&input.policy_name).ok_or_else(|| no_policy(&input.policy_name))?;
        Ok(api::GetRolePolicyResponse {
            role_name: role.name.clone(),
            policy_document: shown_document(document),
            policy_name: input.policy_name,
        })
    }

    /// DeleteRolePolicy.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn delete_role_policy(
        &self,
        caller: &Caller,
        input: api::DeleteRolePolicyRequest,
    ) -> Result<(), ApiError> {
        self.change_role(caller, Operation::DeleteRolePolicy, &input.role_name, |role| {
            role.inline.remove(&input.policy_name).map(drop).ok_or_else(|| no_policy(&input.policy_name))
        })
        .await
        .map(drop)
    }

    /// ListRolePolicies, by name.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_role_policies(
        &self,
        caller: &Caller,
        input: api::ListRolePoliciesRequest,
    ) -> Result<api::ListRolePoliciesResponse, ApiError> {
        let page = page("role-policies", input.marker.as_deref(), input.max_items)?;
        let role = self.role(caller, Operation::ListRolePolicies, &input.role_name).await?.record;
        let (policy_names, marker) = page_of(&page, role.inline.into_keys().collect(), |name: &String| name);
        Ok(api::ListRolePoliciesResponse { policy_names, is_truncated: Some(marker.is_some()), marker })
    }
}

fn no_policy(name: &str) -> ApiError {
    no_such(format!("The role policy with name {name} cannot be found."))
}
