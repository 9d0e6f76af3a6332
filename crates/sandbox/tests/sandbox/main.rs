//! The sandbox, from outside: real environments with a Python in them. Needs root. The program acts as the spawner,
//! too, so it has a `main` of its own.

#![allow(clippy::unwrap_used)]

mod harness;
mod isolation;

use harness::{Case, case};

const CASES: &[Case] = &[case!(isolation::a_function_runs_and_its_exit_is_told)];

fn main() {
    hearth_sandbox::run_if_spawner();
    harness::run(CASES);
}
