//! A model of how an event is held: due in its queue, taken in memory, run, ended by a commit, with crashes anywhere. All
//! its states are searched, with what is decided about an event by the code itself. Variants that are wrong must be found
//! wrong: what they do is what the code must never come to.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use hearth_fleet::Timing;
use hearth_types::RequestId;
use uuid::Uuid;

use crate::Attempt;
use crate::decide::{After, Rules, after, before};
use crate::event::Event;

/// Who may take an event at a time.
const POLLERS: usize = 2;
const CRASHES: u32 = 2;
const RETRIES: u32 = 1;

/// What is different from what the code does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Variant {
    Right,
    /// The client hears of it before it is kept.
    AnsweredFirst,
    /// Taking an event takes it out of its queue.
    TakenOut,
    /// The event goes, and the record of its end is put by another commit.
    RecordLater,
    /// The record of its end is put, and the event goes by another commit.
    RecordEarlier,
    /// What is held in memory is looked for again.
    HeldIsFound,
    /// As that, and a commit does not compare what it changes with what was found.
    NotCompared,
    /// A crash leaves an event held that nobody holds.
    HeldForEver,
}

/// What a poller is at.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Poller {
    Free,
    Holds(Kept),
    /// The function has answered, well or not.
    Ran(Kept, bool),
    /// Half of what [`Variant::RecordLater`] or [`Variant::RecordEarlier`] does.
    Half(Kept),
}

/// The event as its queue has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Kept {
    due_ms: i64,
    attempts: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    now_ms: i64,
    sent: bool,
    answered: bool,
    kept: Option<Kept>,
    /// Only [`Variant::HeldForEver`] writes it down.
    marked: bool,
    pollers: Vec<Poller>,
    runs: u32,
    records: u32,
    crashes: u32,
}

impl State {
    fn start() -> Self {
        Self {
            now_ms: 0,
            sent: false,
            answered: false,
            kept: None,
            marked: false,
            pollers: vec![Poller::Free; POLLERS],
            runs: 0,
            records: 0,
            crashes: 0,
        }
    }

    /// What must hold always.
    fn fault(&self) -> Option<&'static str> {
        if self.answered && self.kept.is_none() && self.records == 0 && !self.is_in_work() {
            return Some("it is lost");
        }
        if self.records > 1 {
            return Some("its end is told twice");
        }
        if self.runs > 1 + RETRIES + self.crashes {
            return Some("it runs more often than attempts and crashes explain");
        }
        None
    }

    /// Somebody may still end it. What is in memory alone does not count once a crash has come.
    fn is_in_work(&self) -> bool {
        self.pollers.iter().any(|poller| *poller != Poller::Free)
    }

    /// Somebody was told that it is kept, or it is.
    fn is_wanted(&self) -> bool {
        self.answered || self.kept.is_some()
    }

    fn is_over(&self) -> bool {
        self.records == 1 && self.kept.is_none() && !self.is_in_work()
    }

    /// All that can happen next.
    fn next(&self, variant: Variant) -> Vec<Self> {
        let mut all = Vec::new();
        self.accept(variant, &mut all);
        for at in 0..POLLERS {
            self.poll(at, variant, &mut all);
        }
        // Nothing is due: time passes until something is.
        if let Some(kept) = &self.kept
            && kept.due_ms > self.now_ms
        {
            all.push(Self { now_ms: kept.due_ms, ..self.clone() });
        }
        if self.crashes < CRASHES {
            let pollers = vec![Poller::Free; POLLERS];
            all.push(Self { pollers, crashes: self.crashes + 1, sent: self.sent || self.answered, ..self.clone() });
        }
        all
    }

    fn accept(&self, variant: Variant, all: &mut Vec<Self>) {
        let kept = Some(Kept { due_ms: self.now_ms, attempts: 0 });
        match variant {
            Variant::AnsweredFirst if !self.answered => all.push(Self { answered: true, ..self.clone() }),
            Variant::AnsweredFirst if !self.sent => all.push(Self { sent: true, kept, ..self.clone() }),
            _ if !self.sent => all.push(Self { sent: true, kept, ..self.clone() }),
            _ if !self.answered && self.crashes == 0 => all.push(Self { answered: true, ..self.clone() }),
            _ => {}
        }
    }

    fn poll(&self, at: usize, variant: Variant, all: &mut Vec<Self>) {
        let with = |poller: Poller| {
            let mut next = self.clone();
            next.pollers[at] = poller;
            next
        };
        match &self.pollers[at] {
            Poller::Free => {
                let Some(kept) = self.kept.clone().filter(|kept| kept.due_ms <= self.now_ms) else { return };
                let skipped = self.is_in_work() && !matches!(variant, Variant::HeldIsFound | Variant::NotCompared);
                if skipped || self.marked {
                    return;
                }
                let mut next = with(Poller::Holds(kept));
                if variant == Variant::TakenOut {
                    next.kept = None;
                }
                next.marked = variant == Variant::HeldForEver;
                all.push(next);
            }
            Poller::Holds(kept) => all.extend([true, false].map(|well| {
                let next = with(Poller::Ran(kept.clone(), well));
                Self { runs: self.runs + 1, ..next }
            })),
            Poller::Ran(kept, well) => all.push(self.ended(at, kept, *well, variant)),
            Poller::Half(kept) => {
                let mut next = with(Poller::Free);
                if variant == Variant::RecordLater {
                    next.records += 1;
                } else if next.is_as_found(kept, variant) {
                    next.kept = None;
                }
                all.push(next);
            }
        }
    }

    /// One commit of what the code decides.
    fn ended(&self, at: usize, kept: &Kept, well: bool, variant: Variant) -> Self {
        let mut next = self.clone();
        next.pollers[at] = Poller::Free;
        next.marked = false;
        if !self.is_as_found(kept, variant) {
            return next;
        }
        let event = event(kept);
        assert_eq!(before(self.now_ms, &event, &rules()), None, "no event of the model is too old");
        match after(self.now_ms, event, &rules(), answer(well)) {
            After::Again { event, due_ms, .. } => next.kept = Some(Kept { due_ms, attempts: event.attempts }),
            After::Ended(..) => match variant {
                Variant::RecordLater => (next.kept, next.pollers[at]) = (None, Poller::Half(kept.clone())),
                Variant::RecordEarlier => {
                    next.records += 1;
                    next.pollers[at] = Poller::Half(kept.clone());
                }
                _ => {
                    next.kept = None;
                    next.records += 1;
                }
            },
            After::Throttled | After::Forgotten => panic!("an answer ends an attempt"),
        }
        next
    }

    /// Whether a commit finds the event as it was found; the queue's rule.
    fn is_as_found(&self, kept: &Kept, variant: Variant) -> bool {
        match variant {
            Variant::TakenOut | Variant::NotCompared => true,
            _ => self.kept.as_ref().is_some_and(|now| now.due_ms == kept.due_ms),
        }
    }
}

fn event(kept: &Kept) -> Event {
    Event {
        id: RequestId(Uuid::nil()),
        qualifier: None,
        accepted_ms: 0,
        trace_id: String::new(),
        tenant: None,
        attempts: kept.attempts,
        failures: 0,
        last: None,
    }
}

fn rules() -> Rules {
    let timing = Timing { retry_base: Duration::from_secs(60) };
    Rules { retries: RETRIES, age_ms: 21_600_000, reserved: None, timing }
}

fn answer(well: bool) -> Attempt {
    Attempt::Ran { payload: Bytes::from_static(b"{}"), function_error: !well, version: "1".into(), trace_id: "".into() }
}

/// Searches all states; gives how many there are, or what is wrong with one, and the way there.
fn search(variant: Variant) -> Result<usize, (&'static str, Vec<State>)> {
    let mut ways: Vec<(State, Option<usize>)> = vec![(State::start(), None)];
    let (mut known, mut open) = (HashSet::from([State::start()]), VecDeque::from([0]));
    while let Some(at) = open.pop_front() {
        let state = ways[at].0.clone();
        let next = state.next(variant);
        // Without a crash more, somebody has something to do until it is over.
        let is_stuck = next.iter().all(|other| other.crashes > state.crashes);
        let fault = state.fault().or((is_stuck && state.is_wanted() && !state.is_over()).then_some("nobody ends it"));
        if let Some(fault) = fault {
            return Err((fault, way_to(&ways, at)));
        }
        for other in next {
            if known.insert(other.clone()) {
                ways.push((other, Some(at)));
                open.push_back(ways.len() - 1);
            }
        }
    }
    Ok(ways.len())
}

fn way_to(ways: &[(State, Option<usize>)], mut at: usize) -> Vec<State> {
    let mut way = vec![ways[at].0.clone()];
    while let Some(before) = ways[at].1 {
        at = before;
        way.insert(0, ways[at].0.clone());
    }
    way
}

#[test]
fn whatever_happens_an_accepted_event_is_run_and_its_end_is_told_once() {
    let states = search(Variant::Right).unwrap_or_else(|(fault, way)| panic!("{fault}: {way:#?}"));
    assert!(states > 100, "{states}");
}

#[test]
fn each_wrong_variant_is_found_wrong() {
    for (variant, expected) in [
        (Variant::AnsweredFirst, "it is lost"),
        (Variant::TakenOut, "it is lost"),
        (Variant::RecordLater, "it is lost"),
        (Variant::RecordEarlier, "its end is told twice"),
        (Variant::HeldIsFound, "it runs more often than attempts and crashes explain"),
        (Variant::NotCompared, "its end is told twice"),
        (Variant::HeldForEver, "nobody ends it"),
    ] {
        let found = search(variant).map_err(|(fault, _)| fault);
        assert_eq!(found, Err(expected), "{variant:?}");
    }
}
