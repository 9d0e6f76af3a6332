//! Layers as the real service shows them.

use std::collections::HashSet;

use hearth_api::types::{Architecture, Runtime};
use hearth_types::function::LayerRef;
use serde_json::json;

use super::*;

const LAYER: &str = "arn:aws:lambda:us-east-1:123456789012:layer";
const ENDPOINT: &str = "http://localhost:4566";

fn publish(name: &str, package: Bytes) -> api::PublishLayerVersionRequest {
    api::PublishLayerVersionRequest {
        layer_name: name.to_owned(),
        content: api::LayerVersionContentInput { zip_file: Some(package), ..Default::default() },
        ..Default::default()
    }
}

impl House {
    async fn publish(&self, input: api::PublishLayerVersionRequest) -> Value {
        let output = self.control.publish_layer_version(input, ENDPOINT).await.unwrap();
        json::<ops::PublishLayerVersion>(&output)
    }

    async fn layer(&self, name: &str, version_number: i64) -> Result<Value, ApiError> {
        let input = api::GetLayerVersionRequest { layer_name: name.to_owned(), version_number };
        Ok(json::<ops::GetLayerVersion>(&self.control.get_layer_version(input, ENDPOINT).await?))
    }

    async fn delete_layer(&self, name: &str, version_number: i64) {
        let input = api::DeleteLayerVersionRequest { layer_name: name.to_owned(), version_number };
        self.control.delete_layer_version(input).await.unwrap();
    }

    async fn layer_versions(&self, input: api::ListLayerVersionsRequest) -> Value {
        json::<ops::ListLayerVersions>(&self.control.list_layer_versions(input).await.unwrap())
    }

    async fn layers(&self, input: api::ListLayersRequest) -> Value {
        json::<ops::ListLayers>(&self.control.list_layers(input).await.unwrap())
    }

    async fn allow(
        &self,
        layer: &str,
        version: i64,
        sid: &str,
        revision: Option<&str>,
    ) -> Result<api::AddLayerVersionPermissionResponse, ApiError> {
        let input = api::AddLayerVersionPermissionRequest {
            layer_name: layer.to_owned(),
            version_number: version,
            statement_id: sid.to_owned(),
            action: "lambda:GetLayerVersion".to_owned(),
            principal: "*".to_owned(),
            organization_id: None,
            revision_id: revision.map(str::to_owned),
        };
        self.control.add_layer_version_permission(input).await
    }

    async fn disallow(&self, layer: &str, version: i64, sid: &str, revision: Option<&str>) -> Result<(), ApiError> {
        let input = api::RemoveLayerVersionPermissionRequest {
            layer_name: layer.to_owned(),
            version_number: version,
            statement_id: sid.to_owned(),
            revision_id: revision.map(str::to_owned),
        };
        self.control.remove_layer_version_permission(input).await
    }

    async fn layer_policy(&self, layer: &str, version_number: i64) -> Result<Value, ApiError> {
        let input = api::GetLayerVersionPolicyRequest { layer_name: layer.to_owned(), version_number };
        Ok(json::<ops::GetLayerVersionPolicy>(&self.control.get_layer_version_policy(input).await?))
    }
}

fn numbers(list: &Value) -> Vec<i64> {
    list["LayerVersions"].as_array().unwrap().iter().map(|version| version["Version"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_layers_life_is_as_recorded() {
    let house = House::new();
    let package = zip("layer");
    let input = api::PublishLayerVersionRequest {
        description: Some("what it is".into()),
        compatible_runtimes: Some(vec![Runtime::from_text("python3.12").unwrap()]),
        compatible_architectures: Some(vec![Architecture::from_text("x86_64").unwrap()]),
        license_info: Some("MIT".into()),
        ..publish("l", package.clone())
    };
    let mut first = house.publish(input.clone()).await;
    let location = first["Content"].as_object_mut().unwrap().remove("Location").unwrap();
    assert!(location.as_str().unwrap().starts_with("http://localhost:4566/_hearth/code/"), "{location}");
    let listed = |number: i64| {
        json!({
            "LayerVersionArn": format!("{LAYER}:l:{number}"), "Version": number, "Description": "what it is",
            "CreatedDate": "2024-03-05T12:00:00.000+0000", "LicenseInfo": "MIT",
            "CompatibleRuntimes": ["python3.12"], "CompatibleArchitectures": ["x86_64"],
        })
    };
    let mut shown = listed(1);
    shown["LayerArn"] = format!("{LAYER}:l").into();
    shown["Content"] = json!({"CodeSha256": CodeDigest::of(&package).base64(), "CodeSize": package.len()});
    assert_eq!(first, shown);
    assert_eq!(house.publish(input.clone()).await["Version"], 2);

    let by_arn = api::GetLayerVersionByArnRequest { arn: format!("{LAYER}:l:1") };
    let by_arn = house.control.get_layer_version_by_arn(by_arn, ENDPOINT).await.unwrap();
    assert_eq!(json::<ops::GetLayerVersionByArn>(&by_arn), house.layer("l", 1).await.unwrap());
    assert_eq!(house.layer(&format!("{LAYER}:l"), 1).await, house.layer("l", 1).await);
    let list = api::ListLayerVersionsRequest { layer_name: "l".into(), ..Default::default() };
    assert_eq!(house.layer_versions(list.clone()).await, json!({"LayerVersions": [listed(2), listed(1)]}));

    for number in [1, 2, 2, 9] {
        house.delete_layer("l", number).await;
    }
    assert_eq!(house.layer_versions(list).await, json!({"LayerVersions": []}));
    assert_eq!(house.layers(api::ListLayersRequest::default()).await, json!({"Layers": []}));
    assert_eq!(house.publish(input).await["Version"], 3, "no number is given twice");
}

#[tokio::test]
async fn a_plain_layer_shows_no_member_that_was_not_given() {
    let house = House::new();
    let shown = house.publish(publish("l", zip("layer"))).await;
    let mut members: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["Content", "CreatedDate", "Description", "LayerArn", "LayerVersionArn", "Version"]);
    assert_eq!(shown["Description"], "");
}

#[tokio::test]
async fn what_is_no_layer_version_of_ours_is_said_so() {
    let house = House::new();
    check(
        &house.layer("l", 1).await.unwrap_err(),
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    );
    check(
        &house.layer("l", 0).await.unwrap_err(),
        "InvalidParameterValueException",
        "Layer Version Cannot be less than 1",
    );
    for number in [0, -1] {
        let none = api::DeleteLayerVersionRequest { layer_name: "l".into(), version_number: number };
        let refused = house.control.delete_layer_version(none).await.unwrap_err();
        check(&refused, "InvalidParameterValueException", "Layer Version Cannot be less than 1");
    }
    for elsewhere in ["arn:aws:lambda:eu-west-1:123456789012:layer:l", "arn:aws:lambda:us-east-1:000000000000:layer:l"]
    {
        assert_eq!(house.layer(elsewhere, 1).await.unwrap_err().kind.code, "AccessDeniedException", "{elsewhere}");
    }
    let refused = house.control.publish_layer_version(publish("l", Bytes::from_static(b"no zip")), ENDPOINT).await;
    assert_eq!(refused.unwrap_err().kind.code, "InvalidParameterValueException");
    assert_eq!(house.layers(api::ListLayersRequest::default()).await, json!({"Layers": []}), "nothing is left of it");
}

#[tokio::test]
async fn lists_are_filtered_and_come_in_pages() {
    let house = House::new();
    let runtime = |text| Some(Runtime::from_text(text).unwrap());
    for (name, number) in [("a", 5), ("b", 2), ("c", 1)] {
        for version in 0..number {
            let runtimes = (version % 2 == 0).then(|| vec![runtime("python3.12").unwrap()]);
            let input = publish(name, zip("layer"));
            house.publish(api::PublishLayerVersionRequest { compatible_runtimes: runtimes, ..input }).await;
        }
    }
    let list = |marker: Option<&Value>, filtered: bool| api::ListLayerVersionsRequest {
        layer_name: "a".into(),
        compatible_runtime: runtime("python3.12").filter(|_| filtered),
        marker: marker.map(|marker| marker.as_str().unwrap().to_owned()),
        max_items: Some(2),
        ..Default::default()
    };
    let first = house.layer_versions(list(None, false)).await;
    let second = house.layer_versions(list(Some(&first["NextMarker"]), false)).await;
    let third = house.layer_versions(list(Some(&second["NextMarker"]), false)).await;
    assert_eq!((numbers(&first), numbers(&second), numbers(&third)), (vec![5, 4], vec![3, 2], vec![1]));
    assert_eq!(third.get("NextMarker"), None);
    let first = house.layer_versions(list(None, true)).await;
    let second = house.layer_versions(list(Some(&first["NextMarker"]), true)).await;
    assert_eq!((numbers(&first), numbers(&second), second.get("NextMarker")), (vec![5, 3], vec![1], None));

    let latest = |page: &Value| {
        let layers = page["Layers"].as_array().unwrap().iter();
        layers
            .map(|layer| (layer["LayerName"].clone(), layer["LatestMatchingVersion"]["Version"].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    let page = |marker: Option<&Value>| api::ListLayersRequest {
        compatible_runtime: runtime("python3.12"),
        marker: marker.map(|marker| marker.as_str().unwrap().to_owned()),
        max_items: Some(2),
        ..Default::default()
    };
    let first = house.layers(page(None)).await;
    let second = house.layers(page(Some(&first["NextMarker"]))).await;
    assert_eq!(latest(&first), [("a".into(), 5), ("b".into(), 1)]);
    assert_eq!((latest(&second), second.get("NextMarker")), (vec![("c".into(), 1)], None));
    let other = api::ListLayersRequest { compatible_runtime: runtime("nodejs22.x"), ..Default::default() };
    assert_eq!(house.layers(other).await, json!({"Layers": []}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_are_published_at_once_have_numbers_of_their_own() {
    let house = House::new();
    let publishing = (0..8).map(|_| {
        let control = Arc::clone(&house.control);
        tokio::spawn(async move { control.publish_layer_version(publish("l", zip("layer")), ENDPOINT).await })
    });
    let mut numbers = HashSet::new();
    for publishing in publishing.collect::<Vec<_>>() {
        numbers.insert(publishing.await.unwrap().unwrap().version.unwrap());
    }
    assert_eq!(numbers, (1..=8).collect());
}

#[tokio::test]
async fn a_layer_versions_policy_is_as_recorded() {
    let house = House::new();
    house.publish(publish("l", zip("layer"))).await;
    let (absent, conflict, stale) =
        ("ResourceNotFoundException", "ResourceConflictException", "PreconditionFailedException");
    let no_policy = house.layer_policy("l", 1).await.unwrap_err();
    check(&no_policy, absent, "No policy is associated with the given resource.");

    let added = house.allow("l", 1, "s1", None).await.unwrap();
    let statement = format!(
        r#"{{"Sid":"s1","Effect":"Allow","Principal":"*","Action":"lambda:GetLayerVersion","Resource":"{LAYER}:l:1"}}"#
    );
    assert_eq!(added.statement.as_deref(), Some(statement.as_str()));
    let policy = house.layer_policy("l", 1).await.unwrap();
    let document = format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statement}]}}"#);
    assert_eq!(policy, json!({"Policy": document, "RevisionId": added.revision_id}));

    let text = "The statement id (s1) provided already exists. Please provide a new statement id, or remove the \
                existing statement.";
    check(&house.allow("l", 1, "s1", None).await.unwrap_err(), conflict, text);
    let text = "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to \
                retrieve the latest Revision Id";
    check(&house.allow("l", 1, "s2", Some("wrong")).await.unwrap_err(), stale, text);
    check(&house.disallow("l", 1, "s1", Some("wrong")).await.unwrap_err(), stale, text);
    let text = "Statement other is not found in resource policy.";
    check(&house.disallow("l", 1, "other", None).await.unwrap_err(), absent, text);
    for (layer, version) in [("other", 1), ("l", 2), ("l", 0), ("l", -1)] {
        let text = format!("Layer version {LAYER}:{layer}:{version} does not exist.");
        check(&house.allow(layer, version, "s1", None).await.unwrap_err(), absent, &text);
        check(&house.disallow(layer, version, "s1", None).await.unwrap_err(), absent, &text);
        check(&house.layer_policy(layer, version).await.unwrap_err(), absent, &text);
    }

    house.disallow("l", 1, "s1", added.revision_id.as_deref()).await.unwrap();
    check(&house.layer_policy("l", 1).await.unwrap_err(), absent, "No policy is associated with the given resource.");
    assert_eq!(house.layer("l", 1).await.unwrap()["Version"], 1, "the version itself stays");
}

#[tokio::test]
async fn packages_of_layers_and_of_what_uses_them_stay() {
    let house = House::new();
    let (layer, used) = (zip("layer"), zip("used"));
    house.created("f").await;
    house.publish(publish("l", layer.clone())).await;
    house.publish(publish("u", used.clone())).await;
    let code = CodeRef { digest: CodeDigest::of(&used), size: used.len() as u64, unpacked: 4 };
    let reference = LayerRef { arn: format!("{LAYER}:u:1"), code };
    house.tamper("f", |record| record.latest.config.layers.push(reference)).await;
    house.delete_layer("u", 1).await;
    assert!(house.is_runnable(&used).await);

    let house = house.restarted();
    std::fs::remove_dir_all(house.folder.path().join("code").join(CodeDigest::of(&used).to_string())).unwrap();
    house.control.recover().await.unwrap();
    assert!(house.is_runnable(&layer).await && house.is_runnable(&used).await);
    let unused = house.control.tidy(&HashSet::new()).await.unwrap();
    assert_eq!(unused, HashSet::new());

    house.delete_layer("l", 1).await;
    let unused = house.control.tidy(&unused).await.unwrap();
    assert_eq!(unused, HashSet::from([CodeDigest::of(&layer)]));
    house.control.tidy(&unused).await.unwrap();
    assert!(!house.is_runnable(&layer).await && house.is_runnable(&used).await);
}
