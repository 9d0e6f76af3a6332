//! Live tails: lines as they come, once a second, as frames of an event stream.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::event_stream::{event, exception};
use hearth_api::logs::Operation;
use hearth_api::logs::errors::LIMIT_EXCEEDED;
use hearth_api::logs::types::StartLiveTailRequest;
use hearth_identity::Caller;
use hearth_types::limits::{LOG_PAGE_BYTES, LOG_TAIL_LIFE, LOG_TAIL_LINES};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::{CloudWatchLogs, invalid};
use crate::follow::Follower;
use crate::pattern::Pattern;
use crate::record::LogLine;
use crate::search::Streams;

/// How often a session tells what has come (CloudWatch).
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A session that has begun.
pub struct LiveTail {
    start: Value,
    groups: Vec<(String, Follower)>,
    wanted: Wanted,
    _turn: OwnedSemaphorePermit,
}

struct Wanted {
    streams: Vec<Streams>,
    pattern: Pattern,
}

impl Wanted {
    fn has(&self, line: &LogLine) -> bool {
        let is_of_stream = self.streams.is_empty() || self.streams.iter().any(|streams| streams.has(&line.stream));
        is_of_stream && self.pattern.matches(&line.message)
    }
}

/// What came since the session told last.
#[derive(Default)]
struct Gathered {
    results: Vec<Value>,
    bytes: usize,
    /// More came than is told.
    sampled: bool,
}

impl Gathered {
    fn take(&mut self, group: &str, line: &LogLine) {
        if self.results.len() >= LOG_TAIL_LINES || self.bytes + line.message.len() > LOG_PAGE_BYTES {
            self.sampled = true;
            return;
        }
        self.bytes += line.message.len();
        self.results.push(json!({
            "logStreamName": &*line.stream,
            "logGroupIdentifier": group,
            "message": String::from_utf8_lossy(&line.message),
            "timestamp": line.timestamp_ms,
            "ingestionTime": line.ingested_ms,
        }));
    }

    fn frame(self) -> Bytes {
        let update = json!({ "sessionMetadata": { "sampled": self.sampled }, "sessionResults": self.results });
        json_event("sessionUpdate", &update)
    }
}

impl CloudWatchLogs {
    /// Begins a session: every line of these groups that comes from now on and fits. `request_id` is told to the client.
    ///
    /// # Errors
    /// Where one of the groups is not there, members exclude each other, the pattern is malformed, or there are too many
    /// sessions.
    pub async fn start_live_tail(
        &self,
        caller: &Caller,
        input: StartLiveTailRequest,
        request_id: &str,
    ) -> Result<LiveTail, ApiError> {
        let StartLiveTailRequest {
            log_group_identifiers: identifiers,
            log_stream_names: names,
            log_stream_name_prefixes: prefixes,
            log_event_filter_pattern: pattern,
        } = input;
        if names.is_some() && prefixes.is_some() {
            return Err(invalid("logStreamNames and logStreamNamePrefixes exclude each other."));
        }
        if identifiers.len() > 1 && (names.is_some() || prefixes.is_some()) {
            return Err(invalid("Streams can be named for one log group only."));
        }
        let text = pattern.as_deref().unwrap_or_default();
        let pattern = Pattern::parse(text).map_err(|malformed| invalid(malformed.to_string()))?;
        let turn = Arc::clone(&self.tails).try_acquire_owned();
        let turn = turn.map_err(|_| ApiError::new(&LIMIT_EXCEEDED, "There are too many live tail sessions."))?;
        let mut groups = Vec::with_capacity(identifiers.len());
        for identifier in &identifiers {
            let group = self.group_of(identifier)?;
            self.allow(caller, Operation::StartLiveTail, &group)?;
            let name: Arc<str> = group.as_str().into();
            self.flushed(move |store| store.group(&group)).await?;
            groups.push((format!("{}:{name}", self.place.account), self.store.follow(&name)));
        }
        let start = json!({
            "requestId": request_id,
            "sessionId": request_id,
            "logGroupIdentifiers": identifiers,
            "logStreamNames": names.clone().unwrap_or_default(),
            "logStreamNamePrefixes": prefixes.clone().unwrap_or_default(),
            "logEventFilterPattern": text,
        });
        let named = names.map(|names| Streams::Named(names.into_iter().collect()));
        let streams = prefixes.into_iter().flatten().map(Streams::Prefix).chain(named).collect();
        Ok(LiveTail { start, groups, wanted: Wanted { streams, pattern }, _turn: turn })
    }
}

impl LiveTail {
    /// Sends the session's frames, until the client goes, the store closes, or the session is over.
    pub async fn run(self, frames: mpsc::Sender<Bytes>) {
        // The first one stands for the answer's members; there are none.
        for frame in [json_event("initial-response", &json!({})), json_event("sessionStart", &self.start)] {
            if frames.send(frame).await.is_err() {
                return;
            }
        }
        let (gathered, wanted) = (Arc::new(Mutex::new(Gathered::default())), Arc::new(self.wanted));
        let mut following = JoinSet::new();
        for (group, follower) in self.groups {
            following.spawn(gather(group, follower, Arc::clone(&wanted), Arc::clone(&gathered)));
        }
        let end = Instant::now() + LOG_TAIL_LIFE;
        let mut ticks = tokio::time::interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = frames.closed() => return,
                // Only where the store closes.
                _ = following.join_next() => return,
                () = tokio::time::sleep_until(end) => {
                    let over = json!({ "message": "The live tail session has ended after three hours." });
                    // Nobody may listen any more.
                    let _ = frames.send(exception("SessionTimeoutException", over.to_string().as_bytes())).await;
                    return;
                }
            }
            let told = std::mem::take(&mut *gathered.lock().unwrap_or_else(PoisonError::into_inner));
            if frames.send(told.frame()).await.is_err() {
                return;
            }
        }
    }
}

async fn gather(group: String, mut follower: Follower, wanted: Arc<Wanted>, gathered: Arc<Mutex<Gathered>>) {
    while let Some(line) = follower.next().await {
        let is_told = line.as_ref().is_ok_and(|line| wanted.has(line));
        let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
        match line {
            Ok(line) if is_told => gathered.take(&group, &line),
            Ok(_) => {}
            Err(_) => gathered.sampled = true,
        }
    }
}

fn json_event(event_type: &'static str, payload: &Value) -> Bytes {
    event(event_type, "application/x-amz-json-1.1", payload.to_string().as_bytes())
}
