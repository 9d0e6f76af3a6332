//! A Rust function on the official runtime crate: its binary is called `bootstrap`, as `provided.al2023` wants it.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(hello)).await
}

async fn hello(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let name = event.payload["name"].as_str().unwrap_or("world");
    println!("hello, {name}");
    Ok(json!({ "hello": name, "function": event.context.env_config.function_name }))
}
