//! Provisioned concurrency: what may be asked for.

use hearth_control::provisioned::Provisioner;
use hearth_types::settings::Provisioning;
use serde_json::json;

use super::*;

const INVALID: &str = "InvalidParameterValueException";
const MISSING: &str = "ResourceNotFoundException";
const CONFLICT: &str = "ResourceConflictException";

/// Whatever was asked for is there.
pub(crate) struct AllReady;

impl Provisioner for AllReady {
    fn provisioning(&self, _: &str, _: &str) -> Option<Provisioning> {
        Some(Provisioning { allocated: 1000, available: 1000, hindrance: None })
    }
}

impl House {
    /// A function with the versions 1 and 2, and an alias of 1.
    async fn provisionable() -> Self {
        let house = Self::new();
        house.created("f").await;
        house.publish_version("f").await;
        house.publish_anew("f", "second").await;
        house.point("live", "1").await;
        house
    }

    async fn point(&self, alias: &str, version: &str) {
        let input = api::CreateAliasRequest {
            function_name: "f".into(),
            name: alias.into(),
            function_version: version.into(),
            ..Default::default()
        };
        self.control.create_alias(input).await.unwrap();
    }

    async fn provision(&self, function: &str, qualifier: &str, wanted: i32) -> Result<Value, ApiError> {
        let input = api::PutProvisionedConcurrencyConfigRequest {
            function_name: function.into(),
            qualifier: qualifier.into(),
            provisioned_concurrent_executions: wanted,
        };
        let output = self.control.put_provisioned_concurrency_config(input).await?;
        Ok(json::<ops::PutProvisionedConcurrencyConfig>(&output))
    }

    async fn provisioned(&self, function: &str, qualifier: &str) -> Result<Value, ApiError> {
        let (function_name, qualifier) = (function.into(), qualifier.into());
        let input = api::GetProvisionedConcurrencyConfigRequest { function_name, qualifier };
        let output = self.control.get_provisioned_concurrency_config(input).await?;
        Ok(json::<ops::GetProvisionedConcurrencyConfig>(&output))
    }

    async fn unprovision(&self, function: &str, qualifier: &str) -> Result<(), ApiError> {
        let (function_name, qualifier) = (function.into(), qualifier.into());
        let input = api::DeleteProvisionedConcurrencyConfigRequest { function_name, qualifier };
        self.control.delete_provisioned_concurrency_config(input).await
    }

    /// The ARNs of what is listed, a page each.
    async fn all_provisioned(&self) -> Vec<Value> {
        let (mut arns, mut marker) = (Vec::new(), None);
        loop {
            let input =
                api::ListProvisionedConcurrencyConfigsRequest { function_name: "f".into(), marker, max_items: Some(1) };
            let found = self.control.list_provisioned_concurrency_configs(input).await.unwrap();
            let shown = json::<ops::ListProvisionedConcurrencyConfigs>(&found);
            arns.extend(shown["ProvisionedConcurrencyConfigs"].as_array().unwrap().iter().cloned());
            marker = found.next_marker;
            if marker.is_none() {
                return arns;
            }
        }
    }

    async fn reserve_for_f(&self, reserved: i32) -> Result<(), ApiError> {
        let input =
            api::PutFunctionConcurrencyRequest { function_name: "f".into(), reserved_concurrent_executions: reserved };
        self.control.put_function_concurrency(input).await.map(drop)
    }
}

#[tokio::test]
async fn what_is_asked_for_is_kept_and_in_progress_at_first() {
    let house = House::provisionable().await;
    let asked = house.provision("f", "2", 3).await.unwrap();
    let counts = json!({
        "RequestedProvisionedConcurrentExecutions": 3, "AllocatedProvisionedConcurrentExecutions": 0,
        "AvailableProvisionedConcurrentExecutions": 0, "LastModified": "2024-03-05T12:00:00+0000",
    });
    let found = with(counts, json!({"Status": "IN_PROGRESS"}));
    assert_eq!(asked, found);
    assert_eq!(house.provisioned("f", "2").await.unwrap(), found, "no time has passed");
    house.provision("f", "live", 1).await.unwrap();
    let listed = house.all_provisioned().await;
    assert_eq!(listed[0], with(found, json!({"FunctionArn": format!("{ARN}:f:2")})));
    assert_eq!((&listed[1]["FunctionArn"], listed.len()), (&json!(format!("{ARN}:f:live")), 2));

    house.unprovision("f", "2").await.unwrap();
    house.unprovision("f", "2").await.unwrap();
    let none = "No Provisioned Concurrency Config found for this function";
    let gone = house.provisioned("f", "2").await.unwrap_err();
    check(&gone, "ProvisionedConcurrencyConfigNotFoundException", none);
    assert_eq!(house.all_provisioned().await.len(), 1);
    house.delete("f", Some("2")).await.unwrap();
}

#[tokio::test]
async fn only_what_is_published_is_provisioned() {
    let house = House::provisionable().await;
    let unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
    check(&house.provision("f", "$LATEST", 1).await.unwrap_err(), INVALID, unpublished);
    let other = "The function resource provided must be an alias or a published version.";
    check(&house.provisioned("f", "$LATEST").await.unwrap_err(), INVALID, other);
    check(&house.unprovision("f", "$LATEST").await.unwrap_err(), INVALID, other);
    for (function, qualifier, text) in [
        ("f", "9", format!("Function not found: {ARN}:f:9")),
        ("none", "1", format!("Function not found: {ARN}:none:1")),
        ("f", "none", format!("Cannot find alias arn: {ARN}:f:none")),
        ("none", "live", format!("Cannot find alias arn: {ARN}:none:live")),
    ] {
        check(&house.provision(function, qualifier, 1).await.unwrap_err(), MISSING, &text);
        check(&house.provisioned(function, qualifier).await.unwrap_err(), MISSING, &text);
        check(&house.unprovision(function, qualifier).await.unwrap_err(), MISSING, &text);
    }
    let input = api::ListProvisionedConcurrencyConfigsRequest { function_name: "none".into(), ..Default::default() };
    let missing = house.control.list_provisioned_concurrency_configs(input).await.unwrap_err();
    check(&missing, MISSING, &format!("Function not found: {ARN}:none"));
}

#[tokio::test]
async fn a_version_is_provisioned_for_itself_or_for_aliases() {
    let house = House::provisionable().await;
    house.provision("f", "1", 1).await.unwrap();
    house.provision("f", "1", 2).await.unwrap();
    let taken = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version";
    check(&house.provision("f", "live", 1).await.unwrap_err(), CONFLICT, taken);
    house.unprovision("f", "1").await.unwrap();
    house.provision("f", "live", 1).await.unwrap();
    let pointed = "Version is pointed by a Provisioned Concurrency alias";
    check(&house.provision("f", "1", 1).await.unwrap_err(), CONFLICT, pointed);
    house.provision("f", "2", 1).await.unwrap();

    let gone = api::DeleteAliasRequest { function_name: "f".into(), name: "live".into() };
    house.control.delete_alias(gone).await.unwrap();
    house.point("live", "1").await;
    house.provision("f", "1", 1).await.expect("what the alias had is gone with it");
}

#[tokio::test]
async fn reservation_and_provision_bound_each_other() {
    let house = House::provisionable().await;
    house.provision("f", "1", 2).await.unwrap();
    let low = house.reserve_for_f(1).await.unwrap_err();
    let text =
        " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2].";
    check(&low, INVALID, text);
    assert_eq!(low.kind.fault, None, "as observed");
    house.reserve_for_f(2).await.unwrap();
    let text =
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
    check(&house.provision("f", "2", 1).await.unwrap_err(), INVALID, text);
    check(&house.provision("f", "1", 3).await.unwrap_err(), INVALID, text);
    house.provision("f", "1", 1).await.unwrap();
    house.provision("f", "2", 1).await.unwrap();
}

#[tokio::test]
async fn what_is_provisioned_is_taken_from_the_account() {
    let house = House::provisionable().await;
    let unreserved = || async {
        let settings = house.control.get_account_settings().await.unwrap();
        settings.account_limit.unwrap().unreserved_concurrent_executions.unwrap()
    };
    house.provision("f", "1", 300).await.unwrap();
    assert_eq!(unreserved().await, 700);
    house.created("g").await;
    house.publish_version("g").await;
    let text = "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [700].";
    check(&house.provision("g", "1", 701).await.unwrap_err(), INVALID, text);
    let input = api::PutFunctionConcurrencyRequest { function_name: "g".into(), reserved_concurrent_executions: 601 };
    house.control.put_function_concurrency(input).await.expect_err("it leaves less than 100");
    house.reserve_for_f(400).await.unwrap();
    assert_eq!(unreserved().await, 600, "what is provisioned is part of the reservation");
}

#[tokio::test]
async fn an_alias_of_what_is_not_published_is_not_provisioned() {
    let house = House::provisionable().await;
    house.point("next", "$LATEST").await;
    let unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
    check(&house.provision("f", "next", 1).await.unwrap_err(), INVALID, unpublished);
}
