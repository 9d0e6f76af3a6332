//! A request's claim to be from somebody, and its check.

use std::time::Duration;

use hearth_types::limits::{
    ACCESS_KEY_ID_CHARS, SESSION_TOKEN_BYTES, SIGNATURE_CLOCK, SIGNATURE_CLOCK_S3, SIGNATURE_LINK_DEFAULT_LIFE,
};
use http::{HeaderMap, Method, Uri};
use sha2::{Digest as _, Sha256};

use super::canonical::{Canonical, Paths};
use super::derive::{SigningKey, hex, string_to_sign, unhex};
use super::fields::Fields;
use super::{CONTENT_SHA256, Framing, Service, SignatureError, TERMINATOR, Timestamp, UNSIGNED_PAYLOAD};
use crate::Secret;

/// Characters of a part of a scope that an error repeats.
const SHOWN_CHARS: usize = 32;

/// What is signed besides the body.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query as they came.
    pub uri: &'a Uri,
    /// All headers.
    pub headers: &'a HeaderMap,
}

/// The body at the time of the check.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It comes later, and is held against the [`Body`] that the check gives. For S3 only: the others sign what they
    /// hash themselves.
    Later,
}

/// What is known of the body once the signature is found good.
#[derive(Clone, Debug)]
pub enum Body {
    /// It is the one that was signed.
    Signed,
    /// It must have this SHA-256, or the answer is [`SignatureError::BodyMismatch`].
    Sha256([u8; 32]),
    /// Nobody signed it.
    Unsigned,
    /// It comes in chunks: give this to a [`super::ChunkDecoder`].
    Chunked(Framing),
}

/// A signature that could be read, of whom it says it is.
#[derive(Clone, Debug)]
pub struct Claim {
    access_key_id: String,
    token: Option<String>,
    date: String,
    region: String,
    service: String,
    signed_headers: Vec<String>,
    /// None where it is no signature at all.
    signature: Option<[u8; 32]>,
    timestamp: Timestamp,
    link_life: Option<Option<Duration>>,
}

impl Claim {
    /// The signature in the Authorization header or the query; none where there is none.
    ///
    /// # Errors
    /// When there is one that cannot be read, or is not for this service, here and on the day that it bears.
    pub fn read(request: Request<'_>, service: Service<'_>) -> Result<Option<Self>, SignatureError> {
        let Some(fields) = Fields::read(request.uri, request.headers)? else { return Ok(None) };
        let claim = Self::from_fields(fields)?;
        claim.check_scope(service)?;
        Ok(Some(claim))
    }

    /// The same, whatever service and region it is for.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn read_any(request: Request<'_>) -> Result<Option<Self>, SignatureError> {
        Fields::read(request.uri, request.headers)?.map(Self::from_fields).transpose()
    }

    fn from_fields(fields: Fields) -> Result<Self, SignatureError> {
        let is_link = fields.link_life.is_some();
        let parts: Vec<&str> = fields.credential.splitn(6, '/').collect();
        let [key, date, region, service, terminator] = parts[..] else {
            let others = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term";
            let s3 = "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
            return Err(scope(others, s3, is_link));
        };
        if terminator != TERMINATOR {
            let others = format!("Credential should be scoped with a valid terminator: '{TERMINATOR}'. ");
            return Err(scope(others, format!("incorrect terminal. This endpoint uses \"{TERMINATOR}\"."), is_link));
        }
        let is_key = (1..=ACCESS_KEY_ID_CHARS).contains(&key.len()) && key.bytes().all(is_key_byte);
        let is_token = fields.token.as_ref().is_none_or(|token| token.len() <= SESSION_TOKEN_BYTES);
        if !is_key {
            return Err(SignatureError::UnknownKey);
        }
        if !is_token {
            return Err(SignatureError::UnknownToken);
        }
        Ok(Self {
            access_key_id: key.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            token: fields.token,
            signed_headers: fields.signed_headers,
            signature: unhex(&fields.signature),
            timestamp: fields.timestamp,
            link_life: fields.link_life,
        })
    }

    /// Whose key it is said to be: letters, digits and underscores.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The session token that came with it.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn check_scope(&self, service: Service<'_>) -> Result<(), SignatureError> {
        let mut text = String::new();
        let mut of_s3 = None;
        if self.date != self.timestamp.date() {
            let date = self.timestamp.date();
            of_s3 = Some(format!(
                "incorrect date {}. This date is not the same as X-Amz-Date: \"{date}\".",
                shown(&self.date)
            ));
            text = format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}'. "
            );
        }
        if self.service != service.name {
            let (wrong, right) = (shown(&self.service), service.name);
            of_s3 = Some(format!("incorrect service {wrong}. This endpoint belongs to \"{right}\"."));
            text.insert_str(0, &format!("Credential should be scoped to correct service: '{right}'. "));
        }
        if !service.regions.contains(&&*self.region) {
            let right = service.regions.first().copied().unwrap_or_default();
            of_s3 = Some(format!("the region {} is wrong; expecting '{right}'", shown(&self.region).replace('"', "'")));
            text.insert_str(0, "Credential should be scoped to a valid region. ");
        }
        match of_s3 {
            None => Ok(()),
            Some(of_s3) => Err(scope(text, of_s3, self.link_life.is_some())),
        }
    }

    /// Day, region and service that it is for: with the access key they say which signing key belongs to it.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }

    /// The key that its signature is made with.
    #[must_use]
    pub fn signing_key(&self, secret: &Secret) -> SigningKey {
        SigningKey::derive(secret, &self.date, &self.region, &self.service)
    }

    /// Holds the signature against the request: it must be the one that `key` makes, and of about `now`.
    ///
    /// # Errors
    /// [`SignatureError::Unsigned`], [`SignatureError::Mismatch`], and those of the clock; in this order.
    pub fn check(
        &self,
        key: &SigningKey,
        service: Service<'_>,
        request: Request<'_>,
        payload: Payload<'_>,
        now: Timestamp,
    ) -> Result<Body, SignatureError> {
        self.check_headers(request.headers)?;
        let (hash, body) = self.payload(service, request.headers, payload, key)?;
        let canonical = Canonical {
            method: request.method.as_str(),
            uri: request.uri,
            headers: request.headers,
            signed_headers: &self.signed_headers,
            paths: if service.is_s3() { Paths::EncodedOnce } else { Paths::EncodedTwice },
            is_presigned: self.link_life.is_some(),
        };
        let text = string_to_sign(self.timestamp, &self.scope(), &canonical.with_payload(&hash));
        let fits = self.signature.as_ref().is_some_and(|signature| key.verify(&text, signature));
        if !fits {
            return Err(SignatureError::Mismatch);
        }
        self.check_clock(service, now)?;
        Ok(body)
    }

    /// All that could change a request's meaning must be covered.
    fn check_headers(&self, headers: &HeaderMap) -> Result<(), SignatureError> {
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !is_signed("host") {
            return Err(SignatureError::Unsigned("host".to_owned()));
        }
        if self.signed_headers.iter().any(|name| !headers.contains_key(name.as_str())) {
            return Err(SignatureError::Mismatch);
        }
        match headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !is_signed(name.as_str())) {
            Some(unsigned) => Err(SignatureError::Unsigned(unsigned.as_str().to_owned())),
            None => Ok(()),
        }
    }

    /// What stands for the payload in the canonical request, and what remains to be checked of it.
    fn payload(
        &self,
        service: Service<'_>,
        headers: &HeaderMap,
        payload: Payload<'_>,
        key: &SigningKey,
    ) -> Result<(String, Body), SignatureError> {
        let declared = headers.get(CONTENT_SHA256).and_then(|value| value.to_str().ok());
        let whole = match payload {
            Payload::Whole(bytes) => Some(Sha256::digest(bytes)),
            Payload::Later => None,
        };
        if !service.is_s3() {
            let hash = whole.ok_or(SignatureError::BodyMismatch)?;
            return Ok((hex(&hash), Body::Signed));
        }
        let declared = match declared {
            Some(declared) => declared,
            None if self.link_life.is_some() => UNSIGNED_PAYLOAD,
            None => {
                let text = "Missing required header for this request: x-amz-content-sha256";
                return Err(SignatureError::Incomplete(text.to_owned()));
            }
        };
        let body = if declared == UNSIGNED_PAYLOAD {
            Body::Unsigned
        } else if let Some(framing) = Framing::declared(declared, || self.chunk_key(key)) {
            Body::Chunked(framing)
        } else {
            let wanted = unhex(declared).ok_or(SignatureError::BodyMismatch)?;
            match whole {
                Some(found) if found[..] == wanted => Body::Signed,
                Some(_) => return Err(SignatureError::BodyMismatch),
                None => Body::Sha256(wanted),
            }
        };
        Ok((declared.to_owned(), body))
    }

    fn check_clock(&self, service: Service<'_>, now: Timestamp) -> Result<(), SignatureError> {
        let signed = self.timestamp;
        let is_lax = service.is_s3() || self.link_life.is_some();
        let window = if is_lax { SIGNATURE_CLOCK_S3 } else { SIGNATURE_CLOCK };
        let window_minutes = window.as_secs() / 60;
        let (oldest, newest) = (now.minus(window), now.plus(window));
        if signed > newest {
            let is_link = self.link_life.is_some();
            return Err(SignatureError::NotYetCurrent { signed, newest, now, window_minutes, is_link });
        }
        match self.link_life {
            None if signed < oldest => Err(SignatureError::Expired { signed, oldest, now, window_minutes }),
            None => Ok(()),
            Some(life) => {
                let life = life.unwrap_or(SIGNATURE_LINK_DEFAULT_LIFE);
                let ended = signed.plus(life);
                if now > ended {
                    return Err(SignatureError::LinkExpired { signed, ended, now, life_s: life.as_secs() });
                }
                Ok(())
            }
        }
    }

    fn chunk_key(&self, key: &SigningKey) -> super::chunked::ChunkKey {
        let seed = self.signature.unwrap_or_default();
        super::chunked::ChunkKey::new(key.clone(), self.timestamp, self.scope(), seed)
    }
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A part of a scope in quotation marks, as far as it may be repeated to whoever sent it.
fn shown(part: &str) -> String {
    let is_plain = part.len() <= SHOWN_CHARS && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_plain { format!("\"{part}\"") } else { "given".to_owned() }
}

fn scope(others: impl Into<String>, s3: impl Into<String>, is_link: bool) -> SignatureError {
    SignatureError::Scope { others: others.into(), s3: s3.into(), is_link }
}
