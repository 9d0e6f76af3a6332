//! Bodies in chunks as S3's clients send them (`aws-chunked`): taken apart as they come, each chunk's signature checked
//! against that of the one before it.

use bytes::{Buf as _, Bytes};
use hearth_types::limits::{CHUNK_HEAD_BYTES, CHUNK_TRAILER_BYTES};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::derive::{SigningKey, hex, hex_digest, unhex};
use super::{CONTENT_SHA256, Timestamp};

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// How the chunks of a body are signed.
#[derive(Clone, Debug)]
pub struct Framing {
    /// Whether chunks bear signatures.
    is_signed: bool,
    has_trailer: bool,
    /// None where nobody checks them.
    key: Option<ChunkKey>,
}

impl Framing {
    /// What a request's headers declare, its signatures unchecked: for doors where any credentials are accepted. None
    /// for a body that is not in chunks.
    #[must_use]
    pub fn unchecked(headers: &HeaderMap) -> Option<Self> {
        let declared = headers.get(CONTENT_SHA256)?.to_str().ok()?;
        let (is_signed, has_trailer) = kind(declared)?;
        Some(Self { is_signed, has_trailer, key: None })
    }

    pub(super) fn declared(text: &str, key: impl FnOnce() -> ChunkKey) -> Option<Self> {
        let (is_signed, has_trailer) = kind(text)?;
        Some(Self { is_signed, has_trailer, key: is_signed.then(key) })
    }
}

/// Whether chunks are signed, and whether a trailer follows them.
fn kind(declared: &str) -> Option<(bool, bool)> {
    match declared {
        SIGNED => Some((true, false)),
        SIGNED_TRAILER => Some((true, true)),
        UNSIGNED_TRAILER => Some((false, true)),
        _ => None,
    }
}

/// Makes the chain of signatures.
#[derive(Clone)]
pub(super) struct ChunkKey {
    key: SigningKey,
    timestamp: Timestamp,
    scope: String,
    /// Of the request's head, then of the chunk before.
    previous: [u8; 32],
}

impl ChunkKey {
    pub(super) fn new(key: SigningKey, timestamp: Timestamp, scope: String, seed: [u8; 32]) -> Self {
        Self { key, timestamp, scope, previous: seed }
    }

    fn text(&self, kind: &str, hashes: &str) -> String {
        let (timestamp, scope, previous) = (self.timestamp, &self.scope, hex(&self.previous));
        format!("AWS4-HMAC-SHA256-{kind}\n{timestamp}\n{scope}\n{previous}\n{hashes}")
    }

    fn of_chunk(&self, digest: &[u8]) -> String {
        self.text("PAYLOAD", &format!("{}\n{}", hex_digest(b""), hex(digest)))
    }

    fn of_trailer(&self, canonical: &[u8]) -> String {
        self.text("TRAILER", &hex_digest(canonical))
    }

    fn accept(&mut self, text: &str, signature: [u8; 32]) -> Result<(), ChunkError> {
        if !self.key.verify(text, &signature) {
            return Err(ChunkError::Signature);
        }
        self.previous = signature;
        Ok(())
    }
}

impl std::fmt::Debug for ChunkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChunkKey")
    }
}

/// Why a body in chunks is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChunkError {
    /// It is not in that form.
    #[error("the body is not in chunks as its headers say: {0}")]
    Malformed(&'static str),
    /// A chunk or the trailer is not as it was signed.
    #[error("a chunk's signature does not match")]
    Signature,
    /// It is not as long as `x-amz-decoded-content-length` says.
    #[error("the body has {found} bytes instead of {declared}")]
    Length {
        /// Bytes as declared.
        declared: u64,
        /// Bytes found, or more than that.
        found: u64,
    },
}

/// Headers behind the last chunk, names in lower case.
pub type Trailers = Vec<(String, String)>;

/// Takes a body apart. What it gives out counts only once [`ChunkDecoder::finish`] has not failed: bytes come out before
/// the end of their chunk, and so before its signature, has been seen.
#[derive(Debug)]
pub struct ChunkDecoder {
    framing: Framing,
    declared: Option<u64>,
    found: u64,
    state: State,
    /// The line, or the trailer's lines, as far as they have come.
    line: Vec<u8>,
    trailer_bytes: usize,
    /// Of the chunk in progress.
    digest: Sha256,
    signature: [u8; 32],
    trailers: Trailers,
    /// The trailer's own signature.
    trailer_signature: Option<[u8; 32]>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Head,
    Data { left: u64 },
    DataEnd,
    Trailer,
    Done,
}

impl ChunkDecoder {
    /// For a body of `declared` bytes, where that is known.
    #[must_use]
    pub fn new(framing: Framing, declared: Option<u64>) -> Self {
        Self {
            framing,
            declared,
            found: 0,
            state: State::Head,
            line: Vec::new(),
            trailer_bytes: 0,
            digest: Sha256::new(),
            signature: [0; 32],
            trailers: Vec::new(),
            trailer_signature: None,
        }
    }

    /// Takes the next piece of the body, cut anywhere, and gives out what of it is content.
    ///
    /// # Errors
    /// See [`ChunkError`]. Nothing more may be fed then.
    pub fn feed(&mut self, mut piece: Bytes) -> Result<Vec<Bytes>, ChunkError> {
        let mut content = Vec::new();
        while !piece.is_empty() {
            match self.state {
                State::Data { left } => {
                    let taken = piece.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(piece.len()));
                    self.take_data(&taken, left)?;
                    content.push(taken);
                }
                State::Done => return Err(ChunkError::Malformed("something follows its end")),
                State::Head | State::DataEnd | State::Trailer => {
                    if let Some(line) = self.take_line(&mut piece)? {
                        self.handle_line(&line)?;
                    }
                }
            }
        }
        Ok(content)
    }

    /// At the end of the body: the headers behind the last chunk.
    ///
    /// # Errors
    /// When it ended too early or is not as long as declared.
    pub fn finish(mut self) -> Result<Trailers, ChunkError> {
        // Some leave out the last, empty line.
        if self.state == State::Trailer && self.line.is_empty() {
            self.end_trailer()?;
        }
        if self.state != State::Done {
            return Err(ChunkError::Malformed("it ends before its last chunk"));
        }
        match self.declared {
            Some(declared) if declared != self.found => Err(ChunkError::Length { declared, found: self.found }),
            _ => Ok(self.trailers),
        }
    }

    fn take_data(&mut self, data: &[u8], left: u64) -> Result<(), ChunkError> {
        let length = data.len() as u64;
        self.found = self.found.saturating_add(length);
        if let Some(declared) = self.declared.filter(|declared| *declared < self.found) {
            return Err(ChunkError::Length { declared, found: self.found });
        }
        if self.framing.key.is_some() {
            self.digest.update(data);
        }
        self.state = State::Data { left: left - length };
        if left == length {
            self.end_chunk()?;
            self.state = State::DataEnd;
        }
        Ok(())
    }

    /// A line without its end, once it is whole.
    fn take_line(&mut self, piece: &mut Bytes) -> Result<Option<Vec<u8>>, ChunkError> {
        let bound = if self.state == State::Trailer { CHUNK_TRAILER_BYTES } else { CHUNK_HEAD_BYTES };
        let end = piece.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(piece.len(), |end| end + 1);
        if self.line.len() + taken > bound {
            return Err(ChunkError::Malformed("a line is too long"));
        }
        self.line.extend_from_slice(&piece[..taken]);
        piece.advance(taken);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(line))
    }

    fn handle_line(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        match self.state {
            State::Head => self.start_chunk(line),
            State::DataEnd if line.is_empty() => {
                self.state = State::Head;
                Ok(())
            }
            State::DataEnd => Err(ChunkError::Malformed("a chunk is longer than it says")),
            _ if line.is_empty() => self.end_trailer(),
            _ => self.take_trailer(line),
        }
    }

    fn start_chunk(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        let malformed = ChunkError::Malformed("a chunk's first line is not its size in hexadecimal digits");
        let line = std::str::from_utf8(line).map_err(|_| malformed)?;
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        if !(1..=16).contains(&size.len()) || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed);
        }
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed)?;
        if self.framing.is_signed {
            let signature = extension.trim().strip_prefix("chunk-signature=").and_then(unhex);
            self.signature = signature.ok_or(ChunkError::Malformed("a chunk has no signature"))?;
        }
        self.digest = Sha256::new();
        self.state = State::Data { left: size };
        if size == 0 {
            self.end_chunk()?;
            self.state = State::Trailer;
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), ChunkError> {
        let digest = std::mem::take(&mut self.digest).finalize();
        let Some(key) = &mut self.framing.key else { return Ok(()) };
        let text = key.of_chunk(&digest);
        key.accept(&text, self.signature)
    }

    fn take_trailer(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        let malformed = ChunkError::Malformed("its trailer has a line that is no header");
        self.trailer_bytes += line.len();
        if !self.framing.has_trailer || self.trailer_bytes > CHUNK_TRAILER_BYTES {
            return Err(ChunkError::Malformed("its trailer is not declared, or too long"));
        }
        let line = std::str::from_utf8(line).map_err(|_| malformed)?;
        let (name, value) = line.split_once(':').ok_or(malformed)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name == TRAILER_SIGNATURE {
            self.trailer_signature = Some(unhex(value).ok_or(malformed)?);
        } else {
            self.trailers.push((name, value.to_owned()));
        }
        Ok(())
    }

    fn end_trailer(&mut self) -> Result<(), ChunkError> {
        self.state = State::Done;
        if !self.framing.has_trailer {
            return Ok(());
        }
        let Some(key) = &mut self.framing.key else { return Ok(()) };
        let signature = self.trailer_signature.ok_or(ChunkError::Signature)?;
        let canonical: String = self.trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let text = key.of_trailer(canonical.as_bytes());
        key.accept(&text, signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const FIRST: &str = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";
    const SECOND: &str = "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497";
    const LAST: &str = "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9";

    /// The example of S3's documentation of signed chunks.
    fn key() -> ChunkKey {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let key = SigningKey::derive(&secret, "20130524", "us-east-1", "s3");
        let scope = "20130524/us-east-1/s3/aws4_request".to_owned();
        ChunkKey::new(key, Timestamp::parse_basic("20130524T000000Z").unwrap(), scope, unhex(SEED).unwrap())
    }

    fn signed() -> Framing {
        Framing { is_signed: true, has_trailer: false, key: Some(key()) }
    }

    fn documented() -> Vec<u8> {
        let mut body = format!("10000;chunk-signature={FIRST}\r\n").into_bytes();
        body.extend(std::iter::repeat_n(b'a', 65_536));
        body.extend(format!("\r\n400;chunk-signature={SECOND}\r\n").bytes());
        body.extend(std::iter::repeat_n(b'a', 1024));
        body.extend(format!("\r\n0;chunk-signature={LAST}\r\n\r\n").bytes());
        body
    }

    fn decode(
        framing: Framing,
        body: &[u8],
        piece: usize,
        length: Option<u64>,
    ) -> Result<(Vec<u8>, Trailers), ChunkError> {
        let mut decoder = ChunkDecoder::new(framing, length);
        let mut content = Vec::new();
        for piece in body.chunks(piece) {
            decoder.feed(Bytes::copy_from_slice(piece))?.iter().for_each(|part| content.extend_from_slice(part));
        }
        Ok((content, decoder.finish()?))
    }

    #[test]
    fn the_documented_body_is_accepted_however_it_is_cut() {
        for piece in [1, 7, 1000, 70_000] {
            let (content, trailers) = decode(signed(), &documented(), piece, Some(66_560)).unwrap();
            assert_eq!((content.len(), trailers.len()), (66_560, 0));
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        for at in [100, 65_536, 66_600] {
            let mut body = documented();
            body[at] ^= 2;
            assert_eq!(decode(signed(), &body, 4096, None), Err(ChunkError::Signature), "{at}");
        }
        let other = documented().iter().map(|b| if *b == b'a' { b'b' } else { *b }).collect::<Vec<_>>();
        assert!(decode(signed(), &other, 4096, None).is_err());
    }

    #[test]
    fn trailers_come_out_and_are_signed() {
        let mut signer = key();
        let mut head = |data: &[u8]| {
            let text = signer.of_chunk(&Sha256::digest(data));
            signer.previous = signer.key.sign(&text);
            format!("{:x};chunk-signature={}\r\n", data.len(), hex(&signer.previous))
        };
        let (first, last) = (head(b"hello"), head(b""));
        let trailer = hex(&signer.key.sign(&signer.of_trailer(b"x-amz-checksum-crc32:NhCmhg==\n")));
        let body = |trailer: &str| {
            format!("{first}hello\r\n{last}x-amz-checksum-crc32:NhCmhg==\r\nx-amz-trailer-signature:{trailer}\r\n\r\n")
        };
        let framing = || Framing { is_signed: true, has_trailer: true, key: Some(key()) };
        let (content, trailers) = decode(framing(), body(&trailer).as_bytes(), 3, Some(5)).unwrap();
        assert_eq!(content, b"hello");
        assert_eq!(trailers, [("x-amz-checksum-crc32".to_owned(), "NhCmhg==".to_owned())]);
        let wrong = decode(framing(), body(&hex(&[7; 32])).as_bytes(), 3, Some(5));
        assert_eq!(wrong, Err(ChunkError::Signature));
        let mut unsigned = framing();
        unsigned.key = None;
        assert!(decode(unsigned, body(&hex(&[7; 32])).as_bytes(), 3, None).is_ok());
    }

    #[test]
    fn unsigned_chunks_have_a_trailer_only() {
        let framing = || Framing { is_signed: false, has_trailer: true, key: None };
        let body = b"5\r\nhello\r\n0\r\nX-Amz-Checksum-Crc32: NhCmhg==\r\n\r\n";
        assert_eq!(decode(framing(), body, 4, Some(5)).unwrap().1[0].1, "NhCmhg==");
        assert_eq!(decode(framing(), body, 4, Some(6)), Err(ChunkError::Length { declared: 6, found: 5 }));
        assert_eq!(decode(framing(), body, 4, Some(4)), Err(ChunkError::Length { declared: 4, found: 5 }));
    }

    #[test]
    fn what_is_not_in_that_form_is_refused() {
        let framing = || Framing { is_signed: false, has_trailer: true, key: None };
        for body in [
            &b"hello"[..],
            b"5\r\nhel",
            b"5\r\nhelloo\r\n0\r\n\r\n",
            b"\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"11111111111111111\r\n",
            b"0\r\nno header\r\n\r\n",
            b"0\r\n\r\nmore",
            &[b'1'; 2000],
        ] {
            assert!(matches!(decode(framing(), body, 3, None), Err(ChunkError::Malformed(_))), "{body:?}");
        }
        assert!(matches!(decode(signed(), b"0\r\n\r\n", 3, None), Err(ChunkError::Malformed(_))), "no signature");
    }
}
