//! Why a signature is not accepted: the codes and texts of each kind of service.

use std::time::Duration;

use hearth_types::limits::SIGNATURE_LINK_LIFE;

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
    /// It stands in a link whose parameters cannot be read.
    Link(LinkFault),
    /// It is for another day, region or service. S3 says so in other words than all others.
    Scope { others: String, s3: String, is_link: bool },
    /// The access key is not one of this server's.
    UnknownKey,
    /// The session's token is not one of this server's.
    UnknownToken,
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
    NotYetCurrent { signed: Timestamp, newest: Timestamp, now: Timestamp, window_minutes: u64, is_link: bool },
    /// The body does not have the hash that was signed.
    BodyMismatch,
}

/// S3's code for links that cannot be read.
const LINK_FAULT: &str = "AuthorizationQueryParametersError";

/// What is wrong with a link's parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum LinkFault {
    Incomplete,
    Algorithm,
    Date,
    LifeIsNoNumber,
    LifeIsNegative,
    LifeIsTooLong,
}

impl LinkFault {
    fn text(self) -> &'static str {
        match self {
            Self::Incomplete => {
                "AWS query-string parameters must include 'X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Signature', \
                 'X-Amz-SignedHeaders' and 'X-Amz-Date'. Re-examine the query-string parameters."
            }
            Self::Algorithm => "Unsupported AWS 'algorithm': only 'AWS4-HMAC-SHA256' is accepted.",
            Self::Date => "Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601",
            Self::LifeIsNoNumber | Self::LifeIsNegative | Self::LifeIsTooLong => self.text_of_s3(),
        }
    }

    /// As S3 says it.
    #[must_use]
    pub fn text_of_s3(self) -> &'static str {
        match self {
            Self::Incomplete => {
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, \
                 X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            }
            Self::Algorithm => "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
            Self::Date => "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
            Self::LifeIsNoNumber => "X-Amz-Expires should be a number",
            Self::LifeIsNegative => "X-Amz-Expires must be non-negative",
            Self::LifeIsTooLong => {
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
                 604800 seconds"
            }
        }
    }

    /// For how long a link is good, of its X-Amz-Expires.
    ///
    /// # Errors
    /// When that is no number of seconds, or of more than a week.
    pub fn life(text: &str) -> Result<Duration, Self> {
        let seconds: i128 = text.parse().map_err(|_| Self::LifeIsNoNumber)?;
        let life = u64::try_from(seconds).map_err(|_| match seconds {
            ..0 => Self::LifeIsNegative,
            _ => Self::LifeIsTooLong,
        })?;
        Some(Duration::from_secs(life)).filter(|life| *life <= SIGNATURE_LINK_LIFE).ok_or(Self::LifeIsTooLong)
    }
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
            Self::Link(_) => ["IncompleteSignatureException", "IncompleteSignature", LINK_FAULT],
            Self::Scope { is_link: true, .. } => ["InvalidSignatureException", "SignatureDoesNotMatch", LINK_FAULT],
            Self::Scope { is_link: false, .. } => {
                ["InvalidSignatureException", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"]
            }
            Self::UnknownKey => ["UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"],
            Self::UnknownToken => ["UnrecognizedClientException", "InvalidClientTokenId", "InvalidToken"],
            Self::ExpiredToken => ["ExpiredTokenException", "ExpiredToken", "ExpiredToken"],
            Self::Mismatch => ["InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch"],
            Self::Unsigned(_) => ["InvalidSignatureException", "SignatureDoesNotMatch", "AccessDenied"],
            Self::Expired { .. } | Self::NotYetCurrent { is_link: false, .. } => {
                ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"]
            }
            Self::LinkExpired { .. } | Self::NotYetCurrent { is_link: true, .. } => {
                ["InvalidSignatureException", "SignatureDoesNotMatch", "AccessDenied"]
            }
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
                Self::OldVersion
                | Self::Incomplete(_)
                | Self::Link(_)
                | Self::Scope { .. }
                | Self::UnknownToken
                | Self::ExpiredToken
                | Self::BodyMismatch,
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
            Self::Incomplete(text) | Self::Scope { others: text, .. } => text.clone(),
            Self::Link(fault) => fault.text().to_owned(),
            Self::UnknownKey | Self::UnknownToken => {
                "The security token included in the request is invalid.".to_owned()
            }
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
            Self::NotYetCurrent { signed, newest, now, window_minutes, .. } => format!(
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
            Self::Link(fault) => fault.text_of_s3(),
            Self::Scope { s3, is_link: false, .. } => return format!("The authorization header is malformed; {s3}"),
            Self::Scope { s3, is_link: true, .. } => {
                return format!("Error parsing the X-Amz-Credential parameter; {s3}");
            }
            Self::UnknownKey => "The AWS Access Key Id you provided does not exist in our records.",
            Self::UnknownToken => "The provided token is malformed or otherwise invalid.",
            Self::ExpiredToken => "The provided token has expired.",
            Self::Mismatch => {
                "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method."
            }
            Self::Unsigned(_) => "There were headers present in the request which were not signed",
            Self::NotYetCurrent { is_link: true, .. } => "Request is not yet valid",
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
