//! The disk behind /tmp: an unlinked sparse file with an ext4 file system in it, bound to a loop device that unbinds
//! itself with the last mount. A tmpfs would be charged to the memory limit, so that a 128 MB function could not fill
//! its 512 MB; and since the file has no name and the device needs nobody to free it, a crash leaves nothing behind.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::{Done, During, Failure};
use crate::sys;
use crate::weaken::{self, Defence};

/// The spawner's own folder in the data folder.
pub(crate) const TMP_FOLDER: &str = "tmp";

/// Part of the template's file name: another way of making it needs another number.
const TEMPLATE_FORMAT: u32 = 2;

/// Bytes that are copied at once.
const COPY_BYTES: usize = 16 * 1024;

/// Another process may take the loop device that was free a moment ago.
const LOOP_ATTEMPTS: u32 = 64;

const MKFS: [&str; 3] = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"];

/// No journal: nothing survives a crash anyway. No second superblock, by which somebody would repair it. Lazy
/// initialisation: the holes of a sparse file are zeros already.
const MKFS_OPTIONS: [&str; 10] = [
    "-q",
    "-F",
    "-m",
    "0",
    "-O",
    "^has_journal,^resize_inode,^metadata_csum,uninit_bg,sparse_super2",
    "-E",
    "lazy_itable_init=1,nodiscard,num_backup_sb=0",
    "-i",
    "16384",
];

/// Says what this machine lacks for disk-backed /tmp.
pub(crate) fn check_machine() -> Done {
    mkfs_path()?;
    loop_control().map(drop)
}

/// Opens the folder of templates and volumes, and removes what a crash left in it.
pub(crate) fn open_folder(data_dir: &Path) -> Done<OwnedFd> {
    let path = data_dir.join(TMP_FOLDER);
    match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error).during(format_args!("creating {}", path.display())),
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let folder =
        rustix::fs::openat(CWD, &path, flags, Mode::empty()).during(format_args!("opening {}", path.display()))?;
    // The server, which gives up root, owns the folder above this one; what is in here must stay ours alone.
    rustix::fs::fchown(&folder, Some(rustix::fs::Uid::ROOT), Some(rustix::fs::Gid::ROOT))
        .and_then(|()| rustix::fs::fchmod(&folder, Mode::from_raw_mode(0o700)))
        .during(format_args!("taking {} over", path.display()))?;
    let entries = rustix::fs::Dir::read_from(&folder).during(format_args!("reading {}", path.display()))?;
    for entry in entries.flatten() {
        if entry.file_name().to_bytes().starts_with(b"new-") {
            let _ = rustix::fs::unlinkat(&folder, entry.file_name(), AtFlags::empty());
        }
    }
    Ok(folder)
}

/// Makes an empty volume of which about `mb` MB can be used: its mount, attached nowhere yet, which keeps the file system
/// and its loop device alive, N of /dev/loopN, and the file behind that. `name` is one that no other volume has at this
/// time.
pub(crate) fn create(folder: impl AsFd, mb: u32, name: &str) -> Done<(OwnedFd, u32, File)> {
    let template = template(folder.as_fd(), mb, name)?;
    let file = unnamed_file(folder.as_fd(), name)?;
    rustix::fs::ftruncate(&file, image_bytes(mb)).during("sizing a /tmp volume")?;
    let (loop_number, device) = bind_loop(&file)?;
    // Through the device and not into the file: there the mount finds it in memory, and nobody waits for the machine's disk.
    let device = File::from(device);
    copy_data(&template, &device).during("copying the /tmp template")?;
    Ok((mount(loop_number)?, loop_number, file))
}

/// One more mount of a volume that some descriptor keeps alive.
pub(crate) fn mount(loop_number: u32) -> Done<OwnedFd> {
    let what = format!("mounting the /tmp volume on /dev/loop{loop_number}");
    let fs = rustix::mount::fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC).during(&what)?;
    rustix::mount::fsconfig_set_string(&fs, "source", format!("/dev/loop{loop_number}")).during(&what)?;
    rustix::mount::fsconfig_set_flag(&fs, "noinit_itable").during(&what)?;
    // Nothing in it outlives the machine: an fsync ends at this device, and does not flush the machine's own disk.
    rustix::mount::fsconfig_set_flag(&fs, "nobarrier").during(&what)?;
    // Whoever never looks for room needs no list of it. A kernel that does not know the word makes one.
    let _ = rustix::mount::fsconfig_set_flag(&fs, "no_prefetch_block_bitmaps");
    rustix::mount::fsconfig_create(&fs).during(&what)?;
    let attributes = if weaken::is_off(Defence::TmpFlags) {
        MountAttrFlags::MOUNT_ATTR_NOATIME
    } else {
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOATIME
    };
    rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).during(&what)
}

/// The file system of this size that volumes start as; made at its first use.
fn template(folder: impl AsFd, mb: u32, name: &str) -> Done<File> {
    let final_name = format!("template-{TEMPLATE_FORMAT}-{mb}.ext4");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::openat(&folder, &final_name, flags, Mode::empty()) {
        Ok(file) => return Ok(file.into()),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error).during("opening a /tmp template"),
    }
    let file = new_file(folder.as_fd(), name)?;
    rustix::fs::ftruncate(&file, image_bytes(mb)).during("sizing a /tmp template")?;
    format(&file)?;
    prepare_top(&file)?;
    // After a crash of the machine the name would stand for half a file system, and no environment could be made.
    rustix::fs::fsync(&file).during("flushing a /tmp template")?;
    rustix::fs::renameat(&folder, temporary(name), &folder, &final_name).during("naming a /tmp template")?;
    Ok(file)
}

/// Bytes of the image: what the function sees, and what ext4 takes for itself: inodes (1.6 %) and its reserve (2 % of
/// the blocks or 16 MiB).
fn image_bytes(mb: u32) -> u64 {
    let mb = u64::from(mb);
    (mb + mb * 165 / 10_000 + 18) * 1024 * 1024
}

fn format(file: &File) -> Done {
    let mkfs = mkfs_path()?;
    let what = format!("running {mkfs}");
    let stdin = file.try_clone().during(&what)?;
    let output = Command::new(mkfs)
        .args(MKFS_OPTIONS)
        .arg("/proc/self/fd/0")
        .env_clear()
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .during(&what)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(libc::EIO, format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// The top directory is anybody's, as /tmp is, and empty; blocks that are not in use are holes of the file. A copy of any
/// other could be written over what a function has put there meanwhile.
fn prepare_top(file: &File) -> Done {
    let what = "preparing a /tmp template";
    let (loop_number, _device) = bind_loop(file)?;
    let top = mount(loop_number)?;
    let top = rustix::fs::openat(&top, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).during(what)?;
    rustix::fs::fchmod(&top, Mode::from_raw_mode(0o1777)).during(what)?;
    rustix::fs::unlinkat(&top, "lost+found", AtFlags::REMOVEDIR).during(what)?;
    // The loop device may go after this function's end; what it writes must be in the file before that.
    rustix::fs::syncfs(&top).during(what)?;
    sys::trim(top.as_fd()).during("leaving unused blocks out of a /tmp template")
}

fn temporary(name: &str) -> String {
    format!("new-{name}")
}

/// A file that goes with the last who has it open, even if its maker is killed in here.
fn unnamed_file(folder: impl AsFd, name: &str) -> Done<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match rustix::fs::openat(&folder, ".", flags, Mode::from_raw_mode(0o600)) {
        Ok(file) => Ok(file.into()),
        // Not every file system has such.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => {
            let file = new_file(&folder, name)?;
            rustix::fs::unlinkat(folder, temporary(name), AtFlags::empty()).during("unlinking a new /tmp volume")?;
            Ok(file)
        }
        Err(error) => Err(error).during("creating a /tmp volume"),
    }
}

fn new_file(folder: impl AsFd, name: &str) -> Done<File> {
    // Of one who was killed: nobody else has the name now.
    let _ = rustix::fs::unlinkat(&folder, temporary(name), AtFlags::empty());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    rustix::fs::openat(folder, temporary(name), flags, Mode::from_raw_mode(0o600))
        .map(File::from)
        .during("creating a file for a /tmp volume")
}

/// Copies what holds data and leaves the holes.
fn copy_data(from: &File, to: &File) -> io::Result<()> {
    let mut at = 0;
    loop {
        let data = match rustix::fs::seek(from, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        at = rustix::fs::seek(from, rustix::fs::SeekFrom::Hole(data))?;
        copy_range(from, to, data, at)?;
    }
}

fn copy_range(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let mut part = [0; COPY_BYTES];
    let mut at = start;
    while at < end {
        let length = part.len().min((end - at) as usize);
        from.read_exact_at(&mut part[..length], at)?;
        to.write_all_at(&part[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

/// Binds the file to a free loop device. The device's descriptor holds the binding until a mount does.
fn bind_loop(file: &File) -> Done<(u32, OwnedFd)> {
    let control = loop_control()?;
    for _ in 0..LOOP_ATTEMPTS {
        let number = sys::loop_free(control.as_fd()).during("finding a free loop device")?;
        let path = format!("/dev/loop{number}");
        let device = match rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
            // Another process has removed it meanwhile.
            Err(Errno::NXIO | Errno::NOENT | Errno::NODEV) => continue,
            device => device.during(format_args!("opening {path}"))?,
        };
        // Direct I/O keeps the data from being cached twice; not every file system has it.
        let bound = sys::loop_bind(device.as_fd(), file.as_fd(), true).or_else(|error| {
            let unsupported = error.raw_os_error() == Some(libc::EINVAL);
            if unsupported { sys::loop_bind(device.as_fd(), file.as_fd(), false) } else { Err(error) }
        });
        match bound {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            other => return other.map(|()| (number, device)).during(format_args!("binding {path}")),
        }
    }
    Err(Failure::new(libc::EBUSY, "finding a loop device that nobody else takes"))
}

/// Takes a volume from everybody who uses it, and what it has of the machine's disk: nothing more gets there.
pub(crate) fn spoil(file: impl AsFd, loop_number: u32) -> Done {
    rustix::fs::ftruncate(file, 0).during("emptying a /tmp volume")?;
    // What waits in memory to be written would make the file grow again.
    let path = format!("/dev/loop{loop_number}");
    let device = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let device = device.during(format_args!("opening {path}"))?;
    sys::loop_set_capacity(device.as_fd()).during(format_args!("emptying {path}"))
}

/// The device that hands out loop devices.
pub(crate) fn loop_control() -> Done<OwnedFd> {
    rustix::fs::open("/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .during("opening /dev/loop-control (an environment's /tmp is a loop device; is the kernel module loaded?)")
}

fn mkfs_path() -> Done<&'static str> {
    MKFS.into_iter().find(|path| Path::new(path).exists()).ok_or_else(|| {
        Failure::new(
            libc::ENOENT,
            "finding mkfs.ext4, which makes an environment's /tmp; install the package e2fsprogs",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_killed_leaves_nothing_in_anybodys_way() {
        let path = tempfile::tempdir().unwrap();
        let folder = File::open(path.path()).unwrap();
        let volume = unnamed_file(&folder, "3").unwrap();
        assert_eq!(std::fs::read_dir(path.path()).unwrap().count(), 0, "a volume has no name");
        drop(volume);
        // As far as who makes a template may come.
        drop(new_file(&folder, "3").unwrap());
        new_file(&folder, "3").expect("the next one of this name");
    }
}
