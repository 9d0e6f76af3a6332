//! The guest's kernel, initramfs and root image, made from Debian packages and cached.
//!
//! Packages are downloaded with their dependencies and unpacked; none is installed on this machine and no package
//! script runs, which takes seconds instead of minutes and needs no emulation.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use super::{cache, check, program_path, repository};

/// What this machine itself needs: (program, Debian package).
const TOOLS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("mkfs.ext4", "e2fsprogs"),
    ("cpio", "cpio"),
    ("depmod", "kmod"),
    ("setpriv", "util-linux"),
];

/// Packages of the guest's root; their dependencies come along.
const PACKAGES: &[&str] = &[
    "base-files",
    "base-passwd",
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "e2fsprogs",
    "findutils",
    "grep",
    "hostname",
    "iproute2",
    "kmod",
    "libc-bin",
    "mount",
    "nftables",
    "nodejs",
    "procps",
    "python3",
    "sed",
    "tar",
    "uidmap",
    "util-linux",
];

/// An ordinary user of the guest, as Debian's `adduser` makes one: with ids of its own to map.
const USER: &str = "ordinary";

/// The package that depends on the newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";

/// Drivers that must be there before the root is (ext4 is built in); everything else loads on demand from the root.
const EARLY_MODULES: &[&str] = &["virtio_pci", "virtio_blk", "virtio_console", "virtio_rng"];

/// Size of the guest's root file system in bytes; sparse on this machine.
const ROOT_BYTES: u64 = 6 << 30;

/// What a guest boots from.
pub(super) struct Images {
    pub(super) kernel: PathBuf,
    pub(super) initramfs: PathBuf,
    pub(super) root: PathBuf,
}

/// Installs the tools and makes the images, unless they are there already.
pub(super) fn prepare() -> Result<Images> {
    let user = fs::metadata("/proc/self")?.uid();
    ensure!(user == 0, "the guest's images need root: they hold files of root's (this is user {user})");
    install_tools()?;
    let folder = cache();
    let images = Images {
        kernel: folder.join("vmlinuz"),
        initramfs: folder.join("initramfs.cpio"),
        root: folder.join("root.ext4"),
    };
    let stamp = folder.join("stamp");
    let recipe = recipe()?;
    if fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        return Ok(images);
    }
    eprintln!("guest: building the guest's images in {}", folder.display());
    let work = folder.join("building");
    remove(&work)?;
    remove(&stamp)?;
    fs::create_dir_all(&work)?;
    build(&work, &images)?;
    remove(&work)?;
    fs::write(&stamp, recipe)?;
    Ok(images)
}

fn build(work: &Path, images: &Images) -> Result<()> {
    let root = work.join("root");
    let kernel = newest_kernel()?;
    let packages: Vec<&str> = PACKAGES.iter().copied().chain([kernel.as_str()]).collect();
    for package in download(work, &packages)? {
        unpack_into(&root, &package)?;
    }
    finish_root(&root)?;

    let version = kernel.strip_prefix("linux-image-").unwrap_or(&kernel);
    check(Command::new("depmod").arg("-b").arg(&root).arg(version))?;
    fs::copy(root.join("boot").join(format!("vmlinuz-{version}")), &images.kernel)?;
    build_initramfs(&work.join("initramfs"), &root.join("lib/modules").join(version), &images.initramfs)?;

    remove(&root.join("boot"))?;
    remove(&images.root)?;
    fs::File::create(&images.root)?.set_len(ROOT_BYTES)?;
    // No lazy initialisation: the guest would spend its emulated processor on it.
    check(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d"])
            .arg(&root)
            .arg(&images.root),
    )?;
    Ok(())
}

fn install_tools() -> Result<()> {
    let path = program_path();
    let there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<&str> = TOOLS.iter().filter(|(program, _)| !there(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("guest: installing {}", missing.join(" "));
    refresh_package_lists()?;
    check(
        Command::new("apt-get")
            .args(["install", "-y", "--no-install-recommends"])
            .args(missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    Ok(())
}

/// `apt-get update`, unless it ran within a day: old lists name package files that are no longer served.
fn refresh_package_lists() -> Result<()> {
    let newest = fs::read_dir("/var/lib/apt/lists")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with("Release"))
        .filter_map(|entry| entry.metadata().ok().map(|file| changed(&file)))
        .max();
    let age = newest.and_then(|time| SystemTime::now().duration_since(time).ok());
    if age.is_none_or(|age| age > Duration::from_secs(24 * 3600)) {
        check(Command::new("apt-get").arg("update"))?;
    }
    Ok(())
}

/// When a file changed here. Its modification time is the server's, which says nothing about our last update.
fn changed(file: &fs::Metadata) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(file.ctime()).unwrap_or_default())
}

/// The name of the package with the kernel itself, such as `linux-image-6.1.0-9-cloud-amd64`.
fn newest_kernel() -> Result<String> {
    refresh_package_lists()?;
    let depends = check(Command::new("apt-cache").args(["depends", "--important", KERNEL]))?;
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-"))
        .map(String::from)
        .with_context(|| format!("package {KERNEL} names no kernel; is this Debian on amd64?"))
}

/// Downloads packages and all they depend on, as apt would for an empty machine; the files' paths.
fn download(work: &Path, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let archives = work.join("archives");
    fs::create_dir_all(archives.join("partial"))?;
    let status = work.join("status");
    fs::write(&status, "")?;
    check(
        Command::new("apt-get")
            .args(["install", "-y", "--no-install-recommends", "--download-only"])
            .arg("-o")
            .arg(format!("Dir::State::status={}", status.display()))
            .arg("-o")
            .arg(format!("Dir::Cache::archives={}", archives.display()))
            .args(["-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"])
            .args(packages),
    )?;
    let mut files = Vec::new();
    for entry in fs::read_dir(&archives)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            files.push(path);
        }
    }
    ensure!(!files.is_empty(), "apt-get downloaded nothing into {}", archives.display());
    files.sort();
    Ok(files)
}

/// Unpacks one package, through the links of a merged `/usr`, without what nobody reads in a guest.
fn unpack_into(root: &Path, package: &Path) -> Result<()> {
    if !root.exists() {
        for folder in ["bin", "sbin", "lib", "lib64"] {
            fs::create_dir_all(root.join("usr").join(folder))?;
            symlink(format!("usr/{folder}"), root.join(folder))?;
        }
    }
    let mut archive = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).stdout(Stdio::piped()).spawn()?;
    let bytes = archive.stdout.take().context("dpkg-deb has no output")?;
    check(
        Command::new("tar")
            .args(["-x", "--keep-directory-symlink", "-C"])
            .arg(root)
            .args(["--exclude=./usr/share/doc/*", "--exclude=./usr/share/man/*", "--exclude=./usr/share/locale/*"])
            .stdin(bytes),
    )?;
    ensure!(archive.wait()?.success(), "{} cannot be unpacked", package.display());
    Ok(())
}

/// What package scripts would have done, as far as the guest needs it.
fn finish_root(root: &Path) -> Result<()> {
    fs::copy(root.join("usr/share/base-passwd/passwd.master"), root.join("etc/passwd"))?;
    fs::copy(root.join("usr/share/base-passwd/group.master"), root.join("etc/group"))?;
    fs::write(root.join("etc/shadow"), "root:*:19000:0:99999:7:::\n")?;
    fs::set_permissions(root.join("etc/shadow"), fs::Permissions::from_mode(0o640))?;
    append(&root.join("etc/passwd"), &format!("{USER}:x:1000:1000::/home/{USER}:/bin/bash\n"))?;
    append(&root.join("etc/group"), &format!("{USER}:x:1000:\n"))?;
    for file in ["etc/subuid", "etc/subgid"] {
        fs::write(root.join(file), format!("{USER}:100000:65536\n"))?;
    }
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n")?;
    fs::write(root.join("etc/hostname"), "guest\n")?;
    for folder in ["home", "mnt", "opt", "srv"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let home = root.join("home").join(USER);
    fs::create_dir_all(&home)?;
    std::os::unix::fs::chown(&home, Some(1000), Some(1000))?;
    let mut certificates = Vec::new();
    for entry in fs::read_dir(root.join("usr/share/ca-certificates/mozilla"))? {
        certificates.extend(fs::read(entry?.path())?);
    }
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), certificates)?;
    let init = root.join("sbin/guest-init");
    fs::write(&init, script("init.sh")?)?;
    make_executable(&init)?;
    check(Command::new("ldconfig").arg("-r").arg(root))?;
    Ok(())
}

fn append(path: &Path, line: &str) -> Result<()> {
    let text = fs::read_to_string(path)?;
    Ok(fs::write(path, text + line)?)
}

fn build_initramfs(work: &Path, modules: &Path, archive: &Path) -> Result<()> {
    for folder in ["bin", "lib", "proc", "sys", "dev", "root"] {
        fs::create_dir_all(work.join(folder))?;
    }
    fs::copy("/bin/busybox", work.join("bin/busybox"))?;
    for name in ["sh", "mount", "insmod", "grep", "basename", "dirname", "poweroff", "switch_root"] {
        symlink("busybox", work.join("bin").join(name))?;
    }
    let mut list = String::new();
    for file in load_order(&fs::read_to_string(modules.join("modules.dep"))?, EARLY_MODULES)? {
        let name = file.rsplit('/').next().unwrap_or(&file);
        fs::copy(modules.join(&file), work.join("lib").join(name))?;
        list += &format!("{name}\n");
    }
    fs::write(work.join("modules"), list)?;
    fs::write(work.join("init"), script("initramfs.sh")?)?;
    make_executable(&work.join("init"))?;
    check(
        Command::new("sh")
            .args(["-c", "find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0 >\"$0\""])
            .arg(archive)
            .current_dir(work),
    )?;
    Ok(())
}

/// The files to load for `wanted`, each after what it depends on. `dependencies` is the text of `modules.dep`: a line
/// for each file, with all it needs, the first needed last.
fn load_order(dependencies: &str, wanted: &[&str]) -> Result<Vec<String>> {
    let mut order: Vec<String> = Vec::new();
    for module in wanted {
        let named = |file: &str| {
            let name = file.rsplit('/').next().unwrap_or(file);
            name.split('.').next().is_some_and(|name| name.replace('-', "_") == *module)
        };
        let Some((file, needs)) =
            dependencies.lines().filter_map(|line| line.split_once(':')).find(|(file, _)| named(file))
        else {
            bail!("the guest's kernel has no module {module}");
        };
        for needed in needs.split_whitespace().rev().chain([file]) {
            if !order.iter().any(|there| there == needed) {
                order.push(needed.to_owned());
            }
        }
    }
    Ok(order)
}

/// Everything the images depend on, as text: when it differs from the one they were made with, they are made anew.
fn recipe() -> Result<String> {
    Ok([include_str!("image.rs"), &script("initramfs.sh")?, &script("init.sh")?].concat())
}

fn script(name: &str) -> Result<String> {
    let path = repository().join("e2e/guest").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn make_executable(path: &Path) -> Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// Removes a file or a folder with all in it; that there is none is fine.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko
kernel/fs/jbd2/jbd2.ko:
kernel/lib/crc16.ko:
kernel/drivers/char/hw_random/virtio-rng.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
";

    #[test]
    fn modules_load_after_what_they_need_and_once() {
        let order = load_order(DEPENDENCIES, &["jbd2", "ext4", "virtio_rng"]).unwrap();
        let names: Vec<&str> = order.iter().map(|file| file.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["jbd2.ko", "crc16.ko", "ext4.ko", "virtio.ko", "virtio-rng.ko"]);
    }

    #[test]
    fn a_module_the_kernel_lacks_is_named() {
        let error = load_order(DEPENDENCIES, &["zfs"]).unwrap_err();
        assert_eq!(error.to_string(), "the guest's kernel has no module zfs");
    }
}
