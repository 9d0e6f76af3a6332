//! Event source mappings: kept, shown, found again; what contradicts itself is refused.

use hearth_api::ops;
use hearth_control::event_sources::{EventSources, Poller};
use hearth_store::{BoxFuture, Precondition, Write, typed};
use hearth_types::keys;
use hearth_types::mapping::{Mapping, Phase, Source};
use serde_json::json;

use super::*;

const INVALID: &str = "InvalidParameterValueException";
const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:queue";
const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-01-01T00:00:00.000";
const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/s";

/// There is any source, but no queue of this name.
pub(super) struct Queues;

const NO_QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:none";

impl EventSources for Queues {
    fn check<'a>(&'a self, source: &'a Source, poller: Poller<'a>) -> BoxFuture<'a, Result<(), String>> {
        let asked = format!("{} as {} for {} s", poller.function, poller.role, poller.timeout_s);
        Box::pin(async move { if source.arn() == Some(NO_QUEUE) { Err(asked) } else { Ok(()) } })
    }
}

impl House {
    async fn map(&self, input: api::CreateEventSourceMappingRequest) -> Result<Value, ApiError> {
        let output = self.control.create_event_source_mapping(input).await?;
        Ok(json::<ops::CreateEventSourceMapping>(&output))
    }

    async fn mapping(&self, uuid: &Value) -> Result<Value, ApiError> {
        let input = api::GetEventSourceMappingRequest { uuid: text(uuid) };
        Ok(json::<ops::GetEventSourceMapping>(&self.control.get_event_source_mapping(input).await?))
    }

    /// Brings a mapping to where whoever polls for it would.
    async fn settle(&self, uuid: &Value) {
        let key = keys::mapping(&text(uuid));
        let mut found = typed::read::<Mapping>(&*self.store, &key).await.unwrap().unwrap();
        let write = if found.record.phase == Phase::Deleting {
            self.store.commit(vec![Write::delete(found.record.claim(), Precondition::Any)]).await.unwrap();
            Write::delete(key, found.unchanged())
        } else {
            found.record.phase = if found.record.wanted { Phase::Enabled } else { Phase::Disabled };
            typed::put(key, &found.record, found.unchanged()).unwrap()
        };
        self.store.commit(vec![write]).await.unwrap();
    }

    async fn remap(&self, input: api::UpdateEventSourceMappingRequest) -> Result<Value, ApiError> {
        let output = self.control.update_event_source_mapping(input).await?;
        Ok(json::<ops::UpdateEventSourceMapping>(&output))
    }

    async fn unmap(&self, uuid: &Value) -> Result<Value, ApiError> {
        let input = api::DeleteEventSourceMappingRequest { uuid: text(uuid) };
        Ok(json::<ops::DeleteEventSourceMapping>(&self.control.delete_event_source_mapping(input).await?))
    }

    /// All pages of a list, with one mapping each.
    async fn mappings(&self, source: Option<&str>, function: Option<&str>) -> Vec<Value> {
        let (mut uuids, mut marker) = (Vec::new(), None);
        loop {
            let input = api::ListEventSourceMappingsRequest {
                event_source_arn: source.map(str::to_owned),
                function_name: function.map(str::to_owned),
                marker,
                max_items: Some(1),
            };
            let found = self.control.list_event_source_mappings(input).await.unwrap();
            uuids.extend(found.event_source_mappings.unwrap().into_iter().map(|one| Value::from(one.uuid.unwrap())));
            marker = found.next_marker;
            if marker.is_none() {
                return uuids;
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn from(source: &str, function: &str) -> api::CreateEventSourceMappingRequest {
    api::CreateEventSourceMappingRequest {
        event_source_arn: Some(source.to_owned()),
        function_name: function.to_owned(),
        starting_position: (source != QUEUE).then_some(api::EventSourcePosition::Latest),
        ..Default::default()
    }
}

fn change(uuid: &Value) -> api::UpdateEventSourceMappingRequest {
    api::UpdateEventSourceMappingRequest { uuid: text(uuid), ..Default::default() }
}

/// Of brokers of one's own, with what must be said alone.
fn kafka(function: &str) -> api::CreateEventSourceMappingRequest {
    let brokers = vec!["one:9092".to_owned(), "two:9092".to_owned()];
    let endpoints = [("KAFKA_BOOTSTRAP_SERVERS".to_owned(), brokers)].into_iter().collect();
    api::CreateEventSourceMappingRequest {
        function_name: function.into(),
        self_managed_event_source: Some(api::SelfManagedEventSource { endpoints: Some(endpoints) }),
        topics: Some(vec!["topic".into()]),
        ..Default::default()
    }
}

fn filter(pattern: &str) -> Option<api::FilterCriteria> {
    let filters = vec![api::Filter { pattern: Some(pattern.to_owned()) }];
    Some(api::FilterCriteria { filters: Some(filters) })
}

fn assert_refused(answer: Result<Value, ApiError>, code: &str, message: &str) {
    let error = answer.unwrap_err();
    assert_eq!(error.kind.code, code, "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

#[tokio::test]
async fn a_queue_is_shown_with_what_queues_have() {
    let house = House::new();
    house.created("f").await;
    let made = house.map(from(QUEUE, "f")).await.unwrap();
    let expected = json!({
        "UUID": made["UUID"],
        "EventSourceMappingArn": format!("arn:aws:lambda:us-east-1:123456789012:event-source-mapping:{}", text(&made["UUID"])),
        "EventSourceArn": QUEUE,
        "FunctionArn": format!("{ARN}:f"),
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "LastModified": 1_709_640_000,
        "State": "Creating",
        "StateTransitionReason": "USER_INITIATED",
    });
    assert_eq!(made, expected);
    house.settle(&made["UUID"]).await;
    let found = house.mapping(&made["UUID"]).await.unwrap();
    assert_eq!((&found["State"], &found["StateTransitionReason"]), (&json!("Enabled"), &json!("USER_INITIATED")));
    assert_eq!(found["LastProcessingResult"], Value::Null);
}

#[tokio::test]
async fn a_stream_is_shown_with_what_streams_have() {
    let house = House::new();
    house.created("f").await;
    let made = house
        .map(api::CreateEventSourceMappingRequest {
            filter_criteria: filter(r#"{"eventName":["INSERT"]}"#),
            enabled: Some(false),
            ..from(TABLE, "function:f:$LATEST")
        })
        .await
        .unwrap();
    let shown = json!({
        "FunctionArn": format!("{ARN}:f:$LATEST"), "BatchSize": 100, "ParallelizationFactor": 1,
        "BisectBatchOnFunctionError": false, "TumblingWindowInSeconds": 0, "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": -1, "DestinationConfig": {"OnFailure": {}}, "StartingPosition": "LATEST",
        "LastProcessingResult": "No records processed", "State": "Disabled", "StateTransitionReason": "User action",
        "FilterCriteria": {"Filters": [{"Pattern": r#"{"eventName":["INSERT"]}"#}]},
    });
    for (member, value) in shown.as_object().unwrap() {
        assert_eq!(made[member], *value, "{member}");
    }
}

#[tokio::test]
async fn contradictions_are_refused() {
    let house = House::new();
    house.created("f").await;
    let refused = [
        (
            api::CreateEventSourceMappingRequest { event_source_arn: None, ..from(QUEUE, "f") },
            "Unrecognized event source.",
        ),
        (from(QUEUE, "missing"), "Function does not exist"),
        (from(QUEUE, "f:7"), "Function does not exist"),
        (from("arn:aws:s3:::bucket", "f"), "Unrecognized event source."),
        (
            api::CreateEventSourceMappingRequest { starting_position: None, ..from(NO_QUEUE, "f") },
            "f as arn:aws:iam::123456789012:role/r for 3 s",
        ),
        (
            api::CreateEventSourceMappingRequest { starting_position: None, ..from(STREAM, "f") },
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
        ),
        (
            api::CreateEventSourceMappingRequest {
                starting_position: Some(api::EventSourcePosition::AtTimestamp),
                ..from(TABLE, "f")
            },
            "Unsupported starting position for arn type: arn:aws:dynamodb:",
        ),
        (
            api::CreateEventSourceMappingRequest {
                starting_position: Some(api::EventSourcePosition::AtTimestamp),
                ..from(STREAM, "f")
            },
            "Value null at 'startingPositionTimestamp'",
        ),
        (
            api::CreateEventSourceMappingRequest { batch_size: Some(11), ..from(QUEUE, "f") },
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ),
        (
            api::CreateEventSourceMappingRequest { filter_criteria: filter("word"), ..from(QUEUE, "f") },
            "Invalid filter pattern definition.",
        ),
        (
            api::CreateEventSourceMappingRequest { parallelization_factor: Some(2), ..from(QUEUE, "f") },
            "Unsupported ParallelizationFactor parameter for given event source mapping type.",
        ),
        (
            api::CreateEventSourceMappingRequest {
                destination_config: Some(api::DestinationConfig {
                    on_success: Some(api::OnSuccess { destination: Some(QUEUE.into()) }),
                    ..Default::default()
                }),
                ..from(TABLE, "f")
            },
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
    ];
    for (input, message) in refused {
        assert_refused(house.map(input).await, INVALID, message);
    }
    assert_eq!(house.mappings(None, None).await, Vec::<Value>::new());
    let unpolled =
        api::CreateEventSourceMappingRequest { kms_key_arn: Some("arn:aws:kms:x".into()), ..from(QUEUE, "f") };
    assert_refused(house.map(unpolled).await, "NotImplementedException", "KMSKeyArn");
}

#[tokio::test]
async fn a_source_and_a_function_have_one_mapping() {
    let house = House::new();
    house.created("f").await;
    house.created("g").await;
    let first = house.map(from(QUEUE, "f")).await.unwrap();
    let taken = format!(
        "An event source mapping with SQS arn (\" {QUEUE} \") and function (\" f \") already exists. Please update or \
         delete the existing mapping with UUID {}",
        text(&first["UUID"])
    );
    assert_refused(house.map(from(QUEUE, "f")).await, "ResourceConflictException", &taken);
    let brokers = house.map(kafka("f")).await.unwrap();
    assert_eq!(brokers["StartingPosition"], "TRIM_HORIZON", "a topic is read from its beginning where nothing is said");
    let twice = format!(
        "The event source arn (\" one:9092,two:9092 \") and function (\" f \") provided mapping already exists. Please \
         update or delete the existing mapping with UUID {}",
        text(&brokers["UUID"])
    );
    assert_refused(house.map(kafka("f")).await, "ResourceConflictException", &twice);
    let second = house.map(from(QUEUE, "g")).await.unwrap();
    let to_f = || api::UpdateEventSourceMappingRequest { function_name: Some("f".into()), ..change(&second["UUID"]) };
    assert_refused(house.remap(to_f()).await, "ResourceInUseException", "because it is in use");
    for mapping in [&first, &second] {
        house.settle(&mapping["UUID"]).await;
    }
    assert_refused(house.remap(to_f()).await, "ResourceConflictException", &taken);
    house.unmap(&first["UUID"]).await.unwrap();
    assert_refused(house.unmap(&first["UUID"]).await, "ResourceInUseException", "because it is in use");
    assert_refused(house.remap(to_f()).await, "ResourceConflictException", &taken);
    house.settle(&first["UUID"]).await;
    assert_eq!(house.remap(to_f()).await.unwrap()["FunctionArn"], format!("{ARN}:f"));
    house.map(from(QUEUE, "g")).await.expect("its old place is free");
}

#[tokio::test]
async fn updates_change_what_they_name() {
    let house = House::new();
    house.created("f").await;
    let made = house
        .map(api::CreateEventSourceMappingRequest {
            enabled: Some(false),
            filter_criteria: filter(r#"{"body":["x"]}"#),
            ..from(QUEUE, "f")
        })
        .await
        .unwrap();
    let uuid = &made["UUID"];
    let enabled = api::UpdateEventSourceMappingRequest { enabled: Some(true), batch_size: Some(5), ..change(uuid) };
    assert_eq!(house.remap(enabled).await.unwrap()["State"], "Enabling");
    house.settle(uuid).await;
    let found = house.mapping(uuid).await.unwrap();
    assert_eq!((&found["BatchSize"], found["FilterCriteria"].is_object()), (&json!(5), true));
    let cleared = api::UpdateEventSourceMappingRequest { filter_criteria: Some(Default::default()), ..change(uuid) };
    let updated = house.remap(cleared).await.unwrap();
    assert_eq!((&updated["FilterCriteria"], &updated["State"]), (&Value::Null, &json!("Updating")));
    house.settle(uuid).await;
    let large = api::UpdateEventSourceMappingRequest { batch_size: Some(100), ..change(uuid) };
    assert_refused(house.remap(large).await, INVALID, "Maximum batch window in seconds must be greater than 0");
}

#[tokio::test]
async fn lists_are_by_source_and_function_and_survive_the_function() {
    let house = House::new();
    house.created("f").await;
    house.created("g").await;
    let mut all = Vec::new();
    for (source, function) in [(QUEUE, "f"), (STREAM, "f"), (QUEUE, "g")] {
        all.push(house.map(from(source, function)).await.unwrap()["UUID"].clone());
    }
    let mut listed = house.mappings(None, None).await;
    listed.sort_by_key(text);
    let mut expected = all.clone();
    expected.sort_by_key(text);
    assert_eq!(listed, expected);
    assert_eq!(house.mappings(Some(STREAM), None).await, [all[1].clone()]);
    assert_eq!(house.mappings(Some(QUEUE), Some("g")).await, [all[2].clone()]);
    house.delete("g", None).await.unwrap();
    assert_eq!(house.mapping(&all[2]).await.unwrap()["UUID"], all[2]);
    house.settle(&all[2]).await;
    assert_eq!(house.unmap(&all[2]).await.unwrap()["State"], "Deleting");
    house.settle(&all[2]).await;
    for lost in [&all[2], &json!("none"), &json!("../function/f")] {
        assert_refused(
            house.mapping(lost).await,
            "ResourceNotFoundException",
            "The resource you requested does not exist.",
        );
    }
}
