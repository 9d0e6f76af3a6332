use std::sync::Arc;
use std::time::Duration;

use hearth_client::{Client, Endpoint};
use hearth_identity::{Credentials, Secret};

use super::*;

fn stream(kind: Kind, arn: &str) -> Stream {
    let credentials = Credentials { access_key_id: "k".to_owned(), secret: Secret::new("s"), session_token: None };
    let endpoint = Endpoint::parse("http://127.0.0.1:1").unwrap();
    let api =
        Api { client: Client::new(), endpoint, credentials, region: Arc::from("us-east-1"), now: || Duration::ZERO };
    Stream { kind, api, arn: arn.to_owned(), role: "arn:aws:iam::000000000000:role/r".to_owned() }
}

fn of_kinesis() -> Value {
    json!({
        "SequenceNumber": "495", "PartitionKey": "test", "Data": "eyJrIjoidiJ9", "ApproximateArrivalTimestamp": 1_545_084_650.987
    })
}

#[test]
fn kinesis_records_look_as_recorded() {
    let stream = stream(Kind::Kinesis, "arn:aws:kinesis:us-east-1:000000000000:stream/s");
    let fetched = kinesis::record(&stream, "shardId-0", &of_kinesis(), &Filters::new(&[]).unwrap()).unwrap();
    assert_eq!((&*fetched.key, fetched.arrival_ms), ("test", 1_545_084_650_987));
    assert_eq!(
        fetched.event.unwrap(),
        r#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"test","sequenceNumber":"495","data":"eyJrIjoidiJ9","approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-0:495","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::000000000000:role/r","awsRegion":"us-east-1","eventSourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s"}"#
    );
}

#[test]
fn a_consumer_s_stream_is_the_one_that_it_consumes() {
    assert_eq!(kinesis::name_of("arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1"), "s");
    assert_eq!(kinesis::name_of("arn:aws:kinesis:us-east-1:000000000000:stream/s"), "s");
}

#[test]
fn patterns_see_kinesis_data_and_what_is_around_them() {
    let stream = stream(Kind::Kinesis, "arn:aws:kinesis:us-east-1:000000000000:stream/s");
    let passes = |pattern: &str, base64: &str| {
        let mut record = of_kinesis();
        record["Data"] = json!(base64);
        let filters = Filters::new(&[pattern.to_owned()]).unwrap();
        kinesis::record(&stream, "shardId-0", &record, &filters).unwrap().event.is_some()
    };
    assert!(passes(r#"{"data":{"k":["v"]}}"#, "eyJrIjoidiJ9") && !passes(r#"{"data":{"k":["w"]}}"#, "eyJrIjoidiJ9"));
    assert!(passes(r#"{"partitionKey":["test"]}"#, "/w==") && !passes(r#"{"data":{"k":["v"]}}"#, "/w=="));
    assert!(passes(r#"{"data":["hello"]}"#, "aGVsbG8="));
}

fn of_dynamodb() -> Value {
    json!({
        "eventID": "e", "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_740_193_412, "Keys": {"k": {"S": "a"}}, "NewImage": {"k": {"S": "a"}},
            "SequenceNumber": "1", "SizeBytes": 4, "StreamViewType": "NEW_IMAGE"
        }
    })
}

const TABLE: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2025";

#[test]
fn dynamodb_records_look_as_recorded() {
    let filters = Filters::new(&[r#"{"dynamodb":{"Keys":{"k":{"S":["a"]}}}}"#.to_owned()]).unwrap();
    let stream = stream(Kind::DynamoDb, TABLE);
    let fetched = dynamodb::record(&stream, &of_dynamodb(), Start::TrimHorizon, &filters).unwrap();
    assert_eq!(
        fetched.event.unwrap(),
        r#"{"eventID":"e","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":1740193412,"Keys":{"k":{"S":"a"}},"NewImage":{"k":{"S":"a"}},"SequenceNumber":"1","SizeBytes":4,"StreamViewType":"NEW_IMAGE"},"eventSourceARN":"arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2025"}"#
    );
}

#[test]
fn what_was_in_a_table_s_stream_before_is_left_out() {
    let (filters, stream) = (Filters::new(&[]).unwrap(), stream(Kind::DynamoDb, TABLE));
    let is_there =
        |time_ms| dynamodb::record(&stream, &of_dynamodb(), Start::After(time_ms), &filters).unwrap().event.is_some();
    assert!(is_there(1_740_193_411_999) && is_there(1_740_193_412_999), "its time is known to the second");
    assert!(!is_there(1_740_193_413_000));
}

#[test]
fn times_come_as_numbers_and_as_text() {
    assert_eq!(millis(&json!(1.5)), Some(1500));
    assert_eq!(millis(&json!(2)), Some(2000));
    assert_eq!(millis(&json!("1970-01-01T00:00:03Z")), Some(3000));
    assert_eq!(millis(&json!("soon")), None);
}
