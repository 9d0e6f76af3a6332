//! How runtimes are managed: which of the machine's interpreters a version is held to.

use hearth_types::function::RuntimeUpdate;
use hearth_types::runtime::{ARCHITECTURE, RuntimeVersion};
use serde_json::json;

use super::*;

const MISSING: &str = "ResourceNotFoundException";
const INVALID: &str = "InvalidParameterValueException";

fn python(program: &str) -> RuntimeVersion {
    RuntimeVersion::installed("python3.12", "3.12.1", program, "1")
}

fn node() -> RuntimeVersion {
    RuntimeVersion::installed("nodejs22.x", "22.1.0", "/usr/bin/node", "1")
}

/// Of Python these interpreters, the normal one first; and a Node.js.
fn machine(pythons: &[&str]) -> Installed {
    let pythons = pythons.iter().map(|program| ("python3.12".to_owned(), python(program)));
    Installed::new(pythons.chain([("nodejs22.x".to_owned(), node())]).collect())
}

fn arn(version: &RuntimeVersion) -> String {
    version.arn("us-east-1")
}

/// A function for this machine, whichever that is.
async fn house(pythons: &[&str]) -> House {
    let house = House::new().restarted_with(machine(pythons));
    let architectures = Some(vec![api::Architecture::from_text(ARCHITECTURE).unwrap()]);
    house.control.create_function(api::CreateFunctionRequest { architectures, ..create("f") }).await.unwrap();
    house.control.settle("f").await.unwrap();
    house
}

impl House {
    async fn managed(&self, name: &str) -> Result<Value, ApiError> {
        let input = api::GetRuntimeManagementConfigRequest { function_name: name.into(), qualifier: None };
        let output = self.control.get_runtime_management_config(input).await?;
        Ok(json::<ops::GetRuntimeManagementConfig>(&output))
    }

    async fn manage(&self, name: &str, mode: api::UpdateRuntimeOn, arn: Option<String>) -> Result<Value, ApiError> {
        let input = api::PutRuntimeManagementConfigRequest {
            function_name: name.into(),
            qualifier: None,
            update_runtime_on: mode,
            runtime_version_arn: arn,
        };
        let output = self.control.put_runtime_management_config(input).await?;
        Ok(json::<ops::PutRuntimeManagementConfig>(&output))
    }

    async fn runs(&self, qualifier: Option<&str>) -> Value {
        self.asked("f", qualifier).await.unwrap()["RuntimeVersionConfig"].take()
    }

    async fn touch_f(&self) {
        self.update(api::UpdateFunctionConfigurationRequest { timeout: Some(4), ..configure("f") }).await.unwrap();
        self.control.settle("f").await.unwrap();
    }
}

#[tokio::test]
async fn auto_is_what_the_machine_has_now() {
    let house = house(&["/a", "/b"]).await;
    house.publish_version("f").await;
    for (name, function) in [("f", format!("{ARN}:f:$LATEST")), ("f:1", format!("{ARN}:f:1"))] {
        let auto = json!({"UpdateRuntimeOn": "Auto", "FunctionArn": function});
        assert_eq!(house.managed(name).await.unwrap(), auto);
        assert_eq!(house.manage(name, api::UpdateRuntimeOn::Auto, None).await.unwrap(), auto);
    }
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": arn(&python("/a"))}));
    let house = house.restarted_with(machine(&["/b", "/a"]));
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": arn(&python("/b"))}));
    let house = house.restarted_with(machine(&[]));
    let nominal = RuntimeVersion::nominal("python3.12", ARCHITECTURE);
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": arn(&nominal)}));
}

#[tokio::test]
async fn what_an_update_chose_stays_until_the_next() {
    let house = house(&["/a", "/b"]).await;
    let put = house.manage("f", api::UpdateRuntimeOn::FunctionUpdate, None).await.unwrap();
    assert_eq!(put, json!({"UpdateRuntimeOn": "FunctionUpdate", "FunctionArn": format!("{ARN}:f:$LATEST")}));
    let house = house.restarted_with(machine(&["/b", "/a"]));
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": arn(&python("/a"))}));
    house.publish_version("f").await;
    house.touch_f().await;
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": arn(&python("/b"))}));
    assert_eq!(house.runs(Some("1")).await, json!({"RuntimeVersionArn": arn(&python("/a"))}), "as it was published");
    assert_eq!(house.managed("f:1").await.unwrap()["UpdateRuntimeOn"], "FunctionUpdate");
}

#[tokio::test]
async fn what_serves_during_an_update_goes_on_with_its_interpreter() {
    let house = house(&["/a"]).await;
    house.manage("f", api::UpdateRuntimeOn::FunctionUpdate, None).await.unwrap();
    let house = house.restarted_with(machine(&["/b", "/a"]));
    house.update(api::UpdateFunctionConfigurationRequest { timeout: Some(4), ..configure("f") }).await.unwrap();
    let seen = house.store.get("function/f").await.unwrap().unwrap();
    let record: FunctionRecord = serde_json::from_slice(&seen.value).unwrap();
    assert_eq!(record.latest.runtime_update, RuntimeUpdate::FunctionUpdate(Some(python("/b"))));
    if let Some(serving) = record.latest.serving {
        assert_eq!(serving.runtime_update, RuntimeUpdate::FunctionUpdate(Some(python("/a"))));
    }
}

#[tokio::test]
async fn by_hand_it_is_one_that_the_machine_has() {
    let house = house(&["/a", "/b"]).await;
    house.publish_version("f").await;
    let manual = api::UpdateRuntimeOn::Manual;
    let b = arn(&python("/b"));
    for (name, function) in [("f", format!("{ARN}:f:$LATEST")), ("f:1", format!("{ARN}:f:1"))] {
        let wanted = json!({"UpdateRuntimeOn": "Manual", "FunctionArn": function, "RuntimeVersionArn": b});
        assert_eq!(house.manage(name, manual, Some(b.clone())).await.unwrap(), wanted);
        assert_eq!(house.managed(name).await.unwrap(), wanted);
    }
    house.touch_f().await;
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": b}), "an update changes nothing");
    assert_eq!(house.runs(Some("1")).await, json!({"RuntimeVersionArn": b}));
    let update = api::UpdateFunctionConfigurationRequest { runtime: Some("nodejs22.x".into()), ..configure("f") };
    let refused = house.update(update.clone()).await.unwrap_err();
    assert_eq!(refused.kind.code, INVALID);
    let later = house.manage("f", api::UpdateRuntimeOn::FunctionUpdate, None).await.unwrap();
    assert_eq!(later.get("RuntimeVersionArn"), None);
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": b}), "until the next update");
    house.update(update).await.unwrap();
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": arn(&node())}));
}

#[tokio::test]
async fn one_that_is_gone_is_shown_as_an_error() {
    let house = house(&["/a", "/b"]).await;
    house.manage("f", api::UpdateRuntimeOn::Manual, Some(arn(&python("/b")))).await.unwrap();
    let house = house.restarted_with(machine(&["/a"]));
    let message = "This machine does not have it any more: 3.12.1 at /b.";
    let error = json!({"ErrorCode": "Runtime.InvalidRuntime", "Message": message});
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": arn(&python("/b")), "Error": error}));
    house.manage("f", api::UpdateRuntimeOn::Auto, None).await.unwrap();
    assert_eq!(house.runs(None).await, json!({"RuntimeVersionArn": arn(&python("/a"))}));
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let house = house(&["/a"]).await;
    use api::UpdateRuntimeOn::{Auto, FunctionUpdate, Manual};
    let (a, foreign) = (arn(&python("/a")), "arn:aws:lambda:us-east-1::runtime:0".to_owned());
    for (mode, given, text) in [
        (Manual, None, "RuntimeVersionArn must be given where UpdateRuntimeOn is Manual.".to_owned()),
        (Auto, Some(&a), "RuntimeVersionArn cannot be given where UpdateRuntimeOn is Auto.".to_owned()),
        (
            FunctionUpdate,
            Some(&a),
            "RuntimeVersionArn cannot be given where UpdateRuntimeOn is FunctionUpdate.".to_owned(),
        ),
        (
            Manual,
            Some(&foreign),
            format!("There is no runtime version {foreign} of python3.12 here: this machine's is {a}."),
        ),
        (
            Manual,
            Some(&arn(&node())),
            format!("The runtime version {} is one of nodejs22.x. The function's runtime is python3.12.", arn(&node())),
        ),
    ] {
        check(&house.manage("f", mode, given.cloned()).await.unwrap_err(), INVALID, &text);
    }
    check(&house.managed("f:2").await.unwrap_err(), MISSING, &format!("Function not found: {ARN}:f:2"));
    check(&house.managed("g").await.unwrap_err(), MISSING, &format!("Function not found: {ARN}:g"));
    assert_eq!(house.managed("f").await.unwrap()["UpdateRuntimeOn"], "Auto", "nothing of it was kept");
}
