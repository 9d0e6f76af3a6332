//! Signing requests of our own.

use std::time::Duration;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use sha2::{Digest as _, Sha256};

use super::canonical::{Canonical, Paths, Slash, encode};
use super::derive::{SigningKey, hex, hex_digest, string_to_sign};
use super::{ALGORITHM, CONTENT_SHA256, TERMINATOR, Timestamp, UNSIGNED_PAYLOAD};
use crate::Credentials;

/// Headers that proxies and clients change on the way.
const NOT_SIGNED: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::EXPECT,
    header::TE,
    header::TRANSFER_ENCODING,
    header::USER_AGENT,
    header::AUTHORIZATION,
];

/// For whom a signature is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scope<'a> {
    /// `us-east-1`, ...
    pub region: &'a str,
    /// `lambda`, ...
    pub service: &'a str,
}

/// What is signed of the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadHash {
    /// Its SHA-256.
    Sha256([u8; 32]),
    /// Nothing; for S3 only.
    Unsigned,
}

impl PayloadHash {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(bytes).into())
    }

    fn text(self) -> String {
        match self {
            Self::Sha256(digest) => hex(&digest),
            Self::Unsigned => UNSIGNED_PAYLOAD.to_owned(),
        }
    }
}

/// A request could not be signed: it, or the credentials, have characters that no header or path can bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the request cannot bear a signature")]
pub struct CannotSign;

/// Signs for one service.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// In whose name.
    pub credentials: &'a Credentials,
    /// For whom.
    pub scope: Scope<'a>,
}

impl Signer<'_> {
    /// Adds the headers of a signature to a request that has all its others, `Host` too.
    ///
    /// # Errors
    /// See [`CannotSign`].
    pub fn sign(&self, request: &mut Parts, payload: PayloadHash, now: Timestamp) -> Result<(), CannotSign> {
        let headers = &mut request.headers;
        headers.insert("x-amz-date", value(&now.to_string())?);
        if self.is_s3() {
            headers.insert(CONTENT_SHA256, value(&payload.text())?);
        }
        if let Some(token) = &self.credentials.session_token {
            headers.insert("x-amz-security-token", value(token)?);
        }
        let signed_headers = names(headers);
        let canonical = Canonical {
            method: request.method.as_str(),
            uri: &request.uri,
            headers,
            signed_headers: &signed_headers,
            paths: self.paths(),
            is_presigned: false,
        };
        let signature = self.signature(&canonical.with_payload(&payload.text()), now);
        let authorization = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
            self.credentials.access_key_id,
            self.scope_text(now),
            signed_headers.join(";"),
        );
        request.headers.insert(header::AUTHORIZATION, value(&authorization)?);
        Ok(())
    }

    /// The URI of a link that is good for `life` from `now`; `host` is the `Host` header of its use.
    ///
    /// # Errors
    /// See [`CannotSign`].
    pub fn presign(
        &self,
        method: &Method,
        uri: &Uri,
        host: &str,
        life: Duration,
        now: Timestamp,
    ) -> Result<Uri, CannotSign> {
        let escaped = |text: &str| encode(text.as_bytes(), Slash::Encoded);
        let credential = format!("{}/{}", self.credentials.access_key_id, self.scope_text(now));
        let mut query = uri.query().map(|query| format!("{query}&")).unwrap_or_default();
        query.push_str(&format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={now}&X-Amz-Expires={}&X-Amz-SignedHeaders=host",
            escaped(&credential),
            life.as_secs()
        ));
        if let Some(token) = &self.credentials.session_token {
            query.push_str(&format!("&X-Amz-Security-Token={}", escaped(token)));
        }
        let unsigned = with_query(uri, &query)?;
        let headers = HeaderMap::from_iter([(header::HOST, value(host)?)]);
        let canonical = Canonical {
            method: method.as_str(),
            uri: &unsigned,
            headers: &headers,
            signed_headers: &["host".to_owned()],
            paths: self.paths(),
            is_presigned: true,
        };
        let hash = if self.is_s3() { UNSIGNED_PAYLOAD.to_owned() } else { hex_digest(b"") };
        let signature = self.signature(&canonical.with_payload(&hash), now);
        with_query(uri, &format!("{query}&X-Amz-Signature={signature}"))
    }

    fn signature(&self, canonical_request: &[u8], now: Timestamp) -> String {
        let Scope { region, service } = self.scope;
        let key = SigningKey::derive(&self.credentials.secret, &now.date(), region, service);
        hex(&key.sign(&string_to_sign(now, &self.scope_text(now), canonical_request)))
    }

    fn scope_text(&self, now: Timestamp) -> String {
        format!("{}/{}/{}/{TERMINATOR}", now.date(), self.scope.region, self.scope.service)
    }

    fn is_s3(&self) -> bool {
        self.scope.service == "s3"
    }

    fn paths(&self) -> Paths {
        if self.is_s3() { Paths::EncodedOnce } else { Paths::EncodedTwice }
    }
}

fn names(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> =
        headers.keys().filter(|name| !NOT_SIGNED.contains(name)).map(|name| name.as_str().to_owned()).collect();
    names.sort();
    names
}

fn value(text: &str) -> Result<HeaderValue, CannotSign> {
    HeaderValue::from_str(text).map_err(|_| CannotSign)
}

fn with_query(uri: &Uri, query: &str) -> Result<Uri, CannotSign> {
    let mut parts = uri.clone().into_parts();
    let path_and_query = PathAndQuery::try_from(format!("{}?{query}", uri.path())).map_err(|_| CannotSign)?;
    parts.path_and_query = Some(path_and_query);
    Uri::from_parts(parts).map_err(|_| CannotSign)
}
