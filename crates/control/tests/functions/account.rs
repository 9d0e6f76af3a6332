//! What the account has and uses.

use serde_json::json;

use super::*;

impl House {
    async fn account(&self) -> Value {
        json::<ops::GetAccountSettings>(&self.control.get_account_settings().await.unwrap())
    }

    async fn code_bytes(&self) -> u64 {
        self.account().await["AccountUsage"]["TotalCodeSize"].as_u64().unwrap()
    }
}

/// A package of at least so many bytes that do not shrink.
fn incompressible(bytes: usize) -> Bytes {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("handler.py", stored).unwrap();
    writer.write_all(&vec![b'#'; bytes]).unwrap();
    writer.finish().unwrap().into_inner().into()
}

#[tokio::test]
async fn the_account_shows_its_limits_and_what_it_uses() {
    let house = House::new();
    house.created("f").await;
    house.tamper("f", |record| record.reserved_concurrency = Some(100)).await;
    let answer = house.account().await;
    assert_eq!(
        answer["AccountLimit"],
        json!({"TotalCodeSize": CODE_STORAGE, "CodeSizeUnzipped": 262_144_000, "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 900})
    );
    assert_eq!(answer["AccountUsage"], json!({"TotalCodeSize": zip("one").len(), "FunctionCount": 1}));
}

/// Each version counts, of functions and of layers; a configuration does not (observed).
#[tokio::test]
async fn code_is_counted_by_version() {
    let house = House::new();
    house.created("f").await;
    let (one, two) = (zip("one").len() as u64, zip("two").len() as u64);
    assert_eq!(house.code_bytes().await, one);
    house.publish_anew("f", "published").await;
    assert_eq!(house.code_bytes().await, 2 * one);
    house.update(configure("f")).await.unwrap();
    house.control.settle("f").await.unwrap();
    assert_eq!(house.code_bytes().await, 2 * one);
    let publishing = api::UpdateFunctionCodeRequest { publish: Some(true), ..code_of("f", zip("two")) };
    house.update_code(publishing).await.unwrap();
    house.control.settle("f").await.unwrap();
    assert_eq!(house.code_bytes().await, one + 2 * two);
    for _ in 0..2 {
        let content = api::LayerVersionContentInput { zip_file: Some(zip("one")), ..Default::default() };
        let input = api::PublishLayerVersionRequest { layer_name: "l".into(), content, ..Default::default() };
        house.control.publish_layer_version(input, "http://localhost:4566").await.unwrap();
    }
    assert_eq!(house.code_bytes().await, 3 * one + 2 * two);
    house.delete("f", Some("1")).await.unwrap();
    assert_eq!(house.code_bytes().await, 2 * one + 2 * two);
    house.delete("f", None).await.unwrap();
    assert_eq!(house.code_bytes().await, 2 * one);
}

#[tokio::test]
async fn code_storage_can_be_full_and_empty_again() {
    let house = House::new();
    let large = incompressible(400_000);
    let with = |name: &str| api::CreateFunctionRequest {
        code: api::FunctionCode { zip_file: Some(large.clone()), ..Default::default() },
        ..create(name)
    };
    for name in ["a", "b"] {
        house.control.create_function(with(name)).await.unwrap();
        house.control.settle(name).await.unwrap();
    }
    let full = "Code storage limit exceeded.";
    check(&house.control.create_function(with("c")).await.unwrap_err(), "CodeStorageExceededException", full);
    let input = api::PublishVersionRequest { function_name: "a".into(), ..Default::default() };
    check(&house.control.publish_version(input).await.unwrap_err(), "CodeStorageExceededException", full);
    assert!(house.asked("c", None).await.is_err());
    house.delete("b", None).await.unwrap();
    house.control.create_function(with("c")).await.unwrap();
}
