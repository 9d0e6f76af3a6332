//! Tags of functions and mappings.

use std::collections::BTreeMap;

use super::*;

const INVALID: &str = "InvalidParameterValueException";
const LIMIT: &str = "Number of tags exceeds resource tag limit.";

impl House {
    async fn tag(&self, arn: &str, tags: &[(&str, &str)]) -> Result<(), ApiError> {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.control.tag_resource(api::TagResourceRequest { resource: arn.into(), tags }).await
    }

    async fn untag(&self, arn: &str, keys: &[&str]) -> Result<(), ApiError> {
        let tag_keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.control.untag_resource(api::UntagResourceRequest { resource: arn.into(), tag_keys }).await
    }

    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let answer = self.control.list_tags(api::ListTagsRequest { resource: arn.into() }).await?;
        Ok(answer.tags.unwrap().into_iter().collect())
    }
}

fn map(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn come_and_go(house: &House, arn: &str) {
    house.tag(arn, &[("A", "tag-a")]).await.unwrap();
    house.tag(arn, &[("B", "tag-b"), ("A", "new")]).await.unwrap();
    assert_eq!(house.tags(arn).await.unwrap(), map(&[("A", "new"), ("B", "tag-b")]));
    house.untag(arn, &["A", "none"]).await.unwrap();
    assert_eq!(house.tags(arn).await.unwrap(), map(&[("B", "tag-b")]));
    let many: Vec<(String, String)> = (0..50).map(|n| (format!("k{n}"), "v".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    check(&house.tag(arn, &many).await.unwrap_err(), INVALID, LIMIT);
    house.tag(arn, &many[..49]).await.unwrap();
    check(&house.tag(arn, &[("one-more", "")]).await.unwrap_err(), INVALID, LIMIT);
    assert_eq!(house.tags(arn).await.unwrap().len(), 50, "nothing of it was taken");
    check(&house.tag(arn, &[]).await.unwrap_err(), INVALID, "An error occurred and the request cannot be processed.");
}

#[tokio::test]
async fn tags_of_a_function_come_and_go() {
    let house = House::new();
    house.created("f").await;
    let arn = format!("{ARN}:f");
    let before = house.configuration("f").await;
    come_and_go(&house, &arn).await;
    let mut after = house.configuration("f").await;
    assert_ne!(after["RevisionId"], before["RevisionId"]);
    after["RevisionId"] = before["RevisionId"].clone();
    assert_eq!(after, before);
}

#[tokio::test]
async fn tags_of_a_mapping_come_and_go() {
    let house = House::new();
    house.created("f").await;
    let input = api::CreateEventSourceMappingRequest {
        function_name: "f".into(),
        event_source_arn: Some("arn:aws:sqs:us-east-1:123456789012:q".into()),
        ..Default::default()
    };
    let mapping = house.control.create_event_source_mapping(input).await.unwrap();
    come_and_go(&house, &mapping.event_source_mapping_arn.unwrap()).await;
}

#[tokio::test]
async fn tags_of_a_code_signing_configuration_come_and_go() {
    let house = House::new();
    let arn = house.signing(None).await;
    come_and_go(&house, &arn).await;
}

#[tokio::test]
async fn only_what_is_there_has_tags() {
    let house = House::new();
    let uuid = "00000000-0000-4000-8000-000000000000";
    let of = |kind: &str| ARN.replace("function", kind);
    for (arn, text) in [
        (format!("{ARN}:g"), format!("Function not found: {ARN}:g")),
        (
            format!("{}:{uuid}", of("event-source-mapping")),
            format!("Event source mapping not found: {}:{uuid}", of("event-source-mapping")),
        ),
        (
            format!("{}:c", of("capacity-provider")),
            format!("Capacity provider not found: {}:c", of("capacity-provider")),
        ),
    ] {
        for error in [
            house.tag(&arn, &[("k", "v")]).await.unwrap_err(),
            house.untag(&arn, &["k"]).await.unwrap_err(),
            house.tags(&arn).await.unwrap_err(),
        ] {
            check(&error, "ResourceNotFoundException", &text);
        }
    }
    let text = "Tags on function aliases and versions are not supported. Please specify a function ARN.";
    check(&house.tag(&format!("{ARN}:g:prod"), &[("k", "v")]).await.unwrap_err(), INVALID, text);
}
