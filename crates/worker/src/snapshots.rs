//! The snapshots that there are: one of each generation that environments go on from, within a bound of memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_sandbox::Snapshot;
use hearth_types::limits::SNAPSHOTS_BYTES;
use tokio::sync::OnceCell;

use crate::template::NoSnapshot;

/// All of them, by generation. A generation is of one version of one function: no other ever gets its snapshot.
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

struct Kept {
    cell: Arc<OnceCell<Arc<Snapshot>>>,
    used: u64,
}

impl Snapshots {
    /// A generation's snapshot. Where there is none yet, `make` makes it, for all who ask meanwhile.
    pub(crate) async fn get<F>(&self, generation: u64, make: F) -> Result<Arc<Snapshot>, NoSnapshot>
    where
        F: AsyncFnOnce() -> Result<Snapshot, NoSnapshot>,
    {
        let cell = self.cell(generation);
        let made = cell.get_or_try_init(async || make().await.map(Arc::new)).await.map(Arc::clone);
        match &made {
            Ok(_) => self.make_room(generation),
            Err(_) => drop(self.lock().all.remove(&generation)),
        }
        made
    }

    /// Lets a generation's snapshot go; what runs from it keeps its pages.
    pub(crate) fn forget(&self, generation: u64) {
        self.lock().all.remove(&generation);
    }

    fn cell(&self, generation: u64) -> Arc<OnceCell<Arc<Snapshot>>> {
        let mut inner = self.lock();
        inner.turn += 1;
        let used = inner.turn;
        let kept = inner.all.entry(generation).or_insert_with(|| Kept { cell: Arc::default(), used });
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
