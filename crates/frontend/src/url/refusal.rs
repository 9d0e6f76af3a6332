//! Answers that no function gave.

use bytes::Bytes;
use hearth_api::ApiError;
use http::{HeaderValue, Response, StatusCode, header};

/// For a caller who may not (observed).
#[must_use]
pub fn forbidden() -> ApiError {
    let text = "Forbidden. For troubleshooting Function URL authorization issues, see: \
                https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";
    ApiError::access_denied(Some(text.to_owned())).without_type()
}

/// For a host that is nobody's: `{"Message":null}` (reported).
#[must_use]
pub fn unknown() -> ApiError {
    ApiError::access_denied(None).without_type()
}

/// For a function that failed, took too long, or gave what is no HTTP response (observed). Why is in the function's log.
pub(super) fn bad_gateway() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"Internal Server Error"));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
