//! Requests that break constraints of the model, and the exact text of the answer.

use bytes::Bytes;
use hearth_api::{ApiError, check};
use http::HeaderMap;
use serde_json::Value;

use crate::{headers, matched};

fn refused(request: &str, headers: &HeaderMap, body: &str) -> ApiError {
    let matched = matched(request).unwrap_or_else(|error| panic!("{request}: {error}"));
    check(&matched, headers, Bytes::copy_from_slice(body.as_bytes())).expect_err(request)
}

#[track_caller]
fn assert_refused(request: &str, body: &str, violations: &[&str]) {
    let error = refused(request, &HeaderMap::new(), body);
    let plural = if violations.len() == 1 { "" } else { "s" };
    let wanted = format!("{} validation error{plural} detected: {}", violations.len(), violations.join("; "));
    assert_eq!((error.kind.code, error.kind.status), ("ValidationException", 400), "{request}: {error}");
    assert_eq!(error.message.as_deref(), Some(wanted.as_str()), "{request}");
}

const FUNCTIONS: &str = "POST /2015-03-31/functions";

fn create(members: &str) -> String {
    format!(r#"{{"FunctionName":"f","Role":"arn:aws:iam::123456789012:role/r","Code":{{"ZipFile":"UEs="}},{members}}}"#)
}

/// The texts of `observed.json` are what the real service answered to such requests, with our names filled in.
#[test]
fn texts_are_those_of_the_service() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("observed.json")).unwrap();
    assert!(cases.len() > 60);
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let body = case.get("body").map(Value::to_string).unwrap_or_default();
        let error = refused(text("request"), &HeaderMap::new(), &body);
        assert_eq!(error.kind.code, "ValidationException", "{}: {error}", text("what"));
        assert_eq!(error.message.as_deref(), Some(text("message")), "{}", text("what"));
    }
}

#[test]
fn what_is_required_must_be_there() {
    let null = |member: &str| format!("Value null at '{member}' failed to satisfy constraint: Member must not be null");
    let all = [null("functionName"), null("role"), null("code")];
    assert_refused(FUNCTIONS, r#"{"Role":null}"#, &all.each_ref().map(String::as_str));
    assert_refused("POST /2015-03-31/functions/f/policy", r#"{"StatementId":"s","Action":"*"}"#, &[&null("principal")]);
    assert_refused("DELETE /2019-09-30/functions/f/provisioned-concurrency", "", &[&null("qualifier")]);
}

#[test]
fn numbers_must_be_in_range() {
    assert_refused(
        FUNCTIONS,
        &create(r#""Timeout":0,"MemorySize":127,"EphemeralStorage":{"Size":10241}"#),
        &[
            "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1",
            "Value '127' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to \
             128",
            "Value '10241' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have value less than \
             or equal to 10240",
        ],
    );
    assert_refused(
        FUNCTIONS,
        &create(r#""Timeout":901"#),
        &["Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900"],
    );
    assert_refused(
        "GET /2015-03-31/functions?MaxItems=0",
        "",
        &["Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1"],
    );
    assert_refused(
        "GET /2015-03-31/functions?MaxItems=x",
        "",
        &["Value 'x' at 'maxItems' failed to satisfy constraint: Member must be a number"],
    );
    assert_refused(
        "GET /2018-10-31/layers/l/versions/one",
        "",
        &["Value 'one' at 'versionNumber' failed to satisfy constraint: Member must be a number"],
    );
}

#[test]
fn texts_must_fit_length_pattern_and_set() {
    let long = "d".repeat(257);
    assert_refused(
        FUNCTIONS,
        &create(&format!(r#""Description":"{long}","Handler":"a b","PackageType":"zip""#)),
        &[
            "Value 'a b' at 'handler' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             [^\\s]+",
            &format!(
                "Value '{long}' at 'description' failed to satisfy constraint: Member must have length less than or \
                 equal to 256"
            ),
            "Value 'zip' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: \
             [Zip, Image]",
        ],
    );
    assert_refused(
        "POST /2015-03-31/functions/f/aliases",
        r#"{"Name":"","FunctionVersion":"1"}"#,
        &[
            "Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1",
            "Value '' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: \
             (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
        ],
    );
}

#[test]
fn length_is_counted_in_utf16_units() {
    let fits = create(&format!(r#""Description":"{}""#, "\u{1f600}".repeat(128)));
    assert!(check(&matched(FUNCTIONS).unwrap(), &HeaderMap::new(), fits.into()).is_ok());
    let error =
        refused(FUNCTIONS, &HeaderMap::new(), &create(&format!(r#""Description":"{}""#, "\u{1f600}".repeat(129))));
    assert!(error.message.unwrap().ends_with("less than or equal to 256"));
}

#[test]
fn elements_are_refused_together() {
    assert_refused(
        FUNCTIONS,
        &create(r#""Architectures":["x86"],"Layers":[null]"#),
        &[
            "Value '[null]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: [Member must \
             have length less than or equal to 2048, Member must have length greater than or equal to 1, Member must \
             satisfy regular expression pattern: \
             (arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:\\d{12}:layer:\
             [a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+), Member must not be null]",
            "Value '[x86]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member \
             must satisfy enum value set: [x86_64, arm64], Member must not be null]",
        ],
    );
    assert_refused(
        FUNCTIONS,
        &create(r#""Architectures":["arm64","x86_64"]"#),
        &["Value '[arm64, x86_64]' at 'architectures' failed to satisfy constraint: Member must have length less \
           than or equal to 1"],
    );
}

#[test]
fn structures_in_lists_are_named_by_their_place() {
    assert_refused(
        FUNCTIONS,
        &create(r#""FileSystemConfigs":[{"Arn":"","LocalMountPath":"/tmp"}]"#),
        &[
            "Value '' at 'fileSystemConfigs.1.member.arn' failed to satisfy constraint: Member must satisfy regular \
             expression pattern: arn:aws[a-zA-Z-]*:elasticfilesystem:(eusc-)?[a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-\\d{1}:\
             \\d{12}:access-point/fsap-[a-f0-9]{17}$|^arn:aws[-a-z]*:s3files:[0-9a-z-:]+:file-system/fs-[0-9a-f]{17,40}\
             /access-point/fsap-[0-9a-f]{17,40}",
            "Value '/tmp' at 'fileSystemConfigs.1.member.localMountPath' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: /mnt/[a-zA-Z0-9-_.]+",
        ],
    );
}

#[test]
fn secret_values_do_not_show() {
    assert_refused(
        FUNCTIONS,
        &create(r#""Environment":{"Variables":{"1A":"secret"}}"#),
        &["Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member \
           must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]"],
    );
}

#[test]
fn headers_are_checked_as_well() {
    let given = headers(&[("x-amz-invocation-type", "event"), ("X-Amz-Log-Type", "tail")]);
    let error = refused("POST /2015-03-31/functions/f/invocations", &given, "");
    assert_eq!(
        error.message.as_deref(),
        Some(
            "2 validation errors detected: Value 'event' at 'invocationType' failed to satisfy constraint: Member must \
             satisfy enum value set: [Event, RequestResponse, DryRun]; Value 'tail' at 'logType' failed to satisfy \
             constraint: Member must satisfy enum value set: [None, Tail]"
        )
    );
}

#[test]
fn a_message_is_bounded() {
    let huge = "!".repeat(1_000_000);
    let error = refused(FUNCTIONS, &HeaderMap::new(), &create(&format!(r#""Role":"{huge}""#)));
    assert!(error.message.unwrap().len() < 10_000);
    let configs = vec![r#"{"Arn":"","LocalMountPath":""}"#; 10_000].join(",");
    let error = refused(FUNCTIONS, &HeaderMap::new(), &create(&format!(r#""FileSystemConfigs":[{configs}]"#)));
    let message = error.message.unwrap();
    assert!(message.starts_with("20001 validation errors detected: "), "{}", &message[..60]);
    assert!(message.len() < 100_000);
}
