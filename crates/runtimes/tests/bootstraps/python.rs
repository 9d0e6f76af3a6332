//! Python functions.

use hearth_runtimes::Kind;
use serde_json::json;

use crate::process::{Function, Message, runtimes};

fn each(test: impl Fn(&str)) {
    for runtime in runtimes(|kind| matches!(kind, Kind::Python { .. })) {
        eprintln!("{runtime}");
        test(&runtime);
    }
}

/// The answer of a handler to `{}`.
fn answer(runtime: &str, code: &str) -> Message {
    Function::start(runtime, "app.handler", &[("app.py", code)]).invoke("{}")
}

fn init_error(runtime: &str, handler: &str, package: &[(&str, &str)]) -> (serde_json::Value, String) {
    let mut function = Function::start(runtime, handler, package);
    let message = function.message();
    assert_eq!(message.path, "/2018-06-01/runtime/init/error");
    let (status, output) = function.ended();
    assert_eq!(status, Some(1));
    (message.json(), output)
}

#[test]
fn answers_one_event_after_the_other() {
    each(|runtime| {
        let code =
            "count = 0\ndef handler(event, context):\n  global count\n  count += 1\n  return {'e': event, 'n': count}";
        let mut function = Function::start(runtime, "app.handler", &[("app.py", code)]);
        let first = function.invoke(r#" {"a": [1, 2.5, null, "h\u00e9"], "x": true} "#);
        assert_eq!(first.path, format!("/2018-06-01/runtime/invocation/{}/response", function.request_id));
        assert_eq!(first.json(), json!({"e": {"a": [1, 2.5, null, "hé"], "x": true}, "n": 1}));
        assert_eq!(function.invoke("7").json(), json!({"e": 7, "n": 2}));
        let large = format!("\"{}\"", "x".repeat(5_000_000));
        assert_eq!(function.invoke(&large).json()["e"].as_str().unwrap().len(), 5_000_000);
        assert_eq!(function.invoke("\"after\"").json(), json!({"e": "after", "n": 4}));
    });
}

#[test]
fn an_exception_without_a_text_is_logged_by_its_type() {
    each(|runtime| {
        let code = "def handler(event, context):\n    raise ValueError()\n";
        let mut function = Function::start(runtime, "app.handler", &[("app.py", code)]);
        assert_eq!(function.invoke("{}").json()["errorMessage"], "");
        let (out, _) = function.output();
        assert!(out.starts_with("[ERROR] ValueError\rTraceback (most recent call last):\r"), "{out:?}");
    });
}

#[test]
fn a_context_is_printed_as_on_lambda() {
    each(|runtime| {
        let code = "def handler(event, c):\n  return [repr(c), [name for name in vars(c) if name[0] != '_']]";
        let mut function = Function::start(runtime, "app.handler", &[("app.py", code)]);
        let headers = "Lambda-Runtime-Client-Context: {\"custom\":{\"k\":1},\"client\":{\"app_title\":\"t\"}}\r\n";
        let client = "ClientContext([custom={'k': 1},env=None,client=Client([installation_id=None,app_title=t,\
            app_version_name=None,app_version_code=None,app_package_name=None])])";
        let shown = format!(
            "LambdaContext([aws_request_id=00000000-0000-4000-8000-000000000001,log_group_name=/aws/lambda/f,\
             log_stream_name=stream,function_name=f,memory_limit_in_mb=128,function_version=$LATEST,\
             invoked_function_arn=arn:f,client_context={client},\
             identity=CognitoIdentity([cognito_identity_id=None,cognito_identity_pool_id=None]),tenant_id=None])"
        );
        let members = [
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "tenant_id",
            "client_context",
            "identity",
        ];
        assert_eq!(function.invoke_with("{}", headers).json(), json!([shown, members]));
    });
}

#[test]
fn gives_the_handler_its_context() {
    each(|runtime| {
        let code = "import os
def handler(event, c):
  return [c.aws_request_id, c.invoked_function_arn, c.function_name, c.function_version, c.memory_limit_in_mb,
    c.log_group_name, c.log_stream_name, 0 < c.get_remaining_time_in_millis() <= 3000, os.environ['_X_AMZN_TRACE_ID'],
    c.client_context.custom, c.client_context.client.app_title, c.identity.cognito_identity_id, c.tenant_id]";
        let mut function = Function::start(runtime, "app.handler", &[("app.py", code)]);
        let headers = "Lambda-Runtime-Client-Context: {\"custom\":{\"k\":1},\"client\":{\"app_title\":\"t\"}}\r\n\
                       Lambda-Runtime-Cognito-Identity: {\"cognitoIdentityId\":\"i\",\"cognitoIdentityPoolId\":\"p\"}\r\n";
        let expected = json!([
            "00000000-0000-4000-8000-000000000001", "arn:f", "f", "$LATEST", "128", "/aws/lambda/f", "stream", true,
            "Root=1-2-3", {"k": 1}, "t", "i", null
        ]);
        assert_eq!(function.invoke_with("{}", headers).json(), expected);
    });
}

#[test]
fn the_trace_id_is_seen_however_late_one_looks() {
    each(|runtime| {
        let code = "def handler(event, c):
  import os, subprocess
  child = subprocess.run(['/bin/sh', '-c', 'echo $_X_AMZN_TRACE_ID'], stdout=subprocess.PIPE, text=True)
  return [os.environ['_X_AMZN_TRACE_ID'], os.getenv('_X_AMZN_TRACE_ID'), child.stdout]";
        let mut function = Function::start(runtime, "app.handler", &[("app.py", code)]);
        for _ in 0..2 {
            assert_eq!(function.invoke("{}").json(), json!(["Root=1-2-3", "Root=1-2-3", "Root=1-2-3\n"]));
        }
    });
}

#[test]
fn finds_handlers_in_packages() {
    each(|runtime| {
        for handler in ["pkg/mod.handler", "pkg.mod.handler"] {
            let package = [("pkg/__init__.py", ""), ("pkg/mod.py", "def handler(e, c): return 'found'")];
            assert_eq!(Function::start(runtime, handler, &package).invoke("{}").text(), "\"found\"");
        }
    });
}

#[test]
fn reports_an_exception_with_the_functions_frames() {
    each(|runtime| {
        let code = "def handler(event, context):\n    raise ValueError('no\\ngood')\n";
        let mut function = Function::start(runtime, "app.handler", &[("app.py", code)]);
        let message = function.invoke("{}");
        assert_eq!(message.kind(), "error");
        let error = message.json();
        assert_eq!(error["errorType"], "ValueError");
        assert_eq!(error["errorMessage"], "no\ngood");
        assert_eq!(error["requestId"], function.request_id.as_str());
        let stack = error["stackTrace"].as_array().unwrap();
        assert_eq!(stack.len(), 1, "{stack:?}");
        let frame = stack[0].as_str().unwrap();
        assert!(frame.contains("app.py\", line 2, in handler\n    raise ValueError('no\\ngood')\n"), "{frame}");
        assert_eq!(
            message.text().find("errorMessage").map(|at| at < message.text().find("errorType").unwrap()),
            Some(true)
        );
        // The next event is answered as ever; the log has the error as one line.
        assert_eq!(function.invoke("{}").kind(), "error");
        let (out, _) = function.output();
        let lines: Vec<&str> = out.split_terminator('\n').collect();
        assert_eq!(lines.len(), 2, "{out:?}");
        assert!(
            lines[0]
                .starts_with("[ERROR] ValueError: no\rgood\rTraceback (most recent call last):\r\u{a0}\u{a0}File \"")
        );
    });
}

#[test]
fn tells_of_an_exception_what_traces_show() {
    each(|runtime| {
        let cause = |message: &Message| -> serde_json::Value {
            serde_json::from_str(&message.headers["lambda-runtime-function-xray-error-cause"]).unwrap()
        };
        let code = "def outer():\n    raise KeyError('h\\u00e9' + 5000 * 'x')\nouter()\n";
        let message = Function::start(runtime, "app.handler", &[("app.py", code)]).message();
        let told = cause(&message);
        let one = &told["exceptions"][0];
        assert_eq!(one["type"], "KeyError");
        assert_eq!(one["message"].as_str().unwrap().chars().count(), 4096);
        assert!(one["message"].as_str().unwrap().starts_with("'hé"), "{one}");
        let last = one["stack"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["line"], &last["label"]), (&json!(2), &json!("outer")));
        assert!(last["path"].as_str().unwrap().ends_with("/app.py"), "{last}");
        let deep = "def deep(n): return deep(n + 1)\ndeep(0)\n";
        let message = Function::start(runtime, "app.handler", &[("app.py", deep)]).message();
        assert_eq!(cause(&message)["exceptions"][0]["stack"].as_array().unwrap().len(), 256);
        let fails = "def handler(event, context): raise ValueError('no')";
        let message = Function::start(runtime, "app.handler", &[("app.py", fails)]).invoke("{}");
        assert!(!message.headers.contains_key("lambda-runtime-function-xray-error-cause"), "it is not traced");
    });
}

#[test]
fn reports_what_keeps_a_function_from_loading() {
    each(|runtime| {
        let app = |code| vec![("app.py", code)];
        let (error, output) = init_error(runtime, "app.handler", &app("import nowhere"));
        assert_eq!(error["errorType"], "Runtime.ImportModuleError");
        assert_eq!(error["errorMessage"], "Unable to import module 'app': No module named 'nowhere'");
        assert_eq!((&error["requestId"], &error["stackTrace"]), (&json!(""), &json!([])));
        assert!(output.starts_with("[ERROR] Runtime.ImportModuleError: Unable to import module 'app'"), "{output}");

        let (error, _) = init_error(runtime, "app.handler", &app("def handler(:\n"));
        assert_eq!(error["errorType"], "Runtime.UserCodeSyntaxError");
        let text = error["errorMessage"].as_str().unwrap();
        assert!(text.starts_with("Syntax error in module 'app': invalid syntax (app.py, line 1)"), "{text}");
        assert!(error["stackTrace"][0].as_str().unwrap().contains("app.py\" Line 1"));

        let (error, _) = init_error(runtime, "app.nothing", &app("x = 1"));
        assert_eq!(error["errorType"], "Runtime.HandlerNotFound");
        assert_eq!(error["errorMessage"], "Handler 'nothing' missing on module 'app'");

        let (error, _) = init_error(runtime, "app", &app("x = 1"));
        assert_eq!(error["errorType"], "Runtime.MalformedHandlerName");
        assert_eq!(error["errorMessage"], "Bad handler 'app': not enough values to unpack (expected 2, got 1)");

        let (error, _) = init_error(runtime, "sys.handler", &app("x = 1"));
        assert_eq!(error["errorType"], "Runtime.BuiltInModuleConflict");
        assert_eq!(error["errorMessage"], "Cannot use built-in module sys as a handler module");

        let (error, _) = init_error(runtime, "app.handler", &app("raise Exception('Runtime startup fails')"));
        assert_eq!(
            (&error["errorType"], &error["errorMessage"]),
            (&json!("Exception"), &json!("Runtime startup fails"))
        );
        let stack = error["stackTrace"].as_array().unwrap();
        assert!(stack[0].as_str().unwrap().contains("in import_module"), "{stack:?}");
        assert!(stack.iter().all(|entry| !entry.as_str().unwrap().contains("^^")), "columns: {stack:?}");
        let last = stack.last().unwrap().as_str().unwrap();
        assert!(
            last.contains("app.py\", line 1, in <module>\n    raise Exception('Runtime startup fails')\n"),
            "{last}"
        );
    });
}

#[test]
fn reports_answers_that_are_no_json() {
    each(|runtime| {
        let fault = |body: &str| {
            let code = format!("def handler(e, c):\n  return {body}");
            let error = answer(runtime, &code).json();
            assert_eq!(error["errorType"], "Runtime.MarshalError");
            error["errorMessage"].as_str().unwrap().to_owned()
        };
        assert_eq!(fault("{1, 2}"), "Unable to marshal response: Object of type set is not JSON serializable");
        assert!(
            fault("{'b': b'\\xff'}").starts_with("Unable to marshal response: 'utf-8' codec can't decode byte 0xff")
        );
        assert!(fault("{('t',): 1}").starts_with("Unable to marshal response: keys must be str"));
    });
}

#[test]
fn a_coroutine_is_no_answer() {
    each(|runtime| {
        let error = answer(runtime, "async def handler(e, c):\n  return 1").json();
        assert_eq!(error["errorType"], "Runtime.MarshalError");
        assert_eq!(
            error["errorMessage"],
            "Unable to marshal response: Object of type coroutine is not JSON serializable"
        );
    });
}

#[test]
fn writes_unusual_values_as_lambda_does() {
    each(|runtime| {
        let text = |body: &str| {
            answer(runtime, &format!("import decimal\ndef handler(e, c):\n  return {body}")).text().to_owned()
        };
        assert_eq!(text("None"), "null");
        assert_eq!(text("{'a': (1, 2), 'b': True}"), r#"{"a": [1, 2], "b": true}"#);
        assert_eq!(
            text("[decimal.Decimal('1.10'), {'d': decimal.Decimal('12345678901234567890.5')}]"),
            r#"[1.10, {"d": 12345678901234567890.5}]"#
        );
        assert_eq!(text("{1: float('nan')}"), r#"{"1": NaN}"#);
        let minor: u32 = runtime.strip_prefix("python3.").unwrap().parse().unwrap();
        let newer = minor >= 12;
        assert_eq!(text("'h\\u00e9'"), if newer { "\"hé\"" } else { r#""h\u00e9""# });
        let raw = answer(runtime, "def handler(e, c):\n  return b'\\x00\\xff'");
        assert_eq!(
            (raw.body.as_slice(), raw.headers["content-type"].as_str()),
            (&[0_u8, 255][..], "application/unknown")
        );
    });
}

/// Each as simplejson writes it, which Lambda's own bootstrap uses.
#[test]
fn writes_what_only_lambdas_encoder_knows() {
    each(|runtime| {
        let code = "import collections, decimal, enum
P = collections.namedtuple('P', 'a b')
class Number(enum.IntEnum): ONE = 1
class Record:
  def _asdict(self): return {'q': b'bytes'}
ring = []; ring.append(ring)
def handler(event, c): return eval(event)";
        let mut function = Function::start(runtime, "app.handler", &[("app.py", code)]);
        for (value, expected) in [
            ("P(1, 2)", r#"{"a": 1, "b": 2}"#),
            ("[1, {'k': (P(P('x', None), True), 2)}]", r#"[1, {"k": [{"a": {"a": "x", "b": null}, "b": true}, 2]}]"#),
            ("[Record(), P(decimal.Decimal('1.10'), 1)]", r#"[{"q": "bytes"}, {"a": 1.10, "b": 1}]"#),
            ("{b'k': {None: b'v', 1: 2}}", r#"{"k": {"null": "v", "1": 2}}"#),
            ("[Number.ONE, (1, 2), collections.OrderedDict(z=1)]", r#"[1, [1, 2], {"z": 1}]"#),
        ] {
            assert_eq!(function.invoke(&format!("\"{value}\"")).text(), expected, "{value}");
        }
        for (value, expected) in [
            ("{P(1, 2): 1}", "keys must be str, int, float, bool or None, not P"),
            ("[P(1, {1})]", "Object of type set is not JSON serializable"),
            ("[ring, b'x']", "Circular reference detected"),
            ("ring", "Circular reference detected"),
        ] {
            let error = function.invoke(&format!("\"{value}\"")).json();
            assert_eq!(error["errorType"], "Runtime.MarshalError", "{value}");
            assert_eq!(error["errorMessage"], format!("Unable to marshal response: {expected}"), "{value}");
        }
    });
}

#[test]
fn an_event_that_is_no_json_is_a_fault_of_its_own() {
    each(|runtime| {
        let mut function = Function::start(runtime, "app.handler", &[("app.py", "def handler(e, c): return e")]);
        let error = function.invoke("{\"a\"").json();
        assert_eq!(error["errorType"], "Runtime.UnmarshalError");
        assert!(error["errorMessage"].as_str().unwrap().starts_with("Unable to unmarshal input: Expecting"));
        assert_eq!(function.invoke("[1] x").json()["errorType"], "Runtime.UnmarshalError");
        assert_eq!(function.invoke("[1]").json(), json!([1]));
    });
}

#[test]
fn keeps_the_order_of_output_and_the_lines_of_log_records() {
    each(|runtime| {
        let code = "import logging, os, sys
log = logging.getLogger('mine'); log.setLevel(logging.INFO)
print('in init')
def handler(event, context):
  print('one')
  log.info('two\\nlines')
  os.system('echo three')
  sys.stderr.write('four\\n') if False else print('four', end='')
  logging.info('not shown: the root level is WARNING')
  context.log('five\\n')
  return 1";
        let mut function = Function::start(runtime, "app.handler", &[("app.py", code)]);
        assert_eq!(function.invoke("{}").text(), "1");
        let id = function.request_id.clone();
        let (out, _) = function.output();
        let lines: Vec<&str> = out.split_terminator('\n').collect();
        assert_eq!(lines.len(), 5, "{out}");
        assert_eq!((lines[0], lines[1], lines[3], lines[4]), ("in init", "one", "three", "fourfive"));
        let record: Vec<&str> = lines[2].split('\t').collect();
        assert_eq!((record[0], record[2], record[3]), ("[INFO]", id.as_str(), "two\rlines"));
        assert!(record[1].len() == 24 && record[1].ends_with('Z') && record[1].contains('T'), "{record:?}");
    });
}

/// The JSON lines among those that a function wrote, and the others.
fn json_lines(out: &str) -> (Vec<serde_json::Value>, Vec<&str>) {
    let (json, other): (Vec<&str>, Vec<&str>) = out.lines().partition(|line| line.starts_with('{'));
    (json.into_iter().map(|line| serde_json::from_str(line).unwrap()).collect(), other)
}

#[test]
fn log_records_are_json_where_that_is_asked_for() {
    each(|runtime| {
        let code = "import logging
log = logging.getLogger('mine')
log.info('in init')
def handler(event, context):
  print('plain')
  log.debug('below the level')
  log.info('two\\nlines %s', 'ä', extra={'order': 7, 'odd': {1}})
  try: 1/0
  except ZeroDivisionError: log.exception('caught')
  raise ValueError('uncaught')";
        let variables = [("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "INFO")];
        let mut function = Function::start_with(runtime, "app.handler", &[("app.py", code)], &variables);
        assert_eq!(function.invoke("{}").kind(), "error");
        let id = function.request_id.clone();
        let (out, _) = function.output();
        let (lines, other) = json_lines(&out);
        assert_eq!((lines.len(), other), (4, vec!["plain"]), "{out}");
        for line in &lines {
            let at = line["timestamp"].as_str().unwrap();
            assert!(at.len() == 20 && at.ends_with('Z'), "{line}");
        }
        let members = |line: &serde_json::Value, names: &[&str]| -> serde_json::Value {
            names.iter().map(|name| line[name].clone()).collect()
        };
        let usual = ["level", "message", "logger", "requestId"];
        assert_eq!(members(&lines[0], &usual), serde_json::json!(["INFO", "in init", "mine", null]));
        assert_eq!(lines[0].as_object().unwrap().len(), 4, "what has no value is absent: {}", lines[0]);
        assert_eq!(members(&lines[1], &usual), serde_json::json!(["INFO", "two\nlines ä", "mine", id]));
        assert_eq!(members(&lines[1], &["order", "odd"]), serde_json::json!([7, "{1}"]));
        assert_eq!(members(&lines[2], &usual), serde_json::json!(["ERROR", "caught", "mine", id]));
        assert_eq!(
            members(&lines[2], &["errorType", "errorMessage"]),
            serde_json::json!(["ZeroDivisionError", "division by zero"])
        );
        assert!(lines[2]["stackTrace"][0].as_str().unwrap().contains("app.py"), "{}", lines[2]);
        assert!(lines[2]["location"].as_str().unwrap().ends_with("app.py:handler:9"), "{}", lines[2]);
        let error = members(&lines[3], &["level", "errorType", "errorMessage", "requestId"]);
        assert_eq!(error, serde_json::json!(["ERROR", "ValueError", "uncaught", id]));
        assert!(lines[3]["stackTrace"][0].as_str().unwrap().contains("app.py"), "{}", lines[3]);
    });
}

#[test]
fn the_level_of_json_records_is_the_root_loggers() {
    let code = "import logging\ndef handler(e, c): return logging.root.level";
    for (level, number) in [("TRACE", "5"), ("DEBUG", "10"), ("WARN", "30"), ("FATAL", "50"), ("LOUD", "30")] {
        let variables = [("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", level)];
        let runtime = &runtimes(|kind| matches!(kind, Kind::Python { .. }))[0];
        let mut function = Function::start_with(runtime, "app.handler", &[("app.py", code)], &variables);
        assert_eq!(function.invoke("{}").text(), number, "{level}");
    }
}

#[test]
fn leaves_exits_to_the_platform() {
    each(|runtime| {
        for (code, status) in [("import sys; sys.exit(3)", 3), ("import os; os._exit(4)", 4), ("exit(0)", 0)] {
            let code = format!("def handler(e, c):\n  {code}");
            let mut function = Function::start(runtime, "app.handler", &[("app.py", &code)]);
            function.deliver("{}", "");
            assert_eq!(function.ended().0, Some(status));
        }
    });
}

#[test]
fn sees_its_own_modules_and_no_others() {
    each(|runtime| {
        let code = "import sys
def handler(e, c):
  try:
    import botocore
    return 'the packages of the host are seen'
  except ImportError:
    return [p for p in sys.path if 'site-packages' in p and not p.startswith('/opt/')] + [sys.path[0]]";
        let path = answer(runtime, code).json();
        assert_eq!(path.as_array().unwrap().len(), 1, "{path}");
        assert!(path[0].as_str().unwrap().ends_with("/task"), "{path}");
    });
}

#[test]
fn python_variables_of_the_function_have_their_effect() {
    each(|runtime| {
        let code = "import there, os\ndef handler(e, c): return [there.x, __debug__]";
        let package = [("app.py", code), ("lib/there.py", "x = 5")];
        let variables = [("PYTHONPATH", "/var/task/lib"), ("PYTHONOPTIMIZE", "1")];
        let mut function = Function::start_with(runtime, "app.handler", &package, &variables);
        assert_eq!(function.invoke("{}").json(), json!([5, false]));
    });
}
