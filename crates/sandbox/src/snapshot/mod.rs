//! Snapshots of a function's process, each a program that goes on as that process (ADR 22).
//!
//! A process of the function's user, without any privilege, reads another of the same user ([`write()`]) and writes an ELF
//! file. Whoever executes that becomes the process, in a sandbox of its own: the file's few instructions ([`replay`])
//! follow a table of system calls that maps the pages where they were and opens what was open. Whatever is read here is a
//! customer's, and so is what is written: nothing that has a privilege looks at it.

mod descriptors;
mod pages;
mod proc;
mod replay;
mod stub;
mod tracee;

use std::fs::File;
use std::os::fd::{OwnedFd, RawFd};

use self::pages::Pages;
use self::proc::Proc;
use self::replay::{Arg, Replay};
use self::tracee::Tracee;
use crate::error::{Done, During, Failure};
use crate::frame::Role;

/// The descriptor at which a snapshot finds itself when it is executed. Above all that a process of the usual kind has.
pub(crate) const IMAGE: RawFd = 63;

/// Bytes of a page.
pub(crate) const PAGE: u64 = 4096;

/// What a writer needs beside what it writes, MB.
const WRITER_MB: u32 = 32;

/// The most descriptors that a process may have open in its snapshot.
const DESCRIPTORS: usize = 256;

/// The limit of memory, MB, of the control group of such a function: what is written of a template counts there beside it.
pub(crate) fn memory_mb(role: Role, memory_mb: u32) -> u32 {
    match role {
        Role::Template | Role::Interpreter => memory_mb.saturating_mul(2).saturating_add(WRITER_MB),
        Role::Usual | Role::Restored => memory_mb,
    }
}

/// Why a process has no snapshot: said to the function's owner.
fn refused(what: impl Into<String>) -> Failure {
    Failure::new(libc::ENOTSUP, what)
}

/// Writes the snapshot of the only process there is beside this one, the function's first and init. Returns its bytes.
///
/// # Errors
/// What of the process cannot be written down, or the system's.
pub(crate) fn write(image: &OwnedFd) -> Done<u64> {
    let proc = Proc::find()?;
    let tracee = Tracee::stop(proc.pid)?;
    let maps = proc.maps()?;
    let file = File::from(image.try_clone().during("using the snapshot's file")?);
    let mut replay = Replay::new(&maps)?;
    replay.move_vdso_aside(&maps);
    replay.unmap_all_else();
    let mut pages = Pages::new(&proc, &file)?;
    for at in 0..maps.len() {
        pages.write(&maps, at, tracee.stack_pointer(), &mut replay)?;
    }
    pages.close(&mut replay);
    let rest = tracee.rest()?;
    describe(&proc, &tracee, &mut replay)?;
    descriptors::write(&proc, rest.waits_at, &mut replay)?;
    replay.move_vdso_back(&maps);
    replay.go_on(&rest);
    replay.write(&file, pages.end())
}

/// What there is of a process beside memory and descriptors.
fn describe(proc: &Proc, tracee: &Tracee, replay: &mut Replay) -> Done {
    for (signal, action) in tracee.signal_actions(&proc.status()?)? {
        let at = replay.data(&action);
        replay.call(libc::SYS_rt_sigaction, [Arg::Is(signal), at, Arg::Is(0), Arg::Is(8)]);
    }
    let name = replay.data(&[proc.name()?.as_bytes(), &[0]].concat());
    replay.call(libc::SYS_prctl, [Arg::Is(libc::PR_SET_NAME as u64), name]);
    if let Some(mask) = proc.status()?.octal("Umask") {
        replay.call(libc::SYS_umask, [Arg::Is(mask)]);
    }
    let folder = replay.data(&[proc.folder()?.as_slice(), &[0]].concat());
    replay.call(libc::SYS_chdir, [folder]);
    let layout = tracee.layout(proc)?;
    let (auxv, bytes) = (proc.auxv()?, layout.len() as u64);
    let length = auxv.len() as u64;
    let auxv = replay.data(&auxv);
    let layout = replay.data_with_address(&layout, auxv, length);
    // Where the data segment ends, for malloc, and where the arguments are; a kernel that does not let it be set leaves
    // malloc to map.
    let set = [Arg::Is(libc::PR_SET_MM as u64), Arg::Is(libc::PR_SET_MM_MAP as u64), layout, Arg::Is(bytes)];
    replay.try_call(libc::SYS_prctl, set);
    let thread = tracee.thread(proc)?;
    replay.call(libc::SYS_arch_prctl, [Arg::Is(tracee::ARCH_SET_FS), Arg::Is(thread.fs_base)]);
    if let Some((head, length)) = thread.robust_list {
        replay.call(libc::SYS_set_robust_list, [Arg::Is(head), Arg::Is(length)]);
    }
    if let Some(address) = thread.number_at {
        replay.call_and_store(libc::SYS_set_tid_address, address);
    }
    if let Some((address, length, signature)) = thread.rseq {
        let all = [Arg::Is(address), Arg::Is(length), Arg::Is(0), Arg::Is(signature)];
        replay.call(libc::SYS_rseq, all);
    }
    Ok(())
}
