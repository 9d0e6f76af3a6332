//! Working without root: a user namespace in which this process is root, with a range of ids that are nobody else's.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hearth_types::limits::SANDBOXES;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, WaitId, WaitIdOptions, getegid, geteuid, getpid, waitid};
use rustix::thread::UnshareFlags;

use crate::channel::{self, Received};
use crate::error::{Done, During, Failure, SandboxError};
use crate::frame::Event;
use crate::sys::{self, Fork};

/// First of the ids for environments in the namespace. The one before is its root.
pub(crate) const UID_BASE: u32 = 1;

/// Ids that environments can use, two for each.
const SPAN: u32 = 2 * SANDBOXES;

/// The programs that may map a range of ids which /etc/subuid and /etc/subgid grant.
const MAPPERS: [&str; 2] = ["newuidmap", "newgidmap"];
const FOLDERS: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

/// Makes this process, of one thread and of an ordinary user, root of a user namespace of its own. Its user is the same to
/// the machine as before; ids of the range that /etc/subuid grants that user are for environments.
///
/// # Errors
/// Says what is missing: user namespaces, the range, or the programs that map it.
pub fn enter_user_namespace() -> Result<(), SandboxError> {
    let ranges = Ranges::find()?;
    let (ours, mappers) = channel::pair().during("making a socket pair")?;
    let me = getpid();
    let mapper = match sys::fork(0, None).during("forking the process that maps ids")? {
        Fork::Child => {
            drop(ours);
            map_when_told(me, &ranges, &mappers)
        }
        Fork::Parent { pidfd, .. } => pidfd,
    };
    drop(mappers);
    let entered = sys::unshare(UnshareFlags::NEWUSER).during(
        "making a user namespace (a machine may forbid it to ordinary users: see \
         /proc/sys/kernel/unprivileged_userns_clone, or a profile of AppArmor; in a container, its seccomp profile)",
    );
    let mapped = entered.and_then(|()| {
        channel::send(&ours, &Event::Ready, &[], SendFlags::empty()).during("telling the process that maps ids")?;
        match channel::receive(&ours, RecvFlags::empty()).during("waiting for ids")? {
            Received::Frame(Event::Ready, _) => Ok(()),
            Received::Frame(Event::Failed(failure), _) => Err(failure),
            _ => Err(Failure::new(libc::ECHILD, "mapping ids: the process that should has died")),
        }
    });
    drop(ours);
    waitid(WaitId::PidFd(mapper.as_fd()), WaitIdOptions::EXITED).during("waiting for the process that maps ids")?;
    mapped?;
    let (uid, gid) = (rustix::thread::Uid::ROOT, rustix::thread::Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid).during("becoming the namespace's root")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).during("becoming the namespace's root")?;
    Ok(())
}

/// What an ordinary user needs for that, only looked at.
pub(crate) fn examine() -> Done<String> {
    let Ranges { uids, gids, .. } = Ranges::find()?;
    Ok(format!("user ids from {} and group ids from {} are this user's to give", uids.first, gids.first))
}

/// Ids of the machine that may be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    first: u32,
}

struct Ranges {
    uids: Range,
    gids: Range,
    mappers: [PathBuf; 2],
}

impl Ranges {
    fn find() -> Done<Self> {
        let user = geteuid().as_raw();
        let name = user_name(user);
        let granted = |path: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            range(&text, user, name.as_deref()).ok_or_else(|| {
                let who = name.clone().unwrap_or_else(|| user.to_string());
                Failure::new(
                    libc::EPERM,
                    format!("{path} grants {who} no {SPAN} ids; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {who}"),
                )
            })
        };
        let mapper = |program: &str| {
            let mut places = FOLDERS.iter().map(|folder| PathBuf::from(folder).join(program));
            places.find(|path| path.exists()).ok_or_else(|| {
                Failure::new(libc::ENOENT, format!("{program} is not there; install the package uidmap"))
            })
        };
        Ok(Self {
            uids: granted("/etc/subuid")?,
            gids: granted("/etc/subgid")?,
            mappers: [mapper(MAPPERS[0])?, mapper(MAPPERS[1])?],
        })
    }
}

/// The first range in lines of `user:first:count` that is this user's and long enough.
fn range(text: &str, user: u32, name: Option<&str>) -> Option<Range> {
    text.lines().find_map(|line| {
        let mut parts = line.trim().split(':');
        let (whose, first, count) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = whose == user.to_string() || name.is_some_and(|name| whose == name);
        let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
        (ours && count >= SPAN && first.checked_add(count).is_some()).then_some(Range { first })
    })
}

/// As /etc/passwd has it.
fn user_name(user: u32) -> Option<String> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut parts = line.split(':');
        let (name, id) = (parts.next()?, parts.nth(1)?);
        (id == user.to_string()).then(|| name.to_owned())
    })
}

/// The process that maps: it stays outside the namespace, where the user's right to the range counts.
fn map_when_told(process: Pid, ranges: &Ranges, parent: &std::os::fd::OwnedFd) -> ! {
    if let Ok(Received::Frame(Event::Ready, _)) = channel::receive(parent, RecvFlags::empty()) {
        let event = map(process, ranges).map_or_else(Event::Failed, |()| Event::Ready);
        let _ = channel::send(parent, &event, &[], SendFlags::empty());
    }
    sys::exit_now(0)
}

fn map(process: Pid, ranges: &Ranges) -> Done {
    let own = [geteuid().as_raw(), getegid().as_raw()];
    for ((mapper, own), range) in ranges.mappers.iter().zip(own).zip([ranges.uids, ranges.gids]) {
        let what = format!("running {}", mapper.display());
        let numbers = [0, own, 1, UID_BASE, range.first, SPAN].map(|number| number.to_string());
        let mut command = Command::new(mapper);
        command.arg(process.as_raw_nonzero().to_string()).args(numbers).env_clear().stdin(Stdio::null());
        let output = command.output().during(&what)?;
        if !output.status.success() {
            return Err(Failure::new(
                libc::EPERM,
                format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim()),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_users_and_long_enough() {
        let text = "root:1:70000\nann:100000:65536\n1001:200000:10\n1001:300000:65536\n";
        assert_eq!(range(text, 1000, Some("ann")), Some(Range { first: 100_000 }));
        assert_eq!(range(text, 1001, Some("bob")), Some(Range { first: 300_000 }));
        assert_eq!(range(text, 1002, Some("bo")), None);
        assert_eq!(range(text, 1002, None), None);
        assert_eq!(range("ann:4294967000:65536", 1, Some("ann")), None, "beyond the last id");
        assert_eq!(range("ann:x:65536\nann\n:::", 1, Some("ann")), None);
    }
}
