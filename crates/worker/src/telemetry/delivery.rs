//! The task that empties a subscriber's buffer, while the environment's processes run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_types::limits::{TELEMETRY_ATTEMPTS, TELEMETRY_PATIENCE, TELEMETRY_REST};
use rustix::fd::OwnedFd;
use tokio::sync::watch;

use super::buffer::Batch;
use super::link::Link;
use super::mailbox::Mailbox;

/// How long somebody is asked to listen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    attempts: u32,
    /// For each, while the processes run.
    each: Duration,
    /// Before the second one; before later ones, as many times of it.
    rest: Duration,
}

impl Patience {
    pub(super) const USUAL: Self =
        Self { attempts: TELEMETRY_ATTEMPTS, each: TELEMETRY_PATIENCE, rest: TELEMETRY_REST };
}

/// Delivers what is due, for as long as somebody listens.
pub(super) async fn deliver(
    mailbox: Arc<Mailbox>,
    socket: OwnedFd,
    mut awake: watch::Receiver<bool>,
    patience: Patience,
) {
    let mut link = Link::new(socket, mailbox.destination().clone());
    loop {
        if awake.wait_for(|awake| *awake).await.is_err() {
            return;
        }
        let batch = mailbox.next().await;
        let delivered = insist(&mut link, &batch, &mut awake, patience).await;
        mailbox.close(delivered);
    }
}

/// Tries a few times.
async fn insist(link: &mut Link, batch: &Batch, awake: &mut watch::Receiver<bool>, patience: Patience) -> bool {
    for attempt in 0..patience.attempts {
        if attempt > 0 {
            within(patience.rest * attempt, awake, std::future::pending::<()>()).await;
        }
        if awake.wait_for(|awake| *awake).await.is_err() {
            return false;
        }
        match within(patience.each, awake, link.send(&batch.items)).await {
            Some(Ok(())) => return true,
            Some(Err(error)) => tracing::debug!(%error, "telemetry is not taken"),
            None => tracing::debug!("telemetry is not taken in time"),
        }
        link.disconnect().await;
    }
    false
}

/// The future's result, or none where the processes ran so long without it. While they are frozen no time passes.
async fn within<F: Future>(mut left: Duration, awake: &mut watch::Receiver<bool>, future: F) -> Option<F::Output> {
    tokio::pin!(future);
    loop {
        let since = Instant::now();
        let runs = *awake.borrow_and_update();
        tokio::select! {
            output = &mut future => return Some(output),
            () = tokio::time::sleep(left), if runs => return None,
            changed = awake.changed() => {
                if changed.is_err() {
                    return None;
                }
                if runs {
                    left = left.saturating_sub(since.elapsed());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::event::{Event, Written};
    use crate::telemetry::subscription::{Api, Kind, Subscription};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    const HASTE: Patience = Patience { attempts: 2, each: Duration::from_millis(300), rest: Duration::from_millis(1) };
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

    struct Listening {
        listener: TcpListener,
        mailbox: Arc<Mailbox>,
        awake: watch::Sender<bool>,
        delivery: JoinHandle<()>,
    }

    impl Drop for Listening {
        fn drop(&mut self) {
            self.delivery.abort();
        }
    }

    impl Listening {
        async fn start(destination: impl Fn(u16) -> String) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let destination = destination(listener.local_addr().unwrap().port());
            let body = format!(
                r#"{{"schemaVersion":"2022-12-13","types":["platform","function"],"buffering":{{"timeoutMs":25}},
                "destination":{destination}}}"#
            );
            let mailbox = Arc::new(Mailbox::new(Subscription::parse(Api::Telemetry, body.as_bytes()).unwrap()));
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
            let awake = watch::Sender::new(true);
            let delivery = tokio::spawn(deliver(Arc::clone(&mailbox), socket, awake.subscribe(), HASTE));
            Self { listener, mailbox, awake, delivery }
        }

        async fn http() -> Self {
            Self::start(|port| format!(r#"{{"protocol":"HTTP","URI":"http://sandbox.localdomain:{port}/there?x=1"}}"#))
                .await
        }

        async fn tcp() -> Self {
            Self::start(|port| format!(r#"{{"protocol":"TCP","port":{port}}}"#)).await
        }

        fn say(&self, text: &'static str) {
            let event = Event::Line { kind: Kind::Function, wall_ms: 0, text: text.into() };
            self.mailbox.push(Instant::now(), &Written::new(&event, false));
            self.mailbox.flush();
        }

        async fn accept(&self) -> TcpStream {
            self.listener.accept().await.unwrap().0
        }

        /// All attempts fail as `answer` has it; then the next batch tells of it.
        async fn is_given_up(&self, answer: impl AsyncFn(&mut TcpStream)) {
            self.say("lost");
            for _ in 0..HASTE.attempts {
                answer(&mut self.accept().await).await;
            }
            self.mailbox.settled().await;
            self.say("heard");
            let mut stream = self.accept().await;
            let told = batch(&mut stream).await;
            assert_eq!((told.len(), &told[0]["record"]), (2, &"heard".into()));
            assert_eq!(
                (&told[1]["type"], &told[1]["record"]["droppedRecords"]),
                (&"platform.logsDropped".into(), &1.into())
            );
            stream.write_all(ANSWER).await.unwrap();
        }
    }

    /// The next request's body, without an answer.
    async fn batch(stream: &mut TcpStream) -> Vec<serde_json::Value> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let host = format!("\r\nhost: sandbox.localdomain:{}\r\n", stream.local_addr().unwrap().port());
        assert!(head.starts_with("post /there?x=1 http/1.1\r\n") && head.contains(&host), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    fn records(batch: &[serde_json::Value]) -> Vec<&str> {
        batch.iter().map(|event| event["record"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn batches_go_over_one_connection_and_over_a_new_one_where_it_was_closed() {
        let listening = Listening::http().await;
        listening.say("one");
        let mut stream = listening.accept().await;
        assert_eq!(records(&batch(&mut stream).await), ["one"]);
        listening.say("two");
        listening.say("three");
        stream.write_all(ANSWER).await.unwrap();
        assert_eq!(records(&batch(&mut stream).await), ["two", "three"]);
        stream.write_all(ANSWER).await.unwrap();
        drop(stream);
        listening.say("four");
        let mut stream = listening.accept().await;
        assert_eq!(records(&batch(&mut stream).await), ["four"]);
        stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        listening.mailbox.settled().await;
    }

    #[tokio::test]
    async fn a_batch_that_fails_is_sent_once_more() {
        let listening = Listening::http().await;
        listening.say("one");
        let mut stream = listening.accept().await;
        batch(&mut stream).await;
        drop(stream);
        let mut stream = listening.accept().await;
        assert_eq!(records(&batch(&mut stream).await), ["one"]);
        stream.write_all(ANSWER).await.unwrap();
        listening.mailbox.settled().await;
        listening.say("two");
        assert_eq!(records(&batch(&mut stream).await), ["two"], "nothing was lost, so nothing is told");
    }

    #[tokio::test]
    async fn whatever_a_subscriber_does_it_is_told_what_it_lost() {
        let listening = Listening::http().await;
        // It closes at once; answers no HTTP; refuses; answers without end; does not answer; does not read.
        listening.is_given_up(async |_| {}).await;
        listening.is_given_up(async |stream| stream.write_all(b"\0\0garbage\r\n\r\n").await.unwrap()).await;
        listening
            .is_given_up(async |stream| {
                batch(stream).await;
                let refusal = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(refusal).await.unwrap();
            })
            .await;
        listening
            .is_given_up(async |stream| {
                batch(stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            })
            .await;
        listening
            .is_given_up(async |stream| {
                batch(stream).await;
                assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "until it is cut off");
            })
            .await;
    }

    #[tokio::test]
    async fn over_tcp_each_event_is_a_line() {
        let listening = Listening::tcp().await;
        listening.say("one\n");
        let mut stream = listening.accept().await;
        let line = async |stream: &mut TcpStream| {
            let mut line = Vec::new();
            while !line.ends_with(b"\n") {
                line.push(stream.read_u8().await.unwrap());
            }
            serde_json::from_slice::<serde_json::Value>(&line).unwrap()["record"].clone()
        };
        assert_eq!(line(&mut stream).await, "one\n");
        listening.say("two");
        listening.say("three");
        assert_eq!([line(&mut stream).await, line(&mut stream).await], ["two", "three"]);
    }

    #[tokio::test]
    async fn nothing_is_delivered_while_the_processes_stand_still() {
        let listening = Listening::http().await;
        listening.awake.send_replace(false);
        listening.say("one");
        tokio::time::timeout(3 * HASTE.each, listening.accept()).await.unwrap_err();
        listening.awake.send_replace(true);
        let mut stream = listening.accept().await;
        assert_eq!(records(&batch(&mut stream).await), ["one"]);
        stream.write_all(ANSWER).await.unwrap();
        listening.mailbox.settled().await;
        listening.say("two");
        assert_eq!(records(&batch(&mut stream).await), ["two"], "nothing was given up meanwhile");
    }
}
