//! Topics of Kafka: each partition is a lane, read in order, one batch at a time. Where each is, Kafka keeps for the
//! mapping's group, which is committed to after each batch: a crash repeats batches and loses none.

mod consumer;
mod event;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_clock::Busy;
use hearth_events::Attempt;
use hearth_types::RequestId;
use hearth_types::limits::STREAM_PENDING_BYTES;
use hearth_types::mapping::{Settings, Source};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::topic_partition_list::Offset;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tracing::warn;

use self::consumer::{Opened, Topic};
use self::event::{payload, record, with_plain_identifiers};
use crate::filter::Filters;
use crate::job::Job;
use crate::stream::failure::{Last, Lost, Place, time};
use crate::stream::lane::{Behind, GivenUp, Lane, Next, Outcome, Record, Rules};
use crate::stream::outcome::{self, reported};

/// After a look at the brokers that failed, or an error of theirs.
const AGAIN: Duration = Duration::from_secs(2);

/// MaximumBatchingWindowInSeconds where it is not given (Lambda).
const WINDOW_MS: i64 = 500;

/// Between two looks at how many partitions there are.
const PARTITIONS_EVERY: Duration = Duration::from_secs(30);

/// Polls a topic until the job is to stop, and until nothing of it is in flight any more.
pub(crate) async fn poll(job: Arc<Job>) {
    let Source::Kafka { brokers, topic, from } = &job.mapping.source else { return };
    let filters = match Filters::new(&job.mapping.settings.filters) {
        Ok(filters) => filters,
        Err(cause) => return job.problem(&cause.to_string()),
    };
    let group = job.mapping.settings.consumer_group.clone().unwrap_or_else(|| job.uuid.to_string());
    let since_ms = job.mapping.last_modified_ms;
    let topic = Topic { brokers: brokers.join(","), name: topic.clone(), group, from: *from, since_ms };
    match open(&topic).await {
        Ok(opened) => Poller::new(Arc::clone(&job), topic, filters, opened).run().await,
        Err(cause) => {
            job.problem(&cause);
            job.pause(AGAIN).await;
        }
    }
}

async fn open(topic: &Topic) -> Result<Opened, String> {
    let topic = topic.clone();
    let opened = tokio::task::spawn_blocking(move || topic.open()).await.map_err(|cause| cause.to_string())?;
    opened.map_err(|cause| cause.to_string())
}

struct Poller {
    job: Arc<Job>,
    topic: Topic,
    filters: Filters,
    opened: Opened,
    partitions: BTreeMap<i32, Partition>,
    running: JoinSet<Ran>,
}

/// One partition that is read.
struct Partition {
    /// `TOPIC-PARTITION`.
    name: String,
    lane: Lane,
    /// The offset behind what was read.
    next: i64,
    committed: i64,
    is_paused: bool,
    last: Option<Last>,
}

/// What came of a batch. Whoever moves the clock waits until it has been taken in.
struct Ran {
    partition: i32,
    /// Records of the batch.
    count: usize,
    request: RequestId,
    attempt: Attempt,
    busy: Busy,
}

enum Woken {
    Ran(Option<Ran>),
    Came(KafkaResult<OwnedMessage>),
    Due(Busy),
    Looked(bool),
    Stopped,
}

/// Batches of a topic wait for a moment where nothing else is said.
fn rules(settings: &Settings) -> Rules {
    let rules = crate::stream::rules(settings);
    if settings.window_s > 0 { rules } else { Rules { window_ms: WINDOW_MS, ..rules } }
}

impl Poller {
    fn new(job: Arc<Job>, topic: Topic, filters: Filters, opened: Opened) -> Self {
        let rules = rules(&job.mapping.settings);
        let partition = |&(id, next): &(i32, i64)| {
            let (name, lane) = (format!("{}-{id}", topic.name), Lane::new(rules, None));
            (id, Partition { name, lane, next, committed: next, is_paused: false, last: None })
        };
        let partitions = opened.partitions.iter().map(partition).collect();
        Self { job, topic, filters, opened, partitions, running: JoinSet::new() }
    }

    /// Returns when the mapping is to stop and nothing is in flight any more, or when there are other partitions.
    async fn run(mut self) {
        let clock = self.job.parts.clock.clone();
        let mut look = Box::pin(self.changed());
        let (mut busy, mut is_over) = (clock.busy(), false);
        loop {
            is_over = is_over || self.job.is_stopping();
            let due_ms = if is_over { None } else { self.begin().await };
            if is_over && self.running.is_empty() {
                break;
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
                came = self.opened.consumer.recv(), if !is_over => Woken::Came(came.map(|message| message.detach())),
                busy = rest => Woken::Due(busy),
                others = &mut look, if !is_over => Woken::Looked(others),
                () = self.job.stopped(), if !is_over => Woken::Stopped,
            };
            busy = clock.busy();
            match woken {
                Woken::Ran(Some(ran)) => self.ended(ran),
                Woken::Ran(None) => warn!("a batch of the topic {} broke off", self.topic.name),
                Woken::Came(Ok(message)) => self.came(&message),
                Woken::Came(Err(cause)) => {
                    self.job.problem(&cause.to_string());
                    self.job.pause(AGAIN).await;
                }
                Woken::Due(was_busy) => drop(was_busy),
                Woken::Looked(others) => {
                    is_over = others;
                    look = Box::pin(self.changed());
                }
                Woken::Stopped => {}
            }
        }
        drop(look);
        self.leave().await;
    }

    /// What was committed last may still be on its way.
    async fn leave(self) {
        let (topic, consumer) = (self.topic, self.opened.consumer);
        let last: Vec<(i32, i64)> = self.partitions.iter().map(|(id, partition)| (*id, partition.committed)).collect();
        let left = tokio::task::spawn_blocking(move || topic.leave(&consumer, &last)).await;
        match left {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => self.job.problem(&cause.to_string()),
            Err(cause) => warn!("leaving a topic broke off: {cause}"),
        }
    }

    /// Whether there are other partitions than those that are read; after a while.
    fn changed(&self) -> impl Future<Output = bool> + use<> {
        let (topic, consumer, known) = (self.topic.clone(), Arc::clone(&self.opened.consumer), self.partitions.len());
        async move {
            tokio::time::sleep(PARTITIONS_EVERY).await;
            let found = tokio::task::spawn_blocking(move || topic.partitions(&consumer)).await;
            matches!(found, Ok(Ok(found)) if found.len() != known)
        }
    }

    /// Begins with all that is to be done now; says when there is more.
    async fn begin(&mut self) -> Option<i64> {
        let mut due = Vec::new();
        let ids: Vec<i32> = self.partitions.keys().copied().collect();
        for id in ids {
            while let Some(partition) = self.partitions.get_mut(&id) {
                match partition.lane.next(self.job.now_ms(), Behind::Quiet) {
                    Next::Nothing => break,
                    Next::At(time_ms) => {
                        due.push(time_ms);
                        break;
                    }
                    Next::Invoke { records, .. } => self.invoke(id, records),
                    Next::GiveUp(given_up) => {
                        if !self.give_up(id, &given_up).await {
                            due.push(self.job.now_ms() + 1000);
                            break;
                        }
                    }
                }
            }
        }
        due.into_iter().min()
    }

    fn invoke(&mut self, id: i32, records: usize) {
        let Some(partition) = self.partitions.get(&id) else { return };
        let records = partition.lane.records().iter().take(records);
        let count = records.len();
        let payload = Bytes::from(payload(&self.topic.brokers, &partition.name, records));
        let (job, busy) = (Arc::clone(&self.job), self.job.parts.clock.busy());
        self.running.spawn(async move {
            let (request, attempt) = job.invoke(count, payload, None).await;
            Ran { partition: id, count, request, attempt, busy }
        });
    }

    fn ended(&mut self, ran: Ran) {
        let Some(partition) = self.partitions.get_mut(&ran.partition) else { return };
        let reports = self.job.mapping.settings.report_failures;
        let (name, records) = (&partition.name, partition.lane.records());
        let outcome = outcome::of(&self.job, ran.request, &ran.attempt, &mut partition.last, |answer| {
            if !reports {
                return Outcome::Success(Value::Null);
            }
            reported(records, &with_plain_identifiers(answer, name), Value::Null)
        });
        if let Outcome::From(done, _) = &outcome {
            self.job.count(|of| &of.failed, ran.count.saturating_sub(*done));
        }
        partition.lane.ended(self.job.now_ms(), outcome);
        self.settle(ran.partition);
        drop(ran.busy);
    }

    fn came(&mut self, message: &OwnedMessage) {
        let now_ms = self.job.now_ms();
        let Some(partition) = self.partitions.get_mut(&message.partition()) else { return };
        if message.offset() < partition.next {
            return;
        }
        partition.next = message.offset() + 1;
        self.job.count(|of| &of.polled, 1);
        match record(message, &self.filters, now_ms) {
            Some(record) => partition.lane.push(record),
            None => self.job.count(|of| &of.filtered_out, 1),
        }
        self.settle(message.partition());
    }

    /// Commits where a partition is, and reads it only while there is room.
    fn settle(&mut self, id: i32) {
        let batch = usize::try_from(self.job.mapping.settings.batch_size).unwrap_or(1);
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let records = partition.lane.records();
        let first = records.front().and_then(|record| record.sequence.0.parse().ok());
        let offset = first.unwrap_or(partition.next);
        let bytes: usize = records.iter().map(|record| record.event.len()).sum();
        let is_full = records.len() > batch || bytes > STREAM_PENDING_BYTES;
        let consumer = &self.opened.consumer;
        let commit = |offset| consumer.commit(&self.topic.at(id, Offset::Offset(offset))?, CommitMode::Async);
        if offset != partition.committed {
            match commit(offset) {
                Ok(()) => {
                    let more = offset.saturating_sub(partition.committed.max(0));
                    self.job.count(|of| &of.committed, usize::try_from(more).unwrap_or(0));
                    partition.committed = offset;
                }
                Err(cause) => warn!("where {} is in {} is not committed: {cause}", self.topic.group, partition.name),
            }
        }
        if is_full != partition.is_paused {
            let one = self.topic.at(id, Offset::Invalid);
            let done = one.and_then(|one| if is_full { consumer.pause(&one) } else { consumer.resume(&one) });
            match done {
                Ok(()) => partition.is_paused = is_full,
                Err(cause) => warn!("{} cannot be held back: {cause}", partition.name),
            }
        }
    }

    /// Tells the destination, if there is one; says whether that is durable, so that the records can go.
    async fn give_up(&mut self, id: i32, given_up: &GivenUp) -> bool {
        if let Some(destination) = self.job.mapping.settings.on_failure.clone()
            && let Err(cause) = self.tell(id, given_up, &destination).await
        {
            self.job.problem(&format!("The destination {destination} was not told: {cause}"));
            return false;
        }
        self.job.count(|of| &of.dropped, given_up.records);
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.lane.given_up(given_up);
        }
        self.settle(id);
        true
    }

    async fn tell(&mut self, id: i32, given_up: &GivenUp, destination: &str) -> Result<(), String> {
        let config = self.job.configuration().await?.ok_or("Function not found")?;
        let Some(partition) = self.partitions.get(&id) else { return Ok(()) };
        let records: Vec<Record> = partition.lane.records().iter().take(given_up.records).cloned().collect();
        let event = payload(&self.topic.brokers, &partition.name, &records);
        let lost = Lost {
            place: Place::Partition {
                name: &partition.name,
                info: &self.info(partition, &records, event.len()),
                event: &event,
            },
            function: self.job.function_arn(),
            records: &records,
            condition: given_up.condition,
            invokes: given_up.invokes,
            last: partition.last.as_ref(),
            now_ms: self.job.now_ms(),
        };
        let mapping = (&*self.job.uuid, self.job.arn());
        let parcel = lost.parcel(destination, mapping, &self.job.mapping.function, &config.role);
        self.job.parts.outbox.post(vec![parcel]).await.map_err(|cause| cause.to_string())?;
        self.job.count(|of| &of.told, given_up.records);
        Ok(())
    }

    /// KafkaBatchInfo.
    fn info(&self, partition: &Partition, records: &[Record], bytes: usize) -> Value {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Value::Null };
        let of_partition = json!({
            "firstRecordOffset": first.sequence.0.as_ref(),
            "lastRecordOffset": last.sequence.0.as_ref(),
            "firstRecordTimestamp": time(first.arrival_ms),
            "lastRecordTimestamp": time(last.arrival_ms),
        });
        json!({
            "batchSize": records.len(),
            "bootstrapServers": self.topic.brokers,
            "payloadSize": bytes,
            "recordInfo": {partition.name.as_str(): of_partition},
        })
    }
}
