//! Removing packages that no function has any more, while the server runs.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use hearth_api::ApiError;
use hearth_types::CodeDigest;
use hearth_types::limits::TIDY_EVERY;
use tracing::{error, warn};

use crate::{Control, UNPACKING};

/// Records that are read at a time.
const PAGE: usize = 100;

impl Control {
    /// Removes from time to time what updates and deletes leave behind; runs until it is dropped.
    pub async fn keep_tidy(self: Arc<Self>) {
        let mut unused = HashSet::new();
        loop {
            tokio::time::sleep(TIDY_EVERY).await;
            match self.tidy(&unused).await {
                Ok(found) => unused = found,
                Err(cause) => error!("unused packages stay for now: {cause}"),
            }
        }
    }

    /// One look: removes the packages that no function had at the look before, nor has now, and that nobody sent in
    /// between. Environments of their code are long gone then, where looks are [`TIDY_EVERY`] apart. The result is for
    /// the next look: all that no function has now.
    ///
    /// # Errors
    /// When a store fails.
    pub async fn tidy(&self, unused_before: &HashSet<CodeDigest>) -> Result<HashSet<CodeDigest>, ApiError> {
        // First these: what is sent from now on is seen by `discard`.
        let sent = std::mem::take(&mut *self.sent());
        let used = self.digests().await?;
        let all = self.parts.blobs.list().await.map_err(|cause| {
            error!("the blob store failed: {cause}");
            ApiError::service("The package store is not available.")
        })?;
        let mut unused: HashSet<_> = all.into_iter().filter(|digest| !used.contains(digest)).collect();
        let gone: Vec<_> =
            unused.intersection(unused_before).filter(|digest| !sent.contains(digest)).copied().collect();
        for digest in gone {
            if self.discard(digest).await {
                unused.remove(&digest);
            }
        }
        Ok(unused)
    }

    /// The packages of all functions.
    pub(super) async fn digests(&self) -> Result<HashSet<CodeDigest>, ApiError> {
        let mut digests = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.list(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(digests) };
            after = Some(last.name.to_string());
            for record in page {
                let version = record.latest;
                let codes = std::iter::once(version.code).chain(version.serving.map(|serving| serving.code));
                digests.extend(codes.filter_map(|code| code.zip().map(|zip| zip.digest)));
                digests.extend(version.config.layers.iter().map(|layer| layer.code.digest));
            }
        }
    }

    /// Removes a package, unless it is being sent again. Nothing is unpacked meanwhile: who sends it now finds it whole
    /// and says so before, or finds it gone.
    async fn discard(&self, digest: CodeDigest) -> bool {
        let Ok(_turns) = self.unpacking.acquire_many(UNPACKING as u32).await else { return false };
        if self.sent().contains(&digest) {
            return false;
        }
        let unpacker = Arc::clone(&self.parts.unpacker);
        let removed = tokio::task::spawn_blocking(move || unpacker.remove(&digest)).await;
        if let Ok(Err(cause)) = removed {
            warn!("the unused unpacked package {digest} stays: {cause}");
        }
        match self.parts.blobs.delete(&digest).await {
            Ok(()) => true,
            Err(cause) => {
                warn!("the unused package {digest} stays: {cause}");
                false
            }
        }
    }

    fn sent(&self) -> MutexGuard<'_, HashSet<CodeDigest>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
