//! What inputs say, and bodies that say nothing.

use bytes::Bytes;
use hearth_api::types::{Architecture, InvocationType, LogType, PackageType};
use hearth_api::{ApiError, Timestamp, decode, ops};
use http::HeaderMap;

use crate::{decoded, headers, matched};

const FUNCTIONS: &str = "POST /2015-03-31/functions";
const CONFIGURATION: &str = "PUT /2015-03-31/functions/f/configuration";

#[track_caller]
fn assert_unreadable(body: &str, text: &str) {
    let error = decoded::<ops::UpdateFunctionConfiguration>(CONFIGURATION, body).expect_err(body);
    assert_eq!((error.kind.code, error.kind.status), ("SerializationException", 400), "{body}: {error}");
    assert!(error.message.as_deref().unwrap().contains(text), "{body}: {error}");
}

#[test]
fn a_create_is_read() {
    let input = decoded::<ops::CreateFunction>(
        FUNCTIONS,
        r#"{"FunctionName":"f","Role":"arn:aws:iam::123456789012:role/r","Runtime":"python3.12","Handler":"a.b",
            "Code":{"ZipFile":"AAEC/w=="},"Environment":{"Variables":{"ZZ":"1","AA":"2"}},"Publish":true,"Timeout":9,
            "PackageType":"Zip","Architectures":["arm64"],"Tags":{},"Description":null}"#,
    )
    .unwrap();
    assert_eq!(input.function_name, "f");
    assert_eq!(input.runtime.as_deref(), Some("python3.12"));
    assert_eq!(input.code.zip_file.as_deref(), Some(&[0, 1, 2, 255][..]));
    let variables = input.environment.unwrap().variables.unwrap();
    let in_order: Vec<_> = variables.iter().map(|(key, value)| (key, value.as_str())).collect();
    assert_eq!(in_order, [("ZZ", "1"), ("AA", "2")]);
    assert_eq!((input.publish, input.timeout), (Some(true), Some(9)));
    assert_eq!((input.package_type, input.architectures), (Some(PackageType::Zip), Some(vec![Architecture::Arm64])));
    assert!(input.tags.unwrap().is_empty());
    assert_eq!(input.description, None, "null is absent");
}

#[test]
fn an_invoke_is_handed_on_as_it_came() {
    let given =
        headers(&[("X-Amz-Invocation-Type", "DryRun"), ("x-amz-log-type", "Tail"), ("X-Amz-Client-Context", "e30=")]);
    let body = Bytes::from_static(b"{ not json \xff");
    let request = matched("POST /2015-03-31/functions/f/invocations?Qualifier=%24LATEST").unwrap();
    let input = decode::<ops::Invoke>(&request, &given, body.clone()).unwrap();
    assert_eq!((input.function_name.as_str(), input.qualifier.as_deref()), ("f", Some("$LATEST")));
    assert_eq!((input.invocation_type, input.log_type), (Some(InvocationType::DryRun), Some(LogType::Tail)));
    assert_eq!(input.client_context.as_deref(), Some("e30="));
    assert_eq!(input.payload.as_ref().map(|p| p.as_ptr()), Some(body.as_ptr()), "no copy");
}

#[test]
fn the_query_is_read() {
    let tags = decoded::<ops::UntagResource>(
        "DELETE /2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af?tagKeys=a&tagKeys=b%26c",
        "",
    )
    .unwrap();
    assert_eq!(tags.tag_keys, ["a", "b&c"]);
    let list = decoded::<ops::ListDurableExecutionsByFunction>(
        "GET /2025-12-01/functions/f/durable-executions?StartedAfter=2024-03-05T12:00:00.5Z&ReverseOrder=true&MaxItems=7",
        "",
    )
    .unwrap();
    assert_eq!(list.started_after, Some(Timestamp(1_709_640_000_500)));
    assert_eq!((list.reverse_order, list.max_items), (Some(true), Some(7)));
}

#[test]
fn a_broken_query_is_refused_and_not_taken_for_none() {
    for query in ["Qualifier=%zz", "Qualifier=%ff", "Qualifier=1%00", "%zz=1"] {
        let error = decoded::<ops::DeleteFunction>(&format!("DELETE /2015-03-31/functions/f?{query}"), "").unwrap_err();
        assert_eq!(error.kind.code, "SerializationException", "{query}");
    }
}

#[test]
fn times_are_seconds() {
    let body = r#"{"FunctionName":"f","StartingPosition":"AT_TIMESTAMP","StartingPositionTimestamp":1709640000.25}"#;
    let input = decoded::<ops::CreateEventSourceMapping>("POST /2015-03-31/event-source-mappings", body).unwrap();
    assert_eq!(input.starting_position_timestamp, Some(Timestamp(1_709_640_000_250)));
}

#[test]
fn a_body_may_be_absent_where_nothing_in_it_is_required() {
    assert!(decoded::<ops::PublishVersion>("POST /2015-03-31/functions/f/versions", "").is_ok());
    let error = decoded::<ops::CreateFunction>(FUNCTIONS, "").unwrap_err();
    assert_eq!(error.kind.code, "SerializationException");
}

#[test]
fn a_body_that_is_no_json_is_refused() {
    for body in
        ["{", "x", "{} {}", "{}x", "\u{feff}{}", r#"{"Timeout":01}"#, r#"{"Timeout":1e400}"#, r#"{"Handler":"\ud800"}"#]
    {
        assert_unreadable(body, "Could not parse request body into json: ");
    }
    assert_unreadable("[]", "Start of list found where not expected");
    let overlong = b"{\"Handler\":\"\xc0\xaf\"}";
    let matched = matched(CONFIGURATION).unwrap();
    let error: ApiError =
        decode::<ops::UpdateFunctionConfiguration>(&matched, &HeaderMap::new(), Bytes::from_static(overlong))
            .unwrap_err();
    assert_eq!(error.kind.code, "SerializationException");
}

#[test]
fn wrong_types_are_refused() {
    for (body, text) in [
        (r#"{"MemorySize":"abc"}"#, "STRING_VALUE can not be converted to an Integer"),
        (r#"{"MemorySize":true}"#, "TRUE_VALUE can not be converted to an Integer"),
        (r#"{"MemorySize":128.5}"#, "DECIMAL_VALUE can not be converted to an Integer"),
        (r#"{"MemorySize":9223372036854775808}"#, "NUMBER_VALUE can not be converted to an Integer"),
        (r#"{"MemorySize":[]}"#, "Start of list found where not expected"),
        (r#"{"Handler":1}"#, "NUMBER_VALUE can not be converted to a String"),
        (r#"{"Handler":{}}"#, "Start of structure or map found where not expected"),
        (r#"{"Handler":"a\u0000"}"#, "NUL"),
        (r#"{"Layers":"x"}"#, "Expected list or null"),
        (r#"{"Environment":[]}"#, "Start of list found where not expected"),
        (r#"{"Environment":"x"}"#, "Expected structure or map or null"),
        (r#"{"Environment":{"Variables":{"A1":1}}}"#, "NUMBER_VALUE can not be converted to a String"),
    ] {
        assert_unreadable(body, text);
        let exact = decoded::<ops::UpdateFunctionConfiguration>(CONFIGURATION, body).unwrap_err().message.unwrap();
        assert!(!exact.contains(" at line "), "{exact}");
    }
    let error =
        decoded::<ops::UpdateFunctionCode>("PUT /2015-03-31/functions/f/code", r#"{"ZipFile":"!"}"#).unwrap_err();
    assert_eq!(error.kind.code, "SerializationException");
}

#[test]
fn whole_numbers_are_taken_however_written() {
    let input = decoded::<ops::UpdateFunctionConfiguration>(CONFIGURATION, r#"{"MemorySize":2.56e2}"#).unwrap();
    assert_eq!(input.memory_size, Some(256));
    let error = decoded::<ops::UpdateFunctionConfiguration>(CONFIGURATION, r#"{"MemorySize":-0}"#).unwrap_err();
    assert!(error.message.unwrap().contains("Value '0' at 'memorySize'"));
}

#[test]
fn the_unknown_is_passed_over_down_to_a_depth() {
    let input = decoded::<ops::UpdateFunctionConfiguration>(
        CONFIGURATION,
        r#"{"FunctionName":"other","New":{"a":[1,true,null,"x",{"b":1.5}]},"Timeout":5}"#,
    )
    .unwrap();
    assert_eq!((input.function_name.as_str(), input.timeout), ("f", Some(5)), "the label names the function");
    let deep = format!(r#"{{"New":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_unreadable(&deep, "");
    let deep = format!(r#"{{"New":{}}}"#, r#"{"a":"#.repeat(100_000));
    assert_unreadable(&deep, "");
}

#[test]
fn of_a_key_given_twice_the_last_counts() {
    let input = decoded::<ops::UpdateFunctionConfiguration>(
        CONFIGURATION,
        r#"{"Timeout":5,"Timeout":6,"Environment":{"Variables":{"AA":"1","BB":"2","AA":"3"}}}"#,
    )
    .unwrap();
    assert_eq!(input.timeout, Some(6));
    let variables = input.environment.unwrap().variables.unwrap();
    assert_eq!((variables.len(), variables.get("AA").map(String::as_str)), (2, Some("3")));
}

#[test]
fn many_keys_are_kept_apart() {
    let entries: Vec<String> = (0..200_000).map(|n| format!(r#""K{n}":"v""#)).collect();
    let body = format!(r#"{{"Environment":{{"Variables":{{{}}}}}}}"#, entries.join(","));
    let input = decoded::<ops::UpdateFunctionConfiguration>(CONFIGURATION, &body).unwrap();
    assert_eq!(input.environment.unwrap().variables.unwrap().len(), 200_000);
}

#[test]
fn an_operation_is_not_decoded_as_another() {
    let error = decode::<ops::GetFunction>(&matched(FUNCTIONS).unwrap(), &HeaderMap::new(), Bytes::new()).unwrap_err();
    assert_eq!((error.kind.code, error.kind.status), ("ServiceException", 500));
}
