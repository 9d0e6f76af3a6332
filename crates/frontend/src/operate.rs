//! What the server asks of the dispatcher besides invokes: the timer, the drain, a look at the environments.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hearth_scheduler::{Activity, Event};
use hearth_worker::InitPhases;
use serde::Serialize;
use tracing::warn;

use crate::dispatcher::{Dispatcher, lock};
use crate::environments::Environments;

impl<W: Environments> Dispatcher<W> {
    /// Reaps idle environments, ends waits and makes environments ahead when that is due; runs until it is dropped. A manual
    /// clock does not go past what is due: it stands still until this sleeps.
    pub async fn run_timer(self: Arc<Self>) {
        let mut busy = self.clock.busy();
        loop {
            let (next, told) = {
                let mut core = lock(&self.core);
                core.armed = core.scheduler.next_tick();
                (core.armed, core.rearming.take())
            };
            let before = told.unwrap_or(busy);
            let Some(next) = next else {
                drop(before);
                self.earlier.notified().await;
                busy = self.clock.busy();
                continue;
            };
            busy = tokio::select! {
                busy = self.clock.rest_until_uptime(before, next) => { self.turn(Event::Tick); busy },
                () = self.earlier.notified() => self.clock.busy(),
            };
        }
    }

    /// Takes no more invokes, waits until those in flight are answered, at most for `patience`, then ends all
    /// environments.
    pub async fn drain(&self, patience: Duration) {
        self.draining.store(true, Ordering::SeqCst);
        let all_answered = async {
            while lock(&self.core).scheduler.in_flight() > 0 {
                self.quiet.notified().await;
            }
        };
        if tokio::time::timeout(patience, all_answered).await.is_err() {
            let left = lock(&self.core).scheduler.in_flight();
            warn!("{left} invokes were not answered within {} s and are ended", patience.as_secs());
        }
        // In the place of one that ends now none is made: it would be left, and waited for.
        self.turn(Event::Close);
        self.worker.drain().await;
    }

    /// Invokes in flight: those of each function that has any, by name, and those of all that reserve nothing.
    #[must_use]
    pub fn concurrency(&self) -> (Vec<(Arc<str>, u32)>, u32) {
        let keys = self.functions.keys();
        let core = lock(&self.core);
        let each = keys.into_iter().map(|(name, key)| (name, core.scheduler.in_flight_of(key)));
        (each.filter(|(_, count)| *count > 0).collect(), core.scheduler.unreserved_in_flight())
    }

    /// The living environments of a function's serving generations, oldest first; none where there is no such function.
    #[must_use]
    pub fn environments_of(&self, name: &str) -> Option<Vec<EnvironmentView>> {
        let entry = self.functions.get(name)?;
        let versions: HashMap<_, _> = entry.serving().map(|ready| (ready.generation(), ready.version)).collect();
        let core = lock(&self.core);
        let living = core.scheduler.environments(entry.key).into_iter();
        let views = living.filter_map(|(id, generation, activity)| {
            Some(EnvironmentView {
                id: id.to_string(),
                version: versions.get(&generation)?.to_string(),
                state: match activity {
                    Activity::Init => "Init",
                    Activity::Busy => "Busy",
                    Activity::Idle => "Idle",
                },
                init_phases: core.phases.get(&id).map(PhasesView::from),
            })
        });
        Some(views.collect())
    }
}

/// A living environment as operators see it.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnvironmentView {
    /// `env-7`.
    pub id: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// `Init`, `Busy` or `Idle`.
    pub state: &'static str,
    /// Once the first invoke has been answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_phases: Option<PhasesView>,
}

/// What a cold start was made of, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PhasesView {
    /// What was there before: `nothing`, `process`, `runtime`.
    pub found: &'static str,
    /// The sandbox.
    pub sandbox_ms: f64,
    /// The extensions' start, up to the last registration.
    pub extensions_ms: f64,
    /// The runtime's start.
    pub runtime_ms: f64,
    /// The function's own init.
    pub function_ms: f64,
}

impl From<&InitPhases> for PhasesView {
    fn from(phases: &InitPhases) -> Self {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        Self {
            found: phases.found.name(),
            sandbox_ms: ms(phases.sandbox),
            extensions_ms: ms(phases.extensions),
            runtime_ms: ms(phases.runtime),
            function_ms: ms(phases.function),
        }
    }
}
