//! What tools ask about users and the account around a deploy. Users are those of the access keys.

use hearth_api::ApiError;
use hearth_api::iam::Operation;
use hearth_api::iam::types as api;
use hearth_identity::Caller;
use hearth_identity::policy::Principal;
use hearth_types::identity::AccessKeyRecord;
use hearth_types::keys;

use super::{no_such, page};
use crate::{Neighbours, allow, seconds};

impl Neighbours {
    /// GetUser: the caller's own without a name.
    ///
    /// # Errors
    /// NoSuchEntity; a caller that is no user and names none.
    pub async fn get_user(
        &self,
        caller: &Caller,
        input: api::GetUserRequest,
    ) -> Result<api::GetUserResponse, ApiError> {
        let own = caller.arn();
        let name = match (&input.user_name, caller.principal()) {
            (Some(name), _) => name.clone(),
            (None, Principal::User { arn, .. }) => arn.rsplit('/').next().unwrap_or_default().to_owned(),
            (None, Principal::Root { .. }) => {
                allow(caller, Operation::GetUser, &own)?;
                return Ok(api::GetUserResponse { user: self.root(own) });
            }
            (None, _) => {
                return Err(ApiError::validation("Must specify userName when calling with non-User credentials"));
            }
        };
        let arn = format!("arn:aws:iam::{}:user/{name}", self.account());
        allow(caller, Operation::GetUser, &arn)?;
        let of_user = self.records.all(keys::ACCESS_KEYS, |key: &AccessKeyRecord| key.user == name).await?;
        let oldest = of_user.into_iter().min_by_key(|key| key.created_ms);
        let key = oldest.ok_or_else(|| no_such(format!("The user with name {name} cannot be found.")))?;
        let user = api::User {
            path: "/".to_owned(),
            user_name: name,
            user_id: key.user_id,
            arn,
            create_date: seconds(key.created_ms),
            ..api::User::default()
        };
        Ok(api::GetUserResponse { user })
    }

    /// ListAccountAliases: the account has none.
    ///
    /// # Errors
    /// A marker that is none of this list's.
    pub async fn list_account_aliases(
        &self,
        caller: &Caller,
        input: api::ListAccountAliasesRequest,
    ) -> Result<api::ListAccountAliasesResponse, ApiError> {
        allow(caller, Operation::ListAccountAliases, "*")?;
        page("account-aliases", input.marker.as_deref(), input.max_items)?;
        Ok(api::ListAccountAliasesResponse { is_truncated: Some(false), ..Default::default() })
    }

    /// ListInstanceProfilesForRole: no role has any.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_instance_profiles_for_role(
        &self,
        caller: &Caller,
        input: api::ListInstanceProfilesForRoleRequest,
    ) -> Result<api::ListInstanceProfilesForRoleResponse, ApiError> {
        page("instance-profiles", input.marker.as_deref(), input.max_items)?;
        self.role(caller, Operation::ListInstanceProfilesForRole, &input.role_name).await?;
        Ok(api::ListInstanceProfilesForRoleResponse { is_truncated: Some(false), ..Default::default() })
    }

    /// The owner of the account, who has no record: as old as time.
    fn root(&self, arn: String) -> api::User {
        api::User {
            path: "/".to_owned(),
            user_name: "root".to_owned(),
            user_id: self.account().to_owned(),
            arn,
            ..api::User::default()
        }
    }
}
