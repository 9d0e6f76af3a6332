//! Checksums of what is sent: computed as it passes, compared at the end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm::{Crc32Iscsi, Crc32IsoHdlc, Crc64Nvme};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::Sha256;

/// The checksums that a client may choose from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64nvme, Self::Sha1, Self::Sha256];

    /// As clients spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The header that carries it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(crate) fn of_header(header: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(header))
    }

    /// The member of an XML answer that carries it.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32c => "ChecksumCRC32C",
            Self::Crc64nvme => "ChecksumCRC64NVME",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
        }
    }

    fn crc(self) -> Option<crc_fast::CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(Crc32IsoHdlc),
            Self::Crc32c => Some(Crc32Iscsi),
            Self::Crc64nvme => Some(Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Bytes of a checksum.
    fn bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The checksum of these bytes, in base64.
    #[cfg(test)]
    fn of(self, bytes: &[u8]) -> String {
        let mut running = Running::new(self);
        running.update(bytes);
        running.finish()
    }

    /// Whether a text has the form of such a checksum.
    pub(crate) fn is_well_formed(self, text: &str) -> bool {
        STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == self.bytes())
    }

    /// The checksum of a whole from those of its parts, each with its size in bytes; none for what only bytes give, and
    /// for what is no checksum.
    pub(crate) fn combined<'a>(self, mut parts: impl Iterator<Item = (&'a str, u64)>) -> Option<String> {
        let crc = self.crc()?;
        let (first, _) = parts.next()?;
        let mut whole = self.number(first)?;
        for (text, size) in parts {
            whole = crc_fast::checksum_combine(crc, whole, self.number(text)?, size);
        }
        Some(STANDARD.encode(&whole.to_be_bytes()[8 - self.bytes()..]))
    }

    /// The checksum over the parts' checksums.
    pub(crate) fn composite<'a>(self, parts: impl Iterator<Item = &'a str>) -> Option<String> {
        let mut running = Running::new(self);
        for text in parts {
            running.update(&STANDARD.decode(text).ok()?);
        }
        Some(running.finish())
    }

    fn number(self, text: &str) -> Option<u64> {
        let bytes = STANDARD.decode(text).ok()?;
        let mut number = [0; 8];
        number.get_mut(8_usize.checked_sub(bytes.len())?..)?.copy_from_slice(&bytes);
        Some(u64::from_be_bytes(number))
    }
}

/// A checksum on its way.
enum Running {
    Crc(Algorithm, crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Running {
    fn new(algorithm: Algorithm) -> Self {
        match (algorithm.crc(), algorithm) {
            (Some(crc), _) => Self::Crc(algorithm, crc_fast::Digest::new(crc)),
            (None, Algorithm::Sha1) => Self::Sha1(Sha1::new()),
            (None, _) => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(_, digest) => digest.update(bytes),
            Self::Sha1(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Crc(algorithm, digest) => STANDARD.encode(&digest.finalize().to_be_bytes()[8 - algorithm.bytes()..]),
            Self::Sha1(digest) => STANDARD.encode(digest.finalize()),
            Self::Sha256(digest) => STANDARD.encode(digest.finalize()),
        }
    }
}

/// All that is computed of one body.
pub(crate) struct Digests {
    md5: Md5,
    sha256: Option<Sha256>,
    chosen: Option<(Algorithm, Running)>,
}

/// What came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Digested {
    pub(crate) md5: [u8; 16],
    /// In hexadecimal digits, where it was asked for.
    pub(crate) sha256: Option<String>,
    /// In base64, where one was chosen.
    pub(crate) checksum: Option<(Algorithm, String)>,
}

impl Digests {
    pub(crate) fn new(with_sha256: bool, chosen: Option<Algorithm>) -> Self {
        Self {
            md5: Md5::new(),
            sha256: with_sha256.then(Sha256::new),
            chosen: chosen.map(|algorithm| (algorithm, Running::new(algorithm))),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        if let Some((_, running)) = &mut self.chosen {
            running.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Digested {
        Digested {
            md5: self.md5.finalize().into(),
            sha256: self.sha256.map(|digest| hex(&digest.finalize())),
            checksum: self.chosen.map(|(algorithm, running)| (algorithm, running.finish())),
        }
    }
}

/// The entity tag of an object of several parts: over the parts' MD5s, and their count. None where one is no MD5.
pub(crate) fn etag_of_parts<'a>(etags: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut all = Md5::new();
    let mut count = 0;
    for etag in etags {
        let digits: Option<Vec<u8>> =
            (0..etag.len()).step_by(2).map(|at| u8::from_str_radix(etag.get(at..at + 2)?, 16).ok()).collect();
        all.update(digits?);
        count += 1;
    }
    Some(format!("{}-{count}", hex(&all.finalize())))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_their_standards() {
        // The check values of the algorithms' catalogue, for "123456789".
        let known = [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32c, "4waSgw=="),
            (Algorithm::Crc64nvme, "rosUhgp5mIg="),
            (Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (Algorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ];
        for (algorithm, checksum) in known {
            assert_eq!(algorithm.of(b"123456789"), checksum, "{algorithm:?}");
            assert!(algorithm.is_well_formed(checksum));
            assert!(!algorithm.is_well_formed("AAA=") && !algorithm.is_well_formed("?"));
            assert_eq!(Algorithm::of_name(&algorithm.name().to_lowercase()), Some(algorithm));
            assert_eq!(Algorithm::of_header(algorithm.header()), Some(algorithm));
        }
    }

    #[test]
    fn parts_make_the_checksum_of_the_whole() {
        let bytes: Vec<u8> = (0..1000_u32).map(|n| (n * 7) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64nvme] {
            let parts: Vec<_> = bytes.chunks(333).map(|part| (algorithm.of(part), part.len() as u64)).collect();
            let combined = algorithm.combined(parts.iter().map(|(text, size)| (text.as_str(), *size)));
            assert_eq!(combined, Some(algorithm.of(&bytes)), "{algorithm:?}");
        }
        assert_eq!(Algorithm::Sha1.combined([("", 0)].into_iter()), None);
        assert_eq!(Algorithm::Crc32.combined([("AAAAAAAAAAAAAAAA", 1)].into_iter()), None);
    }

    #[test]
    fn an_etag_of_parts_counts_them() {
        let part = hex(&Md5::digest(b"part"));
        assert!(etag_of_parts([part.as_str(), &part].into_iter()).unwrap().ends_with("-2"));
        assert_eq!(etag_of_parts(["zz"].into_iter()), None);
        assert_eq!(etag_of_parts(["abc"].into_iter()), None);
    }
}
