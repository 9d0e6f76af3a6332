//! Taking an object's bytes from a client: to a file piece by piece, checked against all that the client says of them.

use std::fmt::Display;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use hearth_identity::sigv4::{ChunkDecoder, ChunkError, Framing};
use hearth_types::limits::{S3_OBJECT_BYTES, S3_PIECE_BYTES, S3_STALL};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};

use crate::contents::{Contents, Draft, Kept};
use crate::digest::{Algorithm, Digested, Digests, hex};
use crate::error::S3Error;
use crate::headers::text;
use crate::route::Call;

/// What a client says of a body.
#[derive(Clone, Debug)]
pub(crate) struct Announced {
    /// Bytes of the object, not of its framing.
    length: u64,
    framing: Option<Framing>,
    md5: Option<[u8; 16]>,
    /// In hexadecimal digits.
    sha256: Option<String>,
    checksum: Option<Claim>,
}

/// A checksum that the client gives, before the body or behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Claim {
    algorithm: Algorithm,
    /// None where it is in a trailer.
    value: Option<String>,
}

/// A body that was taken.
#[derive(Debug)]
pub(crate) struct Received {
    /// None for no bytes.
    pub(crate) kept: Option<Kept>,
    pub(crate) size: u64,
    pub(crate) digested: Digested,
}

impl Announced {
    pub(crate) fn of(call: &Call) -> Result<Self, S3Error> {
        let headers = &call.headers;
        let sha256 = text(headers, "x-amz-content-sha256")?;
        let announced = Self {
            length: length(headers, call.framing.is_some())?,
            framing: call.framing.clone(),
            md5: text(headers, "content-md5")?.map(md5).transpose()?,
            sha256: match sha256 {
                Some(value) if call.framing.is_none() && value != "UNSIGNED-PAYLOAD" => Some(sha256_digits(value)?),
                _ => None,
            },
            checksum: claim(headers)?,
        };
        if announced.length > S3_OBJECT_BYTES {
            return Err(S3Error::bad("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
                .with("ProposedSize", announced.length.to_string())
                .with("MaxSizeAllowed", S3_OBJECT_BYTES.to_string()));
        }
        Ok(announced)
    }

    /// The algorithm that the client chose.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|claim| claim.algorithm)
    }

    /// Takes the body. `algorithm` is what is computed where the client chose none.
    pub(crate) async fn receive<B>(
        self,
        body: B,
        contents: &Arc<Contents>,
        algorithm: Option<Algorithm>,
    ) -> Result<Received, S3Error>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        let algorithm = self.algorithm().or(algorithm);
        let mut sink = Sink::new(Arc::clone(contents), Digests::new(self.sha256.is_some(), algorithm));
        let trailers = self.pump(body, &mut sink).await?;
        if sink.size != self.length {
            return Err(incomplete());
        }
        let received = sink.finish().await?;
        self.compare(&received.digested, &trailers)?;
        Ok(received)
    }

    /// Moves the body to the sink; its trailers.
    async fn pump<B>(&self, mut body: B, sink: &mut Sink) -> Result<Vec<(String, String)>, S3Error>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Display,
    {
        let mut decoder = self.framing.clone().map(|framing| ChunkDecoder::new(framing, Some(self.length)));
        while let Some(frame) = next(&mut body).await? {
            let Ok(data) = frame.into_data() else { continue };
            match &mut decoder {
                Some(decoder) => decoder.feed(data).map_err(malformed)?.iter().for_each(|payload| sink.take(payload)),
                None => sink.take(&data),
            }
            if sink.size > self.length {
                return Err(incomplete());
            }
            sink.write_if_full().await?;
        }
        decoder.map_or(Ok(Vec::new()), |decoder| decoder.finish().map_err(malformed))
    }

    fn compare(&self, found: &Digested, trailers: &[(String, String)]) -> Result<(), S3Error> {
        if self.md5.is_some_and(|md5| md5 != found.md5) {
            return Err(S3Error::bad("BadDigest", "The Content-MD5 you specified did not match what we received."));
        }
        if self.sha256.is_some() && self.sha256 != found.sha256 {
            return Err(other_body());
        }
        let Some(claim) = &self.checksum else { return Ok(()) };
        let in_trailer = || trailers.iter().find(|(name, _)| name == claim.algorithm.header()).map(|(_, value)| value);
        let Some(claimed) = claim.value.as_ref().or_else(in_trailer) else {
            return Err(S3Error::bad(
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform to our published schema.",
            ));
        };
        match &found.checksum {
            Some((_, computed)) if computed == claimed => Ok(()),
            _ => Err(bad_checksum(claim.algorithm)),
        }
    }
}

/// The error for a checksum that is another one.
pub(crate) fn bad_checksum(algorithm: Algorithm) -> S3Error {
    S3Error::bad("BadDigest", format!("The {} you specified did not match the calculated checksum.", algorithm.name()))
}

fn length(headers: &HeaderMap, is_chunked: bool) -> Result<u64, S3Error> {
    let name = if is_chunked { "x-amz-decoded-content-length" } else { "content-length" };
    let missing = || {
        S3Error::new(
            StatusCode::LENGTH_REQUIRED,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        )
    };
    text(headers, name)?.and_then(|length| length.parse().ok()).ok_or_else(missing)
}

fn md5(value: &str) -> Result<[u8; 16], S3Error> {
    let decoded = STANDARD.decode(value).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or_else(|| S3Error::bad("InvalidDigest", "The Content-MD5 you specified was invalid."))
}

fn sha256_digits(value: &str) -> Result<String, S3Error> {
    if value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(value.to_ascii_lowercase());
    }
    let message = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256 \
                   value.";
    Err(S3Error::invalid_argument(message, "x-amz-content-sha256", value))
}

fn claim(headers: &HeaderMap) -> Result<Option<Claim>, S3Error> {
    let mut claims = Vec::new();
    for algorithm in Algorithm::ALL {
        if let Some(value) = text(headers, algorithm.header())? {
            if !algorithm.is_well_formed(value) {
                let message = format!("Value for {} header is invalid.", algorithm.header());
                return Err(S3Error::invalid_request(message));
            }
            claims.push(Claim { algorithm, value: Some(value.to_owned()) });
        }
    }
    if let Some(trailer) = text(headers, "x-amz-trailer")? {
        let Some(algorithm) = Algorithm::of_header(trailer.trim()) else {
            return Err(S3Error::invalid_request("The value specified in the x-amz-trailer header is not supported"));
        };
        claims.push(Claim { algorithm, value: None });
    }
    if claims.len() > 1 {
        let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
        return Err(S3Error::invalid_request(message));
    }
    if claims.is_empty() && text(headers, "x-amz-sdk-checksum-algorithm")?.is_some() {
        let message = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer \
                       headers were found.";
        return Err(S3Error::invalid_request(message));
    }
    Ok(claims.pop())
}

async fn next<B>(body: &mut B) -> Result<Option<http_body::Frame<Bytes>>, S3Error>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let too_slow = "Your socket connection to the server was not read from or written to within the timeout period. \
                    Idle connections will be closed.";
    let frame = tokio::time::timeout(S3_STALL, body.frame()).await;
    let frame = frame.map_err(|_| S3Error::bad("RequestTimeout", too_slow))?;
    frame.transpose().map_err(|_| incomplete())
}

/// A whole body of at most `limit` bytes, for what is no object: the one that was signed.
pub(crate) async fn collect<B>(call: &Call, mut body: B, limit: usize) -> Result<Bytes, S3Error>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let mut all = BytesMut::new();
    while let Some(frame) = next(&mut body).await? {
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > limit {
            return Err(S3Error::bad("MaxMessageLengthExceeded", "Your request was too large."));
        }
        all.extend_from_slice(&data);
    }
    let signed = text(&call.headers, "x-amz-content-sha256")?.filter(|hash| hash.len() == 64);
    if signed.is_some_and(|hash| hash != hex(&Sha256::digest(&all))) {
        return Err(other_body());
    }
    Ok(all.freeze())
}

fn other_body() -> S3Error {
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    S3Error::bad("XAmzContentSHA256Mismatch", message)
}

fn incomplete() -> S3Error {
    S3Error::bad(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )
}

fn malformed(cause: ChunkError) -> S3Error {
    if cause == ChunkError::Signature {
        let message = "The request signature we calculated does not match the signature you provided. Check your key \
                       and signing method.";
        return S3Error::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message);
    }
    S3Error::bad("IncompleteBody", format!("The request body terminated unexpectedly: {cause}."))
}

/// Where the bytes go. Files are written on threads that may block, one piece at a time, and no thread waits for a
/// client.
pub(crate) struct Sink {
    contents: Arc<Contents>,
    waiting: BytesMut,
    size: u64,
    /// None while a thread has it, and for good after that thread failed.
    work: Option<Work>,
}

struct Work {
    draft: Option<Draft>,
    digests: Digests,
}

impl Work {
    fn write(&mut self, contents: &Arc<Contents>, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.digests.update(bytes);
        let draft = match &mut self.draft {
            Some(draft) => draft,
            none => none.insert(contents.create()?),
        };
        draft.write(bytes)
    }
}

impl Sink {
    pub(crate) fn new(contents: Arc<Contents>, digests: Digests) -> Self {
        Self { contents, waiting: BytesMut::new(), size: 0, work: Some(Work { draft: None, digests }) }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.waiting.extend_from_slice(bytes);
    }

    pub(crate) async fn write_if_full(&mut self) -> Result<(), S3Error> {
        if self.waiting.len() < S3_PIECE_BYTES {
            return Ok(());
        }
        let work = self.on_a_thread(|mut work, contents, bytes| {
            work.write(contents, &bytes)?;
            Ok(work)
        });
        self.work = Some(work.await?);
        Ok(())
    }

    /// Puts the file on stable storage.
    pub(crate) async fn finish(mut self) -> Result<Received, S3Error> {
        let size = self.size;
        let finished = self.on_a_thread(|mut work, contents, bytes| {
            work.write(contents, &bytes)?;
            let kept = work.draft.map(Draft::finish).transpose()?;
            Ok((kept, work.digests.finish()))
        });
        let (kept, digested) = finished.await?;
        Ok(Received { kept, size, digested })
    }

    async fn on_a_thread<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(Work, &Arc<Contents>, Bytes) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, S3Error> {
        let failed = |cause: &dyn Display| S3Error::internal("writing an object", cause);
        let Some(work) = self.work.take() else { return Err(failed(&"an earlier piece failed")) };
        let (contents, bytes) = (Arc::clone(&self.contents), self.waiting.split().freeze());
        let done = tokio::task::spawn_blocking(move || act(work, &contents, bytes)).await;
        done.map_err(|cause| failed(&cause))?.map_err(|cause| failed(&cause))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    async fn sent(pairs: &[(&'static str, &str)], body: &'static [u8]) -> Result<Received, S3Error> {
        let folder = tempfile::tempdir().unwrap();
        let contents = Arc::new(Contents::open(folder.path()).unwrap());
        let headers = headers(pairs);
        let framing = Framing::unchecked(&headers);
        let call = crate::route::tests::put(headers, framing);
        let announced = Announced::of(&call)?;
        let received = announced.receive(Full::new(Bytes::from_static(body)), &contents, None).await;
        if received.is_err() {
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a refused body leaves no file");
        }
        received
    }

    async fn refused(pairs: &[(&'static str, &str)], body: &'static [u8]) -> &'static str {
        sent(pairs, body).await.unwrap_err().code
    }

    #[tokio::test]
    async fn bodies_are_taken_as_they_are_announced() {
        let plain = sent(&[("content-length", "9")], b"123456789").await.unwrap();
        assert_eq!((plain.size, plain.digested.checksum), (9, None));
        assert!(sent(&[("content-length", "0")], b"").await.unwrap().kept.is_none());
        let chunked = [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "9"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let body = b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n";
        let received = sent(&chunked, body).await.unwrap();
        assert_eq!(received.size, 9);
        assert_eq!(received.digested.checksum, Some((Algorithm::Crc32, "y/Q5Jg==".to_owned())));
        assert_eq!(
            refused(&chunked, b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n").await,
            "BadDigest"
        );
        assert_eq!(refused(&chunked, b"9\r\n123456789\r\n0\r\n\r\n").await, "MalformedTrailerError");
        assert_eq!(refused(&chunked, b"8\r\n12345678\r\n0\r\n\r\n").await, "IncompleteBody");
        assert_eq!(refused(&chunked, b"9\r\n123456789\r\n").await, "IncompleteBody");
    }

    #[tokio::test]
    async fn what_does_not_fit_its_announcement_is_refused() {
        let length = ("content-length", "9");
        let body = b"123456789";
        assert_eq!(refused(&[("content-length", "10")], body).await, "IncompleteBody");
        assert_eq!(refused(&[("content-length", "8")], body).await, "IncompleteBody");
        assert_eq!(refused(&[], body).await, "MissingContentLength");
        assert_eq!(refused(&[("content-length", "5368709121")], body).await, "EntityTooLarge");
        assert_eq!(refused(&[length, ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], body).await, "BadDigest");
        assert_eq!(refused(&[length, ("content-md5", "AAAA")], body).await, "InvalidDigest");
        assert!(sent(&[length, ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==")], body).await.is_ok());
        let zeros = "0".repeat(64);
        let sha256 = "x-amz-content-sha256";
        assert_eq!(refused(&[length, (sha256, &zeros)], body).await, "XAmzContentSHA256Mismatch");
        assert_eq!(refused(&[length, (sha256, "zeros")], body).await, "InvalidArgument");
        assert!(
            sent(&[length, (sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225")], body)
                .await
                .is_ok()
        );
        assert_eq!(refused(&[length, ("x-amz-checksum-crc32", "AAAAAA==")], body).await, "BadDigest");
        assert_eq!(refused(&[length, ("x-amz-checksum-crc32", "AAA=")], body).await, "InvalidRequest");
        let two = [length, ("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32c", "4waSgw==")];
        assert_eq!(refused(&two, body).await, "InvalidRequest");
        assert_eq!(refused(&[length, ("x-amz-sdk-checksum-algorithm", "CRC32")], body).await, "InvalidRequest");
        assert_eq!(refused(&[length, ("x-amz-trailer", "x-other")], body).await, "InvalidRequest");
    }
}
