//! Who sent a request, and what that one may do.

use std::sync::Arc;

use crate::policy::{Asked, Context, Decision, Denial, Document, Policies, Principal, Source, evaluate};

/// The text of an AccessDenied error.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct AccessDenied(pub String);

/// Who sent a request, as far as it was checked.
#[derive(Clone, Debug)]
pub struct Caller {
    principal: Principal,
    user_id: String,
    rights: Rights,
    /// What is known of the request: time, address, ...
    context: Context,
}

/// What a caller may do.
#[derive(Clone, Debug)]
pub enum Rights {
    /// Everything: the door is open, and nobody's credentials are checked.
    Everything,
    /// What these policies allow.
    By {
        /// Of the user or the role.
        identity: Vec<Arc<Document>>,
        /// Of the session.
        session: Option<Arc<Document>>,
    },
}

impl Caller {
    /// Somebody. The keys of the context that follow from who it is are set here.
    #[must_use]
    pub fn new(principal: Principal, user_id: impl Into<String>, rights: Rights, mut context: Context) -> Self {
        let user_id = user_id.into();
        context.set("aws:userid", &*user_id);
        let (account, arn, kind) = match &principal {
            Principal::Root { account } => (Some(account), Some(principal.shown()), "Account"),
            Principal::User { account, arn } => {
                context.set("aws:username", arn.rsplit('/').next().unwrap_or_default());
                (Some(account), Some(arn.clone()), "User")
            }
            Principal::Session { account, role_arn, .. } => (Some(account), Some(role_arn.clone()), "AssumedRole"),
            Principal::Service(_) => (None, None, "Service"),
            Principal::Anonymous => (None, None, "Anonymous"),
        };
        context.set("aws:PrincipalType", kind);
        if let (Some(account), Some(arn)) = (account, arn) {
            context.set("aws:PrincipalAccount", account);
            context.set("aws:PrincipalArn", arn);
        }
        Self { principal, user_id, rights, context }
    }

    /// Who it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The ARN that GetCallerIdentity shows.
    #[must_use]
    pub fn arn(&self) -> String {
        self.principal.shown()
    }

    /// The UserId that GetCallerIdentity shows.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Whether it was let in without a look at its credentials.
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        matches!(self.rights, Rights::Everything)
    }

    /// Whether its policies speak of the tags of what it asks for.
    #[must_use]
    pub fn needs_resource_tags(&self) -> bool {
        let Rights::By { identity, session } = &self.rights else { return false };
        identity.iter().chain(session).any(|document| document.names_resource_tags())
    }

    /// Asks for `action` on `resource`, an ARN or `*`; `policy` is the resource's own, and `more` what is known besides.
    ///
    /// # Errors
    /// When it is denied, with the text to answer.
    pub fn may(
        &self,
        action: &str,
        resource: &str,
        policy: Option<&Document>,
        more: &[(&str, &str)],
    ) -> Result<(), AccessDenied> {
        let more = more.iter().fold(Context::default(), |context, (key, value)| context.with(key, *value));
        self.may_in(action, resource, policy, more)
    }

    /// The same with keys that may have many values.
    ///
    /// # Errors
    /// When it is denied, with the text to answer.
    pub fn may_in(
        &self,
        action: &str,
        resource: &str,
        policy: Option<&Document>,
        more: Context,
    ) -> Result<(), AccessDenied> {
        let Rights::By { identity, session } = &self.rights else { return Ok(()) };
        let mut context = self.context.clone();
        context.extend(more);
        let identity: Vec<&Document> = identity.iter().map(AsRef::as_ref).collect();
        let policies = Policies { identity: &identity, session: session.as_deref(), resource: policy };
        match evaluate(&self.principal, Asked { action, resource, context: &context }, policies) {
            Decision::Allowed => Ok(()),
            Decision::Denied(denial) => Err(AccessDenied(denial.message(&self.principal, action, resource))),
        }
    }

    /// Asks to assume a role whose trust policy is this: the trust alone is enough where it names the caller, and where it
    /// names the account only, the caller's own policies must allow it too.
    ///
    /// # Errors
    /// When it is denied, with the text to answer.
    pub fn may_assume(&self, role_arn: &str, trust: &Document, more: &[(&str, &str)]) -> Result<(), AccessDenied> {
        use crate::policy::Granted;
        let Rights::By { .. } = &self.rights else { return Ok(()) };
        let action = "sts:AssumeRole";
        let denied = |denial: Denial| AccessDenied(denial.message(&self.principal, action, role_arn));
        let mut context = self.context.clone();
        for (key, value) in more {
            context.set(key, *value);
        }
        let granted = trust.grants(&self.principal, Asked { action, resource: role_arn, context: &context });
        match granted {
            Granted::No => Err(denied(Denial::Nothing(Source::Trust))),
            Granted::Denied => Err(denied(Denial::Explicit(Source::Trust))),
            // What denies in the caller's own policies counts too.
            Granted::Directly | Granted::ToAccount => self.may(action, role_arn, Some(trust), more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Kind;

    const ROLE: &str = "arn:aws:iam::000000000000:role/r";

    fn user(policies: &[&str]) -> Caller {
        let principal = Principal::User {
            account: "000000000000".to_owned(),
            arn: "arn:aws:iam::000000000000:user/ann".to_owned(),
        };
        let identity = policies.iter().map(|text| Arc::new(Document::parse(text, Kind::Identity).unwrap())).collect();
        Caller::new(principal, "AIDA", Rights::By { identity, session: None }, Context::default())
    }

    #[test]
    fn keys_of_the_caller_are_known() {
        let own = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject",
            "Resource":"arn:aws:s3:::b/${aws:username}/*","Condition":{"StringEquals":{"s3:x":"1"}}}}"#;
        let caller = user(&[own]);
        assert!(caller.may("s3:GetObject", "arn:aws:s3:::b/ann/k", None, &[("s3:x", "1")]).is_ok());
        let error = caller.may("s3:GetObject", "arn:aws:s3:::b/bob/k", None, &[("s3:x", "1")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "User: arn:aws:iam::000000000000:user/ann is not authorized to perform: s3:GetObject on resource: \
             arn:aws:s3:::b/bob/k because no identity-based policy allows the s3:GetObject action"
        );
    }

    #[test]
    fn a_role_is_assumed_by_whom_it_trusts() {
        let trust = |who: &str| {
            let text = format!(
                r#"{{"Statement":{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{{"AWS":"{who}"}}}}}}"#
            );
            Document::parse(&text, Kind::Trust).unwrap()
        };
        let allow = r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}"#;
        let deny = r#"{"Statement":{"Effect":"Deny","Action":"sts:*","Resource":"*"}}"#;
        let may = |policies: &[&str], who: &str| user(policies).may_assume(ROLE, &trust(who), &[]).is_ok();
        let ann = "arn:aws:iam::000000000000:user/ann";
        assert!(may(&[], ann) && may(&[allow], "000000000000"));
        let error = user(&[]).may_assume(ROLE, &trust("111111111111"), &[]).unwrap_err().to_string();
        assert!(error.ends_with("because no role trust policy allows the sts:AssumeRole action"), "{error}");
        assert!(!may(&[], "000000000000") && !may(&[allow], "111111111111") && !may(&[deny], ann));
    }
}
