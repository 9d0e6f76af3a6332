//! Settings of a function as a whole: its reserved concurrency, what becomes of its loops.

use serde_json::json;

use super::*;

impl House {
    async fn reserve(&self, function: &str, reserved: i32) -> Result<Value, ApiError> {
        let input = api::PutFunctionConcurrencyRequest {
            function_name: function.to_owned(),
            reserved_concurrent_executions: reserved,
        };
        Ok(json::<ops::PutFunctionConcurrency>(&self.control.put_function_concurrency(input).await?))
    }

    async fn reserved(&self, function: &str) -> Result<Value, ApiError> {
        let input = api::GetFunctionConcurrencyRequest { function_name: function.to_owned() };
        Ok(json::<ops::GetFunctionConcurrency>(&self.control.get_function_concurrency(input).await?))
    }

    async fn unreserve(&self, function: &str) -> Result<(), ApiError> {
        let input = api::DeleteFunctionConcurrencyRequest { function_name: function.to_owned() };
        self.control.delete_function_concurrency(input).await
    }
}

#[tokio::test]
async fn reserved_concurrency_is_as_recorded() {
    let house = House::new();
    house.created("f").await;
    assert_eq!(house.reserved("f").await.unwrap(), json!({}));
    for reserved in [5, 0, 900] {
        let shown = json!({"ReservedConcurrentExecutions": reserved});
        assert_eq!(house.reserve("f", reserved).await.unwrap(), shown);
        assert_eq!(house.reserved("f").await.unwrap(), shown);
    }
    house.unreserve("f").await.unwrap();
    house.unreserve("f").await.unwrap();
    assert_eq!(house.reserved("f").await.unwrap(), json!({}));

    let absent = format!("Function not found: {ARN}:none");
    check(&house.reserve("none", 99_999).await.unwrap_err(), "ResourceNotFoundException", &format!("{absent}:$LATEST"));
    check(&house.reserved("none").await.unwrap_err(), "ResourceNotFoundException", &absent);
    check(&house.unreserve("none").await.unwrap_err(), "ResourceNotFoundException", &absent);
    let text = "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
                operation. Please specify either a function name or an unqualified function ARN.";
    for qualified in ["f:$LATEST", "f:1", "f:alias"] {
        check(&house.reserve(qualified, 1).await.unwrap_err(), "InvalidParameterValueException", text);
    }
}

#[tokio::test]
async fn reservations_leave_the_minimum_to_the_rest() {
    let house = House::new();
    house.created("f").await;
    house.created("g").await;
    house.reserve("f", 500).await.unwrap();
    house.reserve("g", 400).await.unwrap();
    let text = "Specified ReservedConcurrentExecutions for function decreases account's \
                UnreservedConcurrentExecution below its minimum value of [100].";
    check(&house.reserve("g", 401).await.unwrap_err(), "InvalidParameterValueException", text);
    assert_eq!(house.reserved("g").await.unwrap()["ReservedConcurrentExecutions"], 400);
    house.delete("f", None).await.unwrap();
    house.reserve("g", 900).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_the_account_is_reserved_once() {
    let house = House::new();
    let names: Vec<String> = (0..6).map(|number| format!("f{number}")).collect();
    for name in &names {
        house.created(name).await;
    }
    let reserving = names.iter().map(|name| {
        let (control, function_name) = (Arc::clone(&house.control), name.clone());
        let input = api::PutFunctionConcurrencyRequest { function_name, reserved_concurrent_executions: 300 };
        tokio::spawn(async move { control.put_function_concurrency(input).await })
    });
    let mut reserved = 0;
    for reserving in reserving.collect::<Vec<_>>() {
        reserved += usize::from(reserving.await.unwrap().is_ok());
    }
    assert_eq!(reserved, 3);
}

#[tokio::test]
async fn a_loop_is_ended_unless_it_is_allowed() {
    let house = House::new();
    house.created("f").await;
    let get = async |name: &str| {
        let input = api::GetFunctionRecursionConfigRequest { function_name: name.to_owned() };
        let output = house.control.get_function_recursion_config(input).await?;
        Ok::<_, ApiError>(json::<ops::GetFunctionRecursionConfig>(&output))
    };
    let put = async |name: &str, recursive_loop| {
        let input = api::PutFunctionRecursionConfigRequest { function_name: name.to_owned(), recursive_loop };
        let output = house.control.put_function_recursion_config(input).await?;
        Ok::<_, ApiError>(json::<ops::PutFunctionRecursionConfig>(&output))
    };
    assert_eq!(get("f").await.unwrap(), json!({"RecursiveLoop": "Terminate"}));
    assert_eq!(put("f", api::RecursiveLoop::Allow).await.unwrap(), json!({"RecursiveLoop": "Allow"}));
    assert_eq!(get("f").await.unwrap(), json!({"RecursiveLoop": "Allow"}));
    put("f", api::RecursiveLoop::Terminate).await.unwrap();
    assert_eq!(get("f").await.unwrap(), json!({"RecursiveLoop": "Terminate"}));
    let text = format!("Function not found: {ARN}:none");
    check(&get("none").await.unwrap_err(), "ResourceNotFoundException", &text);
    check(&put("none", api::RecursiveLoop::Allow).await.unwrap_err(), "ResourceNotFoundException", &text);
}
