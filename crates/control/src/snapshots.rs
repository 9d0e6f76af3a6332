//! SnapStart: what becomes of a published version whose snapshot was taken, or could not be.

use hearth_api::ApiError;
use hearth_types::function::{State, UpdateStatus, VersionRecord};
use hearth_types::keys;

use crate::records::{TRIES, contended, put};
use crate::{Control, new_revision};

/// What came of a version's snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Optimization {
    /// Environments go on from it.
    On,
    /// There can be none: environments start as usual.
    Off,
    /// The function's init failed: a StateReasonCode, and what is said of it.
    Failed(String, String),
}

impl Control {
    /// Ends that a version is Pending for its snapshot.
    ///
    /// # Errors
    /// When the store fails, or others keep writing the record.
    pub async fn optimized(&self, name: &str, number: u64, outcome: &Optimization) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            let Some(mut version) = self.published_version(name, number).await? else { return Ok(()) };
            if !version.record.awaits_snapshot() {
                return Ok(());
            }
            apply(&mut version.record, outcome);
            let write = put(keys::version(name, number), &version.record, version.unchanged())?;
            if self.commit(vec![write]).await? {
                return Ok(());
            }
        }
        Err(contended())
    }
}

fn apply(version: &mut VersionRecord, outcome: &Optimization) {
    version.state = match outcome {
        Optimization::Failed(code, text) => State::Failed(code.clone(), text.clone()),
        Optimization::On | Optimization::Off => State::Active,
    };
    version.optimized = *outcome == Optimization::On;
    version.last_update = Some(UpdateStatus::Successful);
    version.revision = new_revision();
}
