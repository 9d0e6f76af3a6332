//! What /proc tells of a process, read as text that its owner has a say in.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{PAGE, refused};
use crate::error::{Done, During, Failure};

/// The most bytes of a file of /proc that are looked at.
const TEXT_BYTES: u64 = 64 * 1024 * 1024;

/// A process of the same user.
pub(super) struct Proc {
    pub(super) pid: i32,
}

/// A mapping.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Map {
    pub(super) start: u64,
    pub(super) end: u64,
    /// `PROT_*`.
    pub(super) prot: u64,
    pub(super) shared: bool,
    pub(super) offset: u64,
    pub(super) inode: u64,
    pub(super) path: String,
    /// Empty in the child of a fork.
    pub(super) wiped: bool,
    /// Given up when memory is short.
    pub(super) droppable: bool,
}

/// The lines of `/proc/PID/status`.
pub(super) struct Status(String);

impl Proc {
    /// The runtime's process; where it has forked, as a process of several threads must, its only child.
    pub(super) fn find() -> Done<Self> {
        let own = std::process::id() as i32;
        let mut all = Vec::new();
        for entry in std::fs::read_dir("/proc").during("looking for processes")?.flatten() {
            let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
            all.extend(number.filter(|pid| *pid > 1 && *pid != own));
        }
        let all = all.into_iter().map(|pid| Ok((pid, Self { pid }.stat()?(4) as i32))).collect::<Done<Vec<_>>>()?;
        match *all.as_slice() {
            [(pid, _)] => Ok(Self { pid }),
            [(first, _), (child, parent)] | [(child, parent), (first, _)] if parent == first => Ok(Self { pid: child }),
            [] => Err(Failure::new(libc::ESRCH, "finding the process to write down")),
            _ => Err(refused("processes beside the runtime's cannot be part of a snapshot")),
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid))
    }

    pub(super) fn open(&self, file: &str) -> Done<File> {
        File::open(self.path(file)).during(format_args!("opening {file} of the process"))
    }

    pub(super) fn read(&self, file: &str) -> Done<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(file)?.take(TEXT_BYTES).read_to_end(&mut bytes).during(format_args!("reading {file}"))?;
        Ok(bytes)
    }

    fn text(&self, file: &str) -> Done<String> {
        self.read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn link(&self, file: &str) -> Done<Vec<u8>> {
        let target = std::fs::read_link(self.path(file)).during(format_args!("reading the link {file}"))?;
        Ok(target.as_os_str().as_bytes().to_vec())
    }

    pub(super) fn list(&self, folder: &str) -> Done<Vec<i32>> {
        let entries = std::fs::read_dir(self.path(folder)).during(format_args!("listing {folder}"))?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    pub(super) fn folder(&self) -> Done<Vec<u8>> {
        self.link("cwd")
    }

    pub(super) fn name(&self) -> Done<String> {
        self.text("comm").map(|name| name.trim_end_matches('\n').to_owned())
    }

    pub(super) fn auxv(&self) -> Done<Vec<u8>> {
        self.read("auxv")
    }

    pub(super) fn status(&self) -> Done<Status> {
        self.text("status").map(Status)
    }

    /// A field of `/proc/PID/stat`, numbered as proc(5) does, from 3 on.
    pub(super) fn stat(&self) -> Done<impl Fn(usize) -> u64 + use<>> {
        let text = self.text("stat")?;
        let rest = text.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        let fields: Vec<u64> = rest.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        Ok(move |number: usize| number.checked_sub(3).and_then(|at| fields.get(at)).copied().unwrap_or(0))
    }

    /// All mappings, in their order.
    pub(super) fn maps(&self) -> Done<Vec<Map>> {
        parse_maps(&self.text("smaps")?).ok_or_else(|| Failure::new(libc::EINVAL, "reading the mappings"))
    }
}

impl Status {
    fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    pub(super) fn octal(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.field(name)?, 8).ok()
    }

    pub(super) fn hexadecimal(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.field(name)?, 16).ok()
    }
}

fn parse_maps(text: &str) -> Option<Vec<Map>> {
    let mut all: Vec<Map> = Vec::new();
    for line in text.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            let last = all.last_mut()?;
            last.wiped = flags.split_ascii_whitespace().any(|flag| flag == "wf");
            last.droppable = flags.split_ascii_whitespace().any(|flag| flag == "dp");
        } else if line.split_ascii_whitespace().next().is_some_and(|first| !first.ends_with(':')) {
            all.push(parse_map(line)?);
        }
    }
    let in_order = all.windows(2).all(|pair| pair[0].end <= pair[1].start);
    let whole = all.iter().all(|map| map.start < map.end && map.start % PAGE == 0 && map.end % PAGE == 0);
    (in_order && whole).then_some(all)
}

fn parse_map(line: &str) -> Option<Map> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?.as_bytes();
    let offset = fields.next()?;
    let inode = fields.nth(1)?;
    let right = |at: usize, letter: u8, value: i32| if rights.get(at) == Some(&letter) { value as u64 } else { 0 };
    Some(Map {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        prot: right(0, b'r', libc::PROT_READ) | right(1, b'w', libc::PROT_WRITE) | right(2, b'x', libc::PROT_EXEC),
        shared: rights.get(3) == Some(&b's'),
        offset: u64::from_str_radix(offset, 16).ok()?,
        inode: inode.parse().ok()?,
        path: fields.next().unwrap_or_default().trim_start().to_owned(),
        ..Map::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_with_their_flags() {
        let text = "\
5581e0000000-5581e0001000 r-xp 00002000 fe:01 1234                       /usr/bin/a b (deleted)
Size:                  4 kB
VmFlags: rd ex mr mw me
7ffc00000000-7ffc00002000 rw-p 00000000 00:00 0
VmFlags: rd wr mr mw me wf dp
";
        let maps = parse_maps(text).unwrap();
        let first = Map {
            start: 0x5581_e000_0000,
            end: 0x5581_e000_1000,
            prot: (libc::PROT_READ | libc::PROT_EXEC) as u64,
            offset: 0x2000,
            inode: 1234,
            path: "/usr/bin/a b (deleted)".to_owned(),
            ..Map::default()
        };
        assert_eq!(maps[0], first);
        assert!(maps[1].wiped && maps[1].droppable && maps[1].path.is_empty() && maps[1].inode == 0);
    }

    #[test]
    fn what_is_no_list_of_mappings_is_refused() {
        for text in
            ["VmFlags: wf\n", "x y\n", "2000-1000 r-xp 0 0:0 0\n", "1000-3000 r-xp 0 0:0 0\n2000-4000 r-xp 0 0:0 0\n"]
        {
            assert_eq!(parse_maps(text), None, "{text}");
        }
    }
}
