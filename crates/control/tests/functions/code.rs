//! Where a function's code comes from.

use super::*;

const INVALID: &str = "InvalidParameterValueException";

fn object(bucket: &str, key: &str) -> api::FunctionCode {
    api::FunctionCode { s3_bucket: Some(bucket.into()), s3_key: Some(key.into()), ..Default::default() }
}

#[tokio::test]
async fn a_package_may_lie_in_s3() {
    let house = House::new();
    let input = api::CreateFunctionRequest { code: object("b", "k"), ..create("f") };
    house.control.create_function(input).await.unwrap();
    house.control.settle("f").await.unwrap();
    let stored = CodeDigest::of(&zip("stored")).base64();
    assert_eq!(house.configuration("f").await["CodeSha256"], stored);

    house.created("g").await;
    let update = api::UpdateFunctionCodeRequest {
        zip_file: None,
        s3_bucket: Some("b".into()),
        s3_key: Some("k".into()),
        s3_object_version: Some("v".into()),
        ..code_of("g", Bytes::new())
    };
    assert_eq!(house.update_code(update).await.unwrap()["CodeSha256"], stored);
}

#[tokio::test]
async fn what_s3_says_is_passed_on() {
    let house = House::new();
    let error = "Error occurred while GetObject. S3 Error Code:";
    for (code, text) in [
        (object("other", "k"), format!("{error} NoSuchBucket. S3 Error Message: The specified bucket does not exist")),
        (object("b", "other"), format!("{error} NoSuchKey. S3 Error Message: The specified key does not exist.")),
        (object("b", "large"), "Unzipped size must be smaller than 262144000 bytes".into()),
        (api::FunctionCode { s3_key: None, ..object("b", "k") }, "Please provide both S3Bucket and S3Key.".into()),
        (
            api::FunctionCode { zip_file: Some(zip("one")), ..object("b", "k") },
            "Please do not provide other FunctionCode parameters when providing a ZipFile.".into(),
        ),
        (api::FunctionCode::default(), "Please provide a source for function code.".into()),
    ] {
        let refused = house.control.create_function(api::CreateFunctionRequest { code, ..create("f") }).await;
        check(&refused.unwrap_err(), INVALID, &text);
    }
    let broken = api::CreateFunctionRequest { code: object("b", "broken"), ..create("f") };
    let error = house.control.create_function(broken).await.unwrap_err();
    check(&error, "ServiceException", "The package could not be fetched.");
    assert!(house.asked("f", None).await.is_err());
}
