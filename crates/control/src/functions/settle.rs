//! Making effective what a committed record asks for: Pending becomes Active, InProgress becomes Successful.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hearth_api::ApiError;
use hearth_store::Precondition;
use hearth_types::function::{State, UpdateStatus, VersionRecord};
use hearth_types::{CodeDigest, keys};
use tracing::error;

use crate::records::{Loaded, TRIES, contended, put};
use crate::{Control, new_revision};

/// Between tries while the store cannot be written.
const SETTLE_AGAIN: Duration = Duration::from_secs(1);

impl Control {
    /// Settles a function in the background: the client's answer still shows what is under way.
    pub(crate) fn settle_later(self: &Arc<Self>, name: String) {
        let control = Arc::clone(self);
        tokio::spawn(async move {
            if !control.parts.settle_after.is_zero() {
                tokio::time::sleep(control.parts.settle_after).await;
            }
            while let Err(cause) = control.settle(&name).await {
                error!("{name} stays in transition for now: {cause}");
                tokio::time::sleep(SETTLE_AGAIN).await;
            }
        });
    }

    /// Settles a function.
    ///
    /// # Errors
    /// When the store fails, or others keep writing the record.
    pub async fn settle(&self, name: &str) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            let Some(Loaded { record: mut function, version }) = self.load(name).await? else { return Ok(()) };
            if !settled(&mut function.latest) {
                return Ok(());
            }
            let mut writes = vec![put(keys::function(name), &function, Precondition::Version(version))?];
            // What was published in the same step.
            if let Some(mut published) = self.published_version(name, function.last_published).await?
                && !published.record.awaits_snapshot()
                && settled(&mut published.record)
            {
                let key = keys::version(name, function.last_published);
                writes.push(put(key, &published.record, published.unchanged())?);
            }
            if self.commit(writes).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// After a start: settles what was under way, has the trees made that are gone, and says which packages are lost. The
    /// result is for [`Self::keep_tidy`]: the packages that nothing has. Removing them takes its time, and nobody waits for
    /// it.
    ///
    /// # Errors
    /// When a store fails.
    pub async fn recover(self: &Arc<Self>) -> Result<HashSet<CodeDigest>, ApiError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.list(after.as_deref(), 100).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.to_string());
            for record in page {
                self.settle(record.name.as_str()).await?;
            }
        }
        let used = self.packages().await?;
        let mut kept = self.kept().await?;
        for (digest, user) in &used {
            if !kept.contains(digest) {
                // It stays listed; its invokes say what is wrong, where its tree is gone, too.
                error!("{user}: the package {digest} is missing: deploy it again");
            } else if !self.parts.trees.is_whole(*digest).await {
                self.parts.trees.soon(*digest);
            }
        }
        kept.extend(self.trees().await?);
        kept.retain(|digest| !used.contains_key(digest));
        Ok(kept)
    }
}

/// The step, and whether there was one.
fn settled(version: &mut VersionRecord) -> bool {
    let in_transition =
        version.state == State::Pending || matches!(version.last_update, Some(UpdateStatus::InProgress));
    if in_transition {
        version.state = State::Active;
        version.last_update = Some(UpdateStatus::Successful);
        version.serving = None;
        version.revision = new_revision();
    }
    in_transition
}
