//! Random sequences of operations against a model: each answer is the model's, what is refused changes nothing that is
//! stored, and all that can be read is what the model says.
//!
//! `PROPTEST_CASES` and `PROPTEST_RNG_SEED` choose how many sequences, and which.

mod drive;
mod pure;
mod turns;

use proptest::prelude::*;

use super::*;
use drive::Driven;
use pure::Model;

/// One step. Names are numbers: few of each, so that operations meet.
#[derive(Clone, Debug)]
enum Step {
    /// A client waits for the answer.
    Asked(Operation),
    /// A client goes away while the server works: after so many steps of the operation's future.
    Abandoned(Operation, usize),
    /// Two clients at the same time; how their reads and writes take turns.
    Together(Operation, Operation, u64),
    /// The server ends and starts again.
    Restarted,
}

#[derive(Clone, Debug)]
enum Operation {
    Create { function: u8, code: u8, layers: Vec<(u8, u64)>, publish: bool },
    UpdateCode { function: u8, code: u8, publish: bool },
    Configure { function: u8, description: u8, layers: Option<Vec<(u8, u64)>> },
    Publish { function: u8, description: Option<u8> },
    Delete { function: u8, version: Option<u64> },
    CreateAlias { function: u8, alias: u8, version: u64, weight: Option<u64> },
    UpdateAlias { function: u8, alias: u8, version: Option<u64>, weight: Option<Option<u64>> },
    DeleteAlias { function: u8, alias: u8 },
    Allow { function: u8, of: Of, sid: u8 },
    Disallow { function: u8, of: Of, sid: u8 },
    Reserve { function: u8, reserved: u32 },
    Unreserve { function: u8 },
    PublishLayer { layer: u8, code: u8 },
    DeleteLayer { layer: u8, version: u64 },
    AllowLayer { layer: u8, version: u64, sid: u8 },
    DisallowLayer { layer: u8, version: u64, sid: u8 },
}

/// What a policy is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Of {
    Function,
    Version(u64),
    Alias(u8),
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    // Mostly the first, so that more steps meet.
    let function = || prop_oneof![3 => Just(0_u8), 1 => Just(1)];
    let alias = || prop_oneof![3 => Just(0_u8), 1 => Just(1)];
    let code = || 0..3_u8;
    let sid = || 0..2_u8;
    let number = || 1..4_u64;
    let layers = || proptest::collection::vec((0..2_u8, 1..3_u64), 0..3);
    let of = || prop_oneof![Just(Of::Function), number().prop_map(Of::Version), alias().prop_map(Of::Alias)];
    let weight = || proptest::option::weighted(0.3, number());
    // $LATEST is 0.
    let pointed = || 0..4_u64;
    prop_oneof![
        4 => (function(), code(), layers(), any::<bool>())
            .prop_map(|(function, code, layers, publish)| Create { function, code, layers, publish }),
        4 => (function(), code(), any::<bool>())
            .prop_map(|(function, code, publish)| UpdateCode { function, code, publish }),
        4 => (function(), code(), proptest::option::of(layers()))
            .prop_map(|(function, description, layers)| Configure { function, description, layers }),
        6 => (function(), proptest::option::weighted(0.2, code()))
            .prop_map(|(function, description)| Publish { function, description }),
        1 => function().prop_map(|function| Delete { function, version: None }),
        2 => (function(), number()).prop_map(|(function, number)| Delete { function, version: Some(number) }),
        4 => (function(), alias(), pointed(), weight())
            .prop_map(|(function, alias, version, weight)| CreateAlias { function, alias, version, weight }),
        3 => (function(), alias(), proptest::option::of(pointed()), proptest::option::of(weight()))
            .prop_map(|(function, alias, version, weight)| UpdateAlias { function, alias, version, weight }),
        2 => (function(), alias()).prop_map(|(function, alias)| DeleteAlias { function, alias }),
        4 => (function(), of(), sid()).prop_map(|(function, of, sid)| Allow { function, of, sid }),
        3 => (function(), of(), sid()).prop_map(|(function, of, sid)| Disallow { function, of, sid }),
        2 => (function(), prop_oneof![Just(0), Just(5), Just(450), Just(900), Just(901)])
            .prop_map(|(function, reserved)| Reserve { function, reserved }),
        1 => function().prop_map(|function| Unreserve { function }),
        3 => (0..2_u8, code()).prop_map(|(layer, code)| PublishLayer { layer, code }),
        1 => (0..2_u8, 1..3_u64).prop_map(|(layer, version)| DeleteLayer { layer, version }),
        2 => (0..2_u8, 1..3_u64, sid()).prop_map(|(layer, version, sid)| AllowLayer { layer, version, sid }),
        1 => (0..2_u8, 1..3_u64, sid()).prop_map(|(layer, version, sid)| DisallowLayer { layer, version, sid }),
    ]
}

/// Of which both functions together cannot have all.
fn reservation(function: u8) -> impl Strategy<Value = Operation> {
    prop_oneof![Just(5), Just(450), Just(900)].prop_map(move |reserved| Operation::Reserve { function, reserved })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => operation().prop_map(Step::Asked),
        3 => (operation(), 0..12_usize).prop_map(|(operation, polls)| Step::Abandoned(operation, polls)),
        6 => (operation(), operation(), any::<u64>()).prop_map(|(one, other, turns)| Step::Together(one, other, turns)),
        1 => (reservation(0), reservation(1), any::<u64>())
            .prop_map(|(one, other, turns)| Step::Together(one, other, turns)),
        1 => Just(Step::Restarted),
    ]
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(80)
}

/// Of so many steps one is followed by a look at everything: that is most of the work.
const LOOKED_AT: usize = 6;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn all_operations_do_what_the_model_does(steps in proptest::collection::vec(step(), 20..100)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}

async fn play(steps: Vec<Step>) {
    let mut driven = Driven::new();
    // More than one where several would have shown the same so far: what a version was published from is not shown.
    let mut possible = vec![Model::default()];
    let last = steps.len() - 1;
    for (n, step) in steps.into_iter().enumerate() {
        let stored = driven.stored().await;
        let before = possible.clone();
        match &step {
            Step::Asked(operation) => {
                let answered = driven.ask(operation).await;
                possible = answering(possible, operation, answered);
                assert!(!possible.is_empty(), "{operation:?}: {answered:?}, of {before:#?}");
                assert!(answered.is_ok() || driven.stored().await == stored, "{operation:?} was refused");
            }
            Step::Abandoned(operation, polls) => {
                driven.abandon(operation, *polls).await;
                // All of it has happened, or nothing.
                for model in &before {
                    let mut after = model.clone();
                    let _ = after.apply(operation);
                    possible.push(after);
                }
            }
            Step::Together(one, other, turns) => {
                let answered = driven.ask_together(one, other, *turns).await;
                let orders = before.iter().flat_map(|model| model.orders(one, other));
                possible = orders.filter(|order| order.answers == answered).map(|order| order.model).collect();
                assert!(!possible.is_empty(), "{step:?} in no order: {answered:?}, of {before:#?}");
            }
            Step::Restarted => {
                driven = driven.restarted().await;
                assert_eq!(driven.stored().await, stored, "a start changes nothing");
            }
        }
        let is_looked_at = matches!(step, Step::Abandoned(..) | Step::Together(..)) || n % LOOKED_AT == 0 || n == last;
        if is_looked_at {
            let seen = driven.seen().await;
            possible.retain(|model| model.shown() == seen);
            assert!(!possible.is_empty(), "after {step:?}: {seen:#?}, of {before:#?}");
        }
        possible = different(possible);
    }
}

/// The models that answer so, after it.
fn answering(possible: Vec<Model>, operation: &Operation, answered: pure::Outcome) -> Vec<Model> {
    let after = possible.into_iter().map(|mut model| (model.apply(operation), model));
    after.filter(|(expected, _)| *expected == answered).map(|(_, model)| model).collect()
}

/// Each once.
fn different(models: Vec<Model>) -> Vec<Model> {
    models.into_iter().fold(Vec::new(), |mut kept, model| {
        if !kept.contains(&model) {
            kept.push(model);
        }
        kept
    })
}
