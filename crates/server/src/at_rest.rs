//! How the metadata's values are sealed at rest: with the server's key.

use std::sync::Arc;

use hearth_identity::{MasterKey, NONCE_BYTES};
use hearth_store_sqlite::Seal;

#[derive(Debug)]
struct WithKey(MasterKey);

/// Seals with this key.
pub(crate) fn seal(key: &MasterKey) -> Arc<dyn Seal> {
    Arc::new(WithKey(key.clone()))
}

impl Seal for WithKey {
    fn seal(&self, bound: &[u8], value: &[u8]) -> Result<Vec<u8>, String> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|cause| format!("the machine gives no random bytes: {cause}"))?;
        Ok(self.0.seal_record(bound, value, nonce))
    }

    fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.open_record(bound, sealed)
    }
}
