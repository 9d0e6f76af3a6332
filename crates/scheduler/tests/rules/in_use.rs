//! What is in use, for who remembers it.

use super::*;

fn in_use(bench: &Bench, since_s: u64) -> Vec<(u64, u32)> {
    let all = bench.scheduler.in_use_since(Duration::from_secs(since_s));
    all.into_iter().map(|(generation, count)| (generation.0, count)).collect()
}

#[test]
fn what_has_had_an_invoke_since_then_is_in_use() {
    let mut bench = Bench::deployed(LIMITS);
    bench.deploy(2, 2, 128);
    assert_eq!(in_use(&bench, 0), []);
    bench.invoke(1, 1);
    bench.invoke(2, 1);
    bench.invoke(3, 2);
    assert_eq!(in_use(&bench, 9), [(1, 2), (2, 1)], "busy ones are, whenever they began");
    bench.after(1000).step(Event::Answered(env(1)));
    assert_eq!(in_use(&bench, 9), [(1, 2), (2, 1)], "about to be idle");
    bench.step(Event::Idle(env(1)));
    bench.after(1000).step(Event::Idle(env(2)));
    assert_eq!(in_use(&bench, 1), [(1, 2), (2, 1)]);
    assert_eq!(in_use(&bench, 2), [(1, 1), (2, 1)], "the other was idle before");
    assert_eq!(in_use(&bench, 3), [(2, 1)]);
    bench.after(120_000).step(Event::Tick);
    assert_eq!(in_use(&bench, 0), [(2, 1)], "what has gone is not");
}

#[test]
fn what_is_there_without_an_invoke_is_not_in_use() {
    let mut bench = Bench::deployed(LIMITS);
    bench.step(Event::Provision { generation: Generation(1), count: 1 });
    bench.step(Event::Prepared(env(1)));
    assert_eq!(in_use(&bench, 0), []);
    bench.invoke(1, 1);
    assert_eq!(in_use(&bench, 0), [], "who has it provisioned need not remember it");
    bench.invoke(2, 1);
    assert_eq!(in_use(&bench, 0), [(1, 1)], "but what spills over");
}
