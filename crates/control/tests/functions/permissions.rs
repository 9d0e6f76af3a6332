//! Policies of functions, versions and aliases as the real service shows them.

use serde_json::json;

use super::*;

const ABSENT: &str = "ResourceNotFoundException";
const INVALID: &str = "InvalidParameterValueException";
const STALE: &str = "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to \
                     retrieve the latest Revision Id";

fn permit(function: &str, sid: &str) -> api::AddPermissionRequest {
    api::AddPermissionRequest {
        function_name: function.to_owned(),
        statement_id: sid.to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "s3.amazonaws.com".to_owned(),
        ..Default::default()
    }
}

impl House {
    /// The statement, as JSON.
    async fn permit(&self, input: api::AddPermissionRequest) -> Result<Value, ApiError> {
        let output = self.control.add_permission(input).await?;
        Ok(serde_json::from_str(&output.statement.unwrap()).unwrap())
    }

    async fn forbid(&self, function: &str, sid: &str, revision: Option<&str>) -> Result<(), ApiError> {
        let input = api::RemovePermissionRequest {
            function_name: function.to_owned(),
            statement_id: sid.to_owned(),
            qualifier: None,
            revision_id: revision.map(str::to_owned),
        };
        self.control.remove_permission(input).await
    }

    /// The document, as JSON, and the revision.
    async fn policy(&self, function: &str) -> Result<(Value, String), ApiError> {
        let input = api::GetPolicyRequest { function_name: function.to_owned(), qualifier: None };
        let output = self.control.get_policy(input).await?;
        Ok((serde_json::from_str(&output.policy.unwrap()).unwrap(), output.revision_id.unwrap()))
    }

    async fn sids(&self, function: &str) -> Vec<String> {
        let (document, _) = self.policy(function).await.unwrap();
        let statements = document["Statement"].as_array().unwrap().iter();
        statements.map(|statement| statement["Sid"].as_str().unwrap().to_owned()).collect()
    }

    async fn with_version_and_alias(&self) {
        self.created("f").await;
        let input = api::PublishVersionRequest { function_name: "f".into(), ..Default::default() };
        self.control.publish_version(input).await.unwrap();
        let input = api::CreateAliasRequest {
            function_name: "f".into(),
            name: "live".into(),
            function_version: "1".into(),
            ..Default::default()
        };
        self.control.create_alias(input).await.unwrap();
    }
}

#[tokio::test]
async fn statements_are_shown_as_recorded() {
    let house = House::new();
    house.created("f").await;
    let shown = |sid: &str, principal: Value| {
        json!({
            "Sid": sid, "Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction",
            "Resource": format!("{ARN}:f"),
        })
    };
    let service = json!({"Service": "s3.amazonaws.com"});
    let cases = [
        (permit("f", "service"), shown("service", service.clone())),
        (
            api::AddPermissionRequest { principal: "111111111111".into(), ..permit("f", "account") },
            shown("account", json!({"AWS": "arn:aws:iam::111111111111:root"})),
        ),
        (
            api::AddPermissionRequest {
                principal: "*".into(),
                event_source_token: Some("amzn1.ask.skill.x".into()),
                ..permit("f", "skill")
            },
            with(
                shown("skill", "*".into()),
                json!({"Condition": {"StringEquals": {"lambda:EventSourceToken": "amzn1.ask.skill.x"}}}),
            ),
        ),
        (
            api::AddPermissionRequest {
                principal: "*".into(),
                action: "lambda:InvokeFunctionUrl".into(),
                source_account: Some("111111111111".into()),
                source_arn: Some("arn:aws:s3:::b".into()),
                principal_org_id: Some("o-1234567890".into()),
                function_url_auth_type: Some(api::FunctionUrlAuthType::None),
                invoked_via_function_url: Some(true),
                ..permit("f", "url")
            },
            with(
                shown("url", "*".into()),
                json!({
                    "Action": "lambda:InvokeFunctionUrl",
                    "Condition": {
                        "StringEquals": {
                            "AWS:SourceAccount": "111111111111", "lambda:FunctionUrlAuthType": "NONE",
                            "aws:PrincipalOrgID": "o-1234567890",
                        },
                        "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
                        "Bool": {"lambda:InvokedViaFunctionUrl": "true"},
                    },
                }),
            ),
        ),
    ];
    let mut statements = Vec::new();
    for (input, expected) in cases {
        assert_eq!(house.permit(input).await.unwrap(), expected);
        statements.push(expected);
        let (document, _) = house.policy("f").await.unwrap();
        assert_eq!(document, json!({"Version": "2012-10-17", "Id": "default", "Statement": statements}));
    }
}

#[tokio::test]
async fn function_version_and_alias_have_policies_of_their_own() {
    let house = House::new();
    house.with_version_and_alias().await;
    for (name, sid) in [("f", "whole"), ("f:1", "version"), ("f:live", "alias")] {
        let statement = house.permit(permit(name, sid)).await.unwrap();
        assert_eq!(statement["Resource"], format!("{ARN}:{name}"));
    }
    for (name, sid) in [("f", "whole"), ("f:1", "version"), ("f:live", "alias")] {
        assert_eq!(house.sids(name).await, [sid]);
    }
    let latest = house.policy("f:$LATEST").await.unwrap_err();
    check(&latest, ABSENT, "The resource you requested does not exist.");
    house
        .control
        .delete_alias(api::DeleteAliasRequest { function_name: "f".into(), name: "live".into() })
        .await
        .unwrap();
    let input = api::CreateAliasRequest {
        function_name: "f".into(),
        name: "live".into(),
        function_version: "1".into(),
        ..Default::default()
    };
    house.control.create_alias(input).await.unwrap();
    assert!(house.policy("f:live").await.is_err(), "a policy goes with its alias");
    house.delete("f", None).await.unwrap();
    house.created("f").await;
    assert!(house.policy("f").await.is_err() && house.policy("f:1").await.is_err());
}

#[tokio::test]
async fn every_change_of_a_policy_has_a_revision_and_may_name_the_one_before() {
    let house = House::new();
    house.with_version_and_alias().await;
    let function = house.configuration("f").await["RevisionId"].clone();
    house.permit(permit("f", "one")).await.unwrap();
    let (_, first) = house.policy("f").await.unwrap();
    let with_revision =
        |sid, revision: &str| api::AddPermissionRequest { revision_id: Some(revision.to_owned()), ..permit("f", sid) };
    check(&house.permit(with_revision("two", "wrong")).await.unwrap_err(), "PreconditionFailedException", STALE);
    house.permit(with_revision("two", &first)).await.unwrap();
    let (_, second) = house.policy("f").await.unwrap();
    assert_ne!(first, second);
    check(&house.forbid("f", "one", Some(&first)).await.unwrap_err(), "PreconditionFailedException", STALE);
    house.forbid("f", "one", Some(&second)).await.unwrap();
    assert_eq!(house.sids("f").await, ["two"]);
    assert_eq!(house.configuration("f").await["RevisionId"], function, "the function itself did not change");

    let alias = api::GetAliasRequest { function_name: "f".into(), name: "live".into() };
    let revision = house.control.get_alias(alias).await.unwrap().revision_id.unwrap();
    let to_alias =
        |revision: &str| api::AddPermissionRequest { qualifier: Some("live".into()), ..with_revision("one", revision) };
    check(&house.permit(to_alias("wrong")).await.unwrap_err(), "PreconditionFailedException", STALE);
    house.permit(to_alias(&revision)).await.unwrap();
    assert_eq!(house.sids("f:live").await, ["one"]);
}

#[tokio::test]
async fn statements_go_one_by_one_and_the_policy_with_the_last() {
    let house = House::new();
    house.created("f").await;
    check(&house.forbid("f", "s", None).await.unwrap_err(), ABSENT, "No policy is associated with the given resource.");
    for sid in ["s3", "sqs"] {
        house.permit(permit("f", sid)).await.unwrap();
    }
    let text = "Statement other is not found in resource policy.";
    check(&house.forbid("f", "other", None).await.unwrap_err(), ABSENT, text);
    house.forbid("f", "sqs", None).await.unwrap();
    assert_eq!(house.sids("f").await, ["s3"]);
    house.forbid("f", "s3", None).await.unwrap();
    check(&house.policy("f").await.unwrap_err(), ABSENT, "The resource you requested does not exist.");
}

#[tokio::test]
async fn what_is_wrong_with_a_permission_is_said_as_recorded() {
    let house = House::new();
    house.with_version_and_alias().await;
    house.permit(permit("f", "s3")).await.unwrap();
    let other = |change: fn(&mut api::AddPermissionRequest)| {
        let mut input = permit("f", "other");
        change(&mut input);
        input
    };
    let text = "The statement id (s3) provided already exists. Please provide a new statement id, or remove the \
                existing statement.";
    check(&house.permit(permit("f", "s3")).await.unwrap_err(), "ResourceConflictException", text);
    let invalid = [
        (
            other(|input| input.principal = "invalid.nonaws.com".into()),
            "The provided principal was invalid. Please check the principal and try again.",
        ),
        (
            other(|input| input.qualifier = Some("$LATEST".into())),
            "We currently do not support adding policies for $LATEST.",
        ),
        (
            other(|input| (input.function_name, input.qualifier) = ("f:live".into(), Some("other".into()))),
            "The derived qualifier from the function name does not match the specified qualifier.",
        ),
        (
            other(|input| input.function_url_auth_type = Some(api::FunctionUrlAuthType::None)),
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
        ),
    ];
    for (input, text) in invalid {
        check(&house.permit(input).await.unwrap_err(), INVALID, text);
    }
    for (name, text) in [
        ("none", format!("Function not found: {ARN}:none")),
        ("none:live", format!("Function not found: {ARN}:none")),
        ("f:42", format!("Function not found: {ARN}:f:42")),
        ("f:none", format!("Cannot find alias arn: {ARN}:f:none")),
        ("f:with-$-in-it", format!("Function not found: {ARN}:f:with-$-in-it")),
    ] {
        check(&house.permit(permit(name, "one")).await.unwrap_err(), ABSENT, &text);
        check(&house.policy(name).await.unwrap_err(), ABSENT, "The resource you requested does not exist.");
    }
    check(&house.forbid("none", "s3", None).await.unwrap_err(), ABSENT, &format!("No policy found for: {ARN}:none"));
    check(
        &house.forbid("f:none", "s3", None).await.unwrap_err(),
        ABSENT,
        &format!("Cannot find alias arn: {ARN}:f:none"),
    );
    assert_eq!(house.sids("f").await, ["s3"]);
}
