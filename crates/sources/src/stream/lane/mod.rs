//! What is done next with the records of one lane: a shard's, or those of a shard whose keys have the same hash.
//!
//! Records come in order and leave in order; one batch of them runs at a time. State in, decision out: time is passed in,
//! and whoever runs batches says what came of them.

mod window;

use std::collections::VecDeque;

use bytes::Bytes;
use hearth_types::limits::{STREAM_BATCH_BYTES, STREAM_RETRY, STREAM_RETRY_MAX};
use serde_json::Value;

use super::sequence::Sequence;
pub(crate) use window::{Open, Share};

/// How a mapping wants batches to be made and tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// Records of a batch at most.
    pub(crate) batch: usize,
    /// How long a batch may wait to be filled.
    pub(crate) window_ms: i64,
    /// How often a batch that failed is tried again; none is for as long as its records live.
    pub(crate) retries: Option<u32>,
    /// After which a record is given up.
    pub(crate) age_ms: Option<i64>,
    /// Whether a failed batch is tried again in halves.
    pub(crate) bisect: bool,
    /// The length of the windows whose batches share a state.
    pub(crate) tumbling_ms: Option<i64>,
}

/// A record that waits.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    /// Where it is.
    pub(crate) sequence: Sequence,
    /// What was read just before it; none at the beginning of the shard.
    pub(crate) before: Option<Sequence>,
    /// When the stream got it, in milliseconds since 1970.
    pub(crate) arrival_ms: i64,
    /// When it was read.
    pub(crate) seen_ms: i64,
    /// As the function gets it: JSON.
    pub(crate) event: Bytes,
}

/// What is known of the shard behind the records that were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behind {
    /// There is more to be read now.
    More,
    /// More may come.
    Quiet,
    /// Nothing comes any more.
    Closed,
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Next {
    /// Nothing before there are other records, or the batch that runs has ended.
    Nothing,
    /// Nothing before this time.
    At(i64),
    /// The function is to be invoked with the first records.
    Invoke {
        /// How many.
        records: usize,
        /// What the invoke is to its window, where there are windows.
        share: Option<Share>,
    },
    /// The first records are given up.
    GiveUp(GivenUp),
}

/// Records that are given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct GivenUp {
    /// How many; none where a window's end failed for good.
    pub(crate) records: usize,
    pub(crate) condition: Condition,
    /// `approximateInvokeCount`.
    pub(crate) invokes: u32,
}

/// Why records are given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    RetryAttemptsExhausted,
    RecordAgeExceeded,
}

impl Condition {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// What came of an invoke.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Outcome {
    /// All is done. The state that the function answered, where there are windows.
    Success(Value),
    /// All before the record of this place in the batch is done.
    From(usize, Value),
    /// The function failed.
    Failure,
    /// The function did not get it: there was no room, or it is gone.
    NotReached,
}

/// A batch that has been tried, or is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Trial {
    records: usize,
    is_final: bool,
    /// Invokes that failed.
    failures: u32,
    /// All that did not succeed, for the pauses.
    tries: u32,
    due_ms: i64,
    state: TrialState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TrialState {
    Waits,
    Runs,
    GivenUp,
}

/// Records in order, and what is being done with the first of them.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Lane {
    rules: Rules,
    records: VecDeque<Record>,
    trial: Option<Trial>,
    /// The sizes of the batches that are next, cut out of one that failed; the next one last.
    pieces: Vec<usize>,
    window: Option<Open>,
    done: Option<Sequence>,
}

impl Lane {
    pub(crate) fn new(rules: Rules, window: Option<Open>) -> Self {
        Self { rules, records: VecDeque::new(), trial: None, pieces: Vec::new(), window, done: None }
    }

    pub(crate) fn push(&mut self, record: Record) {
        self.records.push_back(record);
    }

    /// All that wait, the first first.
    pub(crate) fn records(&self) -> &VecDeque<Record> {
        &self.records
    }

    /// The last one that is done with.
    pub(crate) fn done(&self) -> Option<&Sequence> {
        self.done.as_ref()
    }

    /// The window that is open.
    pub(crate) fn window(&self) -> Option<&Open> {
        self.window.as_ref()
    }

    /// Whether nothing is left to be done, once the shard is closed.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.window.is_none() && self.trial.is_none()
    }

    /// What is to be done now. An invoke is taken as begun.
    pub(crate) fn next(&mut self, now_ms: i64, behind: Behind) -> Next {
        if let Some(trial) = self.trial {
            match trial.state {
                TrialState::Runs => return Next::Nothing,
                TrialState::GivenUp => return self.give_up(trial),
                TrialState::Waits => {}
            }
        }
        if let Some(too_old) = self.too_old(now_ms) {
            return too_old;
        }
        match self.trial {
            Some(trial) if now_ms < trial.due_ms => Next::At(trial.due_ms),
            Some(trial) => self.begin(trial, now_ms),
            None => self.gather(now_ms, behind),
        }
    }

    fn give_up(&self, trial: Trial) -> Next {
        let condition = Condition::RetryAttemptsExhausted;
        Next::GiveUp(GivenUp { records: trial.records, condition, invokes: trial.failures })
    }

    /// The first records that have waited for too long: of the batch that is tried, or as many as a batch may have.
    fn too_old(&self, now_ms: i64) -> Option<Next> {
        let age_ms = self.rules.age_ms?;
        let most = self.trial.map_or(self.rules.batch, |trial| trial.records);
        let records = self.records.iter().take(most).take_while(|one| now_ms - one.arrival_ms > age_ms).count();
        let invokes = self.trial.map_or(0, |trial| trial.failures).max(1);
        let given_up = GivenUp { records, condition: Condition::RecordAgeExceeded, invokes };
        (records > 0).then_some(Next::GiveUp(given_up))
    }

    fn begin(&mut self, trial: Trial, now_ms: i64) -> Next {
        self.trial = Some(Trial { state: TrialState::Runs, ..trial });
        let share = self.rules.tumbling_ms.map(|tumbling_ms| {
            let first_ms = self.records.front().map_or(now_ms, |record| record.arrival_ms);
            let open = self.window.get_or_insert_with(|| Open::at(first_ms, tumbling_ms));
            open.share(tumbling_ms, trial.is_final, now_ms)
        });
        Next::Invoke { records: trial.records, share }
    }

    /// Begins with a batch that is full, or has waited for long enough.
    fn gather(&mut self, now_ms: i64, behind: Behind) -> Next {
        if let Some(records) = self.pieces.pop() {
            return self.begin(Trial::new(records, false), now_ms);
        }
        if self.window_is_over(now_ms, behind) {
            return self.begin(Trial::new(0, true), now_ms);
        }
        let (records, is_full) = self.batch();
        let Some(first) = self.records.front() else {
            let open = self.window.as_ref().zip(self.rules.tumbling_ms).filter(|_| behind == Behind::Quiet);
            return open.map_or(Next::Nothing, |(open, tumbling_ms)| Next::At(open.end_ms(tumbling_ms)));
        };
        let due_ms = first.seen_ms + self.rules.window_ms;
        if is_full || behind == Behind::Closed || now_ms >= due_ms {
            return self.begin(Trial::new(records, false), now_ms);
        }
        Next::At(due_ms)
    }

    /// How many records the next batch has as of now, and whether it can have no more.
    fn batch(&self) -> (usize, bool) {
        let (mut records, mut bytes) = (0, 0);
        let window_end = self.rules.tumbling_ms.and_then(|tumbling_ms| {
            let first_ms = self.records.front()?.arrival_ms;
            let start_ms =
                self.window.as_ref().map_or_else(|| Open::at(first_ms, tumbling_ms).start_ms, |o| o.start_ms);
            Some(start_ms + tumbling_ms)
        });
        for record in &self.records {
            bytes += record.event.len() + 1;
            let is_of_later = window_end.is_some_and(|end_ms| record.arrival_ms >= end_ms);
            if records == self.rules.batch || is_of_later || (records > 0 && bytes > STREAM_BATCH_BYTES) {
                return (records, true);
            }
            records += 1;
        }
        (records, records == self.rules.batch)
    }

    /// Whether the open window has all its records, so that its end is next.
    fn window_is_over(&self, now_ms: i64, behind: Behind) -> bool {
        let (Some(open), Some(tumbling_ms)) = (&self.window, self.rules.tumbling_ms) else { return false };
        let end_ms = open.end_ms(tumbling_ms);
        open.is_overfull
            || match (self.records.front(), behind) {
                (Some(first), _) => first.arrival_ms >= end_ms,
                (None, Behind::More) => false,
                (None, Behind::Quiet) => now_ms >= end_ms,
                (None, Behind::Closed) => true,
            }
    }

    /// Takes in what came of the invoke that [`Self::next`] asked for.
    pub(crate) fn ended(&mut self, now_ms: i64, outcome: Outcome) {
        let Some(trial) = self.trial.take() else { return };
        let tried = Trial { state: TrialState::Waits, tries: trial.tries + 1, ..trial };
        match outcome {
            Outcome::Success(state) => {
                self.keep_state(trial.is_final, state);
                self.drop_first(trial.records);
            }
            Outcome::From(done, state) if 0 < done && done < trial.records => {
                self.keep_state(trial.is_final, state);
                self.drop_first(done);
                let due_ms = now_ms + pause_ms(1);
                self.trial = Some(Trial { due_ms, ..Trial::new(trial.records - done, false) });
            }
            Outcome::From(..) => self.failed(now_ms, tried, false),
            Outcome::Failure => self.failed(now_ms, tried, self.rules.bisect),
            Outcome::NotReached => self.trial = Some(Trial { due_ms: now_ms + pause_ms(tried.tries), ..tried }),
        }
    }

    fn failed(&mut self, now_ms: i64, trial: Trial, halve: bool) {
        let failures = trial.failures + 1;
        let due_ms = now_ms + pause_ms(trial.tries);
        let trial = if halve && trial.records > 1 {
            let first = trial.records / 2;
            self.pieces.push(trial.records - first);
            Trial { due_ms, ..Trial::new(first, false) }
        } else if self.rules.retries.is_some_and(|retries| failures > retries) {
            Trial { failures, state: TrialState::GivenUp, ..trial }
        } else {
            Trial { failures, due_ms, ..trial }
        };
        self.trial = Some(trial);
    }

    fn keep_state(&mut self, is_final: bool, state: Value) {
        if is_final {
            self.window = None;
        } else if let Some(open) = &mut self.window {
            open.keep(state);
        }
    }

    /// What [`Self::next`] wanted to be given up is gone.
    pub(crate) fn given_up(&mut self, given_up: &GivenUp) {
        match self.trial.take() {
            Some(trial) if trial.is_final => self.window = None,
            // What is left of a batch whose first records were too old is a batch of its own.
            Some(trial) if given_up.records < trial.records => {
                self.pieces.push(trial.records - given_up.records);
            }
            _ => {}
        }
        self.drop_first(given_up.records);
    }

    fn drop_first(&mut self, records: usize) {
        if let Some(last) = self.records.drain(..records.min(self.records.len())).last() {
            self.done = Some(last.sequence);
        }
    }
}

impl Trial {
    fn new(records: usize, is_final: bool) -> Self {
        Self { records, is_final, failures: 0, tries: 0, due_ms: 0, state: TrialState::Waits }
    }
}

/// Before a batch is tried again: longer from one to the next.
fn pause_ms(tries: u32) -> i64 {
    let pause = STREAM_RETRY.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(STREAM_RETRY_MAX);
    i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
