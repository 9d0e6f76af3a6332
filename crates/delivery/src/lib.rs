//! The durable outbox: what one part of the platform sends to another, or out of it.
//!
//! Whoever has something to send, a destination of a function, a topic, a rule, a bucket, makes [`Parcel`]s of it. What
//! goes to a queue or a function of this server is put there in the commit of the source itself. All else is kept in a
//! queue of parcels in that same commit, and tried with growing pauses by a bounded fleet, through [`Targets`], until it
//! is taken, or its attempts or its age are used up; then it goes to its dead-letter queue, or is counted and said.

mod counts;
mod decide;
mod outbox;
mod parcel;
mod work;

use bytes::Bytes;
use hearth_store::{BoxFuture, Step};

pub use counts::{Counted, Outcome};
pub use outbox::{Outbox, Parts, Posting};
pub use parcel::{DeadLetter, Delivery, Kind, Parcel, Retry, Sender, Source, Target};

/// The prefix of the queues of parcels; behind it is the lane.
pub const PARCELS: &str = "delivery/";

/// One thing on its way.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// In whose name.
    pub sender: &'a Sender,
    /// Where to.
    pub target: &'a Target,
    /// What.
    pub body: &'a Bytes,
    /// X-Ray's header of what led to it.
    pub trace: Option<&'a str>,
}

/// Takes what is delivered: this server's services, and who is outside of it.
pub trait Targets: Send + Sync + 'static {
    /// The step that puts it there, for a commit of the source's, where the target lies in the same store and the sender
    /// may; none where it does not lie there.
    fn place<'a>(&'a self, way: Way<'a>) -> BoxFuture<'a, Result<Option<Step>, Failure>>;

    /// Whether it would be taken, as far as that can be told without sending it.
    fn check<'a>(&'a self, way: Way<'a>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.place(way).await.map(|_| ()) })
    }

    /// Such a step has been committed.
    fn placed(&self, target: &Target);

    /// Takes it there, where the sender may, and returns when it is durable there.
    fn deliver<'a>(&'a self, way: Way<'a>) -> BoxFuture<'a, Result<(), Failure>>;

    /// Hears what becomes of each delivery.
    fn ended(&self, delivery: &Delivery, outcome: Outcome) {
        let _ = (delivery, outcome);
    }
}

/// Why something was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// As dead letters name it: `NO_PERMISSIONS`, ...
    pub code: String,
    /// For people.
    pub message: String,
    /// Another attempt would fail, too.
    pub is_lasting: bool,
}

impl Failure {
    /// Of what may go well later.
    pub fn passing(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), is_lasting: false }
    }

    /// Of what never will.
    pub fn lasting(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), is_lasting: true }
    }
}
