//! A checksum over the whole content, kept in the file beside it. SQLite notices a damaged structure but not a
//! changed byte inside a value, nor a page that is an older version of itself.

use sha2::{Digest as _, Sha256};

/// The exclusive or of all rows' digests: a row goes in and out in the same way, in any order.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Checksum(u128);

impl Checksum {
    pub(crate) fn toggle(&mut self, key: &str, version: u64, value: &[u8]) {
        let mut digest = Sha256::new();
        digest.update((key.len() as u64).to_le_bytes());
        digest.update(key);
        digest.update(version.to_le_bytes());
        digest.update(value);
        let digest: [u8; 32] = digest.finalize().into();
        let half = digest.first_chunk().copied().unwrap_or_default();
        self.0 ^= u128::from_le_bytes(half);
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}
