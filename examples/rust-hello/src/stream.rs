//! A Rust function that streams its answer: each word goes out as soon as it is there.

use lambda_runtime::streaming::{Body, Response, channel};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(words)).await
}

async fn words(event: LambdaEvent<Value>) -> Result<Response<Body>, Error> {
    let text = event.payload["text"].as_str().ok_or("no text to stream")?.to_owned();
    let (mut sender, body) = channel();
    tokio::spawn(async move {
        for word in text.split_inclusive(' ') {
            // Waits while the client is slow.
            if sender.send_data(word.to_owned().into()).await.is_err() {
                return;
            }
        }
    });
    Ok(Response::from(body))
}
