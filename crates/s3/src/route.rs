//! From a request to its operation.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hearth_http::ResponseBody;
use hearth_identity::Caller;
use hearth_identity::sigv4::{Framing, LinkFault};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use jiff::civil::DateTime;

use crate::S3;
use crate::access::{bucket_arn, object_arn, of_setting};
use crate::address::{Query, Resource, check_bucket_name};
use crate::error::S3Error;
use crate::headers::{set, text};
use crate::xml::Xml;

/// What an operation answers.
pub(crate) type Answer = Result<Response<ResponseBody>, S3Error>;

/// A request without its body.
pub(crate) struct Call {
    pub(crate) caller: Arc<Caller>,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
    /// How the body is in chunks, where it is.
    pub(crate) framing: Option<Framing>,
    pub(crate) origin: Origin,
}

/// Where a request came from.
#[derive(Clone, Default, Debug)]
pub(crate) struct Origin {
    /// Of who sent it; empty where it is the server itself.
    pub(crate) address: String,
    pub(crate) request_id: String,
}

/// What a query names instead of the bucket or object itself, as far as S3 has it. What is served is asked for before.
const SUBRESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "append",
    "attributes",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "logging",
    "metadataConfiguration",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "versioning",
    "website",
];

impl S3 {
    /// Whether a request is for a bucket that is there, or for something in it.
    pub async fn names_a_bucket(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        match Resource::of(headers, uri) {
            Ok(Resource::Bucket(name) | Resource::Object(name, _)) if check_bucket_name(&name).is_ok() => {
                self.bucket(&name).await.is_ok()
            }
            _ => false,
        }
    }

    /// Answers a request of this caller, whose body is still to be read. A [`Framing`] among its extensions is what the signatures of
    /// its chunks are checked with, an [`IpAddr`] who sent it.
    pub async fn handle<B>(
        self: &Arc<Self>,
        request_id: &str,
        caller: Arc<Caller>,
        request: Request<B>,
    ) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: Display,
    {
        let (head, body) = request.into_parts();
        let method = head.method.clone();
        let mut response = match self.answer(request_id, caller, head, body).await {
            Ok(response) => response,
            Err(error) => error.response(&method, request_id),
        };
        set(response.headers_mut(), "x-amz-request-id", request_id);
        set(response.headers_mut(), "x-amz-id-2", "hearth");
        response
    }

    async fn answer<B>(
        self: &Arc<Self>,
        request_id: &str,
        caller: Arc<Caller>,
        head: http::request::Parts,
        body: B,
    ) -> Answer
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: Display,
    {
        let resource = Resource::of(&head.headers, &head.uri)?;
        // Whoever checked the signature left what the chunks' signatures are checked with.
        let framing = head.extensions.get::<Framing>().cloned().or_else(|| Framing::unchecked(&head.headers));
        let address = head.extensions.get::<IpAddr>().map(IpAddr::to_string).unwrap_or_default();
        let origin = Origin { address, request_id: request_id.to_owned() };
        let query = Query::of(&head.uri)?;
        let call = Call { caller, method: head.method, query, headers: head.headers, framing, origin };
        self.check_expiry(&call.query)?;
        self.check_owner(&call.headers)?;
        match resource {
            Resource::Service if call.method == Method::GET => {
                call.may("s3:ListAllMyBuckets", "*")?;
                self.list_buckets(&call).await
            }
            Resource::Service => Err(S3Error::method_not_allowed(&call.method)),
            Resource::Bucket(bucket) => self.of_bucket(&call, &bucket, body).await,
            Resource::Object(bucket, key) => self.of_object(&call, &bucket, &key, body).await,
        }
    }

    async fn of_bucket<B>(self: &Arc<Self>, call: &Call, bucket: &str, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: Display,
    {
        let query = &call.query;
        let arn = bucket_arn(bucket);
        let may = |action: &str| call.may(action, &arn).map(|()| self);
        if let Some(setting) = subresource(query).or_else(|| query.has("location").then_some("location")) {
            return may(&of_setting(&call.method, setting))?.setting(call, bucket, setting, body).await;
        }
        match call.method {
            Method::GET if query.has("uploads") => {
                may("s3:ListBucketMultipartUploads")?.list_uploads(call, bucket).await
            }
            Method::GET if query.has("versions") => may("s3:ListBucketVersions")?.list_versions(call, bucket).await,
            Method::GET if query.get("list-type") == Some("2") => {
                may("s3:ListBucket")?.list_objects_v2(call, bucket).await
            }
            Method::GET => may("s3:ListBucket")?.list_objects(call, bucket).await,
            Method::HEAD => may("s3:ListBucket")?.head_bucket(bucket).await,
            Method::PUT => may("s3:CreateBucket")?.create_bucket(call, bucket, body).await,
            Method::DELETE => may("s3:DeleteBucket")?.delete_bucket(bucket).await,
            // Each object is asked for.
            Method::POST if query.has("delete") => self.delete_objects(call, bucket, body).await,
            Method::POST => Err(S3Error::not_implemented("POST Object")),
            _ => Err(S3Error::method_not_allowed(&call.method)),
        }
    }

    async fn of_object<B>(self: &Arc<Self>, call: &Call, bucket: &str, key: &str, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Send + Unpin,
        B::Error: Display,
    {
        let query = &call.query;
        let arn = object_arn(bucket, key);
        let version = query.given("versionId");
        let may = |action: &str| call.may(action, &arn).map(|()| self);
        let may_on = |actions: [&str; 2]| call.may_on_version(actions, &arn, version).map(|()| self);
        if query.has("tagging") {
            let actions = match call.method {
                Method::GET | Method::HEAD => ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
                Method::DELETE => ["s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"],
                _ => ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
            };
            return may_on(actions)?.object_tagging(call, bucket, key, body).await;
        }
        if let Some(other) = subresource(query) {
            return Err(S3Error::not_implemented(&format!("{} ?{other} of an object", call.method)));
        }
        let is_copy = call.headers.contains_key("x-amz-copy-source");
        let writes = matches!(call.method, Method::PUT | Method::POST);
        if writes && call.headers.contains_key("x-amz-tagging") {
            may("s3:PutObjectTagging")?;
        }
        match (&call.method, query.given("uploadId")) {
            (&Method::PUT, Some(id)) if is_copy => may("s3:PutObject")?.upload_part_copy(call, bucket, key, id).await,
            (&Method::PUT, Some(id)) => may("s3:PutObject")?.upload_part(call, bucket, key, id, body).await,
            (&Method::GET, Some(id)) => may("s3:ListMultipartUploadParts")?.list_parts(call, bucket, key, id).await,
            (&Method::POST, Some(id)) => may("s3:PutObject")?.complete_upload(call, bucket, key, id, body).await,
            (&Method::DELETE, Some(id)) => may("s3:AbortMultipartUpload")?.abort_upload(bucket, key, id).await,
            (&Method::POST, None) if query.has("uploads") => {
                may("s3:PutObject")?.create_upload(call, bucket, key).await
            }
            (&Method::PUT, None) if is_copy => may("s3:PutObject")?.copy_object(call, bucket, key).await,
            (&Method::PUT, None) => may("s3:PutObject")?.put_object(call, bucket, key, body).await,
            (&(Method::GET | Method::HEAD), None) => {
                let got = may_on(["s3:GetObject", "s3:GetObjectVersion"])?.get_object(call, bucket, key).await;
                got.map_err(|error| hidden(call, bucket, error))
            }
            (&Method::DELETE, None) => {
                may_on(["s3:DeleteObject", "s3:DeleteObjectVersion"])?.delete_object(call, bucket, key).await
            }
            _ => Err(S3Error::method_not_allowed(&call.method)),
        }
    }

    /// A link that is signed in its query is good for as long as it says.
    fn check_expiry(&self, query: &Query) -> Result<(), S3Error> {
        let Some(ends_s) = link_ends_s(query)? else { return Ok(()) };
        if self.now_ms().div_euclid(1000) > ends_s {
            return Err(S3Error::access_denied("Request has expired"));
        }
        Ok(())
    }

    /// What the client expects of the bucket's owner must hold.
    fn check_owner(&self, headers: &HeaderMap) -> Result<(), S3Error> {
        for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
            if text(headers, name)?.is_some_and(|account| account != &*self.parts.place.account) {
                return Err(S3Error::access_denied("Access Denied"));
            }
        }
        Ok(())
    }
}

/// Who may not list a bucket is not told what is not in it.
fn hidden(call: &Call, bucket: &str, error: S3Error) -> S3Error {
    let tells = matches!(error.code, "NoSuchKey" | "NoSuchVersion" | "NoSuchBucket");
    match call.may("s3:ListBucket", &bucket_arn(bucket)) {
        Err(denied) if tells => denied,
        _ => error,
    }
}

fn subresource(query: &Query) -> Option<&'static str> {
    SUBRESOURCES.iter().copied().find(|name| query.has(name))
}

/// Seconds since 1970; none where the query has no signature.
fn link_ends_s(query: &Query) -> Result<Option<i64>, S3Error> {
    let bad = |fault: LinkFault| S3Error::bad("AuthorizationQueryParametersError", fault.text_of_s3().to_owned());
    if query.has("X-Amz-Signature") {
        let parse = |date: &str| DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok();
        let signed = query.get("X-Amz-Date").and_then(parse);
        let signed = signed.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let signed = signed.ok_or_else(|| bad(LinkFault::Date))?;
        let life = query.get("X-Amz-Expires").ok_or_else(|| bad(LinkFault::Incomplete))?;
        let life = LinkFault::life(life).map_err(bad)?;
        return Ok(Some(signed.timestamp().as_second().saturating_add_unsigned(life.as_secs())));
    }
    if query.has("Signature") && query.has("AWSAccessKeyId") {
        let ends: Option<i64> = query.get("Expires").and_then(|ends| ends.parse().ok());
        return ends.map(Some).ok_or_else(|| {
            S3Error::access_denied(
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
            )
        });
    }
    Ok(None)
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

/// An answer that is a document.
pub(crate) fn document(xml: Xml) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(xml.finish()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A PUT of somebody who may do everything.
    pub(crate) fn put(headers: HeaderMap, framing: Option<Framing>) -> Call {
        use hearth_identity::Rights;
        use hearth_identity::policy::{Context, Principal};
        let caller = Caller::new(Principal::Anonymous, "", Rights::Everything, Context::default());
        Call {
            caller: Arc::new(caller),
            method: Method::PUT,
            headers,
            query: Query::default(),
            framing,
            origin: Origin::default(),
        }
    }

    fn ends(query: &str) -> Result<Option<i64>, &'static str> {
        let query = Query::of(&format!("/b/k?{query}").parse().unwrap()).unwrap();
        link_ends_s(&query).map_err(|error| error.code)
    }

    #[test]
    fn links_end() {
        assert_eq!(ends("versionId=1"), Ok(None));
        assert_eq!(ends("X-Amz-Signature=a&X-Amz-Date=19700102T000001Z&X-Amz-Expires=60"), Ok(Some(86_461)));
        assert_eq!(ends("Signature=a&AWSAccessKeyId=b&Expires=77"), Ok(Some(77)));
        for bad in
            ["X-Amz-Date=1970", "X-Amz-Date=19700102T000001Z", "X-Amz-Date=19700102T000001Z&X-Amz-Expires=604801"]
        {
            assert_eq!(ends(&format!("X-Amz-Signature=a&{bad}")), Err("AuthorizationQueryParametersError"));
        }
        assert_eq!(ends("Signature=a&AWSAccessKeyId=b&Expires=x"), Err("AccessDenied"));
    }
}
