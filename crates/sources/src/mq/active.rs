//! ActiveMQ's side: STOMP 1.2.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_types::limits::STOMP_AHEAD;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::frame::{Frame, Received};
use super::{Login, Message, OPEN};
use crate::Broker;

/// How often the broker is to show that it is there, and how long it may be silent.
const BEAT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(25);

/// What a name of a queue cannot have: ActiveMQ reads it as several queues, or as options.
const NOT_IN_NAMES: [char; 4] = [',', '*', '>', '?'];

/// The headers that are not a message's own properties.
const KNOWN: &[&str] = &[
    "ack",
    "content-length",
    "correlation-id",
    "destination",
    "expires",
    "message-id",
    "persistent",
    "priority",
    "redelivered",
    "reply-to",
    "subscription",
    "timestamp",
    "type",
];

/// A queue that is being read. What is not acknowledged when this goes is delivered again.
pub(super) struct Link {
    writer: OwnedWriteHalf,
    frames: mpsc::Receiver<Result<Frame, String>>,
    reader: JoinHandle<()>,
    /// By the broker's names, what was delivered and is not acknowledged; behind the number that it has here.
    open: VecDeque<(u64, String)>,
    last: u64,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Link {
    /// Begins to read a queue, with at most so many messages ahead of their acknowledgement.
    ///
    /// # Errors
    /// When there is no broker, or it does not let this login in; with a text for people.
    pub(super) async fn open(broker: &Broker, login: &Login, queue: &str, ahead: u16) -> Result<Self, String> {
        if queue.contains(NOT_IN_NAMES) {
            return Err(format!("the queue {queue:?} cannot be asked for: ActiveMQ reads , * > ? as more than a name"));
        }
        let stream =
            TcpStream::connect(format!("{}:{}", broker.host, broker.port)).await.map_err(|cause| cause.to_string())?;
        stream.set_nodelay(true).map_err(|cause| cause.to_string())?;
        let (read, writer) = stream.into_split();
        let (sender, frames) = mpsc::channel(STOMP_AHEAD);
        let reader = tokio::spawn(receive(read, sender));
        let mut link = Self { writer, frames, reader, open: VecDeque::new(), last: 0 };
        let beat = format!("0,{}", BEAT.as_millis());
        let connect = Frame::new(
            "CONNECT",
            &[
                ("accept-version", "1.2"),
                ("host", &broker.name),
                ("login", &login.user),
                ("passcode", &login.password),
                ("heart-beat", &beat),
            ],
        );
        link.ask(&connect, "CONNECTED").await?;
        let (destination, ahead) = (format!("/queue/{queue}"), ahead.to_string());
        let subscribe = Frame::new(
            "SUBSCRIBE",
            &[
                ("id", "0"),
                ("destination", &destination),
                ("ack", "client-individual"),
                ("activemq.prefetchSize", &ahead),
            ],
        );
        link.send(subscribe.encoded()).await?;
        Ok(link)
    }

    /// The next message. Can be dropped and called again.
    ///
    /// # Errors
    /// When there are no more: the connection is gone.
    pub(super) async fn next(&mut self, now_ms: i64) -> Result<Message, String> {
        loop {
            let frame = self.receive().await?;
            if frame.command == "MESSAGE" {
                let Some(ack) = frame.header("ack") else { return Err("a message cannot be acknowledged".to_owned()) };
                self.last += 1;
                self.open.push_back((self.last, ack.to_owned()));
                return Ok(Message { tag: self.last, record: record(&frame, now_ms), content: frame.body });
            }
        }
    }

    /// Acknowledges one message, or all up to this one. What the broker did not hear of comes again.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) async fn done(&mut self, tag: u64, all_before: bool) -> Result<(), String> {
        let (done, open) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|(number, _)| *number == tag || all_before && *number < tag);
        self.open = open;
        let done: VecDeque<(u64, String)> = done;
        let acks = done.iter().flat_map(|(_, ack)| Frame::new("ACK", &[("id", ack)]).encoded());
        self.send(acks.collect()).await
    }

    /// Whether what was received still is this one's to acknowledge.
    pub(super) fn is_open(&self) -> bool {
        !self.reader.is_finished()
    }

    /// In order, so that acknowledgements have arrived.
    pub(super) async fn close(mut self) {
        let leave = Frame::new("DISCONNECT", &[("receipt", "bye")]);
        // One that is closed already has nothing to lose.
        let _ = tokio::time::timeout(OPEN, self.ask(&leave, "RECEIPT")).await;
    }

    /// Sends, and waits for this answer.
    async fn ask(&mut self, frame: &Frame, answer: &str) -> Result<(), String> {
        self.send(frame.encoded()).await?;
        while self.receive().await?.command != answer {}
        Ok(())
    }

    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        self.writer.write_all(&bytes).await.map_err(|cause| cause.to_string())
    }

    async fn receive(&mut self) -> Result<Frame, String> {
        let frame = self.frames.recv().await.unwrap_or_else(|| Err("it has ended the connection".to_owned()))?;
        if frame.command == "ERROR" {
            let text = frame.header("message").unwrap_or("it has refused something");
            return Err(text.to_owned());
        }
        Ok(frame)
    }
}

/// Reads frames until there are no more, or nobody wants them.
async fn receive(mut from: OwnedReadHalf, to: mpsc::Sender<Result<Frame, String>>) {
    let (mut received, mut buffer) = (Received::default(), vec![0; 64 * 1024]);
    let cause = loop {
        match received.next() {
            Ok(Some(frame)) => {
                if to.send(Ok(frame)).await.is_err() {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(cause) => break cause.to_string(),
        }
        match tokio::time::timeout(SILENCE, from.read(&mut buffer)).await {
            Ok(Ok(0)) => break "it has ended the connection".to_owned(),
            Ok(Ok(bytes)) => received.add(&buffer[..bytes]),
            Ok(Err(cause)) => break cause.to_string(),
            Err(_) => break "it is silent".to_owned(),
        }
    };
    // Who does not listen any more needs not know.
    let _ = to.send(Err(cause)).await;
}

/// As the function gets it. When the broker had it STOMP does not say.
fn record(frame: &Frame, now_ms: i64) -> Value {
    let of = |name| frame.header(name);
    let number = |name| of(name).and_then(|text| text.parse::<i64>().ok());
    let properties: Map<String, Value> = frame
        .headers
        .iter()
        .rev()
        .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let destination = of("destination").unwrap_or_default();
    json!({
        "messageID": of("message-id"),
        "messageType": if of("content-length").is_some() { "jms/bytes-message" } else { "jms/text-message" },
        "deliveryMode": if of("persistent") == Some("true") { 2 } else { 1 },
        "replyTo": of("reply-to"),
        "type": of("type"),
        "expiration": of("expires"),
        "priority": number("priority"),
        "correlationId": of("correlation-id"),
        "redelivered": of("redelivered") == Some("true"),
        "destination": {"physicalName": destination.strip_prefix("/queue/").unwrap_or(destination)},
        "data": STANDARD.encode(&frame.body),
        "timestamp": number("timestamp"),
        "brokerInTime": number("timestamp"),
        "brokerOutTime": now_ms,
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_lambdas() {
        let mut frame = Frame::new(
            "MESSAGE",
            &[
                ("expires", "0"),
                ("correlation-id", "c"),
                ("foo", "b:ar"),
                ("destination", "/queue/q"),
                ("ack", "a"),
                ("subscription", "0"),
                ("priority", "3"),
                ("message-id", "ID:1"),
                ("persistent", "true"),
                ("timestamp", "1795327478508"),
                ("foo", "second"),
            ],
        );
        frame.body = b"hello".to_vec();
        let expected = json!({
            "messageID": "ID:1", "messageType": "jms/text-message", "deliveryMode": 2, "replyTo": null, "type": null,
            "expiration": "0", "priority": 3, "correlationId": "c", "redelivered": false,
            "destination": {"physicalName": "q"}, "data": "aGVsbG8=", "timestamp": 1_795_327_478_508_i64,
            "brokerInTime": 1_795_327_478_508_i64, "brokerOutTime": 7, "properties": {"foo": "b:ar"},
        });
        assert_eq!(record(&frame, 7), expected);
        frame
            .headers
            .extend([("content-length".to_owned(), "5".to_owned()), ("redelivered".to_owned(), "true".to_owned())]);
        let bytes = record(&frame, 7);
        assert_eq!((&bytes["messageType"], &bytes["redelivered"]), (&json!("jms/bytes-message"), &json!(true)));
    }
}
