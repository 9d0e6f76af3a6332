//! What a request is about: the bucket from the host's name or the path, the key, the query.

use hearth_types::limits::S3_KEY_BYTES;
use http::{HeaderMap, StatusCode, Uri, header};

use crate::error::S3Error;

/// A request's object: the service itself, a bucket, or an object of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Resource {
    Service,
    Bucket(String),
    Object(String, String),
}

impl Resource {
    /// From the host's name (`BUCKET.s3.localhost`, `BUCKET.localhost`) or, on any other host, from the path.
    pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Result<Self, S3Error> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let path = decode(uri.path().strip_prefix('/').unwrap_or_default(), false)
            .ok_or_else(|| S3Error::bad("InvalidURI", "Couldn't parse the specified URI."))?;
        let (bucket, key) = match bucket_of_host(host) {
            Some(bucket) => (bucket.to_owned(), path),
            None => match path.split_once('/') {
                Some((bucket, key)) => (bucket.to_owned(), key.to_owned()),
                None => (path, String::new()),
            },
        };
        match (bucket.is_empty(), key.is_empty()) {
            (true, true) => Ok(Self::Service),
            (true, false) => Err(invalid_bucket_name(&bucket)),
            (false, true) => Ok(Self::Bucket(bucket)),
            (false, false) => {
                check_key(&key)?;
                Ok(Self::Object(bucket, key))
            }
        }
    }
}

fn bucket_of_host(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.strip_suffix('.').unwrap_or(name);
    let below = name.strip_suffix(".localhost")?;
    match below.rsplit_once(".s3") {
        // BUCKET.s3.localhost, BUCKET.s3.REGION.localhost
        Some((bucket, rest)) if rest.is_empty() || rest.starts_with('.') => Some(bucket),
        _ if below == "s3" || below.starts_with("s3.") => None,
        _ => Some(below),
    }
}

/// # Errors
/// For keys that are too long, and those that the store cannot tell apart.
pub(crate) fn check_key(key: &str) -> Result<(), S3Error> {
    if key.len() > S3_KEY_BYTES {
        return Err(S3Error::bad("KeyTooLongError", "Your key is too long")
            .with("Size", key.len().to_string())
            .with("MaxSizeAllowed", S3_KEY_BYTES.to_string()));
    }
    if key.contains('\0') {
        return Err(S3Error::not_implemented("A key with a NUL character"));
    }
    Ok(())
}

/// # Errors
/// For what cannot be the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens, no address of a host.
pub(crate) fn check_bucket_name(name: &str) -> Result<(), S3Error> {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-';
    let bytes = name.as_bytes();
    let is_good = (3..=63).contains(&bytes.len())
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| inner(*byte))
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|start| name.starts_with(start))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|end| name.ends_with(end));
    if is_good { Ok(()) } else { Err(invalid_bucket_name(name)) }
}

fn invalid_bucket_name(name: &str) -> S3Error {
    S3Error::new(StatusCode::BAD_REQUEST, "InvalidBucketName", "The specified bucket is not valid.")
        .with("BucketName", name)
}

/// The parameters behind the question mark.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Result<Self, S3Error> {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name, true)?, decode(value, true)?))
        });
        let decoded: Option<Vec<_>> = decoded.collect();
        decoded.map(Self).ok_or_else(|| S3Error::bad("InvalidURI", "Couldn't parse the specified URI."))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value, where it is there and not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// Takes percent signs out; none where that is no UTF-8, or a sign has no digits behind it.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                // from_str_radix would take a sign.
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            b'+' if plus_is_space => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

/// With percent signs, as encoding-type=url asks for.
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => out.push(byte.into()),
            // Writing to a String does not fail.
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str, uri: &str) -> Result<Resource, S3Error> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        Resource::of(&headers, &uri.parse().unwrap())
    }

    fn object(bucket: &str, key: &str) -> Result<Resource, S3Error> {
        Ok(Resource::Object(bucket.to_owned(), key.to_owned()))
    }

    #[test]
    fn buckets_are_named_by_path_or_host() {
        for host in ["127.0.0.1:4566", "localhost:4566", "s3.localhost", "s3.us-east-1.localhost:1", "[::1]:4566"] {
            assert_eq!(of(host, "/"), Ok(Resource::Service), "{host}");
            assert_eq!(of(host, "/b"), Ok(Resource::Bucket("b".to_owned())));
            assert_eq!(of(host, "/b/?list-type=2"), Ok(Resource::Bucket("b".to_owned())));
            assert_eq!(of(host, "/b/k/l%20+%2F"), object("b", "k/l +/"));
            assert_eq!(of(host, "/b//k"), object("b", "/k"));
        }
        for host in ["my.b.localhost:4566", "my.b.s3.localhost", "my.b.s3.eu-west-1.localhost."] {
            assert_eq!(of(host, "/"), Ok(Resource::Bucket("my.b".to_owned())), "{host}");
            assert_eq!(of(host, "/k/l"), object("my.b", "k/l"));
        }
        assert!(
            of("localhost", "//k").is_err() && of("localhost", "/b/%ff").is_err() && of("localhost", "/b/%0").is_err()
        );
        assert_eq!(of("localhost", &format!("/b/{}", "k".repeat(1025))).unwrap_err().code, "KeyTooLongError");
    }

    #[test]
    fn names_of_buckets_have_rules() {
        for name in ["abc", "a.b-c", "1bc", &"a".repeat(63), "my.bucket.2"] {
            assert!(check_bucket_name(name).is_ok(), "{name}");
        }
        for name in
            ["ab", "-abc", "abc-", "Abc", "a..b", "127.0.0.1", "a_b", &"a".repeat(64), "", "xn--a", "a/b", "\u{e4}bc"]
        {
            assert!(check_bucket_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::of(&"/b?uploads&prefix=a%2Fb+c&marker=".parse().unwrap()).unwrap();
        assert_eq!((query.get("uploads"), query.get("prefix"), query.given("marker")), (Some(""), Some("a/b c"), None));
        assert!(Query::of(&"/b?x=%zz".parse().unwrap()).is_err());
        assert_eq!(decode(&encode("a b/\u{e4}&="), true).unwrap(), "a b/\u{e4}&=");
    }
}
