//! The control plane, driven by the model's operations, and all that can be read of it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use serde_json::{Map, json};

use super::pure::{Outcome, package};
use super::turns::Turns;
use super::*;

const ENDPOINT: &str = "http://localhost:4566";
/// More steps than any chain of tasks has that an operation starts.
const STEPS: usize = 200;

pub(super) struct Driven(House, Arc<Turns>);

impl Driven {
    pub(super) fn new() -> Self {
        Self::over(House::new())
    }

    pub(super) async fn restarted(self) -> Self {
        let driven = Self::over(self.0);
        driven.0.control.recover().await.unwrap();
        driven
    }

    /// A control plane of its own over what a house has.
    fn over(mut house: House) -> Self {
        let (applied_to, applied) = watch::channel(0);
        let turns = Arc::new(Turns::over(Arc::clone(&house.store)));
        house.control = control(&turns, &house.blobs, &house.trees, applied, (Roles::Any, Installed::default()));
        house.follow(applied_to);
        Self(house, turns)
    }

    /// Asks and waits until what the answer shows under way is done.
    pub(super) async fn ask(&self, operation: &Operation) -> Outcome {
        let answer = self.answer(operation).await;
        self.settle().await;
        answer.map_err(|error| error.kind.code)
    }

    /// Asks both at the same time; `turns` says how they take turns.
    pub(super) async fn ask_together(&self, one: &Operation, other: &Operation, turns: u64) -> (Outcome, Outcome) {
        self.1.shuffle(turns);
        let both = tokio::join!(self.answer(one), self.answer(other));
        self.1.stop();
        self.settle().await;
        let code = |answer: Result<u64, ApiError>| answer.map_err(|error| error.kind.code);
        (code(both.0), code(both.1))
    }

    /// Asks and goes away after so many steps.
    pub(super) async fn abandon(&self, operation: &Operation, polls: usize) {
        {
            let mut asked = pin!(self.answer(operation));
            let mut left = polls;
            poll_fn(|context| {
                if left == 0 || asked.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                left -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
        // What goes on without the client.
        for _ in 0..STEPS {
            tokio::task::yield_now().await;
        }
        self.settle().await;
    }

    async fn settle(&self) {
        for function in 0..2 {
            self.0.control.settle(&format!("f{function}")).await.unwrap();
        }
    }

    async fn answer(&self, operation: &Operation) -> Result<u64, ApiError> {
        let control = &self.0.control;
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
        match operation.clone() {
            Operation::Create { function, code, layers, publish } => {
                let input = api::CreateFunctionRequest {
                    code: api::FunctionCode { zip_file: Some(package(code)), ..Default::default() },
                    layers: Some(arns(&layers)),
                    publish: Some(publish),
                    ..create(&name(function))
                };
                Ok(number(control.create_function(input).await?.version))
            }
            Operation::UpdateCode { function, code, publish } => {
                let input = api::UpdateFunctionCodeRequest {
                    publish: Some(publish),
                    ..code_of(&name(function), package(code))
                };
                Ok(number(control.update_function_code(input).await?.version))
            }
            Operation::Configure { function, description, layers } => {
                let input = api::UpdateFunctionConfigurationRequest {
                    description: Some(description.to_string()),
                    layers: layers.as_deref().map(arns),
                    ..configure(&name(function))
                };
                control.update_function_configuration(input).await.map(|_| 0)
            }
            Operation::Publish { function, description } => {
                let input = api::PublishVersionRequest {
                    function_name: name(function),
                    description: description.map(|description| description.to_string()),
                    ..Default::default()
                };
                Ok(number(control.publish_version(input).await?.version))
            }
            Operation::Delete { function, version } => {
                let qualifier = version.map(|number| number.to_string());
                let input = api::DeleteFunctionRequest { function_name: name(function), qualifier };
                control.delete_function(input).await.map(|_| 0)
            }
            Operation::CreateAlias { function, alias, version, weight } => {
                let input = api::CreateAliasRequest {
                    function_name: name(function),
                    name: format!("a{alias}"),
                    function_version: version_name(version),
                    routing_config: Some(routing(weight)),
                    ..Default::default()
                };
                control.create_alias(input).await.map(|_| 0)
            }
            Operation::UpdateAlias { function, alias, version, weight } => {
                let input = api::UpdateAliasRequest {
                    function_name: name(function),
                    name: format!("a{alias}"),
                    function_version: version.map(version_name),
                    routing_config: weight.map(routing),
                    ..Default::default()
                };
                control.update_alias(input).await.map(|_| 0)
            }
            Operation::DeleteAlias { function, alias } => {
                let input = api::DeleteAliasRequest { function_name: name(function), name: format!("a{alias}") };
                control.delete_alias(input).await.map(|()| 0)
            }
            Operation::Allow { function, of, sid } => {
                let input = api::AddPermissionRequest {
                    function_name: name(function),
                    qualifier: qualifier(of),
                    statement_id: sid.to_string(),
                    action: "lambda:InvokeFunction".into(),
                    principal: "*".into(),
                    ..Default::default()
                };
                control.add_permission(input).await.map(|_| 0)
            }
            Operation::Disallow { function, of, sid } => {
                let input = api::RemovePermissionRequest {
                    function_name: name(function),
                    qualifier: qualifier(of),
                    statement_id: sid.to_string(),
                    revision_id: None,
                };
                control.remove_permission(input).await.map(|()| 0)
            }
            Operation::Reserve { function, reserved } => {
                let reserved_concurrent_executions = i32::try_from(reserved).unwrap();
                let input = api::PutFunctionConcurrencyRequest {
                    function_name: name(function),
                    reserved_concurrent_executions,
                };
                control.put_function_concurrency(input).await.map(|_| 0)
            }
            Operation::Unreserve { function } => {
                let input = api::DeleteFunctionConcurrencyRequest { function_name: name(function) };
                control.delete_function_concurrency(input).await.map(|()| 0)
            }
            Operation::PublishLayer { layer, code } => {
                let input = api::PublishLayerVersionRequest {
                    layer_name: format!("l{layer}"),
                    content: api::LayerVersionContentInput { zip_file: Some(package(code)), ..Default::default() },
                    ..Default::default()
                };
                let version = control.publish_layer_version(input, ENDPOINT).await?.version;
                Ok(u64::try_from(version.unwrap()).unwrap())
            }
            Operation::DeleteLayer { layer, version } => {
                let input =
                    api::DeleteLayerVersionRequest { layer_name: format!("l{layer}"), version_number: long(version) };
                control.delete_layer_version(input).await.map(|()| 0)
            }
            Operation::AllowLayer { layer, version, sid } => {
                let input = api::AddLayerVersionPermissionRequest {
                    layer_name: format!("l{layer}"),
                    version_number: long(version),
                    statement_id: sid.to_string(),
                    action: "lambda:GetLayerVersion".into(),
                    principal: "*".into(),
                    ..Default::default()
                };
                control.add_layer_version_permission(input).await.map(|_| 0)
            }
            Operation::DisallowLayer { layer, version, sid } => {
                let input = api::RemoveLayerVersionPermissionRequest {
                    layer_name: format!("l{layer}"),
                    version_number: long(version),
                    statement_id: sid.to_string(),
                    revision_id: None,
                };
                control.remove_layer_version_permission(input).await.map(|()| 0)
            }
        }
    }

    /// All records.
    pub(super) async fn stored(&self) -> Vec<(String, Bytes)> {
        let all = self.0.store.list("", None, usize::MAX).await.unwrap();
        all.into_iter().map(|(key, found)| (key, found.value)).collect()
    }

    /// Everything that clients can read, lists in short pages; as the model shows it.
    pub(super) async fn seen(&self) -> Value {
        let control = &self.0.control;
        let account = json::<ops::GetAccountSettings>(&control.get_account_settings().await.unwrap());
        let listed = pages(async |marker| {
            let input = api::ListFunctionsRequest { marker, max_items: Some(1), ..Default::default() };
            let found = control.list_functions(input).await.unwrap();
            (found.functions.unwrap(), found.next_marker)
        });
        let mut functions = Map::new();
        for function in listed.await {
            let name = function.function_name.unwrap();
            let seen = self.function(&name).await;
            functions.insert(name, seen);
        }
        let listed = pages(async |marker| {
            let input = api::ListLayersRequest { marker, max_items: Some(1), ..Default::default() };
            let found = control.list_layers(input).await.unwrap();
            (found.layers.unwrap(), found.next_marker)
        });
        let mut layers = Map::new();
        for layer in listed.await {
            let name = layer.layer_name.unwrap();
            let seen = self.layer(&name).await;
            layers.insert(name, seen);
        }
        json!({"functions": functions, "layers": layers, "account": {
            "functions": account["AccountUsage"]["FunctionCount"], "bytes": account["AccountUsage"]["TotalCodeSize"],
            "unreserved": account["AccountLimit"]["UnreservedConcurrentExecutions"],
        }})
    }

    async fn function(&self, name: &str) -> Value {
        let control = &self.0.control;
        let versions = pages(async |marker| {
            let function_name = name.to_owned();
            let input = api::ListVersionsByFunctionRequest { function_name, marker, max_items: Some(2) };
            let found = control.list_versions_by_function(input).await.unwrap();
            (found.versions.unwrap(), found.next_marker)
        });
        let aliases = pages(async |marker| {
            let function_name = name.to_owned();
            let input = api::ListAliasesRequest { function_name, marker, max_items: Some(1), ..Default::default() };
            let found = control.list_aliases(input).await.unwrap();
            (found.aliases.unwrap(), found.next_marker)
        });
        let aliases: Map<_, _> = (aliases.await.iter())
            .map(|alias| (alias.name.clone().unwrap(), alias_modelled(&json::<ops::GetAlias>(alias))))
            .collect();
        let (mut numbered, mut policies) = (Map::new(), Map::new());
        for version in versions.await {
            let number = version.version.unwrap();
            let configuration = self.0.asked(name, Some(&number)).await.unwrap();
            numbered.insert(number, version_modelled(&configuration));
        }
        for qualifier in [String::new()].iter().chain(numbered.keys()).chain(aliases.keys()) {
            let asked = Some(qualifier.clone()).filter(|qualifier| !qualifier.is_empty());
            let input = api::GetPolicyRequest { function_name: name.to_owned(), qualifier: asked };
            if let Ok(policy) = control.get_policy(input).await {
                policies.insert(qualifier.clone(), sids(&json::<ops::GetPolicy>(&policy)));
            }
        }
        let input = api::GetFunctionRequest { function_name: name.to_owned(), ..Default::default() };
        let whole = json::<ops::GetFunction>(&control.get_function(input, ENDPOINT).await.unwrap());
        json!({
            "latest": numbered.remove("$LATEST"), "versions": numbered, "aliases": aliases, "policies": policies,
            "reserved": whole["Concurrency"]["ReservedConcurrentExecutions"],
        })
    }

    async fn layer(&self, name: &str) -> Value {
        let control = &self.0.control;
        let listed = pages(async |marker| {
            let layer_name = name.to_owned();
            let input = api::ListLayerVersionsRequest { layer_name, marker, max_items: Some(2), ..Default::default() };
            let found = control.list_layer_versions(input).await.unwrap();
            (found.layer_versions.unwrap(), found.next_marker)
        });
        let mut versions = Map::new();
        for version in listed.await {
            let (layer_name, version_number) = (name.to_owned(), version.version.unwrap());
            let input = api::GetLayerVersionRequest { layer_name: layer_name.clone(), version_number };
            let whole = json::<ops::GetLayerVersion>(&control.get_layer_version(input, ENDPOINT).await.unwrap());
            let input = api::GetLayerVersionPolicyRequest { layer_name, version_number };
            let policy = control.get_layer_version_policy(input).await.ok();
            let sids = policy.map_or(json!([]), |policy| sids(&json::<ops::GetLayerVersionPolicy>(&policy)));
            versions.insert(version_number.to_string(), json!([code_of_sha(&whole["Content"]["CodeSha256"]), sids]));
        }
        versions.into()
    }
}

fn version_modelled(configuration: &Value) -> Value {
    assert_eq!((&configuration["State"], &configuration["LastUpdateStatus"]), (&json!("Active"), &json!("Successful")));
    let description = configuration["Description"].as_str().unwrap().parse::<u8>().ok();
    let layers: Vec<String> = (configuration["Layers"].as_array().into_iter().flatten())
        .map(|layer| layer["Arn"].as_str().unwrap().split_once(":layer:").unwrap().1.to_owned())
        .collect();
    json!([code_of_sha(&configuration["CodeSha256"]), description, layers])
}

fn alias_modelled(alias: &Value) -> Value {
    let weights = alias["RoutingConfig"]["AdditionalVersionWeights"].as_object();
    let weight = weights.and_then(|weights| weights.keys().next()).map(|number| number.parse::<u64>().unwrap());
    json!([alias["FunctionVersion"].as_str().unwrap().parse().unwrap_or(0_u64), weight])
}

/// The statements' ids, in the order of the document; none of no policy.
fn sids(policy: &Value) -> Value {
    let document: Value = policy["Policy"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    let sid = |statement: &Value| statement["Sid"].as_str().unwrap().parse::<u8>().unwrap();
    document["Statement"].as_array().into_iter().flatten().map(sid).collect()
}

fn code_of_sha(sha: &Value) -> u8 {
    (0..3).find(|code| CodeDigest::of(&package(*code)).base64() == *sha).unwrap()
}

/// All entries of a list.
async fn pages<T>(page: impl AsyncFn(Option<String>) -> (Vec<T>, Option<String>)) -> Vec<T> {
    let (mut all, mut marker) = (Vec::new(), None);
    loop {
        let (some, next) = page(marker).await;
        all.extend(some);
        marker = next;
        if marker.is_none() {
            return all;
        }
    }
}

fn name(function: u8) -> String {
    format!("f{function}")
}

fn version_name(version: u64) -> String {
    if version == 0 { "$LATEST".into() } else { version.to_string() }
}

fn qualifier(of: Of) -> Option<String> {
    Some(of.name()).filter(|name| !name.is_empty())
}

fn routing(weight: Option<u64>) -> api::AliasRoutingConfiguration {
    let weights = weight.map(|number| (number.to_string(), 0.25)).into_iter().collect();
    api::AliasRoutingConfiguration { additional_version_weights: Some(weights) }
}

fn arns(layers: &[(u8, u64)]) -> Vec<String> {
    let arn = |(layer, number): &(u8, u64)| format!("arn:aws:lambda:us-east-1:123456789012:layer:l{layer}:{number}");
    layers.iter().map(arn).collect()
}

fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}
