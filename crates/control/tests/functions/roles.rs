//! The roles that functions may be given.

use std::collections::BTreeMap;

use hearth_types::identity::RoleRecord;

use super::*;

const INVALID: &str = "InvalidParameterValueException";
const NOT_ASSUMABLE: &str = "The role defined for the function cannot be assumed by Lambda.";

fn trust(service: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{service}"}},
        "Action":"sts:AssumeRole"}}]}}"#
    )
}

impl House {
    /// Makes the role of [`ROLE`], or of the same name with another path, which this service trusts.
    async fn make_role(&self, path: &str, service: &str) {
        let role = RoleRecord {
            name: "r".into(),
            path: path.into(),
            id: "AROAAAAAAAAAAAAAAAAAA".into(),
            trust: trust(service),
            description: None,
            inline: BTreeMap::new(),
            attached: Vec::new(),
            tags: BTreeMap::new(),
            max_session_s: 3600,
            created_ms: 0,
        };
        let value = serde_json::to_vec(&role).unwrap();
        self.store.commit(vec![Write::put(keys::role("r"), value, Precondition::Any)]).await.unwrap();
    }

    async fn create_with(&self, name: &str, role: &str) -> Result<(), ApiError> {
        let input = api::CreateFunctionRequest { role: role.into(), ..create(name) };
        self.control.create_function(input).await.map(|_| ())
    }
}

#[tokio::test]
async fn a_role_that_is_there_must_trust_lambda() {
    for roles in [Roles::Any, Roles::Made] {
        let house = House::with_roles(roles);
        house.make_role("/", "ec2.amazonaws.com").await;
        check(&house.create_with("f", ROLE).await.unwrap_err(), INVALID, NOT_ASSUMABLE);
        assert!(house.asked("f", None).await.is_err());
        house.make_role("/", "lambda.amazonaws.com").await;
        house.create_with("f", ROLE).await.unwrap();
        house.control.settle("f").await.unwrap();

        house.make_role("/", "ec2.amazonaws.com").await;
        let with = |role: Option<&str>| api::UpdateFunctionConfigurationRequest {
            role: role.map(str::to_owned),
            ..configure("f")
        };
        check(&house.update(with(Some(ROLE))).await.unwrap_err(), INVALID, NOT_ASSUMABLE);
        // It is asked where a role is given, not at each change.
        house.update(with(None)).await.unwrap();
    }
}

#[tokio::test]
async fn a_role_that_nobody_made_is_fine_only_where_any_is() {
    let other_account = ROLE.replace("123456789012", "999999999999");
    let house = House::with_roles(Roles::Any);
    house.create_with("f", ROLE).await.unwrap();
    house.create_with("g", &other_account).await.unwrap();

    let house = House::with_roles(Roles::Made);
    check(&house.create_with("f", ROLE).await.unwrap_err(), INVALID, NOT_ASSUMABLE);
    let text = "Cross-account pass role is not allowed.";
    check(&house.create_with("f", &other_account).await.unwrap_err(), "AccessDeniedException", text);
    house.make_role("/service-role/", "lambda.amazonaws.com").await;
    check(&house.create_with("f", ROLE).await.unwrap_err(), INVALID, NOT_ASSUMABLE);
    house.create_with("f", &ROLE.replace("role/r", "role/service-role/r")).await.unwrap();
}

#[tokio::test]
async fn a_missing_function_comes_before_its_role() {
    let house = House::with_roles(Roles::Made);
    let input = api::UpdateFunctionConfigurationRequest { role: Some(ROLE.into()), ..configure("f") };
    let text = format!("Function not found: {ARN}:f");
    check(&house.update(input).await.unwrap_err(), "ResourceNotFoundException", &text);
}
