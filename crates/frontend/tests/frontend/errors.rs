//! What Invoke refuses, and in which words.

use crate::support::{House, LIMITS, put, record};
use hearth_api::ApiError;
use hearth_types::function::State;
use hearth_types::limits::EVENT_PAYLOAD_BYTES;

const PAYLOAD_MAX: usize = 6_291_456;

fn check(error: ApiError, status: u16, code: &str, text: &str) {
    assert_eq!((error.kind.status, error.kind.code), (status, code), "{error}");
    assert_eq!(error.message.as_deref(), Some(text));
}

async fn refused(name: &str, query: Option<&str>, headers: &[(&'static str, &str)], payload: &[u8]) -> ApiError {
    House::new(LIMITS).request(name, query, headers, payload).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn unknown_functions_and_qualifiers_are_not_found() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:function";
    let not_found = |error, what: &str| {
        check(error, 404, "ResourceNotFoundException", &format!("Function not found: {arn}:{what}"));
    };
    not_found(refused("g", None, &[], b"").await, "g:$LATEST");
    not_found(refused("f", Some("Qualifier=7"), &[], b"").await, "f:7");
    not_found(refused("f:prod", None, &[], b"").await, "f:prod");
    not_found(refused("f", Some("Qualifier=$latest"), &[], b"").await, "f:$latest");
    not_found(refused(&format!("{arn}:g"), None, &[], b"").await, "g:$LATEST");
    let long = "x".repeat(65);
    not_found(refused(&long, None, &[], b"").await, &format!("{long}:$LATEST"));
}

#[tokio::test(start_paused = true)]
async fn names_of_other_places_are_refused() {
    let error = refused("arn:aws:lambda:eu-west-1:123456789012:function:f", None, &[], b"").await;
    let text = "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')";
    check(error, 404, "ResourceNotFoundException", text);
    let error = refused("999999999999:function:f", None, &[], b"").await;
    assert_eq!((error.kind.status, error.kind.code), (403, "AccessDeniedException"));
}

#[tokio::test(start_paused = true)]
async fn two_different_qualifiers_are_refused_before_anything_is_looked_up() {
    let text = "The derived qualifier from the function name does not match the specified qualifier.";
    let error = refused("nobody:1", Some("Qualifier=2"), &[], b"").await;
    check(error, 400, "InvalidParameterValueException", text);
}

#[tokio::test(start_paused = true)]
async fn the_models_constraints_are_checked() {
    for (name, query, header) in [
        ("f%20g", None, ("x-amz-log-type", "None")),
        ("f:1:2", None, ("x-amz-log-type", "None")),
        ("f", Some("Qualifier=a%20b"), ("x-amz-log-type", "None")),
        ("f", None, ("x-amz-log-type", "All")),
        ("f", None, ("x-amz-invocation-type", "Sync")),
    ] {
        let error = refused(name, query, &[header], b"").await;
        assert_eq!(error.kind.code, "ValidationException", "{name} {query:?} {header:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_that_cannot_be_read_is_not_taken_for_none() {
    let error = refused("f", Some("Qualifier=%zz"), &[], b"").await;
    assert_eq!((error.kind.status, error.kind.code), (400, "SerializationException"));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_effect_yet_says_so() {
    let error = refused("f", None, &[("x-amz-durable-execution-name", "n")], b"").await;
    assert_eq!(error.kind.status, 501, "{error}");
}

#[tokio::test(start_paused = true)]
async fn events_have_a_bound_of_their_own() {
    let event = [("x-amz-invocation-type", "Event")];
    let long = vec![b' '; EVENT_PAYLOAD_BYTES + 1];
    let text = "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)";
    check(refused("f", None, &event, &long).await, 413, "RequestTooLargeException", text);
    assert_eq!(refused("f", None, &event, b"{").await.kind.code, "InvalidRequestContentException");
    assert_eq!(refused("nowhere", None, &event, b"{}").await.kind.code, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn functions_that_are_not_ready_conflict() {
    let house = House::new(LIMITS);
    let mut pending = record("p");
    pending.latest.state = State::Pending;
    house.dispatcher.apply(vec![put(pending.clone())]);
    let error = house.request("p", None, &[], b"").await.unwrap_err();
    let text =
        "The operation cannot be performed at this time. The function is currently in the following state: Pending";
    check(error, 409, "ResourceConflictException", text);
    pending.latest.state = State::Failed("InvalidZipFileException".into(), "The package is broken.".into());
    house.dispatcher.apply(vec![put(pending.clone())]);
    let error = house.request("p", None, &[], b"").await.unwrap_err();
    assert!(error.to_string().contains("state: Failed. The package is broken."), "{error}");
}

#[tokio::test(start_paused = true)]
async fn payloads_have_an_end_and_are_json() {
    let house = House::new(LIMITS);
    let mut payload = vec![b' '; PAYLOAD_MAX];
    payload[0] = b'1';
    house.request("f", None, &[], &payload).await.unwrap();
    payload.push(b' ');
    let text = "Request must be smaller than 6291456 bytes for the InvokeFunction operation";
    check(house.request("f", None, &[], &payload).await.unwrap_err(), 413, "RequestTooLargeException", text);
    for bad in [&b"{"[..], b"abc", b"'a'", b"\xef\xbb\xbf{}", b"\"\x87\"", b"{}{}"] {
        let error = house.request("f", None, &[], bad).await.unwrap_err();
        assert_eq!((error.kind.status, error.kind.code), (400, "InvalidRequestContentException"), "{bad:?}");
        assert!(error.to_string().contains("Could not parse request body into json: "), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttles_name_their_reason() {
    let house = House::new(hearth_scheduler::Limits { account_concurrency: 1, ..LIMITS });
    let (first, second) = tokio::join!(house.invoke("1"), house.invoke("2"));
    first.unwrap();
    let error = second.unwrap_err();
    assert_eq!(error.extra, [("Reason", "ConcurrentInvocationLimitExceeded".to_owned())]);
    check(error, 429, "TooManyRequestsException", "Rate Exceeded.");
}

#[tokio::test(start_paused = true)]
async fn a_function_that_can_never_fit_is_told_so() {
    let house = House::on(hearth_scheduler::Capacity { memory_mb: 100, environments: 20 }, LIMITS);
    let error = house.invoke("1").await.unwrap_err();
    assert!(error.kind.status == 400 && error.to_string().contains("needs 128 MB"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_client_context_is_an_object_in_base64() {
    for bad in ["%%%", "W10=", "e30", &"A".repeat(3584)] {
        let error = refused("f", None, &[("x-amz-client-context", bad)], b"").await;
        assert_eq!(error.kind.code, "InvalidRequestContentException", "{bad}");
    }
}
