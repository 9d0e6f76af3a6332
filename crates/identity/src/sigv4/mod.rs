//! AWS Signature Version 4: reading what a request claims, checking it, and signing requests of our own.
//!
//! A request is read into a [`Claim`] first; whoever knows the keys finds its secret; then [`Claim::check`] compares.

mod canonical;
mod chunked;
mod claim;
mod derive;
mod error;
mod fields;
mod sign;
mod time;

pub use chunked::{ChunkDecoder, ChunkError, Framing, Trailers};
pub use claim::{Body, Claim, Payload, Request};
pub use derive::SigningKey;
pub(crate) use derive::hmac;
pub use error::{Dialect, LinkFault, SignatureError};
pub use sign::{CannotSign, PayloadHash, Scope, Signer};
pub use time::Timestamp;

/// Percent-encodes all but `A-Za-z0-9-._~`, as RFC 3986 has it.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    canonical::encode(text.as_bytes(), canonical::Slash::Encoded)
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// A service as signatures name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service<'a> {
    /// `lambda`, `s3`, `iam`, ...
    pub name: &'a str,
    /// The regions that a scope may name: the server's, and us-east-1 where the service has one endpoint for all.
    pub regions: &'a [&'a str],
}

impl Service<'_> {
    /// S3 encodes paths once, takes bodies unsigned and in chunks, and allows clocks to differ by more.
    fn is_s3(self) -> bool {
        self.name == "s3"
    }
}
