//! `/_hearth/events`: which asynchronous invokes wait or failed lately; to run some at once, or to drop them.

use bytes::Bytes;
use hearth_delivery::Outbox;
use hearth_events::{Events, Which};
use hearth_http::ResponseBody;
use hearth_store::QueueError;
use hearth_types::limits::METRIC_QUEUES;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{json_body, text};

/// What the body of a POST says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    function: String,
    action: Action,
    /// The event's request id; none: all of the function.
    #[serde(default)]
    id: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Redrive,
    Drop,
}

/// GET: of one function, or of all; with what else waits to be sent.
pub(crate) async fn list(events: &Events, outbox: &Outbox, function: Option<&str>) -> Response<ResponseBody> {
    let listed = async {
        let (waiting, more) = events.waiting(function).await?;
        let lanes = outbox.waiting().await?.into_iter().take(METRIC_QUEUES);
        let lanes = lanes.map(|depth| {
            let lane = depth.queue.strip_prefix(hearth_delivery::PARCELS).unwrap_or(&depth.queue).to_owned();
            json!({ "lane": lane, "waiting": depth.messages, "dueMs": depth.first_due_ms })
        });
        let deliveries: Vec<Value> = if function.is_none() { lanes.collect() } else { Vec::new() };
        let failed = events.failed(function);
        Ok(json!({ "events": waiting, "more": more, "failed": failed, "deliveries": deliveries }))
    };
    answer(listed.await)
}

/// GET: one that waits, with what was sent.
pub(crate) async fn show(events: &Events, function: &str, id: &str) -> Response<ResponseBody> {
    match events.one(function, id).await {
        Ok(None) => text(StatusCode::NOT_FOUND, format!("no event {id} of {function} waits\n")),
        Ok(Some((waiting, payload))) => {
            let payload: Value = serde_json::from_slice(&payload).unwrap_or_default();
            answer(Ok(json!({ "event": waiting, "payload": payload })))
        }
        Err(cause) => answer(Err(cause)),
    }
}

/// POST.
pub(crate) async fn act(events: &Events, body: &Bytes) -> Response<ResponseBody> {
    let asked: Asked = match serde_json::from_slice(body) {
        Ok(asked) => asked,
        Err(cause) => return text(StatusCode::BAD_REQUEST, format!("{cause}\n")),
    };
    let which = asked.id.as_deref().map_or(Which::All, Which::One);
    let count = match asked.action {
        Action::Redrive => events.redrive(&asked.function, which).await,
        Action::Drop => events.discard(&asked.function, which).await,
    };
    match (count, &asked.id) {
        (Ok(0), Some(id)) => {
            let why = "is not there, or is due anyway";
            text(StatusCode::NOT_FOUND, format!("{id} of {} {why}\n", asked.function))
        }
        (count, _) => answer(count.map(|count| json!({ "count": count }))),
    }
}

fn answer(outcome: Result<Value, QueueError>) -> Response<ResponseBody> {
    match outcome {
        Ok(body) => json_body(StatusCode::OK, &body),
        Err(cause) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("the queues are not available: {cause}\n")),
    }
}
