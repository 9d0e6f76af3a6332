//! How an answer reaches who waits for it: whole, or in parts while the function still sends.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hearth_types::EnvironmentId;
use hearth_types::limits::STREAM_PARTS;
use http::HeaderValue;
use tokio::sync::{mpsc, oneshot};

use crate::api::{InitPhases, Outcome, WorkerError};

/// Where an invoke's answer goes, exactly once. A receiver that is gone does not stop the invoke.
#[derive(Debug)]
pub enum Reply {
    /// Who waits wants it whole: what a runtime streams is collected first, within the bound of a buffered answer.
    Whole(oneshot::Sender<Result<Outcome, WorkerError>>),
    /// Who waits takes it in parts where the runtime sends it so.
    Streamed(oneshot::Sender<Result<Answer, WorkerError>>),
}

impl From<oneshot::Sender<Result<Outcome, WorkerError>>> for Reply {
    fn from(sender: oneshot::Sender<Result<Outcome, WorkerError>>) -> Self {
        Self::Whole(sender)
    }
}

impl From<oneshot::Sender<Result<Answer, WorkerError>>> for Reply {
    fn from(sender: oneshot::Sender<Result<Answer, WorkerError>>) -> Self {
        Self::Streamed(sender)
    }
}

impl Reply {
    /// Gives the answer.
    pub fn send(self, outcome: Result<Outcome, WorkerError>) {
        // Who waited may have gone away.
        match self {
            Self::Whole(sender) => drop(sender.send(outcome)),
            Self::Streamed(sender) => drop(sender.send(outcome.map(Answer::Whole))),
        }
    }
}

/// What an invoke that may be streamed came to.
#[derive(Debug)]
pub enum Answer {
    /// The function, or the platform for it, answered in one piece; errors ahead of the first part are such, too.
    Whole(Outcome),
    /// The function has begun to answer.
    Streamed(Streamed),
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Streamed {
    /// As the runtime gave it; none is `application/octet-stream`.
    pub content_type: Option<HeaderValue>,
    /// What it consists of.
    pub parts: Parts,
    /// What the cold start was made of; none on a warm one.
    pub phases: Option<InitPhases>,
}

/// The parts of an answer as they come, and its end. At most [`STREAM_PARTS`] wait here: who takes them slowly slows the
/// function's sending. Dropped, the function goes on to its end, and what it sends is thrown away.
#[derive(Debug)]
pub struct Parts {
    environment: EnvironmentId,
    parts: mpsc::Receiver<Bytes>,
    /// None once it was seen.
    end: Option<oneshot::Receiver<End>>,
}

/// A part of an answer, or what comes after the last one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// Some bytes, as the runtime sent them; the bounds of its writes are not kept.
    Bytes(Bytes),
    /// There are no more.
    End(End),
}

/// How an answer in parts ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct End {
    /// None where the answer is whole.
    pub failure: Option<StreamFailure>,
    /// The last 4,096 bytes of this invoke's log, where they were asked for. The end then waits for that of the invoke.
    pub log_tail: Option<Bytes>,
}

/// Why an answer broke off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamFailure {
    /// The function failed, or was ended: the error object, as a buffered invoke would answer it.
    Function(Bytes),
    /// The platform failed.
    Platform(WorkerError),
}

/// What feeds [`Parts`] from elsewhere: of an environment in another process.
#[derive(Debug)]
pub struct Feed {
    /// Takes parts for as long as somebody wants them.
    pub parts: mpsc::Sender<Bytes>,
    /// Takes the end, which is heard after the last part.
    pub end: oneshot::Sender<End>,
}

impl Parts {
    /// The parts of an answer that comes from elsewhere, and where it is put.
    #[must_use]
    pub fn fed(environment: EnvironmentId) -> (Feed, Self) {
        let (sink, parts) = mpsc::channel(STREAM_PARTS);
        let (owed, end) = oneshot::channel();
        (Feed { parts: sink, end: owed }, Self { environment, parts, end: Some(end) })
    }

    /// The next part, then the end; none after that.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Part>> {
        if let Some(bytes) = ready!(self.parts.poll_recv(context)) {
            return Poll::Ready(Some(Part::Bytes(bytes)));
        }
        let Some(end) = &mut self.end else { return Poll::Ready(None) };
        let ended = ready!(Pin::new(end).poll(context));
        self.end = None;
        let lost = || Some(StreamFailure::Platform(WorkerError::Ended(self.environment)));
        Poll::Ready(Some(Part::End(ended.unwrap_or_else(|_| End { failure: lost(), log_tail: None }))))
    }

    /// The next part, then the end; none after that.
    pub async fn next(&mut self) -> Option<Part> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }
}

/// What is owed to who waits for an invoke.
#[derive(Debug)]
pub(crate) enum Debt {
    Reply(Reply),
    /// The answer has begun.
    End(oneshot::Sender<End>),
}

impl Debt {
    /// Pays with what the invoke came to; of an answer that has begun only errors and the log are said.
    pub(crate) fn pay(self, outcome: Result<Outcome, WorkerError>) {
        match self {
            Self::Reply(reply) => reply.send(outcome),
            Self::End(sender) => drop(sender.send(End::of(outcome))),
        }
    }

    /// What is owed from now on, and what begins an answer in parts where who waits takes it so.
    pub(crate) fn begin(self, environment: EnvironmentId) -> (Self, Option<Beginning>) {
        let Self::Reply(Reply::Streamed(reply)) = self else { return (self, None) };
        let (Feed { parts: sink, end }, parts) = Parts::fed(environment);
        (Self::End(end), Some(Beginning { reply, parts, sink }))
    }
}

/// An answer in parts that is about to begin.
pub(crate) struct Beginning {
    reply: oneshot::Sender<Result<Answer, WorkerError>>,
    parts: Parts,
    sink: mpsc::Sender<Bytes>,
}

impl Beginning {
    /// Tells who waits. Where the parts go.
    pub(crate) fn announce(self, content_type: Option<HeaderValue>, phases: Option<InitPhases>) -> mpsc::Sender<Bytes> {
        let _ = self.reply.send(Ok(Answer::Streamed(Streamed { content_type, parts: self.parts, phases })));
        self.sink
    }
}

impl End {
    fn of(outcome: Result<Outcome, WorkerError>) -> Self {
        match outcome {
            Ok(Outcome { payload, function_error, log_tail, .. }) => {
                Self { failure: function_error.then_some(StreamFailure::Function(payload)), log_tail }
            }
            Err(cause) => Self { failure: Some(StreamFailure::Platform(cause)), log_tail: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn begun() -> (Debt, mpsc::Sender<Bytes>, Parts) {
        let (reply, mut answer) = oneshot::channel();
        let (debt, beginning) = Debt::Reply(Reply::Streamed(reply)).begin(EnvironmentId(1));
        let sink = beginning.unwrap().announce(None, None);
        let Ok(Ok(Answer::Streamed(Streamed { parts, .. }))) = answer.try_recv() else { panic!("it has begun") };
        (debt, sink, parts)
    }

    fn outcome(payload: &'static [u8], function_error: bool) -> Outcome {
        let payload = Bytes::from_static(payload);
        let (queued, duration) = (Duration::ZERO, Duration::ZERO);
        Outcome { payload, function_error, log_tail: None, queued, phases: None, duration }
    }

    #[tokio::test]
    async fn the_end_comes_after_the_last_part() {
        let (debt, sink, mut parts) = begun();
        sink.send(Bytes::from_static(b"a")).await.unwrap();
        debt.pay(Ok(outcome(b"", false)));
        drop(sink);
        assert_eq!(parts.next().await, Some(Part::Bytes(Bytes::from_static(b"a"))));
        assert_eq!(parts.next().await, Some(Part::End(End::default())));
        assert_eq!(parts.next().await, None);
    }

    #[tokio::test]
    async fn failures_are_told_at_the_end() {
        let (debt, sink, mut parts) = begun();
        drop(sink);
        debt.pay(Ok(outcome(b"{}", true)));
        let failure = Some(StreamFailure::Function(Bytes::from_static(b"{}")));
        assert_eq!(parts.next().await, Some(Part::End(End { failure, log_tail: None })));
        let (debt, sink, mut parts) = begun();
        drop((sink, debt));
        let failure = Some(StreamFailure::Platform(WorkerError::Ended(EnvironmentId(1))));
        assert_eq!(parts.next().await, Some(Part::End(End { failure, log_tail: None })));
    }

    #[test]
    fn who_wants_it_whole_gets_no_parts() {
        let (reply, mut answer) = oneshot::channel();
        let (debt, beginning) = Debt::Reply(Reply::Whole(reply)).begin(EnvironmentId(1));
        assert!(beginning.is_none());
        debt.pay(Ok(outcome(b"1", false)));
        assert_eq!(answer.try_recv().unwrap().unwrap().payload, "1");
    }

    #[test]
    fn only_so_many_parts_wait() {
        let (_debt, sink, _parts) = begun();
        let sent = (0..).take_while(|_| sink.try_send(Bytes::from_static(b"x")).is_ok()).count();
        assert_eq!(sent, STREAM_PARTS);
    }
}
