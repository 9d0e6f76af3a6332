//! What the server says of itself, below `/_hearth/`: health, packages by signed link, logs, environments.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hearth_clock::Clock;
use hearth_control::Control;
use hearth_events::Events;
use hearth_http::ResponseBody;
use hearth_logs::{LogLine, LogStore, escape_for_terminal};
use hearth_remote::Dispatcher;
use hearth_types::{CodeDigest, Place};
use http::{Method, Response, StatusCode, header};
use serde_json::json;
use tokio::sync::mpsc;

use crate::clock;
use crate::event_desk;
use crate::metrics::Numbers;
use crate::observing;
use crate::tune;
use crate::workers;

/// Lines of a log that are shown before what comes.
const LOG_LINES: usize = 10_000;
/// Pieces of a followed log that wait for a slow reader.
const FOLLOW_PIECES: usize = 256;

pub(crate) struct Admin {
    pub(crate) control: Arc<Control>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) logs: Arc<LogStore>,
    pub(crate) clock: Clock,
    pub(crate) numbers: Numbers,
    pub(crate) events: Arc<Events>,
    /// The isolation that is in force, as the spawner reported it.
    pub(crate) isolation: serde_json::Value,
}

/// What a page asks of whoever looks at it.
pub(crate) struct Permission {
    /// As signatures name it.
    pub(crate) service: &'static str,
    pub(crate) action: &'static str,
    /// An ARN.
    pub(crate) resource: String,
}

impl Admin {
    /// What a page shows of functions is for those who may see it through the API. None for what is for all: health, and
    /// links, which bear a signature of their own.
    pub(crate) fn permission(&self, method: &Method, path: &str, place: &Place) -> Option<Permission> {
        let parts: Vec<&str> = path.split('/').collect();
        let Place { region, account } = place;
        match parts.as_slice() {
            ["clock"] if method == Method::POST => Some(own("hearth:AdvanceClock")),
            ["clock"] => Some(own("hearth:GetClock")),
            ["metrics" | "functions" | "usage"] => Some(own("hearth:GetMetrics")),
            ["tune", name] => Some(Permission {
                service: "lambda",
                action: "hearth:TuneFunction",
                resource: place.arn(name).to_string(),
            }),
            ["workers"] => Some(own("hearth:GetWorkers")),
            ["events", ..] if method == Method::POST => Some(own("hearth:ChangeEvents")),
            ["events", ..] => Some(own("hearth:GetEvents")),
            ["logs", name] => {
                let group = self.dispatcher.functions().log_group(name);
                let group = group.map_or_else(|| format!("/aws/lambda/{name}"), |group| group.to_string());
                Some(Permission {
                    service: "logs",
                    action: "logs:FilterLogEvents",
                    resource: format!("arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:"),
                })
            }
            ["functions", name, ..] => Some(Permission {
                service: "lambda",
                action: "lambda:GetFunction",
                resource: place.arn(name).to_string(),
            }),
            _ => None,
        }
    }

    /// Answers `GET /_hearth/{path}?{query}`, and where something is changed POST.
    pub(crate) async fn answer(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        body: &Bytes,
    ) -> Response<ResponseBody> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["clock"] if method == Method::POST => clock::advance(&self.clock, body).await,
            ["events"] if method == Method::POST => event_desk::act(&self.events, body).await,
            ["tune", name] if method == Method::POST => {
                tune::tune(&self.dispatcher, self.numbers.meter.prices(), name, body)
            }
            _ if method != Method::GET => text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n"),
            ["clock"] => clock::show(&self.clock),
            ["metrics"] => self.metrics().await,
            ["functions"] => observing::functions(&self.dispatcher, &self.numbers.metrics),
            ["usage"] => observing::usage(&self.numbers.meter, parameter(query, "month")).await,
            ["workers"] => json_body(StatusCode::OK, &workers::list(&self.dispatcher)),
            ["events"] => event_desk::list(&self.events, &self.numbers.outbox, parameter(query, "function")).await,
            ["events", function, id] => event_desk::show(&self.events, function, id).await,
            ["health"] => self.health(),
            ["code", digest] => self.code(digest, query).await,
            ["logs", name] => self.log(name, query).await,
            ["functions", name, "environments"] => self.environments(name),
            _ => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
        }
    }

    fn health(&self) -> Response<ResponseBody> {
        let ahead = self.dispatcher.worker().started_ahead();
        let disk = workers::disk(&self.dispatcher);
        let body = json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "isolation": self.isolation,
            "disk": { "short": disk.short, "environmentsEnded": disk.ended },
            "startedAhead": { "waiting": ahead.waiting, "taken": ahead.taken, "wanted": ahead.wanted },
        });
        json_body(StatusCode::OK, &body)
    }

    async fn metrics(&self) -> Response<ResponseBody> {
        match self.numbers.text().await {
            Ok(numbers) => with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", Bytes::from(numbers)),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the queues cannot be read\n"),
        }
    }

    async fn code(&self, digest: &str, query: &str) -> Response<ResponseBody> {
        let parameter = |name: &str| parameter(query, name).unwrap_or_default();
        let good = self.control.links().is_good(digest, parameter("expires"), parameter("signature"), self.clock.now());
        let (true, Some(digest)) = (good, CodeDigest::from_hex(digest)) else {
            return text(StatusCode::FORBIDDEN, "the link has expired or is not one of this server's\n");
        };
        match self.control.blobs().get(&digest).await {
            Ok(Some(zip)) => with_type(StatusCode::OK, "application/zip", zip),
            Ok(None) => text(StatusCode::NOT_FOUND, "the package is gone\n"),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the package cannot be read\n"),
        }
    }

    async fn log(&self, name: &str, query: &str) -> Response<ResponseBody> {
        let Some(group) = self.dispatcher.functions().log_group(name) else {
            return text(StatusCode::NOT_FOUND, format!("there is no function {name}\n"));
        };
        let as_json = parameter(query, "json") == Some("true");
        // Followed first, read then: no line falls between the two; one that is in both is shown once.
        let follower = (parameter(query, "follow") == Some("true")).then(|| self.logs.follow(&group));
        self.logs.flush().await;
        let past = {
            let (logs, group) = (Arc::clone(&self.logs), Arc::clone(&group));
            tokio::task::spawn_blocking(move || logs.read(&group, LOG_LINES)).await
        };
        let Ok(Ok(past)) = past else {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "the log cannot be read\n");
        };
        let shown: String = past.iter().map(|line| shown(line, as_json)).collect();
        let Some(mut follower) = follower else {
            return with_type(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from(shown));
        };
        let last = past.last().map_or(0, |line| line.sequence);
        let (pieces, body) = mpsc::channel(FOLLOW_PIECES);
        tokio::spawn(async move {
            if pieces.send(Bytes::from(shown)).await.is_err() {
                return;
            }
            loop {
                let line = tokio::select! {
                    line = follower.next() => line,
                    // The client has gone, which a silent log would never tell.
                    () = pieces.closed() => return,
                };
                let Some(line) = line else { return };
                let piece = match line {
                    Ok(line) if line.sequence <= last => continue,
                    Ok(line) => self::shown(&line, as_json),
                    Err(missed) => format!("({} lines came too fast and are not shown)\n", missed.0),
                };
                if pieces.send(Bytes::from(piece)).await.is_err() {
                    return;
                }
            }
        });
        let mut response = Response::new(ResponseBody::Pieces(body));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }

    fn environments(&self, name: &str) -> Response<ResponseBody> {
        match self.dispatcher.environments_of(name) {
            None => text(StatusCode::NOT_FOUND, format!("there is no function {name}\n")),
            Some(environments) => json_body(StatusCode::OK, &json!({ "Environments": environments })),
        }
    }
}

/// Of this server itself, which is no service of AWS's.
fn own(action: &'static str) -> Permission {
    Permission { service: "lambda", action, resource: "*".to_owned() }
}

fn shown(line: &LogLine, as_json: bool) -> String {
    let message = String::from_utf8_lossy(&line.message);
    let message = message.trim_end_matches('\n');
    if as_json {
        return format!(
            "{}\n",
            json!({ "timestamp": line.timestamp_ms, "logStreamName": &*line.stream, "message": message })
        );
    }
    format!("{}\n", escape_for_terminal(message))
}

pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

pub(crate) fn json_body(status: StatusCode, body: &serde_json::Value) -> Response<ResponseBody> {
    with_type(status, "application/json", Bytes::from(body.to_string()))
}

pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response<ResponseBody> {
    with_type(status, "text/plain; charset=utf-8", Bytes::from(text.into()))
}

fn with_type(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
