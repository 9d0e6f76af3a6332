//! Settings of asynchronous invokes as the real service shows them.

use serde_json::json;

use super::*;

fn put(function: &str, retries: Option<i32>) -> api::PutFunctionEventInvokeConfigRequest {
    api::PutFunctionEventInvokeConfigRequest {
        function_name: function.to_owned(),
        maximum_retry_attempts: retries,
        ..Default::default()
    }
}

fn to(success: Option<&str>, failure: Option<&str>) -> api::DestinationConfig {
    let owned = |arn: &str| Some(arn.to_owned());
    api::DestinationConfig {
        on_success: success.map(|arn| api::OnSuccess { destination: owned(arn) }),
        on_failure: failure.map(|arn| api::OnFailure { destination: owned(arn) }),
    }
}

impl House {
    async fn put_event_invoke(&self, input: api::PutFunctionEventInvokeConfigRequest) -> Result<Value, ApiError> {
        let output = self.control.put_function_event_invoke_config(input).await?;
        Ok(json::<ops::PutFunctionEventInvokeConfig>(&output))
    }

    async fn event_invoke(&self, function: &str) -> Result<Value, ApiError> {
        let input = api::GetFunctionEventInvokeConfigRequest { function_name: function.to_owned(), qualifier: None };
        let output = self.control.get_function_event_invoke_config(input).await?;
        Ok(json::<ops::GetFunctionEventInvokeConfig>(&output))
    }

    async fn delete_event_invoke(&self, function: &str) -> Result<(), ApiError> {
        let input = api::DeleteFunctionEventInvokeConfigRequest { function_name: function.to_owned(), qualifier: None };
        self.control.delete_function_event_invoke_config(input).await
    }
}

#[tokio::test]
async fn each_qualifier_has_settings_of_its_own() {
    let house = House::new();
    house.created("f").await;
    house.publish_version("f").await;
    let shown = |qualifier: &str, retries: i32| {
        json!({
            "FunctionArn": format!("{ARN}:f:{qualifier}"), "LastModified": 1_709_640_000,
            "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}}, "MaximumRetryAttempts": retries,
        })
    };
    assert_eq!(house.put_event_invoke(put("f", Some(0))).await.unwrap(), shown("$LATEST", 0));
    assert_eq!(house.put_event_invoke(put("f:1", Some(1))).await.unwrap(), shown("1", 1));
    assert_eq!(house.event_invoke("f:$LATEST").await.unwrap(), shown("$LATEST", 0));
    let list = async |marker: Option<String>| {
        let function_name = "f".to_owned();
        let input = api::ListFunctionEventInvokeConfigsRequest { function_name, marker, max_items: Some(1) };
        house.control.list_function_event_invoke_configs(input).await.unwrap()
    };
    let first = list(None).await;
    let second = list(first.next_marker.clone()).await;
    let configs = |page| json::<ops::ListFunctionEventInvokeConfigs>(page)["FunctionEventInvokeConfigs"].clone();
    assert_eq!((configs(&first), configs(&second)), (json!([shown("$LATEST", 0)]), json!([shown("1", 1)])));
    assert_eq!(second.next_marker, None);

    house.delete_event_invoke("f:1").await.unwrap();
    let text = format!("The function {ARN}:f:1 doesn't have an EventInvokeConfig");
    check(&house.delete_event_invoke("f:1").await.unwrap_err(), "ResourceNotFoundException", &text);
    check(&house.event_invoke("f:1").await.unwrap_err(), "ResourceNotFoundException", &text);
    let text = format!("The function {ARN}:none:$LATEST doesn't have an EventInvokeConfig");
    check(&house.event_invoke("none").await.unwrap_err(), "ResourceNotFoundException", &text);
    for name in ["none", "f:2", "f:none"] {
        let refused = house.put_event_invoke(put(name, Some(1))).await.unwrap_err();
        check(&refused, "ResourceNotFoundException", "The function doesn't exist.");
    }
}

#[tokio::test]
async fn a_put_replaces_and_an_update_merges() {
    let house = House::new();
    house.created("f").await;
    house.created("other").await;
    let other = format!("{ARN}:other");
    let queue = "arn:aws:sqs:us-east-1:123456789012:q";
    let first = api::PutFunctionEventInvokeConfigRequest {
        maximum_event_age_in_seconds: Some(60),
        destination_config: Some(to(Some(&other), None)),
        ..put("f", Some(1))
    };
    house.put_event_invoke(first).await.unwrap();
    let update = api::UpdateFunctionEventInvokeConfigRequest {
        function_name: "f".into(),
        maximum_retry_attempts: Some(2),
        destination_config: Some(to(None, Some(queue))),
        ..Default::default()
    };
    let output = house.control.update_function_event_invoke_config(update.clone()).await.unwrap();
    let updated = json::<ops::UpdateFunctionEventInvokeConfig>(&output);
    assert_eq!((&updated["MaximumRetryAttempts"], &updated["MaximumEventAgeInSeconds"]), (&json!(2), &json!(60)));
    let both = json!({"OnSuccess": {"Destination": other}, "OnFailure": {"Destination": queue}});
    assert_eq!(updated["DestinationConfig"], both);
    let replaced = house.put_event_invoke(put("f", Some(0))).await.unwrap();
    assert_eq!(replaced["DestinationConfig"], json!({"OnSuccess": {}, "OnFailure": {}}));
    assert_eq!(replaced.get("MaximumEventAgeInSeconds"), None);

    house.delete_event_invoke("f").await.unwrap();
    let refused = house.control.update_function_event_invoke_config(update).await.unwrap_err();
    let text = format!("The function {ARN}:f:$LATEST doesn't have an EventInvokeConfig");
    check(&refused, "ResourceNotFoundException", &text);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let house = House::new();
    house.created("f").await;
    let sent_to =
        |config| api::PutFunctionEventInvokeConfigRequest { destination_config: Some(config), ..put("f", None) };
    let (itself, none) = (format!("{ARN}:f:1"), format!("{ARN}:none"));
    for (input, text) in [
        (put("f", None), "You must specify at least one of error handling or destination setting.".to_owned()),
        (sent_to(to(Some(&itself), None)), "You can't specify the function as a destination for itself.".to_owned()),
        (sent_to(to(None, Some(&none))), format!("The destination ARN {none} is invalid.")),
        (
            sent_to(to(Some("arn:aws:s3:::bucket"), None)),
            "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:s3:::bucket), \
             onFailure=null) is invalid."
                .to_owned(),
        ),
    ] {
        check(&house.put_event_invoke(input).await.unwrap_err(), "InvalidParameterValueException", &text);
    }
    assert!(house.event_invoke("f").await.is_err(), "nothing was written");
    house.put_event_invoke(sent_to(to(None, Some("arn:aws:s3:::bucket")))).await.unwrap();
}
