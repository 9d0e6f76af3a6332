//! The lists for what writes a process's snapshot.

/// To stop a process of the same user, to read it and to write a file: what it reads is a customer's. All others end it.
pub(super) const ALLOWED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_wait4,
    libc::SYS_get_robust_list,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_getsockopt,
    libc::SYS_getpeername,
    // Of /proc; with nothing else inside can it do more than the function can.
    libc::SYS_openat,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_read,
    libc::SYS_pread64,
    // The snapshot's file, and the word that it is written.
    libc::SYS_pwrite64,
    libc::SYS_ftruncate,
    libc::SYS_sendmsg,
    libc::SYS_fcntl,
    libc::SYS_close,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit_group,
];

/// What the language's library does without where it gets an error: standard output and error of a panic.
pub(super) const REFUSED: &[(i64, libc::c_int)] = &[(libc::SYS_write, libc::EBADF), (libc::SYS_ioctl, libc::ENOTTY)];
