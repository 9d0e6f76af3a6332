//! All groups of a store, by name.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_types::limits::{LOG_GROUPS, LOG_STORE_BYTES, LOG_STORE_SLACK, LOG_YOUNG_SETTLED};
use tracing::error;

use crate::about::About;
use crate::allowance::Allowance;
use crate::group::{Group, folder};
use crate::queue::{Arrived, Dropped};
use crate::record::LogLine;
use crate::store::{GroupInfo, Refused};
use crate::young::{Nursery, Young, remove_folder};

/// A group, which has a folder of its own or is young.
pub(crate) enum Kept {
    Young(Young),
    Settled(Box<Group>),
}

impl Kept {
    /// What there is to know of it.
    pub(crate) fn info(&self) -> GroupInfo {
        match self {
            Self::Young(young) => GroupInfo {
                name: Arc::clone(&young.name),
                created_ms: young.created_ms,
                retention_days: None,
                bytes: young.bytes(),
            },
            Self::Settled(group) => GroupInfo {
                name: Arc::clone(&group.name),
                created_ms: group.about.created_ms,
                retention_days: group.about.retention_days,
                bytes: group.bytes(),
            },
        }
    }

    /// The next line opens the file again.
    pub(crate) fn close_file(&mut self) {
        if let Self::Settled(group) = self {
            group.close_file();
        }
    }

    fn allowance(&mut self) -> &mut Allowance {
        match self {
            Self::Young(young) => &mut young.allowance,
            Self::Settled(group) => &mut group.allowance,
        }
    }
}

/// What became of lines that came.
pub(crate) struct Appended {
    /// Those that are on file.
    pub(crate) lines: Vec<LogLine>,
    /// Those that the group had no room for.
    pub(crate) dropped: Option<Dropped>,
    /// Whether the group has a file open now.
    pub(crate) is_open: bool,
}

/// None once the group is deleted: who waited for its lock must look it up anew.
type Slot = Arc<Mutex<Option<Kept>>>;

/// The groups.
pub(crate) struct Groups {
    root: PathBuf,
    /// Held before the lock of a group, never after it.
    slots: Mutex<BTreeMap<Arc<str>, Slot>>,
    nursery: Nursery,
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
                    Ok(Some(group)) => drop(slots.insert(Arc::clone(&group.name), settled(group))),
                    Ok(None) => {}
                    // One damaged group must not keep all others from being there.
                    Err(cause) => error!("the log group in {} cannot be read: {cause}", entry.path().display()),
                }
            }
        }
        let (nursery, young) = Nursery::open(root)?;
        slots.extend(young.into_iter().map(|young| (Arc::clone(&young.name), slot(Kept::Young(young)))));
        Ok(Self {
            root: root.to_owned(),
            slots: Mutex::new(slots),
            nursery,
            removed: AtomicU64::new(0),
            grown: AtomicU64::new(0),
        })
    }

    /// Does something with a group, which settles where it is young.
    pub(crate) fn with<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Group) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let slot = self.slots().get(name).cloned().ok_or(Refused::NoGroup)?;
        let mut kept = lock(&slot);
        let kept = kept.as_mut().ok_or(Refused::NoGroup)?;
        loop {
            match kept {
                Kept::Settled(group) => return work(group),
                Kept::Young(young) => *kept = Kept::Settled(Box::new(young.settle(&self.root, &self.nursery)?)),
            }
        }
    }

    /// Does something with a group as it is.
    pub(crate) fn with_kept<T>(&self, name: &str, work: impl FnOnce(&mut Kept) -> T) -> Result<T, Refused> {
        let slot = self.slots().get(name).cloned().ok_or(Refused::NoGroup)?;
        lock(&slot).as_mut().map(work).ok_or(Refused::NoGroup)
    }

    /// Puts lines on file, those that the group has room for. It is made where there is none.
    pub(crate) fn append(&self, name: &Arc<str>, lines: &[Arrived], now_ms: i64) -> io::Result<Appended> {
        loop {
            let slot = {
                let mut slots = self.slots();
                match slots.get(name) {
                    Some(slot) => Arc::clone(slot),
                    None => {
                        let made = slot(self.make(name, now_ms)?);
                        slots.insert(Arc::clone(name), Arc::clone(&made));
                        made
                    }
                }
            };
            // None: it has been deleted meanwhile.
            if let Some(kept) = lock(&slot).as_mut() {
                return self.append_to(kept, lines, now_ms);
            }
        }
    }

    /// A new group for lines.
    fn make(&self, name: &Arc<str>, now_ms: i64) -> io::Result<Kept> {
        // One that could not be read at the start goes on behind what it has.
        let is_damaged = About::is_in(&folder(&self.root, name))?;
        Ok(if is_damaged {
            Kept::Settled(Box::new(Group::create(&self.root, About::new(name, now_ms))?))
        } else {
            Kept::Young(Young::new(name, now_ms))
        })
    }

    fn append_to(&self, kept: &mut Kept, lines: &[Arrived], now_ms: i64) -> io::Result<Appended> {
        let (mut admitted, mut dropped) = (Vec::with_capacity(lines.len()), None);
        for line in lines {
            if kept.allowance().take(line.message.len(), now_ms) {
                admitted.push(line.new_line());
            } else {
                let before = dropped.map_or(0, |dropped: Dropped| dropped.lines);
                dropped = Some(Dropped { lines: before + 1, stream: Arc::clone(&line.stream) });
            }
        }
        loop {
            match kept {
                Kept::Young(young) => match young.append(&self.nursery, &admitted, now_ms)? {
                    Some(lines) => return Ok(Appended { lines, dropped, is_open: false }),
                    None => *kept = Kept::Settled(Box::new(young.settle(&self.root, &self.nursery)?)),
                },
                Kept::Settled(group) => {
                    let lines = admitted.iter().map(|new| group.push(new, now_ms)).collect::<io::Result<Vec<_>>>()?;
                    group.flush()?;
                    return Ok(Appended { lines, dropped, is_open: group.is_open() });
                }
            }
        }
    }

    /// Settles some of the groups whose shared file is to go. Whether there are more.
    pub(crate) fn settle_some(&self) -> Result<bool, Refused> {
        let leaving = self.nursery.leaving(LOG_YOUNG_SETTLED)?;
        for name in &leaving {
            match self.with(name, |_| Ok(self.nursery.leave(name)?)) {
                // It could not be read at the start.
                Err(Refused::NoGroup) => self.nursery.leave(name)?,
                settled => settled?,
            }
        }
        Ok(!leaving.is_empty())
    }

    /// Makes a group, on stable storage. Of one that is there it is said only when that is too.
    pub(crate) fn create(&self, about: About) -> Result<(), Refused> {
        loop {
            {
                let mut slots = self.slots();
                if !slots.contains_key(about.name.as_str()) {
                    if slots.len() >= LOG_GROUPS {
                        return Err(Refused::TooManyGroups);
                    }
                    let group = Group::create(&self.root, about)?;
                    slots.insert(Arc::clone(&group.name), settled(group));
                    return Ok(());
                }
            }
            match self.with(&about.name, |_| Err(Refused::GroupExists)) {
                // It has been deleted meanwhile.
                Err(Refused::NoGroup) => {}
                refused => return refused,
            }
        }
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), Refused> {
        let aside = self.root.join(format!("{ASIDE}{}", self.removed.fetch_add(1, Ordering::Relaxed)));
        {
            let mut slots = self.slots();
            let slot = slots.get(name).cloned().ok_or(Refused::NoGroup)?;
            let mut kept = lock(&slot);
            match kept.as_mut() {
                Some(Kept::Settled(group)) => {
                    // Ahead of the folder: it must not come back from a shared file.
                    self.nursery.leave(name)?;
                    self.nursery.sync()?;
                    group.remove(&aside)?;
                }
                Some(Kept::Young(young)) => {
                    young.remove(&self.root, &aside, &self.nursery)?;
                }
                None => {}
            }
            *kept = None;
            slots.remove(name);
        }
        // Deleted it is already; what stays of the files goes at the next start.
        if let Err(cause) = remove_folder(&aside) {
            error!("{}: {cause}", aside.display());
        }
        Ok(())
    }

    /// Groups in the order of their names, those behind `after`, as long as `work` wants more.
    pub(crate) fn each(&self, after: Option<&str>, mut work: impl FnMut(&mut Kept) -> bool) {
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
        if let Err(cause) = self.nursery.tidy(now_ms) {
            error!("first lines of log groups cannot be put in another file: {cause}");
        }
        let mut sizes: Vec<(u64, Arc<str>)> = Vec::new();
        self.each(None, |kept| {
            // All young ones together have a bound, and none has a retention.
            let Kept::Settled(group) = kept else { return true };
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

    #[cfg(test)]
    pub(crate) fn nursery(&self) -> &Nursery {
        &self.nursery
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slot(kept: Kept) -> Slot {
    Arc::new(Mutex::new(Some(kept)))
}

fn settled(group: Group) -> Slot {
    slot(Kept::Settled(Box::new(group)))
}

fn lock(slot: &Slot) -> MutexGuard<'_, Option<Kept>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
