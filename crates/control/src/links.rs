//! Links to packages, as GetFunction's Code.Location carries them: good for some minutes, for whoever holds them.

use std::time::Duration;

use hearth_types::CodeDigest;
use hearth_types::limits::CODE_LINK_LIFE;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Makes and checks links. Its key lives as long as the server: a restart ends all links.
pub struct CodeLinks {
    key: [u8; 64],
}

impl std::fmt::Debug for CodeLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeLinks")
    }
}

impl CodeLinks {
    /// With a key of the caller's.
    #[must_use]
    pub fn new(key: [u8; 64]) -> Self {
        Self { key }
    }

    /// The path and query of a link to `digest` that is good for ten minutes from `now` (since 1970).
    #[must_use]
    pub fn path(&self, digest: &CodeDigest, now: Duration) -> String {
        let expires = (now + CODE_LINK_LIFE).as_secs();
        let signature = hex(&self.mac(&digest.to_string(), expires).finalize().into_bytes());
        format!("/_hearth/code/{digest}?expires={expires}&signature={signature}")
    }

    /// Whether a link with these parts is ours and still good at `now` (since 1970).
    #[must_use]
    pub fn is_good(&self, digest: &str, expires: &str, signature: &str, now: Duration) -> bool {
        let (Ok(expires), Some(signature)) = (expires.parse::<u64>(), unhex(signature)) else { return false };
        now.as_secs() <= expires && self.mac(digest, expires).verify_slice(&signature).is_ok()
    }

    fn mac(&self, digest: &str, expires: u64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(digest.as_bytes());
        mac.update(b"\n");
        mac.update(&expires.to_be_bytes());
        mac
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_until_it_expires_and_for_its_package_only() {
        let links = CodeLinks::new([7; 64]);
        let (digest, other) = (CodeDigest([1; 32]), CodeDigest([2; 32]));
        let now = Duration::from_secs(1000);
        let path = links.path(&digest, now);
        let query = path.split_once('?').unwrap().1;
        let (expires, signature) = query.strip_prefix("expires=").unwrap().split_once("&signature=").unwrap();
        assert!(links.is_good(&digest.to_string(), expires, signature, now));
        assert!(links.is_good(&digest.to_string(), expires, signature, now + CODE_LINK_LIFE));
        assert!(!links.is_good(&digest.to_string(), expires, signature, now + CODE_LINK_LIFE + Duration::from_secs(1)));
        assert!(!links.is_good(&other.to_string(), expires, signature, now));
        assert!(!links.is_good(&digest.to_string(), "9999999999", signature, now));
        assert!(!CodeLinks::new([8; 64]).is_good(&digest.to_string(), expires, signature, now));
    }
}
