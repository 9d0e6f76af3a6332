//! Managed policies: those of customers, with their records, and AWS's own.

use std::collections::{BTreeMap, HashMap};

use hearth_api::ApiError;
use hearth_api::iam::types as api;
use hearth_api::iam::{Operation, errors};
use hearth_identity::Caller;
use hearth_identity::ids::{ID_BYTES, IdKind, new_id};
use hearth_identity::managed::{self, ManagedPolicy};
use hearth_identity::policy::Kind;
use hearth_store::typed::Loaded;
use hearth_store::{Precondition, Write};
use hearth_types::identity::{AccessKeyRecord, PolicyRecord, PolicyVersionRecord, RoleRecord};
use hearth_types::limits::MANAGED_POLICY_CHARS;
use hearth_types::{CodeDigest, keys};

use super::{chars, check_document, limit_exceeded, no_such, page, page_of, shown_tags, shown_tags_if_any, tags};
use crate::{Neighbours, allow, random, seconds};
use hearth_records::put;

/// Whoever has a role of policies attached: how many there are of each ARN.
type Attachments = HashMap<String, usize>;

/// A managed policy, whosever it is.
pub(super) enum Managed {
    Customer(Loaded<PolicyRecord>),
    Aws(&'static ManagedPolicy),
}

impl Managed {
    pub(super) fn tags(&self) -> Vec<api::Tag> {
        match self {
            Self::Customer(policy) => shown_tags(&policy.record.tags),
            Self::Aws(_) => Vec::new(),
        }
    }
}

impl Neighbours {
    /// CreatePolicy.
    ///
    /// # Errors
    /// EntityAlreadyExists, MalformedPolicyDocument, LimitExceeded, InvalidInput.
    pub async fn create_policy(
        &self,
        caller: &Caller,
        input: api::CreatePolicyRequest,
    ) -> Result<api::CreatePolicyResponse, ApiError> {
        let path = input.path.unwrap_or_else(|| "/".to_owned());
        allow(caller, Operation::CreatePolicy, &self.policy_arn_of(&path, &input.policy_name))?;
        check_policy(&input.policy_document)?;
        let now = self.now_ms();
        let policy = PolicyRecord {
            name: input.policy_name,
            path,
            id: new_id(IdKind::Policy, random()?),
            description: input.description,
            versions: BTreeMap::from([(1, PolicyVersionRecord { document: input.policy_document, created_ms: now })]),
            default_version: 1,
            last_version: 1,
            tags: tags::given(input.tags.unwrap_or_default())?,
            created_ms: now,
            updated_ms: now,
        };
        if !self.records.commit(vec![put(keys::policy(&policy.name), &policy, Precondition::Absent)?]).await? {
            let text = format!("A policy called {} already exists. Duplicate names are not allowed.", policy.name);
            return Err(ApiError::new(&errors::ENTITY_ALREADY_EXISTS, text));
        }
        // The answer leaves the description out, as the real one does.
        let shown = api::Policy { description: None, ..self.shown_policy(&policy, 0) };
        Ok(api::CreatePolicyResponse { policy: Some(shown) })
    }

    /// GetPolicy, of AWS's own too.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn get_policy(
        &self,
        caller: &Caller,
        input: api::GetPolicyRequest,
    ) -> Result<api::GetPolicyResponse, ApiError> {
        let policy = self.policy(caller, Operation::GetPolicy, &input.policy_arn).await?;
        let count = self.attachments().await?.get(&input.policy_arn).copied().unwrap_or(0);
        let shown = match &policy {
            Managed::Customer(policy) => self.shown_policy(&policy.record, count),
            Managed::Aws(policy) => shown_aws_policy(policy, count),
        };
        Ok(api::GetPolicyResponse { policy: Some(shown) })
    }

    /// ListPolicies: the customer's, then AWS's own that Hearth has.
    ///
    /// # Errors
    /// A marker that is none of this list's.
    pub async fn list_policies(
        &self,
        caller: &Caller,
        input: api::ListPoliciesRequest,
    ) -> Result<api::ListPoliciesResponse, ApiError> {
        allow(caller, Operation::ListPolicies, "*")?;
        let page = page("policies", input.marker.as_deref(), input.max_items)?;
        // Nothing is anybody's permissions boundary here.
        let boundaries = input.policy_usage_filter == Some(api::PolicyUsageType::PermissionsBoundary);
        let attached = self.attachments().await?;
        let count = |arn: &str| attached.get(arn).copied().unwrap_or(0);
        let prefix = input.path_prefix.unwrap_or_default();
        let wanted = |path: &str, arn: &str| {
            !boundaries && path.starts_with(&prefix) && (input.only_attached != Some(true) || count(arn) > 0)
        };
        let scope = input.scope.unwrap_or(api::PolicyScopeType::All);
        let mut entries = Vec::new();
        if scope != api::PolicyScopeType::Aws {
            for policy in self.records.all::<PolicyRecord>(keys::POLICIES, |_| true).await? {
                let arn = self.policy_arn(&policy);
                if wanted(&policy.path, &arn) {
                    let shown =
                        api::Policy { description: None, tags: None, ..self.shown_policy(&policy, count(&arn)) };
                    entries.push((format!("customer/{}", policy.name.to_ascii_lowercase()), shown));
                }
            }
        }
        if scope != api::PolicyScopeType::Local {
            let aws = managed::all().iter().filter(|policy| wanted(policy.path, &policy.arn()));
            let by_aws = |policy: &ManagedPolicy| format!("of-aws/{}", policy.arn());
            entries.extend(aws.map(|policy| (by_aws(policy), shown_aws_policy(policy, count(&policy.arn())))));
        }
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let (entries, marker) = page_of(&page, entries, |(key, _)| key);
        Ok(api::ListPoliciesResponse {
            policies: Some(entries.into_iter().map(|(_, policy)| policy).collect()),
            is_truncated: Some(marker.is_some()),
            marker,
        })
    }

    /// DeletePolicy.
    ///
    /// # Errors
    /// NoSuchEntity; DeleteConflict as long as it is attached or has versions besides the default one.
    pub async fn delete_policy(&self, caller: &Caller, input: api::DeletePolicyRequest) -> Result<(), ApiError> {
        self.records.until_written(|| async {
            let policy = self.customer_policy(caller, Operation::DeletePolicy, &input.policy_arn).await?;
            if self.attachments().await?.contains_key(&input.policy_arn) {
                return Err(delete_conflict("Cannot delete a policy attached to entities."));
            }
            if policy.record.versions.len() > 1 {
                return Err(delete_conflict(
                    "This policy has more than one version. Before you delete a policy, you must delete the policy's \
                     versions. The default version is deleted with the policy.",
                ));
            }
            // Attaching it writes it too, so that one that was attached meanwhile stays.
            let delete = Write::delete(keys::policy(&policy.record.name), policy.unchanged());
            Ok(self.records.commit(vec![delete]).await?.then_some(()))
        })
        .await
    }

    /// The policy that an operation is about, where the caller may do it.
    pub(super) async fn policy(&self, caller: &Caller, operation: Operation, arn: &str) -> Result<Managed, ApiError> {
        allow(caller, operation, arn)?;
        self.managed(arn).await?.ok_or_else(|| not_found(arn))
    }

    /// The same for an operation that changes it: AWS's own are nobody's to change.
    pub(super) async fn customer_policy(
        &self,
        caller: &Caller,
        operation: Operation,
        arn: &str,
    ) -> Result<Loaded<PolicyRecord>, ApiError> {
        match self.policy(caller, operation, arn).await? {
            Managed::Customer(policy) => Ok(policy),
            Managed::Aws(_) => {
                let (who, action) = (caller.arn(), operation.iam_action());
                let text = format!("User: {who} is not authorized to perform: {action} on resource: policy {arn}");
                Err(ApiError::access_denied(Some(text)))
            }
        }
    }

    /// The managed policy of an ARN.
    pub(super) async fn managed(&self, arn: &str) -> Result<Option<Managed>, ApiError> {
        if let Some(policy) = managed::find(arn) {
            return Ok(Some(Managed::Aws(policy)));
        }
        let Some((_, name)) = arn.rsplit_once('/') else { return Ok(None) };
        let found: Option<Loaded<PolicyRecord>> = self.records.read(&keys::policy(name)).await?;
        Ok(found.filter(|policy| self.policy_arn(&policy.record) == arn).map(Managed::Customer))
    }

    /// Changes a customer's policy; what it then is.
    pub(super) async fn change_policy(
        &self,
        caller: &Caller,
        operation: Operation,
        arn: &str,
        change: impl Fn(&mut PolicyRecord) -> Result<(), ApiError>,
    ) -> Result<PolicyRecord, ApiError> {
        self.records
            .until_written(|| async {
                let policy = self.customer_policy(caller, operation, arn).await?;
                let mut changed = policy.record.clone();
                change(&mut changed)?;
                let write = put(keys::policy(&changed.name), &changed, policy.unchanged())?;
                Ok(self.records.commit(vec![write]).await?.then_some(changed))
            })
            .await
    }

    /// How many roles and users have each managed policy.
    async fn attachments(&self) -> Result<Attachments, ApiError> {
        let mut count = Attachments::new();
        let has_some = |role: &RoleRecord| !role.attached.is_empty();
        for role in self.records.all::<RoleRecord>(keys::ROLES, has_some).await? {
            for arn in role.attached {
                *count.entry(arn).or_default() += 1;
            }
        }
        let mut users: Vec<(String, String)> = Vec::new();
        for key in self.records.all::<AccessKeyRecord>(keys::ACCESS_KEYS, |key| !key.attached.is_empty()).await? {
            users.extend(key.attached.into_iter().map(|arn| (key.user.clone(), arn)));
        }
        users.sort();
        users.dedup();
        for (_, arn) in users {
            *count.entry(arn).or_default() += 1;
        }
        Ok(count)
    }

    pub(super) fn policy_arn(&self, policy: &PolicyRecord) -> String {
        self.policy_arn_of(&policy.path, &policy.name)
    }

    fn policy_arn_of(&self, path: &str, name: &str) -> String {
        format!("arn:aws:iam::{}:policy{path}{name}", self.account())
    }

    fn shown_policy(&self, policy: &PolicyRecord, attachments: usize) -> api::Policy {
        api::Policy {
            policy_name: Some(policy.name.clone()),
            policy_id: Some(policy.id.clone()),
            arn: Some(self.policy_arn(policy)),
            path: Some(policy.path.clone()),
            default_version_id: Some(format!("v{}", policy.default_version)),
            description: policy.description.clone(),
            create_date: Some(seconds(policy.created_ms)),
            update_date: Some(seconds(policy.updated_ms)),
            tags: shown_tags_if_any(&policy.tags),
            ..attachable(attachments)
        }
    }
}

/// When AWS made its own policies is not known here, and so not said.
fn shown_aws_policy(policy: &ManagedPolicy, attachments: usize) -> api::Policy {
    let arn = policy.arn();
    // An id that is the same each time.
    let mut from_arn = [0; ID_BYTES];
    from_arn.copy_from_slice(&CodeDigest::of(arn.as_bytes()).0[..ID_BYTES]);
    api::Policy {
        policy_name: Some(policy.name.to_owned()),
        policy_id: Some(new_id(IdKind::Policy, from_arn)),
        arn: Some(arn),
        path: Some(policy.path.to_owned()),
        default_version_id: Some("v1".to_owned()),
        ..attachable(attachments)
    }
}

fn attachable(attachments: usize) -> api::Policy {
    api::Policy {
        attachment_count: Some(i32::try_from(attachments).unwrap_or(i32::MAX)),
        permissions_boundary_usage_count: Some(0),
        is_attachable: Some(true),
        ..api::Policy::default()
    }
}

pub(super) fn check_policy(document: &str) -> Result<(), ApiError> {
    if chars(document) > MANAGED_POLICY_CHARS {
        return Err(limit_exceeded(format!("Cannot exceed quota for PolicySize: {MANAGED_POLICY_CHARS}")));
    }
    check_document(document, Kind::Identity)
}

pub(super) fn not_found(arn: &str) -> ApiError {
    no_such(format!("Policy {arn} was not found."))
}

pub(super) fn delete_conflict(text: &str) -> ApiError {
    ApiError::new(&errors::DELETE_CONFLICT, text)
}
