//! The signature's parts, as the Authorization header or the query bears them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_types::limits::SIGNED_HEADERS;
use http::{HeaderMap, HeaderValue, Uri, header};
use sha2::{Digest as _, Sha256};

use super::canonical::{Plus, decode};
use super::error::LinkFault;
use super::{ALGORITHM, SignatureError, Timestamp};

/// What a signature says of itself, not yet taken apart.
pub(super) struct Fields {
    pub(super) credential: String,
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: String,
    pub(super) timestamp: Timestamp,
    pub(super) token: Option<String>,
    /// From a query: how long it is good, if that was said.
    pub(super) link_life: Option<Option<Duration>>,
}

impl Fields {
    /// None where the request bears no signature.
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Result<Option<Self>, SignatureError> {
        let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
        match (authorizations.next(), authorizations.next()) {
            (Some(_), Some(_)) => Err(incomplete("The request has more than one Authorization header.")),
            (Some(value), None) => Self::from_header(value, headers).map(Some),
            (None, _) => Self::from_query(uri.query().unwrap_or_default()),
        }
    }

    fn from_header(value: &HeaderValue, headers: &HeaderMap) -> Result<Self, SignatureError> {
        let unreadable = || {
            incomplete(format!(
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded \
                 with Base64): '{}'.",
                fingerprint(value)
            ))
        };
        let text = value.to_str().map_err(|_| unreadable())?.trim();
        let (algorithm, rest) = text.split_once(' ').unwrap_or((text, ""));
        if algorithm != ALGORITHM {
            return Err(if algorithm.starts_with("AWS4-") { unsupported_algorithm() } else { unreadable() });
        }
        let mut credential = None;
        let mut signed_headers = None;
        let mut signature = None;
        for pair in rest.split(',') {
            let (name, value) = pair.trim().split_once('=').ok_or_else(unreadable)?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(unreadable()),
            };
            if place.replace(value.to_owned()).is_some() || value.contains([' ', '\t']) {
                return Err(unreadable());
            }
        }
        let found = date_header(headers);
        let (Some(credential), Some(signed_headers), Some(signature), Some(date)) =
            (&credential, &signed_headers, &signature, found)
        else {
            let missing = [("Credential", &credential), ("Signature", &signature), ("SignedHeaders", &signed_headers)];
            return Err(lacking(&missing, found.is_some(), value));
        };
        Ok(Self {
            credential: credential.clone(),
            signed_headers: header_names(signed_headers)?,
            signature: signature.clone(),
            timestamp: moment(date)?,
            token: token_header(headers)?,
            link_life: None,
        })
    }

    fn from_query(query: &str) -> Result<Option<Self>, SignatureError> {
        let find = |wanted: &str| -> Result<Option<String>, SignatureError> {
            let mut found = query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .filter(|(name, _)| decode(name, Plus::IsSpace) == wanted.as_bytes())
                .map(|(_, value)| String::from_utf8(decode(value, Plus::IsSpace)));
            match (found.next(), found.next()) {
                (None, _) => Ok(None),
                (Some(Ok(value)), None) => Ok(Some(value)),
                _ => Err(SignatureError::Link(LinkFault::Incomplete)),
            }
        };
        let names = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"];
        let [algorithm, credential, signature, signed_headers, date] = names.map(find);
        let found = [algorithm?, credential?, signature?, signed_headers?, date?];
        if found.iter().all(Option::is_none) {
            let is_old = find("AWSAccessKeyId")?.is_some() && find("Signature")?.is_some();
            return if is_old { Err(SignatureError::OldVersion) } else { Ok(None) };
        }
        let [Some(algorithm), Some(credential), Some(signature), Some(signed_headers), Some(date)] = found else {
            return Err(SignatureError::Link(LinkFault::Incomplete));
        };
        if algorithm != ALGORITHM {
            return Err(SignatureError::Link(LinkFault::Algorithm));
        }
        let link_life = find("X-Amz-Expires")?.map(|text| LinkFault::life(&text)).transpose();
        let link_life = link_life.map_err(SignatureError::Link)?;
        Ok(Some(Self {
            credential,
            signed_headers: header_names(&signed_headers)?,
            signature,
            timestamp: Timestamp::parse_basic(&date).ok_or(SignatureError::Link(LinkFault::Date))?,
            token: find("X-Amz-Security-Token")?,
            link_life: Some(link_life),
        }))
    }
}

/// `X-Amz-Date`, or else `Date`.
fn date_header(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("x-amz-date").or_else(|| headers.get(header::DATE))?;
    Some(value.to_str().unwrap_or_default())
}

fn token_header(headers: &HeaderMap) -> Result<Option<String>, SignatureError> {
    let Some(value) = headers.get("x-amz-security-token") else { return Ok(None) };
    value.to_str().map(|text| Some(text.trim().to_owned())).map_err(|_| SignatureError::UnknownToken)
}

fn header_names(text: &str) -> Result<Vec<String>, SignatureError> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let is_sorted = names.windows(2).all(|pair| pair[0] < pair[1]);
    let are_plain = names.iter().all(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    });
    if names.len() > SIGNED_HEADERS || !is_sorted || !are_plain {
        return Err(incomplete("'SignedHeaders' must name each header once, in lower case and in order."));
    }
    Ok(names)
}

fn moment(text: &str) -> Result<Timestamp, SignatureError> {
    Timestamp::parse_basic(text)
        .or_else(|| Timestamp::parse_http(text))
        .ok_or_else(|| incomplete("Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601"))
}

fn lacking(fields: &[(&str, &Option<String>)], has_date: bool, value: &HeaderValue) -> SignatureError {
    let mut text = String::new();
    for (name, _) in fields.iter().filter(|(_, found)| found.is_none()) {
        text.push_str(&format!("Authorization header requires '{name}' parameter. "));
    }
    if !has_date {
        text.push_str("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ");
    }
    text.push_str(&format!("(Hashed with SHA-256 and encoded with Base64) Authorization={}", fingerprint(value)));
    SignatureError::Incomplete(text)
}

/// What stands for a header that nobody else should read.
fn fingerprint(value: &HeaderValue) -> String {
    STANDARD.encode(Sha256::digest(value.as_bytes()))
}

fn unsupported_algorithm() -> SignatureError {
    incomplete("Unsupported AWS 'algorithm': only 'AWS4-HMAC-SHA256' is accepted.")
}

fn incomplete(text: impl Into<String>) -> SignatureError {
    SignatureError::Incomplete(text.into())
}
