//! Access keys: made, listed and deleted by whoever owns the data folder. No operation of the API does it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hearth_identity::ids::{ID_BYTES, IdKind, new_id};
use hearth_identity::policy::{Document, Kind};
use hearth_identity::{MasterKey, NONCE_BYTES, Secret, managed};
use hearth_store::{CommitError, MetadataStore, Precondition, StoreError, Write};
use hearth_types::identity::AccessKeyRecord;
use hearth_types::keys;
use hearth_types::limits::{ACCESS_KEYS, USER_NAME_CHARS};
use serde::{Deserialize, Serialize};

/// Random bytes of a secret access key: 40 characters in base64.
const SECRET_BYTES: usize = 30;
/// What a key may do if nothing is said.
const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// What a new key is to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewAccessKey {
    /// 1 to 64 of `a-z A-Z 0-9 + = , . @ _ -`.
    pub user: String,
    /// Policy documents by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of managed policies; without any policy at all the key may do everything.
    pub attached: Vec<String>,
}

/// A key that was made. Its secret is shown this once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MadeAccessKey {
    /// `AKIA...`
    pub access_key_id: String,
    /// 40 characters.
    pub secret_access_key: String,
    /// As asked for.
    pub user_name: String,
}

/// A key as it is listed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedAccessKey {
    /// `AKIA...`
    pub access_key_id: String,
    /// Whose it is.
    pub user_name: String,
    /// Names of its own policies and ARNs of the managed ones.
    pub policies: Vec<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Whether the server's key opens its secret.
    pub opens: bool,
}

/// Why a key was not made, listed or deleted. The texts are for whoever typed the command.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum AccessKeyError {
    #[error("{0:?} cannot be a user: 1 to {USER_NAME_CHARS} of a-z A-Z 0-9 + = , . @ _ - are")]
    User(String),
    #[error("the policy {name}: {why}")]
    Policy { name: String, why: String },
    #[error("there is no managed policy {0}: use one of AWS's that Hearth knows, or one made with iam create-policy")]
    NoPolicy(String),
    #[error("there are {ACCESS_KEYS} access keys already: delete one first")]
    TooMany,
    #[error("there is no access key {0}")]
    NoKey(String),
    #[error("the machine gives no random bytes: {0}")]
    Random(String),
    #[error("{0}")]
    Store(String),
}

impl From<StoreError> for AccessKeyError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause.to_string())
    }
}

impl From<CommitError> for AccessKeyError {
    fn from(cause: CommitError) -> Self {
        Self::Store(cause.to_string())
    }
}

/// The access keys of a data folder.
pub struct AccessKeys {
    store: Arc<dyn MetadataStore>,
    key: MasterKey,
}

impl AccessKeys {
    /// In this store, secrets sealed with this key.
    #[must_use]
    pub fn new(store: Arc<dyn MetadataStore>, key: MasterKey) -> Self {
        Self { store, key }
    }

    /// Makes one. `now` is the time since 1970.
    ///
    /// # Errors
    /// For what was asked that cannot be, and when the store or the machine fails.
    pub async fn create(&self, wanted: NewAccessKey, now: Duration) -> Result<MadeAccessKey, AccessKeyError> {
        self.check(&wanted).await?;
        let all = self.all().await?;
        if all.len() >= ACCESS_KEYS {
            return Err(AccessKeyError::TooMany);
        }
        let NewAccessKey { user, inline, mut attached } = wanted;
        if inline.is_empty() && attached.is_empty() {
            attached.push(ADMINISTRATOR.to_owned());
        }
        let user_id = match all.into_iter().find(|known| known.user == user) {
            Some(known) => known.user_id,
            None => new_id(IdKind::User, random::<ID_BYTES>()?),
        };
        let id = new_id(IdKind::AccessKey, random::<ID_BYTES>()?);
        let secret = Secret::new(STANDARD.encode(random::<SECRET_BYTES>()?));
        let record = AccessKeyRecord {
            secret: self.key.seal_secret(&id, &secret, random::<NONCE_BYTES>()?),
            id,
            user,
            user_id,
            inline,
            attached,
            created_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        };
        let value = serde_json::to_vec(&record).map_err(|cause| AccessKeyError::Store(cause.to_string()))?;
        let write = Write::put(keys::access_key(&record.id), Bytes::from(value), Precondition::Absent);
        self.store.commit(vec![write]).await?;
        Ok(MadeAccessKey {
            access_key_id: record.id,
            secret_access_key: secret.reveal().to_owned(),
            user_name: record.user,
        })
    }

    /// All of them, by id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self) -> Result<Vec<ListedAccessKey>, AccessKeyError> {
        let listed = |record: AccessKeyRecord| ListedAccessKey {
            opens: self.key.open_secret(&record.id, &record.secret).is_some(),
            access_key_id: record.id,
            user_name: record.user,
            policies: record.inline.into_keys().chain(record.attached).collect(),
            created_ms: record.created_ms,
        };
        Ok(self.all().await?.into_iter().map(listed).collect())
    }

    /// Deletes one: what is signed with it from now on is refused.
    ///
    /// # Errors
    /// When there is none of that id, or the store fails.
    pub async fn delete(&self, id: &str) -> Result<(), AccessKeyError> {
        let key = keys::access_key(id);
        let Some(found) = self.store.get(&key).await? else { return Err(AccessKeyError::NoKey(id.to_owned())) };
        match self.store.commit(vec![Write::delete(key, Precondition::Version(found.version))]).await {
            Err(CommitError::Conflict { .. }) => Err(AccessKeyError::NoKey(id.to_owned())),
            outcome => Ok(outcome.map(|_| ())?),
        }
    }

    async fn check(&self, wanted: &NewAccessKey) -> Result<(), AccessKeyError> {
        let is_user_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
        if !(1..=USER_NAME_CHARS).contains(&wanted.user.len()) || !wanted.user.bytes().all(is_user_byte) {
            return Err(AccessKeyError::User(wanted.user.clone()));
        }
        for (name, document) in &wanted.inline {
            Document::parse(document, Kind::Identity)
                .map_err(|why| AccessKeyError::Policy { name: name.clone(), why: why.to_string() })?;
        }
        for arn in &wanted.attached {
            let of_this_account = arn.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":policy/"));
            let name = of_this_account.and_then(|(_, path)| path.rsplit('/').next()).unwrap_or_default();
            let is_there = managed::find(arn).is_some()
                || (!name.is_empty() && self.store.get(&keys::policy(name)).await?.is_some());
            if !is_there {
                return Err(AccessKeyError::NoPolicy(arn.clone()));
            }
        }
        Ok(())
    }

    async fn all(&self) -> Result<Vec<AccessKeyRecord>, AccessKeyError> {
        let found = self.store.list(keys::ACCESS_KEYS, None, ACCESS_KEYS).await?;
        let parse = |(key, found): (String, hearth_store::Versioned)| {
            serde_json::from_slice(&found.value)
                .map_err(|cause| AccessKeyError::Store(format!("the record {key} is damaged: {cause}")))
        };
        found.into_iter().map(parse).collect()
    }
}

fn random<const N: usize>() -> Result<[u8; N], AccessKeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|cause| AccessKeyError::Random(cause.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use hearth_store::MemoryStore;

    use super::*;

    fn keys() -> (AccessKeys, Arc<dyn MetadataStore>) {
        let store: Arc<dyn MetadataStore> = Arc::new(MemoryStore::default());
        (AccessKeys::new(Arc::clone(&store), MasterKey::new([1; 32])), store)
    }

    fn wanted(user: &str) -> NewAccessKey {
        NewAccessKey { user: user.to_owned(), inline: BTreeMap::new(), attached: Vec::new() }
    }

    #[tokio::test]
    async fn a_key_is_made_listed_and_deleted() {
        let (keys, store) = keys();
        let made = keys.create(wanted("ann"), Duration::from_millis(5)).await.unwrap();
        let again = keys.create(wanted("ann"), Duration::ZERO).await.unwrap();
        assert!(made.access_key_id.starts_with("AKIA") && made.secret_access_key.len() == 40);
        assert_ne!(made.secret_access_key, again.secret_access_key);
        let (_, stored) = store.list("", None, 10).await.unwrap().remove(0);
        assert!(!String::from_utf8_lossy(&stored.value).contains(&made.secret_access_key));
        let record: AccessKeyRecord = serde_json::from_slice(&stored.value).unwrap();
        let other = store.list("", None, 10).await.unwrap().remove(1).1;
        let other: AccessKeyRecord = serde_json::from_slice(&other.value).unwrap();
        assert_eq!(record.user_id, other.user_id, "both are of one user");
        let listed = keys.list().await.unwrap();
        assert!(listed.iter().all(|key| key.opens && key.policies == [ADMINISTRATOR]));
        keys.delete(&made.access_key_id).await.unwrap();
        assert_eq!(keys.list().await.unwrap().len(), 1);
        assert_eq!(keys.delete(&made.access_key_id).await, Err(AccessKeyError::NoKey(made.access_key_id)));
        let others = AccessKeys::new(store, MasterKey::new([2; 32]));
        assert!(!others.list().await.unwrap()[0].opens);
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused() {
        let (keys, _) = keys();
        for user in ["", "a b", "ü", &"a".repeat(65)] {
            let outcome = keys.create(wanted(user), Duration::ZERO).await;
            assert_eq!(outcome, Err(AccessKeyError::User(user.to_owned())));
        }
        let arn = "arn:aws:iam::000000000000:policy/none".to_owned();
        let with_arn = NewAccessKey { attached: vec![arn.clone()], ..wanted("ann") };
        assert_eq!(keys.create(with_arn, Duration::ZERO).await, Err(AccessKeyError::NoPolicy(arn)));
        let inline = BTreeMap::from([("p".to_owned(), "{}".to_owned())]);
        let outcome = keys.create(NewAccessKey { inline, ..wanted("ann") }, Duration::ZERO).await;
        assert_eq!(outcome.unwrap_err().to_string(), "the policy p: Syntax errors in policy.");
    }
}
