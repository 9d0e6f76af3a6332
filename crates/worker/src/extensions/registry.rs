//! The extensions of one environment as a pure state machine: who they are, where each stands, what it is owed. No clock,
//! no I/O (runtime contract, section 3).

use std::sync::Arc;

use hearth_types::limits::{EXTENSION_NAME_BYTES, EXTENSIONS};
use uuid::Uuid;

/// What an extension calls itself by after it has registered.
pub(crate) type ExtensionId = Uuid;

/// Where an extension comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A process of its own: a file in /opt/extensions.
    External,
    /// Code in the runtime's process.
    Internal,
}

/// What an extension wants to hear of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Events {
    pub(crate) invoke: bool,
    pub(crate) shutdown: bool,
}

impl Events {
    /// As the log shows them.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let named = [(self.invoke, INVOKE), (self.shutdown, SHUTDOWN)];
        named.into_iter().filter_map(|(wanted, name)| wanted.then_some(name)).collect()
    }

    /// # Errors
    /// The first that is no event.
    fn of(names: &[String]) -> Result<Self, Refusal> {
        let mut events = Self::default();
        for name in names {
            match name.as_str() {
                INVOKE => events.invoke = true,
                SHUTDOWN => events.shutdown = true,
                other => return Err(Refusal::InvalidEvent(other.to_owned())),
            }
        }
        Ok(events)
    }
}

pub(crate) const INVOKE: &str = "INVOKE";
pub(crate) const SHUTDOWN: &str = "SHUTDOWN";

/// Where an extension stands; the names are Lambda's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Its process runs; it has not registered.
    Started,
    /// It has registered and prepares itself.
    Registered,
    /// It waits for its next event.
    Ready,
    /// It has an event.
    Running,
    /// It said that it cannot work.
    InitError,
    /// It said that it cannot go on.
    ExitError,
    /// Its program could not be run.
    LaunchError,
    /// Its process ended.
    Exited,
}

impl State {
    /// As the log and refusals name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::Registered => "Registered",
            Self::Ready => "Ready",
            Self::Running => "Running",
            Self::InitError => "InitError",
            Self::ExitError => "ExitError",
            Self::LaunchError => "LaunchError",
            Self::Exited => "Exited",
        }
    }
}

/// What an extension is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Invoke,
    Shutdown,
}

/// One extension.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Extension {
    pub(crate) id: ExtensionId,
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) events: Events,
    pub(crate) state: State,
    /// The type of the error that it came to.
    pub(crate) error: Option<Arc<str>>,
    due: Option<Due>,
}

/// Which error an extension reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Report {
    /// It cannot work.
    Init,
    /// It cannot go on.
    Exit,
}

/// Why a call of an extension is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    EmptyName,
    LongName,
    /// No file in /opt/extensions has this name, and the runtime, which could, does not run yet.
    NoSuchFile(String),
    InvalidEvent(String),
    /// Only external ones have a time of their own after the runtime.
    InternalShutdown,
    Closed,
    TooMany,
    MissingIdentifier,
    InvalidIdentifier,
    Unknown(Uuid),
    NotAllowed {
        from: State,
        to: State,
        who: String,
    },
}

/// How far the environment is, which says who may register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The runtime waits until all external ones have registered.
    External,
    /// The runtime prepares itself; code in it may register.
    Init,
    /// The first invoke is over its start.
    Closed,
}

/// All of them; the external ones come first, in the order in which they were started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Registry {
    all: Vec<Extension>,
    phase: Phase,
}

impl Registry {
    /// Of an environment that is about to start these programs; without any, its runtime starts at once.
    pub(crate) fn new(external: &[Arc<str>]) -> Self {
        let started = |name: &Arc<str>| Extension {
            id: Uuid::nil(),
            name: Arc::clone(name),
            kind: Kind::External,
            events: Events::default(),
            state: State::Started,
            error: None,
            due: None,
        };
        let phase = if external.is_empty() { Phase::Init } else { Phase::External };
        Self { all: external.iter().map(started).collect(), phase }
    }

    pub(crate) fn all(&self) -> &[Extension] {
        &self.all
    }

    pub(crate) fn find(&self, id: ExtensionId) -> Result<&Extension, Refusal> {
        self.all.iter().find(|one| is(one, id)).ok_or(Refusal::Unknown(id))
    }

    /// An extension registers, under an `id` that is new.
    pub(crate) fn register(&mut self, name: &str, events: &[String], id: ExtensionId) -> Result<(), Refusal> {
        if name.is_empty() {
            return Err(Refusal::EmptyName);
        }
        if name.len() > EXTENSION_NAME_BYTES {
            return Err(Refusal::LongName);
        }
        let registered = self.all.iter().filter(|one| one.state != State::Started).count();
        match self.all.iter_mut().find(|one| &*one.name == name) {
            Some(known) if known.state != State::Started => Err(not_allowed(known.state, State::Registered, name)),
            _ if registered >= EXTENSIONS => Err(Refusal::TooMany),
            Some(known) => {
                (known.events, known.id, known.state) = (Events::of(events)?, id, State::Registered);
                Ok(())
            }
            None => self.register_internal(name, events, id),
        }
    }

    fn register_internal(&mut self, name: &str, events: &[String], id: ExtensionId) -> Result<(), Refusal> {
        match self.phase {
            Phase::External => return Err(Refusal::NoSuchFile(name.to_owned())),
            Phase::Closed => return Err(Refusal::Closed),
            Phase::Init => {}
        }
        let events = Events::of(events)?;
        if events.shutdown {
            return Err(Refusal::InternalShutdown);
        }
        let (kind, state) = (Kind::Internal, State::Registered);
        self.all.push(Extension { id, name: name.into(), kind, events, state, error: None, due: None });
        Ok(())
    }

    /// Whether the runtime waits and need wait no longer.
    pub(crate) fn lets_runtime_go(&self) -> bool {
        self.phase == Phase::External && self.all.iter().all(|one| one.state != State::Started)
    }

    /// The runtime starts; from now on code in it may register.
    pub(crate) fn runtime_starts(&mut self) {
        if self.phase == Phase::External {
            self.phase = Phase::Init;
        }
    }

    /// Init is over.
    pub(crate) fn close(&mut self) {
        self.phase = Phase::Closed;
    }

    /// The extension asks for its next event, and is through with the one it had.
    pub(crate) fn next(&mut self, id: ExtensionId) -> Result<(), Refusal> {
        let one = self.find_mut(id)?;
        match one.state {
            // A further call while it waits: the later one counts.
            State::Registered | State::Running | State::Ready => one.state = State::Ready,
            other => return Err(not_allowed(other, State::Ready, &id.to_string())),
        }
        Ok(())
    }

    /// What the extension is told now, if anything.
    pub(crate) fn deliver(&mut self, id: ExtensionId) -> Option<Due> {
        let one = self.find_mut(id).ok().filter(|one| one.state == State::Ready)?;
        let due = one.due.take()?;
        one.state = State::Running;
        Some(due)
    }

    /// Whether init, or the invoke in progress, waits for none of them.
    pub(crate) fn are_ready(&self) -> bool {
        let closed = self.phase == Phase::Closed;
        self.all.iter().all(|one| match one.state {
            State::Ready => one.due != Some(Due::Invoke),
            // Who has no part in invokes holds none up.
            _ => closed && !one.events.invoke,
        })
    }

    /// An invoke begins: who wants to know is owed it.
    pub(crate) fn invoke_begins(&mut self) {
        self.owe(Due::Invoke, |events| events.invoke);
    }

    /// The environment ends: who wants to know is owed that, and nothing else any more.
    pub(crate) fn shutdown_begins(&mut self) {
        self.phase = Phase::Closed;
        self.all.iter_mut().for_each(|one| one.due = None);
        self.owe(Due::Shutdown, |events| events.shutdown);
    }

    fn owe(&mut self, due: Due, wants: fn(Events) -> bool) {
        for one in self.all.iter_mut().filter(|one| wants(one.events)) {
            one.due = Some(due);
        }
    }

    /// The extension reports an error of this type.
    pub(crate) fn report(&mut self, id: ExtensionId, report: Report, error: &str) -> Result<(), Refusal> {
        let one = self.find_mut(id)?;
        let to = match report {
            Report::Init => State::InitError,
            Report::Exit => State::ExitError,
        };
        let allowed = match one.state {
            State::Registered => true,
            State::Ready | State::Running => report == Report::Exit,
            // Once more the same.
            state => state == to,
        };
        if !allowed {
            return Err(not_allowed(one.state, to, &id.to_string()));
        }
        one.state = to;
        one.error.get_or_insert_with(|| error.into());
        Ok(())
    }

    /// The process of the external extension with this number has ended, or could not be started: `error` is the type.
    /// What it has said itself stands.
    pub(crate) fn ended(&mut self, number: usize, state: State, error: &str) {
        let Some(one) = self.all.get_mut(number) else { return };
        if !matches!(one.state, State::InitError | State::ExitError) {
            one.state = state;
            one.error = Some(error.into());
        }
    }

    fn find_mut(&mut self, id: ExtensionId) -> Result<&mut Extension, Refusal> {
        self.all.iter_mut().find(|one| is(one, id)).ok_or(Refusal::Unknown(id))
    }
}

/// Those that have not registered have no id.
fn is(one: &Extension, id: ExtensionId) -> bool {
    one.id == id && !id.is_nil()
}

fn not_allowed(from: State, to: State, who: &str) -> Refusal {
    Refusal::NotAllowed { from, to, who: who.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> ExtensionId {
        Uuid::from_u128(number)
    }

    fn events(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn registry(external: &[&str]) -> Registry {
        Registry::new(&external.iter().map(|name| Arc::from(*name)).collect::<Vec<_>>())
    }

    #[test]
    fn the_runtime_waits_for_all_external_ones() {
        let mut all = registry(&["a", "b"]);
        assert!(!all.lets_runtime_go());
        all.register("a", &events(&["INVOKE", "SHUTDOWN"]), id(1)).unwrap();
        assert!(!all.lets_runtime_go());
        assert_eq!(all.register("c", &[], id(9)), Err(Refusal::NoSuchFile("c".into())));
        all.register("b", &[], id(2)).unwrap();
        assert!(all.lets_runtime_go());
        all.runtime_starts();
        all.register("c", &events(&["INVOKE"]), id(3)).unwrap();
        assert_eq!(all.find(id(3)).unwrap().kind, Kind::Internal);
        assert!(!registry(&[]).lets_runtime_go(), "it does not wait");
    }

    #[test]
    fn init_waits_for_everyone_an_invoke_for_its_subscribers() {
        let mut all = registry(&["both", "end"]);
        assert!(!all.are_ready());
        all.register("both", &events(&["INVOKE", "SHUTDOWN"]), id(1)).unwrap();
        all.register("end", &events(&["SHUTDOWN"]), id(2)).unwrap();
        all.runtime_starts();
        all.next(id(1)).unwrap();
        assert!(!all.are_ready());
        all.next(id(2)).unwrap();
        assert!(all.are_ready());
        all.close();
        all.invoke_begins();
        assert!(!all.are_ready(), "it has not even been told");
        assert_eq!((all.deliver(id(1)), all.deliver(id(2))), (Some(Due::Invoke), None));
        assert_eq!(all.deliver(id(1)), None, "each is told once");
        assert!(!all.are_ready());
        all.next(id(1)).unwrap();
        assert!(all.are_ready());
    }

    #[test]
    fn at_the_end_who_wants_to_know_is_told_nothing_else() {
        let mut all = registry(&["both", "invoke", "end"]);
        for (number, (name, wants)) in
            [("both", &["INVOKE", "SHUTDOWN"][..]), ("invoke", &["INVOKE"]), ("end", &["SHUTDOWN"])].iter().enumerate()
        {
            all.register(name, &events(wants), id(number as u128 + 1)).unwrap();
            all.next(id(number as u128 + 1)).unwrap();
        }
        all.close();
        all.invoke_begins();
        all.shutdown_begins();
        let told: Vec<_> = (1..=3).map(|number| all.deliver(id(number))).collect();
        assert_eq!(told, [Some(Due::Shutdown), None, Some(Due::Shutdown)]);
    }

    #[test]
    fn registrations_are_checked() {
        let mut all = registry(&["a"]);
        assert_eq!(all.register("", &[], id(1)), Err(Refusal::EmptyName));
        assert_eq!(all.register(&"x".repeat(EXTENSION_NAME_BYTES + 1), &[], id(1)), Err(Refusal::LongName));
        assert_eq!(all.register("a", &events(&["PHONE"]), id(1)), Err(Refusal::InvalidEvent("PHONE".into())));
        all.register("a", &[], id(1)).unwrap();
        let again = all.register("a", &[], id(2));
        assert_eq!(again, Err(not_allowed(State::Registered, State::Registered, "a")));
        all.runtime_starts();
        assert_eq!(all.register("in", &events(&["SHUTDOWN"]), id(2)), Err(Refusal::InternalShutdown));
        for number in 2..=EXTENSIONS {
            all.register(&format!("in{number}"), &[], id(number as u128)).unwrap();
        }
        assert_eq!(all.register("eleventh", &[], id(99)), Err(Refusal::TooMany));
        let mut all = registry(&[]);
        all.close();
        assert_eq!(all.register("late", &[], id(1)), Err(Refusal::Closed));
    }

    #[test]
    fn the_eleventh_file_is_one_too_many() {
        let names: Vec<String> = (0..=EXTENSIONS).map(|number| format!("e{number}")).collect();
        let mut all = registry(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for (number, name) in names.iter().enumerate().take(EXTENSIONS) {
            all.register(name, &[], id(number as u128 + 1)).unwrap();
        }
        assert_eq!(all.register(&names[EXTENSIONS], &[], id(99)), Err(Refusal::TooMany));
        assert!(!all.lets_runtime_go());
    }

    #[test]
    fn calls_out_of_order_are_refused() {
        let mut all = registry(&["a", "b"]);
        assert_eq!(all.next(id(1)), Err(Refusal::Unknown(id(1))));
        assert_eq!(all.next(Uuid::nil()), Err(Refusal::Unknown(Uuid::nil())), "that of one that has not registered");
        all.register("a", &[], id(1)).unwrap();
        all.next(id(1)).unwrap();
        all.next(id(1)).unwrap();
        let late = all.report(id(1), Report::Init, "E");
        assert_eq!(late, Err(not_allowed(State::Ready, State::InitError, &id(1).to_string())));
        all.report(id(1), Report::Exit, "E").unwrap();
        all.report(id(1), Report::Exit, "E").unwrap();
        assert_eq!(all.next(id(1)), Err(not_allowed(State::ExitError, State::Ready, &id(1).to_string())));
        all.register("b", &[], id(2)).unwrap();
        all.report(id(2), Report::Init, "E").unwrap();
        all.ended(1, State::Exited, "Extension.Crash");
        let one = &all.all()[1];
        assert_eq!((one.state, one.error.as_deref()), (State::InitError, Some("E")), "its own word stands");
        assert!(!all.are_ready());
    }
}
