//! Layers as functions use them: search paths, programs, wrappers, a bootstrap.

use std::sync::Arc;

use hearth_runtimes::Kind;

use crate::harness::Machine;
use crate::tests;

tests![
    python_finds_modules_of_layers,
    node_finds_modules_of_layers,
    programs_of_layers_are_on_the_path,
    a_bootstrap_may_come_from_a_layer,
    a_wrapper_starts_the_runtime,
    a_wrapper_that_is_not_there_is_an_exit,
];

async fn python_finds_modules_of_layers(machine: Arc<Machine>) {
    let function = machine.python(
        "import sys, common, only, packed\ndef handler(e, c):\n  return [common.NAME, only.NAME, packed.NAME, sys.path[:3]]",
    );
    let version = function.spec.runtime.trim_start_matches("python").to_owned();
    let packages = format!("python/lib/python{version}/site-packages/packed.py");
    let first = machine.package(&[("python/common.py", "NAME = 'first'"), ("python/only.py", "NAME = 'only first'")]);
    let second = machine.package(&[("python/common.py", "NAME = 'second'"), (&packages, "NAME = 'packed'")]);
    let mut function = function.with(|spec| spec.layers = vec![first, second]);
    let answer = function.answer("{}").await;
    let path = ["/var/task".to_owned(), format!("/opt/python/lib/python{version}/site-packages"), "/opt/python".into()];
    assert_eq!(answer, serde_json::json!(["second", "only first", "packed", path]));
    let own = &[("app.py", "import common\ndef handler(e, c): return common.NAME"), ("common.py", "NAME = 'own'")];
    let mut function =
        machine.function(&function.spec.runtime, "app.handler", own).with(|spec| spec.layers = vec![first, second]);
    assert_eq!(function.answer("{}").await, "own", "the function's own modules come first");
}

async fn node_finds_modules_of_layers(machine: Arc<Machine>) {
    let runtime = machine.newest(|kind| matches!(kind, Kind::Node { .. }));
    let major = runtime.trim_start_matches("nodejs").trim_end_matches(".x").to_owned();
    let code = "const of = (name) => require(name).name; exports.handler = async () => [of('common'), of('only')];";
    let of_major = format!("nodejs/node{major}/node_modules/common.js");
    let layers = vec![
        machine.package(&[
            ("nodejs/node_modules/common.js", "exports.name = 'any'"),
            ("nodejs/node_modules/only/index.js", "exports.name = 'only'"),
        ]),
        machine.package(&[(&of_major, "exports.name = 'of this major version'")]),
    ];
    let function = machine.function(&runtime, "index.handler", &[("index.js", code)]);
    let mut function = function.with(|spec| spec.layers = layers);
    assert_eq!(function.answer("{}").await, serde_json::json!(["of this major version", "only"]));
}

async fn programs_of_layers_are_on_the_path(machine: Arc<Machine>) {
    let code = "import subprocess\ndef handler(e, c): return subprocess.run(['tool', 'x'], capture_output=True, text=True).stdout";
    let layer = machine.package(&[("bin/tool", "#!/bin/sh\necho \"tool $1\"\n")]);
    let mut function = machine.python(code).with(|spec| spec.layers = vec![layer]);
    assert_eq!(function.answer("{}").await, "tool x\n");
}

pub(crate) const SHELL_BOOTSTRAP: &str = "#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while :; do
  id=$(curl -s -D - -o /tmp/event $api/next | tr -d '\\r' | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  curl -s -o /dev/null -d \"\\\"$(cat /tmp/event) by $0\\\"\" $api/$id/response
done
";

async fn a_bootstrap_may_come_from_a_layer(machine: Arc<Machine>) {
    let layer = machine.package(&[("bootstrap", SHELL_BOOTSTRAP)]);
    let function = machine.function("provided.al2023", "any", &[("data", "x")]);
    let mut function = function.with(|spec| spec.layers = vec![layer]);
    assert_eq!(function.answer("1").await, "1 by /opt/bootstrap");
    let function = machine.function("provided.al2023", "any", &[("bootstrap", SHELL_BOOTSTRAP)]);
    let mut function = function.with(|spec| spec.layers = vec![layer]);
    assert_eq!(function.answer("2").await, "2 by /var/task/bootstrap", "the function's own comes first");
}

async fn a_wrapper_starts_the_runtime(machine: Arc<Machine>) {
    let layer = machine.package(&[("wrap", "#!/bin/bash\nexport WRAPPED=\"$#\"\nexec \"$@\"\n")]);
    let wrapped = |spec: &mut hearth_types::invoke::VersionSpec| {
        spec.layers = vec![layer];
        spec.variables.push(("AWS_LAMBDA_EXEC_WRAPPER".into(), "/opt/wrap".into()));
    };
    let mut python = machine.python("import os\ndef handler(e, c): return os.environ.get('WRAPPED')").with(wrapped);
    assert_ne!(python.answer("{}").await, serde_json::Value::Null);
    let mut node = machine.node("export const handler = async () => process.env.WRAPPED ?? null;").with(wrapped);
    assert_ne!(node.answer("{}").await, serde_json::Value::Null);
}

async fn a_wrapper_that_is_not_there_is_an_exit(machine: Arc<Machine>) {
    for (wrapper, status) in [("/opt/no-such-wrapper", 127), ("/var/task/app.py", 126)] {
        let mut function = machine
            .python("def handler(e, c): pass")
            .with(|spec| spec.variables.push(("AWS_LAMBDA_EXEC_WRAPPER".into(), wrapper.into())));
        let text = format!("RequestId: ID Error: Runtime exited with error: exit status {status}");
        assert_eq!(function.error("{}").await, ("Runtime.ExitError".to_owned(), text));
        assert!(function.log().contains(&format!("{wrapper}: ")), "the log says which: {}", function.log());
    }
}
