//! The lists for a reader of archives in its jail.

/// What a reader of archives needs: to write files below its one folder, to get memory and a second thread, to say what
/// came of it. All others end it.
pub(super) const ALLOWED: &[i64] = &[
    // All that there is for it is that folder, whatever path it gives.
    libc::SYS_openat2,
    libc::SYS_mkdirat,
    libc::SYS_symlinkat,
    libc::SYS_fchmodat,
    libc::SYS_fchmod,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What its C library does without where it gets an error.
pub(super) const REFUSED: &[(i64, libc::c_int)] =
    &[(libc::SYS_clone3, libc::ENOSYS), (libc::SYS_openat, libc::EACCES), (libc::SYS_prctl, libc::EPERM)];
