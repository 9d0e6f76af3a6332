//! What is refused, in which words, and that nothing is left of it.

use std::collections::BTreeMap;

use hearth_types::function::{State, UpdateStatus};
use hearth_types::limits::ZIP_BYTES;

use super::*;

const INVALID: &str = "InvalidParameterValueException";
const CONFLICT: &str = "ResourceConflictException";

impl House {
    async fn refused(&self, input: api::CreateFunctionRequest) -> ApiError {
        let error = self.control.create_function(input).await.unwrap_err();
        assert_eq!(self.store.version().await.unwrap(), 0, "nothing was written");
        assert_eq!(self.blobs.list().await.unwrap(), [], "no package was kept");
        error
    }
}

#[tokio::test]
async fn of_many_creates_of_one_name_one_succeeds() {
    let house = House::new();
    let creates: Vec<_> = (0..50)
        .map(|n| {
            let control = Arc::clone(&house.control);
            let code = api::FunctionCode { zip_file: Some(zip(&format!("{}", n % 3))), ..Default::default() };
            tokio::spawn(
                async move { control.create_function(api::CreateFunctionRequest { code, ..create("f") }).await },
            )
        })
        .collect();
    let mut winners = Vec::new();
    for done in creates {
        match done.await.unwrap() {
            Ok(created) => winners.push(created.code_sha256),
            Err(error) => check(&error, CONFLICT, "Function already exist: f"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(house.configuration("f").await["CodeSha256"], winners[0].clone().unwrap());
}

#[tokio::test]
async fn names_are_taken_as_arns_too_and_belong_here() {
    let house = House::new();
    for name in ["a", "function:b", "123456789012:function:c", &format!("{ARN}:d"), &"x".repeat(64)] {
        house.created(name).await;
    }
    let refused = async |name: &str| house.control.create_function(create(name)).await.unwrap_err();
    let long = "x".repeat(65);
    let text = format!(
        "1 validation error detected: Value '{long}' at 'functionName' failed to satisfy constraint: \
         Member must have length less than or equal to 64"
    );
    check(&refused(&long).await, INVALID, &text);
    let text = "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')";
    check(
        &refused(&ARN.replace("us-east-1", "eu-west-1").replace("function", "function:e")).await,
        "ResourceNotFoundException",
        text,
    );
    let other = refused("999999999999:function:e").await;
    assert_eq!((other.kind.code, other.message), ("AccessDeniedException", None));
    assert_eq!(refused("f:prod").await.kind.code, INVALID);
}

#[tokio::test]
async fn code_comes_from_one_place_and_is_a_package() {
    let house = House::new();
    let refused = async |code| house.refused(api::CreateFunctionRequest { code, ..create("f") }).await;
    let zipped = |bytes: Bytes| api::FunctionCode { zip_file: Some(bytes), ..Default::default() };
    check(&refused(api::FunctionCode::default()).await, INVALID, "Please provide a source for function code.");
    let both = api::FunctionCode { s3_key: Some("k".into()), ..zipped(zip("one")) };
    let text = "Please do not provide other FunctionCode parameters when providing a ZipFile.";
    check(&refused(both).await, INVALID, text);
    let text = "Could not unzip uploaded file. Please check your file, then try to upload again.";
    let whole = zip("one");
    for bytes in [Bytes::new(), Bytes::from_static(b"no zip"), whole.slice(..whole.len() - 1)] {
        check(&refused(zipped(bytes)).await, INVALID, text);
    }
    let large = refused(zipped(vec![0; ZIP_BYTES + 1].into())).await;
    assert_eq!(large.kind.status, 413);
    check(&large, "RequestEntityTooLargeException", "Zipped size must be smaller than 52428800 bytes");
}

#[tokio::test]
async fn tags_are_bounded() {
    let house = House::new();
    let refused = async |tags: BTreeMap<String, String>| {
        house.refused(api::CreateFunctionRequest { tags: Some(tags.into_iter().collect()), ..create("f") }).await
    };
    let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let many = (0..51).map(|n| (format!("k{n}"), String::new())).collect();
    check(&refused(many).await, INVALID, "Number of tags exceeds resource tag limit.");
    assert_eq!(refused(one("aws:x", "")).await.kind.code, INVALID);
    let most = one(&"k".repeat(128), &"v".repeat(256)).into_iter().collect();
    house.control.create_function(api::CreateFunctionRequest { tags: Some(most), ..create("f") }).await.unwrap();
}

#[tokio::test]
async fn nothing_is_updated_while_something_is_under_way() {
    let house = House::new();
    house.created("f").await;
    let text =
        format!("The operation cannot be performed at this time. An update is in progress for resource: {ARN}:f");
    for pending in [true, false] {
        house
            .tamper("f", |record| match pending {
                true => record.latest.state = State::Pending,
                false => record.latest.last_update = Some(UpdateStatus::InProgress),
            })
            .await;
        check(&house.update(configure("f")).await.unwrap_err(), CONFLICT, &text);
        check(&house.update_code(code_of("f", zip("two"))).await.unwrap_err(), CONFLICT, &text);
        house.control.settle("f").await.unwrap();
        house.update(configure("f")).await.unwrap();
        house.control.settle("f").await.unwrap();
    }
}

#[tokio::test]
async fn an_update_of_another_revision_is_refused() {
    let house = House::new();
    house.created("f").await;
    let revision = house.configuration("f").await["RevisionId"].as_str().unwrap().to_owned();
    let with = |revision: &str| api::UpdateFunctionConfigurationRequest {
        revision_id: Some(revision.to_owned()),
        ..configure("f")
    };
    house.update(with(&revision)).await.unwrap();
    house.control.settle("f").await.unwrap();
    let text = "The Revision Id provided does not match the latest Revision Id. \
                Call the GetFunction/GetAlias API to retrieve the latest Revision Id";
    let stale = house.update(with(&revision)).await.unwrap_err();
    assert_eq!(stale.kind.status, 412);
    check(&stale, "PreconditionFailedException", text);
    let stale = api::UpdateFunctionCodeRequest { revision_id: Some(revision), ..code_of("f", zip("two")) };
    check(&house.update_code(stale).await.unwrap_err(), "PreconditionFailedException", text);
}

#[tokio::test]
async fn updates_at_the_same_time_succeed_or_conflict_and_none_is_lost() {
    let house = House::new();
    house.created("f").await;
    let updates: Vec<_> = (0..40)
        .map(|n| {
            let control = Arc::clone(&house.control);
            tokio::spawn(async move {
                let description = Some(format!("{n}"));
                let input = api::UpdateFunctionConfigurationRequest { description, ..configure("f") };
                control.update_function_configuration(input).await
            })
        })
        .collect();
    let mut done = Vec::new();
    for update in updates {
        match update.await.unwrap() {
            Ok(answer) => done.push(answer.description.unwrap()),
            Err(error) => assert_eq!(error.kind.code, CONFLICT),
        }
    }
    house.control.settle("f").await.unwrap();
    let last = house.configuration("f").await;
    assert!(done.iter().any(|description| last["Description"] == **description), "{last} is none of {done:?}");
    // The create and each update that was acknowledged: begun and settled.
    assert_eq!(house.store.version().await.unwrap(), 2 + 2 * done.len() as u64);
}

#[tokio::test]
async fn a_dry_run_checks_and_changes_nothing() {
    let house = House::new();
    house.created("f").await;
    let (before, version) = (house.configuration("f").await, house.store.version().await.unwrap());
    let dry = |package| api::UpdateFunctionCodeRequest { dry_run: Some(true), ..code_of("f", package) };
    let answer = house.update_code(dry(zip("two"))).await.unwrap();
    assert_eq!(answer["CodeSha256"], CodeDigest::of(&zip("two")).base64());
    assert_eq!(house.update_code(dry(Bytes::from_static(b"x"))).await.unwrap_err().kind.code, INVALID);
    assert_eq!((house.configuration("f").await, house.store.version().await.unwrap()), (before, version));
    assert_eq!(house.blobs.list().await.unwrap(), [CodeDigest::of(&zip("one"))]);
}

#[tokio::test]
async fn only_a_function_as_a_whole_is_updated() {
    let house = House::new();
    house.created("f").await;
    for name in ["f:1", "f:prod", &format!("{ARN}:f:1")] {
        for error in [
            house.update(configure(name)).await.unwrap_err(),
            house.update_code(code_of(name, zip("two"))).await.unwrap_err(),
        ] {
            assert_eq!(error.kind.code, INVALID);
            assert!(error.to_string().contains("Aliases and versions do not support this operation."), "{error}");
        }
    }
    house.update(configure("f:$LATEST")).await.unwrap();
    let image =
        api::UpdateFunctionCodeRequest { zip_file: None, image_uri: Some("i".into()), ..code_of("f", Bytes::new()) };
    house.control.settle("f").await.unwrap();
    let text = "Please don't provide ImageUri when updating a function with packageType Zip.";
    check(&house.update_code(image).await.unwrap_err(), INVALID, text);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let house = House::new();
    let not_found = |error: &ApiError, what: &str| {
        check(error, "ResourceNotFoundException", &format!("Function not found: {ARN}:{what}"));
    };
    not_found(&house.update(configure("f")).await.unwrap_err(), "f");
    not_found(&house.update_code(code_of("f", zip("one"))).await.unwrap_err(), "f");
    not_found(&house.delete("f", None).await.unwrap_err(), "f");
    house.created("f").await;
    for (qualifier, what) in [("7", "f:7"), ("prod", "f:prod"), ("$latest", "f:$latest")] {
        let qualifier = Some(qualifier.to_owned());
        let input = api::GetFunctionConfigurationRequest { function_name: "f".into(), qualifier };
        not_found(&house.control.get_function_configuration(input).await.unwrap_err(), what);
    }
}

#[tokio::test]
async fn deletes_are_of_functions() {
    let house = House::new();
    let text = "$LATEST version cannot be deleted without deleting the function.";
    check(&house.delete("nobody", Some("$LATEST")).await.unwrap_err(), INVALID, text);
    check(&house.delete("nobody:$LATEST", None).await.unwrap_err(), INVALID, text);
    house.created("f").await;
    check(
        &house.delete("f", Some("prod")).await.unwrap_err(),
        INVALID,
        "Deletion of aliases is not currently supported.",
    );
    house.delete("f", Some("7")).await.unwrap();
    assert_eq!(house.configuration("f").await["State"], "Active", "the function is still there");
    house.delete("f", None).await.unwrap();
    assert!(house.store.get("function/f").await.unwrap().is_none());
}

#[tokio::test]
async fn a_marker_comes_from_a_list() {
    let house = House::new();
    for marker in ["f", "!", "ZnVuY3Rpb24vZg"] {
        let input = api::ListFunctionsRequest { marker: Some(marker.into()), ..Default::default() };
        assert_eq!(house.control.list_functions(input).await.unwrap_err().kind.code, INVALID, "{marker}");
    }
}
