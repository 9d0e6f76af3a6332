//! A directory of a control group hierarchy, held open: later steps name what is below it, never a host path.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use crate::error::{Done, During};

#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    /// For messages.
    path: String,
}

impl Dir {
    pub(super) fn at(path: &str) -> Done<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).during(format_args!("opening {path}"))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// A hierarchy mounted nowhere, held by its descriptor.
    pub(super) fn detached(fd: OwnedFd) -> Done<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&fd, ".", flags, Mode::empty()).during("opening the cgroup2 hierarchy")?;
        Ok(Self { fd, path: "cgroup2".to_owned() })
    }

    pub(super) fn open(&self, name: &str) -> Done<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let path = format!("{}/{name}", self.path);
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).during(format_args!("opening {path}"))?;
        Ok(Self { fd, path })
    }

    /// Makes the directory where it is missing, and opens it.
    pub(super) fn create(&self, name: &str) -> Done<Self> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => self.open(name),
            Err(error) => Err(error).during(format_args!("creating {}/{name}", self.path)),
        }
    }

    /// Removes an empty directory; one that is not there is fine.
    pub(super) fn remove(&self, name: &str) -> Done {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error).during(format_args!("removing {}/{name}", self.path)),
        }
    }

    /// Names of the directories in it.
    pub(super) fn children(&self) -> Done<Vec<String>> {
        let entries = rustix::fs::Dir::read_from(&self.fd).during(format_args!("reading {}", self.path))?;
        let dirs = entries.flatten().filter(|e| e.file_type() == rustix::fs::FileType::Directory);
        let names = dirs.filter_map(|e| e.file_name().to_str().map(str::to_owned).ok());
        Ok(names.filter(|name| name != "." && name != "..").collect())
    }

    pub(super) fn open_file(&self, name: &str, flags: OFlags) -> Done<OwnedFd> {
        rustix::fs::openat(&self.fd, name, flags | OFlags::CLOEXEC, Mode::empty())
            .during(format_args!("opening {}/{name}", self.path))
    }

    pub(super) fn write(&self, name: &str, value: &str) -> Done {
        let file = self.open_file(name, OFlags::WRONLY)?;
        rustix::io::write(&file, value.as_bytes())
            .map(drop)
            .during(format_args!("writing {value:?} to {}/{name}", self.path))
    }

    /// As [`Self::write`]; a kernel without the file is fine.
    pub(super) fn write_if_there(&self, name: &str, value: &str) -> Done {
        match self.write(name, value) {
            Err(failure) if failure.errno == libc::ENOENT => Ok(()),
            other => other,
        }
    }

    pub(super) fn read(&self, name: &str) -> Done<String> {
        let file = std::fs::File::from(self.open_file(name, OFlags::RDONLY)?);
        io::read_to_string(file).during(format_args!("reading {}/{name}", self.path))
    }

    /// For messages.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether this process could make a directory in it.
    pub(super) fn writable(&self) -> Done {
        let flags = AtFlags::EACCESS;
        rustix::fs::accessat(&self.fd, ".", rustix::fs::Access::WRITE_OK, flags)
            .during(format_args!("{} is not this user's to change", self.path))
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn try_clone(&self) -> Done<OwnedFd> {
        self.fd.as_fd().try_clone_to_owned().during("duplicating a descriptor")
    }
}
