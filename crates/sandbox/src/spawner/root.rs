//! Composes the root file system of a runtime, once: a mount namespace whose root is that root. An environment then
//! needs no more than a copy of the namespace, and no mount of the host is ever in it.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use hearth_types::rootfs::{Bind, RootPlan};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{WaitId, WaitIdOptions};

use crate::channel::{self, Received, exactly};
use crate::error::{Done, During, Failure};
use crate::frame::Event;
use crate::sys::{self, Fork};
use crate::weaken::{self, Defence};

/// A directory of every root that holds nothing.
pub(crate) const EMPTY_DIRECTORY: &str = "/var/empty";

/// Directories of every root; mount points, all but the last.
const DIRECTORIES: [&str; 6] = ["/proc", "/dev", "/tmp", "/var/task", "/opt", EMPTY_DIRECTORY];

/// Where code and layers may hold libraries. The loader remembers which of its directories are not there: for a program that
/// is started ahead of its function they must be there before, below the mounts to come.
const LIBRARIES: [&str; 3] = ["/var/task", "/var/task/lib", "/opt/lib"];
/// Directories below those that the loader looks into as well.
const LIBRARIES_BY_PROCESSOR: [&str; 3] =
    ["glibc-hwcaps/x86-64-v2", "glibc-hwcaps/x86-64-v3", "glibc-hwcaps/x86-64-v4"];

/// All devices that a function sees, with their minor numbers. No shm, as on Lambda, and no terminals.
pub(crate) const DEVICES: [(&str, u32); 5] = [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)];

/// The other names in /dev.
pub(crate) const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// The most that a root's generated files may take.
const ROOT_SIZE: &str = "64m";

/// Where the host's root hangs while the new one is composed.
const HOST: &str = "/.host";

const BIND_ATTRIBUTES: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_RDONLY.union(MountAttrFlags::MOUNT_ATTR_NOSUID).union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// The roots that environments can be started with.
#[derive(Default)]
pub(super) struct Roots {
    /// None until the server has sent them.
    plans: Option<Vec<RootPlan>>,
    /// The mount namespace of each that was started once.
    namespaces: Vec<Option<OwnedFd>>,
}

impl Roots {
    /// Takes the plans that the server sends while it is trusted.
    ///
    /// # Errors
    /// That there are some already: a plan may name any file of the machine, and who sends again is no server of ours.
    pub(super) fn take(&mut self, fds: Vec<OwnedFd>) -> Done {
        let what = "reading the runtimes' roots";
        if self.plans.is_some() {
            return Err(Failure::new(libc::EPERM, "being sent the runtimes' roots a second time"));
        }
        let [plans] = exactly(fds).ok_or_else(|| Failure::new(libc::EINVAL, what))?;
        let plans = std::io::read_to_string(fs::File::from(plans)).during(what)?;
        let plans: Vec<RootPlan> =
            serde_json::from_str(&plans).map_err(|error| Failure::new(libc::EINVAL, format!("{what}: {error}")))?;
        self.namespaces = plans.iter().map(|_| None).collect();
        self.plans = Some(plans);
        Ok(())
    }

    /// That of this root, composed now where it is the first time.
    pub(super) fn namespace(&mut self, root: u32) -> Done<&OwnedFd> {
        let index = root as usize;
        let plan = self.plans.as_ref().and_then(|plans| plans.get(index));
        let (Some(plan), Some(place)) = (plan, self.namespaces.get_mut(index)) else {
            return Err(Failure::new(libc::EINVAL, format!("root number {root}, of which there is no plan")));
        };
        let namespace = match place.take() {
            Some(namespace) => namespace,
            None => compose(plan)?,
        };
        Ok(place.insert(namespace))
    }
}

/// Composes `plan` and returns the mount namespace. The caller's own mounts are not changed.
fn compose(plan: &RootPlan) -> Done<OwnedFd> {
    let (ours, childs) = channel::pair().during("making a socket pair")?;
    let (pid, pidfd) = match sys::fork(libc::CLONE_NEWNS, None).during("cloning into a mount namespace")? {
        Fork::Child => {
            drop(ours);
            builder(plan, &childs)
        }
        Fork::Parent { pid, pidfd } => (pid, pidfd),
    };
    drop(childs);
    let composed = match channel::receive(&ours, RecvFlags::empty()) {
        Ok(Received::Frame(Event::Ready, _)) => {
            let path = format!("/proc/{}/ns/mnt", pid.as_raw_nonzero());
            rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .during(format_args!("opening {path}"))
        }
        Ok(Received::Frame(Event::Failed(failure), _)) => Err(failure),
        _ => Err(Failure::new(libc::ECHILD, "composing a root: its builder died")),
    };
    drop(ours);
    rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).during("waiting for the builder")?;
    composed.map_err(|failure| Failure::new(failure.errno, format!("root {}: {}", plan.name, failure.what)))
}

/// The process whose namespace becomes the root. It lives until the parent has the namespace.
fn builder(plan: &RootPlan, parent: &OwnedFd) -> ! {
    let event = match build(plan) {
        Ok(()) => Event::Ready,
        Err(failure) => Event::Failed(failure),
    };
    let _ = channel::send(parent, &event, &[], SendFlags::empty());
    let _ = channel::receive::<Event>(parent, RecvFlags::empty());
    sys::exit_now(0)
}

fn build(plan: &RootPlan) -> Done {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    enter_new_root()?;
    let host = rustix::fs::open(HOST, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .during("opening the host's root")?;
    let mut tree = Tree::default();
    for path in DIRECTORIES.map(PathBuf::from).iter().chain(&plan.directories) {
        tree.directory(path)?;
    }
    for (path, below) in LIBRARIES.iter().flat_map(|path| LIBRARIES_BY_PROCESSOR.map(|below| (path, below))) {
        tree.directory(&Path::new(path).join(below))?;
    }
    for (path, target) in &plan.links {
        tree.parent(path)?;
        symlink(target, path).during(format_args!("linking {}", path.display()))?;
    }
    for (path, content, executable) in &plan.files {
        tree.file(path, content, *executable)?;
    }
    for bind in &plan.binds {
        tree.bind(&host, bind)?;
    }
    plan.masks.iter().try_for_each(|path| mask(path))?;
    let devices = tree.devices(&host)?;
    leave_host()?;
    make_read_only()?;
    devices.iter().try_for_each(|(path, device)| attach(device, path))
}

/// Makes an empty file system the root and hangs the host's below it.
fn enter_new_root() -> Done {
    let what = "mounting a root";
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).during(what)?;
    rustix::mount::fsconfig_set_string(&fs, "source", "hearth").during(what)?;
    rustix::mount::fsconfig_set_string(&fs, "mode", "755").during(what)?;
    rustix::mount::fsconfig_set_string(&fs, "size", ROOT_SIZE).during(what)?;
    rustix::mount::fsconfig_create(&fs).during(what)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).during(what)?;
    // On top of the root itself: this process still has the one below, and nothing is hidden from it.
    rustix::mount::move_mount(&mount, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).during(what)?;
    rustix::process::fchdir(&mount).during(what)?;
    fs::create_dir(HOST.trim_start_matches('/')).during(what)?;
    rustix::process::pivot_root(".", HOST.trim_start_matches('/')).during(what)?;
    rustix::process::chdir("/").during(what)
}

/// Cuts the host off.
fn leave_host() -> Done {
    rustix::mount::unmount(HOST, UnmountFlags::DETACH).during("leaving the host's root")?;
    fs::remove_dir(HOST).during("removing the mount point of the host's root")
}

/// The root and all that hangs in it, by one call instead of one for each file.
fn make_read_only() -> Done {
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).during("opening the root")?;
    let mut attributes = BIND_ATTRIBUTES;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, !weaken::is_off(Defence::ReadOnly));
    sys::mount_setattr(root.as_fd(), attributes, true).during("making the root read-only")
}

/// What a root is given its names in, while it can be written to.
#[derive(Default)]
struct Tree {
    /// Those made so far: most names have the same few parents.
    directories: HashSet<PathBuf>,
}

impl Tree {
    fn directory(&mut self, path: &Path) -> Done {
        if self.directories.contains(path) {
            return Ok(());
        }
        self.parent(path)?;
        match fs::create_dir(path) {
            // Also by a link.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made.during(format_args!("creating {}", path.display()))?,
        }
        self.directories.insert(path.to_owned());
        Ok(())
    }

    fn parent(&mut self, path: &Path) -> Done {
        path.parent().map_or(Ok(()), |parent| self.directory(parent))
    }

    fn file(&mut self, path: &Path, content: &[u8], executable: bool) -> Done {
        self.parent(path)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        file.and_then(|mut file| file.write_all(content)).during(format_args!("writing {}", path.display()))
    }

    /// Directories are read-only at once, since what follows may have its place in them.
    fn bind(&mut self, host: &OwnedFd, bind: &Bind) -> Done {
        let Bind { source, target } = bind;
        let opened = open_source(host, source)?;
        let stat = rustix::fs::fstat(&opened).during(format_args!("looking at {}", source.display()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.directory(target)?;
                attach(&clone(&opened, target, BIND_ATTRIBUTES)?, target)
            }
            FileType::RegularFile => {
                if !target.exists() {
                    self.file(target, b"", false)?;
                }
                attach(&clone(&opened, target, MountAttrFlags::empty())?, target)
            }
            _ => Err(Failure::new(libc::EINVAL, format!("{} is no file or directory", source.display()))),
        }
    }

    /// The host's own nodes, for environments that can have none of their own: to be attached to their names.
    fn devices(&mut self, host: &OwnedFd) -> Done<Vec<(PathBuf, OwnedFd)>> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let devices = DEVICES.iter().map(|(name, _)| {
            let path = PathBuf::from(format!("/dev/{name}"));
            self.file(&path, b"", false)?;
            let device = clone(&open_source(host, &path)?, &path, attributes)?;
            Ok((path, device))
        });
        let devices = devices.collect::<Done<_>>()?;
        for (name, target) in DEVICE_LINKS {
            symlink(target, format!("/dev/{name}")).during(format_args!("linking {name}"))?;
        }
        Ok(devices)
    }
}

/// Hides a directory of a bind.
fn mask(path: &Path) -> Done {
    let empty = rustix::fs::open(EMPTY_DIRECTORY, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .during(format_args!("opening {EMPTY_DIRECTORY}"))?;
    attach(&clone(&empty, path, BIND_ATTRIBUTES)?, path)
}

/// Opens a path of the host; links in it that begin with `/` mean the host's root too.
fn open_source(host: &OwnedFd, path: &Path) -> Done<OwnedFd> {
    rustix::fs::openat2(host, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
        .during(format_args!("opening {} of the host", path.display()))
}

/// What `source` names once more, attached nowhere yet.
fn clone(source: &OwnedFd, target: &Path, attributes: MountAttrFlags) -> Done<OwnedFd> {
    let what = format_args!("mounting {}", target.display());
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(source, "", flags).during(what)?;
    if !attributes.is_empty() {
        sys::mount_setattr(tree.as_fd(), attributes, false).during(what)?;
    }
    Ok(tree)
}

fn attach(tree: &OwnedFd, target: &Path) -> Done {
    rustix::mount::move_mount(tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .during(format_args!("mounting {}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::sealed;

    #[test]
    fn plans_are_taken_once() {
        let plans = |text: &str| vec![sealed("plans", text.as_bytes()).unwrap()];
        let mut roots = Roots::default();
        assert_eq!(roots.namespace(0).unwrap_err().errno, libc::EINVAL);
        assert_eq!(roots.take(plans("[]")), Ok(()));
        let others = serde_json::to_string(&[RootPlan::default()]).unwrap();
        assert_eq!(roots.take(plans(&others)).unwrap_err().errno, libc::EPERM);
        assert_eq!(roots.namespace(0).unwrap_err().errno, libc::EINVAL);
    }
}
