//! Published versions and aliases: which one an invoke runs, and what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::{Foreseen, House, LIMITS, code, put, ran, record, updated, updating};
use hearth_api::ApiError;
use hearth_frontend::{FunctionChange, InvokeResponse};
use hearth_scheduler::{Capacity, Limits, WorkerId};
use hearth_types::RevisionId;
use hearth_types::function::{AliasRecord, Code, State, VersionId, VersionRecord};
use hearth_types::settings::ProvisionedConcurrency;
use proptest::prelude::*;
use uuid::Uuid;

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";

/// Version `number` of `f` is now this.
fn publish(number: u64, change: impl FnOnce(&mut VersionRecord)) -> FunctionChange {
    let mut version = record("f").latest;
    version.code = code(&number.to_string());
    change(&mut version);
    FunctionChange::Version("f".into(), number, Some(Box::new(version)))
}

/// The alias `name` of `f` is now this.
fn alias(name: &str, version: u64, weights: &[(u64, f64)]) -> FunctionChange {
    let alias = AliasRecord {
        version: VersionId::Number(version),
        description: String::new(),
        weights: weights.iter().copied().collect(),
        revision: RevisionId(Uuid::nil()),
    };
    FunctionChange::Alias("f".into(), name.into(), Some(Box::new(alias)))
}

/// `f` with versions 1 and 2, and `prod`, which is 1.
fn house() -> House {
    let house = House::new(LIMITS);
    // As keys are ordered in a commit: parts of a function come before its own record.
    house.dispatcher.apply(vec![alias("prod", 1, &[]), publish(1, |_| {}), publish(2, |_| {}), put(record("f"))]);
    house
}

async fn executed(house: &House, name: &str) -> String {
    let response = house.request(name, None, &[], b"").await.unwrap();
    let InvokeResponse::Executed { executed_version, .. } = response else { panic!("a dry run") };
    executed_version.to_string()
}

fn is_not_found(error: &ApiError, qualifier: &str) {
    assert_eq!((error.kind.status, error.kind.code), (404, "ResourceNotFoundException"));
    assert_eq!(error.message.as_deref(), Some(format!("Function not found: {ARN}:{qualifier}").as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_qualifier_names_the_version_that_runs_and_stands_in_its_arn() {
    let house = house();
    for (name, version, arn) in [
        ("f", "$LATEST", ""),
        ("f:$LATEST", "$LATEST", ":$LATEST"),
        ("f:1", "1", ":1"),
        ("f:2", "2", ":2"),
        ("f:prod", "1", ":prod"),
        (&format!("{ARN}:prod"), "1", ":prod"),
    ] {
        assert_eq!(executed(&house, name).await, version, "{name}");
        assert_eq!(house.last_seen().invoked_arn, format!("{ARN}{arn}"), "{name}");
    }
    let response = house.request("f", Some("Qualifier=2"), &[], b"").await.unwrap().into_http();
    assert_eq!(response.headers()["x-amz-executed-version"], "2");
    for unknown in ["3", "01", "pro", "PROD", "$latest"] {
        is_not_found(&house.request("f", Some(&format!("Qualifier={unknown}")), &[], b"").await.unwrap_err(), unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_provisioned_ends_with_the_server_for_good() {
    let house = House::new(LIMITS);
    let three = ProvisionedConcurrency { requested: 3, modified_ms: 0 };
    house.dispatcher.apply(vec![
        publish(1, |_| {}),
        FunctionChange::Provisioned("f".to_owned(), "1".to_owned(), Some(Box::new(three))),
    ]);
    assert_eq!(house.worker.living(), 3);
    house.dispatcher.drain(Duration::from_secs(30)).await;
    assert_eq!(house.worker.living(), 0);
    // Those that could not be made are tried again, in vain.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(house.worker.living(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_invocable_is_foreseen_where_it_would_start() {
    let house = House::new(LIMITS);
    let foreseen = || {
        let told = house.worker.foreseen.lock().unwrap().take();
        told.map(|Foreseen { worker, spec }| (worker.0, format!("{}:{}", spec.function, spec.version)))
    };
    let one = |worker, version: &str| Some((worker, version.to_owned()));
    assert_eq!(foreseen(), one(1, "f:$LATEST"));
    let pending = |name| {
        let mut record = record(name);
        record.latest.state = State::Pending;
        put(record)
    };
    house.dispatcher.apply(vec![pending("g")]);
    assert_eq!(foreseen(), None);
    house.dispatcher.apply(vec![put(record("g"))]);
    assert_eq!(foreseen(), one(1, "g:$LATEST"));
    house.dispatcher.apply(vec![publish(1, |_| {})]);
    assert_eq!(foreseen(), one(1, "f:1"));
    house.dispatcher.apply(vec![alias("prod", 1, &[]), put(record("g"))]);
    assert_eq!(foreseen(), None, "it was there");
    house.dispatcher.apply(vec![put(updating(&record("f"), "2"))]);
    assert_eq!(foreseen(), None, "the old one serves");
    // From here on it is the one with the least room.
    house.dispatcher.join(WorkerId(2), Capacity { memory_mb: 1024, environments: 20 });
    house.dispatcher.apply(vec![put(updated(updating(&record("f"), "2")))]);
    assert_eq!(foreseen(), one(2, "f:$LATEST"));
    house.dispatcher.replace(vec![put(record("f")), put(record("h"))]);
    assert_eq!(foreseen(), None, "as after a start: what is listed was there before");
}

#[tokio::test(start_paused = true)]
async fn versions_share_no_environment_but_aliases_of_one_do() {
    let house = house();
    let environment = async |name: &str| ran(house.request(name, None, &[], b"").await).1;
    let (latest, first, second) = (environment("f").await, environment("f:1").await, environment("f:2").await);
    assert_eq!(environment("f:prod").await, first);
    assert_eq!((environment("f:$LATEST").await, environment("f:2").await), (latest, second));
    let views = house.dispatcher.environments_of("f").unwrap();
    let versions: Vec<_> = views.iter().map(|view| view.version.as_str()).collect();
    assert_eq!(versions, ["$LATEST", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn an_alias_moves_at_once_and_versions_stay_warm() {
    let house = house();
    let first = ran(house.request("f:prod", None, &[], b"").await);
    house.dispatcher.apply(vec![alias("prod", 2, &[]), put(record("f"))]);
    assert_eq!(executed(&house, "f:prod").await, "2");
    house.dispatcher.apply(vec![alias("prod", 1, &[]), put(record("f"))]);
    assert_eq!(ran(house.request("f:prod", None, &[], b"").await), first, "still the environment of before");
    house.dispatcher.apply(vec![FunctionChange::Alias("f".into(), "prod".into(), None)]);
    is_not_found(&house.request("f:prod", None, &[], b"").await.unwrap_err(), "prod");
}

#[tokio::test(start_paused = true)]
async fn weights_split_the_invokes_by_chance() {
    let house = house();
    house.dispatcher.apply(vec![alias("prod", 1, &[(2, 0.3)])]);
    let mut second = 0;
    let mut runs = 0;
    let mut before = String::new();
    for _ in 0..4000 {
        let version = executed(&house, "f:prod").await;
        second += i32::from(version == "2");
        runs += i32::from(version != before);
        before = version;
    }
    // Five standard deviations: one run of two million would fail by chance.
    assert!((second - 1200).abs() < 145, "{second} of 4000 at a weight of 0.3");
    assert!((runs - 1680).abs() < 5 * 32, "each invoke is a choice of its own: {runs} runs, 1680 expected");
    assert_eq!(house.last_seen().invoked_arn, format!("{ARN}:prod"));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_goes_drains_and_is_not_found() {
    let house = house();
    let waits = house.request("f:1", None, &[], b"\"runs\"");
    let deletes = async {
        tokio::task::yield_now().await;
        house.dispatcher.apply(vec![FunctionChange::Version("f".into(), 1, None)]);
        house.request("f:1", None, &[], b"").await.unwrap_err()
    };
    let (runs, refused) = tokio::join!(waits, deletes);
    ran(runs);
    is_not_found(&refused, "1");
    is_not_found(&house.request("f:prod", None, &[], b"").await.unwrap_err(), "prod");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(house.worker.living(), 0, "its environment is gone");
}

#[tokio::test(start_paused = true)]
async fn with_a_function_goes_all_that_is_its_own() {
    let house = house();
    ran(house.request("f:1", None, &[], b"").await);
    ran(house.request("f:2", None, &[], b"").await);
    let gone = |number| FunctionChange::Version("f".into(), number, None);
    house.dispatcher.apply(vec![gone(1), gone(2), FunctionChange::Function("f".into(), None)]);
    is_not_found(&house.request("f:1", None, &[], b"").await.unwrap_err(), "1");
    house.dispatcher.apply(vec![put(record("f"))]);
    is_not_found(&house.request("f:1", None, &[], b"").await.unwrap_err(), "1");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(house.worker.living(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_version_has_a_state_of_its_own() {
    let house = house();
    house.dispatcher.apply(vec![publish(3, |version| version.state = State::Pending)]);
    let error = house.request("f:3", None, &[], b"").await.unwrap_err();
    assert_eq!((error.kind.status, error.kind.code), (409, "ResourceConflictException"));
    assert!(error.to_string().ends_with("state: Pending"), "{error}");
    house.dispatcher.apply(vec![publish(3, |_| {})]);
    assert_eq!(executed(&house, "f:3").await, "3");
}

#[tokio::test(start_paused = true)]
async fn what_this_server_cannot_run_says_why() {
    let house = house();
    let image = |version: &mut VersionRecord| version.code = Code::Image { uri: "registry/f:1".into() };
    house.dispatcher.apply(vec![publish(1, |version| version.config.architecture = "arm64".into()), publish(2, image)]);
    let error = house.request("f:1", None, &[], b"").await.unwrap_err();
    assert_eq!((error.kind.status, error.kind.code), (400, "InvalidParameterValueException"));
    assert!(error.to_string().contains("arm64") && error.to_string().contains("x86_64"), "{error}");
    let error = house.request("f:2", None, &[], b"").await.unwrap_err();
    assert!(error.kind.status == 501 && error.to_string().contains("container image"), "{error}");
    ran(house.invoke("1").await);
}

async fn throttled(house: &House, name: &str, reason: &str) {
    let error = house.request(name, None, &[], b"").await.unwrap_err();
    assert_eq!((error.kind.status, error.kind.code), (429, "TooManyRequestsException"));
    assert_eq!(error.message.as_deref(), Some("Rate Exceeded."));
    assert_eq!(error.extra, [("Reason", reason.to_owned())]);
}

fn reserve(name: &str, concurrency: Option<u32>) -> FunctionChange {
    let mut record = record(name);
    record.reserved_concurrency = concurrency;
    put(record)
}

const RESERVED: &str = "ReservedFunctionConcurrentInvocationLimitExceeded";

#[tokio::test(start_paused = true)]
async fn reserved_concurrency_counts_all_versions_together_and_changes_at_once() {
    let house = house();
    house.dispatcher.apply(vec![reserve("f", Some(2))]);
    let more = async {
        tokio::task::yield_now().await;
        for name in ["f", "f:1", "f:2", "f:prod"] {
            throttled(&house, name, RESERVED).await;
        }
        house.dispatcher.apply(vec![reserve("f", Some(3))]);
        ran(house.request("f:2", None, &[], b"").await);
        house.dispatcher.apply(vec![reserve("f", Some(0))]);
        throttled(&house, "f:1", RESERVED).await;
    };
    let (latest, first, ()) = tokio::join!(house.invoke("1"), house.request("f:1", None, &[], b""), more);
    ran(latest);
    ran(first);
    throttled(&house, "f", RESERVED).await;
    house.dispatcher.apply(vec![reserve("f", None)]);
    ran(house.invoke("1").await);
}

#[tokio::test(start_paused = true)]
async fn what_is_reserved_is_taken_from_the_others_until_its_function_goes() {
    let house = House::new(Limits { account_concurrency: 3, ..LIMITS });
    house.dispatcher.apply(vec![reserve("g", Some(2))]);
    let more = async {
        tokio::task::yield_now().await;
        throttled(&house, "f", "ConcurrentInvocationLimitExceeded").await;
        ran(house.request("g", None, &[], b"").await);
        house.dispatcher.apply(vec![FunctionChange::Function("g".into(), None)]);
        ran(house.invoke("2").await);
    };
    let (first, ()) = tokio::join!(house.invoke("1"), more);
    ran(first);
}

/// What a model that knows only names says of each invoke.
#[derive(Default, Debug)]
struct Model(BTreeMap<String, (BTreeSet<u64>, BTreeMap<String, u64>)>);

impl Model {
    fn apply(&mut self, change: &FunctionChange) {
        match change {
            FunctionChange::Function(name, Some(_)) => drop(self.0.entry(name.clone()).or_default()),
            FunctionChange::Function(name, None) => drop(self.0.remove(name)),
            FunctionChange::Version(name, number, record) => {
                let Some((versions, _)) = self.0.get_mut(name) else { return };
                if record.is_some() {
                    versions.insert(*number)
                } else {
                    versions.remove(number)
                };
            }
            FunctionChange::Alias(name, alias, record) => {
                let Some((_, aliases)) = self.0.get_mut(name) else { return };
                aliases.remove(alias);
                if let Some(VersionId::Number(number)) = record.as_ref().map(|record| record.version) {
                    aliases.insert(alias.clone(), number);
                }
            }
            // No invoke finds anything by these.
            FunctionChange::Url(..) | FunctionChange::Policy(..) | FunctionChange::Provisioned(..) => {}
        }
    }

    fn finds(&self, name: &str, qualifier: &str) -> bool {
        let Some((versions, aliases)) = self.0.get(name) else { return false };
        match qualifier.parse() {
            Ok(number) => versions.contains(&number),
            Err(_) if qualifier == "$LATEST" => true,
            Err(_) => aliases.get(qualifier).is_some_and(|number| versions.contains(number)),
        }
    }

    /// All of it, as a list of records.
    fn listed(&self) -> Vec<FunctionChange> {
        let of = |(name, (versions, aliases)): (&String, &(BTreeSet<u64>, BTreeMap<String, u64>))| {
            let versions = versions.iter().map(|number| renamed(publish(*number, |_| {}), name));
            let aliases = aliases.iter().map(|(alias, number)| renamed(self::alias(alias, *number, &[]), name));
            versions.chain(aliases).chain([put(record(name))]).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }
}

fn renamed(change: FunctionChange, name: &str) -> FunctionChange {
    match change {
        FunctionChange::Function(_, record) => FunctionChange::Function(name.into(), record),
        FunctionChange::Version(_, number, record) => FunctionChange::Version(name.into(), number, record),
        FunctionChange::Alias(_, alias, record) => FunctionChange::Alias(name.into(), alias, record),
        other => other,
    }
}

fn change() -> impl Strategy<Value = FunctionChange> {
    let name = prop_oneof![Just("f"), Just("g"), Just("h")];
    let kind = prop_oneof![
        3 => Just(put(record("f"))).boxed(),
        1 => Just(FunctionChange::Function("f".into(), None)).boxed(),
        4 => (1..4_u64).prop_map(|number| publish(number, |_| {})).boxed(),
        1 => (1..4_u64).prop_map(|number| FunctionChange::Version("f".into(), number, None)).boxed(),
        4 => (1..4_u64, prop_oneof![Just("a"), Just("b")]).prop_map(|(number, name)| alias(name, number, &[])).boxed(),
        1 => prop_oneof![Just("a"), Just("b")].prop_map(|name| FunctionChange::Alias("f".into(), name.into(), None)).boxed(),
    ];
    (name, kind).prop_map(|(name, change)| renamed(change, name))
}

async fn finds(house: &House, name: &str, qualifier: &str) -> bool {
    let dry = [("x-amz-invocation-type", "DryRun")];
    match house.request(name, Some(&format!("Qualifier={qualifier}")), &dry, b"").await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind.status, 404, "{error}");
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Commit by commit, and as a whole list over whatever was there before, the same can be invoked.
    #[test]
    fn commits_and_snapshots_lead_to_the_same(commits in prop::collection::vec(change(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (followed, resumed) = (House::new(LIMITS), house());
            let mut model = Model::default();
            model.apply(&put(record("f")));
            for commit in commits {
                model.apply(&commit);
                followed.dispatcher.apply(vec![commit]);
            }
            resumed.dispatcher.replace(model.listed());
            for name in ["f", "g", "h"] {
                for qualifier in ["$LATEST", "1", "2", "3", "a", "b", "prod"] {
                    let expected = model.finds(name, qualifier);
                    assert_eq!(finds(&followed, name, qualifier).await, expected, "{name}:{qualifier} followed");
                    assert_eq!(finds(&resumed, name, qualifier).await, expected, "{name}:{qualifier} resumed");
                }
            }
        });
    }
}
