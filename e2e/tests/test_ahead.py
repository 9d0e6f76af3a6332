"""Runtimes that are started ahead: nobody can tell, but by the time a cold start takes."""

import json
import subprocess
import time
import urllib.request

import pytest

from support.server import HEARTH
from conftest import PYTHON, client_of, deployer

NODE = "nodejs20.x"

PYTHON_LOOK = """
import os, subprocess, sys, time
modules = sorted(sys.modules)
def handler(event, context):
    words = [
        sorted(os.environ.items()), subprocess.run(["env"], capture_output=True, text=True).stdout.splitlines(),
        open("/proc/self/environ").read().rstrip(chr(0)).split(chr(0)), sys.argv, open("/proc/self/cmdline").read(),
        str(sys.flags), sys.path, modules, os.getcwd(), sorted(os.listdir(".")), os.umask(0o22), time.tzname,
        {fd: os.path.exists("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd")},
        open("/proc/self/limits").read(), sorted(line.split()[4] for line in open("/proc/self/mountinfo")),
    ]
    import json
    text = json.dumps(words)
    own = ["_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
    for value in [context.log_stream_name, context.function_name, *map(os.environ.get, own)]:
        text = text.replace(value, "-")
    return json.loads(text)
"""

NODE_LOOK = """
const fs = require('fs'), { execFileSync } = require('child_process');
const read = (file) => fs.readFileSync(file, 'utf8');
exports.handler = async (event, context) => {
  const words = [
    Object.entries(process.env), execFileSync('env', { encoding: 'utf8' }), read('/proc/self/environ').replace(/\\0+$/, ''),
    process.argv, process.execArgv, read('/proc/self/cmdline'), module.paths, require('module').globalPaths,
    process.cwd(), fs.readdirSync('.'), process.umask(), fs.readdirSync('/proc/self/fd').length, read('/proc/self/limits'),
    require('v8').getHeapStatistics().heap_size_limit, Intl.DateTimeFormat().resolvedOptions(),
  ];
  let text = JSON.stringify(words);
  const own = ['_X_AMZN_TRACE_ID', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];
  for (const value of [context.logStreamName, context.functionName, ...own.map((name) => process.env[name])]) {
    text = text.replaceAll(value, '-');
  }
  return JSON.parse(text);
};
"""


def started_ahead(server):
    with urllib.request.urlopen(server.url + "/_hearth/health") as answer:
        return json.load(answer)["startedAhead"]


def until_one_waits(server):
    until_so_many_wait(server, 1)


def until_so_many_wait(server, count):
    end = time.monotonic() + 60
    while started_ahead(server)["waiting"] < count:
        assert time.monotonic() < end, "none is started ahead"
        time.sleep(0.01)


def found(server, function):
    """What the starts of its environments found."""
    return [environment["InitPhases"]["Found"] for environment in server.environments(function)]


@pytest.mark.parametrize("files, runtime", [({"app.py": PYTHON_LOOK}, PYTHON), ({"app.js": NODE_LOOK}, NODE)])
def test_a_function_cannot_tell(alone, files, runtime):
    def look(server, prepare):
        deploy, _ = deployer(client_of(server))
        args = {"Runtime": runtime, "Environment": {"Variables": {"MINE": "a=b", "NODE_ENV": "test"}}}
        function = deploy(files, **args)
        prepare(server)
        return function.call()

    without, usual = alone("--ahead", "0"), alone("--ahead", "1")
    fresh = look(without, lambda server: None)
    ahead = look(usual, until_one_waits)
    assert started_ahead(without) == {"waiting": 0, "taken": 0, "wanted": 0}
    assert started_ahead(usual)["taken"] == 1
    for one, other in zip(fresh, ahead, strict=True):
        assert other == one


PYTHON_REST = """
import sys
loaded = [name for name in sys.modules if "empty" in name]
folders = [folder for folder in sys.path_importer_cache if folder.startswith("/var/runtime")]
def handler(event, context):
    return [loaded, folders, len(open("/proc/self/net/tcp").readlines())]
"""

NODE_REST = """
const fs = require('fs'), { writeSync, readFileSync } = fs, said = [];
fs.writeSync = (_, bytes) => { said.push(String(bytes).split('\\t').slice(1)); return bytes.length; };
console.log('begins');
fs.writeSync = writeSync;
exports.handler = async () => [said, typeof globalThis.awslambda, process.getActiveResourcesInfo().filter((name) => !name.startsWith('TTY')),
  Object.keys(require.cache).filter((name) => name.includes('empty')), readFileSync('/proc/self/net/tcp', 'utf8').trim().split('\\n').length];
"""


@pytest.mark.parametrize("files, runtime", [({"app.py": PYTHON_REST}, PYTHON), ({"app.js": NODE_REST}, NODE)])
def test_what_is_played_before_a_function_is_there_leaves_nothing(alone, files, runtime):
    def look(server, *awaited):
        function = deployer(client_of(server))[0](files, Runtime=runtime, Environment={"Variables": variables})
        [until(server) for until in awaited]
        return function.call()

    variables = {"AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA": "1"}
    without, usual = alone("--ahead", "0"), alone("--ahead", "1")
    fresh = look(without)
    assert look(usual, until_one_waits) == fresh
    assert started_ahead(usual)["taken"] == 1
    if runtime == NODE:
        assert fresh[:2] == [[["undefined", "INFO", "begins\n"]], "undefined"]


def test_variables_of_the_interpreter_have_their_effect(alone):
    # One more for the process that functions with such variables find.
    server = alone("--ahead", "2")
    deploy, _ = deployer(client_of(server))
    code = "import sys, time\ndef handler(e, c): return [time.tzname[0], sys.flags.optimize]"
    plain = deploy(code)
    until_one_waits(server)
    own = deploy(code, Environment={"Variables": {"TZ": "Asia/Tokyo", "PYTHONOPTIMIZE": "1"}})
    until_so_many_wait(server, 2)
    assert (own.call(), found(server, own)) == (["JST", 1], ["process"])
    assert (plain.call(), found(server, plain)) == (["UTC", 0], ["runtime"])


ECHO = {"app.py": "def handler(event, context): return 'here'", "app.js": "exports.handler = async () => 'here'"}


@pytest.mark.parametrize("runtime", [PYTHON, NODE])
def test_the_first_call_finds_a_runtime_that_waits(alone, runtime):
    server = alone()
    assert started_ahead(server) == {"waiting": 0, "taken": 0, "wanted": 0}
    deploy, _ = deployer(client_of(server))
    function = deploy(ECHO, Runtime=runtime)
    until_one_waits(server)
    assert (function.call(), found(server, function)) == ("here", ["runtime"])


def test_what_can_have_no_runtime_waiting_finds_a_process(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    script = "#!/bin/sh\nexit 1\n"
    function = deploy({"bootstrap": (script.encode(), 0o755)}, Runtime="provided.al2023")
    until_one_waits(server)
    function.error()
    assert started_ahead(server)["taken"] == 1


def test_an_update_has_a_runtime_of_the_new_kind_wait(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(ECHO, Runtime=NODE, MemorySize=128)
    function.call()
    until_one_waits(server)
    # Its heap has another size: what waits is of no use to it any more.
    function.update(MemorySize=256)
    until_so_many_wait(server, 2)
    function.call()
    assert found(server, function)[-1] == "runtime"


def test_a_start_of_the_server_foresees_nothing_that_was_not_called(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    deploy(ECHO)
    until_one_waits(server)
    server.stop()
    server.start()
    deploy, _ = deployer(client_of(server))
    deploy(ECHO, Runtime=NODE)
    until_one_waits(server)
    assert started_ahead(server)["wanted"] == 1


def test_where_none_is_started_ahead_a_deployment_starts_none(alone):
    server = alone("--ahead", "0")
    deploy, _ = deployer(client_of(server))
    function = deploy(ECHO)
    assert (function.call(), found(server, function)) == ("here", ["nothing"])
    assert started_ahead(server) == {"waiting": 0, "taken": 0, "wanted": 0}


def test_one_waits_on_the_worker_where_the_first_start_will_be(house):
    server, _, _, deploy = house(2)
    functions = [deploy(ECHO) for _ in range(2)]
    until_so_many_wait(server, 2)
    for function in functions:
        assert (function.call(), found(server, function)) == ("here", ["runtime"])


def test_a_stock_waits_before_anything_was_wanted_and_is_filled_up_again(alone):
    server = alone("--ahead", "0", "--stock", f"{PYTHON}=3", "--stock", f"{NODE}:256=1", "--stock", "provided.al2023=1")
    until_so_many_wait(server, 5)
    assert started_ahead(server) == {"waiting": 5, "taken": 0, "wanted": 5}
    deploy, _ = deployer(client_of(server))
    code = "def handler(event, context): return 'here'"
    assert [deploy(code).call() for _ in range(2)] == ["here", "here"]
    script = {"app.js": "exports.handler = async () => 'here'"}
    small, fits = ({"Runtime": NODE, "MemorySize": memory} for memory in (128, 256))
    assert deploy(script, **small).call() == "here"
    assert started_ahead(server)["taken"] == 2
    assert deploy(script, **fits).call() == "here"
    assert started_ahead(server)["taken"] == 3
    until_so_many_wait(server, 5)


@pytest.mark.parametrize("stock, why", [("cobol1=1", "cobol1"), (f"{PYTHON}=many", "0 to 2048"), (f"{NODE}:7=1", "128 to 10240")])
def test_a_stock_that_cannot_be_is_refused(tmp_path, stock, why):
    words = [HEARTH, "serve", "--listen", "127.0.0.1:0", "--data-dir", tmp_path / "data", "--stock", stock]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode != 0
    assert why in ended.stderr
