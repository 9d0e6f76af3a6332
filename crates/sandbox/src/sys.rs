//! System calls that no safe wrapper covers. Nearly all `unsafe` of the project is here.

use std::ffi::{CStr, CString};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::mount::MountAttrFlags;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// What a fork returns.
pub(crate) enum Fork {
    /// In the new process.
    Child,
    /// In the old one.
    Parent {
        /// The child, as seen from the parent's PID namespace.
        pid: Pid,
        /// Names the child without the danger of a reused number.
        pidfd: OwnedFd,
    },
}

/// libc's own does not fit its type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks with `clone3`: namespaces by `flags` (`CLONE_NEW*`), and on cgroup v2 straight into `cgroup`.
///
/// The caller must be single-threaded: the child goes on with a copy of all memory, locks included.
pub(crate) fn fork(flags: libc::c_int, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    let mut pidfd: libc::c_int = -1;
    let mut args = libc::clone_args {
        flags: (flags | libc::CLONE_PIDFD) as u64,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid `clone_args` of the size given, `pidfd` outlives the call. Without CLONE_VM the child
    // gets a copy of the address space and goes on here as after `fork`; the process has one thread, so no lock of
    // the copy can be held by a thread that does not exist in it.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => {
            let pid = Pid::from_raw(pid as i32).ok_or(io::ErrorKind::Other)?;
            // SAFETY: the call succeeded, so the kernel has stored a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Fork::Parent { pid, pidfd })
        }
    }
}

/// Leaves the namespaces in `flags` for new ones. Descriptor tables cannot be unshared with it.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: only unsharing the descriptor table is unsafe, and no caller does.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Sets and clears attributes of the mount (or, `recursive`, of the whole tree) that `mount` names.
pub(crate) fn mount_setattr(mount: BorrowedFd<'_>, set: MountAttrFlags, recursive: bool) -> io::Result<()> {
    let attr = libc::mount_attr { attr_set: u64::from(set.bits()), attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated string and `attr` a valid `mount_attr` of the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check(result)
}

/// Closes every descriptor above 2 that is not in `keep`.
pub(crate) fn close_all_but(keep: &mut [RawFd]) -> io::Result<()> {
    keep.sort_unstable();
    let mut from = 3;
    for &fd in keep.iter().filter(|fd| **fd > 2) {
        if fd > from {
            close_range(from as u32, fd as u32 - 1, 0)?;
        }
        from = from.max(fd + 1);
    }
    close_range(from as u32, u32::MAX, 0)
}

/// Marks every descriptor above 2 to be closed by `execve`.
pub(crate) fn close_all_on_exec() -> io::Result<()> {
    close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range(first: u32, last: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: takes no pointers. Callers are new processes that own nothing but what they keep.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) })
}

/// Takes over a descriptor that was handed to this process at `exec` under a fixed number.
pub(crate) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers; fails with EBADF where the number names nothing.
    check(i64::from(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }))?;
    // SAFETY: it is open, and the caller is the start of a process, before anything else could own it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets the descriptors `fds` survive the start of `command`, under the same numbers.
pub(crate) fn hand_over<const N: usize>(command: &mut Command, fds: [RawFd; N]) {
    let clear = move || {
        // SAFETY: takes no pointers.
        fds.iter().try_for_each(|fd| check(i64::from(unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) })))
    };
    // SAFETY: between fork and exec the closure makes a system call only.
    unsafe { command.pre_exec(clear) };
}

/// Lets a descriptor survive `exec` under a number of its own, whatever that named before.
pub(crate) fn inherit_as(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: takes no pointers. Callers are new processes that own nothing under that number.
    check(i64::from(unsafe { libc::dup2(fd.as_raw_fd(), number) }))
}

/// Empties the capability bounding set.
pub(crate) fn drop_bounding_set() -> io::Result<()> {
    for capability in 0..=63 {
        // SAFETY: takes no pointers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            let error = io::Error::last_os_error();
            // Past the last capability that this kernel knows.
            return if error.raw_os_error() == Some(libc::EINVAL) { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

/// Replaces the program. Returns only on failure.
pub(crate) fn exec(path: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers =
        |list: &[CString]| list.iter().map(|s| s.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>();
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with a null pointer and point to NUL-terminated strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// What the kernel takes for an action that is the default one, and as a signal set that is empty.
const KERNEL_SIGACTION: [u64; 4] = [0; 4];
const KERNEL_SIGSET_BYTES: usize = 8;

/// Sets all signals to their default action and unblocks them; those, too, that the C library keeps to itself.
pub(crate) fn reset_signals() {
    let nothing = KERNEL_SIGACTION.as_ptr();
    let no_old: *const u64 = std::ptr::null();
    for signal in 1..=64 {
        // SAFETY: all zeros is a valid kernel sigaction (SIG_DFL, no flags, an empty mask), and longer than any
        // architecture's. Fails for SIGKILL and SIGSTOP, harmlessly.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, nothing, no_old, KERNEL_SIGSET_BYTES) };
    }
    // SAFETY: all zeros is the empty set of the size given.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, nothing, no_old, KERNEL_SIGSET_BYTES) };
}

/// A descriptor that becomes readable, without blocking, whenever a child of this process has ended: the signal itself is
/// blocked from now on.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: all zeros is a valid set, which the calls fill; the pointers are to it.
    let descriptor = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(i64::from(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())))?;
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    check(i64::from(descriptor))?;
    // SAFETY: it was just made, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Enters the user namespace of another process.
pub(crate) fn join_user_namespace(process: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes no pointers. Callers are processes of one thread.
    check(i64::from(unsafe { libc::setns(process.as_raw_fd(), libc::CLONE_NEWUSER) }))
}

/// Where a security module lets a process be traced by its parents only: lets any of its user do it.
pub(crate) fn be_traced_by_same_user() {
    // SAFETY: takes no pointers. Without such a module there is nothing to allow, and an error says so.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
}

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq.
    check(i64::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }))
}

/// What the kernel keeps in numbers of a socket (`SO_MEMINFO`), the last of them how many datagrams had no room in it.
pub(crate) fn memory_info(socket: BorrowedFd<'_>) -> io::Result<[u32; SOCKET_NUMBERS]> {
    let mut numbers = [0_u32; SOCKET_NUMBERS];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the kernel writes no more than `length` bytes to `numbers`.
    check(i64::from(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    }))?;
    Ok(numbers)
}

/// `SK_MEMINFO_VARS`.
pub(crate) const SOCKET_NUMBERS: usize = 9;

/// Gives the loopback interface of the current network namespace one more address, for itself alone.
pub(crate) fn loopback_address(socket: BorrowedFd<'_>, address: Ipv4Addr) -> io::Result<()> {
    // The second one: what is set under this name leaves 127.0.0.1 as it is.
    set_on_loopback(socket, *b"lo:1", libc::SIOCSIFADDR, address)?;
    set_on_loopback(socket, *b"lo:1", libc::SIOCSIFNETMASK, Ipv4Addr::BROADCAST)
}

fn set_on_loopback(socket: BorrowedFd<'_>, name: [u8; 4], what: libc::Ioctl, value: Ipv4Addr) -> io::Result<()> {
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = from as libc::c_char;
    }
    let octets = value.octets().map(|octet| octet as libc::c_char);
    // SAFETY: all-zero is a valid sockaddr.
    let mut address: libc::sockaddr = unsafe { std::mem::zeroed() };
    address.sa_family = libc::AF_INET as libc::sa_family_t;
    address.sa_data[2..6].copy_from_slice(&octets); // Behind the port.
    request.ifr_ifru.ifru_addr = address;
    // SAFETY: both requests read an ifreq with an address.
    check(i64::from(unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw const request) }))
}

/// Unmaps the pages of a mapping of code until they are used again.
pub(crate) fn let_code_go(addresses: std::ops::Range<usize>) {
    // SAFETY: the caller found a private mapping of a file there that can be read and executed, never written: each page
    // comes back as it was. Only the pages go, the mapping stays. What fails changes nothing.
    unsafe { libc::madvise(addresses.start as *mut libc::c_void, addresses.len(), libc::MADV_DONTNEED) };
}

/// Ends this process at once, without the clean-up that belongs to the process it was forked from.
pub(crate) fn exit_now(status: libc::c_int) -> ! {
    // SAFETY: takes no pointer, runs nothing.
    unsafe { libc::_exit(status) }
}

/// A file's content in memory, only to be read.
pub(crate) struct Mapping {
    start: std::ptr::NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// Maps a file as it is now. Who shortens it meanwhile ends this process.
    pub(crate) fn of(file: impl AsFd) -> io::Result<Self> {
        let length = usize::try_from(rustix::fs::fstat(&file)?.st_size).map_err(|_| io::ErrorKind::InvalidData)?;
        if length == 0 {
            return Ok(Self { start: std::ptr::NonNull::dangling(), length });
        }
        let fd = file.as_fd().as_raw_fd();
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that is there.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: std::ptr::NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?, length })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped there, or none are, until this value is dropped. They are those of a sealed
        // memory file, which nobody can change.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: mapped by `of`, and nothing borrows from it any more.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        }
    }
}

const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LOOP_SET_CAPACITY: libc::Ioctl = 0x4C07;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_CTL_REMOVE: libc::Ioctl = 0x4C81;
/// Bytes of a loop device's block: as many as the file system has, which then need not change it and forget what it had.
const LOOP_BLOCK: u32 = 4096;
const FITRIM: libc::Ioctl = 0xC018_5879_u32 as libc::Ioctl;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_config` with its `struct loop_info64`, of which only the flags matter here.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info_before_flags: [u8; 52],
    flags: u32,
    info_after_flags: [u8; 176],
    reserved: [u64; 8],
}
const _: () = assert!(size_of::<LoopConfig>() == 304);

/// `struct fstrim_range`, in bytes.
#[repr(C)]
struct TrimRange {
    start: u64,
    length: u64,
    least: u64,
}

/// The number of a loop device that is free now; another process may be faster in taking it.
pub(crate) fn loop_free(control: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: takes no argument.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
    u32::try_from(number).map_err(|_| io::Error::last_os_error())
}

/// Removes a loop device that nothing is bound to.
pub(crate) fn loop_remove(control: BorrowedFd<'_>, number: u32) -> io::Result<()> {
    // SAFETY: the argument is a number, no pointer.
    check(i64::from(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_REMOVE, libc::c_ulong::from(number)) }))
}

/// Gives blocks of the file system below `top` that are not in use back to the device.
pub(crate) fn trim(top: BorrowedFd<'_>) -> io::Result<()> {
    let mut range = TrimRange { start: 0, length: u64::MAX, least: 0 };
    // SAFETY: FITRIM reads a range and writes how many bytes it has given back into it.
    check(i64::from(unsafe { libc::ioctl(top.as_raw_fd(), FITRIM, &raw mut range) }))
}

/// Binds `file` to the loop device `device`, which unbinds itself after its last user. Fails with EBUSY where the
/// device was taken meanwhile.
pub(crate) fn loop_bind(device: BorrowedFd<'_>, file: BorrowedFd<'_>, direct: bool) -> io::Result<()> {
    let config = LoopConfig {
        fd: file.as_raw_fd() as u32,
        block_size: LOOP_BLOCK,
        info_before_flags: [0; 52],
        flags: LO_FLAGS_AUTOCLEAR | if direct { LO_FLAGS_DIRECT_IO } else { 0 },
        info_after_flags: [0; 176],
        reserved: [0; 8],
    };
    // SAFETY: LOOP_CONFIGURE reads a loop_config, which the assertion above has checked for its size.
    check(i64::from(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) }))
}

/// Makes a loop device as large as its file is now.
pub(crate) fn loop_set_capacity(device: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes no argument.
    check(i64::from(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_SET_CAPACITY) }))
}

/// A descriptor as a path that names it, for calls that take paths only.
pub(crate) fn fd_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
