//! What was in use before a restart is recalled after it.

use std::time::Duration;

use crate::support::{House, LIMITS, put, ran, record};
use hearth_frontend::{FunctionChange, InUse, Lately, Wanted};
use hearth_scheduler::{Capacity, Limits, Placement, WorkerId};
use hearth_types::function::State;
use hearth_types::limits::AHEAD_KEEP;

const CAPACITY: Capacity = Capacity { memory_mb: 1024, environments: 20 };

/// What would be written of it, as a later start reads it.
fn wanted(in_use: InUse) -> Vec<Wanted> {
    let mut lately = Lately::default();
    lately.look(0, in_use);
    Lately::new(lately.to_write().unwrap_or_default(), 0).wanted(0)
}

/// Which worker was told of which version, and how many of it.
fn recalled(house: &House) -> Vec<(u64, String, u32)> {
    let told = std::mem::take(&mut *house.worker.recalled.lock().unwrap());
    let mut told: Vec<_> = told
        .into_iter()
        .map(|(worker, recall)| (worker.0, format!("{}:{}", recall.spec.function, recall.spec.version), recall.count))
        .collect();
    told.sort();
    told
}

/// One where `f` had two environments in use at once and `g` one.
async fn used() -> House {
    let house = House::new(LIMITS);
    house.dispatcher.apply(vec![put(record("g")), put(record("h"))]);
    let (one, other) = tokio::join!(house.invoke("1"), house.invoke("2"));
    assert_ne!(ran(one).1, ran(other).1);
    house.request("g", None, &[], b"").await.unwrap();
    house
}

/// As after a start: nothing was invoked.
fn restarted(limits: Limits, names: &[&str]) -> House {
    let house = House::new(limits);
    house.dispatcher.replace(names.iter().map(|name| put(record(name))).collect());
    house
}

#[tokio::test(start_paused = true)]
async fn what_was_in_use_is_recalled_where_it_would_start() {
    let wanted = wanted(used().await.dispatcher.in_use());
    let house = restarted(LIMITS, &["f", "g", "h"]);
    assert_eq!(recalled(&house), []);
    house.dispatcher.recall(wanted.clone());
    assert_eq!(recalled(&house), [(1, "f:$LATEST".into(), 2), (1, "g:$LATEST".into(), 1)]);
    house.dispatcher.join(WorkerId(2), CAPACITY);
    assert_eq!(recalled(&house), [], "once is enough");
    let house = restarted(Limits { placement: Placement::Spread, ..LIMITS }, &["f", "g"]);
    house.dispatcher.join(WorkerId(2), Capacity { memory_mb: 4096, ..CAPACITY });
    house.dispatcher.recall(wanted);
    let both = [(1, "f:$LATEST".into(), 1), (1, "g:$LATEST".into(), 1), (2, "f:$LATEST".into(), 1)];
    assert_eq!(recalled(&house), both);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_any_more_or_not_ready_is_not_recalled() {
    let wanted = wanted(used().await.dispatcher.in_use());
    let house = restarted(LIMITS, &["h"]);
    let mut pending = record("g");
    pending.latest.state = State::Pending;
    house.dispatcher.apply(vec![put(pending)]);
    house.dispatcher.recall(wanted);
    assert_eq!(recalled(&house), []);
}

#[tokio::test(start_paused = true)]
async fn the_first_worker_to_join_hears_of_it() {
    let wanted = wanted(used().await.dispatcher.in_use());
    let without = || {
        let house = restarted(LIMITS, &["f", "g"]);
        house.dispatcher.lost(WorkerId(1));
        house.dispatcher.recall(wanted.clone());
        assert_eq!(recalled(&house), []);
        house
    };
    let house = without();
    house.dispatcher.join(WorkerId(2), CAPACITY);
    assert_eq!(recalled(&house), [(2, "f:$LATEST".into(), 2), (2, "g:$LATEST".into(), 1)]);
    let house = without();
    tokio::time::advance(AHEAD_KEEP).await;
    house.dispatcher.join(WorkerId(2), CAPACITY);
    assert_eq!(recalled(&house), [], "it is of no use any more");
}

#[tokio::test(start_paused = true)]
async fn in_use_is_what_had_an_invoke_since_the_last_look() {
    let house = used().await;
    // Until all are idle.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(wanted(house.dispatcher.in_use()).len(), 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.dispatcher.in_use(), InUse::default());
    house.invoke("3").await.unwrap();
    assert_eq!(wanted(house.dispatcher.in_use()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_came_and_went_between_two_looks_was_in_use() {
    let house = used().await;
    // Longer than an environment is kept idle.
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(house.worker.living(), 0);
    let house_after = restarted(LIMITS, &["f", "g"]);
    house_after.dispatcher.recall(wanted(house.dispatcher.in_use()));
    assert_eq!(recalled(&house_after), [(1, "f:$LATEST".into(), 2), (1, "g:$LATEST".into(), 1)]);
    house.invoke("3").await.unwrap();
    house.dispatcher.apply(vec![FunctionChange::Function("f".into(), None)]);
    assert_eq!(house.dispatcher.in_use(), InUse::default(), "it was deleted");
}

#[tokio::test(start_paused = true)]
async fn what_was_called_in_even_steps_has_an_environment_before_its_next_call() {
    let limits = Limits { ahead: true, ..LIMITS };
    let before = House::new(limits);
    for _ in 0..5 {
        before.invoke("1").await.unwrap();
        before.request("g", None, &[], b"").await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(300)).await;
    }
    before.invoke("1").await.unwrap();
    let wanted = wanted(before.dispatcher.in_use());
    let house = restarted(limits, &["f", "g"]);
    house.dispatcher.recall(wanted);
    tokio::time::sleep(Duration::from_secs(290)).await;
    assert_eq!(house.worker.living(), 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(house.worker.living(), 1, "it is there before the call");
    let (_, environment) = ran(house.invoke("1").await);
    assert_eq!((environment, house.worker.living()), (1, 1), "and is what the call gets");
}
