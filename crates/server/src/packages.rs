//! Packages that clients name by bucket and key: our own S3 has them, or another one that the command line names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_client::{Client, Endpoint, Unreached, Unread, whole};
use hearth_control::code_source::{CodeSource, NoObject, ObjectName};
use hearth_identity::Credentials;
use hearth_identity::sigv4::{PayloadHash, Scope, Signer, Timestamp, percent_encode};
use hearth_s3::S3;
use hearth_store::BoxFuture;
use hearth_types::limits::UPSTREAM_ANSWER;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;

/// Bytes of an S3's error that are read.
const ERROR_BYTES: usize = 64 * 1024;

/// Another S3, as the command line names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OtherS3(Endpoint);

/// Reads its URL.
pub(crate) fn parse(url: &str) -> Result<OtherS3, String> {
    Endpoint::parse(url).map(OtherS3)
}

/// Reads packages from our own buckets, and from the other S3 those of buckets that we do not have.
pub(crate) struct Buckets {
    pub(crate) own: Arc<S3>,
    pub(crate) other: Option<OtherBuckets>,
}

impl CodeSource for Buckets {
    fn get<'a>(&'a self, object: ObjectName<'a>, most: usize) -> BoxFuture<'a, Result<Bytes, NoObject>> {
        Box::pin(async move {
            let got = self.own.read_object(object.bucket, object.key, object.version, most as u64).await;
            let error = match (got, &self.other) {
                (Ok(bytes), _) => return Ok(bytes),
                (Err(error), Some(other)) if error.code == "NoSuchBucket" => return other.get(object, most).await,
                (Err(error), _) => error,
            };
            Err(match error.code {
                "EntityTooLarge" => NoObject::TooLarge,
                "InternalError" => NoObject::Failed(error.message),
                code => NoObject::Refused { code: code.to_owned(), message: error.message },
            })
        })
    }
}

/// Reads from another S3, by path, with credentials of its own.
pub(crate) struct OtherBuckets {
    s3: Endpoint,
    client: Client,
    credentials: Credentials,
    region: Arc<str>,
    now: fn() -> Duration,
}

impl OtherBuckets {
    pub(crate) fn new(
        s3: OtherS3,
        client: Client,
        credentials: Credentials,
        region: Arc<str>,
        now: fn() -> Duration,
    ) -> Self {
        Self { s3: s3.0, client, credentials, region, now }
    }

    async fn get(&self, object: ObjectName<'_>, most: usize) -> Result<Bytes, NoObject> {
        let request = self.signed(object)?;
        let failed = |cause: Unreached| NoObject::Failed(format!("{}: {cause}", self.s3.server()));
        let answer = self.client.send(request, UPSTREAM_ANSWER).await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        whole(answer, most).await.map_err(|cause| match cause {
            Unread::TooLarge { .. } => NoObject::TooLarge,
            Unread::Broken(cause) => NoObject::Failed(cause),
        })
    }

    fn signed(&self, object: ObjectName<'_>) -> Result<Request<Full<Bytes>>, NoObject> {
        let unfit = || NoObject::Refused {
            code: "InvalidURI".to_owned(),
            message: "Couldn't parse the specified URI.".to_owned(),
        };
        // A server on the way could take such a path for another bucket's.
        if object.key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(unfit());
        }
        let key: Vec<String> = object.key.split('/').map(percent_encode).collect();
        let version = object.version.map(|version| format!("?versionId={}", percent_encode(version)));
        let bucket = percent_encode(object.bucket);
        let target = format!("/{bucket}/{}{}", key.join("/"), version.unwrap_or_default());
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = self.s3.uri(&target).ok_or_else(unfit)?;
        let host = HeaderValue::try_from(self.s3.server().as_str()).map_err(|_| unfit())?;
        parts.headers.insert(header::HOST, host);
        let signer = Signer { credentials: &self.credentials, scope: Scope { region: &self.region, service: "s3" } };
        let now = Timestamp::since_1970((self.now)());
        signer.sign(&mut parts, PayloadHash::of(b""), now).map_err(|_| unfit())?;
        Ok(Request::from_parts(parts, Full::new(Bytes::new())))
    }
}

/// What the other S3 says, where it says it as S3 does.
async fn refusal(answer: Response<Incoming>) -> NoObject {
    let status = answer.status();
    match whole(answer, ERROR_BYTES).await.ok().and_then(|body| hearth_s3::read_error(&body)) {
        Some((code, message)) => NoObject::Refused { code, message },
        None => NoObject::Failed(format!("the other S3 answers {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(key: &str, version: Option<&str>) -> Result<Request<Full<Bytes>>, NoObject> {
        let credentials = Credentials {
            access_key_id: "AKID".to_owned(),
            secret: hearth_identity::Secret::new("secret"),
            session_token: None,
        };
        let s3 = parse("http://127.0.0.1:9000/base/").unwrap();
        let other = OtherBuckets::new(s3, Client::new(), credentials, "us-east-1".into(), || Duration::from_secs(1));
        other.signed(ObjectName { bucket: "b", key, version })
    }

    #[tokio::test]
    async fn names_are_written_so_that_they_stay_names() {
        let uri = |key, version| signed(key, version).unwrap().uri().to_string();
        assert_eq!(uri("a/b c?.zip", None), "http://127.0.0.1:9000/base/b/a/b%20c%3F.zip");
        assert_eq!(uri("a", Some("v&x=1")), "http://127.0.0.1:9000/base/b/a?versionId=v%26x%3D1");
        assert!(signed("a", None).unwrap().headers().contains_key(header::AUTHORIZATION));
        for key in ["../other/key", "a/../../x", "./a", ".."] {
            assert!(matches!(signed(key, None), Err(NoObject::Refused { .. })), "{key}");
        }
    }
}
