//! Node.js functions.

use std::ops::RangeInclusive;

use hearth_runtimes::Kind;
use serde_json::json;

use crate::process::{Function, Message, runtimes};

/// Callbacks went with Node.js 24.
const CALLBACKS_UP_TO: u32 = 22;

pub(crate) fn each(test: impl Fn(&str)) {
    each_major(0..=u32::MAX, test);
}

pub(crate) fn each_from(from: u32, test: impl Fn(&str)) {
    each_major(from..=u32::MAX, test);
}

fn each_major(majors: RangeInclusive<u32>, test: impl Fn(&str)) {
    for runtime in runtimes(|kind| matches!(kind, Kind::Node { major } if majors.contains(&major))) {
        eprintln!("{runtime}");
        test(&runtime);
    }
}

/// Whether handlers answer with their promise only.
fn gone(runtime: &str) -> bool {
    runtime.trim_start_matches("nodejs").trim_end_matches(".x").parse::<u32>().unwrap() > CALLBACKS_UP_TO
}

fn answer(runtime: &str, code: &str) -> Message {
    Function::start(runtime, "index.handler", &[("index.js", code)]).invoke("{}")
}

pub(crate) fn init_error(runtime: &str, handler: &str, package: &[(&str, &str)]) -> serde_json::Value {
    let mut function = Function::start(runtime, handler, package);
    let message = function.message();
    assert_eq!(message.path, "/2018-06-01/runtime/init/error", "{}", message.text());
    let (status, output) = function.ended();
    assert!(status.is_some_and(|s| s != 0), "{status:?}");
    assert!(output.contains("\tERROR\t"), "{output}");
    message.json()
}

#[test]
fn answers_one_event_after_the_other() {
    each(|runtime| {
        let code = "let n = 0; exports.handler = async (event) => ({ event, n: ++n });";
        let mut function = Function::start(runtime, "index.handler", &[("index.js", code)]);
        let first = function.invoke(r#"{"a":[1,"hé"]}"#);
        assert_eq!(first.path, format!("/2018-06-01/runtime/invocation/{}/response", function.request_id));
        assert_eq!(first.text(), r#"{"event":{"a":[1,"hé"]},"n":1}"#);
        let large = format!("\"{}\"", "x".repeat(5_000_000));
        assert_eq!(function.invoke(&large).json()["event"].as_str().unwrap().len(), 5_000_000);
        assert_eq!(function.invoke("1").json(), json!({"event": 1, "n": 3}));
    });
}

#[test]
fn compiled_forms_of_built_in_modules_are_taken() {
    each(|runtime| {
        // V8 takes those whose tag is its own, which comes from its flags.
        let code = "const v8 = require('v8'), { execFileSync } = require('child_process');
            const plain = () => Number(execFileSync(process.execPath, ['-p', 'v8.cachedDataVersionTag()'], { env: {} }));
            exports.handler = async () => [typeof gc, v8.getHeapStatistics().heap_size_limit < 512 * 1024 * 1024,
                v8.cachedDataVersionTag() === plain(), process.noDeprecation];";
        assert_eq!(answer(runtime, code).json(), json!(["function", true, true, null]), "the flags had their effect");
    });
}

#[test]
fn gives_the_handler_its_context() {
    each(|runtime| {
        let code = "exports.handler = async (event, c) => [c.awsRequestId, c.invokedFunctionArn, c.functionName,
            c.functionVersion, c.memoryLimitInMB, c.logGroupName, c.logStreamName, c.getRemainingTimeInMillis() > 0,
            process.env._X_AMZN_TRACE_ID, c.clientContext, c.identity.cognitoIdentityId,
            c.callbackWaitsForEmptyEventLoop ?? c.xRayTraceId];";
        let mut function = Function::start(runtime, "index.handler", &[("index.js", code)]);
        let headers = "Lambda-Runtime-Client-Context: {\"custom\":{\"k\":1}}\r\n\
                       Lambda-Runtime-Cognito-Identity: {\"cognitoIdentityId\":\"i\",\"cognitoIdentityPoolId\":\"p\"}\r\n";
        let last = if gone(runtime) { json!("Root=1-2-3") } else { json!(true) };
        let expected = json!([
            "00000000-0000-4000-8000-000000000001", "arn:f", "f", "$LATEST", "128", "/aws/lambda/f", "stream", true,
            "Root=1-2-3", {"custom": {"k": 1}}, "i", last
        ]);
        assert_eq!(function.invoke_with("{}", headers).json(), expected);
    });
}

#[test]
fn finds_handlers_as_lambda_does() {
    each(|runtime| {
        let found = |handler: &str, package: &[(&str, &str)]| {
            Function::start(runtime, handler, package).invoke("{}").text().to_owned()
        };
        let cjs = "exports.handler = async () => 'cjs'; exports.deep = { er: async () => 'deeper' };";
        let esm = "export const handler = async () => import.meta.url.endsWith('js') && 'esm';";
        assert_eq!(found("index.handler", &[("index.js", cjs)]), "\"cjs\"");
        assert_eq!(found("index.deep.er", &[("index.js", cjs)]), "\"deeper\"");
        assert_eq!(found("index.handler", &[("index.mjs", esm)]), "\"esm\"");
        assert_eq!(found("index.handler", &[("index.cjs", cjs)]), "\"cjs\"");
        assert_eq!(found("src/a/index.handler", &[("src/a/index.js", cjs)]), "\"cjs\"");
        let module = ("package.json", r#"{"type":"module"}"#);
        assert_eq!(found("index.handler", &[("index.js", esm), module]), "\"esm\"");
        assert_eq!(found("src/index.handler", &[("src/index.js", esm), module]), "\"esm\"");
        assert_eq!(found("index.handler", &[("index.js", cjs), ("index.mjs", esm)]), "\"cjs\"");
        assert_eq!(found("mod.handler", &[("node_modules/mod/index.js", cjs)]), "\"cjs\"");
        if gone(runtime) {
            let esm = "export default { handler: async () => 'default' };";
            assert_eq!(found("index.handler", &[("index.mjs", esm)]), "\"default\"");
        }
        let awaits = "const x = await Promise.resolve('awaited'); export const handler = async () => x;";
        assert_eq!(found("index.handler", &[("index.mjs", awaits)]), "\"awaited\"");
    });
}

#[test]
fn reports_what_keeps_a_function_from_loading() {
    each(|runtime| {
        let js = |code| vec![("index.js", code)];
        let error = init_error(runtime, "index.handler", &js("require('nowhere')"));
        assert_eq!(error["errorType"], "Runtime.ImportModuleError");
        assert!(
            error["errorMessage"].as_str().unwrap().starts_with("Error: Cannot find module 'nowhere'\nRequire stack:")
        );
        let trace = error["trace"].as_array().unwrap();
        assert!(
            trace[0].as_str().unwrap().starts_with("Runtime.ImportModuleError: Error: Cannot find module"),
            "{trace:?}"
        );
        assert_eq!(trace.iter().filter(|line| *line == "Require stack:").count(), 1, "{trace:?}");
        assert!(trace.last().unwrap().as_str().unwrap().contains("/bootstrap.js:"), "{trace:?}");
        let error = init_error(runtime, "index.handler", &[("index.mjs", "import 'nowhere'")]);
        assert_eq!(error["errorType"], "Error", "what an import does not find is told as Node.js tells it");
        assert!(error["errorMessage"].as_str().unwrap().starts_with("Cannot find package 'nowhere'"), "{error}");
        assert!(error["trace"][0].as_str().unwrap().starts_with("Error [ERR_MODULE_NOT_FOUND]: "), "{error}");
        let error = init_error(runtime, "missing.handler", &js(""));
        assert_eq!(error["errorType"], "Runtime.ImportModuleError");
        let error = init_error(runtime, "index.handler", &js("exports.handler = ("));
        assert_eq!(error["errorType"], "Runtime.UserCodeSyntaxError");
        assert!(error["errorMessage"].as_str().unwrap().starts_with("SyntaxError: "));
        let lines = error["trace"].as_array().unwrap();
        assert!(lines.iter().any(|line| line.as_str().unwrap().ends_with("index.js:1")), "where it is: {error}");
        let error = init_error(runtime, "index.other", &js("exports.handler = 1"));
        assert_eq!(error["errorType"], "Runtime.HandlerNotFound");
        assert_eq!(error["errorMessage"], "index.other is undefined or not exported");
        let error = init_error(runtime, "index.handler", &js("exports.handler = 1"));
        assert_eq!(error["errorMessage"], "index.handler is not a function");
        let error = init_error(runtime, "../index.handler", &js(""));
        assert_eq!(error["errorType"], "Runtime.MalformedHandlerName");
        let error = init_error(runtime, "index", &js(""));
        assert_eq!(
            (&error["errorType"], &error["errorMessage"]),
            (&json!("Runtime.MalformedHandlerName"), &json!("Bad handler"))
        );
        let error = init_error(runtime, "index.handler", &js("throw new TypeError('broken')"));
        assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!("TypeError"), &json!("broken")));
        if gone(runtime) {
            let error = init_error(runtime, "index.handler", &js("exports.handler = (e, c, callback) => callback();"));
            assert_eq!(error["errorType"], "Runtime.CallbackHandlerDeprecated");
        }
        let error = init_error(runtime, "index.handler", &[("index.mjs", "await new Promise(() => {})")]);
        assert_eq!(error["errorType"], "Runtime.NodeJsExit");
    });
}

#[test]
fn tells_of_an_error_what_traces_show() {
    each(|runtime| {
        let code = "function outer() {\n  throw new RangeError('hé\\n' + 'x'.repeat(5000));\n}\nouter();";
        let message = Function::start(runtime, "index.handler", &[("index.js", code)]).message();
        let told: serde_json::Value =
            serde_json::from_str(&message.headers["lambda-runtime-function-xray-error-cause"]).unwrap();
        let one = &told["exceptions"][0];
        assert_eq!(one["type"], "RangeError");
        assert_eq!(one["message"].as_str().unwrap().chars().count(), 4096);
        assert!(one["message"].as_str().unwrap().starts_with("hé\n"), "{one}");
        let first = &one["stack"][0];
        assert_eq!((&first["line"], &first["label"]), (&json!(2), &json!("outer")));
        assert!(first["path"].as_str().unwrap().ends_with("/index.js"), "{first}");
        let fails = "exports.handler = async () => { throw new Error('no'); };";
        let message = Function::start(runtime, "index.handler", &[("index.js", fails)]).invoke("{}");
        assert!(!message.headers.contains_key("lambda-runtime-function-xray-error-cause"), "it is not traced");
    });
}

#[test]
fn reports_a_thrown_error_with_its_trace() {
    each(|runtime| {
        let code = "exports.handler = async () => {\n  throw new RangeError('no\\ngood');\n};";
        let mut function = Function::start(runtime, "index.handler", &[("index.js", code)]);
        let message = function.invoke("{}");
        assert_eq!(message.kind(), "error");
        let error = message.json();
        assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!("RangeError"), &json!("no\ngood")));
        assert_eq!(error["trace"][0], "RangeError: no");
        assert!(error["trace"][2].as_str().unwrap().contains("index.js:2:9"), "{error}");
        let frames = error["trace"].as_array().unwrap();
        assert!(frames[3].as_str().unwrap().starts_with("    at Runtime.handleOnceNonStreaming ("), "{error}");
        assert_eq!(frames.len(), 4, "nothing of how the bootstrap came there: {error}");
        assert!(message.text().starts_with("{\"errorType\":\"RangeError\",\"errorMessage\":"), "{}", message.text());
        assert_eq!(function.invoke("{}").kind(), "error");
        let id = function.request_id.clone();
        let (out, _) = function.output();
        let lines: Vec<&str> = out.split_terminator('\n').collect();
        assert_eq!(lines.len(), 2, "{out}");
        assert!(lines[1].contains(&format!("\t{id}\tERROR\tInvoke Error \t{{\"errorType\":\"RangeError\"")), "{out}");
        let text = answer(runtime, "exports.handler = async () => { throw 'a text'; };").json();
        assert_eq!(text, json!({"errorType": "string", "errorMessage": "a text", "trace": []}));
    });
}

#[test]
fn what_only_looks_like_an_error_is_told_as_one_up_to_22() {
    each_major(0..=CALLBACKS_UP_TO, |runtime| {
        let code = "exports.handler = async () => { throw { name: 'Odd', message: 'm\x7f', stack: 'a\\nb' }; };";
        assert_eq!(
            answer(runtime, code).json(),
            json!({"errorType": "Odd", "errorMessage": "m%7F", "trace": ["a", "b"]})
        );
        let nothing = answer(runtime, "exports.handler = async () => { throw undefined; };").json();
        assert_eq!(nothing, json!({"errorType": "string", "errorMessage": "handled", "trace": []}));
    });
}

#[test]
fn an_error_is_logged_with_all_its_members_and_what_is_none_as_one() {
    each(|runtime| {
        let code = "exports.handler = async (text) => { throw text || Object.assign(new Error('m'), \
                    { name: 'Mine', code: 7, inner: new TypeError('t') }); };";
        let mut function = Function::start(runtime, "index.handler", &[("index.js", code)]);
        assert_eq!(function.invoke("null").kind(), "error");
        assert_eq!(function.invoke("\"a text\"").json()["errorType"], "string");
        let (out, _) = function.output();
        let lines: Vec<&str> = out.split_terminator('\n').collect();
        let logged = |line: &str| line.split_once("\tERROR\tInvoke Error \t").unwrap().1.to_owned();
        let start = "{\"errorType\":\"Mine\",\"errorMessage\":\"m\",\"code\":7,\"name\":\"Mine\",\
                     \"inner\":{\"errorType\":\"TypeError\",\"errorMessage\":\"t\",\"stack\":[";
        assert!(logged(lines[0]).starts_with(start), "{out}");
        let text = "{\"errorType\":\"Error\",\"errorMessage\":\"a text\",\"stack\":[\"Error: a text\"";
        assert!(logged(lines[1]).starts_with(text), "{out}");
    });
}

#[test]
fn callbacks_work_up_to_22() {
    each_major(0..=CALLBACKS_UP_TO, |runtime| {
        let text = |code: &str| answer(runtime, code).text().to_owned();
        assert_eq!(text("exports.handler = (e, c, callback) => callback(null, 'called');"), "\"called\"");
        assert_eq!(text("exports.handler = (e, c) => c.succeed('ok');"), "\"ok\"");
        assert_eq!(text("exports.handler = (e, c) => c.done(null, 'ok');"), "\"ok\"");
        assert_eq!(text("exports.handler = (e, c) => {};"), "null");
        assert_eq!(text("exports.handler = (e, c) => new Promise(() => {});"), "null");
        let failed = answer(runtime, "exports.handler = (e, c) => c.fail(new Error('bad'));");
        assert_eq!((failed.kind(), &failed.json()["errorMessage"]), ("error", &json!("bad")));
        let failed = answer(runtime, "exports.handler = (e, c, callback) => callback('bad');");
        assert_eq!(failed.json(), json!({"errorType": "string", "errorMessage": "bad", "trace": []}));
        let thrown = answer(runtime, "exports.handler = (e, c, callback) => { throw new Error('thrown'); };");
        assert_eq!(thrown.json()["errorMessage"], "thrown");
    });
}

#[test]
fn a_callbacks_answer_waits_for_the_event_loop_unless_told_otherwise() {
    each_major(0..=CALLBACKS_UP_TO, |runtime| {
        let code = "let late = []; exports.handler = (e, c, callback) => {
            if (e === 'now') c.callbackWaitsForEmptyEventLoop = false;
            setTimeout(() => late.push('late'), 50);
            const answer = { get order() { return [...late]; } };
            callback(null, answer);
        };";
        let waits = answer(runtime, code).json();
        assert_eq!(waits, json!({"order": ["late"]}));
        let mut function = Function::start(runtime, "index.handler", &[("index.js", code)]);
        assert_eq!(function.invoke("\"now\"").json(), json!({"order": []}));
    });
}

#[test]
fn only_what_the_callback_is_given_waits_for_the_event_loop() {
    each_major(0..=CALLBACKS_UP_TO, |runtime| {
        let timer = "let late = 'at once'; setTimeout(() => { late = 'late'; }, 50);";
        let said = |code: &str| {
            let code = format!("exports.handler = (e, c, callback) => {{ {timer} {code} }};");
            answer(runtime, &code).json()
        };
        let now = "{ toJSON: () => late }";
        assert_eq!(said(&format!("callback(null, {now});")), "late");
        assert_eq!(said(&format!("c.succeed({now});")), "at once");
        assert_eq!(said(&format!("c.done(null, {now});")), "at once");
        for failing in ["callback(error)", "c.fail(error)", "c.done(error)"] {
            let message = "Object.defineProperty(new Error(), 'message', { get: () => late })";
            assert_eq!(said(&format!("const error = {message}; {failing};"))["errorMessage"], "at once", "{failing}");
        }
        assert_eq!(said("c.fail();"), json!({"errorType": "string", "errorMessage": "handled", "trace": []}));
    });
}

#[test]
fn a_callback_that_was_called_answers_for_an_async_handler_too() {
    each_major(0..=CALLBACKS_UP_TO, |runtime| {
        let text = |code: &str| answer(runtime, code).text().to_owned();
        assert_eq!(text("exports.handler = async (e, c, callback) => { callback(null, 'called'); };"), "\"called\"");
        assert_eq!(text("exports.handler = async (e, c, callback) => { callback(null, 1); return 2; };"), "1");
        assert_eq!(text("exports.handler = (e, c, callback) => { callback(null, 1); c.fail('too late'); };"), "1");
    });
}

#[test]
fn an_error_nobody_catches_ends_the_process_after_its_report() {
    each(|runtime| {
        let code = "exports.handler = () => { setTimeout(() => { throw new Error('late'); }, 1); return new Promise(() => {}); };";
        let mut function = Function::start(runtime, "index.handler", &[("index.js", code)]);
        let message = function.invoke("{}");
        assert_eq!((message.kind(), &message.json()["errorMessage"]), ("error", &json!("late")));
        let (status, output) = function.ended();
        assert_eq!(status, Some(129));
        assert!(output.contains("\tERROR\tUncaught Exception \t{\"errorType\":\"Error\""), "{output}");

        let code = "exports.handler = () => { Promise.reject(new Error('lost')); return new Promise(() => setTimeout(() => {}, 1000)); };";
        let mut function = Function::start(runtime, "index.handler", &[("index.js", code)]);
        let error = function.invoke("{}").json();
        assert_eq!(error["errorType"], "Runtime.UnhandledPromiseRejection");
        assert_eq!(error["errorMessage"], "Error: lost");
        assert!(error.get("reason").is_none() && error.get("promise").is_none(), "{error}");
        let (status, output) = function.ended();
        assert_eq!(status, Some(128));
        let reason = "\"reason\":{\"errorType\":\"Error\",\"errorMessage\":\"lost\",\"stack\":[";
        assert!(output.contains(reason) && output.contains("\"promise\":{}"), "{output}");
    });
}

#[test]
fn leaves_exits_to_the_platform() {
    each(|runtime| {
        let mut function = Function::start(
            runtime,
            "index.handler",
            &[("index.js", "exports.handler = async () => process.exit(3);")],
        );
        function.deliver("{}", "");
        assert_eq!(function.ended().0, Some(3));
    });
}

#[test]
fn logs_with_time_id_and_level() {
    each(|runtime| {
        let code = "console.log('in init'); exports.handler = async () => {
            console.log('a %s', 'b', { c: 1 }); console.error('two\\nlines'); console.warn('w'); console.debug('d');
            require('child_process').execSync('echo child', { stdio: 'inherit' }); process.stdout.write('raw\\n');
        };";
        let mut function = Function::start(runtime, "index.handler", &[("index.js", code)]);
        assert_eq!(function.invoke("{}").text(), "null");
        let id = function.request_id.clone();
        let (out, _) = function.output();
        let lines: Vec<&str> = out.split_terminator('\n').collect();
        assert_eq!(lines.len(), 7, "{out}");
        assert!(lines[0].ends_with("Z\tundefined\tINFO\tin init"), "{out}");
        assert!(lines[1].ends_with(&format!("Z\t{id}\tINFO\ta b {{ c: 1 }}")), "{out}");
        assert!(lines[2].ends_with(&format!("\t{id}\tERROR\ttwo\rlines")), "{out}");
        assert!(lines[3].ends_with("\tWARN\tw") && lines[4].ends_with("\tDEBUG\td"), "{out}");
        assert_eq!(lines[5..], ["child", "raw"]);
    });
}

#[test]
fn log_lines_are_json_where_that_is_asked_for() {
    each(|runtime| {
        let code = "console.log('in init');
exports.handler = async () => {
  console.debug('below the level');
  console.log('two\\nlines %d', 7);
  console.info({ a: [1, { b: 2 }] });
  console.warn(new TypeError('alone'));
  console.error('with', new RangeError('others'));
  const circle = {}; circle.self = circle;
  console.log(circle);
  process.stdout.write('plain\\n');
  throw new Error('uncaught');
};";
        let variables = [("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "INFO")];
        let mut function = Function::start_with(runtime, "index.handler", &[("index.js", code)], &variables);
        assert_eq!(function.invoke("{}").kind(), "error");
        let id = function.request_id.clone();
        let (out, _) = function.output();
        assert!(out.contains("\nplain\n"), "{out}");
        let lines = out.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<serde_json::Value> = lines.collect();
        assert_eq!(lines.len(), 7, "{out}");
        let usual = |line: &serde_json::Value| serde_json::json!([line["level"], line["requestId"], line["message"]]);
        assert!(lines.iter().all(|line| line["timestamp"].as_str().unwrap().len() == 24), "{out}");
        assert_eq!(usual(&lines[0]), serde_json::json!(["INFO", null, "in init"]));
        assert_eq!(usual(&lines[1]), serde_json::json!(["INFO", id, "two\nlines 7"]));
        assert_eq!(usual(&lines[2]), serde_json::json!(["INFO", id, { "a": [1, { "b": 2 }] }]));
        let alone = &lines[3]["message"];
        assert_eq!(
            (&lines[3]["level"], &alone["errorType"], &alone["errorMessage"]),
            (&"WARN".into(), &"TypeError".into(), &"alone".into())
        );
        assert!(alone["stackTrace"][1].as_str().unwrap().contains("index.js"), "{alone}");
        assert!(lines[4]["message"].as_str().unwrap().starts_with("with RangeError: others"), "{}", lines[4]);
        assert_eq!((&lines[4]["errorType"], &lines[4]["errorMessage"]), (&"RangeError".into(), &"others".into()));
        assert!(lines[5]["message"].as_str().unwrap().contains("Circular"), "{}", lines[5]);
        let thrown = &lines[6]["message"];
        assert_eq!((&thrown["errorType"], &thrown["errorMessage"]), (&"Error".into(), &"uncaught".into()));
    });
}

#[test]
fn an_answer_that_is_no_json_is_an_error() {
    each(|runtime| {
        let error = answer(runtime, "exports.handler = async () => 1n;").json();
        assert_eq!(error["errorMessage"], "Unable to stringify response body");
        assert_eq!(answer(runtime, "exports.handler = async () => undefined;").text(), "null");
    });
}
