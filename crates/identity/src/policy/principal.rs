//! Who asks, and whom a policy of a resource means.

use serde_json::Value;

use super::parse::{Malformed, strings};

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Principal {
    /// The account itself: whoever owns the server.
    Root {
        /// 12 digits.
        account: String,
    },
    /// A user with an access key.
    User {
        /// 12 digits.
        account: String,
        /// `arn:aws:iam::ACCOUNT:user/NAME`.
        arn: String,
    },
    /// A session of a role.
    Session {
        /// 12 digits.
        account: String,
        /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
        role_arn: String,
        /// `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`.
        session_arn: String,
    },
    /// A service on somebody's behalf: `s3.amazonaws.com`.
    Service(String),
    /// Nobody that is known.
    Anonymous,
}

impl Principal {
    fn account(&self) -> Option<&str> {
        match self {
            Self::Root { account } | Self::User { account, .. } | Self::Session { account, .. } => Some(account),
            Self::Service(_) | Self::Anonymous => None,
        }
    }

    /// As errors name it.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Root { account } => format!("arn:aws:iam::{account}:root"),
            Self::User { arn, .. } => arn.clone(),
            Self::Session { session_arn, .. } => session_arn.clone(),
            Self::Service(name) => name.clone(),
            Self::Anonymous => "anonymous".to_owned(),
        }
    }
}

/// One entry of a Principal element.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum PrincipalPattern {
    Everyone,
    Account(String),
    /// A user, a role or a session.
    Arn(String),
    Service(String),
    /// Kinds that nobody here can be: federated ones, canonical ids of S3.
    Nobody,
}

/// How much a policy means somebody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Meant {
    No,
    /// Through the account: it is up to that account's own policies.
    Account,
    /// Itself.
    Directly,
}

impl PrincipalPattern {
    /// Reads a Principal element.
    pub(super) fn parse_all(value: &Value) -> Result<Vec<Self>, Malformed> {
        match value {
            Value::String(text) if text == "*" => Ok(vec![Self::Everyone]),
            Value::Object(kinds) if !kinds.is_empty() => {
                let mut all = Vec::new();
                for (kind, value) in kinds {
                    for text in strings(value, "Principal")? {
                        all.push(Self::parse(kind, &text)?);
                    }
                }
                Ok(all)
            }
            _ => Err(Malformed::new("Syntax errors in policy.")),
        }
    }

    fn parse(kind: &str, text: &str) -> Result<Self, Malformed> {
        let invalid = || Malformed::new(format!("Invalid principal in policy: \"{kind}\":\"{text}\""));
        let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        match kind {
            "AWS" if text == "*" => Ok(Self::Everyone),
            "AWS" if is_account(text) => Ok(Self::Account(text.to_owned())),
            "AWS" => {
                let parts: Vec<&str> = text.splitn(6, ':').collect();
                let ["arn", _, "iam" | "sts", "", account, resource] = parts[..] else { return Err(invalid()) };
                if !is_account(account) {
                    return Err(invalid());
                }
                Ok(if resource == "root" { Self::Account(account.to_owned()) } else { Self::Arn(text.to_owned()) })
            }
            "Service" if text.contains('.') => Ok(Self::Service(text.to_owned())),
            "Federated" | "CanonicalUser" => Ok(Self::Nobody),
            _ => Err(invalid()),
        }
    }

    pub(super) fn means(&self, principal: &Principal) -> Meant {
        match (self, principal) {
            (Self::Everyone, _) => Meant::Directly,
            (Self::Account(wanted), Principal::Root { account }) if wanted == account => Meant::Directly,
            (Self::Account(wanted), other) if other.account() == Some(wanted) => Meant::Account,
            (Self::Arn(wanted), Principal::User { arn, .. }) if wanted == arn => Meant::Directly,
            (Self::Arn(wanted), Principal::Session { role_arn, session_arn, .. })
                if wanted == role_arn || wanted == session_arn =>
            {
                Meant::Directly
            }
            (Self::Service(wanted), Principal::Service(name)) if wanted == name => Meant::Directly,
            _ => Meant::No,
        }
    }
}
