//! AddPermission, RemovePermission, GetPolicy: who else may use a function.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::keys::Part;
use hearth_types::policy::{ArnLike, BoolEquals, Condition, Effect, Policy, Principal, Statement, StringEquals};
use hearth_types::{Qualifier, RevisionId, Target};

use crate::named::Named;
use crate::policy::{self, Of};
use crate::records::{Loaded, TRIES, as_found, contended};
use crate::{Control, invalid};

/// The one action that FunctionUrlAuthType speaks of.
const INVOKE_URL: &str = "lambda:InvokeFunctionUrl";

impl Control {
    /// AddPermission.
    ///
    /// # Errors
    /// As the real service.
    pub async fn add_permission(
        &self,
        input: api::AddPermissionRequest,
    ) -> Result<api::AddPermissionResponse, ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        if target.qualifier.as_deref().map(Qualifier::from) == Some(Qualifier::Latest) {
            return Err(invalid("We currently do not support adding policies for $LATEST."));
        }
        let resource = self.parts.place.arn_as_asked(&target).to_string();
        for _ in 0..TRIES {
            let owner = self.owner_of_policy(&target).await?;
            let found = self.part::<Policy>(Part::Policy, &target).await?;
            let before = as_found(found.as_ref());
            let statement = statement(&input, resource.clone())?;
            let text = statement.document();
            let policy = found.map(|found| found.record);
            let policy = policy::added(policy, statement, input.revision_id.as_deref(), owner.of())?;
            if self.replace_part(Part::Policy, &target, &owner.function, before, Some(&policy)).await? {
                return Ok(api::AddPermissionResponse { statement: Some(text) });
            }
        }
        Err(contended())
    }

    /// RemovePermission.
    ///
    /// # Errors
    /// As the real service.
    pub async fn remove_permission(&self, input: api::RemovePermissionRequest) -> Result<(), ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let (sid, known) = (input.statement_id.as_str(), input.revision_id.as_deref());
        for _ in 0..TRIES {
            if self.load(&target.name).await?.is_none() {
                let arn = self.parts.place.arn_as_asked(&target);
                return Err(ApiError::not_found(format!("No policy found for: {arn}")));
            }
            let owner = self.owner_of_policy(&target).await?;
            let found = self.part::<Policy>(Part::Policy, &target).await?;
            let before = as_found(found.as_ref());
            let policy = policy::removed(found.map(|found| found.record), sid, known, owner.of())?;
            if self.replace_part(Part::Policy, &target, &owner.function, before, policy.as_ref()).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// GetPolicy.
    ///
    /// # Errors
    /// One text for all that is not there: the function, the version, the alias, the policy (observed).
    pub async fn get_policy(&self, input: api::GetPolicyRequest) -> Result<api::GetPolicyResponse, ApiError> {
        let target = self.resolve(&input.function_name, input.qualifier.as_deref())?;
        let is_latest = target.qualifier.as_deref().map(Qualifier::from) == Some(Qualifier::Latest);
        let found = if is_latest { None } else { self.part::<Policy>(Part::Policy, &target).await? };
        let policy = found.ok_or_else(|| ApiError::not_found("The resource you requested does not exist."))?.record;
        Ok(api::GetPolicyResponse { policy: Some(policy.document()), revision_id: Some(policy.revision.to_string()) })
    }

    /// The function, where it has the version or the alias that is asked for.
    async fn owner_of_policy(&self, target: &Target) -> Result<Owner, ApiError> {
        let function = self.function(&Target { qualifier: None, ..target.clone() }).await?;
        let qualifier = target.qualifier.as_deref();
        let revision = match (self.named(&target.name, qualifier).await?, qualifier) {
            (Some(Named::Version(_, version)), _) => version.record.revision,
            (Some(Named::Alias(alias)), _) => alias.record.revision,
            (Some(Named::Latest), _) => function.record.latest.revision,
            (None, Some(alias)) if could_be_alias(alias) => return Err(self.alias_not_found(&target.name, alias)),
            (None, _) => return Err(self.function_not_found(target)),
        };
        Ok(Owner { function, revision })
    }
}

/// What a policy belongs to.
struct Owner {
    function: Loaded,
    /// Of the function, version or alias itself.
    revision: RevisionId,
}

impl Owner {
    fn of(&self) -> Of {
        Of::Function(self.revision)
    }
}

/// Whether an alias can have this name. The service looks for no alias of another name (observed).
fn could_be_alias(qualifier: &str) -> bool {
    matches!(Qualifier::from(qualifier), Qualifier::Alias(name)
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'))
}

/// What a request asks for, as the policy keeps it.
fn statement(input: &api::AddPermissionRequest, resource: String) -> Result<Statement, ApiError> {
    if input.function_url_auth_type.is_some() && input.action != INVOKE_URL {
        return Err(invalid(format!("FunctionUrlAuthType is only supported for {INVOKE_URL} action")));
    }
    let truth = || BoolEquals { invoked_via_function_url: true.to_string() };
    Ok(Statement {
        sid: input.statement_id.clone(),
        effect: Effect::Allow,
        principal: principal(&input.principal)?,
        action: input.action.clone(),
        resource,
        condition: Condition {
            string_equals: StringEquals {
                source_account: input.source_account.clone(),
                event_source_token: input.event_source_token.clone(),
                function_url_auth_type: input.function_url_auth_type.map(|kind| kind.as_str().to_owned()),
                principal_org_id: input.principal_org_id.clone(),
            },
            arn_like: input.source_arn.clone().map(|source_arn| ArnLike { source_arn }),
            bool: (input.invoked_via_function_url == Some(true)).then(truth),
        },
    })
}

/// `*`, an account's number, the ARN of somebody in an account, or a service of AWS.
fn principal(text: &str) -> Result<Principal, ApiError> {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["*"] => Ok(Principal::Everyone),
        [account] if is_account(account) => Ok(Principal::Aws(format!("arn:aws:iam::{account}:root"))),
        [service] if is_service(service) => Ok(Principal::Service((*service).to_owned())),
        ["arn", _, "iam" | "sts", "", account, who] if is_account(account) && is_identity(who) => {
            Ok(Principal::Aws(text.to_owned()))
        }
        _ => Err(invalid("The provided principal was invalid. Please check the principal and try again.")),
    }
}

fn is_identity(who: &str) -> bool {
    let kinds = ["user/", "role/", "assumed-role/", "federated-user/"];
    who == "root" || kinds.iter().any(|kind| who.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
}

fn is_service(text: &str) -> bool {
    let name = [".amazonaws.com", ".amazonaws.com.cn", ".amazon.com"].iter().find_map(|end| text.strip_suffix(end));
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.is_some_and(|name| name.split('.').all(is_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_everyone_accounts_identities_and_services() {
        let aws = |arn: &str| Principal::Aws(arn.to_owned());
        assert_eq!(principal("*").unwrap(), Principal::Everyone);
        assert_eq!(principal("123456789012").unwrap(), aws("arn:aws:iam::123456789012:root"));
        for arn in ["iam::123456789012:root", "iam::123456789012:user/a/b", "sts::123456789012:assumed-role/r/s"] {
            let arn = format!("arn:aws:{arn}");
            assert_eq!(principal(&arn).unwrap(), aws(&arn));
        }
        for service in ["s3.amazonaws.com", "states.us-east-1.amazonaws.com", "alexa-appkit.amazon.com"] {
            assert_eq!(principal(service).unwrap(), Principal::Service(service.to_owned()));
        }
        for other in [
            "invalid.nonaws.com",
            ".amazonaws.com",
            "12345678901",
            "arn:aws:iam::12345:root",
            "arn:aws:iam::123456789012:user/",
            "arn:aws:s3:::bucket",
            "S3",
        ] {
            assert!(
                principal(other).unwrap_err().to_string().contains("The provided principal was invalid."),
                "{other}"
            );
        }
    }
}
