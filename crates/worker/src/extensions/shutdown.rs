//! The end of an environment with extensions as a pure state machine: first the runtime is asked to end and, after its
//! part of the time, made to; then extensions are told, and have the rest (runtime contract, section 5).

use std::time::{Duration, Instant};

use hearth_types::limits::{SHUTDOWN_EXTERNAL, SHUTDOWN_INTERNAL, SHUTDOWN_RUNTIME_PERCENT};

use super::registry::{Kind, Registry, State};

/// What still runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Alive {
    pub(crate) runtime: bool,
    /// Any process of an extension's.
    pub(crate) extensions: bool,
}

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Ask the runtime to end.
    TerminateRuntime,
    /// End the runtime.
    KillRuntime,
    /// Tell the extensions that want to know, and end the others.
    TellExtensions,
    /// Nothing before this moment, unless a process ends.
    Wait(Instant),
    /// End what is left.
    Over,
}

/// The machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shutdown {
    runtime_until: Instant,
    until: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Begun,
    RuntimeAsked,
    /// Or it has ended: it is the extensions' turn.
    RuntimeKilled,
    ExtensionsTold,
}

/// How long an environment with these extensions may take to end; none where it ends at once.
pub(crate) fn budget(extensions: &Registry) -> Option<Duration> {
    let registered =
        || extensions.all().iter().filter(|one| one.state != State::Started && one.state != State::LaunchError);
    let external = registered().any(|one| one.kind == Kind::External);
    let any = registered().next().is_some();
    match (external, any) {
        (true, _) => Some(SHUTDOWN_EXTERNAL),
        (false, true) => Some(SHUTDOWN_INTERNAL),
        (false, false) => None,
    }
}

impl Shutdown {
    pub(crate) fn new(now: Instant, budget: Duration) -> Self {
        let runtime_until = now + budget * SHUTDOWN_RUNTIME_PERCENT / 100;
        Self { runtime_until, until: now + budget, stage: Stage::Begun }
    }

    /// When all is over.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// To be asked again after each thing done, and whenever a process has ended or the time has come.
    pub(crate) fn step(&mut self, now: Instant, alive: Alive) -> Step {
        if now >= self.until {
            return Step::Over;
        }
        match self.stage {
            Stage::Begun if alive.runtime => {
                self.stage = Stage::RuntimeAsked;
                Step::TerminateRuntime
            }
            Stage::RuntimeAsked if alive.runtime && now < self.runtime_until => Step::Wait(self.runtime_until),
            Stage::RuntimeAsked if alive.runtime => {
                self.stage = Stage::RuntimeKilled;
                Step::KillRuntime
            }
            Stage::Begun | Stage::RuntimeAsked | Stage::RuntimeKilled if alive.extensions => {
                self.stage = Stage::ExtensionsTold;
                Step::TellExtensions
            }
            Stage::ExtensionsTold if alive.extensions => Step::Wait(self.until),
            _ => Step::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const BUDGET: Duration = Duration::from_millis(2000);
    const MS: Duration = Duration::from_millis(1);

    fn alive(runtime: bool, extensions: bool) -> Alive {
        Alive { runtime, extensions }
    }

    #[test]
    fn the_runtime_goes_first() {
        let t = Instant::now();
        let mut end = Shutdown::new(t, BUDGET);
        assert_eq!(end.step(t, alive(true, true)), Step::TerminateRuntime);
        assert_eq!(end.step(t, alive(true, true)), Step::Wait(t + 600 * MS));
        let mut polite = end.clone();
        assert_eq!(polite.step(t + 5 * MS, alive(false, true)), Step::TellExtensions);
        assert_eq!(end.step(t + 600 * MS, alive(true, true)), Step::KillRuntime);
        assert_eq!(end.step(t + 600 * MS, alive(true, true)), Step::TellExtensions, "its end is not waited for");
        assert_eq!(end.step(t + 601 * MS, alive(false, true)), Step::Wait(t + BUDGET));
        assert_eq!(end.step(t + 700 * MS, alive(false, false)), Step::Over);
    }

    #[test]
    fn whoever_is_left_at_the_end_is_ended() {
        let t = Instant::now();
        let mut end = Shutdown::new(t, BUDGET);
        assert_eq!(end.step(t, alive(false, true)), Step::TellExtensions, "the runtime has ended already");
        assert_eq!(end.step(t + 10 * MS, alive(false, true)), Step::Wait(t + BUDGET));
        assert_eq!(end.step(t + BUDGET, alive(false, true)), Step::Over);
        let mut late = Shutdown::new(t, BUDGET);
        assert_eq!(late.step(t + BUDGET, alive(true, true)), Step::Over);
    }

    #[test]
    fn without_processes_of_extensions_only_the_runtime_is_waited_for() {
        let t = Instant::now();
        let mut end = Shutdown::new(t, 500 * MS);
        assert_eq!(end.step(t, alive(true, false)), Step::TerminateRuntime);
        assert_eq!(end.step(t, alive(true, false)), Step::Wait(t + 150 * MS));
        let mut polite = end.clone();
        assert_eq!(polite.step(t + 9 * MS, alive(false, false)), Step::Over);
        assert_eq!(end.step(t + 150 * MS, alive(true, false)), Step::KillRuntime);
        assert_eq!(end.step(t + 150 * MS, alive(true, false)), Step::Over);
    }

    #[test]
    fn the_time_is_by_who_has_registered() {
        let mut all = Registry::new(&["outer".into()]);
        assert_eq!(budget(&all), None, "who has not registered is not waited for");
        all.register("outer", &[], Uuid::from_u128(1)).unwrap();
        assert_eq!(budget(&all), Some(SHUTDOWN_EXTERNAL));
        let mut all = Registry::new(&[]);
        assert_eq!(budget(&all), None);
        all.register("inner", &[], Uuid::from_u128(1)).unwrap();
        assert_eq!(budget(&all), Some(SHUTDOWN_INTERNAL));
    }
}
