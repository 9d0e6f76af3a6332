//! The metadata engine as callers see it.

use std::path::Path;
use std::sync::Arc;

use hearth_store::{BoxFuture, CommitError, MetadataStore, StoreError, Table, Versioned, Watch, Write};

use crate::FileBlobStore;
use crate::open::{OpenError, open};
use crate::packages::SqliteBlobStore;
use crate::seal::{Seal, Sealed};
use crate::writer::Writer;

/// Metadata in one SQLite file that this process alone uses.
///
/// Dropping it and what [`Self::blobs`] gave waits until the commits that are on their way are done, then closes the file.
#[derive(Debug)]
pub struct SqliteStore {
    table: Arc<Table>,
    writer: Arc<Writer>,
}

impl SqliteStore {
    /// Opens the file, or makes it. Blocks for some milliseconds. What an earlier version wrote open is sealed.
    ///
    /// # Errors
    /// When the file is in use by another process, of a newer version, damaged, not Hearth's, or sealed with another
    /// key: nothing is changed then. When the disk fails.
    pub fn open(path: &Path, seal: Arc<dyn Seal>) -> Result<Self, OpenError> {
        let sealed = Sealed(seal);
        let opened = open(path, &sealed)?;
        let table = Arc::new(opened.table);
        let writer = Writer::start(opened.connection, opened.checksum, sealed, Arc::clone(&table))
            .map_err(|cause| OpenError::Disk { path: path.to_owned(), cause: cause.to_string() })?;
        Ok(Self { table, writer: Arc::new(writer) })
    }

    /// Packages: small ones in this store's file, the others in these.
    #[must_use]
    pub fn blobs(&self, files: FileBlobStore) -> SqliteBlobStore {
        SqliteBlobStore::new(Arc::clone(&self.writer), files)
    }
}

impl MetadataStore for SqliteStore {
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
        Box::pin(self.writer.commit(writes))
    }

    fn version(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { Ok(self.table.version()) })
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.table.watch(prefix)
    }
}
