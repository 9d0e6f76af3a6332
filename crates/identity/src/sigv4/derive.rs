//! Keys and signatures.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{ALGORITHM, TERMINATOR, Timestamp};
use crate::Secret;

/// HMAC-SHA256 takes keys of any length.
fn mac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let keyed = Hmac::<Sha256>::new_from_slice(key);
    debug_assert!(keyed.is_ok());
    let mut mac = keyed.unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()));
    mac.update(message);
    mac
}

pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    mac(key, message).finalize().into_bytes().into()
}

pub(super) fn hex_digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// From 64 digits in lower case, as signatures and hashes are written.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    hearth_types::CodeDigest::from_hex(text).map(|digest| digest.0)
}

/// A key of one day, region and service.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

/// Nothing of it belongs into a log.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    pub(super) fn derive(secret: &Secret, date: &str, region: &str, service: &str) -> Self {
        let of_date = hmac(format!("AWS4{}", secret.reveal()).as_bytes(), date.as_bytes());
        let of_region = hmac(&of_date, region.as_bytes());
        let of_service = hmac(&of_region, service.as_bytes());
        Self(hmac(&of_service, TERMINATOR.as_bytes()))
    }

    pub(super) fn sign(&self, text: &str) -> [u8; 32] {
        hmac(&self.0, text.as_bytes())
    }

    /// Takes the same time for every signature.
    pub(super) fn verify(&self, text: &str, signature: &[u8; 32]) -> bool {
        mac(&self.0, text.as_bytes()).verify_slice(signature).is_ok()
    }
}

/// What is signed of a request; `scope` is `DATE/REGION/SERVICE/aws4_request`.
pub(super) fn string_to_sign(timestamp: Timestamp, scope: &str, canonical_request: &[u8]) -> String {
    format!("{ALGORITHM}\n{timestamp}\n{scope}\n{}", hex_digest(canonical_request))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation of signing keys.
    #[test]
    fn the_documented_key_comes_out() {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let key = SigningKey::derive(&secret, "20120215", "us-east-1", "iam");
        assert_eq!(hex(&key.0), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
        let signature = key.sign("text");
        assert!(key.verify("text", &signature) && !key.verify("other", &signature));
    }
}
