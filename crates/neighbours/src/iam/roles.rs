//! Roles themselves: Create-, Get-, List-, Update- and DeleteRole, and who may assume them.

use hearth_api::ApiError;
use hearth_api::iam::types as api;
use hearth_api::iam::{Operation, errors};
use hearth_identity::Caller;
use hearth_identity::ids::{IdKind, new_id};
use hearth_identity::policy::Kind;
use hearth_store::typed::Loaded;
use hearth_store::{Precondition, Write};
use hearth_types::identity::{FormerRoleRecord, RoleRecord};
use hearth_types::keys;
use hearth_types::limits::{SESSION_DEFAULT_S, TRUST_POLICY_CHARS};

use super::{chars, check_document, limit_exceeded, no_such, page, shown_document, shown_tags_if_any, tags};
use crate::{Neighbours, allow, random, seconds};
use hearth_records::put;

impl Neighbours {
    /// CreateRole.
    ///
    /// # Errors
    /// As the real service; a permissions boundary has no effect here and is refused.
    pub async fn create_role(
        &self,
        caller: &Caller,
        input: api::CreateRoleRequest,
    ) -> Result<api::CreateRoleResponse, ApiError> {
        if input.permissions_boundary.is_some() {
            return Err(ApiError::unsupported_member(Operation::CreateRole, "PermissionsBoundary"));
        }
        let path = input.path.unwrap_or_else(|| "/".to_owned());
        allow(caller, Operation::CreateRole, &self.role_arn_of(&path, &input.role_name))?;
        check_trust(&input.assume_role_policy_document)?;
        let role = RoleRecord {
            name: input.role_name,
            path,
            id: new_id(IdKind::Role, random()?),
            trust: input.assume_role_policy_document,
            description: input.description,
            inline: std::collections::BTreeMap::new(),
            attached: Vec::new(),
            tags: tags::given(input.tags.unwrap_or_default())?,
            max_session_s: session_s(input.max_session_duration),
            created_ms: self.now_ms(),
        };
        let made = put(keys::role(&role.name), &role, Precondition::Absent)?;
        let former = Write::delete(keys::former_role(&role.name), Precondition::Any);
        if !self.records.commit(vec![made, former]).await? {
            let text = format!("Role with name {} already exists.", role.name);
            return Err(ApiError::new(&errors::ENTITY_ALREADY_EXISTS, text));
        }
        Ok(api::CreateRoleResponse { role: self.shown_role(&role) })
    }

    /// GetRole.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn get_role(
        &self,
        caller: &Caller,
        input: api::GetRoleRequest,
    ) -> Result<api::GetRoleResponse, ApiError> {
        let role = self.role(caller, Operation::GetRole, &input.role_name).await?.record;
        // Nothing here keeps when a role was used last; the service says it so of one that never was.
        let role_last_used = Some(api::RoleLastUsed::default());
        Ok(api::GetRoleResponse { role: api::Role { role_last_used, ..self.shown_role(&role) } })
    }

    /// ListRoles, by name. Its entries have no tags, as in the real service.
    ///
    /// # Errors
    /// A marker that is none of this list's.
    pub async fn list_roles(
        &self,
        caller: &Caller,
        input: api::ListRolesRequest,
    ) -> Result<api::ListRolesResponse, ApiError> {
        allow(caller, Operation::ListRoles, &format!("arn:aws:iam::{}:role/", self.account()))?;
        let page = page("roles", input.marker.as_deref(), input.max_items)?;
        let prefix = input.path_prefix.unwrap_or_default();
        let below = |role: &RoleRecord| role.path.starts_with(&prefix);
        let after = page.after.as_deref().map(keys::role);
        let mut found = self.records.read_matching(keys::ROLES, after.as_deref(), page.read(), below).await?;
        let marker = page.cut(&mut found, |(name, _)| name);
        let untagged = |role: &RoleRecord| api::Role { tags: None, ..self.shown_role(role) };
        Ok(api::ListRolesResponse {
            roles: found.iter().map(|(_, loaded)| untagged(&loaded.record)).collect(),
            is_truncated: Some(marker.is_some()),
            marker,
        })
    }

    /// UpdateRole: what is not given stays as it is.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn update_role(
        &self,
        caller: &Caller,
        input: api::UpdateRoleRequest,
    ) -> Result<api::UpdateRoleResponse, ApiError> {
        self.change_role(caller, Operation::UpdateRole, &input.role_name, |role| {
            if let Some(description) = &input.description {
                role.description = Some(description.clone());
            }
            if input.max_session_duration.is_some() {
                role.max_session_s = session_s(input.max_session_duration);
            }
            Ok(())
        })
        .await?;
        Ok(api::UpdateRoleResponse {})
    }

    /// UpdateRoleDescription.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn update_role_description(
        &self,
        caller: &Caller,
        input: api::UpdateRoleDescriptionRequest,
    ) -> Result<api::UpdateRoleDescriptionResponse, ApiError> {
        let describe = |role: &mut RoleRecord| {
            role.description = Some(input.description.clone());
            Ok(())
        };
        let role = self.change_role(caller, Operation::UpdateRoleDescription, &input.role_name, describe).await?;
        Ok(api::UpdateRoleDescriptionResponse { role: Some(self.shown_role(&role)) })
    }

    /// UpdateAssumeRolePolicy.
    ///
    /// # Errors
    /// NoSuchEntity, MalformedPolicyDocument, LimitExceeded.
    pub async fn update_assume_role_policy(
        &self,
        caller: &Caller,
        input: api::UpdateAssumeRolePolicyRequest,
    ) -> Result<(), ApiError> {
        check_trust(&input.policy_document)?;
        self.change_role(caller, Operation::UpdateAssumeRolePolicy, &input.role_name, |role| {
            role.trust.clone_from(&input.policy_document);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// DeleteRole.
    ///
    /// # Errors
    /// NoSuchEntity; DeleteConflict as long as it has policies.
    pub async fn delete_role(&self, caller: &Caller, input: api::DeleteRoleRequest) -> Result<(), ApiError> {
        self.records
            .until_written(|| async {
                let role = self.role(caller, Operation::DeleteRole, &input.role_name).await?;
                if !role.record.attached.is_empty() {
                    return Err(has_policies("Cannot delete entity, must detach all policies first."));
                }
                if !role.record.inline.is_empty() {
                    return Err(has_policies("Cannot delete entity, must delete policies first."));
                }
                let deleted = Write::delete(keys::role(&input.role_name), role.unchanged());
                let former = FormerRoleRecord { deleted_ms: self.now_ms() };
                let former = put(keys::former_role(&input.role_name), &former, Precondition::Any)?;
                Ok(self.records.commit(vec![deleted, former]).await?.then_some(()))
            })
            .await
    }

    /// The role that an operation is about, where the caller may do it.
    pub(super) async fn role(
        &self,
        caller: &Caller,
        operation: Operation,
        name: &str,
    ) -> Result<Loaded<RoleRecord>, ApiError> {
        let found: Option<Loaded<RoleRecord>> = self.records.read(&keys::role(name)).await?;
        let arn = match &found {
            Some(role) => self.role_arn(&role.record),
            None => self.role_arn_of("/", name),
        };
        allow(caller, operation, &arn)?;
        found.ok_or_else(|| no_such(format!("The role with name {name} cannot be found.")))
    }

    /// Changes a role; what it then is.
    pub(super) async fn change_role(
        &self,
        caller: &Caller,
        operation: Operation,
        name: &str,
        change: impl Fn(&mut RoleRecord) -> Result<(), ApiError>,
    ) -> Result<RoleRecord, ApiError> {
        self.records
            .until_written(|| async {
                let role = self.role(caller, operation, name).await?;
                let mut changed = role.record.clone();
                change(&mut changed)?;
                if changed == role.record {
                    return Ok(Some(changed));
                }
                let written = self.records.commit(vec![put(keys::role(name), &changed, role.unchanged())?]).await?;
                Ok(written.then_some(changed))
            })
            .await
    }

    pub(crate) fn role_arn(&self, role: &RoleRecord) -> String {
        self.role_arn_of(&role.path, &role.name)
    }

    fn role_arn_of(&self, path: &str, name: &str) -> String {
        format!("arn:aws:iam::{}:role{path}{name}", self.account())
    }

    fn shown_role(&self, role: &RoleRecord) -> api::Role {
        api::Role {
            path: role.path.clone(),
            role_name: role.name.clone(),
            role_id: role.id.clone(),
            arn: self.role_arn(role),
            create_date: seconds(role.created_ms),
            assume_role_policy_document: Some(shown_document(&role.trust)),
            description: role.description.clone(),
            max_session_duration: i32::try_from(role.max_session_s).ok(),
            permissions_boundary: None,
            tags: shown_tags_if_any(&role.tags),
            role_last_used: None,
        }
    }
}

fn check_trust(document: &str) -> Result<(), ApiError> {
    if chars(document) > TRUST_POLICY_CHARS {
        return Err(limit_exceeded(format!("Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_CHARS}")));
    }
    check_document(document, Kind::Trust)
}

fn session_s(given: Option<i32>) -> u32 {
    given.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(SESSION_DEFAULT_S)
}

fn has_policies(text: &str) -> ApiError {
    ApiError::new(&errors::DELETE_CONFLICT, text)
}
