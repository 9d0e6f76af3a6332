//! How outputs and errors are written.

use bytes::Bytes;
use hearth_api::error::{ACCESS_DENIED, modelled};
use hearth_api::types::{
    EnvironmentResponse, EventSourceMappingConfiguration, FunctionConfiguration, InvocationResponse,
    InvokeWithResponseStreamResponse, LastUpdateStatusReasonCode, State,
};
use hearth_api::{ApiError, Operation, Timestamp, encode, encode_head, ops};
use http::Response;
use serde_json::{Value, json};

fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn header<'a, T>(response: &'a Response<T>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn absent_members_are_left_out() {
    let output = FunctionConfiguration {
        function_name: Some("f \"\u{e4}\n".into()),
        code_size: Some(5_000_000_000),
        state: Some(State::Pending),
        last_update_status_reason_code: Some(LastUpdateStatusReasonCode::Creating),
        layers: Some(Vec::new()),
        environment: Some(EnvironmentResponse {
            variables: Some([("B".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())].into_iter().collect()),
            error: None,
        }),
        ..FunctionConfiguration::default()
    };
    let response = encode::<ops::CreateFunction>(&output);
    assert_eq!(response.status(), 201);
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    assert_eq!(
        body(&response),
        json!({"FunctionName": "f \"\u{e4}\n", "CodeSize": 5_000_000_000_i64, "State": "Pending", "Layers": [],
            "LastUpdateStatusReasonCode": "Creating", "Environment": {"Variables": {"B": "1", "A": "2"}}})
    );
    assert!(String::from_utf8_lossy(response.body()).contains(r#"{"B":"1","A":"2"}"#), "in the order given");
}

#[test]
fn times_are_seconds() {
    let written = |milliseconds| {
        let output = EventSourceMappingConfiguration {
            last_modified: Some(Timestamp(milliseconds)),
            ..EventSourceMappingConfiguration::default()
        };
        String::from_utf8(encode::<ops::GetEventSourceMapping>(&output).into_body().into()).unwrap()
    };
    assert_eq!(written(1_709_640_000_250), r#"{"LastModified":1709640000.25}"#);
    assert_eq!(written(1_709_640_000_000), r#"{"LastModified":1709640000}"#);
}

#[test]
fn an_invoke_answers_headers_and_raw_bytes() {
    let output = InvocationResponse {
        status_code: Some(202),
        function_error: Some("Unhandled".into()),
        executed_version: Some("$LATEST".into()),
        log_result: Some("bG9n".into()),
        payload: Some(Bytes::from_static(b"\"x\"")),
        ..InvocationResponse::default()
    };
    let response = encode::<ops::Invoke>(&output);
    assert_eq!(response.status(), 202);
    assert_eq!(header(&response, "x-amz-function-error"), Some("Unhandled"));
    assert_eq!(header(&response, "x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(header(&response, "x-amz-log-result"), Some("bG9n"));
    assert_eq!(response.body().as_ref(), b"\"x\"");
    assert!(encode::<ops::Invoke>(&InvocationResponse::default()).body().is_empty());
}

#[test]
fn a_header_value_cannot_break_out() {
    let output = InvocationResponse { function_error: Some("a\r\nX: y".into()), ..InvocationResponse::default() };
    assert_eq!(header(&encode::<ops::Invoke>(&output), "x-amz-function-error"), None);
}

#[test]
fn a_stream_has_a_head() {
    let output = InvokeWithResponseStreamResponse {
        response_stream_content_type: Some("application/vnd.amazon.eventstream".into()),
        ..InvokeWithResponseStreamResponse::default()
    };
    let head = encode_head::<ops::InvokeWithResponseStream>(&output);
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-type")),
        (200, Some("application/vnd.amazon.eventstream"))
    );
}

#[test]
fn no_content_is_no_content() {
    let response = encode::<ops::TagResource>(&());
    assert_eq!((response.status().as_u16(), response.body().len()), (204, 0));
    assert_eq!(header(&response, "content-type"), None);
}

#[test]
fn errors_spell_their_text_as_the_service_does() {
    for (error, status, code, wanted) in [
        (
            ApiError::invalid_parameter("no"),
            400,
            "InvalidParameterValueException",
            json!({"Type": "User", "message": "no"}),
        ),
        (ApiError::not_found("no"), 404, "ResourceNotFoundException", json!({"Type": "User", "Message": "no"})),
        (ApiError::conflict("no"), 409, "ResourceConflictException", json!({"Type": "User", "message": "no"})),
        (
            ApiError::precondition_failed("no"),
            412,
            "PreconditionFailedException",
            json!({"Type": "User", "message": "no"}),
        ),
        (ApiError::service("no"), 500, "ServiceException", json!({"Type": "Service", "Message": "no"})),
        (
            ApiError::too_many_requests("ReservedFunctionConcurrentInvocationLimitExceeded"),
            429,
            "TooManyRequestsException",
            json!({"Type": "User", "message": "Rate Exceeded.",
                "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}),
        ),
        (
            ApiError::invalid_parameter("no").without_type(),
            400,
            "InvalidParameterValueException",
            json!({"message": "no"}),
        ),
        (ApiError::access_denied(None), 403, ACCESS_DENIED.code, json!({"Type": "User", "Message": null})),
        (
            ApiError::new(&modelled::INVALID_RUNTIME, "no"),
            502,
            "InvalidRuntimeException",
            json!({"Type": "Service", "Message": "no"}),
        ),
        (
            ApiError::new(&modelled::EC2_UNEXPECTED, "no").with("EC2ErrorCode", "x"),
            502,
            "EC2UnexpectedException",
            json!({"Type": "Service", "Message": "no", "EC2ErrorCode": "x"}),
        ),
        (
            ApiError::not_implemented(Operation::CreateAlias),
            501,
            "NotImplementedException",
            json!({"Type": "Service", "message": "Hearth does not implement CreateAlias yet."}),
        ),
    ] {
        let response = error.response();
        assert_eq!((response.status().as_u16(), header(&response, "x-amzn-errortype")), (status, Some(code)));
        assert_eq!(body(&response), wanted);
    }
}

#[test]
fn a_throttled_caller_may_be_told_when_to_come_back() {
    let mut error = ApiError::too_many_requests("CallerRateLimitExceeded");
    assert_eq!(header(&error.response(), "retry-after"), None);
    error.retry_after_s = Some(3);
    assert_eq!(header(&error.response(), "retry-after"), Some("3"));
}
