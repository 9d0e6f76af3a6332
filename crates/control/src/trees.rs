//! The trees of packages. A tree is made from its package again whenever it is not there, so that only the package is what a
//! deploy has to keep: that of a small one is made behind the answer, at the latest when an environment needs it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_image::{PackageError, Unpacker};
use hearth_store::{BlobError, BlobStore};
use hearth_types::CodeDigest;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::{TREES_AHEAD, TREES_CALM};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tracing::{error, warn};

/// Packages unpacked at a time: it is work for a core each.
const UNPACKING: u32 = 2;

/// Makes trees of packages, and removes them.
pub struct Trees {
    unpacker: Arc<Unpacker>,
    blobs: Arc<dyn BlobStore>,
    turns: Arc<Semaphore>,
    /// Those that are being made for somebody who needs them.
    making: watch::Sender<HashSet<CodeDigest>>,
    /// What is to be made while nothing else is deployed.
    ahead: Mutex<VecDeque<CodeDigest>>,
    /// There is one more of these.
    added: Notify,
}

/// Why there is no tree of a package.
#[derive(Debug, thiserror::Error)]
pub enum NoTree {
    /// The data folder has lost the package.
    #[error("the package {0} is missing: deploy it again")]
    Missing(CodeDigest),
    /// It is there, but cannot be read.
    #[error("the package {digest} cannot be read: {cause}")]
    Unread {
        /// Which one.
        digest: CodeDigest,
        /// What the store says.
        cause: BlobError,
    },
    /// This machine cannot unpack it, as where its disk is full.
    #[error("the package {digest} cannot be unpacked: {cause}")]
    Packed {
        /// Which one.
        digest: CodeDigest,
        /// What the unpacker says.
        cause: PackageError,
    },
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

/// The right to unpack a package. It is the work's: who waits for that may go away.
pub(crate) struct Turn(#[expect(dead_code, reason = "who has it has the turn")] OwnedSemaphorePermit);

impl Trees {
    /// Of the packages in `blobs`, where `unpacker` puts them.
    #[must_use]
    pub fn new(unpacker: Arc<Unpacker>, blobs: Arc<dyn BlobStore>) -> Self {
        let turns = Arc::new(Semaphore::new(UNPACKING as usize));
        Self { unpacker, blobs, turns, making: watch::Sender::default(), ahead: Mutex::default(), added: Notify::new() }
    }

    /// Returns when the trees of a version's code and layers are there, which is at once where they were.
    ///
    /// # Errors
    /// Why one of them cannot be.
    pub async fn of(&self, version: &VersionSpec) -> Result<(), NoTree> {
        for digest in version.layers.iter().chain([&version.code]) {
            self.there(digest).await?;
        }
        Ok(())
    }

    /// Returns when the tree is there, which is at once where it was.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn there(&self, digest: &CodeDigest) -> Result<(), NoTree> {
        if self.unpacker.is_known(digest) {
            return Ok(());
        }
        let digest = *digest;
        // Of many that come at once the first one makes it.
        let _mine = self.alone_with(digest).await;
        let turn = self.turn().await?;
        if self.is_whole(digest).await {
            return Ok(());
        }
        let zip = self.blobs.get(&digest).await.map_err(|cause| NoTree::Unread { digest, cause })?;
        let zip = zip.ok_or(NoTree::Missing(digest))?;
        let unpacked =
            self.in_turn(turn, move |unpacker| unpacker.unpack(&digest, &zip)).await.ok_or(NoTree::Stopping)?;
        unpacked.map(drop).map_err(|cause| NoTree::Packed { digest, cause })
    }

    /// Waits until nobody else makes this tree.
    async fn alone_with(&self, digest: CodeDigest) -> Mine<'_> {
        let mut making = self.making.subscribe();
        while !self.making.send_if_modified(|making| making.insert(digest)) {
            // The sender is here.
            let _ = making.wait_for(|making| !making.contains(&digest)).await;
        }
        Mine { making: &self.making, digest }
    }

    /// Whether the tree is there now.
    pub(crate) async fn is_whole(&self, digest: CodeDigest) -> bool {
        self.unpacker.is_known(&digest)
            || self.on_a_thread(move |unpacker| unpacker.is_whole(&digest)).await == Some(true)
    }

    /// Has the tree made soon. Where too many wait for that, it is made when an environment needs it.
    pub(crate) fn soon(&self, digest: CodeDigest) {
        if self.unpacker.is_known(&digest) {
            return;
        }
        let mut ahead = self.ahead();
        if ahead.len() < TREES_AHEAD {
            ahead.push_back(digest);
            drop(ahead);
            self.added.notify_one();
        }
    }

    /// Makes the trees that are to be made soon, one each time that nothing was deployed for a moment. Runs until it is
    /// dropped.
    pub async fn make_ahead(self: Arc<Self>) {
        loop {
            if self.ahead().is_empty() {
                self.added.notified().await;
            }
            while tokio::time::timeout(TREES_CALM, self.added.notified()).await.is_ok() {}
            let next = self.ahead().pop_front();
            if let Some(digest) = next
                && let Err(cause) = self.there(&digest).await
            {
                warn!("a tree is not made ahead: {cause}");
            }
        }
    }

    /// A turn to unpack.
    pub(crate) async fn turn(&self) -> Result<Turn, NoTree> {
        Arc::clone(&self.turns).acquire_owned().await.map(Turn).map_err(|_| NoTree::Stopping)
    }

    /// All turns at once: nothing is unpacked meanwhile.
    pub(crate) async fn all_turns(&self) -> Result<Turn, NoTree> {
        Arc::clone(&self.turns).acquire_many_owned(UNPACKING).await.map(Turn).map_err(|_| NoTree::Stopping)
    }

    /// Unpacks or reads a package; none where that ended early. Goes on where the caller stops waiting.
    pub(crate) async fn in_turn<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&Unpacker) -> T + Send + 'static,
    ) -> Option<T> {
        self.on_a_thread(move |unpacker| {
            let _turn = turn;
            work(unpacker)
        })
        .await
    }

    /// What the unpacker does on the disk; none where that ended early.
    pub(crate) async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Unpacker) -> T + Send + 'static,
    ) -> Option<T> {
        let unpacker = Arc::clone(&self.unpacker);
        let done = tokio::task::spawn_blocking(move || work(&unpacker)).await;
        done.inspect_err(|cause| error!("work on packages ended early: {cause}")).ok()
    }

    fn ahead(&self) -> MutexGuard<'_, VecDeque<CodeDigest>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tree that nobody else makes.
struct Mine<'a> {
    making: &'a watch::Sender<HashSet<CodeDigest>>,
    digest: CodeDigest,
}

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        self.making.send_modify(|making| {
            making.remove(&self.digest);
        });
    }
}
