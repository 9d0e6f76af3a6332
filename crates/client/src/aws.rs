//! Calls of AWS's services: JSON 1.0 and 1.1, signed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_identity::Credentials;
use hearth_identity::sigv4::{PayloadHash, Scope, Signer, Timestamp};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde_json::Value;

use crate::{CallError, Client, Endpoint, whole};

/// Which of the two JSON protocols a service speaks; they differ in the content's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JsonVersion {
    /// `application/x-amz-json-1.0`
    V1_0,
    /// `application/x-amz-json-1.1`
    V1_1,
}

/// What the model of a service says of its protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    /// As signatures have it: `kinesis`.
    pub signing_name: &'static str,
    /// What stands before the operation's name in `X-Amz-Target`: `Kinesis_20131202`.
    pub target: &'static str,
    /// Its protocol.
    pub json: JsonVersion,
}

/// A service at an endpoint, called with credentials. Clones share connections.
#[derive(Clone)]
pub struct Api {
    /// What sends.
    pub client: Client,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Who calls.
    pub credentials: Credentials,
    /// `us-east-1`, ...
    pub region: Arc<str>,
    /// Time since 1970, for signatures: the machine's own.
    pub now: fn() -> Duration,
}

impl Api {
    /// Calls an operation; its answer may have `most` bytes and must begin within `time`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(
        &self,
        service: Service,
        operation: &str,
        input: &Value,
        most: usize,
        time: Duration,
    ) -> Result<Value, CallError> {
        let answer = self.client.send(self.signed(service, operation, input)?, time).await?;
        let (status, named) = (answer.status(), error_header(answer.headers()));
        let body = whole(answer, most).await?;
        if !status.is_success() {
            return Err(refusal(status.as_u16(), named, &body));
        }
        if body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        let unfit = |cause| CallError::Unfit(format!("the answer to {operation} is not JSON: {cause}"));
        serde_json::from_slice(&body).map_err(unfit)
    }

    fn signed(&self, service: Service, operation: &str, input: &Value) -> Result<Request<Full<Bytes>>, CallError> {
        let unfit = || CallError::Unfit(format!("{operation} cannot be asked of {}", self.endpoint.server()));
        let body = Bytes::from(input.to_string());
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = Method::POST;
        parts.uri = self.endpoint.uri("/").ok_or_else(unfit)?;
        let json = match service.json {
            JsonVersion::V1_0 => "application/x-amz-json-1.0",
            JsonVersion::V1_1 => "application/x-amz-json-1.1",
        };
        let target = HeaderValue::try_from(format!("{}.{operation}", service.target)).map_err(|_| unfit())?;
        let host = HeaderValue::try_from(self.endpoint.server().as_str()).map_err(|_| unfit())?;
        parts.headers.insert(header::HOST, host);
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(json));
        parts.headers.insert("x-amz-target", target);
        let scope = Scope { region: &self.region, service: service.signing_name };
        let signer = Signer { credentials: &self.credentials, scope };
        let now = Timestamp::since_1970((self.now)());
        signer.sign(&mut parts, PayloadHash::of(&body), now).map_err(|_| unfit())?;
        Ok(Request::from_parts(parts, Full::new(body)))
    }
}

fn error_header(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("x-amzn-errortype")?.to_str().ok()?.to_owned())
}

/// Services name an error in the body, some in a header, some with a name space or a URL around it.
fn refusal(status: u16, header: Option<String>, body: &[u8]) -> CallError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: &[&str]| names.iter().find_map(|name| body[*name].as_str()).map(str::to_owned);
    let code = text(&["__type", "code", "Code"]).or(header).unwrap_or_else(|| format!("HTTP status {status}"));
    let code = code.rsplit('#').next().and_then(|code| code.split(':').next()).unwrap_or_default().to_owned();
    CallError::Refused { status, code, message: text(&["message", "Message"]).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_named_in_each_of_the_known_ways() {
        let code = |header: Option<&str>, body: &str| {
            refusal(400, header.map(str::to_owned), body.as_bytes()).code().map(str::to_owned)
        };
        let expected = Some("ExpiredIteratorException".to_owned());
        assert_eq!(code(None, r#"{"__type":"ExpiredIteratorException","message":"m"}"#), expected);
        assert_eq!(code(None, r#"{"__type":"com.amazonaws.kinesis.v20131202#ExpiredIteratorException"}"#), expected);
        assert_eq!(code(Some("ExpiredIteratorException:http://internal/"), "{}"), expected);
        assert_eq!(code(None, "<html>").unwrap(), "HTTP status 400");
    }
}
