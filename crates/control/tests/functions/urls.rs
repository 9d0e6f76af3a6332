//! Function URLs as the real service shows them.

use serde_json::json;

use super::*;

const ENDPOINT: &str = "http://127.0.0.1:4566";

fn url(function: &str) -> api::CreateFunctionUrlConfigRequest {
    api::CreateFunctionUrlConfigRequest {
        function_name: function.to_owned(),
        qualifier: None,
        auth_type: api::FunctionUrlAuthType::None,
        cors: None,
        invoke_mode: None,
    }
}

fn change(function: &str) -> api::UpdateFunctionUrlConfigRequest {
    api::UpdateFunctionUrlConfigRequest { function_name: function.to_owned(), ..Default::default() }
}

impl House {
    async fn with_alias() -> Self {
        let house = Self::new();
        house.created("f").await;
        let input = api::CreateAliasRequest {
            function_name: "f".into(),
            name: "live".into(),
            function_version: "$LATEST".into(),
            ..Default::default()
        };
        house.control.create_alias(input).await.unwrap();
        house
    }

    async fn create_url(&self, input: api::CreateFunctionUrlConfigRequest) -> Result<Value, ApiError> {
        let output = self.control.create_function_url_config(input, ENDPOINT).await?;
        Ok(json::<ops::CreateFunctionUrlConfig>(&output))
    }

    async fn url(&self, function: &str) -> Result<Value, ApiError> {
        let input = api::GetFunctionUrlConfigRequest { function_name: function.to_owned(), qualifier: None };
        let output = self.control.get_function_url_config(input, ENDPOINT).await?;
        Ok(json::<ops::GetFunctionUrlConfig>(&output))
    }

    async fn update_url(&self, input: api::UpdateFunctionUrlConfigRequest) -> Result<Value, ApiError> {
        let output = self.control.update_function_url_config(input, ENDPOINT).await?;
        Ok(json::<ops::UpdateFunctionUrlConfig>(&output))
    }

    async fn delete_url(&self, function: &str) -> Result<(), ApiError> {
        let input = api::DeleteFunctionUrlConfigRequest { function_name: function.to_owned(), qualifier: None };
        self.control.delete_function_url_config(input).await
    }
}

#[tokio::test]
async fn function_and_alias_have_urls_of_their_own() {
    let house = House::with_alias().await;
    let mut created = Vec::new();
    for name in ["f", "f:live"] {
        let shown = house.create_url(url(name)).await.unwrap();
        let address = shown["FunctionUrl"].as_str().unwrap();
        let id = address.strip_prefix("http://").unwrap().split('.').next().unwrap();
        assert_eq!(address, format!("http://{id}.lambda-url.us-east-1.localhost:4566/"));
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{id}");
        let when = "2024-03-05T12:00:00.000Z";
        let arn = format!("{ARN}:{name}");
        assert_eq!(
            shown,
            json!({"FunctionUrl": address, "FunctionArn": arn, "AuthType": "NONE", "CreationTime": when})
        );
        let later = with(shown.clone(), json!({"InvokeMode": "BUFFERED", "LastModifiedTime": when}));
        assert_eq!(house.url(name).await.unwrap(), later);
        created.push(later);
    }
    assert_ne!(created[0]["FunctionUrl"], created[1]["FunctionUrl"]);
    let list = async |marker: Option<String>| {
        let input = api::ListFunctionUrlConfigsRequest { function_name: "f".into(), marker, max_items: Some(1) };
        house.control.list_function_url_configs(input, ENDPOINT).await.unwrap()
    };
    let first = list(None).await;
    let second = list(first.next_marker.clone()).await;
    let shown = |page| json::<ops::ListFunctionUrlConfigs>(page)["FunctionUrlConfigs"].clone();
    assert_eq!((shown(&first), shown(&second)), (json!([created[0]]), json!([created[1]])));
    assert_eq!(second.next_marker, None);

    house.delete_url("f").await.unwrap();
    let text = "The resource you requested does not exist.";
    check(&house.url("f").await.unwrap_err(), "ResourceNotFoundException", text);
    check(&house.delete_url("f").await.unwrap_err(), "ResourceNotFoundException", text);
    assert_eq!(house.url("f:live").await.unwrap(), created[1]);
    let alias = api::DeleteAliasRequest { function_name: "f".into(), name: "live".into() };
    house.control.delete_alias(alias).await.unwrap();
    assert_eq!(house.url("f:live").await.unwrap(), created[1], "it outlives its alias");
    check(
        &house.update_url(change("f:live")).await.unwrap_err(),
        "ResourceNotFoundException",
        "Function does not exist",
    );
    house.delete_url("f:live").await.unwrap();
    check(&house.url("f:live").await.unwrap_err(), "ResourceNotFoundException", text);
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_never_the_url() {
    let house = House::with_alias().await;
    let cors = api::Cors { allow_origins: Some(vec!["*".into()]), max_age: Some(5), ..Default::default() };
    let created = house.create_url(api::CreateFunctionUrlConfigRequest {
        invoke_mode: Some(api::InvokeMode::Buffered),
        cors: Some(cors),
        ..url("f")
    });
    let created = created.await.unwrap();
    assert_eq!(created["InvokeMode"], "BUFFERED");
    assert_eq!(created["Cors"], json!({"AllowOrigins": ["*"], "MaxAge": 5}));
    let streamed = api::UpdateFunctionUrlConfigRequest {
        invoke_mode: Some(api::InvokeMode::ResponseStream),
        auth_type: Some(api::FunctionUrlAuthType::AwsIam),
        ..change("f")
    };
    let updated = house.update_url(streamed).await.unwrap();
    assert_eq!((&updated["InvokeMode"], &updated["AuthType"]), (&"RESPONSE_STREAM".into(), &"AWS_IAM".into()));
    assert_eq!((&updated["FunctionUrl"], &updated["Cors"]), (&created["FunctionUrl"], &created["Cors"]));
    assert_eq!(house.update_url(change("f")).await.unwrap(), updated, "nothing is named");
    let bare = api::UpdateFunctionUrlConfigRequest { cors: Some(api::Cors::default()), ..change("f") };
    assert_eq!(house.update_url(bare).await.unwrap().get("Cors"), None);
    assert_eq!(house.url("f").await.unwrap()["InvokeMode"], "RESPONSE_STREAM");
}

#[tokio::test]
async fn what_has_no_url_is_said_as_recorded() {
    let house = House::with_alias().await;
    let (absent, invalid) = ("ResourceNotFoundException", "ValidationException");
    for name in ["none", "f:none"] {
        check(&house.create_url(url(name)).await.unwrap_err(), absent, "Function does not exist");
        check(&house.update_url(change(name)).await.unwrap_err(), absent, "Function does not exist");
        check(&house.url(name).await.unwrap_err(), absent, "The resource you requested does not exist.");
        check(&house.delete_url(name).await.unwrap_err(), absent, "The resource you requested does not exist.");
    }
    check(&house.update_url(change("f")).await.unwrap_err(), absent, "The resource you requested does not exist.");
    for name in ["f:1", "f:$LATEST"] {
        assert_eq!(house.create_url(url(name)).await.unwrap_err().kind.code, invalid, "{name}");
    }
    house.create_url(url("f:live")).await.unwrap();
    let text = format!(
        "Failed to create function url config for [functionArn = {ARN}:f:live]. Error message:  FunctionUrlConfig \
         exists for this Lambda function"
    );
    check(&house.create_url(url("f:live")).await.unwrap_err(), "ResourceConflictException", &text);
}
