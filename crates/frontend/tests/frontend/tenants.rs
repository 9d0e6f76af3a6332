//! Functions whose environments are not shared between tenants.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hearth_api::ApiError;
use hearth_frontend::{FunctionChange, InvokeResponse};
use hearth_scheduler::{Capacity, KeepAlive, Limits};
use hearth_types::function::FunctionRecord;
use hearth_types::limits::TENANTS;

use crate::support::{House, LIMITS, put, record, request, updated, updating};

const ROOM: Capacity = Capacity { memory_mb: 1 << 30, environments: 1 << 20 };
const LATER: Duration = Duration::from_secs(1);

fn per_tenant() -> FunctionRecord {
    let mut record = record("f");
    record.latest.config.per_tenant = true;
    record
}

fn house(capacity: Capacity, limits: Limits) -> House {
    let house = House::on(capacity, limits);
    house.dispatcher.apply(vec![put(per_tenant())]);
    house
}

async fn as_tenant(house: &House, tenant: &str) -> Result<InvokeResponse, ApiError> {
    house.request("f", None, &[("x-amz-tenant-id", tenant)], b"").await
}

/// Environment and tenant of an answer.
fn whose(answer: Result<InvokeResponse, ApiError>) -> (u64, String) {
    let InvokeResponse::Executed { payload, .. } = answer.unwrap() else { panic!("nothing ran") };
    let answer: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    (answer["environment"].as_u64().unwrap(), answer["tenant"].as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn each_tenant_has_environments_of_its_own() {
    let house = house(ROOM, LIMITS);
    let mut environments = BTreeSet::new();
    for tenant in ["a", "b", "A", "c d"] {
        let (environment, of) = whose(as_tenant(&house, tenant).await);
        assert_eq!(of, tenant);
        assert!(environments.insert(environment), "{tenant} got another's environment");
        tokio::time::sleep(LATER).await;
        assert_eq!(whose(as_tenant(&house, tenant).await), (environment, of), "its own is there again");
        tokio::time::sleep(LATER).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_is_named_where_there_are_tenants_and_nowhere_else() {
    let house = house(ROOM, LIMITS);
    let text = |answer: Result<InvokeResponse, ApiError>| {
        let error = answer.err().unwrap();
        assert_eq!((error.kind.status, error.kind.code), (400, "InvalidParameterValueException"));
        error.message.unwrap_or_default()
    };
    let missing = "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try \
                   again.";
    for headers in [&[][..], &[("x-amz-invocation-type", "Event")], &[("x-amz-invocation-type", "DryRun")]] {
        assert_eq!(text(house.request("f", None, headers, b"").await), missing, "{headers:?}");
    }
    let dry = [("x-amz-invocation-type", "DryRun"), ("x-amz-tenant-id", "t")];
    assert!(matches!(house.request("f", None, &dry, b"").await, Ok(InvokeResponse::DryRun)));
    let bad = as_tenant(&house, "a,b").await.err().unwrap();
    assert_eq!(bad.kind.code, "ValidationException");
    house.dispatcher.apply(vec![put(record("g"))]);
    let superfluous = house.request("g", None, &[("x-amz-tenant-id", "t")], b"").await;
    assert!(text(superfluous).starts_with("The invoked function is not enabled with tenancy configuration."));
}

#[tokio::test(start_paused = true)]
async fn an_event_runs_for_its_tenant() {
    let house = house(ROOM, LIMITS);
    let headers = [("x-amz-invocation-type", "Event"), ("x-amz-tenant-id", "t")];
    let InvokeResponse::Event(event) = house.request("f", None, &headers, b"").await.unwrap() else { panic!("it ran") };
    assert_eq!(whose(house.dispatcher.run_event(event).await).1, "t");
}

#[tokio::test(start_paused = true)]
async fn no_deploy_brings_an_invoke_to_another_tenants_environment() {
    let house = house(ROOM, Limits { account_concurrency: 100, ..LIMITS });
    let mut now = per_tenant();
    for round in 0..20 {
        let invokes: Vec<_> = (0..8)
            .map(|tenant| {
                let dispatcher = Arc::clone(&house.dispatcher);
                tokio::spawn(async move {
                    let tenant = format!("t{tenant}");
                    let answer = request(&dispatcher, "f", None, &[("x-amz-tenant-id", &tenant)], b"").await;
                    assert_eq!(whose(answer).1, tenant);
                })
            })
            .collect();
        now = updated(updating(&now, &round.to_string()));
        house.dispatcher.apply(vec![put(now.clone())]);
        for invoke in invokes {
            invoke.await.unwrap();
        }
    }
    tokio::time::sleep(LATER).await;
    assert!(house.worker.living() <= 8, "those of earlier deploys are gone");
    house.dispatcher.apply(vec![FunctionChange::Function("f".into(), None)]);
    tokio::time::sleep(LATER).await;
    assert_eq!(house.worker.living(), 0);
}

#[tokio::test(start_paused = true)]
async fn tenants_without_an_environment_make_room_for_others() {
    let house = house(Capacity { memory_mb: 1024, environments: 4 }, LIMITS);
    for tenant in 0..=TENANTS {
        assert_eq!(whose(as_tenant(&house, &tenant.to_string()).await).1, tenant.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_tenants_have_environments_at_a_time_at_most() {
    let house = house(ROOM, Limits { keep_alive: KeepAlive::Room, ..LIMITS });
    for tenant in 0..TENANTS {
        whose(as_tenant(&house, &tenant.to_string()).await);
    }
    let error = as_tenant(&house, "one more").await.err().unwrap();
    assert_eq!((error.kind.status, error.kind.code), (429, "TooManyRequestsException"));
    assert_eq!(whose(as_tenant(&house, "7").await).1, "7", "who is there is served");
}
