//! How a handler's module is loaded shows nowhere: by `require` where Node.js can, else by `import`.

use serde_json::json;

use crate::node::{each, each_from, init_error};
use crate::process::Function;

/// Where `import` can be hooked from the command line.
const HOOKS_FROM: u32 = 20;

#[test]
fn modules_are_what_import_makes_of_them() {
    let same = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);
        export const own = {};
        export const handler = async () => [(await import('./index.mjs')).own === own,
            Object.keys(require.cache).some((name) => name.endsWith('.mjs')), process.emitWarning.name];";
    let later = "console.log('main'); import { late } from './late.mjs'; export const handler = async () => late;";
    let late =
        "console.log('late'); export const late = await new Promise((resolve) => setTimeout(resolve, 1, 'late'));";
    let named = "export const handler = async () => 'exported', other = { handler: async () => 'instead' };
        export { other as 'module.exports' };";
    let live = "export let handler = async () => { handler = async () => 'second'; return 'first'; };";
    let circle = "import answer from './circle.cjs'; export const handler = async () => answer;";
    let cjs =
        "try { module.exports = require('./index.mjs').handler; } catch (error) { module.exports = 'no way round'; }";
    each(|runtime| {
        let answer =
            |package: &[(&str, &str)], handler: &str| Function::start(runtime, handler, package).invoke("{}").json();
        assert_eq!(answer(&[("index.mjs", same)], "index.handler"), json!([true, false, "emitWarning"]));
        assert_eq!(answer(&[("index.mjs", later), ("late.mjs", late)], "index.handler"), "late");
        assert_eq!(answer(&[("index.mjs", named)], "index.handler"), "exported");
        assert_eq!(answer(&[("index.mjs", live)], "index.handler"), "first");
        assert_eq!(answer(&[("index.mjs", circle), ("circle.cjs", cjs)], "index.handler"), "no way round");
        let default = "export default { handler: async () => 'default' };";
        assert_eq!(answer(&[("index.mjs", default)], "index.default.handler"), "default");
    });
}

#[test]
fn nothing_but_the_module_writes_to_the_log() {
    each(|runtime| {
        let code = "process.emitWarning('careful'); export const handler = async () => 'ok';";
        let mut function = Function::start(runtime, "index.handler", &[("index.mjs", code)]);
        assert_eq!(function.invoke("{}").text(), "\"ok\"");
        let (out, _) = function.output();
        assert_eq!(out.matches("(node:").count(), 1, "{out}");
        assert!(out.contains(") Warning: careful"), "{out}");
    });
}

#[test]
fn what_keeps_a_module_from_loading_is_what_import_says() {
    each(|runtime| {
        let name = "import { nope } from './dep.cjs'; export const handler = async () => nope;";
        let error =
            init_error(runtime, "index.handler", &[("index.mjs", name), ("dep.cjs", "module.exports = { a: 1 };")]);
        assert_eq!(error["errorType"], "Runtime.UserCodeSyntaxError");
        let says = "SyntaxError: Named export 'nope' not found. The requested module './dep.cjs' is a CommonJS module";
        assert!(error["errorMessage"].as_str().unwrap().starts_with(says), "{error}");
        assert!(error["trace"].as_array().unwrap().contains(&json!("         ^^^^")), "{error}");
        let throws = "function deep() { throw new TypeError('broken'); }\ndeep();";
        let error = init_error(runtime, "index.handler", &[("index.mjs", throws)]);
        assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!("TypeError"), &json!("broken")));
        let trace: Vec<_> = error["trace"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert!(trace[1].contains("index.mjs:1:25") && trace[2].contains("index.mjs:2:1"), "{error}");
        assert!(!trace.iter().any(|line| line.contains("require")), "{error}");
        let waits = "await null; throw new RangeError('late');";
        let error = init_error(runtime, "index.handler", &[("index.mjs", waits)]);
        assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!("RangeError"), &json!("late")));
    });
}

#[test]
fn hooks_of_import_see_the_handlers_module() {
    let hook = "import { register } from 'node:module';
        register('data:text/javascript,' + encodeURIComponent(`export async function load(url, context, next) {
            const loaded = await next(url, context);
            return url.endsWith('/index.mjs') ? { ...loaded, source: \"export const handler = async () => 'hooked';\" } : loaded;
        }`));";
    each_from(HOOKS_FROM, |runtime| {
        let package = [("index.mjs", "export const handler = async () => 'plain';"), ("hook.mjs", hook)];
        let variables = [("NODE_OPTIONS", "--import=/var/task/hook.mjs")];
        let mut function = Function::start_with(runtime, "index.handler", &package, &variables);
        assert_eq!(function.invoke("{}").text(), "\"hooked\"");
    });
}
