//! Queues of RabbitMQ and ActiveMQ: one batch at a time, acknowledged once the function has taken all of it; until then it is
//! tried again.

mod active;
#[cfg(feature = "mq")]
mod event;
mod frame;
mod link;
#[cfg(feature = "mq")]
mod rabbit;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_client::{Api, JsonVersion, Service};
use hearth_events::Attempt;
use hearth_types::limits::{SECRET_BYTES, SOURCE_BYTES, SYNC_PAYLOAD_BYTES, UPSTREAM_ANSWER};
use hearth_types::mapping::Source;
use serde_json::{Value, json};

use self::link::Link;
use crate::broker::Protocol;
use crate::filter::{self, Filters};
use crate::job::Job;

/// For a connection, and its first answers.
const OPEN: Duration = Duration::from_secs(10);

/// After a broker that could not be reached, or went away.
const AGAIN: Duration = Duration::from_secs(2);

/// MaximumBatchingWindowInSeconds where it is not given (Lambda).
const WINDOW: Duration = Duration::from_millis(500);

/// Before a batch that failed is tried again: the first time, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

const SECRETS: Service = Service { signing_name: "secretsmanager", target: "secretsmanager", json: JsonVersion::V1_1 };

/// The part of SourceAccessConfigurations that names the secret with user name and password.
pub(crate) const BASIC_AUTH: &str = "BASIC_AUTH";

/// Who is at the broker's door.
struct Login {
    user: String,
    password: String,
    /// RabbitMQ's.
    virtual_host: String,
}

/// A message that was delivered.
#[derive(Debug)]
struct Message {
    /// By which it is acknowledged; growing.
    tag: u64,
    /// As the function gets it.
    record: Value,
    /// What `data` has in base64.
    content: Vec<u8>,
}

impl Message {
    /// As patterns see it: its data parsed.
    fn seen(&self) -> Value {
        let mut seen = self.record.clone();
        seen["data"] = std::str::from_utf8(&self.content).map_or(Value::Null, filter::data);
        seen
    }
}

/// Polls a queue until the job is to stop, and until nothing of it is in flight any more.
pub(crate) async fn poll(job: Arc<Job>) {
    let Source::Mq { queue, .. } = &job.mapping.source else { return };
    let filters = match Filters::new(&job.mapping.settings.filters) {
        Ok(filters) => filters,
        Err(cause) => return job.problem(&cause.to_string()),
    };
    while !job.is_stopping() {
        if let Err(cause) = read(&job, queue, &filters).await {
            job.problem(&cause);
            let _ = tokio::time::timeout(AGAIN, job.stopped()).await;
        }
    }
}

/// Reads a queue until the job is to stop, or the broker goes away.
async fn read(job: &Job, queue: &str, filters: &Filters) -> Result<(), String> {
    let arn = job.mapping.source.arn().unwrap_or_default();
    let broker = job.parts.brokers.iter().find(|broker| broker.is(arn)).ok_or("the broker is not known")?;
    let login = login(job).await?;
    let most = usize::try_from(job.mapping.settings.batch_size).unwrap_or(1).max(1);
    let ahead = u16::try_from(most).unwrap_or(u16::MAX);
    let link = Link::open(broker, &login, queue, ahead).await?;
    let protocol = broker.protocol;
    job.tell(None);
    let mut reader = Reader { job, filters, link, most, left: None };
    let ended = reader.run(|records| payload(protocol, arn, queue, &login.virtual_host, records)).await;
    reader.link.close().await;
    ended
}

/// A batch that is gathered, and how far it may be acknowledged.
#[derive(Default)]
struct Batch {
    records: Vec<Vec<u8>>,
    bytes: usize,
    last_tag: u64,
}

struct Reader<'a> {
    job: &'a Job,
    filters: &'a Filters,
    link: Link,
    most: usize,
    /// What had no room in the batch before: a record, and its tag.
    left: Option<(Vec<u8>, u64)>,
}

impl Reader<'_> {
    async fn run(&mut self, event: impl Fn(&[Vec<u8>]) -> Bytes) -> Result<(), String> {
        while !self.job.is_stopping() {
            let batch = self.gather().await?;
            if !batch.records.is_empty() && !self.job.is_stopping() {
                self.give(batch.records.len(), event(&batch.records), batch.last_tag).await?;
            }
        }
        Ok(())
    }

    /// What comes within the window after the first message, as far as it has room. Empty where the job is to stop: the
    /// broker keeps what is not acknowledged.
    async fn gather(&mut self) -> Result<Batch, String> {
        let mut batch = Batch::default();
        if let Some((record, tag)) = self.left.take() {
            self.add(&mut batch, record, tag);
        }
        let window = match self.job.mapping.settings.window_s {
            seconds @ 1.. => Duration::from_secs(seconds.unsigned_abs().into()),
            _ => WINDOW,
        };
        let clock = self.job.parts.clock.clone();
        let mut until_ms = None;
        while batch.records.len() < self.most && self.left.is_none() {
            if !batch.records.is_empty() {
                let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
                until_ms.get_or_insert_with(|| self.job.now_ms().saturating_add(window_ms));
            }
            let message = tokio::select! {
                message = self.link.next(self.job.now_ms()) => message?,
                _ = clock.sleep_until_ms(until_ms.unwrap_or(i64::MAX)), if until_ms.is_some() => break,
                () = self.job.stopped() => return Ok(Batch::default()),
            };
            self.take(&mut batch, &message).await?;
        }
        Ok(batch)
    }

    /// What the filters hold back is done.
    async fn take(&mut self, batch: &mut Batch, message: &Message) -> Result<(), String> {
        if !self.filters.let_through(|| message.seen()) {
            return self.link.done(message.tag, false).await;
        }
        let record = serde_json::to_vec(&message.record).map_err(|cause| cause.to_string())?;
        self.add(batch, record, message.tag);
        Ok(())
    }

    /// One that is too large by itself is a batch: that it is is the invoke's to say.
    fn add(&mut self, batch: &mut Batch, record: Vec<u8>, tag: u64) {
        if !batch.records.is_empty() && batch.bytes + record.len() > SYNC_PAYLOAD_BYTES - EVENT_BYTES {
            self.left = Some((record, tag));
            return;
        }
        batch.bytes += record.len() + 1;
        batch.last_tag = tag;
        batch.records.push(record);
    }

    /// Until the function has taken it, the job is to stop, or the broker gives the messages to others.
    async fn give(&mut self, messages: usize, event: Bytes, last_tag: u64) -> Result<(), String> {
        let kib = u32::try_from(event.len().min(SOURCE_BYTES).div_ceil(1024)).unwrap_or(u32::MAX);
        let _room = self.job.room.acquire_many(kib).await.map_err(|cause| cause.to_string())?;
        let mut pause = RETRY.0;
        while self.link.is_open() {
            match self.job.invoke(messages, event.clone(), None).await.1 {
                Attempt::Ran { function_error: false, .. } => {
                    self.link.done(last_tag, true).await?;
                    self.job.tell(Some("OK"));
                    return Ok(());
                }
                Attempt::Ran { .. } | Attempt::Looped => self.job.problem("Function call failed"),
                Attempt::Throttled => {}
                Attempt::Failed(why) => self.job.problem(&why),
                Attempt::Gone | Attempt::NoQualifier => self.job.problem("Function not found"),
            }
            self.job.pause(pause).await;
            if self.job.is_stopping() {
                return Ok(());
            }
            pause = (pause * 2).min(RETRY.1);
        }
        Err("the broker has ended the connection".to_owned())
    }
}

/// Bytes of an event beside its records: names and an ARN.
const EVENT_BYTES: usize = 4096;

/// What the function gets: records, which are JSON, of one queue.
fn payload(protocol: Protocol, arn: &str, queue: &str, virtual_host: &str, records: &[Vec<u8>]) -> Bytes {
    let arn = Value::from(arn);
    let (head, tail) = match protocol {
        Protocol::RabbitMq => {
            let name = Value::from(format!("{queue}::{virtual_host}"));
            (format!(r#"{{"eventSource":"aws:rmq","eventSourceArn":{arn},"rmqMessagesByQueue":{{{name}:["#), "]}}")
        }
        Protocol::ActiveMq => (format!(r#"{{"eventSource":"aws:mq","eventSourceArn":{arn},"messages":["#), "]}"),
    };
    let event = [head.as_bytes(), &records.join(&b','), tail.as_bytes()].concat();
    Bytes::from(event)
}

/// User and password are a secret that the function's role may read.
async fn login(job: &Job) -> Result<Login, String> {
    let access = &job.mapping.settings.access;
    let of = |kind: &str| access.iter().find(|(known, _)| known == kind).map(|(_, uri)| uri.clone());
    let secret = of(BASIC_AUTH).ok_or("SourceAccessConfigurations have no BASIC_AUTH")?;
    let config = job.configuration().await?.ok_or("Function not found")?;
    let caller = job.caller(&config).await?;
    let denied = |denied: hearth_identity::AccessDenied| denied.to_string();
    caller.may("secretsmanager:GetSecretValue", &secret, None, &[]).map_err(denied)?;
    let api = job.parts.secrets.as_ref().ok_or("there is no upstream for secretsmanager")?;
    let (user, password) = secret_of(api, &secret).await?;
    Ok(Login { user, password, virtual_host: of("VIRTUAL_HOST").unwrap_or_else(|| "/".to_owned()) })
}

async fn secret_of(api: &Api, secret: &str) -> Result<(String, String), String> {
    let asked = json!({ "SecretId": secret });
    let answer = api.call(SECRETS, "GetSecretValue", &asked, SECRET_BYTES, UPSTREAM_ANSWER).await;
    let answer = answer.map_err(|cause| format!("the secret {secret}: {cause}"))?;
    // What it says is told to nobody, not even that it is malformed where.
    let text = answer["SecretString"].as_str().unwrap_or_default();
    let found: Value = serde_json::from_str(text).unwrap_or_default();
    match (found["username"].as_str(), found["password"].as_str()) {
        (Some(user), Some(password)) => Ok((user.to_owned(), password.to_owned())),
        _ => Err(format!("the secret {secret} is not JSON with username and password")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lambdas() {
        let of = |protocol| {
            let event = payload(protocol, "arn", "q", "/", &[b"1".to_vec(), b"2".to_vec()]);
            serde_json::from_slice::<Value>(&event).unwrap()
        };
        let rabbit = json!({"eventSource": "aws:rmq", "eventSourceArn": "arn", "rmqMessagesByQueue": {"q::/": [1, 2]}});
        assert_eq!(of(Protocol::RabbitMq), rabbit);
        assert_eq!(
            of(Protocol::ActiveMq),
            json!({"eventSource": "aws:mq", "eventSourceArn": "arn", "messages": [1, 2]})
        );
    }

    #[test]
    fn patterns_see_what_the_data_say() {
        let seen = |content: &[u8]| {
            let message = Message { tag: 1, record: json!({"data": "YQ==", "a": 1}), content: content.to_vec() };
            message.seen()
        };
        assert_eq!(seen(br#"{"a":1}"#), json!({"data": {"a": 1}, "a": 1}));
        assert_eq!((&seen(b"a")["data"], &seen(b"\xff")["data"]), (&json!("a"), &Value::Null));
    }
}
