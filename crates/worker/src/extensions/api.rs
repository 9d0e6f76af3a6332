//! The Extensions API as the processes in an environment see it, on hyper.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use hearth_types::limits::{EXTENSION_BODY_BYTES, EXTENSIONS};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::calls::Event;
use super::{ExtensionId, Refusal, Report};
use crate::environment::Environment;
use crate::runtime_api::{Answer, JSON, answer, done, method_not_allowed, not_found, problem};
use crate::telemetry;
use crate::text::INVALID_TRANSITION;

/// How paths of this API begin, and of the two that extensions subscribe to logs with.
pub(crate) const PREFIXES: [&str; 3] = ["/2020-01-01/", "/2022-07-01/", "/2020-08-15/"];

const NAME: HeaderName = HeaderName::from_static("lambda-extension-name");
const IDENTIFIER: HeaderName = HeaderName::from_static("lambda-extension-identifier");
const EVENT_IDENTIFIER: HeaderName = HeaderName::from_static("lambda-extension-event-identifier");
const ACCEPT_FEATURE: HeaderName = HeaderName::from_static("lambda-extension-accept-feature");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-extension-function-error-type");

/// The one feature there is: the account's id in the answer to a registration.
const ACCOUNT_ID: &str = "accountId";

/// Answers a request whose path begins with one of [`PREFIXES`].
pub(crate) async fn handle(environment: &Environment, request: Request<Incoming>) -> Answer {
    if environment.has_extensions_disabled() {
        return not_found(request.uri().path());
    }
    let (get, post) = (*request.method() == Method::GET, *request.method() == Method::POST);
    match request.uri().path() {
        "/2020-01-01/extension/register" if post => register(environment, request).await,
        "/2020-01-01/extension/event/next" if get => next(environment, request.headers()).await,
        "/2020-01-01/extension/init/error" if post => report(environment, request, Report::Init).await,
        "/2020-01-01/extension/exit/error" if post => report(environment, request, Report::Exit).await,
        "/2020-01-01/extension/register"
        | "/2020-01-01/extension/event/next"
        | "/2020-01-01/extension/init/error"
        | "/2020-01-01/extension/exit/error" => method_not_allowed(request.method()),
        path => match telemetry::Api::of(path) {
            Some(api) if *request.method() == Method::PUT => subscribe(environment, api, request).await,
            Some(_) => method_not_allowed(request.method()),
            None => not_found(path),
        },
    }
}

async fn subscribe(environment: &Environment, api: telemetry::Api, request: Request<Incoming>) -> Answer {
    match identify(environment, request.headers()) {
        Ok((_, name)) => telemetry::subscribe(environment, api, name, request).await,
        Err(refusal) => refuse(&refusal),
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Registration {
    events: Vec<String>,
    configuration_keys: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Registered<'a> {
    function_name: &'a str,
    function_version: &'a str,
    handler: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

async fn register(environment: &Environment, request: Request<Incoming>) -> Answer {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = header(NAME).trim().to_owned();
    let wants_account = header(ACCEPT_FEATURE).split(',').any(|feature| feature.trim() == ACCOUNT_ID);
    let body = match collect(request).await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let registration = match serde_json::from_slice(&body) {
        Ok(registration) => registration,
        Err(_) if body.is_empty() => Registration::default(),
        Err(error) => return problem(StatusCode::FORBIDDEN, "InvalidRequestFormat", &error.to_string()),
    };
    if !registration.configuration_keys.is_empty() {
        let text = "configurationKeys are deprecated; use environment variables instead";
        return problem(StatusCode::FORBIDDEN, "InvalidRequestFormat", text);
    }
    match environment.register(&name, &registration.events) {
        Ok(id) => registered(environment, id, wants_account),
        Err(refusal) => refuse(&refusal),
    }
}

fn registered(environment: &Environment, id: ExtensionId, wants_account: bool) -> Answer {
    let spec = &environment.spec;
    let account = spec.function_arn.split(':').nth(4).filter(|_| wants_account);
    json(
        (IDENTIFIER, id),
        &Registered {
            function_name: &spec.function,
            function_version: &spec.version,
            handler: &spec.handler,
            account_id: account,
        },
    )
}

#[derive(Serialize)]
#[serde(tag = "eventType", rename_all_fields = "camelCase")]
enum Told<'a> {
    #[serde(rename = "INVOKE")]
    Invoke { deadline_ms: i64, request_id: String, invoked_function_arn: &'a str, tracing: Tracing<'a> },
    #[serde(rename = "SHUTDOWN")]
    Shutdown { shutdown_reason: &'static str, deadline_ms: i64 },
}

#[derive(Serialize)]
struct Tracing<'a> {
    r#type: &'static str,
    value: &'a str,
}

async fn next(environment: &Environment, headers: &HeaderMap) -> Answer {
    let waiting = identify(environment, headers).and_then(|(id, _)| Ok((id, environment.extension_next(id)?)));
    let (id, ticket) = match waiting {
        Ok(waiting) => waiting,
        Err(refusal) => return refuse(&refusal),
    };
    match poll_fn(|context| environment.poll_event(id, ticket, context)).await {
        Some(event) => tell(&event),
        None => {
            let ready = super::State::Ready;
            refuse(&Refusal::NotAllowed { from: ready, to: ready, who: id.to_string() })
        }
    }
}

fn tell(event: &Event) -> Answer {
    let told = match event {
        Event::Invoke { request_id, invoked_arn, trace_id, deadline_ms } => Told::Invoke {
            deadline_ms: *deadline_ms,
            request_id: request_id.to_string(),
            invoked_function_arn: invoked_arn,
            tracing: Tracing { r#type: "X-Amzn-Trace-Id", value: trace_id },
        },
        Event::Shutdown { reason, deadline_ms } => {
            Told::Shutdown { shutdown_reason: reason.name(), deadline_ms: *deadline_ms }
        }
    };
    json((EVENT_IDENTIFIER, Uuid::new_v4()), &told)
}

/// What an extension says of its error.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Words {
    error_message: String,
}

async fn report(environment: &Environment, request: Request<Incoming>, report: Report) -> Answer {
    let id = match identify(environment, request.headers()) {
        Ok((id, _)) => id,
        Err(refusal) => return refuse(&refusal),
    };
    let kind = request.headers().get(ERROR_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.is_empty() {
        let text = "Lambda-Extension-Function-Error-Type not found";
        return problem(StatusCode::FORBIDDEN, "Extension.MissingHeader", text);
    }
    let kind = kind.to_owned();
    let body = match collect(request).await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    // Whatever is in it is taken; what is not an error object has no message.
    let words: Words = serde_json::from_slice(&body).unwrap_or_default();
    match environment.extension_report(id, report, &kind, words.error_message) {
        Ok(()) => done(),
        Err(refusal) => refuse(&refusal),
    }
}

/// Who calls: the id and the name of a registered extension.
pub(crate) fn identify(environment: &Environment, headers: &HeaderMap) -> Result<(ExtensionId, Arc<str>), Refusal> {
    let id = match headers.get(IDENTIFIER) {
        None => Err(Refusal::MissingIdentifier),
        Some(given) => {
            let id = given.to_str().ok().and_then(|text| Uuid::try_parse(text).ok());
            id.ok_or(Refusal::InvalidIdentifier)
        }
    };
    id.and_then(|id| Ok((id, environment.extension(id)?)))
}

/// A body up to [`EXTENSION_BODY_BYTES`].
async fn collect(request: Request<Incoming>) -> Result<Bytes, Box<Answer>> {
    match Limited::new(request.into_body(), EXTENSION_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let text = format!("Exceeded maximum allowed payload size ({EXTENSION_BODY_BYTES} bytes).");
            Err(Box::new(problem(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &text)))
        }
        Err(_) => {
            let text = "The request ended before its body was complete";
            Err(Box::new(problem(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", text)))
        }
    }
}

fn json((name, id): (HeaderName, Uuid), body: &impl Serialize) -> Answer {
    let mut response = answer(StatusCode::OK, JSON, serde_json::to_vec(body).unwrap_or_default().into());
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(name, id);
    }
    response
}

pub(crate) fn refuse(refusal: &Refusal) -> Answer {
    let (kind, text) = match refusal {
        Refusal::EmptyName => ("Extension.InvalidExtensionName", "Empty extension name".to_owned()),
        Refusal::LongName => ("Extension.InvalidExtensionName", "The extension's name is too long".to_owned()),
        Refusal::NoSuchFile(name) => {
            ("Extension.InvalidExtensionName", format!("No file in /opt/extensions has the name {name}"))
        }
        Refusal::InvalidEvent(event) => ("Extension.InvalidEventType", format!("{event}: invalid event type")),
        Refusal::InternalShutdown => {
            ("Extension.InvalidEventType", "SHUTDOWN: internal extensions may register for INVOKE only".to_owned())
        }
        Refusal::Closed => ("Extension.RegistrationClosed", "Extension registration closed already".to_owned()),
        Refusal::TooMany => ("Extension.TooManyExtensions", format!("Extension limit ({EXTENSIONS}) reached")),
        Refusal::MissingIdentifier => {
            ("Extension.MissingExtensionIdentifier", format!("Missing {IDENTIFIER_AS_WRITTEN} header"))
        }
        Refusal::InvalidIdentifier => {
            ("Extension.InvalidExtensionIdentifier", format!("Invalid {IDENTIFIER_AS_WRITTEN}"))
        }
        Refusal::Unknown(id) => ("Extension.UnknownExtensionIdentifier", format!("Unknown extension {id}")),
        Refusal::NotAllowed { from, to, who } => {
            let (from, to) = (from.name(), to.name());
            let text = format!("State transition from {from} to {to} failed for extension {who}. {INVALID_TRANSITION}");
            ("Extension.InvalidExtensionState", text)
        }
    };
    problem(StatusCode::FORBIDDEN, kind, &text)
}

/// Header names are sent in small letters; texts show them as documented.
const IDENTIFIER_AS_WRITTEN: &str = "Lambda-Extension-Identifier";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_documented_members() {
        let told = Told::Invoke {
            deadline_ms: 676_051,
            request_id: "id".to_owned(),
            invoked_function_arn: "arn",
            tracing: Tracing { r#type: "X-Amzn-Trace-Id", value: "Root=1" },
        };
        assert_eq!(
            serde_json::to_string(&told).unwrap(),
            r#"{"eventType":"INVOKE","deadlineMs":676051,"requestId":"id","invokedFunctionArn":"arn","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1"}}"#
        );
    }
}
