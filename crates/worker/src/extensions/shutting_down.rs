//! The end of an environment with extensions, carried out.

use std::sync::Arc;
use std::time::Instant;

use hearth_sandbox::{Happening, Process, Signal};
use hearth_types::limits::TELEMETRY_LAST;

use super::registry::{Kind, State};
use super::shutdown::{Alive, Shutdown, Step, budget};
use super::{Ending, Reason};
use crate::environment::Environment;
use crate::failure::Cause;
use crate::supervisor::{Event, Processes, Runtime};

impl Cause {
    /// As extensions are told it; none where there is nobody who could be told.
    fn reason(&self) -> Option<Reason> {
        match self {
            Self::Stopped | Self::Killed => Some(Reason::Spindown),
            Self::Timeout => Some(Reason::Timeout),
            Self::Platform(_) => None,
            _ => Some(Reason::Failure),
        }
    }
}

impl Environment {
    /// Whether extensions have a time of their own before the processes end.
    pub(crate) fn ends_slowly(&self, cause: &Cause) -> bool {
        cause.reason().is_some() && budget(&self.lock().extensions.registry).is_some()
    }

    fn begin_shutdown(&self, cause: &Cause) -> Option<Shutdown> {
        let reason = cause.reason()?;
        let mut inner = self.lock();
        let shutdown = Shutdown::new(Instant::now(), budget(&inner.extensions.registry)?);
        inner.extensions.ending = Some(Ending { reason, deadline: shutdown.until() });
        Some(shutdown)
    }

    /// Owes the extensions the news. Who does not want to hear it: the numbers of processes.
    fn tell_extensions(&self) -> Vec<usize> {
        let mut inner = self.lock();
        inner.extensions.registry.shutdown_begins();
        let all = inner.extensions.registry.all().iter().filter(|one| one.kind == Kind::External).enumerate();
        let deaf =
            all.filter(|(_, one)| !one.events.shutdown || matches!(one.state, State::InitError | State::ExitError));
        let deaf = deaf.map(|(number, _)| number).collect();
        let wakers = inner.extensions.wakers();
        drop(inner);
        wakers.into_iter().for_each(std::task::Waker::wake);
        deaf
    }
}

impl Processes {
    /// Lets the processes end in their order, within their time. What is left of them then is for who takes the sandbox
    /// down.
    pub(crate) async fn shut_down(&mut self, environment: &Arc<Environment>, cause: &Cause) {
        let Some(mut shutdown) = environment.begin_shutdown(cause) else { return };
        if let Err(error) = self.sandbox.thaw() {
            tracing::debug!(environment = %environment.id, %error, "not thawed for its end");
        }
        let telemetry = environment.journal.telemetry();
        telemetry.set_awake(true);
        telemetry.flush();
        loop {
            let alive = Alive { runtime: self.runtime == Runtime::Runs, extensions: self.alive.contains(&true) };
            match shutdown.step(Instant::now(), alive) {
                Step::TerminateRuntime => self.signal(Process::Runtime, Signal::Terminate).await,
                Step::KillRuntime => self.signal(Process::Runtime, Signal::Kill).await,
                Step::TellExtensions => {
                    self.deliver_the_last(environment).await;
                    for number in environment.tell_extensions() {
                        self.signal(Process::Beside(number as u32), Signal::Kill).await;
                    }
                }
                Step::Wait(until) => {
                    if let Ok(event) = tokio::time::timeout_at(until.into(), self.event(environment)).await {
                        self.note_end(event);
                    }
                }
                Step::Over => return,
            }
        }
    }

    /// What has happened is told before the end is: when it hears of that an extension may go.
    async fn deliver_the_last(&mut self, environment: &Arc<Environment>) {
        let time = tokio::time::sleep(TELEMETRY_LAST);
        let delivered = environment.journal.telemetry().settled();
        tokio::pin!(time, delivered);
        loop {
            tokio::select! {
                () = &mut delivered => return,
                () = &mut time => return,
                event = self.event(environment) => self.note_end(event),
            }
        }
    }

    async fn signal(&self, process: Process, signal: Signal) {
        if let Err(error) = self.sandbox.signal(process, signal).await {
            tracing::debug!(%error, "a process is not signalled");
        }
    }

    fn note_end(&mut self, event: Event) {
        match event {
            Event::Happening(Happening::Ended(Process::Runtime, _)) => self.runtime = Runtime::Gone,
            Event::Happening(Happening::Ended(Process::Beside(number), _)) => self.is_gone(number),
            Event::Happening(Happening::Gone | Happening::Failed(_)) => {
                self.runtime = Runtime::Gone;
                self.alive.fill(false);
            }
            Event::Happening(Happening::RuntimeRuns) | Event::Other => {}
        }
    }
}
