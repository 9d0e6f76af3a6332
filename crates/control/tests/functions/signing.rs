//! Code signing configurations, and what they let in.

use serde_json::json;

use super::*;

const MISSING: &str = "ResourceNotFoundException";
const PROFILE: &str = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/test/abc";
const UNKNOWN: &str = "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-00000000000000000";

fn policy(untrusted: api::CodeSigningPolicy) -> api::CodeSigningPolicies {
    api::CodeSigningPolicies { untrusted_artifact_on_deployment: Some(untrusted) }
}

fn refused_code(function: &str) -> String {
    format!(
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is \
         not configured to accept. Check the provided signature for {function}."
    )
}

impl House {
    /// A configuration with this policy; its ARN.
    pub(crate) async fn signing(&self, untrusted: Option<api::CodeSigningPolicy>) -> String {
        let input = api::CreateCodeSigningConfigRequest {
            allowed_publishers: api::AllowedPublishers { signing_profile_version_arns: vec![PROFILE.into()] },
            code_signing_policies: untrusted.map(policy),
            ..Default::default()
        };
        self.control.create_code_signing_config(input).await.unwrap().code_signing_config.code_signing_config_arn
    }

    async fn signing_shown(&self, arn: &str) -> Result<Value, ApiError> {
        let input = api::GetCodeSigningConfigRequest { code_signing_config_arn: arn.into() };
        let output = self.control.get_code_signing_config(input).await?;
        Ok(json::<ops::GetCodeSigningConfig>(&output)["CodeSigningConfig"].take())
    }

    async fn enforce(&self, arn: &str) -> Result<Value, ApiError> {
        let input = api::UpdateCodeSigningConfigRequest {
            code_signing_config_arn: arn.into(),
            code_signing_policies: Some(policy(api::CodeSigningPolicy::Enforce)),
            ..Default::default()
        };
        let output = self.control.update_code_signing_config(input).await?;
        Ok(json::<ops::UpdateCodeSigningConfig>(&output)["CodeSigningConfig"].take())
    }

    async fn delete_signing(&self, arn: &str) -> Result<(), ApiError> {
        let input = api::DeleteCodeSigningConfigRequest { code_signing_config_arn: arn.into() };
        self.control.delete_code_signing_config(input).await.map(drop)
    }

    async fn bind(&self, function: &str, arn: &str) -> Result<Value, ApiError> {
        let (function_name, code_signing_config_arn) = (function.into(), arn.into());
        let input = api::PutFunctionCodeSigningConfigRequest { code_signing_config_arn, function_name };
        Ok(json::<ops::PutFunctionCodeSigningConfig>(&self.control.put_function_code_signing_config(input).await?))
    }

    async fn bound(&self, function: &str) -> Result<Value, ApiError> {
        let input = api::GetFunctionCodeSigningConfigRequest { function_name: function.into() };
        Ok(json::<ops::GetFunctionCodeSigningConfig>(&self.control.get_function_code_signing_config(input).await?))
    }

    async fn unbind(&self, function: &str) -> Result<(), ApiError> {
        let input = api::DeleteFunctionCodeSigningConfigRequest { function_name: function.into() };
        self.control.delete_function_code_signing_config(input).await
    }

    /// The functions of a configuration, read a page each.
    async fn functions_of(&self, arn: &str) -> Vec<String> {
        let (mut arns, mut marker) = (Vec::new(), None);
        loop {
            let input = api::ListFunctionsByCodeSigningConfigRequest {
                code_signing_config_arn: arn.into(),
                marker,
                max_items: Some(1),
            };
            let found = self.control.list_functions_by_code_signing_config(input).await.unwrap();
            arns.extend(found.function_arns.unwrap());
            marker = found.next_marker;
            if marker.is_none() {
                return arns;
            }
        }
    }
}

#[tokio::test]
async fn configurations_come_and_go() {
    let house = House::new();
    let arn = house.signing(None).await;
    let id = arn.rsplit(':').next().unwrap();
    assert!(id.len() == 21 && id.starts_with("csc-"), "{id}");
    let shown = json!({
        "CodeSigningConfigId": id, "CodeSigningConfigArn": arn, "LastModified": "2024-03-05T12:00:00.000+0000",
        "AllowedPublishers": {"SigningProfileVersionArns": [PROFILE]},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
    });
    assert_eq!(house.signing_shown(&arn).await.unwrap(), shown);
    let enforced = with(shown, json!({"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"}}));
    assert_eq!(house.enforce(&arn).await.unwrap(), enforced);
    let other = house.signing(None).await;
    let mut listed = Vec::new();
    let mut marker = None;
    loop {
        let input = api::ListCodeSigningConfigsRequest { marker, max_items: Some(1) };
        let page = house.control.list_code_signing_configs(input).await.unwrap();
        listed.extend(page.code_signing_configs.unwrap().into_iter().map(|config| config.code_signing_config_arn));
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    let mut both = vec![arn.clone(), other.clone()];
    both.sort();
    assert_eq!(listed, both);
    house.delete_signing(&other).await.unwrap();
    assert!(house.signing_shown(&other).await.is_err());
    assert_eq!(house.signing_shown(&arn).await.unwrap(), enforced);
}

#[tokio::test]
async fn what_is_not_there_is_said_as_recorded() {
    let house = House::new();
    house.created("f").await;
    let text = format!("The Lambda code signing configuration {UNKNOWN} can not be found.");
    let list =
        api::ListFunctionsByCodeSigningConfigRequest { code_signing_config_arn: UNKNOWN.into(), ..Default::default() };
    for error in [
        house.signing_shown(UNKNOWN).await.unwrap_err(),
        house.enforce(UNKNOWN).await.unwrap_err(),
        house.delete_signing(UNKNOWN).await.unwrap_err(),
        house.control.list_functions_by_code_signing_config(list).await.unwrap_err(),
        house
            .signing_shown(&UNKNOWN.replace("us-east-1", "eu-west-1"))
            .await
            .map_err(|mut error| {
                error.message = error.message.map(|text| text.replace("eu-west-1", "us-east-1"));
                error
            })
            .unwrap_err(),
    ] {
        check(&error, MISSING, &text);
        assert_eq!(error.kind.fault, None, "as observed");
    }
    let text = format!(
        "The code signing configuration cannot be found. Check that the provided configuration is not deleted: \
         {UNKNOWN}."
    );
    for function in ["f", "none"] {
        check(&house.bind(function, UNKNOWN).await.unwrap_err(), "CodeSigningConfigNotFoundException", &text);
    }
    let new = api::CreateFunctionRequest { code_signing_config_arn: Some(UNKNOWN.into()), ..create("g") };
    let error = house.control.create_function(new).await.unwrap_err();
    check(&error, "CodeSigningConfigNotFoundException", &text);
    let arn = house.signing(None).await;
    let text = format!("Function not found: {ARN}:none");
    check(&house.bind("none", &arn).await.unwrap_err(), MISSING, &text);
    check(&house.bound("none").await.unwrap_err(), MISSING, &text);
    check(&house.unbind("none").await.unwrap_err(), MISSING, &text);
    assert_eq!(house.bound("f").await.unwrap(), json!({}));
    house.unbind("f").await.unwrap();
    assert_eq!(house.functions_of(&arn).await, Vec::<String>::new());
}

#[tokio::test]
async fn unsigned_code_is_let_in_or_not() {
    let house = House::new();
    let arn = house.signing(Some(api::CodeSigningPolicy::Warn)).await;
    let new = |name| api::CreateFunctionRequest { code_signing_config_arn: Some(arn.clone()), ..create(name) };
    house.control.create_function(new("f")).await.unwrap();
    house.control.settle("f").await.unwrap();
    house.created("g").await;
    let shown = json!({"CodeSigningConfigArn": arn, "FunctionName": "g"});
    assert_eq!(house.bind("g", &arn).await.unwrap(), shown);
    assert_eq!(house.bound("g").await.unwrap(), shown);
    assert_eq!(house.functions_of(&arn).await, [format!("{ARN}:f"), format!("{ARN}:g")]);
    house.update_code(code_of("f", zip("two"))).await.unwrap();
    house.control.settle("f").await.unwrap();

    house.enforce(&arn).await.unwrap();
    let before = house.configuration("f").await;
    let code = "CodeVerificationFailedException";
    check(&house.update_code(code_of("f", zip("three"))).await.unwrap_err(), code, &refused_code("f"));
    let dry = api::UpdateFunctionCodeRequest { dry_run: Some(true), ..code_of("f", zip("three")) };
    check(&house.update_code(dry).await.unwrap_err(), code, &refused_code("f"));
    check(&house.control.create_function(new("h")).await.unwrap_err(), code, &refused_code("h"));
    let layer = api::PublishLayerVersionRequest {
        layer_name: "l".into(),
        content: api::LayerVersionContentInput { zip_file: Some(zip("layer")), ..Default::default() },
        ..Default::default()
    };
    let layer = house.control.publish_layer_version(layer, "http://localhost").await.unwrap();
    let layered = api::UpdateFunctionConfigurationRequest {
        layers: Some(vec![layer.layer_version_arn.unwrap()]),
        ..configure("f")
    };
    check(&house.update(layered).await.unwrap_err(), code, &refused_code("f"));
    assert_eq!(house.configuration("f").await, before, "nothing changed");
    let timeout = api::UpdateFunctionConfigurationRequest { timeout: Some(9), ..configure("f") };
    house.update(timeout).await.expect("what is no code is not judged");
    house.control.settle("f").await.unwrap();

    let error = house.delete_signing(&arn).await.unwrap_err();
    assert_eq!(error.kind.code, "ResourceConflictException", "functions use it");
    house.unbind("f").await.unwrap();
    house.update_code(code_of("f", zip("three"))).await.unwrap();
    house.delete("g", None).await.unwrap();
    house.delete_signing(&arn).await.unwrap();
}

#[tokio::test]
async fn images_have_no_signatures() {
    let house = House::new();
    let arn = house.signing(None).await;
    let image = api::CreateFunctionRequest {
        package_type: Some(api::PackageType::Image),
        runtime: None,
        handler: None,
        code: api::FunctionCode { image_uri: Some("registry/image:1".into()), ..Default::default() },
        ..create("image")
    };
    let signed = api::CreateFunctionRequest { code_signing_config_arn: Some(arn.clone()), ..image.clone() };
    let text = "Code signing configurations are not supported for functions created with container images.";
    check(&house.control.create_function(signed).await.unwrap_err(), "InvalidParameterValueException", text);
    house.control.create_function(image).await.unwrap();
    check(&house.bind("image", &arn).await.unwrap_err(), "InvalidParameterValueException", text);
}
