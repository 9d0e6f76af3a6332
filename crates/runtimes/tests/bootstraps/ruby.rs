//! Ruby functions.

use hearth_runtimes::Kind;
use serde_json::{Value, json};

use crate::process::{Function, Message, runtimes};

fn runtime() -> String {
    runtimes(|kind| matches!(kind, Kind::Ruby { .. })).swap_remove(0)
}

fn start(code: &str, variables: &[(&str, &str)]) -> Function {
    Function::start_with(&runtime(), "app.handler", &[("app.rb", code)], variables)
}

/// The answer of a handler to `{}`.
fn answer(code: &str) -> Message {
    start(code, &[]).invoke("{}")
}

fn init_error(handler: &str, package: &[(&str, &str)]) -> (Value, String) {
    let mut function = Function::start(&runtime(), handler, package);
    let message = function.message();
    assert_eq!(message.path, "/2018-06-01/runtime/init/error");
    let (status, output) = function.ended();
    assert_eq!(status, Some(1));
    (message.json(), output)
}

#[test]
fn answers_one_event_after_the_other() {
    let code = "$count = 0\ndef handler(event:, context:)\n  $count += 1\n  {'e' => event, n: $count}\nend";
    let mut function = start(code, &[]);
    let first = function.invoke(r#" {"a": [1, 2.5, null, "h\u00e9"], "x": true} "#);
    assert_eq!(first.path, format!("/2018-06-01/runtime/invocation/{}/response", function.request_id));
    assert_eq!(first.json(), json!({"e": {"a": [1, 2.5, null, "hé"], "x": true}, "n": 1}));
    assert_eq!(function.invoke("\"ü\"").json(), json!({"e": "ü", "n": 2}));
    let large = format!("\"{}\"", "x".repeat(5_000_000));
    assert_eq!(function.invoke(&large).json()["e"].as_str().unwrap().len(), 5_000_000);
    assert_eq!(function.invoke("7").json(), json!({"e": 7, "n": 4}));
    assert_eq!(answer("def handler(event:, context:) = nil").text(), "null");
}

#[test]
fn gives_the_handler_its_context() {
    let code = "def handler(event:, context:)
  c = context
  [c.aws_request_id, c.invoked_function_arn, c.function_name, c.function_version, c.memory_limit_in_mb,
   c.log_group_name, c.log_stream_name, c.get_remaining_time_in_millis.between?(1, 3000), c.deadline_ms.class.name,
   ENV['_X_AMZN_TRACE_ID'], c.client_context, c.identity, c.tenant_id]
end";
    let headers = "Lambda-Runtime-Client-Context: {\"custom\":{\"k\":\"ü\"}}\r\nLambda-Runtime-Aws-Tenant-Id: t\r\n\
                   Lambda-Runtime-Cognito-Identity: {\"cognitoIdentityId\":\"i\"}\r\n";
    let expected = json!([
        "00000000-0000-4000-8000-000000000001", "arn:f", "f", "$LATEST", "128", "/aws/lambda/f", "stream", true,
        "Integer", "Root=1-2-3", {"custom": {"k": "ü"}}, {"cognitoIdentityId": "i"}, "t"
    ]);
    assert_eq!(start(code, &[]).invoke_with("{}", headers).json(), expected);
}

#[test]
fn finds_handlers_in_folders_modules_and_classes() {
    let code = "module A\n  class B\n    def self.run(event:, context:) = 'found'\n  end\nend";
    let package = [("src/app.rb", code)];
    assert_eq!(Function::start(&runtime(), "src/app.A::B.run", &package).invoke("{}").text(), "\"found\"");
}

#[test]
fn tells_of_an_exception_what_traces_show() {
    let code = "def outer\n  raise KeyError, \"h\\u00e9\\n\" + 'x' * 5000\nend\nouter\n";
    let message = start(code, &[]).message();
    let told: Value = serde_json::from_str(&message.headers["lambda-runtime-function-xray-error-cause"]).unwrap();
    let one = &told["exceptions"][0];
    assert_eq!(one["type"], "KeyError");
    assert_eq!(one["message"].as_str().unwrap().chars().count(), 4096);
    assert!(one["message"].as_str().unwrap().starts_with("hé\n"), "{one}");
    let first = &one["stack"][0];
    assert_eq!(first["line"], 2, "{first}");
    assert!(first["path"].as_str().unwrap().ends_with(".rb"), "{first}");
    assert!(first["label"].as_str().unwrap().ends_with("outer"), "{first}");
    let message = start("def handler(event:, context:) = raise('no')", &[]).invoke("{}");
    assert!(!message.headers.contains_key("lambda-runtime-function-xray-error-cause"), "it is not traced");
}

#[test]
fn reports_an_exception_with_the_functions_frames() {
    let mut function = start("def handler(event:, context:)\n  raise ArgumentError, 'no'\nend\n", &[]);
    let message = function.invoke("{}");
    assert_eq!(message.kind(), "error");
    assert_eq!(message.headers["lambda-runtime-function-error-type"], "Function<ArgumentError>");
    let error = message.json();
    assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!("Function<ArgumentError>"), &json!("no")));
    let stack = error["stackTrace"].as_array().unwrap();
    assert_eq!(stack.len(), 1, "{stack:?}");
    assert!(stack[0].as_str().unwrap().contains("app.rb:2:in "), "{stack:?}");
    // The next event is answered as ever.
    assert_eq!(function.invoke("{}").kind(), "error");
    let (out, _) = function.output();
    assert!(out.starts_with("Error raised from handler method\n{\n  \"errorMessage\": \"no\","), "{out}");
}

#[test]
fn reports_errors_of_the_users_own_and_what_is_no_json() {
    let own = answer("class Own < StandardError; end\ndef handler(event:, context:) = raise(Own, 'mine')");
    assert_eq!(own.json()["errorType"], "Function<Own>");
    assert_eq!(own.headers["lambda-runtime-function-error-type"], "Function<UserException>");
    let missing = start("x = 1", &[]).invoke("{}").json();
    assert_eq!(missing["errorType"], "Function<NoMethodError>");
    assert_eq!(
        start("def handler(event:, context:) = 1", &[]).invoke("{no").json()["errorType"],
        "Function<JSON::ParserError>"
    );
}

#[test]
fn reports_what_keeps_a_function_from_loading() {
    let app = |code| vec![("app.rb", code)];
    let (error, output) = init_error("app.handler", &app("require 'nowhere'"));
    assert_eq!(error["errorType"], "Init<LoadError>");
    assert_eq!(error["errorMessage"], "cannot load such file -- nowhere");
    assert!(output.starts_with("Init error when loading handler\n"), "{output}");
    assert_eq!(init_error("none.handler", &app("")).0["errorType"], "Init<LoadError>");
    assert_eq!(init_error("app.handler", &app("def handler(")).0["errorType"], "Init<SyntaxError>");
    let (error, _) = init_error("app", &app(""));
    assert_eq!(error["errorType"], "Init<ArgumentError>");
    assert!(
        error["errorMessage"].as_str().unwrap().starts_with("Invalid handler [\"app\"], must be of form"),
        "{error}"
    );
}

#[test]
fn answers_bytes_of_streams() {
    let message = answer("def handler(event:, context:) = StringIO.new('raw')");
    assert_eq!((message.text(), message.headers["content-type"].as_str()), ("raw", "application/unknown"));
}

#[test]
fn an_exit_is_an_exit() {
    let mut function = start("def handler(event:, context:) = exit(3)", &[]);
    function.deliver("{}", "");
    assert_eq!(function.ended().0, Some(3));
}

#[test]
fn loggers_name_the_request() {
    let code = "require 'logger'\ndef handler(event:, context:)\n  puts 'plain'\n  log = Logger.new($stdout)\n  \
                log.debug('low')\n  log.warn('careful')\nend";
    let mut function = start(code, &[]);
    function.invoke("{}");
    let id = function.request_id.clone();
    let (out, _) = function.output();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "plain");
    assert!(lines[2].starts_with("W, [") && lines[2].ends_with(&format!(" WARN {id} -- : careful")), "{out}");

    let mut function = start(code, &[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "INFO")]);
    function.invoke("{}");
    let id = function.request_id.clone();
    let (out, _) = function.output();
    let line: Value = serde_json::from_str(out.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&line["level"], &line["requestId"], &line["message"]), (&json!("WARN"), &json!(id), &json!("careful")));
    assert_eq!(out.lines().count(), 2, "{out}");
}
