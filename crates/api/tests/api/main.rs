//! The API as a client of the crate meets it: requests in, inputs or errors out; outputs in, responses out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod answers;
mod decoding;
mod properties;
mod protocols;
mod refusals;
mod routing;

use bytes::Bytes;
use hearth_api::{ApiError, Matched, Operation, OperationType, decode, route};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Routes `"GET /path?query"`.
fn matched(request: &str) -> Result<Matched, ApiError> {
    let (method, target) = request.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    route(method, path, query)
}

/// Routes and decodes a request without headers.
fn decoded<Op: OperationType<Operation = Operation>>(request: &str, body: &str) -> Result<Op::Input, ApiError> {
    decode::<Op>(&matched(request)?, &HeaderMap::new(), Bytes::copy_from_slice(body.as_bytes()))
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}
