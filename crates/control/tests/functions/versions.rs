//! Published versions: what they hold on to, how they are named, listed and deleted.

use hearth_api::ops;
use hearth_types::function::{State, UpdateStatus, VersionRecord};

use super::*;

impl House {
    async fn listed_versions(&self, name: &str) -> Vec<String> {
        let (mut versions, mut marker) = (Vec::new(), None);
        loop {
            let input =
                api::ListVersionsByFunctionRequest { function_name: name.to_owned(), marker, max_items: Some(2) };
            let page = self.control.list_versions_by_function(input).await.unwrap();
            for version in page.versions.unwrap() {
                assert_eq!((version.state, version.last_update_status), (None, None));
                versions.push(version.function_arn.unwrap().rsplit(':').next().unwrap().to_owned());
            }
            marker = page.next_marker;
            if marker.is_none() {
                return versions;
            }
        }
    }
}

fn publish(name: &str) -> api::PublishVersionRequest {
    api::PublishVersionRequest { function_name: name.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn a_version_keeps_what_latest_was() {
    let house = House::new();
    house.created("f").await;
    let before = house.configuration("f").await;
    let described = api::PublishVersionRequest { description: Some("the first".into()), ..publish("f") };
    let first = json::<ops::PublishVersion>(&house.control.publish_version(described).await.unwrap());
    let mut expected = before.clone();
    for (member, value) in
        [("FunctionArn", format!("{ARN}:f:1")), ("Version", "1".into()), ("Description", "the first".into())]
    {
        expected[member] = value.into();
    }
    expected["RevisionId"] = first["RevisionId"].clone();
    assert_eq!(first, expected);
    let after = house.configuration("f").await;
    let revisions = [&before["RevisionId"], &first["RevisionId"], &after["RevisionId"]];
    assert!(revisions.iter().enumerate().all(|(n, id)| !revisions[..n].contains(id)), "{revisions:?}");

    house.update_code(code_of("f", zip("two"))).await.unwrap();
    house.control.settle("f").await.unwrap();
    assert_eq!(house.asked("f", Some("1")).await.unwrap(), first);
    assert_eq!(house.asked("f:1", None).await.unwrap(), first);
    assert_ne!(house.configuration("f").await["CodeSha256"], first["CodeSha256"]);
}

#[tokio::test]
async fn what_has_not_changed_is_not_published_again() {
    let house = House::new();
    house.created("f").await;
    let first = house.publish_version("f").await;
    assert_eq!(house.publish_version("f").await, first);
    let described = api::PublishVersionRequest { description: Some("no change".into()), ..publish("f") };
    let again = house.control.publish_version(described).await.unwrap();
    assert_eq!(json::<ops::PublishVersion>(&again), first);
    // An update without a change is none either.
    house.update(configure("f")).await.unwrap();
    house.control.settle("f").await.unwrap();
    assert_eq!(house.publish_version("f").await, first);

    let second = house.publish_anew("f", "changed").await;
    assert_eq!((&second["Version"], &second["Description"]), (&"2".into(), &"changed".into()));
    assert_eq!(house.publish_anew("f", "").await["Version"], "3");
}

#[tokio::test]
async fn numbers_are_never_given_again() {
    let house = House::new();
    house.created("f").await;
    house.publish_version("f").await;
    house.publish_anew("f", "two").await;
    house.delete("f", Some("2")).await.unwrap();
    house.delete("f", Some("2")).await.expect("deleting what is not there succeeds");
    house.delete("f", Some("99")).await.unwrap();
    assert_eq!(house.publish_version("f").await["Version"], "3", "$LATEST is published no more, so it is again");
    house.publish_anew("f", "four").await;
    assert_eq!(house.listed_versions("f").await, ["$LATEST", "1", "3", "4"]);

    house.delete("f", None).await.unwrap();
    house.created("f").await;
    assert_eq!(house.listed_versions("f").await, ["$LATEST"]);
    assert_eq!(house.publish_version("f").await["Version"], "1");
}

#[tokio::test]
async fn a_publish_may_say_what_it_expects() {
    let house = House::new();
    house.created("f").await;
    let sha = CodeDigest::of(&zip("one")).base64();
    let wrong = api::PublishVersionRequest { code_sha256: Some("other".into()), ..publish("f") };
    check(
        &house.control.publish_version(wrong).await.unwrap_err(),
        "InvalidParameterValueException",
        &format!(
            "CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({sha}). \
             Please try again with the CodeSHA256 in $LATEST."
        ),
    );
    let stale = api::PublishVersionRequest { revision_id: Some("other".into()), ..publish("f") };
    let error = house.control.publish_version(stale).await.unwrap_err();
    assert_eq!(error.kind.code, "PreconditionFailedException");
    let revision = house.configuration("f").await["RevisionId"].as_str().unwrap().to_owned();
    let right = api::PublishVersionRequest { code_sha256: Some(sha), revision_id: Some(revision), ..publish("f") };
    house.control.publish_version(right).await.unwrap();
}

#[tokio::test]
async fn what_a_qualifier_does_not_name_is_not_found() {
    let house = House::new();
    house.created("f").await;
    house.publish_version("f").await;
    for qualifier in ["2", "01", "0", "99999999999999999999999", "$latest", "$LATEST.PUBLISHED", "prod"] {
        let error = house.asked("f", Some(qualifier)).await.unwrap_err();
        check(&error, "ResourceNotFoundException", &format!("Function not found: {ARN}:f:{qualifier}"));
    }
    let error = house.asked("g", Some("$LATEST")).await.unwrap_err();
    check(&error, "ResourceNotFoundException", &format!("Function not found: {ARN}:g:$LATEST"));
}

#[tokio::test]
async fn all_versions_of_all_functions_are_listed_in_pages() {
    let house = House::new();
    for name in ["a", "b", "c", "d"] {
        house.created(name).await;
    }
    for name in ["b", "d"] {
        house.publish_version(name).await;
        house.publish_anew(name, "more").await;
    }
    let all = ["a:$LATEST", "b:$LATEST", "b:1", "b:2", "c:$LATEST", "d:$LATEST", "d:1", "d:2"];
    for size in 1..=9 {
        let (mut found, mut marker) = (Vec::new(), None);
        loop {
            let input = api::ListFunctionsRequest {
                function_version: Some(api::FunctionVersion::All),
                marker,
                max_items: Some(size),
                ..Default::default()
            };
            let page = house.control.list_functions(input).await.unwrap();
            let arns = page.functions.unwrap().into_iter().map(|listed| listed.function_arn.unwrap());
            found.extend(arns.map(|arn| arn[ARN.len() + 1..].to_owned()));
            marker = page.next_marker;
            if marker.is_none() {
                break;
            }
        }
        assert_eq!(found, all, "{size} a page");
    }
}

#[tokio::test]
async fn a_function_goes_with_more_parts_than_one_commit_takes() {
    let house = House::new();
    house.created("f").await;
    house.created("f2").await;
    let record = house.publish_version("f2").await;
    let key = |number| keys::version("f", number);
    let value = house.store.get(&keys::version("f2", 1)).await.unwrap().unwrap().value;
    for numbers in [1..1000, 1000..1500_u64] {
        let writes = numbers.map(|number| Write::put(key(number), value.clone(), Precondition::Absent)).collect();
        house.store.commit(writes).await.unwrap();
    }
    house.delete("f", None).await.unwrap();
    assert_eq!(house.store.list(&keys::parts_of("f"), None, 9).await.unwrap(), []);
    assert_eq!(house.asked("f2", Some("1")).await.unwrap(), record);
}

#[tokio::test]
async fn a_create_may_publish() {
    let house = House::new();
    let input = api::CreateFunctionRequest { publish: Some(true), ..create("f") };
    let created = json::<ops::CreateFunction>(&house.control.create_function(input).await.unwrap());
    assert_eq!((&created["Version"], &created["State"]), (&"1".into(), &"Pending".into()));
    assert_eq!(created["FunctionArn"], format!("{ARN}:f"));
    house.control.settle("f").await.unwrap();
    let first = house.asked("f", Some("1")).await.unwrap();
    assert_eq!((&first["State"], &first["LastUpdateStatus"]), (&"Active".into(), &"Successful".into()));
    assert_eq!(house.publish_version("f").await, first, "nothing has changed since");
    assert_eq!(house.configuration("f").await["State"], "Active");
}

#[tokio::test]
async fn an_update_of_the_code_may_publish() {
    let house = House::new();
    house.created("f").await;
    house.publish_version("f").await;
    let update = |package| api::UpdateFunctionCodeRequest { publish: Some(true), ..code_of("f", package) };
    let second = house.update_code(update(zip("two"))).await.unwrap();
    assert_eq!((&second["Version"], &second["State"]), (&"2".into(), &"Pending".into()));
    assert_eq!(second["FunctionArn"], format!("{ARN}:f:2"));
    house.control.settle("f").await.unwrap();
    let settled = house.asked("f", Some("2")).await.unwrap();
    assert_eq!((&settled["State"], &settled["LastUpdateStatus"]), (&"Active".into(), &"Successful".into()));
    assert_eq!(settled["CodeSha256"], CodeDigest::of(&zip("two")).base64());

    let same = house.update_code(update(zip("two"))).await.unwrap();
    assert_eq!(same, settled, "the same code again is no new version");
    house.control.settle("f").await.unwrap();
    assert_eq!(house.listed_versions("f").await, ["$LATEST", "1", "2"]);
}

#[tokio::test]
async fn a_start_settles_what_was_being_published() {
    let house = House::new();
    house.created("f").await;
    let published = house.publish_anew("f", "published").await;
    let key = keys::version("f", 1);
    let found = house.store.get(&key).await.unwrap().unwrap();
    let mut record: VersionRecord = serde_json::from_slice(&found.value).unwrap();
    (record.state, record.last_update) = (State::Pending, None);
    let value = serde_json::to_vec(&record).unwrap();
    house.store.commit(vec![Write::put(key, value, Precondition::Any)]).await.unwrap();
    house.tamper("f", |function| function.latest.last_update = Some(UpdateStatus::InProgress)).await;
    assert_eq!(house.asked("f", Some("1")).await.unwrap()["State"], "Pending");

    let house = house.restarted();
    house.control.recover().await.unwrap();
    let mut settled = house.asked("f", Some("1")).await.unwrap();
    settled["RevisionId"] = published["RevisionId"].clone();
    assert_eq!(settled, published);
}
