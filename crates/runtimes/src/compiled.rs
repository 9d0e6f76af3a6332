//! Python bytecode of the bootstrap: compiling it anew in each cold start would cost milliseconds.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::process::{Child, Command, Stdio};

use crate::cache::Cache;
use crate::discover::Interpreter;
use crate::node_version::identity;

/// Writes bytecode files that are taken without a look at their source's time, each after its length in 8 bytes. The
/// arguments are names and texts of the sources in turn.
const COMPILE: &str = "import sys, _frozen_importlib_external as e
for name, text in zip(sys.argv[1::2], sys.argv[2::2]):
    data = e._code_to_hash_pyc(compile(text, name, 'exec', optimize=0), bytes(8), False)
    sys.stdout.buffer.write(len(data).to_bytes(8, 'little') + data)";

/// Bytes of the head of a bytecode file.
const HEAD: usize = 16;

/// A source: its path inside, its text.
pub(crate) type Source = (&'static str, &'static str);

/// Bytecode that is there or being made.
pub(crate) struct Compilation<'a> {
    cache: &'a Cache,
    count: usize,
    name: String,
    state: State,
}

enum State {
    Kept(Vec<Vec<u8>>),
    Running(Child),
    Failed,
}

impl<'a> Compilation<'a> {
    /// Takes the bytecode that an earlier start left in `cache`, else has the interpreter make it.
    pub(crate) fn begin(cache: &'a Cache, python: &Interpreter, sources: &[Source]) -> Self {
        let mut hasher = DefaultHasher::new();
        (identity(&python.executable), sources, COMPILE).hash(&mut hasher);
        let name = format!("bootstrap-{:016x}", hasher.finish());
        let kept = cache.read(&name).and_then(|bytes| split(&bytes, sources.len()));
        let state = kept.map_or_else(|| State::of(start(python, sources)), State::Kept);
        Self { cache, count: sources.len(), name, state }
    }

    /// The bytecode of each source. None where that fails: the sources run as well, only later.
    pub(crate) fn finish(self) -> Option<Vec<Vec<u8>>> {
        let child = match self.state {
            State::Kept(all) => return Some(all),
            State::Failed => return None,
            State::Running(child) => child,
        };
        let output = child.wait_with_output().ok()?;
        let all = split(&output.stdout, self.count);
        if all.is_none() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            tracing::warn!(said, "the Python bootstrap is not compiled ahead");
            return None;
        }
        self.cache.write(&self.name, &output.stdout);
        all
    }
}

impl State {
    fn of(child: std::io::Result<Child>) -> Self {
        child.map_or(Self::Failed, Self::Running)
    }
}

fn start(python: &Interpreter, sources: &[Source]) -> std::io::Result<Child> {
    let mut command = Command::new(&python.executable);
    command.args(["-I", "-S", "-B", "-c", COMPILE]).args(sources.iter().flat_map(|(name, text)| [name, text]));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn split(mut bytes: &[u8], count: usize) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (one, rest) = rest.split_at_checked(length).filter(|(one, _)| one.len() > HEAD)?;
        all.push(one.to_owned());
        bytes = rest;
    }
    (all.len() == count && bytes.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn only_whole_files_are_taken() {
        let one = |length: u64, bytes: usize| [length.to_le_bytes().as_slice(), &vec![7; bytes]].concat();
        let two = [one(20, 20), one(30, 30)].concat();
        assert_eq!(split(&two, 2).unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [20, 30]);
        for broken in [&two[..two.len() - 1], &two[..28], &[], &one(u64::MAX, 20), &one(3, 3)] {
            assert_eq!(split(broken, 2), None, "{broken:?}");
        }
    }
}
