//! `PUT /2022-07-01/telemetry` and `PUT /2020-08-15/logs`, of an extension that is known.

use std::sync::Arc;

use bytes::Bytes;
use hearth_types::limits::TELEMETRY_SUBSCRIPTION_BYTES;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::Closed;
use super::subscription::{Api, Subscription};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::records::Record;
use crate::runtime_api::{Answer, JSON, answer, problem};

/// Subscribes the extension of this name.
pub(crate) async fn subscribe(
    environment: &Environment,
    api: Api,
    name: Arc<str>,
    request: Request<Incoming>,
) -> Answer {
    let Ok(body) = Limited::new(request.into_body(), TELEMETRY_SUBSCRIPTION_BYTES).collect().await else {
        return invalid(&format!("the request is no body of up to {TELEMETRY_SUBSCRIPTION_BYTES} bytes"));
    };
    if !environment.journal.telemetry().is_open() {
        return closed(api);
    }
    let wanted = match Subscription::parse(api, &body.to_bytes()) {
        Ok(wanted) => wanted,
        Err(wrong) => return invalid(&wrong),
    };
    let Some(network) = environment.lock().sandbox.as_ref().map(|sandbox| sandbox.network()) else {
        return closed(api);
    };
    let socket = match network.socket().await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(environment = %environment.id, %error, "nothing can be told to an extension");
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "ServiceError", "No connection can be made");
        }
    };
    let kinds = wanted.kinds.clone();
    if let Err(Closed) = environment.journal.telemetry().subscribe(api, Arc::clone(&name), wanted, socket) {
        return closed(api);
    }
    let record = Record::Subscription { api, name: &name, kinds: &kinds };
    environment.journal.records(Moment::now().wall_ms, &environment.spec, [record]);
    answer(StatusCode::OK, JSON, Bytes::from_static(b"\"OK\""))
}

fn invalid(message: &str) -> Answer {
    problem(StatusCode::BAD_REQUEST, "ValidationError", message)
}

fn closed(api: Api) -> Answer {
    let (kind, message) = match api {
        Api::Telemetry => ("Telemetry.SubscriptionClosed", "Telemetry API subscription is closed already"),
        Api::Logs => ("Logs.SubscriptionClosed", "Logs API subscription is closed already"),
    };
    problem(StatusCode::FORBIDDEN, kind, message)
}
