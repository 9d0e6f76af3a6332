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


@pytest.mark.parametrize("files, runtime", [({"app.py": PYTHON_LOOK}, PYTHON), ({"app.js": NODE_LOOK}, NODE)])
def test_a_function_cannot_tell(alone, files, runtime):
    def look(server, count):
        deploy, _ = deployer(client_of(server))
        args = {"Runtime": runtime, "Environment": {"Variables": {"MINE": "a=b", "NODE_ENV": "test"}}}
        functions = [deploy(files, **args) for _ in range(count)]
        answers = []
        for function in functions:
            answers.append(function.call())
            if count > 1:
                until_one_waits(server)
        return answers

    without, usual = alone("--ahead", "0"), alone("--ahead", "1")
    [fresh] = look(without, 1)
    [_, ahead] = look(usual, 2)
    assert started_ahead(without) == {"waiting": 0, "taken": 0, "wanted": 0}
    assert started_ahead(usual)["taken"] == 1
    for one, other in zip(fresh, ahead, strict=True):
        assert other == one


def test_variables_of_the_interpreter_have_their_effect(alone):
    # One more for the process that functions with such variables find.
    server = alone("--ahead", "2")
    deploy, _ = deployer(client_of(server))
    code = "import sys, time\ndef handler(e, c): return [time.tzname[0], sys.flags.optimize]"
    assert deploy(code).call() == ["UTC", 0]
    until_one_waits(server)
    variables = {"TZ": "Asia/Tokyo", "PYTHONOPTIMIZE": "1"}
    assert deploy(code, Environment={"Variables": variables}).call() == ["JST", 1]
    assert started_ahead(server)["taken"] == 0
    assert deploy(code).call() == ["UTC", 0]
    assert started_ahead(server)["taken"] == 1


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
