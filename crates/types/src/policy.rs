//! Resource policies: who else may use a function or a layer version. As stored, a statement is what the policy document
//! shows (observed: the order of its members too).

use serde::{Deserialize, Serialize};

use crate::ids::RevisionId;

/// The policy of an unqualified function, a version, an alias or a layer version. It has at least one statement: without
/// any there is no policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// Changes with every statement that is added or removed.
    pub revision: RevisionId,
    /// In the order in which they were added; each has a Sid of its own.
    pub statements: Vec<Statement>,
}

/// Lets a principal do something under conditions. All statements allow: none can deny.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// StatementId, unique in its policy.
    pub sid: String,
    /// Always the same.
    pub effect: Effect,
    /// Who.
    pub principal: Principal,
    /// `lambda:InvokeFunction`, `lambda:*`, ...
    pub action: String,
    /// The ARN of what the policy belongs to, with its qualifier where it has one.
    pub resource: String,
    /// All of these must hold.
    #[serde(default, skip_serializing_if = "Condition::is_empty")]
    pub condition: Condition,
}

/// What a statement does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Effect {
    /// The only one that these policies know.
    Allow,
}

/// Whom a statement means.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Principal {
    /// Anybody.
    #[serde(rename = "*")]
    Everyone,
    /// A service: `s3.amazonaws.com`.
    Service(String),
    /// An account (the ARN of its root), a user or a role, as ARN.
    #[serde(rename = "AWS")]
    Aws(String),
}

/// What must hold besides; a member that is absent demands nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Condition {
    /// The same text.
    #[serde(default, skip_serializing_if = "StringEquals::is_empty")]
    pub string_equals: StringEquals,
    /// The same ARN; `*` and `?` stand for other text within one part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn_like: Option<ArnLike>,
    /// The same truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bool: Option<BoolEquals>,
}

impl Condition {
    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Texts that a request must bear.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StringEquals {
    /// SourceAccount: 12 digits.
    #[serde(rename = "AWS:SourceAccount", default, skip_serializing_if = "Option::is_none")]
    pub source_account: Option<String>,
    /// EventSourceToken.
    #[serde(rename = "lambda:EventSourceToken", default, skip_serializing_if = "Option::is_none")]
    pub event_source_token: Option<String>,
    /// FunctionUrlAuthType: `NONE` or `AWS_IAM`.
    #[serde(rename = "lambda:FunctionUrlAuthType", default, skip_serializing_if = "Option::is_none")]
    pub function_url_auth_type: Option<String>,
    /// PrincipalOrgID or OrganizationId: `o-...`.
    #[serde(rename = "aws:PrincipalOrgID", default, skip_serializing_if = "Option::is_none")]
    pub principal_org_id: Option<String>,
}

impl StringEquals {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// ARNs that a request must bear.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ArnLike {
    /// SourceArn, with `*` and `?`.
    #[serde(rename = "AWS:SourceArn")]
    pub source_arn: String,
}

/// Truths that a request must bear, as text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BoolEquals {
    /// InvokedViaFunctionUrl: `true` or `false`.
    #[serde(rename = "lambda:InvokedViaFunctionUrl")]
    pub invoked_via_function_url: String,
}

/// The whole as GetPolicy shows it, in the policy language.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    id: &'static str,
    statement: &'a [Statement],
}

impl Policy {
    /// The policy document: `{"Version":"2012-10-17","Id":"default","Statement":[...]}`.
    #[must_use]
    pub fn document(&self) -> String {
        text(&Document { version: "2012-10-17", id: "default", statement: &self.statements })
    }
}

impl Statement {
    /// The statement as AddPermission shows it.
    #[must_use]
    pub fn document(&self) -> String {
        text(self)
    }
}

/// Text keys and texts: writing them cannot fail.
fn text(value: &impl Serialize) -> String {
    let written = serde_json::to_string(value);
    debug_assert!(written.is_ok());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sid: &str, principal: Principal, condition: Condition) -> Statement {
        let (action, resource) = ("lambda:InvokeFunction".to_owned(), "arn:f".to_owned());
        Statement { sid: sid.to_owned(), effect: Effect::Allow, principal, action, resource, condition }
    }

    #[test]
    fn a_document_shows_what_is_recorded_in_its_order() {
        let all = Condition {
            string_equals: StringEquals {
                source_account: Some("111111111111".into()),
                function_url_auth_type: Some("NONE".into()),
                principal_org_id: Some("o-1234567890".into()),
                ..StringEquals::default()
            },
            arn_like: Some(ArnLike { source_arn: "arn:aws:s3:::b".into() }),
            bool: None,
        };
        let statements = vec![
            statement("url", Principal::Everyone, all),
            statement("s3", Principal::Service("s3.amazonaws.com".into()), Condition::default()),
            statement("root", Principal::Aws("arn:aws:iam::111111111111:root".into()), Condition::default()),
        ];
        let policy = Policy { revision: RevisionId(uuid::Uuid::nil()), statements };
        let rest = r#""Action":"lambda:InvokeFunction","Resource":"arn:f""#;
        let expected = [
            r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"url","Effect":"Allow","Principal":"*","#,
            rest,
            r#","Condition":{"StringEquals":{"AWS:SourceAccount":"111111111111","lambda:FunctionUrlAuthType":"NONE","#,
            r#""aws:PrincipalOrgID":"o-1234567890"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"}}},"#,
            r#"{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"#,
            rest,
            r#"},{"Sid":"root","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"#,
            rest,
            "}]}",
        ];
        assert_eq!(policy.document(), expected.concat());
        let stored = serde_json::to_vec(&policy).unwrap();
        assert_eq!(serde_json::from_slice::<Policy>(&stored).unwrap(), policy);
    }
}
