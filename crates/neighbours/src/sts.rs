//! STS: who somebody is, and credentials of roles.

use std::time::Duration;

use hearth_api::sts::types as api;
use hearth_api::sts::{Operation, errors};
use hearth_api::{ApiError, Timestamp};
use hearth_identity::Caller;
use hearth_identity::policy::{Denial, Document, Kind, Principal, Source};
use hearth_identity::session::Session;
use hearth_store::typed::Loaded;
use hearth_types::identity::RoleRecord;
use hearth_types::keys;
use hearth_types::limits::{SESSION_CHAINED_S, SESSION_DEFAULT_S, SESSION_POLICY_CHARS};

use crate::{Neighbours, random};

impl Neighbours {
    /// GetCallerIdentity: no policy can deny it.
    #[must_use]
    pub fn get_caller_identity(&self, caller: &Caller) -> api::GetCallerIdentityResponse {
        let account = match caller.principal() {
            Principal::Root { account } | Principal::User { account, .. } | Principal::Session { account, .. } => {
                account
            }
            Principal::Service(_) | Principal::Anonymous => self.account(),
        };
        api::GetCallerIdentityResponse {
            user_id: Some(caller.user_id().to_owned()),
            account: Some(account.to_owned()),
            arn: Some(caller.arn()),
        }
    }

    /// AssumeRole. Where nobody's credentials are checked, a role need not be there, as with functions' roles.
    ///
    /// # Errors
    /// AccessDenied where the role's trust policy does not mean the caller; a duration that the role does not allow;
    /// MalformedPolicyDocument. Tags, managed policies, MFA and source identities of sessions are refused.
    pub async fn assume_role(
        &self,
        caller: &Caller,
        input: api::AssumeRoleRequest,
    ) -> Result<api::AssumeRoleResponse, ApiError> {
        refuse_unsupported(&input)?;
        let arn = &input.role_arn;
        let role = self.role_to_assume(arn).await?;
        check_trust(caller, role.as_ref(), &input)?;
        let lasts_s = duration_s(input.duration_seconds, caller, role.as_ref())?;
        if let Some(policy) = &input.policy {
            let malformed = |cause| ApiError::new(&errors::MALFORMED_POLICY_DOCUMENT, format!("{cause}"));
            Document::parse(policy, Kind::Identity).map_err(malformed)?;
        }
        let expires = self.parts.clock.now() + Duration::from_secs(u64::from(lasts_s));
        let session = Session {
            role_arn: role.as_ref().map_or_else(|| arn.clone(), |role| self.role_arn(role)),
            role_id: role.map(|role| role.id),
            name: input.role_session_name,
            expires_s: i64::try_from(expires.as_secs()).unwrap_or(i64::MAX),
            policy: input.policy,
            function_arn: None,
        };
        let credentials = self.sessions.issue(&session, random()?);
        Ok(api::AssumeRoleResponse {
            credentials: Some(api::Credentials {
                access_key_id: credentials.access_key_id,
                secret_access_key: credentials.secret.reveal().to_owned(),
                session_token: credentials.session_token.unwrap_or_default(),
                expiration: Timestamp(session.expires_s.saturating_mul(1000)),
            }),
            assumed_role_user: Some(api::AssumedRoleUser { assumed_role_id: session.user_id(), arn: session.arn() }),
            packed_policy_size: session.policy.as_deref().map(percent_used),
            source_identity: None,
        })
    }

    async fn role_to_assume(&self, arn: &str) -> Result<Option<RoleRecord>, ApiError> {
        let name = role_name(arn).ok_or_else(|| ApiError::validation("Request ARN is invalid"))?;
        let found: Option<Loaded<RoleRecord>> = self.records.read(&keys::role(name)).await?;
        Ok(found.map(|role| role.record).filter(|role| self.role_arn(role) == arn))
    }
}

/// The bare name in `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
fn role_name(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "iam", "", account, resource] = parts[..] else { return None };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
    (is_account && !name.is_empty()).then_some(name)
}

fn check_trust(caller: &Caller, role: Option<&RoleRecord>, input: &api::AssumeRoleRequest) -> Result<(), ApiError> {
    let denied = |text: String| ApiError::access_denied(Some(text));
    let Some(role) = role else {
        if caller.is_unchecked() {
            return Ok(());
        }
        // Nobody learns by it whether there is such a role.
        let absent = Denial::Nothing(Source::Trust);
        return Err(denied(absent.message(caller.principal(), Operation::AssumeRole.iam_action(), &input.role_arn)));
    };
    // It was one when it was written.
    let trust = Document::parse(&role.trust, Kind::Trust)
        .map_err(|_| ApiError::service("The role's trust policy cannot be read."))?;
    let mut more = vec![("sts:RoleSessionName", input.role_session_name.as_str())];
    if let Some(id) = &input.external_id {
        more.push(("sts:ExternalId", id));
    }
    caller.may_assume(&input.role_arn, &trust, &more).map_err(|cause| denied(cause.to_string()))
}

/// Seconds that the session lasts.
fn duration_s(given: Option<i32>, caller: &Caller, role: Option<&RoleRecord>) -> Result<u32, ApiError> {
    let seconds = given.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(SESSION_DEFAULT_S);
    if matches!(caller.principal(), Principal::Session { .. }) && seconds > SESSION_CHAINED_S {
        return Err(ApiError::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    if role.is_some_and(|role| seconds > role.max_session_s) {
        return Err(ApiError::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(seconds)
}

/// How much of the room for policies a session's takes.
fn percent_used(policy: &str) -> i32 {
    i32::try_from((policy.chars().count() * 100).div_ceil(SESSION_POLICY_CHARS)).unwrap_or(100)
}

fn refuse_unsupported(input: &api::AssumeRoleRequest) -> Result<(), ApiError> {
    let is_some = |list: Option<usize>| list.is_some_and(|length| length > 0);
    let given = [
        ("PolicyArns", is_some(input.policy_arns.as_ref().map(Vec::len))),
        ("Tags", is_some(input.tags.as_ref().map(Vec::len))),
        ("TransitiveTagKeys", is_some(input.transitive_tag_keys.as_ref().map(Vec::len))),
        ("ProvidedContexts", is_some(input.provided_contexts.as_ref().map(Vec::len))),
        ("SerialNumber", input.serial_number.is_some()),
        ("TokenCode", input.token_code.is_some()),
        ("SourceIdentity", input.source_identity.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((member, _)) => Err(ApiError::unsupported_member(Operation::AssumeRole, member)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_by_whole_arns() {
        assert_eq!(role_name("arn:aws:iam::000000000000:role/team/r"), Some("r"));
        for text in
            ["arn:aws:iam::000000000000:role/", "arn:aws:iam::1:role/r", "arn:aws:iam::000000000000:user/u", "r"]
        {
            assert_eq!(role_name(text), None, "{text}");
        }
    }

    #[test]
    fn policies_fill_the_room_by_percents() {
        assert_eq!((percent_used("{}"), percent_used(&"x".repeat(SESSION_POLICY_CHARS))), (1, 100));
    }
}
