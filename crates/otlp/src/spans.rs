//! What spans an invoke has: X-Ray's, by their names there, with the parts of a cold start below its initialization.

use std::time::Duration;

use hearth_worker::{ErrorCause, InitSpan, InvokeSpan};

use crate::members::exception;
use crate::span::{Failed, Kind, Span, Value};

/// The parts of a cold start, as spans are called.
const PARTS: [&str; 4] = ["sandbox", "extensions", "runtime", "function"];

/// The service's span first, those below a span behind it.
pub(crate) fn spans(invoke: &InvokeSpan) -> Vec<Span> {
    let mut made = Made { last: invoke.traced.function, all: Vec::new() };
    let ended_ns = after(invoke.began_ns, invoke.took);
    let name = invoke.spec.function.to_string();
    made.all.push(Span {
        id: invoke.traced.service,
        parent: invoke.traced.parent,
        name: name.clone(),
        kind: Kind::Server,
        began_ns: invoke.arrived_ns,
        ended_ns,
        failed: failed(invoke),
        attributes: vec![
            ("aws.xray.origin".into(), text("AWS::Lambda")),
            ("faas.trigger".into(), text("http")),
            ("faas.invocation_id".into(), text(invoke.request_id)),
            ("aws.lambda.invoked_arn".into(), text(&invoke.invoked_arn)),
        ],
        events: Vec::new(),
    });
    made.below(invoke.traced.service, "queue", invoke.arrived_ns, after(invoke.arrived_ns, invoke.queued));
    let of_function = invoke.traced.function;
    made.all.push(Span {
        id: of_function,
        parent: Some(invoke.traced.service),
        name,
        kind: Kind::Internal,
        began_ns: invoke.init.map_or(invoke.began_ns, |init| init.began_ns.min(invoke.began_ns)),
        ended_ns,
        failed: failed(invoke),
        attributes: vec![
            ("aws.xray.origin".into(), text("AWS::Lambda::Function")),
            ("faas.coldstart".into(), Value::Bool(invoke.init.is_some_and(|init| !init.repeated))),
            ("faas.instance".into(), text(invoke.environment)),
            ("hearth.billed_ms".into(), Value::Number(invoke.billed_ms)),
        ],
        events: Vec::new(),
    });
    let exceptions = || invoke.cause.iter().flat_map(ErrorCause::exceptions).map(exception).collect();
    let init_failed = invoke.init.is_some_and(|init| init.failed);
    if let Some(init) = invoke.init {
        let initialization = made.init(of_function, init);
        if init_failed {
            (initialization.failed, initialization.events) = (failed(invoke), exceptions());
        }
    }
    let answered_ns = invoke.answered.map_or(ended_ns, |(_, last)| after(invoke.began_ns, last));
    let invocation = made.below(of_function, "Invocation", invoke.began_ns, answered_ns);
    invocation.failed = failed(invoke);
    if !init_failed {
        invocation.events = exceptions();
    }
    if answered_ns < ended_ns {
        made.below(of_function, "Overhead", answered_ns, ended_ns);
    }
    made.all
}

struct Made {
    last: u64,
    all: Vec<Span>,
}

impl Made {
    fn init(&mut self, parent: u64, init: InitSpan) -> &mut Span {
        let (parts, at) = (init.phases.in_order(), self.all.len());
        let whole = self.below(parent, "Initialization", init.began_ns, after(init.began_ns, parts.iter().sum())).id;
        let mut began_ns = init.began_ns;
        for (name, took) in PARTS.into_iter().zip(parts).filter(|(_, took)| !took.is_zero()) {
            let ended_ns = after(began_ns, took);
            self.below(whole, name, began_ns, ended_ns);
            began_ns = ended_ns;
        }
        &mut self.all[at]
    }

    fn below(&mut self, parent: u64, name: &str, began_ns: u64, ended_ns: u64) -> &mut Span {
        self.last = mixed(self.last);
        self.all.push(Span {
            id: self.last,
            parent: Some(parent),
            name: name.to_owned(),
            kind: Kind::Internal,
            began_ns,
            ended_ns,
            failed: None,
            attributes: Vec::new(),
            events: Vec::new(),
        });
        let last = self.all.len() - 1;
        &mut self.all[last]
    }
}

/// A number that is as random as the one before (SplitMix64), and no id of a span that is none.
fn mixed(before: u64) -> u64 {
    let mut z = before.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).max(1)
}

fn after(ns: u64, time: Duration) -> u64 {
    ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn failed(invoke: &InvokeSpan) -> Option<Failed> {
    invoke.error.as_ref().map(|error| Failed { error_type: Some(error.clone()), message: error.clone() })
}

fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use hearth_types::invoke::VersionSpec;
    use hearth_types::test_support::version;
    use hearth_types::{EnvironmentId, RequestId};
    use hearth_worker::{InitPhases, Traced};

    use super::*;

    const MS: u64 = 1_000_000;

    pub(crate) fn invoke() -> InvokeSpan {
        let ms = Duration::from_millis;
        let spec = VersionSpec { version: "7".into(), ..version("f", "python3.12") };
        InvokeSpan {
            traced: Traced { trace: 7, parent: Some(1), service: 2, function: 3 },
            request_id: RequestId(uuid::Uuid::nil()),
            invoked_arn: Arc::clone(&spec.function_arn),
            spec: Arc::new(spec),
            environment: EnvironmentId(9),
            arrived_ns: 100 * MS,
            queued: ms(1),
            init: Some(InitSpan {
                began_ns: 101 * MS,
                phases: InitPhases {
                    sandbox: ms(2),
                    extensions: ms(0),
                    runtime: ms(5),
                    function: ms(3),
                    ..InitPhases::default()
                },
                repeated: false,
                failed: false,
            }),
            began_ns: 111 * MS,
            answered: Some((ms(3), ms(4))),
            took: ms(6),
            error: None,
            cause: None,
            billed_ms: 14,
        }
    }

    fn told(invoke: &InvokeSpan) -> Vec<(String, u64, u64)> {
        spans(invoke).into_iter().map(|span| (span.name, span.began_ns / MS, span.ended_ns / MS)).collect()
    }

    #[test]
    fn a_cold_start_is_told_in_its_parts() {
        let expected = [
            ("f", 100, 117),
            ("queue", 100, 101),
            ("f", 101, 117),
            ("Initialization", 101, 111),
            ("sandbox", 101, 103),
            ("runtime", 103, 108),
            ("function", 108, 111),
            ("Invocation", 111, 115),
            ("Overhead", 115, 117),
        ];
        assert_eq!(told(&invoke()), expected.map(|(name, began, ended)| (name.to_owned(), began, ended)));
    }

    #[test]
    fn each_hangs_below_one_before_it_and_has_an_id_of_its_own() {
        let all = spans(&invoke());
        assert_eq!((all[0].parent, all[0].id, all[2].id), (Some(1), 2, 3));
        for (at, span) in all.iter().enumerate() {
            assert!(at == 0 || all[..at].iter().any(|before| Some(before.id) == span.parent), "{span:?}");
            assert!(all[..at].iter().all(|before| before.id != span.id), "{span:?}");
        }
    }

    #[test]
    fn a_warm_one_that_failed_has_its_error_and_no_initialization() {
        let failed = InvokeSpan { init: None, answered: None, error: Some("Sandbox.Timedout".to_owned()), ..invoke() };
        assert_eq!(
            told(&failed).iter().map(|(name, ..)| &**name).collect::<Vec<_>>(),
            ["f", "queue", "f", "Invocation"]
        );
        let errors = spans(&failed).into_iter().filter(|span| span.failed.is_some()).count();
        assert_eq!(errors, 3, "the queue's part went well");
    }

    /// Those of its spans that have an exception, with what it says.
    fn exceptions(invoke: &InvokeSpan) -> Vec<(String, Vec<&'static str>)> {
        let with = spans(invoke).into_iter().filter(|span| !span.events.is_empty());
        with.map(|span| (span.name, span.events.iter().map(|event| event.name).collect())).collect()
    }

    #[test]
    fn what_an_error_came_from_is_told_where_it_happened() {
        let cause = ErrorCause::new(br#"{"exceptions":[{"type":"A","message":"a"},{"type":"B"}]}"#);
        let error = Some("Function.A".to_owned());
        let failed = InvokeSpan { error: error.clone(), cause: cause.clone(), ..invoke() };
        assert_eq!(exceptions(&failed), [("Invocation".to_owned(), vec!["exception", "exception"])]);
        let init = invoke().init.map(|init| InitSpan { repeated: true, failed: true, ..init });
        let failed = InvokeSpan { init, answered: None, error, cause, ..invoke() };
        assert_eq!(exceptions(&failed), [("Initialization".to_owned(), vec!["exception", "exception"])]);
        let errors = spans(&failed).into_iter().filter(|span| span.failed.is_some()).count();
        assert_eq!(errors, 4, "and it failed");
        assert_eq!(exceptions(&invoke()), []);
    }
}
