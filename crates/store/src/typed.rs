//! Records of a type in the metadata store, as JSON.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{MetadataStore, Precondition, StoreError, Versioned, Write};

/// A record and the store's version of it.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The record.
    pub record: T,
    /// The version of the commit that wrote it.
    pub version: u64,
}

impl<T> Loaded<T> {
    /// That nobody wrote it since.
    #[must_use]
    pub fn unchanged(&self) -> Precondition {
        Precondition::Version(self.version)
    }
}

/// That a record is as it was found, or still absent.
#[must_use]
pub fn as_found<T>(found: Option<&Loaded<T>>) -> Precondition {
    found.map_or(Precondition::Absent, Loaded::unchanged)
}

/// Why there is no record to give or to write.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// What is stored is no such record.
    #[error("the record {key} is not readable: {cause}")]
    Damaged {
        /// Where it is.
        key: String,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The record under a key.
///
/// # Errors
/// See [`Fault`].
pub async fn read<T: DeserializeOwned>(store: &dyn MetadataStore, key: &str) -> Result<Option<Loaded<T>>, Fault> {
    store.get(key).await?.map(|found| loaded(key, &found)).transpose()
}

/// Up to `limit` records whose keys begin with `prefix`, behind the whole key `after`; with what follows the prefix in
/// their keys.
///
/// # Errors
/// See [`Fault`].
pub async fn read_page<T: DeserializeOwned>(
    store: &dyn MetadataStore,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Loaded<T>)>, Fault> {
    let found = store.list(prefix, after, limit).await?;
    found.into_iter().map(|(key, found)| Ok((key[prefix.len()..].to_owned(), loaded(&key, &found)?))).collect()
}

/// Up to `limit` records as [`read_page`] gives them, of those that are kept.
///
/// # Errors
/// See [`Fault`].
pub async fn read_matching<T: DeserializeOwned>(
    store: &dyn MetadataStore,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    keep: impl Fn(&T) -> bool,
) -> Result<Vec<(String, Loaded<T>)>, Fault> {
    let mut kept = Vec::new();
    let mut after = after.map(str::to_owned);
    loop {
        let page = read_page::<T>(store, prefix, after.as_deref(), limit).await?;
        let is_last = page.len() < limit;
        after = page.last().map(|(rest, _)| format!("{prefix}{rest}"));
        kept.extend(page.into_iter().filter(|(_, loaded)| keep(&loaded.record)));
        if is_last || kept.len() >= limit {
            kept.truncate(limit);
            return Ok(kept);
        }
    }
}

/// The write that sets a record.
///
/// # Errors
/// A record that JSON cannot say.
pub fn put<T: Serialize>(key: String, record: &T, precondition: Precondition) -> Result<Write, Fault> {
    match serde_json::to_vec(record) {
        Ok(value) => Ok(Write::put(key, Bytes::from(value), precondition)),
        Err(cause) => Err(Fault::Damaged { key, cause }),
    }
}

fn loaded<T: DeserializeOwned>(key: &str, found: &Versioned) -> Result<Loaded<T>, Fault> {
    match serde_json::from_slice(&found.value) {
        Ok(record) => Ok(Loaded { record, version: found.version }),
        Err(cause) => Err(Fault::Damaged { key: key.to_owned(), cause }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[tokio::test]
    async fn records_come_back_as_they_were_written_and_damaged_ones_are_named() {
        let store = MemoryStore::default();
        for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
            store.commit(vec![put(format!("n/{name}"), &number, Precondition::Absent).unwrap()]).await.unwrap();
        }
        let one: Loaded<i32> = read(&store, "n/a").await.unwrap().unwrap();
        assert_eq!((one.record, one.unchanged()), (1, Precondition::Version(1)));
        let odd = read_matching::<i32>(&store, "n/", None, 2, |number| number % 2 == 1).await.unwrap();
        assert_eq!(
            odd.iter().map(|(rest, found)| (rest.as_str(), found.record)).collect::<Vec<_>>(),
            [("a", 1), ("c", 3)]
        );
        assert!(matches!(read::<String>(&store, "n/a").await, Err(Fault::Damaged { key, .. }) if key == "n/a"));
    }
}
