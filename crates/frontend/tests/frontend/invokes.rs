//! Invokes through the dispatcher, over a simulated worker and a paused clock.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{House, LIMITS, WARM, put, ran, record, updated, updating};
use hearth_frontend::{FunctionChange, InvokeResponse};

#[tokio::test(start_paused = true)]
async fn the_second_invoke_is_warm() {
    let house = House::new(LIMITS);
    assert_eq!(ran(house.invoke("1").await), (1, 1));
    let before = tokio::time::Instant::now();
    assert_eq!(ran(house.invoke("2").await), (1, 1), "right behind the answer, before the environment is idle");
    assert!(before.elapsed() < WARM * 2, "it waited for the environment, not for a new one");
    assert_eq!(house.worker.living(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_name_a_function_leads_to_it() {
    let house = House::new(LIMITS);
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
    for name in [
        "f",
        "function:f",
        "123456789012:function:f",
        arn,
        "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af",
    ] {
        ran(house.request(name, None, &[], b"").await);
        assert_eq!(house.last_seen().invoked_arn, arn, "{name}");
    }
    for (name, query) in
        [("f:$LATEST", None), ("f", Some("Qualifier=%24LATEST")), ("f:$LATEST", Some("Qualifier=$LATEST"))]
    {
        ran(house.request(name, query, &[], b"").await);
        assert_eq!(house.last_seen().invoked_arn, format!("{arn}:$LATEST"), "{name} {query:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn payloads_are_passed_on_byte_by_byte() {
    let house = House::new(LIMITS);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for payload in [" {\"a\" : 1, \"a\":2,\"__proto__\":{}}\n", "null", &deep] {
        ran(house.request("f", None, &[], payload.as_bytes()).await);
        assert_eq!(house.last_seen().payload, payload.as_bytes());
    }
    ran(house.request("f", None, &[], b"").await);
    assert_eq!(&house.last_seen().payload[..], b"{}", "no payload is an empty event");
}

#[tokio::test(start_paused = true)]
async fn the_answer_carries_what_was_asked_for() {
    let house = House::new(LIMITS);
    let trace = "Root=1-65f0a1b2-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0";
    let headers =
        [("x-amz-log-type", "Tail"), ("x-amzn-trace-id", trace), ("x-amz-client-context", "eyJjdXN0b20iOnt9fQ==")];
    let response = house.request("f", None, &headers, b"\"fail\"").await.unwrap().into_http();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(response.status(), 200);
    assert_eq!(header("x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(header("x-amz-function-error"), Some("Unhandled"));
    assert_eq!(header("x-amz-log-result"), Some("U1RBUlQKRU5ECg=="));
    let seen = house.last_seen();
    assert!(
        seen.trace_id.starts_with(&format!("{trace};Lineage=")) && seen.trace_id.ends_with(":1"),
        "{}",
        seen.trace_id
    );
    assert_eq!(header("x-amzn-trace-id"), Some(&*seen.trace_id));
    let traced = trace.replace("Sampled=0", "Sampled=1");
    house.request("f", None, &[("x-amzn-trace-id", &traced)], b"").await.unwrap();
    let seen_traced = house.last_seen().trace_id;
    assert!(seen_traced.starts_with(&traced[..42]) && seen_traced.contains(";Sampled=1;Lineage="), "{seen_traced}");
    assert!(!seen_traced.contains("Parent=0123456789abcdef"), "it goes on from the function's own span: {seen_traced}");
    assert_eq!(seen.client_context.as_deref(), Some("{\"custom\":{}}"));
    let response = house.invoke("1").await.unwrap().into_http();
    assert!(!response.headers().contains_key("x-amz-function-error"));
    assert!(!response.headers().contains_key("x-amz-log-result"));
    assert!(house.last_seen().trace_id.starts_with("Root=1-"));
}

#[tokio::test(start_paused = true)]
async fn an_event_is_given_to_be_kept_and_runs_later() {
    let house = House::new(LIMITS);
    let response =
        house.request("f", Some("Qualifier=$LATEST"), &[("x-amz-invocation-type", "Event")], b"").await.unwrap();
    assert_eq!(response.clone().into_http().status(), 202);
    let InvokeResponse::Event(event) = response else { panic!("it ran") };
    assert_eq!(
        (event.function.as_str(), event.qualifier.as_deref(), &event.payload[..]),
        ("f", Some("$LATEST"), &b"{}"[..])
    );
    assert_eq!(house.worker.living(), 0);
    let ran = house.dispatcher.run_event(event.clone()).await.unwrap();
    assert!(matches!(ran, InvokeResponse::Executed { .. }), "{ran:?}");
    let seen = house.last_seen();
    assert!(seen.invoked_arn.ends_with(":function:f:$LATEST") && seen.trace_id.starts_with(&*event.trace_id));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_runs_nothing() {
    let house = House::new(LIMITS);
    let dry = [("x-amz-invocation-type", "DryRun")];
    let response = house.request("f", None, &dry, b"").await.unwrap();
    assert_eq!(response, InvokeResponse::DryRun);
    assert_eq!(response.into_http().status(), 204);
    assert_eq!(house.request("g", None, &dry, b"").await.unwrap_err().kind.status, 404);
    assert_eq!(house.worker.living(), 0);
}

#[tokio::test(start_paused = true)]
async fn concurrent_invokes_get_an_environment_each() {
    let house = House::new(LIMITS);
    let (a, b, c) = tokio::join!(house.invoke("1"), house.invoke("2"), house.invoke("3"));
    let mut environments = [ran(a).1, ran(b).1, ran(c).1];
    environments.sort_unstable();
    assert_eq!(environments, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_invoke_goes_on_when_its_caller_has_gone() {
    let house = House::new(LIMITS);
    let left = tokio::time::timeout(Duration::from_millis(1), house.invoke("\"left\"")).await;
    assert!(left.is_err(), "the caller has gone");
    assert_eq!(house.dispatcher.environments_of("f").unwrap()[0].state, "Init");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(&house.last_seen().payload[..], b"\"left\"");
    assert_eq!(house.dispatcher.environments_of("f").unwrap()[0].state, "Idle", "and the slot is free again");
    assert_eq!(ran(house.invoke("1").await), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn while_an_update_is_in_progress_the_old_code_serves() {
    let house = House::new(LIMITS);
    assert_eq!(ran(house.invoke("1").await).0, 1);
    let changing = updating(&record("f"), "2");
    house.dispatcher.apply(vec![put(changing.clone())]);
    assert_eq!(ran(house.invoke("2").await), (1, 1), "and its environments stay warm");
    house.dispatcher.apply(vec![put(updated(changing))]);
    assert_eq!(ran(house.invoke("3").await), (2, 2));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.worker.living(), 1, "the old environment is gone");
}

#[tokio::test(start_paused = true)]
async fn no_invoke_fails_under_updates() {
    let house = Arc::new(House::new(hearth_scheduler::Limits { account_concurrency: 1000, ..LIMITS }));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..5 {
        let house = Arc::clone(&house);
        callers.spawn(async move {
            let mut newest = 0;
            for _ in 0..100 {
                let (generation, _) = ran(house.invoke("{}").await);
                assert!(generation >= newest, "caller {caller} went back from {newest} to {generation}");
                newest = generation;
            }
            newest
        });
    }
    let mut current = record("f");
    for content in 2..=30 {
        let changing = updating(&current, &content.to_string());
        house.dispatcher.apply(vec![put(changing.clone())]);
        tokio::time::sleep(Duration::from_millis(37)).await;
        current = updated(changing);
        house.dispatcher.apply(vec![put(current.clone())]);
    }
    while let Some(newest) = callers.join_next().await {
        assert_eq!(newest.unwrap(), 30, "the last invokes see the last code");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invoke_that_waits_is_overtaken_by_a_deploy_and_runs_the_new_code() {
    let house = House::new(LIMITS);
    ran(house.invoke("1").await);
    // The environment has answered and is not idle yet: the next invoke waits for it.
    let waits = house.invoke("2");
    let deploys = async {
        tokio::task::yield_now().await;
        house.dispatcher.apply(vec![put(updated(updating(&record("f"), "2")))]);
    };
    let (response, ()) = tokio::join!(waits, deploys);
    assert_eq!(ran(response).0, 2);
}

#[tokio::test(start_paused = true)]
async fn deleted_functions_are_gone_at_once() {
    let house = House::new(LIMITS);
    ran(house.invoke("1").await);
    house.dispatcher.apply(vec![FunctionChange::Function("f".into(), None)]);
    assert_eq!(house.invoke("2").await.unwrap_err().kind.status, 404);
    assert_eq!(house.dispatcher.functions().log_group("f"), None);
    house.dispatcher.replace(vec![put(record("g")), put(record("h"))]);
    house.dispatcher.replace(vec![put(record("h"))]);
    assert_eq!(house.dispatcher.functions().count(), 1);
    assert_eq!(house.dispatcher.functions().log_group("h").as_deref(), Some("/aws/lambda/h"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.worker.living(), 0);
}

#[tokio::test(start_paused = true)]
async fn idle_environments_are_reaped_by_the_timer() {
    let house = House::new(LIMITS);
    ran(house.invoke("1").await);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(house.worker.living(), 1);
    let view = &house.dispatcher.environments_of("f").unwrap()[0];
    assert_eq!((view.id.as_str(), view.state), ("env-1", "Idle"));
    assert!(view.init_phases.is_some_and(|phases| (phases.sandbox_ms - 2.0).abs() < 1e-9), "{view:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(house.worker.living(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_what_is_in_flight_end_and_takes_nothing_new() {
    let house = House::new(LIMITS);
    let drained = async {
        tokio::task::yield_now().await;
        house.dispatcher.drain(Duration::from_secs(30)).await;
    };
    let late = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        house.invoke("2").await
    };
    let (first, late, ()) = tokio::join!(house.invoke("1"), late, drained);
    assert_eq!(ran(first), (1, 1));
    assert_eq!(late.unwrap_err().kind.code, "ServiceException");
    assert_eq!(house.worker.living(), 0);
}
