//! Who can be somebody here, as the metadata store keeps it: roles, managed policies, access keys.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A role that was deleted. Whoever still names it may do nothing, where one that never was would be allowed everything.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FormerRoleRecord {
    /// When, in milliseconds since 1970.
    pub deleted_ms: i64,
}

/// A role: what a function, or whoever assumes it, may do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoleRecord {
    /// RoleName; unique whatever its case and its path.
    pub name: String,
    /// `/` or `/service-role/`.
    pub path: String,
    /// `AROA` and 17 more; another one for a role that is made again under the same name.
    pub id: String,
    /// AssumeRolePolicyDocument, as given.
    pub trust: String,
    /// Description; none where the client gave none.
    pub description: Option<String>,
    /// Policy documents as given, by PolicyName.
    pub inline: BTreeMap<String, String>,
    /// ARNs of managed policies, in the order in which they were attached.
    pub attached: Vec<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Seconds that a session may last.
    pub max_session_s: u32,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// A customer managed policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// PolicyName; unique whatever its case and its path.
    pub name: String,
    /// `/` or `/team/`.
    pub path: String,
    /// `ANPA` and 17 more.
    pub id: String,
    /// Description; none where the client gave none.
    pub description: Option<String>,
    /// Versions by number: `v1` is 1. At most 5, and never without the default one.
    pub versions: BTreeMap<u32, PolicyVersionRecord>,
    /// The version in force.
    pub default_version: u32,
    /// The number of the last version made, deleted ones too.
    pub last_version: u32,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Milliseconds since 1970 of the last change.
    pub updated_ms: i64,
}

impl PolicyRecord {
    /// The document in force, as given.
    #[must_use]
    pub fn document(&self) -> Option<&str> {
        self.versions.get(&self.default_version).map(|version| version.document.as_str())
    }
}

/// One version of a customer managed policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyVersionRecord {
    /// As given.
    pub document: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// A long-lived access key, as `hearth keys` makes them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccessKeyRecord {
    /// `AKIA` and 16 more.
    pub id: String,
    /// The secret access key.
    pub secret: SealedSecret,
    /// The user whom it stands for: the last part of the caller's ARN.
    pub user: String,
    /// The user's id, `AIDA` and 17 more: the same for all keys of one user.
    pub user_id: String,
    /// Policy documents by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub attached: Vec<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// A secret as it may be written down: nonce and ciphertext in base64, of use only with the server's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedSecret(pub String);

/// Nothing of it belongs into a log.
impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_does_not_show() {
        assert_eq!(format!("{:?}", SealedSecret("c2VjcmV0".to_owned())), "SealedSecret");
    }

    #[test]
    fn a_policys_document_is_that_of_its_default_version() {
        let version = |text: &str| PolicyVersionRecord { document: text.to_owned(), created_ms: 0 };
        let policy = PolicyRecord {
            name: "p".to_owned(),
            path: "/".to_owned(),
            id: "ANPA".to_owned(),
            description: None,
            versions: BTreeMap::from([(1, version("one")), (2, version("two"))]),
            default_version: 1,
            last_version: 2,
            tags: BTreeMap::new(),
            created_ms: 0,
            updated_ms: 0,
        };
        assert_eq!(policy.document(), Some("one"));
    }
}
