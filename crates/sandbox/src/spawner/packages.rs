//! Unpacked packages of the data folder as mounts: a function's code, and its layers merged into one.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hearth_types::CodeDigest;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};

use crate::error::{Done, During};
use crate::sys;
use crate::weaken::{self, Defence};

const ATTRIBUTES: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_RDONLY.union(MountAttrFlags::MOUNT_ATTR_NOSUID).union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// `code/` of the data folder.
pub(super) struct Packages(OwnedFd);

impl Packages {
    /// The folder is made where it is not there. Packages are the server's, who has the data folder.
    pub(super) fn open(data: &Path) -> Done<Self> {
        let path = data.join("code");
        let what = format!("opening {}", path.display());
        std::fs::create_dir_all(&path).during(&what)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let folder = rustix::fs::openat(CWD, &path, flags, Mode::empty()).during(&what)?;
        let owner = std::fs::metadata(data).during(&what)?;
        // Of an ordinary user's groups, its namespace may not know the folder's.
        if rustix::fs::fstat(&folder).during(&what)?.st_uid != owner.uid() {
            std::os::unix::fs::chown(sys::fd_path(&folder), Some(owner.uid()), Some(owner.gid())).during(&what)?;
        }
        Ok(Self(folder))
    }

    /// User and group of who has the packages.
    pub(super) fn owner(&self) -> Done<u32> {
        Ok(rustix::fs::fstat(&self.0).during("looking at the packages' folder")?.st_uid)
    }

    /// A tree that is being written as a detached mount, for who writes it.
    pub(super) fn mount_staging(&self, number: u64) -> Done<OwnedFd> {
        let what = "mounting a folder for a package";
        let folder = self.open_beneath(&hearth_types::package::staging(number)).during(what)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let tree = rustix::mount::open_tree(&folder, "", flags).during(what)?;
        let nothing_special = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC
            | MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW;
        sys::mount_setattr(tree.as_fd(), nothing_special, false).during(what)?;
        Ok(tree)
    }

    /// A package as a detached read-only mount.
    pub(super) fn mount(&self, package: &CodeDigest) -> Done<OwnedFd> {
        let folder = self.folder(package)?;
        let what = format!("mounting the package {package}");
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let tree = rustix::mount::open_tree(&folder, "", flags).during(&what)?;
        if !weaken::is_off(Defence::ReadOnly) {
            sys::mount_setattr(tree.as_fd(), ATTRIBUTES, false).during(&what)?;
        }
        Ok(tree)
    }

    /// Packages as one detached read-only mount, a later one over an earlier one; none where there are none.
    pub(super) fn mount_layers(&self, packages: &[CodeDigest]) -> Done<Option<OwnedFd>> {
        match top_first(packages).as_slice() {
            [] => Ok(None),
            [only] => self.mount(only).map(Some),
            several => self.merge(several).map(Some),
        }
    }

    /// An overlay without a layer to write to. It is mounted here, where the packages can be reached: an environment has
    /// nothing of the host to find them by.
    fn merge(&self, top_first: &[CodeDigest]) -> Done<OwnedFd> {
        let folders: Vec<OwnedFd> = top_first.iter().map(|package| self.folder(package)).collect::<Done<_>>()?;
        let lower: Vec<String> = folders.iter().map(sys::fd_path).collect();
        let what = "merging layers";
        let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).during(what)?;
        rustix::mount::fsconfig_set_string(&fs, "source", "hearth").during(what)?;
        rustix::mount::fsconfig_set_string(&fs, "lowerdir", lower.join(":")).during(what)?;
        rustix::mount::fsconfig_create(&fs).during(what)?;
        rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, ATTRIBUTES).during(what)
    }

    fn folder(&self, package: &CodeDigest) -> Done<OwnedFd> {
        self.open_beneath(&package.to_string()).during(format_args!("opening the package {package}"))
    }

    fn open_beneath(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(&self.0, name, flags, Mode::empty(), resolve)
    }
}

/// The packages in the kernel's order, each once, where it covers most: under itself it shows nothing, and the kernel
/// refuses it there.
fn top_first(packages: &[CodeDigest]) -> Vec<CodeDigest> {
    let mut ordered = Vec::with_capacity(packages.len());
    for package in packages.iter().rev() {
        if !ordered.contains(package) {
            ordered.push(*package);
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_on_top_and_each_is_there_once() {
        let [a, b, c] = [1, 2, 3].map(|byte| CodeDigest([byte; 32]));
        assert_eq!(top_first(&[a, b, c]), [c, b, a]);
        assert_eq!(top_first(&[a, b, a]), [a, b]);
        assert_eq!(top_first(&[a, a]), [a]);
        assert_eq!(top_first(&[]), []);
    }
}
