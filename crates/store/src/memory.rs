//! The in-memory engines: for tests, and for servers that need not outlive their process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hearth_types::CodeDigest;

use crate::{
    BlobError, BlobStore, BoxFuture, CommitError, MetadataStore, Pending, StagedBlob, StoreError, Table, Versioned,
    Watch, Write,
};

/// Metadata in memory.
#[derive(Debug)]
pub struct MemoryStore {
    table: Arc<Table>,
    /// Held by the one who commits.
    writer: Mutex<()>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { table: Arc::new(Table::new(0, BTreeMap::new())), writer: Mutex::new(()) }
    }
}

impl MetadataStore for MemoryStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move { Ok(self.table.get(key)) })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(String, Versioned)>, StoreError>> {
        Box::pin(async move { Ok(self.table.list(prefix, after, limit)) })
    }

    fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<u64, CommitError>> {
        Box::pin(async move {
            let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut pending = Pending::new(&self.table);
            let version = pending.add(writes)?.version;
            self.table.publish(pending.into_commits());
            Ok(version)
        })
    }

    fn version(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { Ok(self.table.version()) })
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.table.watch(prefix)
    }
}

/// Blobs in memory.
#[derive(Debug, Default)]
pub struct MemoryBlobStore {
    blobs: Arc<Mutex<BTreeMap<CodeDigest, Bytes>>>,
}

/// Bytes that become a blob of this store.
struct Staged {
    bytes: Bytes,
    blobs: Arc<Mutex<BTreeMap<CodeDigest, Bytes>>>,
}

impl StagedBlob for Staged {
    fn keep(self: Box<Self>, digest: CodeDigest) -> BoxFuture<'static, Result<(), BlobError>> {
        Box::pin(async move {
            self.blobs.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, self.bytes);
            Ok(())
        })
    }
}

impl MemoryBlobStore {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<CodeDigest, Bytes>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryBlobStore {
    fn stage(&self, bytes: Bytes) -> BoxFuture<'_, Result<Box<dyn StagedBlob>, BlobError>> {
        let staged = Staged { bytes, blobs: Arc::clone(&self.blobs) };
        Box::pin(async move { Ok(Box::new(staged) as Box<dyn StagedBlob>) })
    }

    fn get<'a>(&'a self, digest: &'a CodeDigest) -> BoxFuture<'a, Result<Option<Bytes>, BlobError>> {
        Box::pin(async move {
            let found = self.lock().get(digest).cloned();
            match found {
                Some(bytes) if CodeDigest::of(&bytes) != *digest => Err(BlobError::Damaged(*digest)),
                found => Ok(found),
            }
        })
    }

    fn delete<'a>(&'a self, digest: &'a CodeDigest) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(async move {
            self.lock().remove(digest);
            Ok(())
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<CodeDigest>, BlobError>> {
        Box::pin(async move { Ok(self.lock().keys().copied().collect()) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn metadata_conforms() {
        conformance::metadata_store(|| Arc::new(MemoryStore::default())).await;
    }

    #[tokio::test]
    async fn blobs_conform() {
        conformance::blob_store(|| Arc::new(MemoryBlobStore::default())).await;
    }
}
