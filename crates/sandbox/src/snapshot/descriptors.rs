//! What a process has open: files are opened again, the connection to the Runtime API is made anew, other sockets are closed
//! ones.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::pages::SCRATCH;
use super::proc::Proc;
use super::replay::{Arg, Replay};
use super::{DESCRIPTORS, IMAGE, refused};
use crate::error::{Done, During};

/// What the runtime has said last, before it waited.
const ASK: &[u8] = b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: runtime\r\n\r\n";

/// What is the environment's own.
const TMP: &[u8] = b"/tmp/";

/// Flags that matter only when a file is opened the first time.
const ONCE: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | libc::O_NOCTTY;

/// An open descriptor.
enum Open {
    /// The environment's own standard stream, which the new one has there, too.
    Standard(u64),
    File {
        path: Vec<u8>,
        flags: i32,
        place: u64,
    },
    /// One that is not connected, and, where `api` is set, will be.
    Socket {
        family: i32,
        kind: i32,
        protocol: i32,
        api: Option<Vec<u8>>,
    },
}

struct Descriptor {
    number: u64,
    closes: bool,
    open: Open,
}

/// Adds the calls for all of them; `waits_at` is the connection to the Runtime API.
pub(super) fn write(proc: &Proc, waits_at: i32, replay: &mut Replay) -> Done {
    let mut numbers = proc.list("fd")?;
    numbers.sort_unstable();
    if numbers.len() > DESCRIPTORS {
        return Err(refused(format!("{} open files cannot be part of a snapshot", numbers.len())));
    }
    for missing in (0..3).filter(|number| !numbers.contains(number)) {
        replay.call(libc::SYS_close, [Arg::Is(missing as u64)]);
    }
    let all = numbers.into_iter().map(|number| look(proc, number, waits_at)).collect::<Done<Vec<_>>>()?;
    let is = |number: u64| move |descriptor: &&Descriptor| descriptor.number == number;
    let usual = |descriptor: &&Descriptor| ![SCRATCH, IMAGE as u64].contains(&descriptor.number);
    all.iter().filter(usual).for_each(|descriptor| descriptor.write(replay));
    replay.close_image();
    all.iter().filter(is(IMAGE as u64)).for_each(|descriptor| descriptor.write(replay));
    all.iter().filter(is(SCRATCH)).for_each(|descriptor| descriptor.write(replay));
    Ok(())
}

impl Descriptor {
    fn write(&self, replay: &mut Replay) {
        match &self.open {
            Open::Standard(number) if *number == self.number => return,
            Open::Standard(number) => {
                replay.call(libc::SYS_fcntl, [Arg::Is(*number), Arg::Is(libc::F_DUPFD as u64), Arg::Is(SCRATCH)]);
            }
            Open::File { path, flags, place } => {
                if path.starts_with(TMP) {
                    make_folders(replay, path);
                }
                let path = replay.data(&[path.as_slice(), &[0]].concat());
                let (here, flags) = (Arg::Is(libc::AT_FDCWD as u64), Arg::Is(*flags as u64));
                replay.call(libc::SYS_openat, [here, path, flags, Arg::Is(0o600)]);
                replay.try_call(libc::SYS_lseek, [Arg::Is(SCRATCH), Arg::Is(*place), Arg::Is(0)]);
            }
            Open::Socket { family, kind, protocol, api } => {
                let what = [*family, *kind, *protocol].map(|value| Arg::Is(value as u64));
                replay.call(libc::SYS_socket, what);
                if let Some(address) = api {
                    connect(replay, address);
                }
            }
        }
        if self.number != SCRATCH {
            let flags = if self.closes { libc::O_CLOEXEC } else { 0 };
            replay.call(libc::SYS_dup3, [Arg::Is(SCRATCH), Arg::Is(self.number), Arg::Is(flags as u64)]);
            replay.call(libc::SYS_close, [Arg::Is(SCRATCH)]);
        } else if self.closes {
            let set = [Arg::Is(SCRATCH), Arg::Is(libc::F_SETFD as u64), Arg::Is(libc::FD_CLOEXEC as u64)];
            replay.call(libc::SYS_fcntl, set);
        }
    }
}

/// What was in /tmp comes back only once the process goes on: what is open is to be the same file then.
fn make_folders(replay: &mut Replay, path: &[u8]) {
    let folders = (TMP.len()..path.len()).filter(|at| path[*at] == b'/');
    for folder in folders.map(|at| [&path[..at], &[0]].concat()) {
        let folder = replay.data(&folder);
        replay.try_call(libc::SYS_mkdirat, [Arg::Is(libc::AT_FDCWD as u64), folder, Arg::Is(0o700)]);
    }
}

/// Connects, and says again what was said.
fn connect(replay: &mut Replay, address: &[u8]) {
    let (at, length) = (replay.data(address), Arg::Is(address.len() as u64));
    replay.call(libc::SYS_connect, [Arg::Is(SCRATCH), at, length]);
    let yes = replay.data(&1_u32.to_le_bytes());
    let no_delay = [libc::IPPROTO_TCP, libc::TCP_NODELAY].map(|value| Arg::Is(value as u64));
    replay.call(libc::SYS_setsockopt, [Arg::Is(SCRATCH), no_delay[0], no_delay[1], yes, Arg::Is(4)]);
    let ask = replay.data(ASK);
    replay.call(libc::SYS_write, [Arg::Is(SCRATCH), ask, Arg::Is(ASK.len() as u64)]);
}

fn look(proc: &Proc, number: i32, waits_at: i32) -> Done<Descriptor> {
    let target = proc.link(&format!("fd/{number}"))?;
    let text = String::from_utf8_lossy(&target).into_owned();
    let info = proc.read(&format!("fdinfo/{number}"))?;
    let info = String::from_utf8_lossy(&info).into_owned();
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
    let flags = i32::from_str_radix(field("flags:"), 8).unwrap_or(0);
    let place = field("pos:").parse().unwrap_or(0);
    let closes = flags & libc::O_CLOEXEC != 0;
    let open = if let Some(standard) = standard(&target) {
        Open::Standard(standard)
    } else if text.starts_with("socket:") {
        socket(proc.pid, number, number == waits_at)?
    } else if text.starts_with('/') && !text.ends_with(" (deleted)") && !text.starts_with("/memfd:") {
        // What was in /tmp is there again only once the process goes on.
        let create = if target.starts_with(TMP) && flags & libc::O_DIRECTORY == 0 { libc::O_CREAT } else { 0 };
        Open::File { path: target, flags: flags & !ONCE & !libc::O_CLOEXEC | create, place }
    } else {
        return Err(refused(format!("an open {text} cannot be part of a snapshot")));
    };
    Ok(Descriptor { number: number as u64, closes, open })
}

/// Whether it is what this process, of the same environment, has as its standard output.
fn standard(target: &[u8]) -> Option<u64> {
    let own = std::fs::read_link("/proc/self/fd/1").ok()?;
    let pipe = target.starts_with(b"pipe:") && own.as_os_str().as_encoded_bytes() == target;
    pipe.then_some(1)
}

fn socket(pid: i32, number: i32, is_api: bool) -> Done<Open> {
    let what = "looking at a socket";
    let socket = take(pid, number).during(what)?;
    let option = |name| option(&socket, name).during(what);
    let (family, kind, protocol) = (option(libc::SO_DOMAIN)?, option(libc::SO_TYPE)?, option(libc::SO_PROTOCOL)?);
    if ![libc::AF_INET, libc::AF_INET6].contains(&family) {
        return Err(refused("an open socket of another family than the Internet's cannot be part of a snapshot"));
    }
    let api = if is_api { Some(peer(&socket).during("looking at the connection to the Runtime API")?) } else { None };
    Ok(Open::Socket { family, kind, protocol, api })
}

/// A copy of a descriptor of a process that this one may trace.
fn take(pid: i32, number: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers; a descriptor that it returns is new and nobody else's.
    let process = unsafe { own(libc::syscall(libc::SYS_pidfd_open, pid, 0)) }?;
    // SAFETY: as above.
    unsafe { own(libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0)) }
}

/// # Safety
/// It must be what a call has returned that makes a descriptor, or -1.
unsafe fn own(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as the caller has made sure.
    Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
}

fn option(socket: &OwnedFd, name: i32) -> io::Result<i32> {
    let (mut value, mut length) = (0_i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the pointers are to a number and to its size.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

fn peer(socket: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; size_of::<libc::sockaddr_storage>()];
    let mut length = bytes.len() as libc::socklen_t;
    // SAFETY: the pointers are to as many bytes as the length says, and to that.
    let result = unsafe { libc::getpeername(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), &raw mut length) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    bytes.truncate(length as usize);
    Ok(bytes)
}
