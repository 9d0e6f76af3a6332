//! Reads of an ELF file what a loader looks at: its interpreter, what it needs, where it looks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The dynamic section of a 64-bit little-endian ELF file, as far as it decides which libraries are loaded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Elf {
    /// The loader that the program names.
    pub(crate) interpreter: Option<String>,
    /// DT_NEEDED: file names.
    pub(crate) needed: Vec<String>,
    /// DT_RUNPATH, or DT_RPATH where there is none: directories, `$ORIGIN` not yet replaced.
    pub(crate) run_path: Vec<String>,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
/// Bytes read at first: the header and, as a rule, the program header table.
const HEAD: usize = 1024;
/// Bytes: no real header, dynamic section or string table comes near.
const SECTION_MAX: u64 = 16 << 20;

/// A segment of the program header table.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

impl Elf {
    /// Reads `path`. `Ok(None)`: not such an ELF file (a script, another machine's).
    ///
    /// # Errors
    /// The file cannot be read, or its tables point outside it.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let mut head = [0_u8; HEAD];
        let length = file.read_at(&mut head, 0)?;
        let head = &head[..length];
        if length < 64 || !head.starts_with(b"\x7fELF\x02\x01") {
            return Ok(None);
        }
        let segments = segments(&file, head)?;
        let mut elf = Self::default();
        if let Some(interpreter) = segments.iter().find(|s| s.kind == PT_INTERP) {
            elf.interpreter = Some(text_at(&section(&file, interpreter.offset, interpreter.size)?, 0));
        }
        if let Some(dynamic) = segments.iter().find(|s| s.kind == PT_DYNAMIC) {
            elf.read_dynamic(&file, &segments, dynamic)?;
        }
        Ok(Some(elf))
    }

    fn read_dynamic(&mut self, file: &File, segments: &[Segment], dynamic: &Segment) -> io::Result<()> {
        let entries = section(file, dynamic.offset, dynamic.size)?;
        let entries: Vec<(u64, u64)> = entries.chunks_exact(16).map(|e| (u64_at(e, 0), u64_at(e, 8))).collect();
        let value = |tag| entries.iter().find(|(t, _)| *t == tag).map(|(_, v)| *v);
        let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else { return Ok(()) };
        let home = segments.iter().find(|s| s.kind == PT_LOAD && (s.address..s.address + s.size).contains(&address));
        let Some(home) = home else { return Ok(()) };
        let strings = section(file, home.offset + (address - home.address), size)?;
        let text = |offset: u64| text_at(&strings, usize::try_from(offset).unwrap_or(usize::MAX));
        self.needed = entries.iter().filter(|(tag, _)| *tag == DT_NEEDED).map(|(_, v)| text(*v)).collect();
        if let Some(paths) = value(DT_RUNPATH).or_else(|| value(DT_RPATH)) {
            self.run_path = text(paths).split(':').filter(|p| !p.is_empty()).map(str::to_owned).collect();
        }
        Ok(())
    }
}

fn segments(file: &File, head: &[u8]) -> io::Result<Vec<Segment>> {
    let (offset, entry, count) = (u64_at(head, 32), u16_at(head, 54), u16_at(head, 56));
    if entry < 56 {
        return Ok(Vec::new());
    }
    let size = usize::from(entry) * usize::from(count);
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    // As a rule it follows the header at once and has been read with it.
    let table = match head.get(start..start.saturating_add(size)) {
        Some(table) => table.to_owned(),
        None => section(file, offset, size as u64)?,
    };
    Ok(table
        .chunks_exact(usize::from(entry))
        .map(|s| Segment { kind: u32_at(s, 0), offset: u64_at(s, 8), address: u64_at(s, 16), size: u64_at(s, 32) })
        .collect())
}

fn section(file: &File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    if size > SECTION_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a table of the ELF file is larger than any real one"));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

fn text_at(bytes: &[u8], offset: usize) -> String {
    let rest = bytes.get(offset..).unwrap_or_default();
    let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
    String::from_utf8_lossy(&rest[..end]).into_owned()
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..offset + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array(bytes, offset))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array(bytes, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_very_test() {
        let elf = Elf::read(&std::env::current_exe().unwrap()).unwrap().unwrap();
        assert!(elf.interpreter.unwrap().contains("ld-linux"));
        assert!(elf.needed.iter().any(|n| n == "libc.so.6"), "{:?}", elf.needed);
    }

    #[test]
    fn a_script_is_no_elf_file() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert_eq!(Elf::read(&script).unwrap(), None);
    }

    #[test]
    fn a_cut_file_is_an_error_not_a_panic() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let cut = dir.path().join("cut");
        for length in [63, 64, 100, 600] {
            std::fs::write(&cut, &whole[..length]).unwrap();
            let read = Elf::read(&cut);
            assert!(!matches!(&read, Ok(Some(elf)) if !elf.needed.is_empty()), "{length}: {read:?}");
        }
    }
}
