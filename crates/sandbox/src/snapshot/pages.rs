//! The memory of a process: its pages into the snapshot's file, and the calls that map them again.

use std::fs::File;
use std::os::unix::fs::FileExt;

use hearth_types::limits::ENVIRONMENT_RLIMIT_STACK;

use super::proc::{Map, Proc};
use super::replay::{Arg, Replay};
use super::{IMAGE, PAGE, refused};
use crate::error::{Done, During};

/// Bits of an entry of `/proc/PID/pagemap`.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

/// Runs of pages with no more than so many others between them become one: each is a mapping of its own.
const GAP_PAGES: u64 = 16;
/// More pages than these that are empty, one after the other, are left out where a mapping is empty by itself: a function
/// that reads gigabytes of fresh memory has them from the kernel for nothing, and they must not become the file's.
const EMPTY_PAGES: u64 = 512;
/// Below the stack stays free, as the kernel has it.
const STACK_GUARD: u64 = 1024 * 1024;
/// The most bytes of one mapping; a process that reserves more is none of ours.
const MAPPING_BYTES: u64 = 64 << 30;
/// The most bytes of shared memory without a file.
const SHARED_BYTES: u64 = 64 << 20;
/// Of the fields of `/proc/PID/stat`, where the arguments begin.
const ARGUMENTS: usize = 48;
/// Pages read at a time.
const CHUNK: u64 = 64;
/// Where the files are found that are mapped, one at a time: the lowest descriptor that is free.
pub(super) const SCRATCH: u64 = 3;

const MAP_DROPPABLE: i32 = 8;

/// Pages that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    /// Address.
    start: u64,
    end: u64,
}

/// Pages, and where the file has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Piece {
    run: Run,
    offset: u64,
}

pub(super) struct Pages<'a> {
    proc: &'a Proc,
    memory: File,
    table: File,
    image: &'a File,
    /// Where the next page goes.
    next: u64,
    /// The file that is open for mappings.
    open: Option<String>,
    /// Where the process was given its arguments and variables.
    given: u64,
}

impl<'a> Pages<'a> {
    pub(super) fn new(proc: &'a Proc, image: &'a File) -> Done<Self> {
        let (memory, table) = (proc.open("mem")?, proc.open("pagemap")?);
        let given = proc.stat()?(ARGUMENTS) / PAGE * PAGE;
        // The first page is the header's.
        Ok(Self { proc, memory, table, image, next: PAGE, open: None, given })
    }

    /// Where the file's pages end.
    pub(super) fn end(&self) -> u64 {
        self.next
    }

    /// No file is open for mappings any more.
    pub(super) fn close(&mut self, replay: &mut Replay) {
        if self.open.take().is_some() {
            replay.call(libc::SYS_close, [Arg::Is(SCRATCH)]);
        }
    }

    /// One of the mappings.
    pub(super) fn write(&mut self, maps: &[Map], at: usize, stack: u64, replay: &mut Replay) -> Done {
        let map = &maps[at];
        if map.is_of_kernel() || map.path == "[vsyscall]" {
            return Ok(());
        }
        if map.end - map.start > MAPPING_BYTES {
            return Err(refused(format!("a mapping of {} GB cannot be written down", (map.end - map.start) >> 30)));
        }
        if map.wiped || map.droppable {
            let kind = if map.droppable { MAP_DROPPABLE } else { libc::MAP_PRIVATE };
            anonymous(replay, map.start, map.end, map.prot, kind);
            let advice = [Arg::Is(map.start), Arg::Is(map.end - map.start), Arg::Is(libc::MADV_WIPEONFORK as u64)];
            replay.try_call(libc::SYS_madvise, advice);
            return Ok(());
        }
        match (map.shared, self.file_of(map)) {
            (true, Some(path)) if map.prot & libc::PROT_WRITE as u64 == 0 => {
                self.map_file(map, &path, libc::MAP_SHARED, replay);
                Ok(())
            }
            (true, None) if map.path.starts_with("/dev/zero") => self.shared(map, replay),
            (true, _) => Err(refused(format!("shared memory cannot be part of a snapshot ({})", map.path))),
            (false, Some(path)) => {
                self.map_file(map, &path, libc::MAP_PRIVATE, replay);
                let runs = self.runs(map, |entry| entry & (PRESENT | SWAPPED) != 0 && entry & OF_FILE == 0)?;
                let pieces = runs.iter().map(|run| self.copy(*run)).collect::<Done<Vec<_>>>()?;
                private(map, &pieces, None, replay);
                Ok(())
            }
            (false, None) => {
                let is_stack = (map.start..map.end).contains(&stack);
                let start = if is_stack { grown(maps, at) } else { map.start };
                let runs = self.runs(map, |entry| entry & (PRESENT | SWAPPED) != 0)?;
                let pieces = self.copy_filled(&runs)?;
                if is_stack || !matches!(pieces[..], [Piece { run, .. }] if run == Run { start, end: map.end }) {
                    anonymous(replay, start, map.end, map.prot, libc::MAP_PRIVATE);
                }
                private(map, &pieces, is_stack.then_some(self.given), replay);
                Ok(())
            }
        }
    }

    /// The file that a new environment of the same version will find there again.
    fn file_of(&self, map: &Map) -> Option<String> {
        let lasts = map.inode != 0
            && map.path.starts_with('/')
            && !["/tmp/", "/dev/", "/memfd:", "/SYSV", "/proc/"].iter().any(|start| map.path.starts_with(start))
            // A path in which the kernel has put other signs for some, or of a file that is gone.
            && !map.path.contains('\\')
            && !map.path.ends_with(" (deleted)");
        lasts.then(|| map.path.clone())
    }

    fn map_file(&mut self, map: &Map, path: &str, kind: i32, replay: &mut Replay) {
        if self.open.as_deref() != Some(path) {
            self.close(replay);
            let name = replay.data(&[path.as_bytes(), &[0]].concat());
            let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as u64;
            replay.call(libc::SYS_openat, [Arg::Is(libc::AT_FDCWD as u64), name, Arg::Is(flags)]);
            self.open = Some(path.to_owned());
        }
        map_at(replay, (map.start, map.end), map.prot, kind, SCRATCH, map.offset);
    }

    /// Shared with nobody, as long as there are no other processes; but the process's children will.
    fn shared(&mut self, map: &Map, replay: &mut Replay) -> Done {
        let length = map.end - map.start;
        if length > SHARED_BYTES {
            return Err(refused("this much shared memory cannot be part of a snapshot"));
        }
        let Piece { offset, .. } = self.copy(Run { start: map.start, end: map.end })?;
        anonymous(replay, map.start, map.end, map.prot | libc::PROT_WRITE as u64, libc::MAP_SHARED);
        let read = [Arg::Is(IMAGE as u64), Arg::Is(map.start), Arg::Is(length), Arg::Is(offset)];
        replay.call(libc::SYS_pread64, read);
        let protect = [Arg::Is(map.start), Arg::Is(length), Arg::Is(map.prot)];
        replay.call(libc::SYS_mprotect, protect);
        Ok(())
    }

    /// Copies pages into the file.
    fn copy(&mut self, run: Run) -> Done<Piece> {
        let offset = self.next;
        self.next += run.end - run.start;
        self.each_filled(run, |image, at, page| image.write_all_at(page, offset + at - run.start))?;
        // The file is as long as what is mapped of it, also where its last pages are empty.
        self.image.set_len(self.next).during("writing a snapshot's pages")?;
        Ok(Piece { run, offset })
    }

    /// Copies pages into the file but for long stretches that are empty.
    fn copy_filled(&mut self, runs: &[Run]) -> Done<Vec<Piece>> {
        let (mut all, mut next) = (Vec::new(), self.next);
        for run in runs {
            let mut pieces = Vec::new();
            self.each_filled(*run, |image, at, page| image.write_all_at(page, place(&mut pieces, &mut next, at)))?;
            all.extend(pieces);
        }
        self.next = next;
        Ok(all)
    }

    /// Hands on each page that is not empty, by its address.
    fn each_filled(&self, run: Run, mut write: impl FnMut(&File, u64, &[u8]) -> std::io::Result<()>) -> Done {
        let mut buffer = vec![0; (CHUNK * PAGE) as usize];
        let mut at = run.start;
        while at < run.end {
            let part = &mut buffer[..(run.end - at).min(CHUNK * PAGE) as usize];
            self.read(part, at)?;
            for (page, address) in part.chunks(PAGE as usize).zip((at..).step_by(PAGE as usize)) {
                if page.iter().any(|byte| *byte != 0) {
                    write(self.image, address, page).during("writing a snapshot's pages")?;
                }
            }
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Beyond a file's end there is nothing to read, and nothing to keep.
    fn read(&self, buffer: &mut [u8], at: u64) -> Done {
        if self.memory.read_exact_at(buffer, at).is_ok() {
            return Ok(());
        }
        for (number, page) in buffer.chunks_mut(PAGE as usize).enumerate() {
            if self.memory.read_exact_at(page, at + number as u64 * PAGE).is_err() {
                page.fill(0);
            }
        }
        Ok(())
    }

    /// Pages whose entries are wanted, with few others between them.
    fn runs(&self, map: &Map, wanted: impl Fn(u64) -> bool) -> Done<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut page = map.start / PAGE;
        while page < map.end / PAGE {
            let count = (map.end / PAGE - page).min(buffer.len() as u64 / 8);
            let part = &mut buffer[..(count * 8) as usize];
            let what = format_args!("reading the pages of process {}", self.proc.pid).to_string();
            self.table.read_exact_at(part, page * 8).during(what)?;
            for (number, entry) in part.chunks_exact(8).enumerate() {
                let entry = entry.try_into().map_or(0, u64::from_le_bytes);
                if wanted(entry) {
                    let start = (page + number as u64) * PAGE;
                    match runs.last_mut().filter(|run| start - run.end <= GAP_PAGES * PAGE) {
                        Some(run) => run.end = start + PAGE,
                        None => runs.push(Run { start, end: start + PAGE }),
                    }
                }
            }
            page += count;
        }
        Ok(runs)
    }
}

/// Where in the file the page at this address goes: behind the last one, unless too many empty ones lie between them.
fn place(pieces: &mut Vec<Piece>, next: &mut u64, address: u64) -> u64 {
    match pieces.last_mut().filter(|last| address - last.run.end <= EMPTY_PAGES * PAGE) {
        Some(last) => {
            *next += address + PAGE - last.run.end;
            last.run.end = address + PAGE;
        }
        None => {
            pieces.push(Piece { run: Run { start: address, end: address + PAGE }, offset: *next });
            *next += PAGE;
        }
    }
    *next - PAGE
}

/// Maps pages of the process's own. From `given` on, where it is set, are its arguments, which the kernel shows only where
/// they are not a file's.
fn private(map: &Map, pieces: &[Piece], given: Option<u64>, replay: &mut Replay) {
    for Piece { run, offset } in pieces {
        let mapped = given.map_or(run.end, |given| given.clamp(run.start, run.end));
        if run.start < mapped {
            map_at(replay, (run.start, mapped), map.prot, libc::MAP_PRIVATE, IMAGE as u64, *offset);
        }
        if mapped < run.end {
            let from = offset + mapped - run.start;
            let read = [Arg::Is(IMAGE as u64), Arg::Is(mapped), Arg::Is(run.end - mapped), Arg::Is(from)];
            replay.call(libc::SYS_pread64, read);
        }
    }
}

/// Where a stack may grow down to.
fn grown(maps: &[Map], at: usize) -> u64 {
    let below = at.checked_sub(1).map_or(0, |before| maps[before].end + STACK_GUARD);
    let wanted = maps[at].end.saturating_sub(ENVIRONMENT_RLIMIT_STACK) / PAGE * PAGE;
    wanted.max(below).min(maps[at].start)
}

fn anonymous(replay: &mut Replay, start: u64, end: u64, prot: u64, kind: i32) {
    map_at(replay, (start, end), prot, kind | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, u64::MAX, 0);
}

fn map_at(replay: &mut Replay, (start, end): (u64, u64), prot: u64, kind: i32, file: u64, offset: u64) {
    let flags = Arg::Is((kind | libc::MAP_FIXED) as u64);
    let all = [Arg::Is(start), Arg::Is(end - start), Arg::Is(prot), flags, Arg::Is(file), Arg::Is(offset)];
    replay.call(libc::SYS_mmap, all);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(start: u64, end: u64) -> Map {
        Map { start, end, ..Map::default() }
    }

    #[test]
    fn a_stack_has_the_room_to_grow_that_it_had() {
        let end = 0x7fff_0000_0000;
        let far = [map(PAGE, 2 * PAGE), map(end - 32 * PAGE, end)];
        assert_eq!(grown(&far, 1), end - ENVIRONMENT_RLIMIT_STACK);
        let near = [map(PAGE, end - 4 * STACK_GUARD), map(end - 32 * PAGE, end)];
        assert_eq!(grown(&near, 1), end - 3 * STACK_GUARD);
        let touching = [map(PAGE, end - 33 * PAGE), map(end - 32 * PAGE, end)];
        assert_eq!(grown(&touching, 1), end - 32 * PAGE);
    }

    #[test]
    fn long_stretches_of_empty_pages_are_left_out() {
        let (mut pieces, mut next) = (Vec::new(), PAGE);
        let far = (EMPTY_PAGES + 4) * PAGE;
        let offsets = [PAGE, 2 * PAGE, 5 * PAGE, far + 4 * PAGE].map(|at| place(&mut pieces, &mut next, at));
        assert_eq!(offsets, [PAGE, 2 * PAGE, 5 * PAGE, 6 * PAGE]);
        assert_eq!(next, 7 * PAGE, "the file's end");
        let piece = |start, end, offset| Piece { run: Run { start, end }, offset };
        assert_eq!(pieces, [piece(PAGE, 6 * PAGE, PAGE), piece(far + 4 * PAGE, far + 5 * PAGE, 6 * PAGE)]);
    }
}
