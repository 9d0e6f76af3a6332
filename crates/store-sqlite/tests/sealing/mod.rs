//! A seal for tests: it hides nothing from who wants to know, and tells keys and bindings apart.

use std::sync::Arc;

use hearth_store_sqlite::Seal;
use sha2::{Digest as _, Sha256};

#[derive(Debug)]
pub(crate) struct TestSeal(pub(crate) u8);

impl TestSeal {
    fn mark(&self, bound: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update([self.0]).chain_update(bound).finalize().into()
    }
}

impl Seal for TestSeal {
    fn seal(&self, bound: &[u8], value: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.mark(bound).into_iter().chain(value.iter().map(|byte| byte ^ 0xff)).collect())
    }

    fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let value = sealed.strip_prefix(&self.mark(bound)[..])?;
        Some(value.iter().map(|byte| byte ^ 0xff).collect())
    }
}

/// The same for all tests.
pub(crate) fn seal() -> Arc<dyn Seal> {
    Arc::new(TestSeal(1))
}
