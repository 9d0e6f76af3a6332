//! Signing keys that have been of use: making one takes four rounds of HMAC, and a client signs a whole day with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hearth_identity::Secret;
use hearth_identity::sigv4::{Claim, SigningKey};
use hearth_types::limits::SIGNING_KEYS;

/// By access key id and scope. Bounded: when it is full it starts anew.
#[derive(Default)]
pub(crate) struct SigningKeys(Mutex<HashMap<(String, String), SigningKey>>);

impl SigningKeys {
    /// The key that a claim's signature is made with. An access key's secret never changes.
    pub(crate) fn of(&self, claim: &Claim, secret: &Secret) -> SigningKey {
        let known = self.lock().get(&name(claim)).cloned();
        known.unwrap_or_else(|| claim.signing_key(secret))
    }

    /// Keeps the key of a claim that was found good: whoever only knows access key ids keeps nothing here.
    pub(crate) fn keep(&self, claim: &Claim, key: SigningKey) {
        let mut all = self.lock();
        if all.contains_key(&name(claim)) {
            return;
        }
        if all.len() >= SIGNING_KEYS {
            all.clear();
        }
        all.insert(name(claim), key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), SigningKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(claim: &Claim) -> (String, String) {
    (claim.access_key_id().to_owned(), claim.scope())
}
