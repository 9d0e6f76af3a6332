//! The life of one environment as a pure state machine: no clock, no I/O, no payloads.
//!
//! An environment is given one invoke at a time. Its processes are made for the first one (init), kept, and made again
//! inside the next invoke after anything went wrong. Init has a limit of its own; where it fails or exceeds it, it is
//! repeated once on the time of the invoke that waits for it, as Lambda does. An environment that is made ahead of any
//! invoke is idle after its init, and of no use where that fails.

use std::time::{Duration, Instant};

use hearth_types::limits::INIT_TIMEOUT;

/// Which init.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Init {
    /// Ahead of the first invoke, on time of its own.
    First,
    /// Inside an invoke.
    Repeated,
}

/// Where an environment stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// No process. With an invoke accepted they are being made: for a repeated init the invoke's time runs already.
    Down { init: Init, invoke_since: Option<Instant> },
    /// Processes run; the runtime has not yet asked for an invoke, or (`runtime_ready`) extensions are not ready yet.
    Init { init: Init, since: Instant, invoke_since: Option<Instant>, runtime_ready: bool },
    /// The runtime waits for an invoke.
    Idle { since: Instant },
    /// The runtime has an invoke.
    Running { since: Instant },
    /// It is sending its answer in parts.
    Answering { since: Instant },
    /// It has answered, and not yet asked for the next.
    Answered { since: Instant },
    /// It has asked for the next; extensions are not through with this one.
    Tail { since: Instant },
}

/// Whether init, or an invoke, is over as far as extensions go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extensions {
    Ready,
    Busy,
}

/// A call of the runtime that the state does not allow: the names of Lambda's states for the error's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotAllowed {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

/// What the runtime's call for the next invoke means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Init is over; it took so long. The waiting invoke starts now (or started at `invoke_since`, repeated).
    InitDone { init: Init, took: Duration },
    /// The invoke that was answered is over.
    InvokeDone { took: Duration },
    /// The runtime is through with its init after this time; extensions are not.
    RuntimeInitDone { init: Init, took: Duration },
    /// The runtime is through with its invoke after this time; extensions are not.
    RuntimeDone { took: Duration },
    /// A further call while it waits already: the later one counts.
    Again,
}

/// What an end of the processes, or of patience with them, means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The first init failed: it is repeated inside the waiting invoke.
    InitAgain { took: Duration },
    /// The first init failed, and no invoke waits for it.
    Unprepared { took: Duration },
    /// The repeated init failed, and the invoke with it.
    Init { took: Duration, invoke_took: Duration },
    /// The invoke had no answer, or not all of it.
    Invoke { took: Duration },
    /// The invoke was answered; only its end is untidy.
    AfterAnswer { took: Duration },
    /// Nothing was in progress.
    Quiet,
}

/// The machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lifecycle {
    timeout: Duration,
    /// Of the first init.
    init_limit: Duration,
    /// Whether an invoke waits for the first init.
    awaited: bool,
    state: State,
}

impl Lifecycle {
    /// Of an environment that is being made for its first invoke.
    pub(crate) fn new(timeout: Duration) -> Self {
        let state = State::Down { init: Init::First, invoke_since: None };
        Self { timeout, init_limit: INIT_TIMEOUT, awaited: true, state }
    }

    /// Of one that is being made ahead of any invoke; its init has so long.
    pub(crate) fn ahead(timeout: Duration, init_limit: Duration) -> Self {
        Self { init_limit, awaited: false, ..Self::new(timeout) }
    }

    /// Whether processes are to be made although no invoke is there.
    pub(crate) fn is_to_be_prepared(&self) -> bool {
        !self.awaited && matches!(self.state, State::Down { init: Init::First, .. })
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// The time that the invoke in progress has in all.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// An invoke is given to the environment. Whether the runtime can have it at once; if not, processes are made first.
    pub(crate) fn invoke(&mut self, now: Instant) -> bool {
        self.awaited = true;
        match self.state {
            State::Idle { .. } => {
                self.state = State::Running { since: now };
                true
            }
            State::Down { init: Init::Repeated, invoke_since: None } => {
                self.state = State::Down { init: Init::Repeated, invoke_since: Some(now) };
                false
            }
            _ => false,
        }
    }

    /// The runtime's process has been started.
    pub(crate) fn started(&mut self, now: Instant) {
        if let State::Down { init, invoke_since } = self.state {
            self.state = State::Init { init, since: now, invoke_since, runtime_ready: false };
        }
    }

    /// The runtime asks for the next invoke.
    pub(crate) fn next(&mut self, now: Instant, extensions: Extensions) -> Result<Next, NotAllowed> {
        match (self.state, extensions) {
            (State::Init { init, since, invoke_since, .. }, Extensions::Ready) => {
                self.state = self.initialised(now, invoke_since);
                Ok(Next::InitDone { init, took: now - since })
            }
            (State::Init { runtime_ready: true, .. }, Extensions::Busy) => Ok(Next::Again),
            (State::Init { init, since, invoke_since, .. }, Extensions::Busy) => {
                self.state = State::Init { init, since, invoke_since, runtime_ready: true };
                Ok(Next::RuntimeInitDone { init, took: now - since })
            }
            (State::Answered { since }, Extensions::Ready) => {
                self.state = State::Idle { since: now };
                Ok(Next::InvokeDone { took: now - since })
            }
            (State::Answered { since }, Extensions::Busy) => {
                self.state = State::Tail { since };
                Ok(Next::RuntimeDone { took: now - since })
            }
            (State::Idle { .. } | State::Tail { .. }, _) => Ok(Next::Again),
            (State::Running { .. } | State::Answering { .. } | State::Down { .. }, _) => {
                Err(self.not_allowed("RuntimeReady"))
            }
        }
    }

    /// The last extension is ready: what that means where the runtime is, too.
    pub(crate) fn extensions_ready(&mut self, now: Instant) -> Option<Next> {
        match self.state {
            State::Init { init, since, invoke_since, runtime_ready: true } => {
                self.state = self.initialised(now, invoke_since);
                Some(Next::InitDone { init, took: now - since })
            }
            State::Tail { since } => {
                self.state = State::Idle { since: now };
                Some(Next::InvokeDone { took: now - since })
            }
            _ => None,
        }
    }

    fn initialised(&self, now: Instant, invoke_since: Option<Instant>) -> State {
        if self.awaited { State::Running { since: invoke_since.unwrap_or(now) } } else { State::Idle { since: now } }
    }

    /// Whether the runtime may answer the invoke it has.
    pub(crate) fn may_answer(&self, to: &'static str) -> Result<(), NotAllowed> {
        match self.state {
            State::Running { .. } => Ok(()),
            _ => Err(self.not_allowed(to)),
        }
    }

    /// The runtime begins an answer in parts: until its end there is no other.
    pub(crate) fn begin_answer(&mut self) {
        if let State::Running { since } = self.state {
            self.state = State::Answering { since };
        }
    }

    /// The runtime has answered: how long that took. None where it had nothing to answer.
    pub(crate) fn answered(&mut self, now: Instant) -> Option<Duration> {
        let (State::Running { since } | State::Answering { since }) = self.state else { return None };
        self.state = State::Answered { since };
        Some(now - since)
    }

    /// Whether the runtime may report that init failed.
    pub(crate) fn may_fail_init(&self) -> Result<(), NotAllowed> {
        match self.state {
            State::Init { runtime_ready: false, .. } => Ok(()),
            _ => Err(self.not_allowed("RuntimeInitError")),
        }
    }

    /// The processes are of no use any more: they ended, failed to start, or ran out of time.
    pub(crate) fn fail(&mut self, now: Instant) -> Failure {
        let (failure, invoke_since) = match self.state {
            State::Down { init: Init::First, .. } if !self.awaited => {
                (Failure::Unprepared { took: Duration::ZERO }, None)
            }
            State::Init { init: Init::First, since, .. } if !self.awaited => {
                (Failure::Unprepared { took: now - since }, None)
            }
            State::Down { init: Init::First, .. } => (Failure::InitAgain { took: Duration::ZERO }, Some(now)),
            State::Init { init: Init::First, since, .. } => (Failure::InitAgain { took: now - since }, Some(now)),
            State::Init { init: Init::Repeated, since, invoke_since, .. } => {
                (Failure::Init { took: now - since, invoke_took: now - invoke_since.unwrap_or(since) }, None)
            }
            State::Down { init: Init::Repeated, invoke_since: Some(since) } => {
                (Failure::Init { took: Duration::ZERO, invoke_took: now - since }, None)
            }
            State::Running { since } | State::Answering { since } => (Failure::Invoke { took: now - since }, None),
            State::Answered { since } | State::Tail { since } => (Failure::AfterAnswer { took: now - since }, None),
            State::Idle { .. } | State::Down { .. } => (Failure::Quiet, None),
        };
        self.state = State::Down { init: Init::Repeated, invoke_since };
        failure
    }

    /// The processes that failed are gone: an invoke that waits for new ones has its whole time from now on.
    pub(crate) fn cleared(&mut self, now: Instant) {
        if let State::Down { init, invoke_since: Some(_) } = self.state {
            self.state = State::Down { init, invoke_since: Some(now) };
        }
    }

    /// When patience with the processes ends. None where nothing is waited for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Init { init: Init::First, since, .. } => Some(since + self.init_limit),
            State::Init { init: Init::Repeated, since, invoke_since, .. } => {
                Some(invoke_since.unwrap_or(since) + self.timeout)
            }
            State::Down { invoke_since, .. } => invoke_since.map(|since| since + self.timeout),
            State::Running { since }
            | State::Answering { since }
            | State::Answered { since }
            | State::Tail { since } => Some(since + self.timeout),
            State::Idle { .. } => None,
        }
    }

    fn not_allowed(&self, to: &'static str) -> NotAllowed {
        let from = match self.state {
            State::Down { .. } | State::Init { runtime_ready: false, .. } => "RuntimeStarted",
            State::Init { .. } | State::Idle { .. } | State::Tail { .. } => "RuntimeReady",
            State::Running { .. } => "RuntimeRunning",
            State::Answering { .. } => "RuntimeInvocationResponse",
            State::Answered { .. } => "RuntimeResponseSent",
        };
        NotAllowed { from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);
    const MS: Duration = Duration::from_millis(1);

    fn idle(t: Instant) -> Lifecycle {
        let mut life = Lifecycle::new(TIMEOUT);
        life.started(t);
        life.next(t + MS, Extensions::Ready).unwrap();
        life.answered(t + 2 * MS).unwrap();
        life.next(t + 3 * MS, Extensions::Ready).unwrap();
        life
    }

    #[test]
    fn cold_then_warm() {
        let t = Instant::now();
        let mut life = Lifecycle::new(TIMEOUT);
        assert!(!life.invoke(t));
        assert_eq!(life.deadline(), None, "making a sandbox is on nobody's time");
        life.started(t);
        assert_eq!(life.deadline(), Some(t + INIT_TIMEOUT));
        assert_eq!(life.next(t + 5 * MS, Extensions::Ready), Ok(Next::InitDone { init: Init::First, took: 5 * MS }));
        assert_eq!(life.deadline(), Some(t + 5 * MS + TIMEOUT));
        assert_eq!(life.answered(t + 9 * MS), Some(4 * MS));
        assert_eq!(life.next(t + 10 * MS, Extensions::Ready), Ok(Next::InvokeDone { took: 5 * MS }));
        assert_eq!(life.deadline(), None);
        assert!(life.invoke(t + 20 * MS));
        assert_eq!(life.state(), State::Running { since: t + 20 * MS });
    }

    #[test]
    fn a_first_init_that_fails_is_repeated_on_the_invokes_time() {
        let t = Instant::now();
        let mut life = Lifecycle::new(TIMEOUT);
        life.started(t);
        assert_eq!(life.fail(t + 10 * MS), Failure::InitAgain { took: 10 * MS });
        assert_eq!(life.deadline(), Some(t + 10 * MS + TIMEOUT));
        life.started(t + 12 * MS);
        assert_eq!(life.deadline(), Some(t + 10 * MS + TIMEOUT));
        let mut good = life.clone();
        assert_eq!(
            good.next(t + 15 * MS, Extensions::Ready),
            Ok(Next::InitDone { init: Init::Repeated, took: 3 * MS })
        );
        assert_eq!(good.answered(t + 20 * MS), Some(10 * MS), "the repeated init counts");
        assert_eq!(life.fail(t + 20 * MS), Failure::Init { took: 8 * MS, invoke_took: 10 * MS });
        assert_eq!(life.deadline(), None);
        assert!(!life.invoke(t + 50 * MS), "the next invoke makes processes again");
        assert_eq!(life.deadline(), Some(t + 50 * MS + TIMEOUT));
    }

    #[test]
    fn what_is_made_ahead_is_idle_after_its_init() {
        let t = Instant::now();
        let limit = 130 * TIMEOUT;
        let mut life = Lifecycle::ahead(TIMEOUT, limit);
        assert!(life.is_to_be_prepared() && !Lifecycle::new(TIMEOUT).is_to_be_prepared());
        life.started(t);
        assert_eq!(life.deadline(), Some(t + limit));
        let (mut failed, mut claimed) = (life.clone(), life.clone());
        assert_eq!(life.next(t + 5 * MS, Extensions::Ready), Ok(Next::InitDone { init: Init::First, took: 5 * MS }));
        assert_eq!((life.state(), life.deadline()), (State::Idle { since: t + 5 * MS }, None));
        assert!(life.invoke(t + 9 * MS), "the runtime has it at once");
        assert_eq!(failed.fail(t + limit), Failure::Unprepared { took: limit });
        assert!(!failed.is_to_be_prepared(), "nobody repeats it");
        assert!(!claimed.invoke(t + MS), "an invoke that comes during its init has to wait");
        let mut broken = claimed.clone();
        assert_eq!(claimed.next(t + 5 * MS, Extensions::Ready), Ok(Next::InitDone { init: Init::First, took: 5 * MS }));
        assert_eq!(claimed.state(), State::Running { since: t + 5 * MS });
        assert_eq!(broken.fail(t + 2 * MS), Failure::InitAgain { took: 2 * MS });
    }

    #[test]
    fn a_failed_invoke_leaves_no_process() {
        let t = Instant::now();
        let mut life = idle(t);
        assert!(life.invoke(t + 5 * MS));
        assert_eq!(life.fail(t + 8 * MS), Failure::Invoke { took: 3 * MS });
        assert_eq!(life.state(), State::Down { init: Init::Repeated, invoke_since: None });
        let mut life = idle(t);
        life.invoke(t + 5 * MS);
        life.answered(t + 6 * MS);
        assert_eq!(life.fail(t + 8 * MS), Failure::AfterAnswer { took: 3 * MS });
        let mut life = idle(t);
        assert_eq!(life.fail(t + 8 * MS), Failure::Quiet);
        assert!(!life.invoke(t + 9 * MS));
    }

    #[test]
    fn an_init_is_over_when_the_runtime_and_the_extensions_are_ready() {
        let t = Instant::now();
        let mut life = Lifecycle::new(TIMEOUT);
        life.started(t);
        let took = Ok(Next::RuntimeInitDone { init: Init::First, took: 2 * MS });
        assert_eq!(life.next(t + 2 * MS, Extensions::Busy), took);
        assert_eq!(life.next(t + 3 * MS, Extensions::Busy), Ok(Next::Again));
        assert_eq!(life.may_fail_init(), Err(NotAllowed { from: "RuntimeReady", to: "RuntimeInitError" }));
        assert_eq!(life.deadline(), Some(t + INIT_TIMEOUT), "of all together");
        let mut late = life.clone();
        assert_eq!(late.fail(t + INIT_TIMEOUT), Failure::InitAgain { took: INIT_TIMEOUT });
        assert_eq!(life.extensions_ready(t + 5 * MS), Some(Next::InitDone { init: Init::First, took: 5 * MS }));
        assert_eq!(life.state(), State::Running { since: t + 5 * MS });
        let mut life = Lifecycle::new(TIMEOUT);
        life.started(t);
        assert_eq!(life.extensions_ready(t + MS), None, "the runtime is not");
        assert_eq!(life.next(t + 2 * MS, Extensions::Ready), Ok(Next::InitDone { init: Init::First, took: 2 * MS }));
    }

    #[test]
    fn an_invoke_is_over_when_the_extensions_are_through_with_it() {
        let t = Instant::now();
        let mut life = idle(t);
        life.invoke(t + 10 * MS);
        assert_eq!(life.extensions_ready(t + 11 * MS), None, "they are faster than the runtime");
        life.answered(t + 12 * MS);
        assert_eq!(life.next(t + 13 * MS, Extensions::Busy), Ok(Next::RuntimeDone { took: 3 * MS }));
        assert_eq!(life.next(t + 14 * MS, Extensions::Busy), Ok(Next::Again));
        assert!(!life.invoke(t + 14 * MS), "the next one waits");
        assert_eq!(life.deadline(), Some(t + 10 * MS + TIMEOUT), "they have no time of their own");
        let mut late = life.clone();
        assert_eq!(late.fail(t + 20 * MS), Failure::AfterAnswer { took: 10 * MS });
        assert_eq!(life.extensions_ready(t + 20 * MS), Some(Next::InvokeDone { took: 10 * MS }));
        assert_eq!(life.state(), State::Idle { since: t + 20 * MS });
    }

    #[test]
    fn an_end_of_processes_is_on_nobodys_time() {
        let t = Instant::now();
        let mut life = Lifecycle::new(TIMEOUT);
        life.started(t);
        life.fail(t + MS);
        life.cleared(t + 500 * MS);
        assert_eq!(life.deadline(), Some(t + 500 * MS + TIMEOUT));
        let mut quiet = idle(t);
        quiet.fail(t + 10 * MS);
        quiet.cleared(t + 20 * MS);
        assert_eq!(quiet.deadline(), None);
    }

    #[test]
    fn an_answer_in_parts_is_the_only_one_until_its_end() {
        let t = Instant::now();
        let mut life = idle(t);
        life.begin_answer();
        assert_eq!(life.state(), State::Idle { since: t + 3 * MS }, "there is nothing to answer");
        life.invoke(t + 4 * MS);
        life.begin_answer();
        assert_eq!(life.deadline(), Some(t + 4 * MS + TIMEOUT));
        let refused = |to| NotAllowed { from: "RuntimeInvocationResponse", to };
        let again = life.may_answer("RuntimeInvocationResponse");
        assert_eq!(again, Err(refused("RuntimeInvocationResponse")));
        assert_eq!(life.next(t + 5 * MS, Extensions::Ready), Err(refused("RuntimeReady")));
        let mut broken = life.clone();
        assert_eq!(broken.fail(t + 6 * MS), Failure::Invoke { took: 2 * MS });
        assert_eq!(life.answered(t + 6 * MS), Some(2 * MS));
        assert_eq!(life.next(t + 7 * MS, Extensions::Ready), Ok(Next::InvokeDone { took: 3 * MS }));
    }

    #[test]
    fn calls_out_of_order_are_refused() {
        let t = Instant::now();
        let mut life = idle(t);
        let refused = |from, to| Err(NotAllowed { from, to });
        assert_eq!(life.may_answer("RuntimeInvocationResponse"), refused("RuntimeReady", "RuntimeInvocationResponse"));
        assert_eq!(life.may_fail_init(), refused("RuntimeReady", "RuntimeInitError"));
        assert_eq!(life.next(t, Extensions::Ready), Ok(Next::Again));
        life.invoke(t + 4 * MS);
        assert_eq!(
            life.next(t + 5 * MS, Extensions::Ready),
            Err(NotAllowed { from: "RuntimeRunning", to: "RuntimeReady" })
        );
        life.answered(t + 5 * MS);
        assert_eq!(life.answered(t + 5 * MS), None);
        assert_eq!(
            life.may_answer("RuntimeInvocationResponse"),
            refused("RuntimeResponseSent", "RuntimeInvocationResponse")
        );
    }
}
