//! The AWS SDK for Rust, unmodified, against the running server that `AWS_ENDPOINT_URL` names; the function is the
//! static binary that `BOOTSTRAP` names, on the `lambda_runtime` crate.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::client::Waiters as _;
use aws_sdk_lambda::error::ProvideErrorMetadata as _;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, InvokeWithResponseStreamResponseEvent as Event, LogType, Runtime, State};
use aws_smithy_http_client::Builder;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const ROLE: &str = "arn:aws:iam::000000000000:role/test";
const WAIT: Duration = Duration::from_secs(60);

async fn client() -> Client {
    let config = aws_config::from_env().http_client(Builder::new().build_http()).load().await;
    Client::new(&config)
}

/// The package with this binary, which lies beside `BOOTSTRAP`; file mode included.
fn package(binary: &str) -> Result<Blob> {
    let folder = std::env::temp_dir().join(format!("hearth-rust-{}-{binary}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(Path::new(&std::env::var("BOOTSTRAP")?).with_file_name(binary), folder.join("bootstrap"))?;
    let zipped = Command::new("python3")
        .args(["-m", "zipfile", "-c", "f.zip", "bootstrap"])
        .current_dir(&folder)
        .status()
        .map_err(Box::<dyn Error>::from)
        .and_then(|status| Ok(std::fs::read(folder.join("f.zip")).map_err(|cause| format!("{status}: {cause}"))?));
    std::fs::remove_dir_all(&folder)?;
    Ok(Blob::new(zipped?))
}

async fn deployed(client: &Client, name: &str, binary: &str) -> Result {
    client
        .create_function()
        .function_name(name)
        .runtime(Runtime::Providedal2023)
        .role(ROLE)
        .handler("bootstrap")
        .code(FunctionCode::builder().zip_file(package(binary)?).build())
        .send()
        .await?;
    client.wait_until_function_active_v2().function_name(name).wait(WAIT).await?;
    Ok(())
}

/// What a developer does with one function, from its first deploy to its end.
#[tokio::test]
async fn a_function_lives() -> Result {
    let client = client().await;
    let name = format!("rust-sdk-{}", std::process::id());
    deployed(&client, &name, "bootstrap").await?;

    let answer = client
        .invoke()
        .function_name(&name)
        .payload(Blob::new(r#"{"name":"Grüße"}"#))
        .log_type(LogType::Tail)
        .send()
        .await?;
    assert_eq!(
        (answer.status_code(), answer.executed_version(), answer.function_error()),
        (200, Some("$LATEST"), None)
    );
    assert!(answer.log_result().is_some_and(|log| !log.is_empty()));
    let answer = String::from_utf8(answer.payload().ok_or("no payload")?.as_ref().to_vec())?;
    assert!(answer.contains("Grüße"), "{answer}");

    client.update_function_configuration().function_name(&name).memory_size(256).send().await?;
    client.wait_until_function_updated_v2().function_name(&name).wait(WAIT).await?;
    let got = client.get_function_configuration().function_name(&name).send().await?;
    assert_eq!((got.memory_size(), got.state()), (Some(256), Some(&State::Active)));

    let version = client.publish_version().function_name(&name).send().await?;
    assert_eq!(version.version(), Some("1"));
    client.wait_until_published_version_active().function_name(&name).qualifier("1").wait(WAIT).await?;
    client.create_alias().function_name(&name).name("live").function_version("1").send().await?;
    let answer = client.invoke().function_name(&name).qualifier("live").payload(Blob::new("{}")).send().await?;
    assert_eq!(answer.executed_version(), Some("1"));

    let mut pages = client.list_versions_by_function().function_name(&name).into_paginator().page_size(1).send();
    let mut versions = Vec::new();
    while let Some(page) = pages.try_next().await? {
        versions.extend(page.versions().iter().filter_map(|found| found.version().map(str::to_owned)));
    }
    assert_eq!(versions, ["$LATEST", "1"]);

    client.delete_function().function_name(&name).send().await?;
    let gone = client.get_function().function_name(&name).send().await.err().ok_or("still there")?.into_service_error();
    assert!(gone.is_resource_not_found_exception(), "{gone:?}");
    Ok(())
}

/// A stream of the runtime crate, read by the SDK part by part, and its end.
#[tokio::test]
async fn an_answer_is_streamed() -> Result {
    let client = client().await;
    let name = format!("rust-sdk-stream-{}", std::process::id());
    deployed(&client, &name, "stream").await?;
    for (event, expected) in [(r#"{"text":"one two three"}"#, Ok("one two three")), ("{}", Err("no text to stream"))] {
        let begun = client.invoke_with_response_stream().function_name(&name).payload(Blob::new(event)).send().await?;
        assert_eq!((begun.status_code(), begun.executed_version()), (200, Some("$LATEST")));
        let (mut events, mut parts, mut end) = (begun.event_stream, Vec::new(), None);
        while let Some(event) = events.recv().await? {
            match event {
                Event::PayloadChunk(chunk) => parts.extend(chunk.payload.ok_or("an empty part")?.into_inner()),
                Event::InvokeComplete(complete) => end = Some(complete),
                other => return Err(format!("{other:?}").into()),
            }
        }
        let end = end.ok_or("no end")?;
        match expected {
            // Ahead of the body goes what an answer over HTTP has.
            Ok(text) => assert!(parts.ends_with(text.as_bytes()) && end.error_code().is_none(), "{parts:?} {end:?}"),
            Err(text) => assert!(parts.is_empty() && end.error_details().is_some_and(|details| details.contains(text))),
        }
    }
    client.delete_function().function_name(&name).send().await?;
    Ok(())
}

/// Errors arrive as the types of the SDK, with the service's own text.
#[tokio::test]
async fn errors_have_their_types() -> Result {
    let client = client().await;
    let missing = client.invoke().function_name("nowhere").send().await.err().ok_or("answered")?.into_service_error();
    assert!(missing.is_resource_not_found_exception(), "{missing:?}");
    let text = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nowhere:$LATEST";
    assert_eq!(missing.message(), Some(text));

    let created = client.create_function().function_name("x").role("no role").runtime(Runtime::Providedal2023);
    let code = FunctionCode::builder().zip_file(Blob::new("x")).build();
    let invalid = created.code(code).handler("h").send().await.err().ok_or("created")?.into_service_error();
    assert_eq!(invalid.code(), Some("ValidationException"), "{invalid:?}");
    Ok(())
}
