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

    /// After a start: restores packages whose unpacked form is gone, and settles what was under way. The result is for
    /// [`Self::keep_tidy`]: the packages that nothing has. Removing them takes its time, and nobody waits for it.
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
        let packages = self.packages().await?;
        for (digest, user) in &packages {
            self.restore(*digest, user).await;
        }
        let mut unused = self.stored().await?;
        unused.retain(|digest| !packages.contains_key(digest));
        Ok(unused)
    }

    /// A function whose package cannot be restored stays listed; its invokes say what is wrong.
    async fn restore(&self, digest: CodeDigest, user: &str) {
        let unpacker = Arc::clone(&self.parts.unpacker);
        if matches!(tokio::task::spawn_blocking(move || unpacker.is_whole(&digest)).await, Ok(true)) {
            return;
        }
        match self.parts.blobs.get(&digest).await {
            Ok(Some(zip)) => {
                if let Err(cause) = self.take_package(zip.into()).await {
                    error!("{user}: the package {digest} cannot be unpacked again: {cause}");
                }
            }
            Ok(None) => error!("{user}: the package {digest} is missing: deploy it again"),
            Err(cause) => error!("{user}: the package {digest} cannot be read: {cause}"),
        }
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
