//! All groups of a store, by name.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_types::limits::{LOG_GROUPS, LOG_STORE_BYTES, LOG_STORE_SLACK};
use tracing::error;

use crate::about::About;
use crate::group::Group;
use crate::store::Refused;

/// None once the group is deleted: who waited for its lock must look it up anew.
type Slot = Arc<Mutex<Option<Group>>>;

/// The groups.
pub(crate) struct Groups {
    root: PathBuf,
    /// Held before the lock of a group, never after it.
    slots: Mutex<BTreeMap<Arc<str>, Slot>>,
    removed: AtomicU64,
    /// Bytes that came since the last look whether there is room for all.
    grown: AtomicU64,
}

/// Before the names of folders of groups that are deleted. No folder of a group begins with it.
const ASIDE: &str = "+deleted-";

impl Groups {
    /// Those in this folder. What a deletion left behind goes.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let mut slots = BTreeMap::new();
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(ASIDE) {
                fs::remove_dir_all(entry.path())?;
            } else if entry.file_type()?.is_dir() {
                match Group::open(entry.path()) {
                    Ok(Some(group)) => drop(slots.insert(Arc::clone(&group.name), slot(group))),
                    Ok(None) => {}
                    // One damaged group must not keep all others from being there.
                    Err(cause) => error!("the log group in {} cannot be read: {cause}", entry.path().display()),
                }
            }
        }
        Ok(Self {
            root: root.to_owned(),
            slots: Mutex::new(slots),
            removed: AtomicU64::new(0),
            grown: AtomicU64::new(0),
        })
    }

    /// Does something with a group.
    pub(crate) fn with<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Group) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let slot = self.slots().get(name).cloned().ok_or(Refused::NoGroup)?;
        let mut group = lock(&slot);
        group.as_mut().map_or(Err(Refused::NoGroup), work)
    }

    /// Does something with a group, which is made where there is none.
    pub(crate) fn with_made<T>(
        &self,
        name: &Arc<str>,
        now_ms: i64,
        work: impl FnOnce(&mut Group) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let slot = {
                let mut slots = self.slots();
                match slots.get(name) {
                    Some(slot) => Arc::clone(slot),
                    None => {
                        let made = slot(Group::create(&self.root, About::new(name, now_ms))?);
                        slots.insert(Arc::clone(name), Arc::clone(&made));
                        made
                    }
                }
            };
            if let Some(group) = lock(&slot).as_mut() {
                return work(group);
            }
        }
    }

    pub(crate) fn create(&self, about: About) -> Result<(), Refused> {
        let mut slots = self.slots();
        if slots.contains_key(about.name.as_str()) {
            return Err(Refused::GroupExists);
        }
        if slots.len() >= LOG_GROUPS {
            return Err(Refused::TooManyGroups);
        }
        let group = Group::create(&self.root, about)?;
        slots.insert(Arc::clone(&group.name), slot(group));
        Ok(())
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), Refused> {
        let aside = self.root.join(format!("{ASIDE}{}", self.removed.fetch_add(1, Ordering::Relaxed)));
        {
            let mut slots = self.slots();
            let slot = slots.get(name).cloned().ok_or(Refused::NoGroup)?;
            let mut group = lock(&slot);
            if let Some(group) = group.as_mut() {
                group.remove(&aside)?;
            }
            *group = None;
            slots.remove(name);
        }
        // Deleted it is already; what stays of the files goes at the next start.
        if let Err(cause) = fs::remove_dir_all(&aside) {
            error!("{}: {cause}", aside.display());
        }
        Ok(())
    }

    /// Groups in the order of their names, those behind `after`, as long as `work` wants more.
    pub(crate) fn each(&self, after: Option<&str>, mut work: impl FnMut(&mut Group) -> bool) {
        let mut after: Option<Arc<str>> = after.map(Arc::from);
        loop {
            let next = {
                let slots = self.slots();
                let behind = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                slots.range::<str, _>((behind, Bound::Unbounded)).next().map(|(n, s)| (Arc::clone(n), Arc::clone(s)))
            };
            let Some((name, slot)) = next else { return };
            let wants_more = lock(&slot).as_mut().is_none_or(&mut work);
            if !wants_more {
                return;
            }
            after = Some(name);
        }
    }

    /// So many bytes have come: sees to it in time that there is room for all.
    pub(crate) fn grew(&self, bytes: u64, now_ms: i64) {
        if self.grown.fetch_add(bytes, Ordering::Relaxed) + bytes >= LOG_STORE_SLACK {
            self.tidy(now_ms);
        }
    }

    /// Removes lines whose retention is over, and the oldest of the largest groups where all together are too large.
    pub(crate) fn tidy(&self, now_ms: i64) {
        self.grown.store(0, Ordering::Relaxed);
        let mut sizes: Vec<(u64, Arc<str>)> = Vec::new();
        self.each(None, |group| {
            if let Err(cause) = group.expire(now_ms) {
                error!("{}: old lines of the log cannot be removed: {cause}", group.name);
            }
            sizes.push((group.bytes(), Arc::clone(&group.name)));
            true
        });
        self.fit(sizes, LOG_STORE_BYTES);
    }

    pub(crate) fn fit(&self, mut sizes: Vec<(u64, Arc<str>)>, most: u64) {
        let mut all: u64 = sizes.iter().map(|(bytes, _)| bytes).sum();
        while all > most {
            let Some((bytes, name)) = sizes.iter_mut().max().filter(|(bytes, _)| *bytes > 0) else { return };
            match self.with(name, |group| Ok((group.remove_oldest()?, group.bytes()))) {
                Ok((true, left)) => {
                    all -= bytes.saturating_sub(left);
                    *bytes = left;
                }
                // It has only the file that is written to.
                Ok((false, _)) => *bytes = 0,
                Err(cause) => {
                    error!("{name}: old lines of the log cannot be removed: {cause}");
                    *bytes = 0;
                }
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slot(group: Group) -> Slot {
    Arc::new(Mutex::new(Some(group)))
}

fn lock(slot: &Slot) -> MutexGuard<'_, Option<Group>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
