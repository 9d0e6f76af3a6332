//! Why a signature is not accepted: the codes and texts of each kind of service.

use super::Timestamp;

/// How a service names its errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Services that speak JSON: `InvalidSignatureException`.
    Json,
    /// Services that speak forms and XML: `SignatureDoesNotMatch`.
    Query,
    /// S3.
    S3,
}

/// Why a request's signature is not accepted. Nothing in it repeats what the request said, but names of headers and
/// parameters that it may bear, regions and services of a scope in plain characters, and times.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the members are what the texts show")]
pub enum SignatureError {
    /// There is none.
    Missing,
    /// It is of a version that is not served: S3's old query parameters for instance.
    OldVersion,
    /// It cannot be read.
    Incomplete(String),
    /// It is for another day, region or service.
    Scope(String),
    /// The access key, or a session's token, is not one of this server's.
    UnknownKey,
    /// The session is over.
    ExpiredToken,
    /// The signature is not the one that belongs to the request.
    Mismatch,
    /// A header is not covered.
    Unsigned(String),
    /// It was made too long ago.
    Expired { signed: Timestamp, oldest: Timestamp, now: Timestamp, window_minutes: u64 },
    /// Its time of validity is over.
    LinkExpired { signed: Timestamp, ended: Timestamp, now: Timestamp, life_s: u64 },
    /// It was made in the future.
    NotYetCurrent { signed: Timestamp, newest: Timestamp, now: Timestamp, window_minutes: u64 },
    /// The body does not have the hash that was signed.
    BodyMismatch,
}

impl SignatureError {
    /// The error's code.
    #[must_use]
    pub fn code(&self, dialect: Dialect) -> &'static str {
        let [json, query, s3] = match self {
            Self::Missing => ["MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied"],
            Self::OldVersion => ["IncompleteSignatureException", "IncompleteSignature", "InvalidRequest"],
            Self::Incomplete(_) => {
                ["IncompleteSignatureException", "IncompleteSignature", "AuthorizationHeaderMalformed"]
            }
            Self::Scope(_) => ["InvalidSignatureException", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"],
            Self::UnknownKey => ["UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"],
            Self::ExpiredToken => ["ExpiredTokenException", "ExpiredToken", "ExpiredToken"],
            Self::Mismatch => ["InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch"],
            Self::Unsigned(_) => ["InvalidSignatureException", "SignatureDoesNotMatch", "AccessDenied"],
            Self::Expired { .. } | Self::NotYetCurrent { .. } => {
                ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"]
            }
            Self::LinkExpired { .. } => ["InvalidSignatureException", "SignatureDoesNotMatch", "AccessDenied"],
            Self::BodyMismatch => ["InvalidSignatureException", "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch"],
        };
        match dialect {
            Dialect::Json => json,
            Dialect::Query => query,
            Dialect::S3 => s3,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self, dialect: Dialect) -> u16 {
        match (dialect, self) {
            (
                Dialect::S3,
                Self::OldVersion | Self::Incomplete(_) | Self::Scope(_) | Self::ExpiredToken | Self::BodyMismatch,
            ) => 400,
            _ => 403,
        }
    }

    /// The error's text.
    #[must_use]
    pub fn message(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::S3 => self.message_of_s3(),
            Dialect::Json | Dialect::Query => self.message_of_others(),
        }
    }

    fn message_of_others(&self) -> String {
        match self {
            Self::Missing => "Missing Authentication Token".to_owned(),
            Self::OldVersion => "Only signatures of the algorithm 'AWS4-HMAC-SHA256' are accepted.".to_owned(),
            Self::Incomplete(text) | Self::Scope(text) => text.clone(),
            Self::UnknownKey => "The security token included in the request is invalid.".to_owned(),
            Self::ExpiredToken => "The security token included in the request is expired".to_owned(),
            Self::Mismatch | Self::BodyMismatch => {
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details."
                    .to_owned()
            }
            Self::Unsigned(name) => format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."),
            Self::Expired { signed, oldest, now, window_minutes } => {
                format!("Signature expired: {signed} is now earlier than {oldest} ({now} - {window_minutes} min.)")
            }
            Self::LinkExpired { signed, ended, now, life_s } => {
                format!("Signature expired: {now} is now later than {ended} ({signed} + {life_s} sec.)")
            }
            Self::NotYetCurrent { signed, newest, now, window_minutes } => format!(
                "Signature not yet current: {signed} is still later than {newest} ({now} + {window_minutes} min.)"
            ),
        }
    }

    fn message_of_s3(&self) -> String {
        match self {
            Self::Missing => "Access Denied",
            Self::OldVersion => {
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            }
            Self::Incomplete(text) => return format!("The authorization header is malformed; {text}"),
            Self::Scope(text) => return format!("The authorization header is malformed; {text}"),
            Self::UnknownKey => "The AWS Access Key Id you provided does not exist in our records.",
            Self::ExpiredToken => "The provided token has expired.",
            Self::Mismatch => {
                "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method."
            }
            Self::Unsigned(_) => "There were headers present in the request which were not signed",
            Self::Expired { .. } | Self::NotYetCurrent { .. } => {
                "The difference between the request time and the current time is too large."
            }
            Self::LinkExpired { .. } => "Request has expired",
            Self::BodyMismatch => "The provided 'x-amz-content-sha256' header does not match what was computed.",
        }
        .to_owned()
    }
}

impl std::fmt::Display for SignatureError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code(Dialect::Json), self.message(Dialect::Json))
    }
}

impl std::error::Error for SignatureError {}
