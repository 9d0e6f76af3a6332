//! Python bytecode of the bootstrap: compiling it anew in each cold start would cost milliseconds.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::discover::Interpreter;
use crate::node_version::identity;

/// Writes a bytecode file that is taken without a look at its source's time: source name and text are the arguments.
const COMPILE: &str = "import sys, _frozen_importlib_external as e
sys.stdout.buffer.write(e._code_to_hash_pyc(compile(sys.argv[2], sys.argv[1], 'exec', optimize=0), bytes(8), False))";

/// The bytecode of `source` for this interpreter: from the file that an earlier start left in `cache`, else by running
/// the interpreter. None where that fails: the source runs as well, only later.
pub(crate) fn bytecode(cache: &Path, python: &Interpreter, inside: &str, source: &str) -> Option<Vec<u8>> {
    let mut hasher = DefaultHasher::new();
    (identity(&python.executable)?, inside, source, COMPILE).hash(&mut hasher);
    let file = cache.join(format!("bootstrap-{:016x}.pyc", hasher.finish()));
    if let Ok(bytes) =
        fs::read(&file).and_then(|b| if b.len() > 16 { Ok(b) } else { Err(std::io::Error::other("cut")) })
    {
        return Some(bytes);
    }
    let mut command = Command::new(&python.executable);
    command.args(["-I", "-S", "-B", "-c", COMPILE, inside, source]).env_clear().stdin(Stdio::null());
    let output = command.output().ok()?;
    if !output.status.success() || output.stdout.len() <= 16 {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        tracing::warn!(python = %python.executable.display(), said, "the bootstrap is not compiled ahead");
        return None;
    }
    // Through a rename, so that a reader never sees half a file.
    let draft = cache.join(format!(".bootstrap-{:016x}-{}", hasher.finish(), std::process::id()));
    if let Err(error) = fs::write(&draft, &output.stdout).and_then(|()| fs::rename(&draft, &file)) {
        tracing::debug!(file = %file.display(), %error, "the compiled bootstrap is not kept");
    }
    Some(output.stdout)
}
