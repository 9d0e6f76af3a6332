//! Arguments, environment variables and working directory of a runtime process, handed over in a sealed memory file:
//! they are too long for a frame, and nobody but the process that becomes the runtime reads them.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use hearth_types::limits::{EXEC_STRINGS, EXEC_STRINGS_BYTES};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// What a runtime process is started with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ExecArgs {
    pub(crate) argv: Vec<CString>,
    /// The program where there is no file at `argv`'s first path.
    pub(crate) otherwise: Option<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
}

/// The counts of arguments and of variables, each 4 bytes little-endian; the strings with their NULs follow. The last is
/// the other program, empty for none.
const HEADER_BYTES: usize = 8;

impl ExecArgs {
    /// As a sealed memory file.
    ///
    /// # Errors
    /// `InvalidInput` where argv is empty or the bounds of [`EXEC_STRINGS`] and [`EXEC_STRINGS_BYTES`] are exceeded.
    pub(crate) fn seal(&self) -> io::Result<OwnedFd> {
        let bytes = self.encode();
        let too_many = self.argv.len() + self.env.len() > EXEC_STRINGS;
        if self.argv.is_empty() || too_many || bytes.len() > EXEC_STRINGS_BYTES {
            let text = format!(
                "{} arguments and {} variables of {} bytes: at least 1 argument, at most {EXEC_STRINGS} strings and \
                 {EXEC_STRINGS_BYTES} bytes can be handed over",
                self.argv.len(),
                self.env.len(),
                bytes.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        sealed("hearth-args", &bytes)
    }

    /// Reads what [`Self::seal`] wrote.
    pub(crate) fn open(file: &OwnedFd) -> io::Result<Self> {
        // Not from the place that all share who have the descriptor: several processes may read it at a time.
        let file = File::from(file.try_clone()?);
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(EXEC_STRINGS_BYTES + 1)];
        file.read_exact_at(&mut bytes, 0)?;
        Self::decode(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(self.argv.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.env.len() as u32).to_le_bytes());
        let otherwise = self.otherwise.as_deref().unwrap_or(c"");
        let strings = self.argv.iter().chain(&self.env).chain([&self.cwd]).map(CString::as_c_str);
        for string in strings.chain([otherwise]) {
            bytes.extend_from_slice(string.to_bytes_with_nul());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (header, mut rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let [argc, envc] = [&header[..4], &header[4..]].map(|n| n.try_into().map_or(0, u32::from_le_bytes) as usize);
        if argc == 0 || argc.checked_add(envc)? > EXEC_STRINGS {
            return None;
        }
        let count = argc + envc + 2;
        let mut strings = Vec::with_capacity(count);
        for _ in 0..count {
            let string = CStr::from_bytes_until_nul(rest).ok()?;
            rest = &rest[string.to_bytes_with_nul().len()..];
            strings.push(string.to_owned());
        }
        let otherwise = strings.pop().filter(|program| !program.is_empty());
        let cwd = strings.pop()?;
        let env = strings.split_off(argc);
        rest.is_empty().then_some(Self { argv: strings, otherwise, env, cwd })
    }
}

/// A memory file with this content, read from its start, that nobody can change any more.
pub(crate) fn sealed(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(content)?;
    seal(file)
}

/// How often sealing is tried.
const SEALS: u32 = 50;

/// Seals a memory file and rewinds it.
pub(crate) fn seal(file: File) -> io::Result<OwnedFd> {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    let mut tries = 1..SEALS;
    // The kernel refuses while anything of its own still holds a page that was just written; it waits a little each time.
    while let Err(error) = rustix::fs::fcntl_add_seals(&file, seals) {
        if error != Errno::BUSY || tries.next().is_none() {
            return Err(error.into());
        }
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(argv: &[&str], env: &[&str]) -> ExecArgs {
        let list = |strings: &[&str]| strings.iter().map(|s| CString::new(*s).unwrap()).collect();
        ExecArgs { argv: list(argv), otherwise: None, env: list(env), cwd: c"/var/task".to_owned() }
    }

    #[test]
    fn strings_survive_the_file() {
        let other = ExecArgs { otherwise: Some(c"/opt/bootstrap".to_owned()), ..args(&["a"], &[]) };
        for given in [args(&["a", "", "b c"], &["K=V", "EMPTY="]), args(&["a"], &[]), other] {
            assert_eq!(ExecArgs::open(&given.seal().unwrap()).unwrap(), given);
        }
    }

    #[test]
    fn the_file_cannot_be_changed() {
        let file = File::from(args(&["a"], &[]).seal().unwrap());
        assert!((&file).write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
    }

    #[test]
    fn bounds_hold() {
        assert!(args(&[], &["K=V"]).seal().is_err());
        assert!(args(&["x".repeat(EXEC_STRINGS_BYTES).as_str()], &[]).seal().is_err());
        assert!(args(&vec!["x"; EXEC_STRINGS + 1], &[]).seal().is_err());
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let whole = args(&["a", "b"], &["K=V"]).encode();
        for end in 0..whole.len() {
            assert_eq!(ExecArgs::decode(&whole[..end]), None);
        }
        assert_eq!(ExecArgs::decode(&[whole, vec![0]].concat()), None);
    }
}
