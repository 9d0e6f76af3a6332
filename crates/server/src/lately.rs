//! What is in use is written down now and then, so that runtimes wait for it soon after the next start of the server.
//!
//! It is a hint: no answer waits for it, and what of it is lost costs the interpreter's start of a first call.

use std::sync::Arc;

use hearth_remote::Dispatcher;
use hearth_store::typed::{self, Fault};
use hearth_store::{CommitError, MetadataStore, Precondition};
use hearth_types::keys;
use hearth_types::lately::LatelyRecord;
use hearth_types::limits::LATELY_LOOK;
use tokio::sync::watch;
use tracing::warn;

/// Has the dispatcher look what is in use, and writes it down.
pub(crate) struct Remembered {
    dispatcher: Arc<Dispatcher>,
    store: Arc<dyn MetadataStore>,
}

/// It is not written.
#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error(transparent)]
    Record(#[from] Fault),
    #[error(transparent)]
    Store(#[from] CommitError),
}

impl Remembered {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>, store: Arc<dyn MetadataStore>) -> Arc<Self> {
        Arc::new(Self { dispatcher, store })
    }

    /// Has runtimes wait for what was in use before, once the dispatcher has `applied` a version of the store; then looks again
    /// and again.
    pub(crate) async fn run(self: Arc<Self>, mut applied: watch::Receiver<u64>) {
        self.dispatcher.go_on_with(read(&*self.store).await);
        // It is gone with the store: then the server is about to end.
        if applied.wait_for(|version| *version > 0).await.is_ok() {
            self.dispatcher.recall();
        }
        loop {
            // Of the machine's time: it bounds what a crash loses, wherever the platform's clock stands.
            tokio::time::sleep(LATELY_LOOK).await;
            self.look().await;
        }
    }

    /// Writes down what is in use, where that is news.
    pub(crate) async fn look(&self) {
        let Some(record) = self.dispatcher.look_in_use() else { return };
        match write(&*self.store, &record).await {
            Ok(()) => self.dispatcher.in_use_is_written(record),
            Err(cause) => warn!("which versions are in use is not written, and will be tried again: {cause}"),
        }
    }

    /// Of how many versions it is written that they were in use lately.
    pub(crate) fn count(&self) -> usize {
        self.dispatcher.count_remembered()
    }
}

/// Nothing, where it is not what it should be.
async fn read(store: &dyn MetadataStore) -> LatelyRecord {
    match typed::read(store, keys::LATELY).await {
        Ok(found) => found.map(|found| found.record).unwrap_or_default(),
        Err(cause) => {
            warn!("which versions were in use before cannot be read, so their first calls find no runtime: {cause}");
            LatelyRecord::default()
        }
    }
}

async fn write(store: &dyn MetadataStore, record: &LatelyRecord) -> Result<(), NotWritten> {
    store.commit(vec![typed::put(keys::LATELY.to_owned(), record, Precondition::Any)?]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use hearth_store::{MemoryStore, Write};
    use hearth_types::function::VersionId;
    use hearth_types::lately::{LatelySteps, LatelyUsed, UsedVersion};

    use super::*;

    #[tokio::test]
    async fn what_is_malformed_is_nothing_and_written_over() {
        let store = MemoryStore::default();
        assert_eq!(read(&store).await, LatelyRecord::default());
        for malformed in ["", "{", r#"{"versions":7}"#, r#"{"versions":[{"function":"f"}]}"#] {
            store.commit(vec![Write::put(keys::LATELY, malformed, Precondition::Any)]).await.unwrap();
            assert_eq!(read(&store).await, LatelyRecord::default(), "{malformed}");
        }
        let steps = LatelySteps { step_ms: 4, off_ms: 5, init_ms: None, last_at_ms: 6 };
        let version = |version, steps| {
            let used = LatelyUsed { most: 3, most_at_ms: 1, at_ms: 2, steps };
            UsedVersion { function: "f".into(), version, used }
        };
        let versions = vec![version(VersionId::Latest, None), version(VersionId::Number(7), Some(steps))];
        let record = LatelyRecord { versions };
        write(&store, &record).await.unwrap();
        assert_eq!(read(&store).await, record);
    }
}
