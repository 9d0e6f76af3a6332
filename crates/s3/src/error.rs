//! Errors with S3's codes and texts, as XML.

use hearth_http::ResponseBody;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use tracing::error;

use crate::xml::{self, Xml};

/// Code and message of another S3's error.
#[must_use]
pub fn read_error(body: &[u8]) -> Option<(String, String)> {
    #[derive(serde::Deserialize)]
    struct Error {
        #[serde(rename = "Code")]
        code: String,
        #[serde(rename = "Message", default)]
        message: String,
    }
    let Error { code, message } = xml::read(body).ok()?;
    Some((code, message))
}

/// What a client is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S3Error {
    /// S3's code, for instance `NoSuchKey`.
    pub code: &'static str,
    /// The status.
    pub status: StatusCode,
    /// The sentence.
    pub message: String,
    /// Members of the answer besides code and message.
    members: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
}

impl S3Error {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), members: Vec::new(), headers: Vec::new() }
    }

    /// With a member more.
    pub(crate) fn with(mut self, member: &'static str, value: impl Into<String>) -> Self {
        self.members.push((member, value.into()));
        self
    }

    /// With another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// With a header.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn no_such_bucket(bucket: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist")
            .with("BucketName", bucket)
    }

    pub(crate) fn no_such_key(key: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.").with("Key", key)
    }

    pub(crate) fn no_such_version(key: &str, version: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchVersion", "The specified version does not exist.")
            .with("Key", key)
            .with("VersionId", version)
    }

    pub(crate) fn no_such_upload(id: &str) -> Self {
        let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                       aborted or completed.";
        Self::new(StatusCode::NOT_FOUND, "NoSuchUpload", message).with("UploadId", id)
    }

    pub(crate) fn invalid_argument(message: impl Into<String>, name: &str, value: &str) -> Self {
        Self::bad("InvalidArgument", message).with("ArgumentName", name).with("ArgumentValue", value)
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::bad("InvalidRequest", message)
    }

    pub(crate) fn malformed_xml() -> Self {
        Self::bad(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    }

    pub(crate) fn precondition_failed(condition: &str) -> Self {
        let message = "At least one of the pre-conditions you specified did not hold";
        Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message).with("Condition", condition)
    }

    pub(crate) fn method_not_allowed(method: &Method) -> Self {
        let message = "The specified method is not allowed against this resource.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with("Method", method.as_str())
    }

    pub(crate) fn access_denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    /// For what S3 can do and Hearth cannot.
    pub(crate) fn not_implemented(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            format!("{what} is not supported by this version of Hearth."),
        )
    }

    /// Somebody else changed the same thing again and again.
    pub(crate) fn operation_aborted() -> Self {
        let message = "A conflicting conditional operation is currently in progress against this resource. Please try \
                       again.";
        Self::new(StatusCode::CONFLICT, "OperationAborted", message)
    }

    pub(crate) fn slow_down(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message)
    }

    /// The server failed; its log says how.
    pub(crate) fn internal(what: &str, cause: impl std::fmt::Display) -> Self {
        error!("{what}: {cause}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "We encountered an internal error. Please try again.",
        )
    }

    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The answer to a request of this method.
    pub(crate) fn response(&self, method: &Method, request_id: &str) -> Response<ResponseBody> {
        // An answer to HEAD has no body, and one that says "not modified" neither.
        let has_body = method != Method::HEAD && self.status != StatusCode::NOT_MODIFIED;
        let mut response =
            Response::new(if has_body { ResponseBody::from(self.body(request_id)) } else { ResponseBody::empty() });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if has_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }

    fn body(&self, request_id: &str) -> String {
        let mut xml = Xml::new();
        xml.open("Error").text("Code", self.code).text("Message", &self.message);
        for (member, value) in &self.members {
            xml.text(member, value);
        }
        xml.text("RequestId", request_id).text("HostId", "hearth").close("Error");
        xml.finish()
    }
}

impl std::fmt::Display for S3Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
