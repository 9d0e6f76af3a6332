//! The members of CreateFunction and UpdateFunctionConfiguration: shown as set, changed, cleared, or refused.

use hearth_types::limits::UNZIPPED_BYTES;
use serde_json::json;

use super::*;

const INVALID: &str = "InvalidParameterValueException";
const LAYER: &str = "arn:aws:lambda:us-east-1:123456789012:layer";
const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:q";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/k";

type Create = fn(&mut api::CreateFunctionRequest);
type Update = fn(&mut api::UpdateFunctionConfigurationRequest);

impl House {
    async fn create(&self, input: api::CreateFunctionRequest) -> Result<Value, ApiError> {
        let name = input.function_name.clone();
        self.control.create_function(input).await?;
        self.control.settle(&name).await?;
        Ok(self.configuration(&name).await)
    }

    /// Updates, waits and shows.
    async fn changed(&self, change: impl FnOnce(&mut api::UpdateFunctionConfigurationRequest)) -> Value {
        let mut input = configure("f");
        change(&mut input);
        let answer = self.update(input).await.unwrap();
        self.control.settle("f").await.unwrap();
        let shown = self.configuration("f").await;
        let settled = ["RevisionId", "LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode"];
        let without = |value: &Value| {
            let mut members = value.as_object().unwrap().clone();
            members.retain(|member, _| !settled.contains(&member.as_str()));
            members
        };
        assert_eq!(without(&answer), without(&shown), "the answer shows what is read later");
        shown
    }

    async fn publish_layer(&self, name: &str, text: &str) -> String {
        let content = api::LayerVersionContentInput { zip_file: Some(zip(text)), ..Default::default() };
        let input = api::PublishLayerVersionRequest { layer_name: name.into(), content, ..Default::default() };
        self.control.publish_layer_version(input, "http://localhost:4566").await.unwrap().layer_version_arn.unwrap()
    }
}

fn with(change: Create) -> api::CreateFunctionRequest {
    let mut input = create("f");
    change(&mut input);
    input
}

/// What is set at the create is shown; an update without it leaves it; its empty form clears it.
#[tokio::test]
async fn what_is_kept_is_shown_until_it_is_cleared() {
    let cases: [(&str, Create, Value, Update, Value); 5] = [
        (
            "DeadLetterConfig",
            |input| input.dead_letter_config = Some(api::DeadLetterConfig { target_arn: Some(QUEUE.into()) }),
            json!({"TargetArn": QUEUE}),
            |input| input.dead_letter_config = Some(api::DeadLetterConfig { target_arn: Some(String::new()) }),
            Value::Null,
        ),
        (
            "KMSKeyArn",
            |input| input.kms_key_arn = Some(KEY.into()),
            KEY.into(),
            |input| input.kms_key_arn = Some(String::new()),
            Value::Null,
        ),
        (
            "TracingConfig",
            |input| input.tracing_config = Some(api::TracingConfig { mode: Some(api::TracingMode::Active) }),
            json!({"Mode": "Active"}),
            |input| input.tracing_config = Some(api::TracingConfig { mode: Some(api::TracingMode::PassThrough) }),
            json!({"Mode": "PassThrough"}),
        ),
        (
            "SnapStart",
            |input| {
                let apply_on = Some(api::SnapStartApplyOn::PublishedVersions);
                input.snap_start = Some(api::SnapStart { apply_on });
            },
            json!({"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}),
            |input| input.snap_start = Some(api::SnapStart { apply_on: Some(api::SnapStartApplyOn::None) }),
            json!({"ApplyOn": "None", "OptimizationStatus": "Off"}),
        ),
        (
            "LoggingConfig",
            |input| {
                let json = api::LoggingConfig { log_format: Some(api::LogFormat::Json), ..Default::default() };
                input.logging_config = Some(json);
            },
            json!({"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO",
                "LogGroup": "/aws/lambda/f"}),
            |input| {
                let text = api::LoggingConfig { log_format: Some(api::LogFormat::Text), ..Default::default() };
                input.logging_config = Some(text);
            },
            json!({"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}),
        ),
    ];
    for (member, set, shown, clear, cleared) in cases {
        let house = House::new();
        assert_eq!(house.create(with(set)).await.unwrap()[member], shown);
        assert_eq!(house.changed(|_| {}).await[member], shown);
        assert_eq!(house.publish_version("f").await[member], shown);
        assert_eq!(house.changed(clear).await[member], cleared);
        assert_eq!(house.asked("f", Some("1")).await.unwrap()[member], shown);
    }
}

#[tokio::test]
async fn an_empty_dead_letter_config_changes_nothing() {
    let house = House::new();
    let config = |target: Option<&str>| api::DeadLetterConfig { target_arn: target.map(str::to_owned) };
    house
        .create(api::CreateFunctionRequest { dead_letter_config: Some(config(Some(QUEUE))), ..create("f") })
        .await
        .unwrap();
    let shown = house.changed(|input| input.dead_letter_config = Some(config(None))).await;
    assert_eq!(shown["DeadLetterConfig"]["TargetArn"], QUEUE);
}

#[tokio::test]
async fn what_deploy_tools_send_as_a_matter_of_course_asks_for_nothing() {
    let house = House::new();
    let empty = with(|input| {
        input.layers = Some(Vec::new());
        input.kms_key_arn = Some(String::new());
        input.dead_letter_config = Some(api::DeadLetterConfig::default());
        input.tracing_config = Some(api::TracingConfig { mode: Some(api::TracingMode::PassThrough) });
        input.file_system_configs = Some(Vec::new());
        input.image_config = Some(api::ImageConfig::default());
        input.snap_start = Some(api::SnapStart { apply_on: Some(api::SnapStartApplyOn::None) });
        input.publish = Some(false);
        input.architectures = Some(vec![api::Architecture::X86_64]);
    });
    let mut shown = house.create(empty).await.unwrap();
    let plain = House::new();
    let mut expected = plain.create(create("f")).await.unwrap();
    (shown["RevisionId"], expected["RevisionId"]) = (Value::Null, Value::Null);
    assert_eq!(shown, expected);

    // An empty VpcConfig asks for nothing either, but is shown.
    let vpc = house.changed(|input| input.vpc_config = Some(api::VpcConfig::default())).await;
    let none = json!({"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": false});
    assert_eq!(vpc["VpcConfig"], none);
}

#[tokio::test]
async fn what_cannot_be_here_is_named() {
    let house = House::new();
    let refusals: [(&str, Create); 6] = [
        ("PublishTo", |input| input.publish_to = Some(api::FunctionVersionLatestPublished::LatestPublished)),
        ("CapacityProviderConfig", |input| input.capacity_provider_config = Some(Default::default())),
        ("DurableConfig", |input| input.durable_config = Some(Default::default())),
        ("Code.SourceKMSKeyArn", |input| input.code.source_kms_key_arn = Some(KEY.into())),
        ("FileSystemConfigs", |input| input.file_system_configs = Some(vec![Default::default()])),
        ("VpcConfig.Ipv6AllowedForDualStack", |input| {
            let ipv6_allowed_for_dual_stack = Some(true);
            input.vpc_config = Some(api::VpcConfig { ipv6_allowed_for_dual_stack, ..Default::default() });
        }),
    ];
    for (member, change) in refusals {
        let error = house.create(with(change)).await.unwrap_err();
        assert_eq!(error.kind.status, 501, "{error}");
        assert!(error.to_string().contains(&format!("{member} is not supported")), "{error}");
    }
    let wrong: [(&str, Create); 9] = [
        ("The subnet ID 'subnet-1' does not exist", |input| {
            input.vpc_config = Some(api::VpcConfig { subnet_ids: Some(vec!["subnet-1".into()]), ..Default::default() });
        }),
        ("The security group 'sg-1' does not exist", |input| {
            let (groups, subnets) = (Some(vec!["sg-1".into()]), Some(vec!["subnet-1".into()]));
            input.vpc_config =
                Some(api::VpcConfig { security_group_ids: groups, subnet_ids: subnets, ..Default::default() });
        }),
        ("Runtime and Handler are mandatory parameters", |input| input.runtime = None),
        ("Please don't provide ImageConfig", |input| {
            input.image_config = Some(api::ImageConfig { command: Some(vec!["c".into()]), ..Default::default() });
        }),
        ("Please don't provide ImageUri when creating", |input| input.code.image_uri = Some("i".into())),
        ("is no queue of SQS", |input| {
            input.dead_letter_config = Some(api::DeadLetterConfig { target_arn: Some("arn:aws:s3:::b".into()) });
        }),
        ("can be set only with LogFormat JSON", |input| {
            let system_log_level = Some(api::SystemLogLevel::Warn);
            input.logging_config = Some(api::LoggingConfig { system_log_level, ..Default::default() });
        }),
        ("nodejs22.x is not supported for SnapStart enabled functions.", |input| {
            input.runtime = Some("nodejs22.x".into());
            input.snap_start = Some(api::SnapStart { apply_on: Some(api::SnapStartApplyOn::PublishedVersions) });
        }),
        ("EphemeralStorage of more than 512 MB is not supported", |input| {
            input.ephemeral_storage = Some(api::EphemeralStorage { size: 513 });
            input.snap_start = Some(api::SnapStart { apply_on: Some(api::SnapStartApplyOn::PublishedVersions) });
        }),
    ];
    for (text, change) in wrong {
        let error = house.create(with(change)).await.unwrap_err();
        assert_eq!(error.kind.code, INVALID, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(house.asked("f", None).await.is_err());
}

#[tokio::test]
async fn an_image_is_kept_and_shown() {
    let house = House::new();
    let image = |uri: &str| api::FunctionCode { image_uri: Some(uri.into()), ..Default::default() };
    let input = api::CreateFunctionRequest {
        runtime: None,
        handler: None,
        package_type: Some(api::PackageType::Image),
        code: image("registry/repo:latest"),
        image_config: Some(api::ImageConfig {
            entry_point: Some(vec!["sh".into()]),
            command: Some(vec!["-c".into()]),
            working_directory: Some("/app".into()),
        }),
        ..create("f")
    };
    let shown = house.create(input.clone()).await.unwrap();
    let digest = shown["CodeSha256"].as_str().unwrap().to_owned();
    assert_eq!((&shown["PackageType"], &shown["CodeSize"]), (&"Image".into(), &0.into()));
    for absent in ["Runtime", "Handler", "RuntimeVersionConfig"] {
        assert_eq!(shown.get(absent), None);
    }
    let config = json!({"EntryPoint": ["sh"], "Command": ["-c"], "WorkingDirectory": "/app"});
    assert_eq!(shown["ImageConfigResponse"], json!({"ImageConfig": config}));
    let got = api::GetFunctionRequest { function_name: "f".into(), qualifier: None };
    let answer = json::<ops::GetFunction>(&house.control.get_function(got, "http://localhost:4566").await.unwrap());
    let resolved = format!("registry/repo@sha256:{digest}");
    assert_eq!(
        answer["Code"],
        json!({"RepositoryType": "ECR", "ImageUri": "registry/repo:latest", "ResolvedImageUri": resolved})
    );

    // ImageConfig is replaced as a whole, and goes when it is empty (observed).
    let command = api::ImageConfig { command: Some(vec!["d".into()]), ..Default::default() };
    let shown = house.changed(|input| input.image_config = Some(command)).await;
    assert_eq!(shown["ImageConfigResponse"], json!({"ImageConfig": {"Command": ["d"]}}));
    let shown = house.changed(|input| input.image_config = Some(Default::default())).await;
    assert_eq!(shown.get("ImageConfigResponse"), None);

    let zipped = house.update_code(code_of("f", zip("one"))).await.unwrap_err();
    check(&zipped, INVALID, "Please provide ImageUri when updating a function with packageType Image.");
    let other = api::UpdateFunctionCodeRequest {
        zip_file: None,
        image_uri: Some("registry/other:latest".into()),
        ..code_of("f", Bytes::new())
    };
    assert_ne!(house.update_code(other).await.unwrap()["CodeSha256"], digest);
    house.control.settle("f").await.unwrap();
    let mut handler = configure("f");
    handler.handler = Some("h".into());
    let text = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.";
    check(&house.update(handler).await.unwrap_err(), INVALID, text);
    let both =
        api::CreateFunctionRequest { function_name: "g".into(), runtime: Some("python3.12".into()), ..input.clone() };
    check(&house.create(both).await.unwrap_err(), INVALID, text);
    for (code, text) in [
        (api::FunctionCode::default(), "Please provide ImageUri when creating a function with packageType Image."),
        (image("a b"), "Source image a b is not valid. Provide a valid source image."),
    ] {
        let input = api::CreateFunctionRequest { function_name: "g".into(), code, ..input.clone() };
        check(&house.create(input).await.unwrap_err(), INVALID, text);
    }
}

#[tokio::test]
async fn another_machines_architecture_is_kept() {
    let house = House::new();
    let arm = with(|input| input.architectures = Some(vec![api::Architecture::Arm64]));
    assert_eq!(house.create(arm).await.unwrap()["Architectures"], json!(["arm64"]));
    let back = api::UpdateFunctionCodeRequest {
        architectures: Some(vec![api::Architecture::X86_64]),
        ..code_of("f", zip("two"))
    };
    assert_eq!(house.update_code(back).await.unwrap()["Architectures"], json!(["x86_64"]));
}

#[tokio::test]
async fn a_function_uses_versions_of_layers() {
    let house = House::new();
    let (first, second) = (house.publish_layer("l", "first").await, house.publish_layer("l", "second").await);
    let other = house.publish_layer("m", "other").await;
    house.create(create("f")).await.unwrap();
    let given = |layers: &[&String]| Some(layers.iter().map(|arn| (*arn).clone()).collect::<Vec<_>>());
    let shown = house.changed(|input| input.layers = given(&[&other, &first])).await;
    let size = zip("first").len();
    assert_eq!(
        shown["Layers"],
        json!([{"Arn": other, "CodeSize": zip("other").len()}, {"Arn": first, "CodeSize": size}])
    );

    for (layers, text) in [
        (
            given(&[&first, &second]),
            format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. \
                 {first} and {second} are versions of the same layer."
            ),
        ),
        (given(&[&format!("{LAYER}:l:9")]), format!("Layer version {LAYER}:l:9 does not exist.")),
        (
            given(&[&first.replace("us-east-1", "eu-west-1")]),
            "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.".into(),
        ),
        (Some(vec![first.clone(); 6]), "Cannot reference more than 5 layers.".into()),
    ] {
        let error = house.update(api::UpdateFunctionConfigurationRequest { layers, ..configure("f") }).await;
        check(&error.unwrap_err(), INVALID, &text);
    }
    let theirs = given(&[&first.replace("123456789012", "999999999999")]);
    let error = house.update(api::UpdateFunctionConfigurationRequest { layers: theirs, ..configure("f") }).await;
    assert_eq!(error.unwrap_err().kind.code, "AccessDeniedException");

    // A deleted layer version stays with those that use it.
    let gone = api::DeleteLayerVersionRequest { layer_name: "l".into(), version_number: 1 };
    house.control.delete_layer_version(gone).await.unwrap();
    assert_eq!(house.changed(|_| {}).await["Layers"][1]["Arn"], first);
    assert_eq!(house.changed(|input| input.layers = Some(Vec::new())).await.get("Layers"), None);
}

#[tokio::test]
async fn code_and_layers_are_limited_together() {
    let house = House::new();
    let layer = house.publish_layer("l", "layer").await;
    house.create(create("f")).await.unwrap();
    house.changed(|input| input.layers = Some(vec![layer])).await;
    house.tamper("f", |record| record.latest.config.layers[0].code.unpacked = UNZIPPED_BYTES).await;
    let text = "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes.";
    let error = house.update_code(code_of("f", zip("two"))).await.unwrap_err();
    assert!(error.kind.code == INVALID && error.to_string().contains(text), "{error}");
    let error = house.update(configure("f")).await.unwrap_err();
    assert!(error.to_string().contains(text), "{error}");
}
