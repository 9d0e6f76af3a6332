//! What a log stream holds, in which order.

use std::sync::Arc;

use serde_json::Value;

use crate::harness::{Function, Machine};
use crate::tests;

tests![lines_in_order, the_end_of_the_log, output_of_children_and_long_lines, partial_lines, figures_of_the_report];

/// The log with figures put as N and without the version of the runtime.
fn shape(function: &Function) -> Vec<String> {
    function
        .log_events()
        .iter()
        .map(|line| figures_as_n(&line.replace(&function.last_request.to_string(), "ID")))
        .collect()
}

fn figures_as_n(line: &str) -> String {
    if line.starts_with("INIT_START ") {
        return "INIT_START\n".to_owned();
    }
    if !line.starts_with("REPORT ") && !line.starts_with("INIT_REPORT ") {
        return line.to_owned();
    }
    let words = line.split(' ').map(|word| {
        let figure = word.chars().all(|c| c.is_ascii_digit() || c == '.') && !word.is_empty();
        if figure { "N" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

const COLD: &str = "REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N \
                    MB\tInit Duration: N ms\t\n";
const WARM: &str =
    "REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N MB\t\n";
const START: &str = "START RequestId: ID Version: $LATEST\n";
const END: &str = "END RequestId: ID\n";

async fn lines_in_order(machine: Arc<Machine>) {
    let code = "import logging\nprint('init')\ndef handler(e, c):
  print('multi\\nline\\nstring'); print('another\\rline'); logging.warning('two\\nlines')";
    let mut function = machine.python(code);
    function.answer("{}").await;
    let log = shape(&function);
    let warning = log.iter().position(|line| line.starts_with("[WARNING]\t")).unwrap();
    assert!(log[warning].ends_with("Z\tID\ttwo\rlines\n"), "{log:?}");
    let without: Vec<&str> = log.iter().enumerate().filter(|(i, _)| *i != warning).map(|(_, l)| l.as_str()).collect();
    let expected = ["INIT_START\n", "init\n", START, "multi\n", "line\n", "string\n", "another\rline\n", END, COLD];
    assert_eq!(without, expected);
    assert_eq!(warning, 7);

    let mut function = machine.node("console.log('init'); export const handler = async () => console.log('hello');");
    function.answer("{}").await;
    let log = shape(&function);
    assert_eq!(
        (&log[0], &log[2], &log[4], &log[5]),
        (&"INIT_START\n".into(), &START.into(), &END.into(), &COLD.into())
    );
    assert!(log[1].ends_with("Z\tundefined\tINFO\tinit\n") && log[3].ends_with("Z\tID\tINFO\thello\n"), "{log:?}");
    function.answer("{}").await;
    let log = shape(&function);
    assert_eq!(log.len(), 10);
    assert_eq!((&log[6], &log[8], &log[9]), (&START.into(), &END.into(), &WARM.into()));
}

async fn the_end_of_the_log(machine: Arc<Machine>) {
    let code = "def handler(e, c):\n  for i in range(e): print('line', i)\n  return 1";
    let mut function = machine.python(code);
    let outcome = function.try_invoke("2", true).await.unwrap();
    let tail = String::from_utf8(outcome.log_tail.unwrap().to_vec()).unwrap();
    let id = function.last_request;
    assert!(
        tail.starts_with(&format!(
            "START RequestId: {id} Version: $LATEST\nline 0\nline 1\nEND RequestId: {id}\nREPORT"
        ))
    );
    assert!(tail.ends_with(" ms\t\n"), "{tail}");
    let outcome = function.try_invoke("5000", true).await.unwrap();
    let tail = outcome.log_tail.unwrap();
    assert_eq!(tail.len(), 4096);
    let tail = String::from_utf8(tail.to_vec()).unwrap();
    assert!(tail.contains(&format!("line 4999\nEND RequestId: {}\nREPORT", function.last_request)), "{tail}");
    assert_eq!(function.invoke("1").await.log_tail, None);
}

async fn output_of_children_and_long_lines(machine: Arc<Machine>) {
    let code = "import os, sys
def handler(e, c):
  print('before'); os.system('echo child; echo error >&2'); print('after')
  os.write(1, b'x' * 300_000 + b'\\n')
  for i in range(20_000): os.write(1, b'%d\\n' % i)";
    let mut function = machine.python(code);
    function.answer("{}").await;
    let log = function.log_events();
    let lines: Vec<&str> = log[2..6].iter().map(String::as_str).collect();
    assert_eq!(lines, ["before\n", "child\n", "error\n", "after\n"]);
    assert_eq!((log[6].len(), log[7].len()), (256 * 1024, 300_001 - 256 * 1024));
    let numbers: Vec<String> = (0..20_000).map(|i| format!("{i}\n")).collect();
    assert!(log[8..20_008] == numbers[..], "lines are lost or out of order");
    assert!(log[20_008].starts_with("END "));
}

async fn partial_lines(machine: Arc<Machine>) {
    let mut function = machine.python("def handler(e, c): print('no newline', end='')");
    function.answer("{}").await;
    let log = shape(&function);
    assert_eq!(log[2..4], ["no newline", END]);
}

async fn figures_of_the_report(machine: Arc<Machine>) {
    let code = "import time\ntime.sleep(0.2)\nkept = []
def handler(e, c):
  time.sleep(0.1); kept.append(bytearray(e << 20))";
    let mut function = machine.python(code);
    let figures = |function: &Function| -> Value {
        let report = function.log_events().pop().unwrap();
        let figure = |name: &str| {
            let rest = report.split(&format!("\t{name}: ")).nth(1);
            rest.map(|rest| rest.split(' ').next().unwrap().parse::<f64>().unwrap())
        };
        serde_json::json!([
            figure("Duration"),
            figure("Billed Duration"),
            figure("Max Memory Used"),
            figure("Init Duration")
        ])
    };
    function.answer("1").await;
    let cold = figures(&function);
    let number = |v: &Value| v.as_f64().unwrap();
    assert!(number(&cold[0]) >= 100.0 && number(&cold[3]) >= 200.0, "{cold}");
    // Durations are shown in hundredths; what is billed is made of what they are.
    let is_billed = |v: &Value, ms: f64| ((ms - 0.01).ceil()..=(ms + 0.01).ceil()).contains(&number(v));
    assert!(is_billed(&cold[1], number(&cold[0]) + number(&cold[3])), "{cold}");
    function.answer("100").await;
    let warm = figures(&function);
    assert!(is_billed(&warm[1], number(&warm[0])), "{warm}");
    assert!(number(&warm[2]) >= number(&cold[2]) + 99.0 && warm[3].is_null(), "{cold} {warm}");
}
