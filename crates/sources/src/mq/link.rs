//! A queue that is being read, of whichever broker.

use super::{Login, Message, OPEN, active};
use crate::Broker;
use crate::broker::Protocol;

/// What was delivered and is not acknowledged when this goes is delivered again.
pub(super) enum Link {
    #[cfg(feature = "mq")]
    Rabbit(super::rabbit::Link),
    Active(active::Link),
}

impl Link {
    /// Begins to read a queue, with at most so many messages ahead of their acknowledgement.
    ///
    /// # Errors
    /// When there is no broker, it does not let this login in, or has no such queue; with a text for people.
    pub(super) async fn open(broker: &Broker, login: &Login, queue: &str, ahead: u16) -> Result<Self, String> {
        let opened = tokio::time::timeout(OPEN, Self::opened(broker, login, queue, ahead)).await;
        let opened = opened.unwrap_or_else(|_| Err("it does not answer".to_owned()));
        opened.map_err(|cause| format!("the broker {} at {}:{}: {cause}", broker.name, broker.host, broker.port))
    }

    async fn opened(broker: &Broker, login: &Login, queue: &str, ahead: u16) -> Result<Self, String> {
        match broker.protocol {
            #[cfg(feature = "mq")]
            Protocol::RabbitMq => super::rabbit::Link::open(broker, login, queue, ahead).await.map(Self::Rabbit),
            #[cfg(not(feature = "mq"))]
            Protocol::RabbitMq => Err("RabbitMQ is not in this build".to_owned()),
            Protocol::ActiveMq => active::Link::open(broker, login, queue, ahead).await.map(Self::Active),
        }
    }

    /// The next message. Can be dropped and called again.
    ///
    /// # Errors
    /// When there are no more: the connection, or the queue, is gone.
    pub(super) async fn next(&mut self, now_ms: i64) -> Result<Message, String> {
        let next = match self {
            #[cfg(feature = "mq")]
            Self::Rabbit(link) => link.next().await,
            Self::Active(link) => link.next(now_ms).await,
        };
        next.map_err(|cause| format!("the broker: {cause}"))
    }

    /// Acknowledges one message, or all up to this one. What the broker does not hear of comes again.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) async fn done(&mut self, tag: u64, all_before: bool) -> Result<(), String> {
        let done = match self {
            #[cfg(feature = "mq")]
            Self::Rabbit(link) => link.done(tag, all_before).await,
            Self::Active(link) => link.done(tag, all_before).await,
        };
        done.map_err(|cause| format!("the broker does not hear what was done: {cause}"))
    }

    /// Whether what was received still is this one's to acknowledge.
    pub(super) fn is_open(&self) -> bool {
        match self {
            #[cfg(feature = "mq")]
            Self::Rabbit(link) => link.is_open(),
            Self::Active(link) => link.is_open(),
        }
    }

    /// In order, so that acknowledgements have arrived.
    pub(super) async fn close(self) {
        match self {
            #[cfg(feature = "mq")]
            Self::Rabbit(link) => link.close().await,
            Self::Active(link) => link.close().await,
        }
    }
}
