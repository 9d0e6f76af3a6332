//! System call filters. To a function the calls on one list are allowed, those on another are refused with `EPERM`, and
//! what is on neither does not exist (`ENOSYS`), so that a C library that tries a newer call falls back to an older one.

mod calls;
mod program;
mod reader;
mod writer;

use std::collections::BTreeMap;

use seccompiler::BpfProgram;

use self::program::{Case, Condition, Test, Verdict, compile};
use crate::error::{Done, Failure};

const EPERM: u16 = libc::EPERM as u16;
const ENOSYS: u16 = libc::ENOSYS as u16;

/// Compiled filters.
pub(crate) struct Filters {
    function: BpfProgram,
    init: BpfProgram,
    reader: BpfProgram,
    writer: BpfProgram,
}

impl Filters {
    /// Compiles for this machine's architecture.
    pub(crate) fn compile() -> Self {
        let init = calls::INIT.iter().map(|call| (*call as u32, Verdict::Allow)).collect();
        Self {
            function: compile(&function_verdicts(), &Verdict::Errno(ENOSYS)),
            init: compile(&init, &Verdict::Kill),
            reader: compile(&reader_verdicts(), &Verdict::Kill),
            writer: compile(&writer_verdicts(), &Verdict::Kill),
        }
    }

    /// Filters this process and all it will start, as a function.
    pub(crate) fn confine_function(&self) -> Done {
        load(&self.function)
    }

    /// Filters this process, of one thread, as a reader of an archive.
    pub(crate) fn confine_reader(&self) -> Done {
        load(&self.reader)
    }

    /// Filters this process, of one thread, as a writer of a snapshot.
    pub(crate) fn confine_writer(&self) -> Done {
        load(&self.writer)
    }

    /// Filters this process as an init that waits for the function's end.
    pub(crate) fn confine_init(&self) -> Done {
        load(&self.init)
    }
}

fn load(program: &BpfProgram) -> Done {
    seccompiler::apply_filter(program)
        .map_err(|error| Failure::new(libc::EINVAL, format!("loading a system call filter: {error}")))
}

fn function_verdicts() -> BTreeMap<u32, Verdict> {
    let allowed = calls::allowed().map(|call| (call, Verdict::Allow));
    let refused = calls::refused().map(|call| (call, Verdict::Errno(EPERM)));
    let by_argument = refused_by_argument().into_iter().map(|(call, cases)| (call, Verdict::ErrnoIf(EPERM, cases)));
    // Later ones replace earlier ones.
    allowed.chain(by_argument).chain(refused).map(|(call, verdict)| (call as u32, verdict)).collect()
}

fn reader_verdicts() -> BTreeMap<u32, Verdict> {
    let allowed = reader::ALLOWED.iter().map(|call| (*call, Verdict::Allow));
    let refused = reader::REFUSED.iter().map(|(call, errno)| (*call, Verdict::Errno(*errno as u16)));
    let execute = libc::PROT_EXEC as u32;
    let executable = || Verdict::ErrnoIf(EPERM, vec![vec![masked(2, execute, execute)]]);
    let thread = libc::CLONE_THREAD as u32;
    let by_argument = [
        (libc::SYS_clone, Verdict::ErrnoIf(EPERM, vec![vec![masked(0, thread, 0)]])),
        // Unoptimised builds ask whether a descriptor is open before they close it.
        (libc::SYS_fcntl, Verdict::ErrnoIf(EPERM, vec![vec![is_not(1, libc::F_GETFD as u32)]])),
        (libc::SYS_mmap, executable()),
        (libc::SYS_mprotect, executable()),
    ];
    allowed.chain(refused).chain(by_argument).map(|(call, verdict)| (call as u32, verdict)).collect()
}

fn writer_verdicts() -> BTreeMap<u32, Verdict> {
    let refused = writer::REFUSED.iter().map(|(call, errno)| (*call as u32, Verdict::Errno(*errno as u16)));
    writer::ALLOWED.iter().map(|call| (*call as u32, Verdict::Allow)).chain(refused).collect()
}

/// Calls that are refused with certain arguments only.
fn refused_by_argument() -> Vec<(i64, Vec<Case>)> {
    vec![
        (libc::SYS_clone, calls::NAMESPACE_FLAGS.map(|flag| vec![masked(0, flag, flag)]).to_vec()),
        (libc::SYS_personality, vec![none_of(0, &[calls::PERSONALITY_LINUX, calls::PERSONALITY_QUERY])]),
        (libc::SYS_socket, refused_sockets()),
        (libc::SYS_socketpair, vec![none_of(0, &[libc::AF_UNIX as u32])]),
        (libc::SYS_ioctl, calls::REFUSED_IOCTLS.map(|request| vec![is(1, request)]).to_vec()),
        (libc::SYS_inotify_add_watch, calls::REFUSED_WATCHES.map(|bit| vec![masked(2, bit, bit)]).to_vec()),
        (libc::SYS_fcntl, vec![vec![is(1, calls::DNOTIFY)]]),
        (libc::SYS_mknodat, devices(2)),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_mknod, devices(1)),
    ]
}

/// Families beyond the usual four; of netlink all but routing; of the Internet's all that need no port.
fn refused_sockets() -> Vec<Case> {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(|family| family as u32);
    let mut cases = vec![none_of(0, &families)];
    cases.push(vec![is(0, libc::AF_NETLINK as u32), is_not(2, libc::NETLINK_ROUTE as u32)]);
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_RAW, calls::SOCK_PACKET] {
            cases.push(vec![is(0, family as u32), masked(1, calls::SOCKET_TYPE_MASK, kind as u32)]);
        }
    }
    cases
}

/// Character and block devices in the mode argument.
fn devices(mode: u8) -> Vec<Case> {
    [libc::S_IFCHR, libc::S_IFBLK].map(|kind| vec![masked(mode, libc::S_IFMT, kind)]).to_vec()
}

fn none_of(argument: u8, values: &[u32]) -> Case {
    values.iter().map(|value| is_not(argument, *value)).collect()
}

fn is(argument: u8, value: u32) -> Condition {
    Condition { argument, test: Test::Is(value) }
}

fn is_not(argument: u8, value: u32) -> Condition {
    Condition { argument, test: Test::IsNot(value) }
}

fn masked(argument: u8, mask: u32, value: u32) -> Condition {
    Condition { argument, test: Test::Masked { mask, value } }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::program::machine::call;
    use super::*;

    #[test]
    fn no_call_is_both_allowed_and_always_refused() {
        let allowed: BTreeSet<_> = calls::allowed().collect();
        let both: Vec<_> = calls::refused().filter(|call| allowed.contains(call)).collect();
        assert_eq!(both, [] as [i64; 0]);
    }

    #[test]
    fn calls_refused_by_argument_are_allowed_with_others() {
        let allowed: BTreeSet<_> = calls::allowed().collect();
        for (call, _) in refused_by_argument() {
            assert!(allowed.contains(&call), "{call}");
        }
    }

    #[test]
    fn the_program_says_what_the_lists_say() {
        let program = Filters::compile().function;
        let special: BTreeSet<_> = refused_by_argument().into_iter().map(|(call, _)| call).collect();
        let (allowed, refused): (BTreeSet<_>, BTreeSet<_>) = (calls::allowed().collect(), calls::refused().collect());
        for number in (0..1000).filter(|number| !special.contains(number)) {
            let answer = match (allowed.contains(&number), refused.contains(&number)) {
                (true, _) => libc::SECCOMP_RET_ALLOW,
                (_, true) => libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
                _ => libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
            };
            assert_eq!(call(&program, number as u32, [0; 6]), answer, "{number}");
        }
    }

    #[test]
    fn changes_can_be_watched_and_reads_cannot() {
        let program = Filters::compile().function;
        let watch = |mask: u32| call(&program, libc::SYS_inotify_add_watch as u32, [3, 0, mask.into(), 0, 0, 0]);
        let changes = libc::IN_MODIFY | libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVE | libc::IN_CLOSE_WRITE;
        assert_eq!(watch(changes | libc::IN_ATTRIB | libc::IN_ONLYDIR), libc::SECCOMP_RET_ALLOW);
        for read in [libc::IN_OPEN, libc::IN_ACCESS, libc::IN_CLOSE_NOWRITE, libc::IN_CLOSE, libc::IN_ALL_EVENTS] {
            let answer = watch(read | changes | libc::IN_MASK_ADD);
            assert_eq!(answer, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, "{read:#x}");
        }
    }

    #[test]
    fn a_reader_can_do_little() {
        let program = Filters::compile().reader;
        let answer = |number: i64, arguments| call(&program, number as u32, arguments);
        assert_eq!(answer(libc::SYS_write, [0; 6]), libc::SECCOMP_RET_ALLOW);
        for other in [libc::SYS_socket, libc::SYS_connect, libc::SYS_execve, libc::SYS_kill, libc::SYS_ptrace] {
            assert_eq!(answer(other, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS, "{other}");
        }
        for other in [libc::SYS_setns, libc::SYS_chroot, libc::SYS_mknodat, libc::SYS_linkat, libc::SYS_read] {
            assert_eq!(answer(other, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS, "{other}");
        }
        let eperm = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        let execute = (libc::PROT_READ | libc::PROT_EXEC) as u64;
        assert_eq!(answer(libc::SYS_mmap, [0, 1, execute, 0, 0, 0]), eperm);
        assert_eq!(answer(libc::SYS_mprotect, [0, 1, execute, 0, 0, 0]), eperm);
        assert_eq!(answer(libc::SYS_clone, [libc::CLONE_VM as u64, 0, 0, 0, 0, 0]), eperm, "no process");
        assert_eq!(answer(libc::SYS_clone, [libc::CLONE_THREAD as u64, 0, 0, 0, 0, 0]), libc::SECCOMP_RET_ALLOW);
    }

    #[test]
    fn an_init_can_do_next_to_nothing() {
        let program = Filters::compile().init;
        let number = |call: i64| call as u32;
        assert_eq!(call(&program, number(libc::SYS_wait4), [0; 6]), libc::SECCOMP_RET_ALLOW);
        for other in [libc::SYS_execve, libc::SYS_openat, libc::SYS_socket, libc::SYS_clone, libc::SYS_kill] {
            assert_eq!(call(&program, number(other), [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
        }
    }

    #[test]
    fn an_init_may_ask_the_kernel_for_the_time_when_it_lets_a_process_go() {
        let program = Filters::compile().init;
        assert_eq!(call(&program, libc::SYS_clock_gettime as u32, [0; 6]), libc::SECCOMP_RET_ALLOW);
    }
}
