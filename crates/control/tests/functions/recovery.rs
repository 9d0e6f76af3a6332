//! Clients that go away, and starts after an end at any moment.

use std::collections::HashSet;

use hearth_types::function::{State, UpdateStatus};

use super::*;

/// Waits until the store has seen so many commits.
async fn committed(house: &House, version: u64) {
    let commits = async {
        let mut changes = house.store.watch("function/");
        while let Some(WatchEvent::Snapshot { version: seen, .. } | WatchEvent::Commit { version: seen, .. }) =
            changes.next().await
        {
            if seen >= version {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), commits).await.expect("the commit comes");
}

#[tokio::test]
async fn a_transition_is_settled_though_its_client_went_away() {
    let (applied_to, applied) = watch::channel(0);
    let house = House::beside(applied);
    for (operation, version) in [("create", 1), ("update", 3)] {
        let control = Arc::clone(&house.control);
        let client = tokio::spawn(async move {
            match operation {
                "create" => control.create_function(create("f")).await,
                _ => control.update_function_code(code_of("f", zip("two"))).await,
            }
        });
        // Written, but not answered: the front end has not seen it.
        committed(&house, version).await;
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled(), "{operation}");
        applied_to.send_replace(version + 1);
        committed(&house, version + 1).await;
        let answer = house.configuration("f").await;
        assert_eq!((&answer["State"], &answer["LastUpdateStatus"]), (&"Active".into(), &"Successful".into()));
    }
}

#[tokio::test]
async fn a_start_settles_what_was_under_way() {
    let house = House::new();
    for name in ["creating", "updating", "still"] {
        house.created(name).await;
    }
    house.tamper("creating", |record| (record.latest.state, record.latest.last_update) = (State::Pending, None)).await;
    house.tamper("updating", |record| record.latest.last_update = Some(UpdateStatus::InProgress)).await;
    let still = house.configuration("still").await;
    let house = house.restarted();
    house.control.recover().await.unwrap();
    for name in ["creating", "updating"] {
        let answer = house.configuration(name).await;
        assert_eq!((&answer["State"], &answer["LastUpdateStatus"]), (&"Active".into(), &"Successful".into()), "{name}");
    }
    assert_eq!(house.configuration("still").await, still, "what was settled is left alone");
}

async fn runnable(house: &House, packages: [&Bytes; 3]) -> Vec<bool> {
    let mut found = Vec::new();
    for package in packages {
        found.push(house.is_runnable(package).await);
    }
    found
}

#[tokio::test]
async fn a_start_has_trees_made_and_removes_packages_of_nobody() {
    let house = House::new();
    let (one, two, three) = (zip("one"), zip("two"), zip("three"));
    house.created("f").await;
    house.update_code(code_of("f", two.clone())).await.unwrap();
    house.control.settle("f").await.unwrap();
    house.created("deleted").await;
    house.update_code(code_of("deleted", three.clone())).await.unwrap();
    house.delete("deleted", None).await.unwrap();
    assert_eq!(runnable(&house, [&one, &two, &three]).await, [true, true, true]);

    let house = house.restarted();
    std::fs::remove_dir_all(house.folder.path().join("code").join(CodeDigest::of(&two).to_string())).unwrap();
    let unused = house.control.recover().await.unwrap();
    let ahead = tokio::spawn(Arc::clone(&house.trees).make_ahead());
    while !house.handler(&two).is_file() {
        tokio::task::yield_now().await;
    }
    ahead.abort();
    house.control.tidy(&unused).await.unwrap();
    assert_eq!(runnable(&house, [&one, &two, &three]).await, [false, true, false]);
    assert_eq!(house.blobs.list().await.unwrap(), [CodeDigest::of(&two)]);
}

#[tokio::test]
async fn a_package_that_is_lost_costs_no_other_function_its_start() {
    let house = House::new();
    house.created("lost").await;
    house.created("whole").await;
    house.update_code(code_of("whole", zip("two"))).await.unwrap();
    house.control.settle("whole").await.unwrap();
    let lost = CodeDigest::of(&zip("one"));
    assert!(house.is_runnable(&zip("one")).await);
    house.blobs.delete(&lost).await.unwrap();
    std::fs::remove_dir_all(house.folder.path().join("code").join(lost.to_string())).unwrap();
    let house = house.restarted();
    house.control.recover().await.unwrap();
    assert_eq!(house.configuration("lost").await["State"], "Active");
    assert!(!house.is_runnable(&zip("one")).await && house.is_runnable(&zip("two")).await);
    assert_eq!(house.configuration("whole").await["State"], "Active");
    house.update_code(code_of("lost", zip("one"))).await.unwrap();
    assert!(house.is_runnable(&zip("one")).await, "deploying again mends it");
}

#[tokio::test]
async fn packages_go_at_the_second_look_that_finds_them_unused() {
    let house = House::new();
    let (one, two, three) = (zip("one"), zip("two"), zip("three"));
    let digests = |packages: &[&Bytes]| packages.iter().map(|bytes| CodeDigest::of(bytes)).collect::<HashSet<_>>();
    let kept = async || house.blobs.list().await.unwrap().into_iter().collect::<HashSet<_>>();
    let deploy = async |package: &Bytes| {
        house.update_code(code_of("f", package.clone())).await.unwrap();
        house.control.settle("f").await.unwrap();
    };
    house.created("f").await;
    deploy(&two).await;
    let unused = house.control.tidy(&HashSet::new()).await.unwrap();
    assert_eq!((&unused, kept().await), (&digests(&[&one]), digests(&[&one, &two])), "it may still run");

    // Sent again and replaced again between two looks: it may still run.
    deploy(&one).await;
    deploy(&three).await;
    let unused = house.control.tidy(&unused).await.unwrap();
    assert_eq!((&unused, kept().await), (&digests(&[&one, &two]), digests(&[&one, &two, &three])));

    let unused = house.control.tidy(&unused).await.unwrap();
    assert_eq!((unused, kept().await), (HashSet::new(), digests(&[&three])));
    assert_eq!(runnable(&house, [&one, &two, &three]).await, [false, false, true]);
    deploy(&one).await;
    assert!(house.is_runnable(&one).await, "what went can be sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_that_is_sent_while_it_goes_is_whole() {
    let house = House::new();
    house.created("f").await;
    house.update_code(code_of("f", zip("two"))).await.unwrap();
    for round in 0..20 {
        house.control.settle("f").await.unwrap();
        let package = zip(if round % 2 == 0 { "one" } else { "two" });
        let before = house.control.tidy(&HashSet::new()).await.unwrap();
        assert!(before.contains(&CodeDigest::of(&package)));
        let control = Arc::clone(&house.control);
        let going = tokio::spawn(async move { control.tidy(&before).await.unwrap() });
        house.update_code(code_of("f", package.clone())).await.unwrap();
        going.await.unwrap();
        assert!(house.is_runnable(&package).await, "round {round}");
        assert!(house.blobs.get(&CodeDigest::of(&package)).await.unwrap().is_some(), "round {round}");
        // What was not in use in this round may have gone: it is sent again for the next one.
        let other = zip(if round % 2 == 0 { "two" } else { "one" });
        house
            .control
            .create_function(api::CreateFunctionRequest {
                code: api::FunctionCode { zip_file: Some(other), ..Default::default() },
                ..create("g")
            })
            .await
            .unwrap();
        house.delete("g", None).await.unwrap();
    }
}
