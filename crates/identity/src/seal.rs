//! The server's key, and what is sealed with it: secrets at rest, and tokens that clients carry.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hearth_types::identity::SealedSecret;

use crate::Secret;
use crate::sigv4::hmac;

/// Random bytes that one sealing uses up.
pub const NONCE_BYTES: usize = 24;

/// What a thing is sealed for: sealed for one, it opens for no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    AccessKey,
    SessionToken,
    Parameter,
    Record,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::AccessKey => b"hearth access key",
            Self::SessionToken => b"hearth session token",
            Self::Parameter => b"hearth parameter",
            Self::Record => b"hearth record",
        }
    }
}

/// The key of one server: 32 random bytes. All other keys come from it.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// A new key, of bytes that nobody can guess.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// From the text of a key file: the bytes in base64, perhaps with a line end.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text.trim()).ok()?.try_into().ok().map(Self)
    }

    /// The text of a key file.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n", STANDARD.encode(self.0))
    }

    /// A key for one use.
    pub(crate) fn derive(&self, label: &[u8]) -> [u8; 32] {
        hmac(&self.0, label)
    }

    fn cipher(&self, purpose: Purpose) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derive(purpose.label()).into())
    }

    /// Nonce and ciphertext. `bound` is not hidden; it must be given again to open it.
    pub(crate) fn seal(&self, purpose: Purpose, text: &[u8], bound: &[u8], nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        let payload = Payload { msg: text, aad: bound };
        // It fails for texts of 256 GB.
        let sealed = self.cipher(purpose).encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        [&nonce[..], &sealed].concat()
    }

    pub(crate) fn open(&self, purpose: Purpose, sealed: &[u8], bound: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.cipher(purpose).decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: bound }).ok()
    }

    /// Seals the secret of the access key `id`.
    #[must_use]
    pub fn seal_secret(&self, id: &str, secret: &Secret, nonce: [u8; NONCE_BYTES]) -> SealedSecret {
        self.seal_for(Purpose::AccessKey, id, secret, nonce)
    }

    /// The secret of the access key `id`; none where it was sealed with another key, or for another id.
    #[must_use]
    pub fn open_secret(&self, id: &str, sealed: &SealedSecret) -> Option<Secret> {
        self.open_for(Purpose::AccessKey, id, sealed)
    }

    /// Seals the value of the parameter `id`.
    #[must_use]
    pub fn seal_parameter(&self, id: &str, value: &Secret, nonce: [u8; NONCE_BYTES]) -> SealedSecret {
        self.seal_for(Purpose::Parameter, id, value, nonce)
    }

    /// The value of the parameter `id`; none where it was sealed with another key, or for another id.
    #[must_use]
    pub fn open_parameter(&self, id: &str, sealed: &SealedSecret) -> Option<Secret> {
        self.open_for(Purpose::Parameter, id, sealed)
    }

    /// Seals a record at rest, bound to its name and version.
    #[must_use]
    pub fn seal_record(&self, bound: &[u8], record: &[u8], nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        self.seal(Purpose::Record, record, bound, nonce)
    }

    /// The record; none where it was sealed with another key, or bound to something else.
    #[must_use]
    pub fn open_record(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.open(Purpose::Record, sealed, bound)
    }

    fn seal_for(&self, purpose: Purpose, id: &str, secret: &Secret, nonce: [u8; NONCE_BYTES]) -> SealedSecret {
        SealedSecret(STANDARD.encode(self.seal(purpose, secret.reveal().as_bytes(), id.as_bytes(), nonce)))
    }

    fn open_for(&self, purpose: Purpose, id: &str, sealed: &SealedSecret) -> Option<Secret> {
        let bytes = STANDARD.decode(&sealed.0).ok()?;
        String::from_utf8(self.open(purpose, &bytes, id.as_bytes())?).ok().map(Secret::new)
    }

    pub(crate) fn seal_text(&self, purpose: Purpose, text: &[u8], bound: &[u8], nonce: [u8; NONCE_BYTES]) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(purpose, text, bound, nonce))
    }

    pub(crate) fn open_text(&self, purpose: Purpose, sealed: &str, bound: &[u8]) -> Option<Vec<u8>> {
        self.open(purpose, &URL_SAFE_NO_PAD.decode(sealed).ok()?, bound)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_with_its_key_and_id_only() {
        let key = MasterKey::new([1; 32]);
        let sealed = key.seal_secret("AKIA1", &Secret::new("secret"), [2; NONCE_BYTES]);
        assert!(!sealed.0.contains("secret"));
        assert_eq!(key.open_secret("AKIA1", &sealed), Some(Secret::new("secret")));
        assert_eq!(key.open_secret("AKIA2", &sealed), None);
        assert_eq!(MasterKey::new([3; 32]).open_secret("AKIA1", &sealed), None);
        assert_eq!(key.open_parameter("AKIA1", &sealed), None, "sealed for another purpose");
        let mut bytes = STANDARD.decode(&sealed.0).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert_eq!(key.open_secret("AKIA1", &SealedSecret(STANDARD.encode(&bytes))), None, "{at}");
            bytes[at] ^= 1;
        }
        assert_eq!(key.open_secret("AKIA1", &SealedSecret("short".to_owned())), None);
    }

    #[test]
    fn a_key_file_keeps_the_key() {
        let key = MasterKey::new([7; 32]);
        assert_eq!(MasterKey::parse(&key.to_text()).map(|key| key.0), Some([7; 32]));
        assert!(MasterKey::parse("AAAA").is_none() && MasterKey::parse("").is_none());
        assert_eq!(format!("{key:?}"), "MasterKey");
    }
}
