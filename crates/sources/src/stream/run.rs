//! Reads one shard and runs the function with what is in it, until it is at its end or the mapping is to stop.

use std::sync::Arc;

use bytes::Bytes;
use hearth_clock::Busy;
use hearth_crash::{self as crash, Point};
use hearth_events::Attempt;
use hearth_store::BoxFuture;
use hearth_types::RequestId;
use hearth_types::limits::STREAM_PENDING_BYTES;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tracing::warn;

use super::failure::{Last, Lost, Place, event, time};
use super::kept;
use super::lane::{Behind, GivenUp, Next, Outcome, Record, Share};
use super::outcome::{self, reported};
use super::reader::{Came, Reader};
use super::service::Stream;
use super::shard::Shard;
use crate::job::Job;

/// One shard that is polled.
pub(super) struct Runner {
    pub(super) job: Arc<Job>,
    pub(super) stream: Arc<Stream>,
    pub(super) id: String,
    pub(super) shard: Shard,
    reader: At,
    running: JoinSet<Ran>,
    /// Of each lane, what its last invoke came to.
    last: Vec<Option<Last>>,
    behind: Behind,
}

/// A look takes longer than a batch may: it goes on while batches end.
enum At {
    Rest(Reader),
    Look(BoxFuture<'static, (Reader, Came)>),
    Gone,
}

impl At {
    /// Begins with a look if there is none.
    fn begin(&mut self) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Rest(reader) => Self::Look(Box::pin(reader.next())),
            other => other,
        };
    }

    async fn looked(&mut self) -> (Reader, Came) {
        match self {
            Self::Look(look) => look.await,
            Self::Rest(_) | Self::Gone => std::future::pending().await,
        }
    }
}

/// What came of a batch. Whoever moves the clock waits until it has been taken in.
struct Ran {
    lane: usize,
    /// Records of the batch.
    count: usize,
    request: RequestId,
    attempt: Attempt,
    busy: Busy,
}

/// What there is to an answer, where windows are tumbling.
#[derive(Deserialize, Default)]
struct Answer {
    #[serde(default)]
    state: Value,
}

impl Runner {
    pub(super) fn new(job: Arc<Job>, stream: Arc<Stream>, id: String, shard: Shard, reader: Reader) -> Self {
        let last = shard.lanes.iter().map(|_| None).collect();
        Self { job, stream, id, shard, reader: At::Rest(reader), running: JoinSet::new(), last, behind: Behind::More }
    }

    /// Returns when the shard is finished, or the mapping is to stop and nothing of it is in flight any more.
    pub(super) async fn run(mut self) {
        let clock = self.job.parts.clock.clone();
        let mut busy = clock.busy();
        loop {
            let is_stopping = self.job.is_stopping();
            let due_ms = if is_stopping { None } else { self.begin().await };
            if self.behind == Behind::Closed && self.shard.is_empty() {
                self.keep().await;
                return;
            }
            if is_stopping && self.running.is_empty() {
                return;
            }
            if !is_stopping && self.behind != Behind::Closed && self.shard.has_room(STREAM_PENDING_BYTES) {
                self.reader.begin();
            }
            let rest = async {
                match due_ms {
                    Some(due_ms) => clock.rest_until_ms(busy, due_ms).await,
                    None => {
                        drop(busy);
                        std::future::pending().await
                    }
                }
            };
            let woken = tokio::select! {
                Some(ran) = self.running.join_next() => Woken::Ran(ran.ok()),
                (reader, came) = self.reader.looked(), if !is_stopping => Woken::Came(reader, came),
                busy = rest => Woken::Due(busy),
                () = self.job.stopped(), if !is_stopping => Woken::Stopped,
            };
            busy = clock.busy();
            match woken {
                Woken::Ran(Some(ran)) => self.ended(ran).await,
                Woken::Ran(None) => return warn!("a batch of the shard {} broke off", self.id),
                Woken::Came(reader, came) => self.came(reader, came),
                Woken::Due(was_busy) => drop(was_busy),
                Woken::Stopped => {}
            }
        }
    }

    /// Begins with all that is to be done now; says when there is more.
    async fn begin(&mut self) -> Option<i64> {
        let mut due = Vec::new();
        for lane in 0..self.shard.lanes.len() {
            loop {
                match self.shard.lanes[lane].next(self.job.now_ms(), self.behind) {
                    Next::Nothing => break,
                    Next::At(time_ms) => {
                        due.push(time_ms);
                        break;
                    }
                    Next::Invoke { records, share } => self.invoke(lane, records, share),
                    Next::GiveUp(given_up) => {
                        if !self.give_up(lane, &given_up).await {
                            // It is tried again soon: what is not told is not given up.
                            due.push(self.job.now_ms() + 1000);
                            break;
                        }
                    }
                }
            }
        }
        due.into_iter().min()
    }

    fn invoke(&mut self, lane: usize, records: usize, share: Option<Share>) {
        let records = self.shard.lanes[lane].records().iter().take(records);
        if let Some(last) = records.clone().last() {
            let metrics = self.job.parts.metrics.function(&self.job.mapping.function);
            metrics.iterator_age(self.job.now_ms().saturating_sub(last.arrival_ms));
        }
        let count = records.len();
        let payload = Bytes::from(self.with_window(event(records), share.as_ref()));
        let (job, busy) = (Arc::clone(&self.job), self.job.parts.clock.busy());
        self.running.spawn(async move {
            let (request, attempt) = job.invoke(count, payload, None).await;
            Ran { lane, count, request, attempt, busy }
        });
    }

    /// What a tumbling window adds to an event.
    fn with_window(&self, mut event: Vec<u8>, share: Option<&Share>) -> Vec<u8> {
        let Some(share) = share else { return event };
        let around = json!({
            "window": {"start": second(share.start_ms), "end": second(share.end_ms)},
            "state": share.state,
            "shardId": self.id,
            "eventSourceARN": self.stream.arn,
            "isFinalInvokeForWindow": share.is_final,
            "isWindowTerminatedEarly": share.is_early,
        });
        event.pop();
        event.push(b',');
        event.extend_from_slice(around.to_string().trim_start_matches('{').as_bytes());
        event
    }

    async fn ended(&mut self, ran: Ran) {
        let outcome = self.outcome(&ran);
        if let Outcome::From(done, _) = &outcome {
            self.job.count(|of| &of.failed, ran.count.saturating_sub(*done));
        }
        self.shard.lanes[ran.lane].ended(self.job.now_ms(), outcome);
        crash::point(Point::RecordsRan);
        self.keep().await;
        drop(ran.busy);
    }

    fn outcome(&mut self, ran: &Ran) -> Outcome {
        let settings = &self.job.mapping.settings;
        let records = self.shard.lanes[ran.lane].records();
        outcome::of(&self.job, ran.request, &ran.attempt, &mut self.last[ran.lane], |answer| {
            let state = || serde_json::from_slice::<Answer>(answer).unwrap_or_default().state;
            let state = if settings.tumbling_s > 0 { state() } else { Value::Null };
            if settings.report_failures { reported(records, answer, state) } else { Outcome::Success(state) }
        })
    }

    /// Tells the destination, if there is one; says whether that is durable, so that the records can go.
    async fn give_up(&mut self, lane: usize, given_up: &GivenUp) -> bool {
        if given_up.records > 0
            && let Some(destination) = self.job.mapping.settings.on_failure.clone()
            && let Err(cause) = self.tell(lane, given_up, &destination).await
        {
            self.job.problem(&format!("The destination {destination} was not told: {cause}"));
            return false;
        }
        self.job.count(|of| &of.dropped, given_up.records);
        crash::point(Point::RecordsGivenUp);
        self.shard.lanes[lane].given_up(given_up);
        self.keep().await;
        true
    }

    async fn tell(&mut self, lane: usize, given_up: &GivenUp, destination: &str) -> Result<(), String> {
        let config = self.job.configuration().await?.ok_or("Function not found")?;
        let records: Vec<Record> = self.shard.lanes[lane].records().iter().take(given_up.records).cloned().collect();
        let mapping = &self.job.mapping;
        let lost = Lost {
            place: Place::Shard { kind: self.stream.kind, stream: &self.stream.arn, shard: &self.id },
            function: self.job.function_arn(),
            records: &records,
            condition: given_up.condition,
            invokes: given_up.invokes,
            last: self.last[lane].as_ref(),
            now_ms: self.job.now_ms(),
        };
        let arn = self.job.arn();
        let parcel = lost.parcel(destination, (&self.job.uuid, arn), &mapping.function, &config.role);
        self.job.parts.outbox.post(vec![parcel]).await.map_err(|cause| cause.to_string())?;
        self.job.count(|of| &of.told, given_up.records);
        Ok(())
    }

    fn came(&mut self, mut reader: Reader, came: Came) {
        match came {
            Came::Records { records, behind } => {
                self.job.count(|of| &of.polled, records.len());
                let held_back = records.iter().filter(|record| record.event.is_none()).count();
                self.job.count(|of| &of.filtered_out, held_back);
                self.shard.take(self.job.now_ms(), records);
                reader.go_on_after(self.shard.read());
                self.behind = behind;
            }
            Came::Problem(cause) => self.job.problem(&cause),
        }
        self.reader = At::Rest(reader);
    }

    /// What is not kept is delivered again after a restart.
    async fn keep(&mut self) {
        let checkpoint = self.shard.checkpoint(self.behind == Behind::Closed);
        if let Err(cause) = kept::keep(&self.job, &[(self.id.clone(), checkpoint)], &[]).await {
            warn!("where the mapping {} is in {} is not kept: {cause}", self.job.uuid, self.id);
        }
    }
}

enum Woken {
    Ran(Option<Ran>),
    Came(Reader, Came),
    Due(Busy),
    Stopped,
}

/// `2020-07-30T17:00:00Z`, as windows have it.
fn second(ms: i64) -> String {
    time(ms).replace(".000Z", "Z")
}
