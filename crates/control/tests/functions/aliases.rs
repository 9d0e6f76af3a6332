//! Aliases: where they lead, and what keeps them from leading nowhere.

use hearth_api::ops;
use serde_json::json;

use super::*;

const INVALID: &str = "InvalidParameterValueException";
const MISSING: &str = "ResourceNotFoundException";

impl House {
    /// A function with two published versions.
    async fn with_versions(name: &str) -> Self {
        let house = Self::new();
        house.created(name).await;
        house.publish_version(name).await;
        house.publish_anew(name, "second").await;
        house
    }

    async fn create_alias(&self, input: api::CreateAliasRequest) -> Result<Value, ApiError> {
        Ok(json::<ops::CreateAlias>(&self.control.create_alias(input).await?))
    }

    async fn get_alias(&self, function: &str, name: &str) -> Result<Value, ApiError> {
        let input = api::GetAliasRequest { function_name: function.into(), name: name.into() };
        Ok(json::<ops::GetAlias>(&self.control.get_alias(input).await?))
    }

    async fn update_alias(&self, input: api::UpdateAliasRequest) -> Result<Value, ApiError> {
        Ok(json::<ops::UpdateAlias>(&self.control.update_alias(input).await?))
    }

    async fn delete_alias(&self, function: &str, name: &str) -> Result<(), ApiError> {
        let input = api::DeleteAliasRequest { function_name: function.into(), name: name.into() };
        self.control.delete_alias(input).await
    }

    /// The names of a function's aliases.
    async fn aliases(&self, function: &str, version: Option<&str>, page: i32) -> Vec<String> {
        let (mut names, mut marker) = (Vec::new(), None);
        loop {
            let input = api::ListAliasesRequest {
                function_name: function.into(),
                function_version: version.map(str::to_owned),
                marker,
                max_items: Some(page),
            };
            let found = self.control.list_aliases(input).await.unwrap();
            names.extend(found.aliases.unwrap().into_iter().map(|alias| alias.name.unwrap()));
            marker = found.next_marker;
            if marker.is_none() {
                return names;
            }
        }
    }
}

fn alias(name: &str, version: &str, weights: &[(&str, f64)]) -> api::CreateAliasRequest {
    api::CreateAliasRequest {
        function_name: "f".into(),
        name: name.into(),
        function_version: version.into(),
        description: None,
        routing_config: (!weights.is_empty()).then(|| routing(weights)),
    }
}

fn routing(weights: &[(&str, f64)]) -> api::AliasRoutingConfiguration {
    let weights = weights.iter().map(|(version, weight)| ((*version).to_owned(), *weight)).collect();
    api::AliasRoutingConfiguration { additional_version_weights: Some(weights) }
}

fn change(name: &str) -> api::UpdateAliasRequest {
    api::UpdateAliasRequest { function_name: "f".into(), name: name.into(), ..Default::default() }
}

#[tokio::test]
async fn an_alias_is_shown_as_recorded_and_leads_to_its_version() {
    let house = House::with_versions("f").await;
    let before = house.configuration("f").await;
    let mut shown = house.create_alias(alias("prod", "1", &[("2", 0.2)])).await.unwrap();
    assert_eq!(house.get_alias("f", "prod").await.unwrap(), shown);
    let revision = shown.as_object_mut().unwrap().remove("RevisionId").unwrap();
    let base = json!({"AliasArn": format!("{ARN}:f:prod"), "Name": "prod", "Description": "", "FunctionVersion": "1"});
    let mut expected = base.clone();
    expected["RoutingConfig"] = json!({"AdditionalVersionWeights": {"2": 0.2}});
    assert_eq!(shown, expected);
    assert_eq!(house.configuration("f").await, before, "an alias changes no revision");

    let mut configuration = house.asked("f", Some("prod")).await.unwrap();
    assert_eq!(configuration["FunctionArn"], format!("{ARN}:f:prod"));
    configuration["FunctionArn"] = format!("{ARN}:f:1").into();
    assert_eq!(configuration, house.asked("f", Some("1")).await.unwrap());

    let updated =
        house.update_alias(api::UpdateAliasRequest { routing_config: Some(routing(&[])), ..change("prod") }).await;
    let mut updated = updated.unwrap();
    assert_ne!(updated.as_object_mut().unwrap().remove("RevisionId").unwrap(), revision);
    assert_eq!(updated, base);
    let described = api::UpdateAliasRequest {
        description: Some("d".into()),
        function_version: Some("$LATEST".into()),
        ..change("prod")
    };
    let updated = house.update_alias(described).await.unwrap();
    assert_eq!((&updated["Description"], &updated["FunctionVersion"]), (&"d".into(), &"$LATEST".into()));
    assert_eq!(house.asked("f:prod", None).await.unwrap()["Version"], "$LATEST");

    house.delete_alias("f", "prod").await.unwrap();
    house.delete_alias("f", "prod").await.expect("deleting what is not there succeeds");
    check(&house.get_alias("f", "prod").await.unwrap_err(), MISSING, &format!("Cannot find alias arn: {ARN}:f:prod"));
    check(&house.asked("f", Some("prod")).await.unwrap_err(), MISSING, &format!("Function not found: {ARN}:f:prod"));
    check(&house.update_alias(change("prod")).await.unwrap_err(), MISSING, &format!("Alias not found: {ARN}:f:prod"));
}

#[tokio::test]
async fn weights_that_make_no_sense_are_refused() {
    let house = House::with_versions("f").await;
    house.create_alias(alias("there", "1", &[])).await.unwrap();
    let same = "Invalid function version 1. Function version 1 is already included in routing configuration.";
    let latest = "$LATEST is not supported for an alias pointing to more than 1 version";
    let many = "Number of items in AdditionalVersionWeights cannot be greater than 1";
    let missing = format!("Function not found: {ARN}:f:10");
    for (input, code, text) in [
        (alias("a", "1", &[("1", 0.8), ("2", 0.2)]), INVALID, many),
        (alias("a", "1", &[("1", 0.5)]), INVALID, same),
        (alias("a", "$LATEST", &[("1", 0.5)]), INVALID, latest),
        (alias("a", "10", &[("2", 0.5)]), MISSING, &missing),
        (alias("a", "1", &[("10", 0.5)]), MISSING, &missing),
        (alias("a", "1", &[("010", 0.5)]), MISSING, &missing.replace("10", "010")),
        (alias("there", "1", &[]), "ResourceConflictException", &format!("Alias already exists: {ARN}:f:there")),
    ] {
        let error = house.create_alias(input).await.unwrap_err();
        check(&error, code, text);
        assert_eq!(error.kind.fault.is_none(), text == latest);
    }
    let unknown = api::CreateAliasRequest { function_name: "g".into(), ..alias("a", "1", &[]) };
    check(&house.create_alias(unknown).await.unwrap_err(), MISSING, &format!("Function not found: {ARN}:g:1"));
    // An update is judged by what the alias becomes.
    house.create_alias(alias("weighted", "1", &[("2", 0.5)])).await.unwrap();
    let onto = |version: &str| api::UpdateAliasRequest { function_version: Some(version.into()), ..change("weighted") };
    check(&house.update_alias(onto("2")).await.unwrap_err(), INVALID, &same.replace('1', "2"));
    check(&house.update_alias(onto("$LATEST")).await.unwrap_err(), INVALID, latest);
    assert_eq!(house.get_alias("f", "weighted").await.unwrap()["FunctionVersion"], "1");
}

#[tokio::test]
async fn versions_that_share_invokes_have_one_role_and_one_dead_letter_target() {
    let house = House::with_versions("f").await;
    let publish = async |input: api::UpdateFunctionConfigurationRequest| {
        house.update(input).await.unwrap();
        house.control.settle("f").await.unwrap();
        house.publish_version("f").await["Version"].as_str().unwrap().to_owned()
    };
    let target_arn = Some("arn:aws:sqs:us-east-1:123456789012:q".to_owned());
    let dead_letter_config = Some(api::DeadLetterConfig { target_arn });
    let letters = publish(api::UpdateFunctionConfigurationRequest { dead_letter_config, ..configure("f") }).await;
    let other = Some(format!("{ROLE}-other"));
    let role = publish(api::UpdateFunctionConfigurationRequest { role: other, ..configure("f") }).await;
    for (main, additional, what) in [("1", &letters, "dead letter configuration"), (&letters, &role, "execution role")]
    {
        let error = house.create_alias(alias("a", main, &[(additional, 0.5)])).await.unwrap_err();
        let text = format!("The function versions of an alias must have the same {what}, but theirs are not the same.");
        check(&error, INVALID, &text);
    }
    assert!(house.get_alias("f", "a").await.is_err());
}

#[tokio::test]
async fn an_update_may_name_the_revision_that_it_knows() {
    let house = House::with_versions("f").await;
    let first = house.create_alias(alias("a", "1", &[])).await.unwrap()["RevisionId"].as_str().unwrap().to_owned();
    let with = |revision: &str| api::UpdateAliasRequest { revision_id: Some(revision.into()), ..change("a") };
    house.update_alias(with(&first)).await.unwrap();
    check(
        &house.update_alias(with(&first)).await.unwrap_err(),
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. \
         Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
    );
}

#[tokio::test]
async fn aliases_are_listed_by_the_versions_that_they_lead_to() {
    let house = House::with_versions("f").await;
    for (name, version, weights) in
        [("a", "1", &[][..]), ("b", "2", &[]), ("c", "$LATEST", &[]), ("d", "2", &[("1", 0.1)]), ("e", "1", &[])]
    {
        house.create_alias(alias(name, version, weights)).await.unwrap();
    }
    for page in [1, 2, 10_000] {
        assert_eq!(house.aliases("f", None, page).await, ["a", "b", "c", "d", "e"]);
        assert_eq!(house.aliases("f", Some("1"), page).await, ["a", "d", "e"]);
        assert_eq!(house.aliases("f", Some("$LATEST"), page).await, ["c"]);
        assert!(house.aliases("f", Some("7"), page).await.is_empty());
    }
}

#[tokio::test]
async fn a_version_that_an_alias_leads_to_stays() {
    let house = House::with_versions("f").await;
    house.create_alias(alias("a", "1", &[("2", 0.5)])).await.unwrap();
    for version in ["1", "2"] {
        check(
            &house.delete("f", Some(version)).await.unwrap_err(),
            "ResourceConflictException",
            "Unable to delete version because the following aliases reference it: [a]",
        );
    }
    check(&house.delete("f", Some("a")).await.unwrap_err(), INVALID, "Deletion of aliases is not currently supported.");
    house.delete_alias("f", "a").await.unwrap();
    house.delete("f", Some("1")).await.unwrap();
    assert!(house.asked("f", Some("1")).await.is_err());
}

#[tokio::test]
async fn an_alias_and_the_end_of_its_version_exclude_each_other() {
    for _ in 0..20 {
        let house = House::with_versions("f").await;
        let (made, deleted) = tokio::join!(house.create_alias(alias("a", "1", &[])), house.delete("f", Some("1")));
        assert_ne!(made.is_ok(), deleted.is_ok(), "{made:?} {deleted:?}");
        assert_eq!(house.asked("f", Some("a")).await.is_ok(), made.is_ok());
    }
}

#[tokio::test]
async fn nothing_of_a_function_is_left_to_the_next_of_its_name() {
    let house = House::with_versions("f").await;
    house.create_alias(alias("a", "1", &[])).await.unwrap();
    house.delete("f", None).await.unwrap();
    house.created("f").await;
    assert!(house.aliases("f", None, 9).await.is_empty());
    assert!(house.asked("f", Some("1")).await.is_err());
}
