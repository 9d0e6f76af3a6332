//! What the three steps of a start cost, in milliseconds: `cargo run --release -p hearth-sandbox --example startcost`,
//! as root, with a C compiler. The program is a static one that writes one byte, so that no runtime is measured.

#![allow(clippy::unwrap_used)]

use std::ffi::CString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hearth_sandbox::{Assignment, Program, Spawner, SpawnerConfig, Tmp, run_if_spawner, start_spawner};
use hearth_types::CodeDigest;
use hearth_types::rootfs::RootPlan;

const CODE: CodeDigest = CodeDigest([1; 32]);
const STEPS: [&str; 6] = ["make", "start", "assign", "first byte", "total", "destroy"];

fn main() {
    run_if_spawner(None);
    let rounds: usize = std::env::args().nth(1).map_or(100, |arg| arg.parse().unwrap());
    let data = tempfile::tempdir().unwrap();
    build_program(data.path());
    println!("{:24} {}", "p50 / p99 ms", STEPS.map(|step| format!("{step:>17}")).concat());
    for (name, pool, gap) in [
        ("pooled, one each 100 ms", 2, Duration::from_millis(100)),
        ("pooled, back to back", 2, Duration::ZERO),
        ("no pool, each 100 ms", 0, Duration::from_millis(100)),
        ("no pool, back to back", 0, Duration::ZERO),
    ] {
        let mut config = SpawnerConfig::new(data.path().to_owned(), vec![RootPlan::default()]);
        config.pool = pool..=pool;
        let connection = start_spawner(&config).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let samples = runtime.block_on(measure(connection, rounds, gap));
        let columns: String = (0..STEPS.len()).map(|step| column(&samples, step)).collect();
        println!("{name:24} {columns}");
    }
}

fn build_program(data: &Path) {
    let code = data.join("code").join(CODE.to_string());
    std::fs::create_dir_all(&code).unwrap();
    let source = data.join("one.c");
    std::fs::write(&source, "#include <unistd.h>\nint main(void) { write(1, \"x\", 1); pause(); }\n").unwrap();
    let built = Command::new("cc").args(["-O2", "-static", "-o"]).arg(code.join("one")).arg(&source).status().unwrap();
    assert!(built.success());
}

async fn measure(connection: hearth_sandbox::SpawnerConnection, rounds: usize, gap: Duration) -> Vec<[f64; 6]> {
    let spawner = Spawner::new(connection).unwrap();
    let mut samples = Vec::new();
    // The first ones make what is made once.
    for round in 0..rounds + 5 {
        let sample = start_once(&spawner).await;
        if round >= 5 {
            samples.push(sample);
        }
        tokio::time::sleep(gap).await;
    }
    spawner.stop().await;
    samples
}

async fn start_once(spawner: &Spawner) -> [f64; 6] {
    let begin = Instant::now();
    let made = spawner.make(Tmp::New { mb: 512 }).await.unwrap();
    let after_make = begin.elapsed();
    let started = spawner.start(made, 0).await.unwrap();
    let after_start = begin.elapsed();
    let (mut output, theirs) = std::io::pipe().unwrap();
    let assignment = Assignment { code: CODE, layers: vec![], memory_mb: 1769 };
    let program = Program {
        argv: vec![CString::new("/var/task/one").unwrap()],
        otherwise: None,
        env: vec![],
        cwd: CString::new("/var/task").unwrap(),
        output: OwnedFd::from(theirs),
    };
    let sandbox = spawner.assign(started, assignment, program).await.unwrap();
    let after_assign = begin.elapsed();
    output.read_exact(&mut [0]).unwrap();
    let total = begin.elapsed();
    sandbox.destroy(false).await;
    let destroy = begin.elapsed() - total;
    [after_make, after_start - after_make, after_assign - after_start, total - after_assign, total, destroy]
        .map(|time| time.as_secs_f64() * 1e3)
}

fn column(samples: &[[f64; 6]], step: usize) -> String {
    let mut times: Vec<f64> = samples.iter().map(|sample| sample[step]).collect();
    times.sort_by(f64::total_cmp);
    format!("{:>8.2} /{:>7.2}", times[times.len() / 2], times[times.len() * 99 / 100])
}
