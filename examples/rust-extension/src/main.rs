//! An external extension on the official crate. Its binary lies in a layer as `extensions/NAME`. It keeps what it is told,
//! a line of JSON each, in `/tmp/NAME`, where the function can read it, and at the end it prints all of it.
//!
//! `EXTENSION_DOES` in the function's variables says what it does: `events` alone (as without it), `telemetry` or `logs`.

use std::fs::File;
use std::io::Write as _;

use lambda_extension::{
    Error, Extension, LambdaEvent, LambdaLog, LambdaTelemetry, LogBuffering, NextEvent, SharedService, service_fn,
};
use serde_json::{Value, json};

/// As soon as possible: what happens is read right away.
const BUFFERING: LogBuffering = LogBuffering { timeout_ms: 25, max_bytes: 262_144, max_items: 1000 };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    println!("the extension starts");
    let extension = Extension::new().with_events(&["INVOKE", "SHUTDOWN"]).with_events_processor(service_fn(event));
    match std::env::var("EXTENSION_DOES").as_deref() {
        Ok("telemetry") => {
            let extension = extension.with_telemetry_record_type::<Value>();
            let extension = extension.with_telemetry_processor(SharedService::new(service_fn(telemetry)));
            let kinds = &["platform", "function", "extension"];
            extension.with_telemetry_types(kinds).with_telemetry_buffering(BUFFERING).run().await
        }
        Ok("logs") => {
            let extension = extension.with_logs_processor(SharedService::new(service_fn(logs)));
            let kinds = &["platform", "function", "extension"];
            extension.with_log_types(kinds).with_log_buffering(BUFFERING).run().await
        }
        _ => extension.run().await,
    }
}

async fn event(event: LambdaEvent) -> Result<(), Error> {
    match event.next {
        NextEvent::Invoke(invoke) => keep(&json!({ "event": "INVOKE", "requestId": invoke.request_id })),
        NextEvent::Shutdown(shutdown) => {
            keep(&json!({ "event": "SHUTDOWN", "reason": shutdown.shutdown_reason }))?;
            // Nobody reads the file any more; what is printed is in the log.
            print!("{}", std::fs::read_to_string(path())?);
            Ok(())
        }
    }
}

async fn telemetry(events: Vec<LambdaTelemetry<Value>>) -> Result<(), Error> {
    events.iter().try_for_each(|event| keep(&serde_json::to_value(event)?))
}

/// The crate reads these, and does not write them.
async fn logs(events: Vec<LambdaLog>) -> Result<(), Error> {
    events.iter().try_for_each(|event| keep(&json!({ "log": format!("{:?}", event.record) })))
}

fn keep(what: &Value) -> Result<(), Error> {
    let mut file = File::options().create(true).append(true).open(path())?;
    Ok(file.write_all(format!("{what}\n").as_bytes())?)
}

fn path() -> String {
    let program = std::env::args().next().unwrap_or_default();
    format!("/tmp/{}", program.rsplit('/').next().unwrap_or_default())
}
