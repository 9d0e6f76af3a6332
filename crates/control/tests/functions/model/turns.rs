//! A store whose users take turns by chance: each waits a little before each read and each write.

use std::sync::atomic::{AtomicU64, Ordering};

use hearth_store::{CommitError, StoreError, Versioned, Watch};

use super::*;

/// Turns that are let pass at most.
const MOST: u64 = 4;

pub(super) struct Turns {
    store: Arc<MemoryStore>,
    /// Of the generator; 0: nobody waits.
    state: AtomicU64,
}

impl Turns {
    pub(super) fn over(store: Arc<MemoryStore>) -> Self {
        Self { store, state: AtomicU64::new(0) }
    }

    pub(super) fn shuffle(&self, seed: u64) {
        self.state.store(seed | 1, Ordering::Relaxed);
    }

    pub(super) fn stop(&self) {
        self.state.store(0, Ordering::Relaxed);
    }

    async fn turn(&self) {
        let state = self.state.load(Ordering::Relaxed);
        if state != 0 {
            // Marsaglia's xorshift: never 0 again.
            let state = state ^ (state << 13);
            let state = state ^ (state >> 7);
            let state = state ^ (state << 17);
            self.state.store(state, Ordering::Relaxed);
            for _ in 0..(state >> 32) % MOST {
                tokio::task::yield_now().await;
            }
        }
    }
}

impl MetadataStore for Turns {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        Box::pin(async move {
            self.turn().await;
            self.store.get(key).await
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(String, Versioned)>, StoreError>> {
        Box::pin(async move {
            self.turn().await;
            self.store.list(prefix, after, limit).await
        })
    }

    fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<u64, CommitError>> {
        Box::pin(async move {
            self.turn().await;
            self.store.commit(writes).await
        })
    }

    fn version(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.store.version()
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.store.watch(prefix)
    }
}
