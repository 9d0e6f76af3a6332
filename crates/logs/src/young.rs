//! Groups that lines have just made. They are young: in memory, and their lines in a file that all of them share, until
//! they settle, each in a folder of its own. To make a folder and two files for a function's first lines takes longer than
//! all else that the server does for its first start, and many never get more lines, or are deleted.
//!
//! A shared file is a sequence of entries: lines of one group, or that a group has left. A group is in one shared file at a
//! time. There are at most two: the newer one takes entries until it is full or old, and a new one is begun; the groups of
//! the older one settle until it can go.
//!
//! **Crashes.** A group settles in three steps: its lines are put on stable storage in a file in its folder; then
//! `group.json` is, which makes the folder a group; then the shared file is told that it has left. After a crash
//! - before the second step it is young again: a folder without `group.json` is no group, and goes at the start. Where a
//!   step fails without a crash, the next attempt knows by its sequence what is on file already ([`Group::settle`]);
//! - behind the second step the folder has all, and what the shared file has of the group is passed over
//!   ([`Shared::open`]). That it has left is said at the latest when the group or the file is to go.
//!
//! A young group is deleted by the entry that says it has left, on stable storage. Nor may a settled group that is deleted come
//! back from a shared file: that it has left is on stable storage before its folder goes ([`Nursery::sync`]).

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_types::limits::{LOG_GROUP_CHARS, LOG_YOUNG_BYTES, LOG_YOUNG_FILE_AGE, LOG_YOUNG_FILE_BYTES};
use tracing::error;

use crate::about::{About, sync_folder};
use crate::allowance::Allowance;
use crate::group::{Group, NewLine, first_sequence, folder};
use crate::record::{self, LogLine, Records};
use crate::segment::remove_file;

/// A group without a folder of its own.
pub(crate) struct Young {
    pub(crate) name: Arc<str>,
    pub(crate) created_ms: i64,
    pub(crate) allowance: Allowance,
    /// Its lines, as a file has them.
    records: Vec<u8>,
    /// The sequence of the next line.
    next: u64,
}

impl Young {
    /// One without lines.
    pub(crate) fn new(name: &Arc<str>, now_ms: i64) -> Self {
        Self {
            name: Arc::clone(name),
            created_ms: now_ms,
            allowance: Allowance::default(),
            records: Vec::new(),
            next: first_sequence(now_ms),
        }
    }

    /// Bytes of its lines.
    pub(crate) fn bytes(&self) -> u64 {
        self.records.len() as u64
    }

    /// Puts lines on file, all or none. None where they have no room: the group is to settle.
    pub(crate) fn append(
        &mut self,
        nursery: &Nursery,
        lines: &[NewLine<'_>],
        now_ms: i64,
    ) -> io::Result<Option<Vec<LogLine>>> {
        // An entry without lines says something else.
        if lines.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let messages: usize = lines.iter().map(|line| line.message.len()).sum();
        if self.records.len() + messages > LOG_YOUNG_BYTES || self.name.len() > NAME_BYTES {
            return Ok(None);
        }
        let (mut records, mut taken) = (Vec::new(), Vec::with_capacity(lines.len()));
        for (line, sequence) in lines.iter().zip(self.next..) {
            let line = line.at(sequence);
            record::write(&line, &mut records);
            taken.push(line);
        }
        let has_room = self.records.len() + records.len() <= LOG_YOUNG_BYTES;
        if !has_room || !nursery.append(&self.name, &entry(&self.name, self.created_ms, &records), now_ms)? {
            return Ok(None);
        }
        self.records.extend_from_slice(&records);
        self.next += taken.len() as u64;
        Ok(Some(taken))
    }

    /// The same group in a folder of its own, on stable storage. Where that fails it stays young.
    pub(crate) fn settle(&self, root: &Path, nursery: &Nursery) -> io::Result<Group> {
        let about = About::new(&self.name, self.created_ms);
        let mut group = Group::settle(root, about, Records(&self.records))?;
        group.allowance = self.allowance;
        nursery.leave(&self.name)?;
        Ok(group)
    }

    /// Deletes it: after this there is no such group, on stable storage. What attempts to settle have left goes to `aside`.
    pub(crate) fn remove(&self, root: &Path, aside: &Path, nursery: &Nursery) -> io::Result<()> {
        match fs::rename(folder(root, &self.name), aside) {
            Ok(()) => sync_folder(root)?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause),
        }
        nursery.leave(&self.name)?;
        nursery.sync()
    }
}

/// The shared files.
pub(crate) struct Nursery {
    root: PathBuf,
    files: Mutex<Files>,
}

struct Files {
    /// At most [`FILES`]; the last one takes entries.
    shared: VecDeque<Shared>,
    /// All numbers that there are in names of files are below this one.
    number: u64,
}

const FILES: usize = 2;

struct Shared {
    /// In its name: when it was made, in milliseconds since 1970, or a larger one.
    number: u64,
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Those that are in it and have not left.
    groups: HashSet<Arc<str>>,
    /// Whether it says of a group that it has left, and that may not be on stable storage.
    is_unsynced: bool,
}

/// Before the number in a shared file's name. No folder of a group begins with it.
const PREFIX: &str = "+young-";

impl Nursery {
    /// The shared files in a store's folder, and the young groups that they have.
    pub(crate) fn open(root: &Path) -> io::Result<(Self, Vec<Young>)> {
        let (mut shared, mut groups) = (VecDeque::new(), BTreeMap::new());
        let numbers = numbers(root)?;
        for number in &numbers {
            match Shared::open(root, *number) {
                Ok((file, young)) => {
                    shared.push_back(file);
                    // A group is in a later file only where it was deleted before, which is on stable storage.
                    groups.extend(young);
                }
                // It must not keep all others from being there.
                Err(cause) => {
                    error!("{}/{PREFIX}{number} with lines of the log cannot be read: {cause}", root.display())
                }
            }
        }
        let number = numbers.last().map_or(0, |last| last + 1);
        let files = Mutex::new(Files { shared, number });
        Ok((Self { root: root.to_owned(), files }, groups.into_values().collect()))
    }

    /// Puts an entry of a group on file. False where it has no room there: the file is full and there is an older one yet, or
    /// the group is in the older one.
    fn append(&self, group: &Arc<str>, entry: &[u8], now_ms: i64) -> io::Result<bool> {
        let mut files = self.lock();
        let has_room = |file: &Shared| file.bytes + entry.len() as u64 <= LOG_YOUNG_FILE_BYTES;
        if !files.shared.back().is_some_and(has_room) {
            if files.shared.len() >= FILES {
                return Ok(false);
            }
            files.begin(&self.root, now_ms)?;
        }
        let Some((last, older)) = files.shared.make_contiguous().split_last_mut() else { return Ok(false) };
        if older.iter().any(|file| file.groups.contains(group)) {
            return Ok(false);
        }
        last.write(entry)?;
        last.groups.insert(Arc::clone(group));
        Ok(true)
    }

    /// Begins a new file where the newer one has had its time: the groups in it are to settle, and it is to go.
    pub(crate) fn tidy(&self, now_ms: i64) -> io::Result<()> {
        let mut files = self.lock();
        let begun_before = millis(now_ms).saturating_sub(LOG_YOUNG_FILE_AGE.as_millis() as u64);
        let is_old = |file: &Shared| file.bytes > 0 && file.number <= begun_before;
        if files.shared.len() < FILES && files.shared.back().is_some_and(is_old) {
            files.begin(&self.root, now_ms)?;
        }
        Ok(())
    }

    /// A group is no more in a shared file, because it has settled or is deleted.
    pub(crate) fn leave(&self, group: &str) -> io::Result<()> {
        let mut files = self.lock();
        let Some(file) = files.shared.iter_mut().find(|file| file.groups.contains(group)) else { return Ok(()) };
        file.write(&entry(group, 0, &[]))?;
        file.is_unsynced = true;
        file.groups.remove(group);
        Ok(())
    }

    /// Returns once it is on stable storage which groups have left.
    pub(crate) fn sync(&self) -> io::Result<()> {
        for file in &mut self.lock().shared {
            if file.is_unsynced {
                file.file.sync_data()?;
                file.is_unsynced = false;
            }
        }
        Ok(())
    }

    /// Some groups of the older file, at most so many: those that are to settle next. What has none any more goes.
    pub(crate) fn leaving(&self, most: usize) -> io::Result<Vec<Arc<str>>> {
        let mut files = self.lock();
        while files.shared.len() > 1
            && let Some(oldest) = files.shared.front()
        {
            if !oldest.groups.is_empty() {
                return Ok(oldest.groups.iter().take(most).cloned().collect());
            }
            remove_file(&oldest.path)?;
            // Before a settled group of it is deleted, which would come back with the file.
            sync_folder(&self.root)?;
            files.shared.pop_front();
        }
        Ok(Vec::new())
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn begin(&mut self, root: &Path, now_ms: i64) -> io::Result<()> {
        let number = self.number.max(millis(now_ms));
        self.number = number + 1;
        self.shared.push_back(Shared::create(root, number)?);
        Ok(())
    }
}

impl Shared {
    fn create(root: &Path, number: u64) -> io::Result<Self> {
        let path = path(root, number);
        let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        Ok(Self { number, path, file, bytes: 0, groups: HashSet::new(), is_unsynced: false })
    }

    /// One that is there, and the groups that are in it. A torn entry at its end is cut off: it would hide those to come.
    fn open(root: &Path, number: u64) -> io::Result<(Self, BTreeMap<Arc<str>, Young>)> {
        let path = path(root, number);
        let bytes = fs::read(&path)?;
        let mut groups: BTreeMap<Arc<str>, Young> = BTreeMap::new();
        let mut rest = bytes.as_slice();
        while let Some((entry, behind)) = read(rest) {
            rest = behind;
            if entry.records.is_empty() {
                groups.remove(entry.group);
            } else {
                let name: Arc<str> = entry.group.into();
                let young = groups.entry(Arc::clone(&name)).or_insert_with(|| Young::new(&name, entry.created_ms));
                young.next = Records(entry.records).last().map_or(young.next, |last| last.sequence + 1);
                young.records.extend_from_slice(entry.records);
            }
        }
        let whole = (bytes.len() - rest.len()) as u64;
        let file = OpenOptions::new().append(true).open(&path)?;
        if !rest.is_empty() {
            file.set_len(whole)?;
        }
        let mut shared = Self { number, path, file, bytes: whole, groups: HashSet::new(), is_unsynced: false };
        let mut young = BTreeMap::new();
        for (name, group) in groups {
            let folder = folder(root, &name);
            shared.groups.insert(Arc::clone(&name));
            // Where a crash came before it was said that a group has left, that is said when the file or the group is to go.
            if !About::is_in(&folder)? {
                remove_folder(&folder)?;
                young.insert(name, group);
            }
        }
        // What was said before the crash may not be on stable storage.
        shared.is_unsynced = true;
        Ok((shared, young))
    }

    /// Writes an entry, or nothing of it.
    fn write(&mut self, entry: &[u8]) -> io::Result<()> {
        if let Err(cause) = self.file.write_all(entry) {
            // An entry written in part would hide all that come after it.
            self.file.set_len(self.bytes)?;
            return Err(cause);
        }
        self.bytes += entry.len() as u64;
        Ok(())
    }
}

/// Removes a folder with all that is in it, where it is there.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn millis(now_ms: i64) -> u64 {
    u64::try_from(now_ms).unwrap_or_default()
}

fn path(root: &Path, number: u64) -> PathBuf {
    root.join(format!("{PREFIX}{number}"))
}

/// The numbers of the shared files, in order.
fn numbers(root: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// What an entry says: the group has these lines too, or has left where there are none.
struct Entry<'a> {
    group: &'a str,
    created_ms: i64,
    records: &'a [u8],
}

/// Length and checksum of what follows them.
const FRAME: usize = 8;
/// When the group was made, length of its name.
const HEAD: usize = 10;
/// Bytes of a group's name: its characters are of one byte to four.
const NAME_BYTES: usize = 4 * LOG_GROUP_CHARS;
/// An entry that says it is longer is none.
const ENTRY_BYTES: usize = HEAD + NAME_BYTES + LOG_YOUNG_BYTES;

/// Numbers are little-endian.
fn entry(group: &str, created_ms: i64, records: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME + HEAD + group.len() + records.len());
    out.extend_from_slice(&[0; FRAME]);
    out.extend_from_slice(&created_ms.to_le_bytes());
    // The bound on names keeps it below 2^16.
    out.extend_from_slice(&(group.len() as u16).to_le_bytes());
    out.extend_from_slice(group.as_bytes());
    out.extend_from_slice(records);
    let (length, checksum) = ((out.len() - FRAME) as u32, crc32fast::hash(&out[FRAME..]));
    out[..4].copy_from_slice(&length.to_le_bytes());
    out[4..FRAME].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// The first entry of `bytes` and what is behind it; none where it is torn or damaged.
fn read(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if !(HEAD..=ENTRY_BYTES).contains(&length) {
        return None;
    }
    let (entry, rest) = rest.split_at_checked(length)?;
    if crc32fast::hash(entry) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (created, entry) = entry.split_first_chunk::<8>()?;
    let (length, entry) = entry.split_first_chunk::<2>()?;
    let (group, records) = entry.split_at_checked(u16::from_le_bytes(*length).into())?;
    let group = std::str::from_utf8(group).ok()?;
    Some((Entry { group, created_ms: i64::from_le_bytes(*created), records }, rest))
}

#[cfg(test)]
mod tests;
