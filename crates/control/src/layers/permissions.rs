//! AddLayerVersionPermission, RemoveLayerVersionPermission, GetLayerVersionPolicy.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::keys;
use hearth_types::policy::{Condition, Effect, Policy, Principal, Statement, StringEquals};

use super::LayerVersion;
use crate::Control;
use crate::policy::{self, Of};
use crate::records::{Loaded, TRIES, contended, put};

impl Control {
    /// AddLayerVersionPermission.
    ///
    /// # Errors
    /// As the real service.
    pub async fn add_layer_version_permission(
        &self,
        input: api::AddLayerVersionPermissionRequest,
    ) -> Result<api::AddLayerVersionPermissionResponse, ApiError> {
        let layer = self.layer_name(&input.layer_name)?;
        let statement = Statement {
            sid: input.statement_id,
            effect: Effect::Allow,
            principal: principal(&input.principal),
            action: input.action,
            resource: format!("{}:{}", self.layer_arn(&layer), input.version_number),
            condition: Condition {
                string_equals: StringEquals { principal_org_id: input.organization_id, ..StringEquals::default() },
                ..Condition::default()
            },
        };
        let text = statement.document();
        let known = input.revision_id.as_deref();
        let change = |policy| policy::added(policy, statement.clone(), known, Of::LayerVersion).map(Some);
        let policy = self.change_layer_policy(&layer, input.version_number, change).await?;
        Ok(api::AddLayerVersionPermissionResponse {
            statement: Some(text),
            revision_id: policy.map(|policy| policy.revision.to_string()),
        })
    }

    /// RemoveLayerVersionPermission.
    ///
    /// # Errors
    /// As the real service.
    pub async fn remove_layer_version_permission(
        &self,
        input: api::RemoveLayerVersionPermissionRequest,
    ) -> Result<(), ApiError> {
        let layer = self.layer_name(&input.layer_name)?;
        let (sid, known) = (input.statement_id.as_str(), input.revision_id.as_deref());
        let change = |policy| policy::removed(policy, sid, known, Of::LayerVersion);
        self.change_layer_policy(&layer, input.version_number, change).await.map(drop)
    }

    /// GetLayerVersionPolicy.
    ///
    /// # Errors
    /// As the real service.
    pub async fn get_layer_version_policy(
        &self,
        input: api::GetLayerVersionPolicyRequest,
    ) -> Result<api::GetLayerVersionPolicyResponse, ApiError> {
        let layer = self.layer_name(&input.layer_name)?;
        let version = self.needed_layer_version(&layer, input.version_number).await?.record;
        let policy = version.policy.ok_or_else(policy::none)?;
        Ok(api::GetLayerVersionPolicyResponse {
            policy: Some(policy.document()),
            revision_id: Some(policy.revision.to_string()),
        })
    }

    /// Writes the policy that `change` makes of the one that is there, and gives it.
    async fn change_layer_policy(
        &self,
        layer: &str,
        number: i64,
        change: impl Fn(Option<Policy>) -> Result<Option<Policy>, ApiError>,
    ) -> Result<Option<Policy>, ApiError> {
        for _ in 0..TRIES {
            let mut loaded = self.needed_layer_version(layer, number).await?;
            let version = &mut loaded.record;
            version.policy = change(version.policy.take())?;
            let key = keys::layer_version(layer, version.number);
            let write = put(key, &loaded.record, loaded.unchanged())?;
            if self.commit(vec![write]).await? {
                return Ok(loaded.record.policy);
            }
        }
        Err(contended())
    }

    /// The version, or the 404 that the operations on policies give.
    async fn needed_layer_version(&self, layer: &str, number: i64) -> Result<Loaded<LayerVersion>, ApiError> {
        let found = match u64::try_from(number) {
            Ok(number) => self.load_layer_version(layer, number).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| {
            ApiError::not_found(format!("Layer version {}:{number} does not exist.", self.layer_arn(layer)))
        })
    }
}

/// `*`, an account's number, or the ARN of its root: the model takes no others.
fn principal(text: &str) -> Principal {
    match text {
        "*" => Principal::Everyone,
        arn if arn.starts_with("arn:") => Principal::Aws(arn.to_owned()),
        account => Principal::Aws(format!("arn:aws:iam::{account}:root")),
    }
}
