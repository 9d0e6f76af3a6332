//! RabbitMQ's side: AMQP 0.9.1.

use amqprs::channel::{BasicAckArguments, BasicConsumeArguments, BasicQosArguments, Channel, ConsumerMessage};
use amqprs::connection::{Connection, OpenConnectionArguments};
use tokio::sync::mpsc::UnboundedReceiver;

use super::event::record;
use super::{Login, Message, OPEN};
use crate::Broker;

/// Bytes of names on the wire.
const NAME_BYTES: usize = 255;

/// A queue that is being read. What is not acknowledged when this goes is delivered again.
pub(super) struct Link {
    connection: Connection,
    channel: Channel,
    /// Bounded by what the broker sends ahead of acknowledgements.
    messages: UnboundedReceiver<ConsumerMessage>,
}

impl Link {
    /// Begins to read a queue, with at most so many messages ahead of their acknowledgement.
    ///
    /// # Errors
    /// When there is no broker, it does not let this login in, or has no such queue; with a text for people.
    pub(super) async fn open(broker: &Broker, login: &Login, queue: &str, ahead: u16) -> Result<Self, String> {
        if queue.len() > NAME_BYTES || login.virtual_host.len() > NAME_BYTES {
            return Err(format!("names of queues and virtual hosts have at most {NAME_BYTES} bytes"));
        }
        Self::opened(broker, login, queue, ahead).await.map_err(|cause| cause.to_string())
    }

    async fn opened(broker: &Broker, login: &Login, queue: &str, ahead: u16) -> Result<Self, amqprs::error::Error> {
        let arguments = OpenConnectionArguments::new(&broker.host, broker.port, &login.user, &login.password)
            .virtual_host(&login.virtual_host)
            .connection_name("hearth")
            .finish();
        let connection = Connection::open(&arguments).await?;
        let channel = connection.open_channel(None).await?;
        channel.basic_qos(BasicQosArguments::new(0, ahead, false)).await?;
        let consume = BasicConsumeArguments::new(queue, "hearth").manual_ack(true).finish();
        let (_, messages) = channel.basic_consume_rx(consume).await?;
        Ok(Self { connection, channel, messages })
    }

    /// The next message. Can be dropped and called again.
    ///
    /// # Errors
    /// When there are no more: the connection, or the queue, is gone.
    pub(super) async fn next(&mut self) -> Result<Message, String> {
        loop {
            let Some(message) = self.messages.recv().await else {
                return Err("it has ended the connection".to_owned());
            };
            let Some(deliver) = message.deliver else { continue };
            let content = message.content.unwrap_or_default();
            let record = record(&message.basic_properties.unwrap_or_default(), deliver.redelivered(), &content);
            return Ok(Message { tag: deliver.delivery_tag(), record, content });
        }
    }

    /// Acknowledges one message, or all up to this one.
    ///
    /// # Errors
    /// When the connection is gone: the messages come again.
    pub(super) async fn done(&self, tag: u64, all_before: bool) -> Result<(), String> {
        let arguments = BasicAckArguments::new(tag, all_before);
        self.channel.basic_ack(arguments).await.map_err(|cause| cause.to_string())
    }

    /// Whether what was received still is this one's to acknowledge.
    pub(super) fn is_open(&self) -> bool {
        self.channel.is_open() && self.connection.is_open()
    }

    /// In order, so that acknowledgements have arrived.
    pub(super) async fn close(self) {
        let Self { connection, channel, .. } = self;
        let closed = tokio::time::timeout(OPEN, async {
            // One that is closed already has nothing to lose.
            let _ = channel.close().await;
            let _ = connection.close().await;
        });
        let _ = closed.await;
    }
}
