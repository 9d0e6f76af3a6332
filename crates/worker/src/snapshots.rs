//! The snapshots that there are: one of each generation that environments go on from, within a bound of memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_sandbox::Snapshot;
use hearth_types::invoke::VersionSpec;
use hearth_types::limits::SNAPSHOTS_BYTES;
use tokio::sync::OnceCell;

use crate::template::NoSnapshot;

/// All of them, by generation. A generation is of one version of one function: no other ever gets its snapshot. Another
/// server numbers its generations anew, so each is kept with all that it is of.
#[derive(Default)]
pub(crate) struct Snapshots {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    all: HashMap<u64, Kept>,
    /// Grows with each use.
    turn: u64,
}

/// Empty until it is made.
type Cell = Arc<OnceCell<Arc<Snapshot>>>;

struct Kept {
    of: VersionSpec,
    cell: Cell,
    used: u64,
}

impl Snapshots {
    /// A generation's snapshot. Where there is none yet, `make` makes it, for all who ask meanwhile.
    pub(crate) async fn get<F>(&self, spec: &VersionSpec, make: F) -> Result<Arc<Snapshot>, NoSnapshot>
    where
        F: AsyncFnOnce() -> Result<Snapshot, NoSnapshot>,
    {
        let generation = spec.generation;
        let cell = self.cell(spec);
        let made = cell.get_or_try_init(async || make().await.map(Arc::new)).await.map(Arc::clone);
        match &made {
            Ok(_) => self.make_room(generation),
            Err(_) => self.forget_cell(generation, &cell),
        }
        made
    }

    /// Lets a generation's snapshot go; what runs from it keeps its pages.
    pub(crate) fn forget(&self, generation: u64) {
        self.lock().all.remove(&generation);
    }

    /// Lets all of them go.
    pub(crate) fn forget_all(&self) {
        self.lock().all.clear();
    }

    fn forget_cell(&self, generation: u64, cell: &Cell) {
        self.lock().all.retain(|of, kept| *of != generation || !Arc::ptr_eq(&kept.cell, cell));
    }

    fn cell(&self, spec: &VersionSpec) -> Cell {
        let mut inner = self.lock();
        inner.turn += 1;
        let used = inner.turn;
        let new = || Kept { of: spec.clone(), cell: Cell::default(), used };
        let kept = inner.all.entry(spec.generation).or_insert_with(new);
        if kept.of != *spec {
            *kept = new();
        }
        kept.used = used;
        Arc::clone(&kept.cell)
    }

    /// Lets those go that were used least recently; what runs from them keeps their pages.
    fn make_room(&self, just_used: u64) {
        let mut inner = self.lock();
        let bytes = |kept: &Kept| kept.cell.get().map_or(0, |snapshot| snapshot.bytes());
        while inner.all.values().map(bytes).sum::<u64>() > SNAPSHOTS_BYTES {
            let others = inner.all.iter().filter(|(generation, kept)| **generation != just_used && bytes(kept) > 0);
            let Some(oldest) = others.min_by_key(|(_, kept)| kept.used).map(|(generation, _)| *generation) else {
                return;
            };
            inner.all.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::spec;

    #[test]
    fn a_generation_that_means_another_version_has_nothing_yet() {
        let snapshots = Snapshots::default();
        let first = spec();
        let cell = snapshots.cell(&first);
        assert!(Arc::ptr_eq(&cell, &snapshots.cell(&first)));
        let other = VersionSpec { version: "8".into(), ..first.clone() };
        let others = snapshots.cell(&other);
        assert!(!Arc::ptr_eq(&cell, &others));
        snapshots.forget_cell(first.generation, &cell);
        assert!(Arc::ptr_eq(&others, &snapshots.cell(&other)), "that of another is not its to forget");
        snapshots.forget_all();
        assert!(!Arc::ptr_eq(&others, &snapshots.cell(&other)));
    }
}
