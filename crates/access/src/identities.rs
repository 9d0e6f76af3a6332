//! The users, roles and policies in the store, ready to be asked. Reads are of the engine's copy in memory, so that a
//! change counts from the moment on in which it is acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth_identity::policy::{Document, Kind};
use hearth_identity::{MasterKey, Secret, managed};
use hearth_store::typed::Fault;
use hearth_store::{MetadataStore, StoreError, Versioned};
use hearth_types::identity::{AccessKeyRecord, PolicyRecord, RoleRecord};
use hearth_types::keys;
use serde_json::error::Error as JsonError;

use crate::compiled::Compiled;

/// Whom an access key stands for.
pub(crate) struct User {
    /// None where it was sealed with another server's key.
    pub(crate) secret: Option<Secret>,
    pub(crate) name: String,
    pub(crate) id: String,
    granted: Granted,
}

/// What a role's sessions are.
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) id: String,
    pub(crate) tags: BTreeMap<String, String>,
    granted: Granted,
}

/// The policies of somebody.
struct Granted {
    inline: Vec<Arc<Document>>,
    /// ARNs.
    attached: Vec<String>,
}

pub(crate) struct Identities {
    store: Arc<dyn MetadataStore>,
    key: MasterKey,
    account: Arc<str>,
    users: Compiled<User>,
    roles: Compiled<Role>,
    /// None of a policy without a version in force.
    policies: Compiled<Option<Policy>>,
}

/// A customer managed policy.
struct Policy {
    arn: String,
    document: Arc<Document>,
}

impl Identities {
    pub(crate) fn new(store: Arc<dyn MetadataStore>, key: MasterKey, account: Arc<str>) -> Self {
        let (users, roles, policies) = (Compiled::default(), Compiled::default(), Compiled::default());
        Self { store, key, account, users, roles, policies }
    }

    /// Whose access key this is.
    pub(crate) async fn user(&self, access_key_id: &str) -> Result<Option<Arc<User>>, Fault> {
        let key = keys::access_key(access_key_id);
        let Some(found) = self.found(&key).await? else { return Ok(None) };
        let compile = || {
            let record: AccessKeyRecord = parse(&key, &found)?;
            Ok(User {
                secret: self.key.open_secret(&record.id, &record.secret),
                name: record.user,
                id: record.user_id,
                granted: Granted::of(&key, &record.inline, record.attached)?,
            })
        };
        self.users.get(&key, found.version, compile).map(Some)
    }

    /// The role of this name.
    pub(crate) async fn role(&self, name: &str) -> Result<Option<Arc<Role>>, Fault> {
        let key = keys::role(name);
        let Some(found) = self.found(&key).await? else { return Ok(None) };
        let compile = || {
            let record: RoleRecord = parse(&key, &found)?;
            Ok(Role {
                arn: format!("arn:aws:iam::{}:role{}{}", self.account, record.path, record.name),
                id: record.id,
                tags: record.tags,
                granted: Granted::of(&key, &record.inline, record.attached)?,
            })
        };
        self.roles.get(&key, found.version, compile).map(Some)
    }

    /// Whether there was a role of this name and is none now.
    pub(crate) async fn is_former_role(&self, name: &str) -> Result<bool, Fault> {
        Ok(self.found(&keys::former_role(name)).await?.is_some())
    }

    pub(crate) async fn policies_of_user(&self, user: &User) -> Result<Vec<Arc<Document>>, Fault> {
        self.policies_of(&user.granted).await
    }

    pub(crate) async fn policies_of_role(&self, role: &Role) -> Result<Vec<Arc<Document>>, Fault> {
        self.policies_of(&role.granted).await
    }

    /// Its own policies, and those attached to it that there are.
    async fn policies_of(&self, granted: &Granted) -> Result<Vec<Arc<Document>>, Fault> {
        let mut all = granted.inline.clone();
        for arn in &granted.attached {
            all.extend(self.managed(arn).await?);
        }
        Ok(all)
    }

    async fn managed(&self, arn: &str) -> Result<Option<Arc<Document>>, Fault> {
        if let Some(known) = managed::find(arn) {
            let compile = || policy(arn, arn, known.document).map(Some);
            return Ok(document(&*self.policies.get(arn, 0, compile)?, arn));
        }
        let key = keys::policy(arn.rsplit('/').next().unwrap_or_default());
        let Some(found) = self.found(&key).await? else { return Ok(None) };
        let compile = || {
            let record: PolicyRecord = parse(&key, &found)?;
            let own = format!("arn:aws:iam::{}:policy{}{}", self.account, record.path, record.name);
            record.document().map(|text| policy(&key, &own, text)).transpose()
        };
        Ok(document(&*self.policies.get(&key, found.version, compile)?, arn))
    }

    async fn found(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.store.get(key).await
    }
}

impl Granted {
    fn of(key: &str, inline: &BTreeMap<String, String>, attached: Vec<String>) -> Result<Self, Fault> {
        let inline: Result<_, Fault> = inline.values().map(|text| Ok(Arc::new(read_document(key, text)?))).collect();
        Ok(Self { inline: inline?, attached })
    }
}

fn policy(key: &str, arn: &str, text: &str) -> Result<Policy, Fault> {
    Ok(Policy { arn: arn.to_owned(), document: Arc::new(read_document(key, text)?) })
}

/// Another path is another policy, though the names are the same.
fn document(policy: &Option<Policy>, arn: &str) -> Option<Arc<Document>> {
    policy.as_ref().filter(|policy| policy.arn == arn).map(|policy| Arc::clone(&policy.document))
}

/// A document that does not parse may be the one that denies: whoever has it may do nothing.
fn read_document(key: &str, text: &str) -> Result<Document, Fault> {
    let damaged = |cause: &dyn std::fmt::Display| Fault::Damaged {
        key: key.to_owned(),
        cause: <JsonError as serde::de::Error>::custom(cause),
    };
    Document::parse(text, Kind::Identity).map_err(|cause| damaged(&cause))
}

fn parse<T: serde::de::DeserializeOwned>(key: &str, found: &Versioned) -> Result<T, Fault> {
    serde_json::from_slice(&found.value).map_err(|cause| Fault::Damaged { key: key.to_owned(), cause })
}
