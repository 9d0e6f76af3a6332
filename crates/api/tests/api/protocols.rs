//! Services beside Lambda: whom a request addresses, forms and JSON in, XML and JSON out.

use bytes::Bytes;
use hearth_api::{
    Addressed, ApiError, Call, ErrorFormat, Form, Protocol, ServiceOperation, Style, Timestamp, encode_json,
    encode_xml, iam, logs, ssm, sts,
};
use http::Request;
use http::request::Parts;

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn addressed(method: &str, target: &str, headers: &[(&str, &str)]) -> (Style, Option<String>) {
    let head = head(method, target, headers);
    let found = Addressed::of(&head);
    (found.style, found.service.map(String::from))
}

fn signed_for(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKID/20300101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
    )
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");

#[test]
fn a_target_names_the_service_before_the_scope_does() {
    let json = Style::Target(Protocol::Json11);
    let target = ("x-amz-target", "AmazonSSM.GetParameter");
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(addressed("POST", "/", &[target]), (json, some("ssm")));
    let scope = signed_for("sqs");
    assert_eq!(addressed("POST", "/", &[target, ("authorization", &scope)]), (json, some("ssm")));
    let (target, json10) = (("x-amz-target", "AmazonSQS.CreateQueue"), ("content-type", "application/x-amz-json-1.0"));
    assert_eq!(addressed("POST", "/", &[target, json10]), (Style::Target(Protocol::Json10), some("sqs")));
    let unheard = ("x-amz-target", "Unheard_2030.Of");
    assert_eq!(addressed("POST", "/", &[unheard]), (json, some("Unheard_2030")));
    assert_eq!(addressed("POST", "/", &[unheard, ("authorization", &scope)]), (json, some("sqs")));
}

#[test]
fn the_scope_names_the_service_in_header_and_query() {
    let some = |name: &str| Some(name.to_owned());
    for service in ["s3", "lambda", "apigateway"] {
        let scope = signed_for(service);
        assert_eq!(addressed("GET", "/b/k", &[("authorization", &scope)]), (Style::Path, some(service)));
    }
    let presigned =
        "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20300101%2Fus-east-1%2Fs3%2Faws4_request";
    assert_eq!(addressed("GET", presigned, &[]), (Style::Path, some("s3")));
    // A bucket may be called as the versions of Lambda's API are.
    let scope = signed_for("s3");
    assert_eq!(addressed("GET", "/2015-03-31/k", &[("authorization", &scope)]), (Style::Path, some("s3")));
    for broken in
        ["AWS AKID:signature", "AWS4-HMAC-SHA256 Credential=AKID", "AWS4-HMAC-SHA256 Credential=/aws4_request,"]
    {
        assert_eq!(addressed("GET", "/b", &[("authorization", broken)]), (Style::Path, None), "{broken}");
    }
}

#[test]
fn forms_and_paths_say_the_rest() {
    assert_eq!(addressed("POST", "/", &[FORM]), (Style::Form, None));
    assert_eq!(addressed("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", &[]), (Style::Form, None));
    assert_eq!(Addressed::service_of_version("2010-05-08"), Some("iam"));
    assert_eq!(Addressed::service_of_version("2011-06-15"), Some("sts"));
    assert_eq!(Addressed::service_of_version("2010-03-31"), Some("sns"));
    assert_eq!(Addressed::service_of_version("2015-03-31"), None);
    let lambda = (Style::Path, Some("lambda".to_owned()));
    assert_eq!(addressed("GET", "/2015-03-31/functions/", &[]), lambda);
    // What curl sends by itself is no form here.
    assert_eq!(addressed("POST", "/2015-03-31/functions/f/invocations", &[FORM]), lambda);
    assert_eq!(addressed("GET", "/bucket/key", &[]), (Style::Path, None));
    let cbor = [("smithy-protocol", "rpc-v2-cbor")];
    assert_eq!(addressed("POST", "/service/X/operation/Y", &cbor), (Style::Cbor, None));
}

fn form<O: ServiceOperation>(text: &str) -> Result<Call<O>, ApiError> {
    Call::from_form(&Form::parse(text.as_bytes())?).map_err(|error| error.of(O::service()))
}

fn iam(text: &str) -> Result<Call<iam::Operation>, ApiError> {
    form(&format!("{text}&Version=2010-05-08"))
}

#[test]
fn forms_become_typed_inputs() {
    let call = iam("Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=%7B%7D&MaxSessionDuration=3600\
         &Tags.member.2.Key=b&Tags.member.2.Value=two&Tags.member.10.Key=c&Tags.member.10.Value=&Tags.member.1.Key=a\
         &Tags.member.1.Value=o+n%2Be&Unknown.member.1=x");
    let input = call.unwrap().input::<iam::ops::CreateRole>().unwrap();
    assert_eq!((input.role_name.as_str(), input.max_session_duration), ("r", Some(3600)));
    let tags: Vec<_> = input.tags.unwrap().into_iter().map(|tag| (tag.key, tag.value)).collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(tags, [pair("a", "o n+e"), pair("b", "two"), pair("c", "")]);
    let empty = iam("Action=UntagRole&RoleName=r&TagKeys=").unwrap().input::<iam::ops::UntagRole>().unwrap();
    assert!(empty.tag_keys.is_empty());
}

#[test]
fn broken_forms_are_refused() {
    let refused = |text: &str| {
        let error = iam(text).unwrap_err();
        (error.kind.code, error.message.unwrap())
    };
    assert_eq!(
        refused("Action=GetRole&RoleName=a%20b"),
        (
            "ValidationError",
            "1 validation error detected: Value 'a b' at 'roleName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [\\w+=,.@-]+"
                .to_owned()
        )
    );
    let (code, text) = refused("Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=x&MaxSessionDuration=soon");
    assert_eq!(code, "ValidationError");
    assert!(text.contains("Value 'soon' at 'maxSessionDuration'"), "{text}");
    assert_eq!(refused("Action=CreateRole").1.matches("Member must not be null").count(), 2);
    for text in
        ["Action=TagRole&RoleName=r&Tags.member.x.Key=a", "Action=TagRole&RoleName=r&Tags.1.Key=a", "Action=%ff"]
    {
        assert_eq!(refused(text).0, "SerializationException", "{text}");
    }
    assert_eq!(refused(&format!("Action=GetRole&{}=x", "a.".repeat(1000))).0, "SerializationException");
    assert_eq!(
        refused("Action=FlyToTheMoon"),
        ("NotImplementedException", "Hearth does not implement FlyToTheMoon of IAM.".to_owned())
    );
    assert_eq!(refused("RoleName=r").0, "UnknownOperationException");
    assert_eq!(
        form::<iam::Operation>("Action=GetRole&Version=2001-01-01").unwrap_err().kind.code,
        "UnknownOperationException"
    );
}

#[test]
fn outputs_of_the_query_protocol_are_xml() {
    let role = iam::types::Role {
        path: "/".to_owned(),
        role_name: "a<b".to_owned(),
        role_id: "AROA".to_owned(),
        arn: "arn".to_owned(),
        create_date: Timestamp(1_700_000_000_000),
        assume_role_policy_document: Some("%7B%7D".to_owned()),
        description: None,
        max_session_duration: Some(3600),
        permissions_boundary: None,
        tags: Some(vec![iam::types::Tag { key: "k".to_owned(), value: "\r&\u{1}".to_owned() }]),
        role_last_used: None,
    };
    let answer = encode_xml::<iam::ops::GetRole>(&iam::types::GetRoleResponse { role }, "id-1");
    let expected = "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetRoleResult><Role><Path>/</Path>\
         <RoleName>a&lt;b</RoleName><RoleId>AROA</RoleId><Arn>arn</Arn><CreateDate>2023-11-14T22:13:20Z</CreateDate>\
         <AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument><MaxSessionDuration>3600</MaxSessionDuration>\
         <Tags><member><Key>k</Key><Value>&#xD;&amp;\u{fffd}</Value></member></Tags></Role></GetRoleResult>\
         <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></GetRoleResponse>";
    assert_eq!(answer.body(), expected.as_bytes());
    assert_eq!(answer.headers()["content-type"], "text/xml");
    let nothing = encode_xml::<iam::ops::DeleteRole>(&(), "id-2");
    assert!(
        nothing
            .body()
            .starts_with(b"<DeleteRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ResponseMetadata>")
    );
}

#[test]
fn json_calls_are_read_and_written() {
    let call = Call::<ssm::Operation>::from_json("GetParameter", Bytes::from_static(b"{\"Name\":\"/a/b\",\"X\":1}"));
    assert_eq!(call.unwrap().input::<ssm::ops::GetParameter>().unwrap().name, "/a/b");
    let of = |body: &'static [u8]| {
        let call = Call::<logs::Operation>::from_json("CreateLogGroup", Bytes::from_static(body));
        call.unwrap_err().of(logs::Operation::service())
    };
    assert_eq!(of(b"{\"logGroupName\":\"a b\"}").kind.code, "InvalidParameterException");
    assert_eq!(of(b"{").kind.code, "SerializationException");
    assert_eq!(of(b"").kind.code, "SerializationException");
    let output = logs::types::PutLogEventsResponse {
        next_sequence_token: Some("t".to_owned()),
        rejected_log_events_info: None,
        rejected_entity_info: None,
    };
    let answer = encode_json::<logs::ops::PutLogEvents>(&output);
    assert_eq!(answer.body().as_ref(), b"{\"nextSequenceToken\":\"t\"}");
    assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.1");
    let other =
        Call::<sts::Operation>::from_form(&Form::parse(b"Action=GetCallerIdentity&Version=2011-06-15").unwrap());
    assert!(other.unwrap().input::<sts::ops::AssumeRole>().is_err());
}

#[test]
fn each_protocol_has_its_errors() {
    let missing = ApiError::new(&iam::errors::NO_SUCH_ENTITY, "Not <here>");
    let answer = missing.response_in(ErrorFormat::of_service(iam::Operation::service()), "id");
    assert_eq!(answer.status(), 404);
    assert_eq!(
        answer.body().as_ref(),
        b"<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
          <Code>NoSuchEntity</Code><Message>Not &lt;here&gt;</Message></Error><RequestId>id</RequestId></ErrorResponse>"
    );
    let missing = ApiError::new(&logs::errors::RESOURCE_NOT_FOUND, "gone");
    let answer = missing.response_in(ErrorFormat::of_service(logs::Operation::service()), "id");
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.body().as_ref(), b"{\"__type\":\"ResourceNotFoundException\",\"message\":\"gone\"}");
    let inside = ApiError::service("broken").response_in(ErrorFormat::of_service(sts::Operation::service()), "id");
    assert_eq!(inside.status(), 500);
    let text = String::from_utf8(inside.into_body().to_vec()).unwrap();
    assert!(text.contains("<Type>Receiver</Type><Code>InternalFailure</Code>"), "{text}");
    let cbor = ApiError::validation("no").response_in(ErrorFormat::of_style(Style::Cbor, "monitoring"), "id");
    assert_eq!(cbor.headers()["smithy-protocol"], "rpc-v2-cbor");
    assert!(cbor.body().starts_with(b"\xa2\x7a\x00\x00\x00\x06__type\x7a\x00\x00\x00\x13ValidationException"));
    let s3 = ApiError::service("x").response_in(ErrorFormat::of_style(Style::Path, "s3"), "id");
    let begins = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InternalFailure</Code>";
    assert!(s3.body().starts_with(begins));
}
