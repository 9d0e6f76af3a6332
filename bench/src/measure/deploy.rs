//! CreateFunction with a package of 50 MB until the function is active, beside writing as many bytes safely.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use tempfile::TempDir;

use crate::args::RunArgs;
use crate::functions::{self, Package};
use crate::measure::FULL_MB;
use crate::report::Report;
use crate::server::Server;
use crate::stats::Samples;

const DEPLOYS: usize = 5;
/// As many files as a large dependency tree has.
const FILES: usize = 500;
const FILE_BYTES: usize = 100_000;

pub(super) fn measure(args: &RunArgs, report: &mut Report) -> Result<()> {
    Server::with(args, &[], |server| deploys(args, report, server))
}

fn deploys(args: &RunArgs, report: &mut Report, server: &Server) -> Result<()> {
    let mut connection = server.connect()?;
    let (mut answered, mut active, mut bare) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..args.samples(DEPLOYS).max(2) {
        let package = large(args, round as u64)?;
        bare.push(write_safely(&package.zip)?);
        let name = format!("large-{round}");
        let body = functions::creation(&name, &package, FULL_MB);
        let start = Instant::now();
        functions::create(&mut connection, &body)?;
        answered.push(start.elapsed());
        functions::until_active(&mut connection, &name)?;
        active.push(start.elapsed());
    }
    let figures = [
        ("bare_write_fsync_p50_ms", bare.quantile_ms(0.5)),
        ("answered_p50_ms", answered.quantile_ms(0.5)),
        ("active_p50_ms", active.quantile_ms(0.5)),
        ("active_max_ms", active.quantile_ms(1.0)),
    ];
    report.add("deploy/50MB-zip", &figures);
    Ok(())
}

/// A package whose zip has about 50 MB: what is in it cannot be compressed, and is new each time.
fn large(args: &RunArgs, round: u64) -> Result<Package> {
    let mut state = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(FILES * FILE_BYTES);
    while bytes.len() < FILES * FILE_BYTES {
        // xorshift64: enough to defeat a compressor.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    let names: Vec<String> = (0..FILES).map(|index| format!("package/data_{index}.bin")).collect();
    let mut files: Vec<_> =
        names.iter().zip(bytes.chunks(FILE_BYTES)).map(|(name, chunk)| (name.as_str(), chunk, false)).collect();
    files.push(("app.py", b"def handler(event, context):\n    return event\n", false));
    Ok(Package { zip: functions::zip(&files)?, ..functions::python(args)? })
}

/// How long the disk takes for the same bytes.
fn write_safely(bytes: &[u8]) -> Result<Duration> {
    let folder = TempDir::with_prefix("hearth-bench-")?;
    let start = Instant::now();
    let mut file = File::create(folder.path().join("bare"))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(start.elapsed())
}
