//! Environments that are made without an invoke.

use std::sync::Arc;

use hearth_types::invoke::Initialization;
use hearth_worker::{EnvironmentEvent, GoneReason};

use crate::harness::Machine;

crate::tests!(
    is_idle_after_its_init_and_bills_none,
    says_what_it_is_for_and_reports_its_init,
    goes_when_its_init_fails,
    says_that_what_it_was_made_for_is_lost,
    is_stopped_before_it_was_used,
);

const TELLS: &str = "import os, time\nBORN = time.time()\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']";

async fn is_idle_after_its_init_and_bills_none(machine: Arc<Machine>) {
    let mut function = machine.python(TELLS);
    let EnvironmentEvent::Prepared(_, phases) = function.prepare().await else { panic!("not prepared") };
    assert!(!phases.sandbox.is_zero() && !phases.runtime.is_zero(), "{phases:?}");
    assert!(!function.log().contains("REPORT"), "{}", function.log());
    assert_eq!(function.answer("{}").await, "on-demand");
    let log = function.log();
    assert!(!log.contains("Init Duration") && log.contains("\nSTART RequestId: ID"), "{log}");
    assert_eq!(log.matches("INIT_START").count(), 1, "{log}");
}

async fn says_what_it_is_for_and_reports_its_init(machine: Arc<Machine>) {
    let mut function = machine.python(TELLS).with(|spec| spec.initialization = Initialization::Provisioned);
    function.prepare().await;
    let log = function.log();
    assert!(log.contains("INIT_REPORT Init Duration: ") && log.contains("Phase: init\tStatus: success"), "{log}");
    assert_eq!(function.answer("{}").await, "provisioned-concurrency");
    assert!(!function.log().contains("\tInit Duration"), "{}", function.log());
}

async fn goes_when_its_init_fails(machine: Arc<Machine>) {
    for code in ["raise ValueError('no')", "import os\nos._exit(3)"] {
        let mut function = machine.python(code).with(|spec| spec.initialization = Initialization::Provisioned);
        let gone = function.prepare().await;
        assert_eq!(gone, EnvironmentEvent::Gone(function.id, GoneReason::InitFailed), "{code}");
        assert!(function.log().contains("Phase: init\tStatus: error\tError Type: "), "{}", function.log());
    }
}

async fn says_that_what_it_was_made_for_is_lost(machine: Arc<Machine>) {
    let code = "import os\ndef handler(event, context):\n    os._exit(1)";
    let mut function = machine.python(code).with(|spec| spec.initialization = Initialization::Provisioned);
    function.prepare().await;
    let _ = function.begin("{}", false).await;
    assert!(matches!(function.event().await, EnvironmentEvent::Answered(_)));
    assert!(matches!(function.event().await, EnvironmentEvent::Down(_)), "before it is said to be idle");
    assert!(matches!(function.event().await, EnvironmentEvent::Idle(_)));
}

async fn is_stopped_before_it_was_used(machine: Arc<Machine>) {
    let mut function = machine.python("import time\ntime.sleep(60)\ndef handler(event, context):\n    pass");
    function.begin_preparing();
    function.until_logged("INIT_START").await;
    machine.worker.stop(function.id);
    assert_eq!(function.event().await, EnvironmentEvent::Gone(function.id, GoneReason::Stopped));
    assert!(!function.log().contains("error"), "{}", function.log());
}
