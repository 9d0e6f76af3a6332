//! What the frames say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hearth_identity::{Credentials, Secret};
use hearth_metrics::{Run, Runs};
use hearth_types::invoke::VersionSpec;
use hearth_types::{EnvironmentId, RequestId};
use hearth_worker::{
    End, EnvironmentEvent, InitPhases, Invocation, InvokeSpan, NoSnapshot, Outcome, Recall, Reply, StreamFailure,
    Traced, WorkerError,
};
use serde::{Deserialize, Serialize};

/// Both sides are the same program: who is of another version does not join.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The first frame of a connection to the server.
#[derive(Serialize, Deserialize)]
pub(crate) enum Opening {
    /// A worker joins.
    Join(Join),
    /// A function's connection to the server's API, with the credentials of its environment. What follows is HTTP.
    Door { access_key_id: String },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Join {
    pub(crate) version: String,
    pub(crate) pid: u32,
    /// What it calls itself.
    pub(crate) name: String,
    pub(crate) memory_mb: u64,
    pub(crate) environments: u32,
    /// Its own socket, beside the server's.
    pub(crate) socket: String,
}

impl Join {
    /// Whether its name can stand in logs and metrics as it is.
    pub(crate) fn is_named(&self) -> bool {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=64).contains(&self.name.len()) && self.name.bytes().all(is_plain)
    }
}

/// From the worker, about itself.
#[derive(Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// It wants to go: no new environments, please.
    Drain,
    /// One log line: the body.
    Line { group: Arc<str>, stream: Arc<str>, timestamp_ms: i64 },
    /// Processes of this version are about to start: as whom?
    Identify { number: u64, spec: Box<VersionSpec>, by: By },
    /// What became of this version's snapshot.
    Snapshot { number: u64, outcome: Result<(), NoSnapshot> },
    /// Those with these credentials are gone.
    Forget { access_key_id: String },
    /// A traced invoke is over.
    Span(Box<InvokeSpan>),
    /// What functions sent for one: the body, documents of these lengths.
    Segments { spec: Box<VersionSpec>, of: Vec<Traced>, until_ns: u64, lost: u64, lengths: Vec<u32> },
    /// How it is.
    Numbers(Numbers),
}

/// What a process is there for that is to have an identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum By {
    /// To run invokes.
    Environment,
    /// To be written down.
    Template,
}

/// What a worker says of itself now and then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// Open descriptors of the worker process.
    pub descriptors: u64,
    /// Runtimes that wait, started ahead.
    pub ahead_waiting: u64,
    /// Those that became a function's.
    pub ahead_taken: u64,
    /// How many are to wait.
    pub ahead_wanted: u64,
    /// Log lines that had no room.
    pub lines_dropped: u64,
    /// Whether the disk behind its /tmps is short.
    pub disk_short: bool,
    /// Environments that were ended for that.
    pub disk_ended: u64,
}

/// To the worker.
#[derive(Serialize, Deserialize)]
pub(crate) enum ToWorker {
    Accepted,
    Refused(String),
    Identity {
        number: u64,
        identity: Result<Wired, String>,
    },
    /// Have this version's snapshot ready.
    Snapshot {
        number: u64,
        spec: Box<VersionSpec>,
    },
    /// Environments of this version are likely to be asked for soon.
    Foresee {
        spec: Box<VersionSpec>,
    },
    /// Environments of this version were in use lately, and are likely to be asked for again: one of a list.
    Recall(Recall),
    /// That was the list: it takes the place of the one before.
    Recalled,
    /// No further environment starts from the snapshot of this generation.
    Forget {
        generation: u64,
    },
    /// Nothing of it is left here: it may go.
    Drained,
    /// All environments end now.
    EndAll,
}

/// Credentials on their way, and what is shown to fetch them.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wired {
    access_key_id: String,
    secret: String,
    session_token: Option<String>,
    shown: String,
}

impl From<(Credentials, String)> for Wired {
    fn from((Credentials { access_key_id, secret, session_token }, shown): (Credentials, String)) -> Self {
        Self { access_key_id, secret: secret.reveal().to_owned(), session_token, shown }
    }
}

impl From<Wired> for (Credentials, String) {
    fn from(Wired { access_key_id, secret, session_token, shown }: Wired) -> Self {
        (Credentials { access_key_id, secret: Secret::new(secret), session_token }, shown)
    }
}

/// To an environment, on its own connection.
#[derive(Serialize, Deserialize)]
pub(crate) enum ToEnvironment {
    /// The first: make it. The body is the payload of the first invoke, where it has one.
    Make { id: EnvironmentId, spec: Box<VersionSpec>, first: Option<Call> },
    /// The body is the payload.
    Invoke(Call),
    /// It ends once it has no invoke.
    Stop,
    /// It ends soon; others that start come first.
    Leave,
    /// One part more of this invoke's answer may come.
    More(u64),
    /// Nobody wants the parts any more.
    Abandon(u64),
}

/// An invoke without its payload.
#[derive(Serialize, Deserialize)]
pub(crate) struct Call {
    /// Its number among those of this environment.
    pub(crate) number: u64,
    request_id: RequestId,
    content_type: Option<Arc<str>>,
    invoked_arn: Arc<str>,
    client_context: Option<Arc<str>>,
    cognito_identity: Option<Arc<str>>,
    trace_id: Arc<str>,
    traced: Option<Traced>,
    /// Since it was asked for.
    waited: Duration,
    tail: bool,
    /// Whether its answer may come in parts.
    pub(crate) streamed: bool,
}

impl Call {
    /// Takes an invoke apart: what is sent of it, its payload, and what stays here.
    pub(crate) fn of(number: u64, invocation: Invocation) -> (Self, Bytes, Reply, Option<Arc<dyn Runs>>) {
        let Invocation {
            request_id,
            payload,
            content_type,
            invoked_arn,
            client_context,
            cognito_identity,
            trace_id,
            traced,
            arrived,
            tail,
            metrics,
            reply,
        } = invocation;
        let streamed = matches!(reply, Reply::Streamed(_));
        let call = Self {
            number,
            request_id,
            content_type,
            invoked_arn,
            client_context,
            cognito_identity,
            trace_id,
            traced,
            waited: arrived.elapsed(),
            tail,
            streamed,
        };
        (call, payload, reply, metrics)
    }

    /// The invoke, on the other side.
    pub(crate) fn invocation(self, payload: Bytes, runs: Arc<dyn Runs>, reply: Reply) -> Invocation {
        let now = Instant::now();
        Invocation {
            request_id: self.request_id,
            payload,
            content_type: self.content_type,
            invoked_arn: self.invoked_arn,
            client_context: self.client_context,
            cognito_identity: self.cognito_identity,
            trace_id: self.trace_id,
            traced: self.traced,
            arrived: now.checked_sub(self.waited).unwrap_or(now),
            tail: self.tail,
            metrics: Some(runs),
            reply,
        }
    }
}

/// From an environment, on its own connection.
#[derive(Serialize, Deserialize)]
pub(crate) enum FromEnvironment {
    Happened(EnvironmentEvent),
    /// The run of this invoke is over.
    Ran {
        number: u64,
        run: Run,
    },
    /// The body is the payload and then the end of the log.
    Reply {
        number: u64,
        outcome: Result<Answered, WorkerError>,
    },
    /// The answer comes in parts.
    Begin {
        number: u64,
        content_type: Option<String>,
        phases: Option<InitPhases>,
    },
    /// The body is the part.
    Part {
        number: u64,
    },
    /// The body is the error object and then the end of the log.
    End {
        number: u64,
        failure: Failure,
        tail: Option<usize>,
    },
}

/// An outcome without its bytes.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answered {
    function_error: bool,
    /// Bytes of the log's end.
    tail: Option<usize>,
    queued: Duration,
    phases: Option<InitPhases>,
    duration: Duration,
}

/// Why an answer broke off, without its bytes.
#[derive(Serialize, Deserialize)]
pub(crate) enum Failure {
    None,
    Function,
    Platform(WorkerError),
}

impl FromEnvironment {
    /// An answer in one piece, and its body.
    pub(crate) fn reply(number: u64, outcome: Result<Outcome, WorkerError>) -> (Self, Vec<Bytes>) {
        match outcome {
            Err(cause) => (Self::Reply { number, outcome: Err(cause) }, Vec::new()),
            Ok(Outcome { payload, function_error, log_tail, queued, phases, duration }) => {
                let tail = log_tail.as_ref().map(Bytes::len);
                let outcome = Ok(Answered { function_error, tail, queued, phases, duration });
                (Self::Reply { number, outcome }, std::iter::once(payload).chain(log_tail).collect())
            }
        }
    }

    /// The end of an answer in parts, and its body.
    pub(crate) fn end(number: u64, End { failure, log_tail }: End) -> (Self, Vec<Bytes>) {
        let (failure, object) = match failure {
            None => (Failure::None, None),
            Some(StreamFailure::Function(object)) => (Failure::Function, Some(object)),
            Some(StreamFailure::Platform(cause)) => (Failure::Platform(cause), None),
        };
        let tail = log_tail.as_ref().map(Bytes::len);
        (Self::End { number, failure, tail }, object.into_iter().chain(log_tail).collect())
    }
}

impl Answered {
    pub(crate) fn outcome(self, body: Bytes) -> Outcome {
        let (payload, log_tail) = split(body, self.tail);
        let Self { function_error, queued, phases, duration, .. } = self;
        Outcome { payload, function_error, log_tail, queued, phases, duration }
    }
}

impl Failure {
    pub(crate) fn end(self, body: Bytes, tail: Option<usize>) -> End {
        let (object, log_tail) = split(body, tail);
        let failure = match self {
            Self::None => None,
            Self::Function => Some(StreamFailure::Function(object)),
            Self::Platform(cause) => Some(StreamFailure::Platform(cause)),
        };
        End { failure, log_tail }
    }
}

/// What comes before the log's end, and that.
fn split(mut body: Bytes, tail: Option<usize>) -> (Bytes, Option<Bytes>) {
    let tail = tail.map(|bytes| body.split_off(body.len().saturating_sub(bytes)));
    (body, tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_the_wire<T: Serialize + serde::de::DeserializeOwned>(message: &T) -> T {
        serde_json::from_slice(&serde_json::to_vec(message).unwrap()).unwrap()
    }

    #[test]
    fn outcomes_come_as_they_went() {
        let phases = Some(InitPhases { runtime: Duration::from_nanos(1_234_567), ..InitPhases::default() });
        for (log_tail, phases) in [(None, None), (Some(Bytes::new()), phases), (Some(Bytes::from("END\n")), phases)] {
            let payload = Bytes::from_static(b"{\"a\":1}");
            let outcome = Outcome {
                payload,
                function_error: true,
                log_tail,
                queued: Duration::from_micros(5),
                phases,
                duration: Duration::from_micros(77),
            };
            let (message, body) = FromEnvironment::reply(3, Ok(outcome.clone()));
            let FromEnvironment::Reply { number: 3, outcome: Ok(answered) } = over_the_wire(&message) else {
                panic!("a reply")
            };
            assert_eq!(answered.outcome(body.concat().into()), outcome);
        }
    }

    #[test]
    fn ends_come_as_they_went() {
        let lost = WorkerError::Ended(EnvironmentId(4));
        for failure in [None, Some(StreamFailure::Function("{}".into())), Some(StreamFailure::Platform(lost))] {
            for log_tail in [None, Some(Bytes::from("END\n"))] {
                let end = End { failure: failure.clone(), log_tail };
                let (message, body) = FromEnvironment::end(1, end.clone());
                let FromEnvironment::End { failure, tail, .. } = over_the_wire(&message) else { panic!("an end") };
                assert_eq!(failure.end(body.concat().into(), tail), end);
            }
        }
    }

    #[test]
    fn a_tail_longer_than_the_body_takes_all_of_it() {
        assert_eq!(split("ab".into(), Some(9)), (Bytes::new(), Some("ab".into())));
    }
}
