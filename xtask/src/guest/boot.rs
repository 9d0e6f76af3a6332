//! Boots the guest, passes a command in and its output and status out.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use super::image::{Images, remove};
use super::{Job, cache, check};

/// A boot takes 2 to 6 seconds on a quiet machine; one that takes this long hangs and is tried again.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
const BOOT_TRIES: u32 = 3;

/// What keeps a boot under emulation from hanging while the kernel calibrates its clocks on a busy machine; a clock that
/// processes cannot read but by a system call; and what makes this a cgroup v2 machine and nothing else.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1 lpj=4000000 no_timer_check tsc_early_khz=2596000 \
     mitigations=off nowatchdog random.trust_cpu=on clocksource=hpet cgroup_no_v1=all";

/// A line longer than this is passed on before its end has come, in bytes.
const LINE_LIMIT: usize = 64 << 10;

/// Runs the job in a fresh guest; the command's exit status.
pub(super) fn run(images: &Images, job: &Job, timeout: Duration) -> Result<i32> {
    let deadline = Instant::now() + timeout;
    let folder = RunFolder::make(job.keep)?;
    let payload = pack(&folder.path, job)?;
    let console = folder.path.join("console.log");
    for attempt in 1..=BOOT_TRIES {
        let mut guest = Guest::start(images, &payload, &console)?;
        let boot_deadline = deadline.min(Instant::now() + BOOT_LIMIT);
        match guest.next_mark(boot_deadline)? {
            Some(Mark::Ready) => {
                return match guest.next_mark(deadline)? {
                    Some(Mark::Exit(status)) => Ok(status),
                    Some(Mark::Ready) => bail!("the guest started over while the command ran"),
                    None => bail!("the command did not end within {} s\n{}", timeout.as_secs(), tail(&console)),
                };
            }
            Some(Mark::Exit(status)) => bail!("the guest ended (status {status}) before it was ready"),
            None => eprintln!("guest: boot {attempt} of {BOOT_TRIES} hangs\n{}", tail(&console)),
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    bail!("the guest did not boot")
}

/// A folder for this run alone, removed at its end.
struct RunFolder {
    path: PathBuf,
    keep: bool,
}

impl RunFolder {
    fn make(keep: bool) -> Result<Self> {
        // What a killed run left.
        for entry in fs::read_dir(cache())?.flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix("run-"));
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists() && !entry.path().join("keep").exists()) {
                remove(&entry.path())?;
            }
        }
        let path = cache().join(format!("run-{}", std::process::id()));
        remove(&path)?;
        fs::create_dir(&path)?;
        if keep {
            fs::write(path.join("keep"), "")?;
        }
        Ok(Self { path, keep })
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("guest: kept {}", self.path.display());
        } else if let Err(error) = remove(&self.path) {
            eprintln!("guest: {error:#}");
        }
    }
}

/// The archive that the guest unpacks over its root: the files to copy and `/guest/command`.
fn pack(folder: &Path, job: &Job) -> Result<PathBuf> {
    let tree = folder.join("payload");
    fs::create_dir_all(tree.join("guest"))?;
    let words: Vec<String> = job.command.iter().map(|word| quote(word)).collect();
    fs::write(tree.join("guest/command"), format!("exec {}\n", words.join(" ")))?;
    for (host, guest) in &job.copies {
        ensure!(host.exists(), "there is no {} to copy into the guest", host.display());
        let target = tree.join(guest.strip_prefix("/")?);
        fs::create_dir_all(target.parent().context("the root itself cannot be a target")?)?;
        check(Command::new("cp").args(["-aL", "--reflink=auto", "-T"]).arg(host).arg(&target))?;
    }
    let archive = folder.join("payload.tar");
    // Only what is copied, never the folders above it: those would change the guest's own `/usr` and the like.
    let list = check(Command::new("find").args([".", "!", "-type", "d"]).current_dir(&tree))?;
    fs::write(folder.join("files"), list)?;
    check(
        Command::new("tar")
            .args(["-c", "--owner=0", "--group=0", "--no-recursion", "-f"])
            .arg(&archive)
            .arg("-C")
            .arg(&tree)
            .arg("-T")
            .arg(folder.join("files")),
    )?;
    remove(&tree)?;
    Ok(archive)
}

/// A word for a POSIX shell.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What the guest says of itself, between the lines of the command.
#[derive(Debug, PartialEq)]
enum Mark {
    Ready,
    Exit(i32),
}

/// A running QEMU; ends with this value, and with this process if that is killed.
struct Guest {
    machine: Child,
    output: Receiver<Vec<u8>>,
    lines: Lines,
}

impl Guest {
    fn start(images: &Images, payload: &Path, console: &Path) -> Result<Self> {
        let nonce = nonce()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let mut machine = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"])
            .args([
                "-M",
                "q35,hpet=on,sata=off,smbus=off,vmport=off",
                "-accel",
                "tcg,thread=multi",
                "-smp",
                "2",
                "-m",
                "2048",
            ])
            .args(["-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand"])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(&images.kernel)
            .arg("-initrd")
            .arg(&images.initramfs)
            .arg("-append")
            .arg(format!("{KERNEL_ARGUMENTS} hearth_nonce={nonce} hearth_time={now}"))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            // What the guest writes goes into a temporary file without a name.
            .args(["-drive", &drive("root", &images.root, "snapshot=on,cache=unsafe")])
            .args(["-drive", &drive("payload", payload, "readonly=on")])
            .args(["-device", "virtio-blk-pci,drive=root,serial=root"])
            .args(["-device", "virtio-blk-pci,drive=payload,serial=payload"])
            .args(["-device", "virtio-serial-pci"])
            .args(["-chardev", "stdio,id=port,signal=off"])
            .args(["-device", "virtserialport,chardev=port,name=hearth.guest"])
            .args(["-device", "virtio-rng-pci"])
            .env("TMPDIR", console.parent().unwrap_or(console))
            // Held open: at the end of its input QEMU takes the whole port for closed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start QEMU")?;
        let bytes = machine.stdout.take().context("QEMU has no output")?;
        Ok(Self { machine, output: read_in_background(bytes), lines: Lines::new(nonce) })
    }

    /// Passes the command's output on until the guest says something of itself; `None` at the deadline.
    fn next_mark(&mut self, deadline: Instant) -> Result<Option<Mark>> {
        let mut out = std::io::stdout().lock();
        loop {
            if let Some(mark) = self.lines.next_mark(&mut out)? {
                return Ok(Some(mark));
            }
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.lines.push(&bytes),
                Err(RecvTimeoutError::Timeout) => {
                    self.lines.write_pending(&mut out)?;
                    return Ok(None);
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the machine stopped ({})", self.machine.wait()?),
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.machine.kill();
        let _ = self.machine.wait();
    }
}

fn drive(id: &str, file: &Path, options: &str) -> String {
    // A comma in a value of QEMU's is written twice.
    let file = file.display().to_string().replace(',', ",,");
    format!("id={id},if=none,format=raw,{options},file={file}")
}

/// Unguessable for what runs in the guest, so that no output can pass for a mark by accident.
fn nonce() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot read a random id")?;
    Ok(id.trim().to_owned())
}

fn read_in_background(mut bytes: ChildStdout) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(16);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count) = bytes.read(&mut buffer) {
            if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Tells the guest's marks from the command's output.
struct Lines {
    nonce: String,
    pending: Vec<u8>,
}

impl Lines {
    fn new(nonce: String) -> Self {
        Self { nonce, pending: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Writes whole lines to `out` until one holds a mark.
    fn next_mark(&mut self, out: &mut impl Write) -> Result<Option<Mark>> {
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            if let Some((start, mark)) = self.mark_in(&line) {
                // The command's last line need not have an end.
                out.write_all(&line[..start])?;
                out.flush()?;
                return Ok(Some(mark));
            }
            out.write_all(&line)?;
        }
        if self.pending.len() > LINE_LIMIT {
            self.write_pending(out)?;
        }
        out.flush()?;
        Ok(None)
    }

    /// Passes on the beginning of a line whose end has not come.
    fn write_pending(&mut self, out: &mut impl Write) -> Result<()> {
        out.write_all(&self.pending)?;
        self.pending.clear();
        Ok(out.flush()?)
    }

    /// A mark and where in the line it begins. The nonce alone is none: the guest's kernel log has it as well.
    fn mark_in(&self, line: &[u8]) -> Option<(usize, Mark)> {
        let start = line.windows(self.nonce.len()).position(|part| part == self.nonce.as_bytes())?;
        let words = std::str::from_utf8(&line[start + self.nonce.len()..]).ok()?;
        let mark = match words.split_whitespace().collect::<Vec<_>>()[..] {
            ["ready"] => Mark::Ready,
            ["exit", status] => Mark::Exit(status.parse().ok()?),
            _ => return None,
        };
        Some((start, mark))
    }
}

/// The last lines of the guest's console.
fn tail(console: &Path) -> String {
    let text = fs::read(console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].iter().map(|line| format!("console: {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_passes_and_marks_do_not() {
        let mut lines = Lines::new("N0".into());
        let mut out = Vec::new();
        lines.push(b"N0 ready\none\ntw");
        assert_eq!(lines.next_mark(&mut out).unwrap(), Some(Mark::Ready));
        assert_eq!(lines.next_mark(&mut out).unwrap(), None);
        lines.push(b"oN0 exit 3\n");
        assert_eq!(lines.next_mark(&mut out).unwrap(), Some(Mark::Exit(3)));
        assert_eq!(out, b"one\ntwo");
    }

    #[test]
    fn the_nonce_alone_is_output() {
        let mut lines = Lines::new("N0".into());
        let mut out = Vec::new();
        lines.push(b"hearth_nonce=N0\n");
        assert_eq!(lines.next_mark(&mut out).unwrap(), None);
        assert_eq!(out, b"hearth_nonce=N0\n");
    }

    #[test]
    fn a_quoted_word_stays_one() {
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
    }
}
