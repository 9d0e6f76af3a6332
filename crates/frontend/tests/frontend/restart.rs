//! What was in use before a restart, of the server or of a worker, is recalled after it.

use std::time::Duration;

use crate::support::{House, LIMITS, put, ran, record};
use hearth_frontend::FunctionChange;
use hearth_scheduler::{Capacity, Limits, Placement, WorkerId};
use hearth_types::function::State;
use hearth_types::lately::LatelyRecord;

const CAPACITY: Capacity = Capacity { memory_mb: 1024, environments: 20 };
const SPREAD: Limits = Limits { placement: Placement::Spread, ..LIMITS };

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

/// What would be written of it.
fn written(house: &House) -> LatelyRecord {
    house.dispatcher.go_on_with(LatelyRecord::default());
    house.dispatcher.look_in_use().unwrap()
}

/// As after a start: nothing was invoked, and that was written before.
fn restarted(limits: Limits, names: &[&str], before: &LatelyRecord) -> House {
    let house = House::new(limits);
    house.dispatcher.replace(names.iter().map(|name| put(record(name))).collect());
    house.dispatcher.go_on_with(before.clone());
    house
}

/// The same, with that many workers that have as much room.
fn restarted_on(workers: u64, limits: Limits, names: &[&str], before: &LatelyRecord) -> House {
    let house = restarted(limits, names, before);
    house.dispatcher.lost(WorkerId(1));
    (1..=workers).for_each(|worker| house.dispatcher.join(WorkerId(worker + 1), CAPACITY));
    house
}

fn of_latest(worker: u64, function: &str, count: u32) -> (u64, String, u32) {
    (worker, format!("{function}:$LATEST"), count)
}

#[tokio::test(start_paused = true)]
async fn what_was_in_use_is_recalled_where_it_would_start() {
    let before = written(&used().await);
    let house = restarted(LIMITS, &["f", "g", "h"], &before);
    assert_eq!(recalled(&house), []);
    house.dispatcher.recall();
    assert_eq!(recalled(&house), [of_latest(1, "f", 2), of_latest(1, "g", 1)]);
    house.dispatcher.join(WorkerId(2), Capacity { memory_mb: 8192, ..CAPACITY });
    assert_eq!(recalled(&house), [], "the first is filled");
}

#[tokio::test(start_paused = true)]
async fn workers_that_join_one_after_the_other_share_what_is_spread() {
    let before = written(&used().await);
    let house = restarted_on(1, SPREAD, &["f", "g"], &before);
    assert_eq!(recalled(&house), [of_latest(2, "f", 2), of_latest(2, "g", 1)], "nobody else is there");
    house.dispatcher.join(WorkerId(3), CAPACITY);
    assert_eq!(recalled(&house), [of_latest(2, "f", 1), of_latest(2, "g", 1), of_latest(3, "f", 1)]);
    house.dispatcher.recall();
    assert_eq!(recalled(&house), [], "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn what_looks_for_different_runtimes_is_recalled_wherever_it_may_start_first() {
    let before = written(&used().await);
    let house = restarted_on(2, SPREAD, &["f"], &before);
    let mut other = record("g");
    other.latest.config.runtime = Some("nodejs20.x".into());
    house.dispatcher.apply(vec![put(other)]);
    house.dispatcher.recall();
    let both = [of_latest(2, "f", 1), of_latest(2, "g", 1), of_latest(3, "f", 1), of_latest(3, "g", 1)];
    let told = recalled(&house);
    assert!(both.iter().all(|one| told.contains(one)), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_any_more_or_not_ready_is_not_recalled() {
    let before = written(&used().await);
    let house = restarted(LIMITS, &["h"], &before);
    let mut pending = record("g");
    pending.latest.state = State::Pending;
    house.dispatcher.apply(vec![put(pending)]);
    house.dispatcher.recall();
    assert_eq!(recalled(&house), []);
}

#[tokio::test(start_paused = true)]
async fn who_joins_when_there_is_none_hears_of_it() {
    let before = written(&used().await);
    let house = restarted_on(0, LIMITS, &["f", "g"], &before);
    house.dispatcher.recall();
    assert_eq!(recalled(&house), []);
    house.dispatcher.join(WorkerId(2), CAPACITY);
    assert_eq!(recalled(&house), [of_latest(2, "f", 2), of_latest(2, "g", 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_use_on_a_worker_that_is_lost_is_recalled_on_the_next() {
    let house = used().await;
    house.dispatcher.go_on_with(LatelyRecord::default());
    house.dispatcher.lost(WorkerId(1));
    house.dispatcher.join(WorkerId(2), CAPACITY);
    assert_eq!(recalled(&house), [of_latest(2, "f", 2), of_latest(2, "g", 1)], "no look came between");
    let _ = house.dispatcher.look_in_use();
    house.dispatcher.lost(WorkerId(2));
    house.dispatcher.join(WorkerId(3), CAPACITY);
    assert_eq!(recalled(&house), [of_latest(3, "f", 2), of_latest(3, "g", 1)], "nor is it forgotten at a look");
}

#[tokio::test(start_paused = true)]
async fn what_was_in_use_on_a_worker_that_drains_is_recalled_on_another() {
    let house = used().await;
    house.dispatcher.go_on_with(LatelyRecord::default());
    // Until all are idle.
    tokio::time::sleep(Duration::from_secs(1)).await;
    house.dispatcher.join(WorkerId(2), CAPACITY);
    assert_eq!(recalled(&house), [], "all of it is there");
    house.dispatcher.drain_worker(WorkerId(1));
    assert_eq!(recalled(&house), [of_latest(2, "f", 2), of_latest(2, "g", 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_lives_is_not_recalled() {
    let mut before = written(&used().await);
    // However fast this is, what is invoked below was used later.
    before.versions.iter_mut().for_each(|version| version.used.at_ms -= 1000);
    let house = restarted_on(1, SPREAD, &["f", "g"], &before);
    house.invoke("1").await.unwrap();
    recalled(&house);
    house.dispatcher.join(WorkerId(3), CAPACITY);
    assert_eq!(recalled(&house), [of_latest(2, "g", 1), of_latest(3, "f", 1)], "one of the two of f lives");
    house.dispatcher.lost(WorkerId(3));
    assert_eq!(recalled(&house), [of_latest(2, "f", 1), of_latest(2, "g", 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_is_about_to_end_recalls_nothing() {
    let house = used().await;
    house.dispatcher.go_on_with(LatelyRecord::default());
    house.dispatcher.join(WorkerId(2), CAPACITY);
    house.dispatcher.drain(Duration::ZERO).await;
    house.dispatcher.lost(WorkerId(1));
    assert_eq!(recalled(&house), []);
}

#[tokio::test(start_paused = true)]
async fn in_use_is_what_had_an_invoke_since_the_last_look() {
    let house = used().await;
    // Until all are idle.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(written(&house).versions.len(), 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    house.dispatcher.go_on_with(LatelyRecord::default());
    assert_eq!(house.dispatcher.look_in_use(), None);
    house.invoke("3").await.unwrap();
    assert_eq!(written(&house).versions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_it_is_known_what_is() {
    let house = used().await;
    assert_eq!((house.dispatcher.look_in_use(), house.dispatcher.count_remembered()), (None, 0));
    let record = written(&house);
    house.dispatcher.in_use_is_written(record);
    assert_eq!((house.dispatcher.look_in_use(), house.dispatcher.count_remembered()), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn what_came_and_went_between_two_looks_was_in_use() {
    let house = used().await;
    // Longer than an environment is kept idle.
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(house.worker.living(), 0);
    let house_after = restarted(LIMITS, &["f", "g"], &written(&house));
    house_after.dispatcher.recall();
    assert_eq!(recalled(&house_after), [of_latest(1, "f", 2), of_latest(1, "g", 1)]);
    house.invoke("3").await.unwrap();
    house.dispatcher.go_on_with(LatelyRecord::default());
    house.dispatcher.apply(vec![FunctionChange::Function("f".into(), None)]);
    assert_eq!(house.dispatcher.look_in_use(), None, "it was deleted");
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
    let house = restarted(limits, &["f", "g"], &written(&before));
    house.dispatcher.recall();
    tokio::time::sleep(Duration::from_secs(290)).await;
    assert_eq!(house.worker.living(), 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(house.worker.living(), 1, "it is there before the call");
    let (_, environment) = ran(house.invoke("1").await);
    assert_eq!((environment, house.worker.living()), (1, 1), "and is what the call gets");
}
