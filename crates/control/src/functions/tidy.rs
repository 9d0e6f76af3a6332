//! Removing packages that nothing has any more, while the server runs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::{fmt, io};

use hearth_api::ApiError;
use hearth_image::Unpacker;
use hearth_types::CodeDigest;
use hearth_types::function::{FunctionRecord, VersionRecord};
use hearth_types::keys::{self, Part};
use hearth_types::limits::TIDY_EVERY;
use tracing::{error, warn};

use crate::Control;
use crate::layers::LayerVersion;

impl Control {
    /// Removes from time to time what updates and deletes leave behind, and at first what was unused when the server
    /// started: no environment runs that. Runs until it is dropped.
    pub async fn keep_tidy(self: Arc<Self>, mut unused: HashSet<CodeDigest>) {
        loop {
            match self.tidy(&unused).await {
                Ok(found) => unused = found,
                Err(cause) => error!("unused packages stay for now: {cause}"),
            }
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }

    /// One look: removes the packages that nothing had at the look before, nor has now, and that nobody sent in
    /// between. Environments of their code are long gone then, where looks are [`TIDY_EVERY`] apart. The result is for
    /// the next look: all that nothing has now.
    ///
    /// # Errors
    /// When a store fails.
    pub async fn tidy(&self, unused_before: &HashSet<CodeDigest>) -> Result<HashSet<CodeDigest>, ApiError> {
        // First these: what is sent from now on is seen by `discard`.
        let sent = std::mem::take(&mut *self.sent());
        let used = self.packages().await?;
        let mut unused = self.kept().await?;
        unused.extend(self.trees().await?);
        unused.retain(|digest| !used.contains_key(digest));
        let gone: Vec<_> =
            unused.intersection(unused_before).filter(|digest| !sent.contains(digest)).copied().collect();
        for digest in gone {
            if self.discard(digest).await {
                unused.remove(&digest);
            }
        }
        Ok(unused)
    }

    /// The packages that there are.
    pub(super) async fn kept(&self) -> Result<HashSet<CodeDigest>, ApiError> {
        let kept = self.parts.blobs.list().await.map_err(|cause| unavailable(&cause))?;
        Ok(kept.into_iter().collect())
    }

    /// The packages of which there are trees.
    pub(super) async fn trees(&self) -> Result<HashSet<CodeDigest>, ApiError> {
        let trees = self.parts.trees.on_a_thread(Unpacker::list).await;
        trees.unwrap_or_else(|| Err(io::ErrorKind::Interrupted.into())).map_err(|cause| unavailable(&cause))
    }

    /// The packages that functions, their published versions and layers have, each with the name of one that has it.
    pub(super) async fn packages(&self) -> Result<HashMap<CodeDigest, String>, ApiError> {
        let mut functions = Vec::new();
        let mut packages = HashMap::new();
        self.visit::<FunctionRecord>(keys::FUNCTIONS, |name, record| {
            packages.extend(packages_of(&record.latest).map(|digest| (digest, name.to_owned())));
            functions.push(name.to_owned());
        })
        .await?;
        for name in functions {
            self.visit::<VersionRecord>(&Part::Version.prefix(&name), |_, version| {
                packages.extend(packages_of(&version).map(|digest| (digest, name.clone())));
            })
            .await?;
        }
        self.visit::<LayerVersion>(keys::LAYER_VERSIONS, |key, version| {
            let name = key.split('/').next().unwrap_or_default();
            packages.insert(version.code.digest, self.layer_version_arn(name, version.number));
        })
        .await?;
        Ok(packages)
    }

    /// Removes a package, unless it is being sent again. Nobody has a turn meanwhile: who sends it now has said so before, or
    /// keeps it after it went.
    async fn discard(&self, digest: CodeDigest) -> bool {
        let Ok(_turns) = self.parts.trees.all_turns().await else { return false };
        if self.sent().contains(&digest) {
            return false;
        }
        let removed = self.parts.trees.on_a_thread(move |unpacker| unpacker.remove(&digest)).await;
        if let Some(Err(cause)) = removed {
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

    pub(super) fn sent(&self) -> MutexGuard<'_, HashSet<CodeDigest>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(cause: &dyn fmt::Display) -> ApiError {
    error!("looking for packages failed: {cause}");
    ApiError::service("The package store is not available.")
}

/// What a version runs, and what serves until an update of it is done: code and layers.
fn packages_of(version: &VersionRecord) -> impl Iterator<Item = CodeDigest> {
    let serving = version.serving.iter().map(|serving| (&serving.code, &serving.config));
    std::iter::once((&version.code, &version.config)).chain(serving).flat_map(|(code, config)| {
        code.zip().into_iter().chain(config.layers.iter().map(|layer| &layer.code)).map(|code| code.digest)
    })
}
