//! The build that tests need beside the one that users run: with Kafka and RabbitMQ, and with what can weaken or crash it where a
//! variable says so. One for all of them, as each would compile most of the project again; not optimized, as no test asks
//! how fast it is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{cargo, run, server, target};

/// What users may add to their own build, and what is for tests alone.
const FEATURES: &str = "kafka,mq,weaken,crash-points";

/// Where it is, out of the way of the builds that others start.
pub(crate) fn build() -> Result<PathBuf> {
    run(&mut cargo(&["build", "--locked", "--package", "hearth-server", "--features", FEATURES]))?;
    let folder = target().join("proving");
    fs::create_dir_all(&folder)?;
    let built = folder.join("hearth-proving");
    fs::rename(server::binary("debug")?, &built)?;
    Ok(built)
}

/// Whether a binary has this text in it.
pub(crate) fn knows(binary: &Path, text: &[u8]) -> Result<bool> {
    Ok(fs::read(binary)?.windows(text.len()).any(|part| part == text))
}
