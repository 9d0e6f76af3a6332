//! Writing a plan below a folder that is empty and ours alone.
//!
//! Folders come first, then files, links last: while a path is walked there is no link yet that could lead elsewhere.
//! Beyond that the kernel is told to follow none and to stay below the folder.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use hearth_types::limits::{ZIP_PARALLEL_BYTES, ZIP_THREADS};
use rustix::fs::{
    self as sys, AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, futimens, mkdirat,
    openat2, symlinkat,
};

use crate::PackageError;
use crate::content::{Decoder, Fast, Inflate};
use crate::path::parent;
use crate::plan::{Plan, Planned};

const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);
/// Until it is whole a file is its writer's only.
const UNFINISHED_MODE: Mode = Mode::from_raw_mode(0o600);

/// Checks the content of a plan without writing it.
pub(crate) fn check<I: Inflate>(plan: &Plan<'_>) -> Result<(), PackageError> {
    for_each::<I>(&plan.files, |decoder, file| decoder.decode(&file.entry, |_| Ok(())))?;
    plan.links.iter().try_for_each(|link| target::<I>(link).map(drop))
}

/// Writes a plan. After an error some of it is there.
pub(crate) fn write(plan: &Plan<'_>, root: BorrowedFd<'_>) -> Result<(), PackageError> {
    for folder in &plan.folders {
        make_folder(root, folder).map_err(PackageError::disk("making a folder"))?;
    }
    for_each::<Fast>(&plan.files, |decoder, file| write_file(root, decoder, file))?;
    for link in &plan.links {
        let target = target::<Fast>(link)?;
        make_link(root, &link.path, &target).map_err(PackageError::disk("making a link"))?;
    }
    Ok(())
}

/// Runs `work` on each file, on several threads where it is much; ends early at an error.
fn for_each<'a, I: Inflate>(
    files: &[Planned<'a>],
    work: impl Fn(&mut Decoder<I>, &Planned<'a>) -> Result<(), PackageError> + Sync,
) -> Result<(), PackageError> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut decoder = Decoder::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(cause) = work(&mut decoder, file) {
                // The others find nothing more to do.
                next.store(files.len(), Ordering::Relaxed);
                return Err(cause);
            }
        }
        Ok(())
    };
    let bytes: u64 = files.iter().map(|file| file.entry.size).sum();
    let threads = if bytes < ZIP_PARALLEL_BYTES { 1 } else { ZIP_THREADS.min(files.len()) };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut result = run();
        for other in others {
            let ended = other.join().unwrap_or_else(|_| Err(stopped()));
            result = result.and(ended);
        }
        result
    })
}

fn stopped() -> PackageError {
    PackageError::disk("unpacking")(io::Error::other("a thread stopped early"))
}

fn make_folder(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
    mkdirat(root, path, FOLDER_MODE)?;
    // The process's umask may have taken bits away.
    Ok(sys::chmodat(root, path, FOLDER_MODE, AtFlags::empty())?)
}

fn write_file(root: BorrowedFd<'_>, decoder: &mut Decoder<Fast>, file: &Planned<'_>) -> Result<(), PackageError> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
    let out = open_beneath(root, &file.path, flags, UNFINISHED_MODE).map_err(PackageError::disk("making a file"))?;
    let mut out = File::from(out);
    decoder.decode(&file.entry, |piece| out.write_all(piece))?;
    finish_file(&out, file).map_err(PackageError::disk("finishing a file"))
}

fn finish_file(out: &File, file: &Planned<'_>) -> rustix::io::Result<()> {
    let modified = Timespec { tv_sec: file.entry.modified, tv_nsec: 0 };
    let unchanged = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    futimens(out, &Timestamps { last_access: unchanged, last_modification: modified })?;
    fchmod(out, Mode::from_raw_mode(file.mode))
}

fn target<I: Inflate>(link: &Planned<'_>) -> Result<Vec<u8>, PackageError> {
    let mut target = Vec::new();
    Decoder::<I>::new().decode(&link.entry, |piece| {
        target.extend_from_slice(piece);
        Ok(())
    })?;
    if target.contains(&0) {
        return Err(PackageError::entry(link.entry.name, "is a link to a path with a NUL"));
    }
    Ok(target)
}

fn make_link(root: BorrowedFd<'_>, path: &[u8], target: &[u8]) -> rustix::io::Result<()> {
    let Some(folder) = parent(path) else { return symlinkat(target, root, path) };
    let name = &path[folder.len() + 1..];
    let folder = open_beneath(root, folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    symlinkat(target, folder.as_fd(), name)
}

fn open_beneath(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve)
}
