//! Kafka's side: where the partitions are, and where each goes on. Offsets are kept by Kafka, in the mapping's group.

use std::sync::Arc;
use std::time::Duration;

use hearth_types::mapping::Position;
use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// For one question to the brokers.
const ANSWER: Duration = Duration::from_secs(10);

/// What a mapping reads.
#[derive(Clone)]
pub(super) struct Topic {
    pub(super) brokers: String,
    pub(super) name: String,
    pub(super) group: String,
    pub(super) from: Position,
    /// When the mapping was made or changed: LATEST is what came after it.
    pub(super) since_ms: i64,
}

/// A topic whose partitions are being read.
pub(super) struct Opened {
    pub(super) consumer: Arc<StreamConsumer>,
    /// Each partition with the offset that is read first.
    pub(super) partitions: Vec<(i32, i64)>,
}

impl Topic {
    /// Begins to read all partitions where the group is. Where it is nowhere yet, where it begins is committed first, so that
    /// a crash before the first batch changes nothing. Blocks.
    pub(super) fn open(&self) -> KafkaResult<Opened> {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "16384")
            .create()?;
        let mut all = TopicPartitionList::new();
        for partition in self.partitions(&consumer)? {
            all.add_partition(&self.name, partition);
        }
        let committed = consumer.committed_offsets(all, ANSWER)?;
        let mut begin = TopicPartitionList::new();
        let mut partitions = Vec::new();
        for element in committed.elements() {
            let offset = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => self.first(&consumer, element.partition())?,
            };
            begin.add_partition_offset(&self.name, element.partition(), Offset::Offset(offset))?;
            partitions.push((element.partition(), offset));
        }
        consumer.commit(&begin, CommitMode::Sync)?;
        consumer.assign(&begin)?;
        Ok(Opened { consumer: Arc::new(consumer), partitions })
    }

    /// The numbers of the topic's partitions. Blocks.
    pub(super) fn partitions(&self, consumer: &StreamConsumer) -> KafkaResult<Vec<i32>> {
        let metadata = consumer.fetch_metadata(Some(&self.name), ANSWER)?;
        let found = metadata.topics().iter().find(|topic| topic.name() == self.name);
        let Some(topic) = found else { return Ok(Vec::new()) };
        match topic.error() {
            Some(cause) => Err(KafkaError::MetadataFetch(cause.into())),
            None => Ok(topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect()),
        }
    }

    fn first(&self, consumer: &StreamConsumer, partition: i32) -> KafkaResult<i64> {
        let (low, high) = consumer.fetch_watermarks(&self.name, partition, ANSWER)?;
        let time_ms = match self.from {
            Position::TrimHorizon => return Ok(low),
            Position::Latest => self.since_ms,
            Position::At(time_ms) => time_ms,
        };
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&self.name, partition, Offset::Offset(time_ms))?;
        let found = consumer.offsets_for_times(asked, ANSWER)?;
        let offset = found.find_partition(&self.name, partition).map(|element| element.offset());
        Ok(match offset {
            Some(Offset::Offset(offset)) => offset,
            // Nothing is that young.
            _ => high,
        })
    }

    /// Waits until the group is there, and reads no more. Blocks.
    pub(super) fn leave(&self, consumer: &StreamConsumer, offsets: &[(i32, i64)]) -> KafkaResult<()> {
        let mut all = TopicPartitionList::new();
        for (partition, offset) in offsets {
            all.add_partition_offset(&self.name, *partition, Offset::Offset(*offset))?;
        }
        consumer.commit(&all, CommitMode::Sync)?;
        consumer.unassign()
    }

    /// One partition, for commits and pauses.
    pub(super) fn at(&self, partition: i32, offset: Offset) -> KafkaResult<TopicPartitionList> {
        let mut one = TopicPartitionList::new();
        one.add_partition_offset(&self.name, partition, offset)?;
        Ok(one)
    }
}
