//! IAM: which operation is answered by what.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::iam::{Operation, ops};
use http::Response;

use super::{Asked, answer};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn iam(&self, asked: Asked<'_, Operation>) -> Result<Response<Bytes>, ApiError> {
        let (iam, caller) = (&self.neighbours, asked.caller);
        answer! { xml asked;
            CreateRole(input) => iam.create_role(caller, input),
            GetRole(input) => iam.get_role(caller, input),
            ListRoles(input) => iam.list_roles(caller, input),
            UpdateRole(input) => iam.update_role(caller, input),
            UpdateRoleDescription(input) => iam.update_role_description(caller, input),
            UpdateAssumeRolePolicy(input) => iam.update_assume_role_policy(caller, input),
            DeleteRole(input) => iam.delete_role(caller, input),

            PutRolePolicy(input) => iam.put_role_policy(caller, input),
            GetRolePolicy(input) => iam.get_role_policy(caller, input),
            DeleteRolePolicy(input) => iam.delete_role_policy(caller, input),
            ListRolePolicies(input) => iam.list_role_policies(caller, input),

            AttachRolePolicy(input) => iam.attach_role_policy(caller, input),
            DetachRolePolicy(input) => iam.detach_role_policy(caller, input),
            ListAttachedRolePolicies(input) => iam.list_attached_role_policies(caller, input),
            ListEntitiesForPolicy(input) => iam.list_entities_for_policy(caller, input),

            CreatePolicy(input) => iam.create_policy(caller, input),
            GetPolicy(input) => iam.get_policy(caller, input),
            ListPolicies(input) => iam.list_policies(caller, input),
            DeletePolicy(input) => iam.delete_policy(caller, input),
            CreatePolicyVersion(input) => iam.create_policy_version(caller, input),
            GetPolicyVersion(input) => iam.get_policy_version(caller, input),
            ListPolicyVersions(input) => iam.list_policy_versions(caller, input),
            SetDefaultPolicyVersion(input) => iam.set_default_policy_version(caller, input),
            DeletePolicyVersion(input) => iam.delete_policy_version(caller, input),

            TagRole(input) => iam.tag_role(caller, input),
            UntagRole(input) => iam.untag_role(caller, input),
            ListRoleTags(input) => iam.list_role_tags(caller, input),
            TagPolicy(input) => iam.tag_policy(caller, input),
            UntagPolicy(input) => iam.untag_policy(caller, input),
            ListPolicyTags(input) => iam.list_policy_tags(caller, input),

            GetUser(input) => iam.get_user(caller, input),
            ListAccountAliases(input) => iam.list_account_aliases(caller, input),
            ListInstanceProfilesForRole(input) => iam.list_instance_profiles_for_role(caller, input),
        }
    }
}
