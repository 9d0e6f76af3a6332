//! Versions of managed policies.

use hearth_api::ApiError;
use hearth_api::iam::Operation;
use hearth_api::iam::types as api;
use hearth_identity::Caller;
use hearth_types::identity::{PolicyRecord, PolicyVersionRecord};
use hearth_types::limits::POLICY_VERSIONS;

use super::policies::{Managed, check_policy, delete_conflict};
use super::{limit_exceeded, no_such, page, page_of, shown_document};
use crate::{Neighbours, seconds};

impl Neighbours {
    /// CreatePolicyVersion.
    ///
    /// # Errors
    /// NoSuchEntity, MalformedPolicyDocument, LimitExceeded.
    pub async fn create_policy_version(
        &self,
        caller: &Caller,
        input: api::CreatePolicyVersionRequest,
    ) -> Result<api::CreatePolicyVersionResponse, ApiError> {
        check_policy(&input.policy_document)?;
        let now = self.now_ms();
        let made = |policy: &mut PolicyRecord| {
            if policy.versions.len() >= POLICY_VERSIONS {
                return Err(limit_exceeded(format!(
                    "A managed policy can have up to {POLICY_VERSIONS} versions. Before you create a new version, you \
                     must delete an existing version."
                )));
            }
            policy.last_version += 1;
            policy.updated_ms = now;
            if input.set_as_default == Some(true) {
                policy.default_version = policy.last_version;
            }
            let version = PolicyVersionRecord { document: input.policy_document.clone(), created_ms: now };
            policy.versions.insert(policy.last_version, version);
            Ok(())
        };
        let policy = self.change_policy(caller, Operation::CreatePolicyVersion, &input.policy_arn, made).await?;
        let shown = shown_versions(&policy).into_iter().find(|(number, _)| *number == policy.last_version);
        Ok(api::CreatePolicyVersionResponse { policy_version: shown.map(|(_, version)| version) })
    }

    /// GetPolicyVersion.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn get_policy_version(
        &self,
        caller: &Caller,
        input: api::GetPolicyVersionRequest,
    ) -> Result<api::GetPolicyVersionResponse, ApiError> {
        let missing = || no_version(&input.policy_arn, &input.version_id);
        let policy_version = match self.policy(caller, Operation::GetPolicyVersion, &input.policy_arn).await? {
            Managed::Customer(policy) => {
                let number = number(&input.version_id).ok_or_else(missing)?;
                let record = policy.record.versions.get(&number).ok_or_else(missing)?;
                let (_, version) = shown_versions(&policy.record)
                    .into_iter()
                    .find(|(found, _)| *found == number)
                    .ok_or_else(missing)?;
                api::PolicyVersion { document: Some(shown_document(&record.document)), ..version }
            }
            Managed::Aws(policy) if input.version_id == "v1" => {
                api::PolicyVersion { document: Some(shown_document(policy.document)), ..first_and_only() }
            }
            Managed::Aws(_) => return Err(missing()),
        };
        Ok(api::GetPolicyVersionResponse { policy_version: Some(policy_version) })
    }

    /// ListPolicyVersions, the newest first.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_policy_versions(
        &self,
        caller: &Caller,
        input: api::ListPolicyVersionsRequest,
    ) -> Result<api::ListPolicyVersionsResponse, ApiError> {
        let page = page("policy-versions", input.marker.as_deref(), input.max_items)?;
        let versions = match self.policy(caller, Operation::ListPolicyVersions, &input.policy_arn).await? {
            Managed::Customer(policy) => shown_versions(&policy.record),
            Managed::Aws(_) => vec![(1, first_and_only())],
        };
        let keyed = versions.into_iter().map(|(number, version)| (format!("{:010}", u32::MAX - number), version));
        let (versions, marker) = page_of(&page, keyed.rev().collect(), |(key, _)| key);
        Ok(api::ListPolicyVersionsResponse {
            versions: Some(versions.into_iter().map(|(_, version)| version).collect()),
            is_truncated: Some(marker.is_some()),
            marker,
        })
    }

    /// SetDefaultPolicyVersion.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn set_default_policy_version(
        &self,
        caller: &Caller,
        input: api::SetDefaultPolicyVersionRequest,
    ) -> Result<(), ApiError> {
        let now = self.now_ms();
        self.change_policy(caller, Operation::SetDefaultPolicyVersion, &input.policy_arn, |policy| {
            policy.default_version = existing(policy, &input.policy_arn, &input.version_id)?;
            policy.updated_ms = now;
            Ok(())
        })
        .await
        .map(drop)
    }

    /// DeletePolicyVersion.
    ///
    /// # Errors
    /// NoSuchEntity; DeleteConflict for the default one.
    pub async fn delete_policy_version(
        &self,
        caller: &Caller,
        input: api::DeletePolicyVersionRequest,
    ) -> Result<(), ApiError> {
        let now = self.now_ms();
        self.change_policy(caller, Operation::DeletePolicyVersion, &input.policy_arn, |policy| {
            let number = existing(policy, &input.policy_arn, &input.version_id)?;
            if number == policy.default_version {
                return Err(delete_conflict("Cannot delete the default version of a policy."));
            }
            policy.versions.remove(&number);
            policy.updated_ms = now;
            Ok(())
        })
        .await
        .map(drop)
    }
}

/// The number of `v3`, where the policy has it.
fn existing(policy: &PolicyRecord, arn: &str, version_id: &str) -> Result<u32, ApiError> {
    number(version_id).filter(|number| policy.versions.contains_key(number)).ok_or_else(|| no_version(arn, version_id))
}

/// Of `v3`; none for `v03`.
fn number(version_id: &str) -> Option<u32> {
    let digits = version_id.strip_prefix('v')?;
    digits.parse().ok().filter(|number: &u32| number.to_string() == digits)
}

/// All versions without their documents, by number.
fn shown_versions(policy: &PolicyRecord) -> Vec<(u32, api::PolicyVersion)> {
    let shown = |(number, version): (&u32, &PolicyVersionRecord)| {
        let shown = api::PolicyVersion {
            document: None,
            version_id: Some(format!("v{number}")),
            is_default_version: Some(*number == policy.default_version),
            create_date: Some(seconds(version.created_ms)),
        };
        (*number, shown)
    };
    policy.versions.iter().map(shown).collect()
}

/// Of one of AWS's own policies.
fn first_and_only() -> api::PolicyVersion {
    api::PolicyVersion { version_id: Some("v1".to_owned()), is_default_version: Some(true), ..Default::default() }
}

fn no_version(arn: &str, version_id: &str) -> ApiError {
    no_such(format!("Policy {arn} version {version_id} does not exist or is not attachable."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_ids_are_v_and_a_number() {
        assert_eq!((number("v3"), number("v03"), number("3"), number("v")), (Some(3), None, None, None));
    }
}
