//! A function's life as the real service shows it.

use std::collections::HashSet;

use hearth_api::ops;
use serde_json::json;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> api::Environment {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    api::Environment { variables: Some(pairs.collect()) }
}

/// All that is shown of a function that was created as [`create`] says, but for what changes by itself.
fn shown(package: &Bytes) -> Value {
    json!({
        "FunctionName": "f", "FunctionArn": format!("{ARN}:f"), "Runtime": "python3.12", "Role": ROLE,
        "Handler": "handler.handler", "CodeSize": package.len(), "CodeSha256": CodeDigest::of(package).base64(),
        "Description": "", "Timeout": 3, "MemorySize": 128, "LastModified": "2024-03-05T12:00:00.000+0000",
        "Version": "$LATEST", "TracingConfig": {"Mode": "PassThrough"}, "PackageType": "Zip",
        "Architectures": ["x86_64"], "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
    })
}

/// Takes out the members whose values no test can know.
fn taken(shown: &mut Value) -> (String, String) {
    let mut take = |member| shown.as_object_mut().unwrap().remove(member).unwrap();
    let runtime = take("RuntimeVersionConfig")["RuntimeVersionArn"].as_str().unwrap().to_owned();
    (take("RevisionId").as_str().unwrap().to_owned(), runtime)
}

#[tokio::test]
async fn each_answer_shows_what_is_recorded() {
    let house = House::new();
    let (one, two) = (zip("one"), zip("two"));
    let mut revisions = HashSet::new();
    let mut new_revision = |answer: &mut Value| {
        let (revision, runtime) = taken(answer);
        assert!(runtime.starts_with("arn:aws:lambda:us-east-1::runtime:"), "{runtime}");
        assert!(revisions.insert(revision), "a new revision with each step");
    };
    let creating =
        json!({"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating"});
    let updating = json!({
        "State": "Active", "LastUpdateStatus": "InProgress",
        "LastUpdateStatusReason": "The function is being created.", "LastUpdateStatusReasonCode": "Creating",
    });
    let ready = json!({"State": "Active", "LastUpdateStatus": "Successful"});

    let output = house.control.create_function(create("f")).await.unwrap();
    let mut answer = json::<ops::CreateFunction>(&output);
    new_revision(&mut answer);
    assert_eq!(answer, with(shown(&one), creating));

    house.control.settle("f").await.unwrap();
    let mut answer = house.configuration("f").await;
    new_revision(&mut answer);
    assert_eq!(answer, with(shown(&one), ready.clone()));

    let changes = api::UpdateFunctionConfigurationRequest {
        description: Some("Changed-Description".into()),
        memory_size: Some(512),
        timeout: Some(10),
        runtime: Some("python3.11".into()),
        environment: Some(variables(&[("ENV_A", "a")])),
        ..configure("f")
    };
    let changed = json!({
        "Description": "Changed-Description", "MemorySize": 512, "Timeout": 10, "Runtime": "python3.11",
        "Environment": {"Variables": {"ENV_A": "a"}},
    });
    let mut answer = house.update(changes).await.unwrap();
    new_revision(&mut answer);
    assert_eq!(answer, with(with(shown(&one), changed.clone()), updating.clone()));

    house.control.settle("f").await.unwrap();
    let mut answer = house.configuration("f").await;
    new_revision(&mut answer);
    assert_eq!(answer, with(with(shown(&one), changed.clone()), ready.clone()));

    let mut answer = house.update_code(code_of("f", two.clone())).await.unwrap();
    new_revision(&mut answer);
    assert_eq!(answer, with(with(shown(&two), changed.clone()), updating));

    house.control.settle("f").await.unwrap();
    let mut answer = house.configuration("f").await;
    new_revision(&mut answer);
    assert_eq!(answer, with(with(shown(&two), changed), ready));

    house.delete("f", None).await.unwrap();
    check(
        &house.delete("f", None).await.unwrap_err(),
        "ResourceNotFoundException",
        &format!("Function not found: {ARN}:f"),
    );
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_an_update() {
    let house = House::new();
    house.created("f").await;
    let before = house.configuration("f").await;
    let answer = house.update(configure("f")).await.unwrap();
    assert_eq!(answer["LastUpdateStatus"], "InProgress");
    house.control.settle("f").await.unwrap();
    let mut after = house.configuration("f").await;
    assert!(![&before["RevisionId"], &answer["RevisionId"]].contains(&&after["RevisionId"]));
    after["RevisionId"] = before["RevisionId"].clone();
    assert_eq!(after, before);
}

#[tokio::test]
async fn what_is_cleared_differs_from_what_was_never_there() {
    let house = House::new();
    house.created("never").await;
    assert_eq!(house.configuration("never").await.get("Environment"), None);
    let input = api::CreateFunctionRequest { environment: Some(api::Environment::default()), ..create("empty") };
    house.control.create_function(input).await.unwrap();
    assert_eq!(house.configuration("empty").await["Environment"], json!({"Variables": {}}));
}

#[tokio::test]
async fn the_old_code_serves_until_the_update_is_done() {
    let (applied_to, applied) = watch::channel(0);
    let house = House::beside(applied);
    // The front end has seen the create and its settling, and then sees no more: the update cannot be settled.
    applied_to.send_replace(2);
    house.created("f").await;
    let control = Arc::clone(&house.control);
    let updating = tokio::spawn(async move { control.update_function_code(code_of("f", zip("two"))).await });
    let record = loop {
        let found = house.store.get("function/f").await.unwrap().unwrap();
        if found.version == 3 {
            break serde_json::from_slice::<FunctionRecord>(&found.value).unwrap();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(record.latest.code.zip().unwrap().digest, CodeDigest::of(&zip("two")));
    assert_eq!(record.latest.serving.unwrap().code.zip().unwrap().digest, CodeDigest::of(&zip("one")));
    assert!(!updating.is_finished(), "the answer waits for the front end");
    updating.abort();
}

#[tokio::test]
async fn a_package_can_be_downloaded_with_its_link() {
    let house = House::new();
    house.control.create_function(create("f")).await.unwrap();
    let input = api::GetFunctionRequest { function_name: "f".into(), qualifier: Some("$LATEST".into()) };
    let answer = house.control.get_function(input, "http://localhost:4566").await.unwrap();
    let answer = json::<ops::GetFunction>(&answer);
    assert_eq!(answer["Configuration"]["FunctionArn"], format!("{ARN}:f:$LATEST"));
    assert_eq!(answer["Code"]["RepositoryType"], "S3");
    let link = answer["Code"]["Location"].as_str().unwrap();
    let rest = link.strip_prefix("http://localhost:4566/_hearth/code/").unwrap();
    let (digest, query) = rest.split_once("?expires=").unwrap();
    let (expires, signature) = query.split_once("&signature=").unwrap();
    let now = Duration::from_millis(1_709_640_000_000);
    assert!(house.control.links().is_good(digest, expires, signature, now));
    let package = house.control.blobs().get(&CodeDigest::from_hex(digest).unwrap()).await.unwrap();
    assert_eq!(package, Some(zip("one")));
}

#[tokio::test]
async fn what_belongs_to_the_function_is_not_shown_of_a_version() {
    let house = House::new();
    let mut input = create("f");
    input.tags = Some([("team".to_owned(), "a".to_owned())].into_iter().collect());
    house.control.create_function(input).await.unwrap();
    house.tamper("f", |record| record.reserved_concurrency = Some(7)).await;
    for (qualifier, tags, concurrency) in [
        (None, json!({"team": "a"}), json!({"ReservedConcurrentExecutions": 7})),
        (Some("$LATEST"), json!(null), json!(null)),
    ] {
        let input = api::GetFunctionRequest { function_name: "f".into(), qualifier: qualifier.map(str::to_owned) };
        let answer = house.control.get_function(input, "http://localhost:4566").await.unwrap();
        let answer = json::<ops::GetFunction>(&answer);
        assert_eq!((&answer["Tags"], &answer["Concurrency"]), (&tags, &concurrency));
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    let house = House::new();
    let names: Vec<String> = (0..120).map(|n| format!("f{n:03}")).collect();
    for name in &names {
        house.control.create_function(create(name)).await.unwrap();
    }
    for (wanted, sizes) in [(None, vec![50, 50, 20]), (Some(1000), vec![50, 50, 20]), (Some(40), vec![40, 40, 40])] {
        let (mut listed, mut pages, mut marker) = (Vec::new(), Vec::new(), None);
        loop {
            let input = api::ListFunctionsRequest { marker, max_items: wanted, ..Default::default() };
            let page = house.control.list_functions(input).await.unwrap();
            let functions = page.functions.unwrap();
            pages.push(functions.len());
            listed.extend(functions.into_iter().map(|function| function.function_name.unwrap()));
            marker = page.next_marker;
            if marker.is_none() {
                break;
            }
        }
        assert_eq!((listed, pages), (names.clone(), sizes), "MaxItems {wanted:?}");
    }
}

#[tokio::test]
async fn lists_leave_the_states_out() {
    let house = House::new();
    house.created("f").await;
    let list = async |version| {
        let input = api::ListFunctionsRequest { function_version: version, ..Default::default() };
        let answer = house.control.list_functions(input).await.unwrap();
        json::<ops::ListFunctions>(&answer)["Functions"][0].take()
    };
    let mut plain = list(None).await;
    plain.as_object_mut().unwrap().remove("RevisionId").unwrap();
    assert_eq!(plain, shown(&zip("one")));
    assert_eq!(list(Some(api::FunctionVersion::All)).await["FunctionArn"], format!("{ARN}:f:$LATEST"));
}
