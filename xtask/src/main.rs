//! Everything this project does twice, as one command each: `cargo xtask TASK`.

use std::process::ExitCode;

mod bench;
mod codegen;
mod conformance;
mod coverage;
mod demo;
mod e2e;
mod explore;
mod guest;
mod hostile;
mod java;
mod loss;
mod sim;
mod soak;
mod test;
mod tidy;
mod tools;

type Task = fn(&[String]) -> anyhow::Result<()>;

/// Name, what it does, how it is run.
const TASKS: &[(&str, &str, Task)] = &[
    ("demo", "build, deploy three functions, invoke them cold and warm, report", demo::run),
    ("test", "install what the tests need and run them all", test::run),
    ("explore", "play the property tests with inputs that nobody has seen", explore::run),
    ("e2e", "only the end-to-end tests, with real clients", e2e::run),
    ("conformance", "play recorded answers of the real service", conformance::run),
    ("hostile", "try the catalogue of hostile functions", hostile::run),
    ("soak", "end 10,000 environments in all ways; what is left behind", soak::run),
    ("loss", "crash the server at 1,000 points under load; what is lost", loss::run),
    ("bench", "run the benchmarks; a table and JSON", bench::run),
    ("sim", "play workloads to the scheduler in virtual time; compare policies (--soak: at random)", sim::run),
    ("codegen", "write the API layer from models/ (--check: only compare)", codegen::run),
    ("java", "compile the bootstrap for Java (--check: only compare)", java::run),
    ("coverage", "write what is supported into docs/compatibility.md", coverage::run),
    ("tidy", "check the rules of the code base that a machine can check", tidy::run),
    ("guest", "run the sandbox's tests in a cgroup v2 guest", guest::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((_, _, task)) = args.first().and_then(|name| TASKS.iter().find(|(n, _, _)| n == name)) else {
        eprintln!("usage: cargo xtask TASK\n");
        for (name, what, _) in TASKS {
            eprintln!("  {name:<11} {what}");
        }
        return ExitCode::from(2);
    };
    match task(&args[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
