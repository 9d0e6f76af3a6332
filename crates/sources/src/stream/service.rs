//! The two services that have streams, as far as reading takes.

use std::time::Duration;

use bytes::Bytes;
use hearth_client::{Api, CallError, Service};
use hearth_types::limits::{STREAM_READ_BYTES, STREAM_SHARDS, UPSTREAM_ANSWER};
use serde_json::{Value, json};

use super::sequence::Sequence;
use super::shard::{Fetched, Start};
use crate::filter::Filters;

mod dynamodb;
mod kinesis;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Kinesis,
    DynamoDb,
}

/// A stream, and whoever answers for it.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) kind: Kind,
    pub(crate) api: Api,
    /// As the mapping names it: of Kinesis also a consumer's.
    pub(crate) arn: String,
    /// ARN of the function's role: Kinesis's records bear it.
    pub(crate) role: String,
}

/// A shard as the service lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    pub(crate) id: String,
    /// What it was split or merged from, also where that is no longer listed.
    pub(crate) parents: Vec<String>,
    pub(crate) is_closed: bool,
}

/// What reading gave.
pub(crate) struct Read {
    pub(crate) records: Vec<Fetched>,
    /// Where to go on; none where the shard is at its end.
    pub(crate) next: Option<String>,
    /// There is more to be read now.
    pub(crate) is_behind: bool,
}

impl Kind {
    fn service(self) -> Service {
        match self {
            Self::Kinesis => kinesis::SERVICE,
            Self::DynamoDb => dynamodb::SERVICE,
        }
    }

    /// What the function's role needs.
    pub(crate) fn actions(self) -> [&'static str; 3] {
        match self {
            Self::Kinesis => ["kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords"],
            Self::DynamoDb => ["dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"],
        }
    }

    /// The same, as Lambda names them to who makes a mapping.
    pub(crate) fn needs(self) -> &'static str {
        match self {
            Self::Kinesis => "GetRecords, GetShardIterator, DescribeStream, ListShards, and ListStreams",
            Self::DynamoDb => "GetRecords, GetShardIterator, DescribeStream, and ListStreams",
        }
    }

    /// Between two looks at a shard with nothing new (AWS: once a second, and four times).
    pub(crate) fn poll_every(self) -> Duration {
        match self {
            Self::Kinesis => Duration::from_secs(1),
            Self::DynamoDb => Duration::from_millis(250),
        }
    }

    /// Between two looks at a shard with more to be read: services take five a second.
    pub(crate) const READS_APART: Duration = Duration::from_millis(200);
}

impl Stream {
    async fn call(&self, operation: &str, input: &Value) -> Result<Value, CallError> {
        self.api.call(self.kind.service(), operation, input, STREAM_READ_BYTES, UPSTREAM_ANSWER).await
    }

    /// Whether there is such a stream.
    pub(crate) async fn is_there(&self) -> Result<bool, CallError> {
        match self.list(None).await {
            Ok(_) => Ok(true),
            Err(cause) if cause.code() == Some("ResourceNotFoundException") => Ok(false),
            Err(cause) => Err(cause),
        }
    }

    /// A page of shards, and of what is known of the stream.
    async fn list(&self, page: Option<&str>) -> Result<Value, CallError> {
        match self.kind {
            Kind::Kinesis => self.call("ListShards", &kinesis::list(&self.arn, page)).await,
            Kind::DynamoDb => self.call("DescribeStream", &dynamodb::list(&self.arn, page)).await,
        }
    }

    /// All shards that the service still has.
    pub(crate) async fn shards(&self) -> Result<Vec<Listed>, CallError> {
        let mut all = Vec::new();
        let mut page = None;
        loop {
            let answer = self.list(page.as_deref()).await?;
            let (shards, next) = match self.kind {
                Kind::Kinesis => (&answer["Shards"], &answer["NextToken"]),
                Kind::DynamoDb => {
                    let description = &answer["StreamDescription"];
                    (&description["Shards"], &description["LastEvaluatedShardId"])
                }
            };
            all.extend(shards.as_array().into_iter().flatten().filter_map(listed));
            page = next.as_str().map(str::to_owned);
            if page.is_none() || all.len() >= STREAM_SHARDS {
                return Ok(all);
            }
        }
    }

    /// Where to read from behind a record, or from the beginning.
    pub(crate) async fn iterator(
        &self,
        shard: &str,
        after: Option<&Sequence>,
        start: Start,
    ) -> Result<Option<String>, CallError> {
        let mut input = match self.kind {
            Kind::Kinesis => json!({"StreamName": kinesis::name_of(&self.arn), "ShardId": shard}),
            Kind::DynamoDb => json!({"StreamArn": self.arn, "ShardId": shard}),
        };
        match (after, start, self.kind) {
            (Some(after), ..) => {
                let member = if self.kind == Kind::Kinesis { "StartingSequenceNumber" } else { "SequenceNumber" };
                input["ShardIteratorType"] = json!("AFTER_SEQUENCE_NUMBER");
                input[member] = json!(&*after.0);
            }
            (None, Start::After(time_ms), Kind::Kinesis) => {
                input["ShardIteratorType"] = json!("AT_TIMESTAMP");
                input["Timestamp"] = json!(time_ms as f64 / 1000.0);
            }
            // A table's stream cannot be asked for a time: what is older is left out when it has been read.
            (None, ..) => input["ShardIteratorType"] = json!("TRIM_HORIZON"),
        }
        let answer = self.call("GetShardIterator", &input).await?;
        Ok(answer["ShardIterator"].as_str().map(str::to_owned))
    }

    /// The next records.
    pub(crate) async fn read(
        &self,
        shard: &str,
        iterator: &str,
        start: Start,
        filters: &Filters,
    ) -> Result<Read, CallError> {
        let limit = match self.kind {
            Kind::Kinesis => hearth_types::limits::STREAM_READ_RECORDS,
            Kind::DynamoDb => dynamodb::READ_RECORDS,
        };
        let answer = self.call("GetRecords", &json!({"ShardIterator": iterator, "Limit": limit})).await?;
        let mut records = Vec::new();
        for record in answer["Records"].as_array().into_iter().flatten() {
            let unfit = || CallError::Unfit(format!("a record of {} is none of a stream", self.arn));
            let fetched = match self.kind {
                Kind::Kinesis => kinesis::record(self, shard, record, filters),
                Kind::DynamoDb => dynamodb::record(self, record, start, filters),
            };
            records.push(fetched.ok_or_else(unfit)?);
        }
        let is_behind = match self.kind {
            Kind::Kinesis => answer["MillisBehindLatest"].as_i64().is_some_and(|millis| millis > 0),
            Kind::DynamoDb => !records.is_empty(),
        };
        let next = answer["NextShardIterator"].as_str().map(str::to_owned);
        Ok(Read { records, next, is_behind })
    }
}

fn listed(shard: &Value) -> Option<Listed> {
    let parents = ["ParentShardId", "AdjacentParentShardId"].iter().filter_map(|name| shard[*name].as_str());
    Some(Listed {
        id: shard["ShardId"].as_str()?.to_owned(),
        parents: parents.filter(|parent| !parent.is_empty()).map(str::to_owned).collect(),
        is_closed: !shard["SequenceNumberRange"]["EndingSequenceNumber"].is_null(),
    })
}

/// Seconds since 1970, with a fraction or without, or as text.
fn millis(time: &Value) -> Option<i64> {
    if let Some(text) = time.as_str() {
        return text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    }
    time.as_f64().map(|seconds| (seconds * 1000.0).round() as i64)
}

fn written(event: &impl serde::Serialize) -> Option<Bytes> {
    serde_json::to_vec(event).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests;
