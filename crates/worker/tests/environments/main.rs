//! Environments for real: sandboxes of this machine, its interpreters, functions that behave and that do not. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ahead;
mod beside;
mod extensions;
mod failures;
mod harness;
mod identity;
mod invokes;
mod layers;
mod logs;
mod prepared;
mod runtime_api;
mod streams;
mod telemetry;

fn main() {
    hearth_sandbox::run_if_spawner(None);
    harness::run(&[
        invokes::TESTS,
        logs::TESTS,
        layers::TESTS,
        failures::TESTS,
        identity::TESTS,
        runtime_api::TESTS,
        extensions::TESTS,
        beside::TESTS,
        streams::TESTS,
        telemetry::TESTS,
        ahead::TESTS,
        prepared::TESTS,
    ]);
}
