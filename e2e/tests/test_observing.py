"""What people see from the terminal: one invoke's time, all functions at work, what they cost, which memory is best."""

import base64
import json
import math
import os
import re
import signal
import subprocess
import xml.dom.minidom

import pytest

from conftest import client_of, deployer, deploys_on
from support.clock import MANUAL, advance
from support.gates import Gates, held, waiting
from support.keys import made
from support.metrics import Numbers
from support.server import HEARTH, running, wait_until
from support.terminal import Terminal

WORK = """
import time
def handler(event, context):
    if event.get('fail'):
        raise ValueError('no')
    if int(context.memory_limit_in_mb) > event.get('most', 10240):
        raise MemoryError('too much')
    end = time.process_time() + event.get('work', 0)
    while time.process_time() < end:
        pass
    time.sleep(event.get('sleep', 0))
    return {'memory': context.memory_limit_in_mb}
"""


@pytest.fixture(scope="module")
def own():
    with running() as server:
        yield server


deploy = deploys_on("own")


def hearth(server, *args, status=0, env=None):
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | (env or {})
    done = subprocess.run([HEARTH, *args, "--endpoint", server.url], capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == status, done
    return done


def used(server, function, month=None):
    """What `hearth cost` has of a function; none where it has nothing."""
    args = ["--month", month] if month else []
    answer = json.loads(hearth(server, "cost", "--json", *args).stdout)
    found = [of for of in answer["functions"] if of["function"] == function.name]
    return found[0] if found else None


def until_used(server, function, requests):
    """A run is counted when it is over, which may be after its answer."""
    wait_until(lambda: (used(server, function) or {"requests": 0})["requests"] >= requests, 60, "not metered")
    return used(server, function)


def test_an_invoke_shows_where_its_time_went(own, deploy):
    function = deploy(WORK)
    cold = hearth(own, "invoke", function.name, "--payload", '{"sleep": 0.05}', "--timing")
    assert json.loads(cold.stdout) == {"memory": "1769"}
    parts = {name: float(ms) for name, ms in re.findall(r"^  (\w+) +([\d.]+) ms", cold.stderr, re.M)}
    assert list(parts) == ["queue", "sandbox", "extensions", "runtime", "function", "invoke", "overhead", "client"]
    whole = float(re.match(r"cold start, ([\d.]+) ms\n", cold.stderr)[1])
    assert parts["invoke"] >= 50 and abs(sum(parts.values()) - whole) < 0.1, cold.stderr
    assert parts["sandbox"] > 0 and parts["runtime"] + parts["function"] > 0
    warm = hearth(own, "invoke", function.name, "--timing", "--log")
    assert "warm start" in warm.stderr and "sandbox" not in warm.stderr and "REPORT RequestId" in warm.stderr


def test_an_invoke_that_fails_says_so(own, deploy, tmp_path):
    function = deploy(WORK)
    (tmp_path / "event").write_text('{"fail": 1}')
    failed = hearth(own, "invoke", function.name, "--payload", f"@{tmp_path}/event", status=1)
    assert json.loads(failed.stdout)["errorType"] == "ValueError" and "Unhandled" in failed.stderr
    assert "not found" in hearth(own, "invoke", "nobody", status=1).stderr.lower()
    assert "Could not parse" in hearth(own, "invoke", function.name, "--payload", "{", status=1).stderr


def test_use_is_metered_as_reports_bill_it(own, deploy):
    function = deploy(WORK, MemorySize=512, EphemeralStorage={"Size": 1024})
    billed = 0
    for event in ({"sleep": 0.03}, {}, {"fail": 1}):
        answer = function.client.invoke(FunctionName=function.name, Payload=json.dumps(event), LogType="Tail")
        report = base64.b64decode(answer["LogResult"]).decode().splitlines()[-1]
        billed += int(re.search(r"Billed Duration: (\d+) ms", report)[1])
    function.client.invoke(FunctionName=function.name, InvocationType="DryRun")
    of = until_used(own, function, 3)
    assert of["requests"] == 3
    assert math.isclose(of["gbSeconds"], 0.5 * billed / 1000) and math.isclose(of["ephemeralGbSeconds"], 0.5 * billed / 1000)
    price = json.loads(hearth(own, "cost", "--prices").stdout)
    here = "arm64" if os.uname().machine == "aarch64" else "x86_64"
    cost = 3e-6 * price["requestsMillion"] + of["gbSeconds"] * price["gbSecond"][here] + of["ephemeralGbSeconds"] * price["ephemeralGbSecond"][here]
    assert math.isclose(of["total"], cost)
    numbers = Numbers(own)
    assert numbers.of("hearth_month_requests", function_name=function.name) == 3
    assert math.isclose(numbers.of("hearth_month_gb_seconds", function_name=function.name), of["gbSeconds"])
    assert math.isclose(numbers.of("hearth_month_cost", function_name=function.name), cost)
    table = hearth(own, "cost").stdout
    assert re.search(rf"^{function.name} +3 ", table, re.M) and re.search(r"^all +\d+ ", table, re.M), table
    function.delete()
    assert used(own, function)["requests"] == 3, "what was used stays used"


def test_what_was_used_is_there_after_a_crash(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(WORK)
    function.invoke({})
    until_used(server, function, 1)
    server.stop()
    server.start()
    assert used(server, function)["requests"] == 1, "after a stop, at once"
    function.client = client_of(server)
    function.invoke({})
    of = until_used(server, function, 2)
    # What is written every now and then outlives what gets no chance to write.
    wait_until(lambda: json.loads(hearth(server, "cost", "--json").stdout)["unwritten"] == 0, 60, "it is not written")
    server.kill()
    server.start()
    assert used(server, function) == of
    server.stop()


def test_each_month_has_its_own():
    with running(*MANUAL) as server:
        deploy, _ = deployer(client_of(server))
        function = deploy(WORK)
        function.invoke({})
        first = until_used(server, function, 1)
        month = json.loads(hearth(server, "cost", "--json").stdout)["month"]
        advance(server, "768h")
        assert used(server, function) is None
        function.invoke({})
        assert until_used(server, function, 1)["requests"] == 1
        wait_until(lambda: used(server, function, month) == first, 60, "the month before is not kept")
        assert "is no month" in hearth(server, "cost", "--month", "2026-13", status=1).stderr


def test_prices_are_those_of_a_file(alone, tmp_path):
    server = alone()
    prices = json.loads(hearth(server, "cost", "--prices").stdout)
    server.stop()
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(prices | {"currency": "CHF", "requestsMillion": 1_000_000.0}))
    server.args = [*server.args, "--prices", str(file)]
    server.start()
    deploy, _ = deployer(client_of(server))
    function = deploy(WORK)
    function.invoke({})
    assert 1 < until_used(server, function, 1)["total"] < 1.01
    assert " CHF\n" in hearth(server, "cost").stdout
    server.stop()
    file.write_text(json.dumps(prices | {"streamedGb": -1}))
    refused = server.launch()
    assert refused.wait(60) == 2 and "less than nothing" in server.log_text()
    refused.stdout.close()


def test_top_counts_what_runs(own, deploy):
    function = deploy(waiting("def handler(event, context):\n    event and passed(event)\n"))
    function.invoke({})
    own.until_idle(function)
    with held(own, Gates(own)(), function, 2):
        wait_until(lambda: Numbers(own).of("lambda_concurrent_executions", function_name=function.name) == 2, 60, "not under way")
        look = json.loads(hearth(own, "top", "--json", "--interval", "0.2").stdout)
        [row] = [row for row in look["functions"] if row["function"] == function.name]
        assert (row["inFlight"], row["environments"], row["idle"], row["memoryMb"]) == (2, 2, 0, 2 * 1769)
        states = [Numbers(own).of("hearth_environments", function_name=function.name, state=state) for state in ("init", "busy", "idle")]
        assert states == [1, 1, 0], "the second one is in its first invoke"
    wait_until(lambda: Numbers(own).of("hearth_cold_starts_total", function_name=function.name) == 2, 60, "not counted")


def test_top_is_a_plain_table_where_nobody_watches(own, deploy):
    function = deploy(WORK)
    function.invoke({})
    plain = hearth(own, "top", "--interval", "0.1").stdout
    assert "\x1b" not in plain and plain.count("FUNCTION") == 1 and function.name in plain
    assert hearth(own, "top", "--interval", "0.1", "--count", "3").stdout.count("FUNCTION") == 3


def test_top_draws_on_a_terminal_and_leaves_it_as_it_was(own, deploy):
    functions = [deploy(WORK) for _ in range(4)]
    for function in functions:
        function.invoke({})
    terminal = Terminal(HEARTH, "top", "--interval", "0.2", "--endpoint", own.url, rows=7)
    terminal.until(lambda text: text.count("FUNCTION") >= 3)
    assert terminal.interrupt() == 0
    assert terminal.text.startswith("\x1b[?1049h\x1b[?25l") and terminal.text.endswith("\x1b[?25h\x1b[?1049l")
    [frame, *_] = re.findall(r"\x1b\[H(.*?)\x1b\[J", terminal.text, re.S)
    assert len(frame.splitlines()) <= 6 and re.search(r"\(\d+ more\)", frame), frame


def test_tuning_shows_what_each_memory_does_and_changes_nothing(own, deploy, tmp_path):
    function = deploy(WORK, MemorySize=256)
    configuration = lambda: {**function.client.get_function_configuration(FunctionName=function.name), "ResponseMetadata": None}
    before = configuration()
    svg = tmp_path / "tune.svg"
    args = ["--payload", '{"work": 0.02, "most": 2000}', "--memory", "1769,2048,128", "--runs", "3", "--svg", str(svg)]
    tuned = json.loads(hearth(own, "tune", function.name, *args, "--json").stdout)
    low, high = tuned["settings"]
    assert (low["memoryMb"], high["memoryMb"], low["runs"]) == (128, 1769, 3) and low["initMs"] > 0
    # 7 ms of each 100 are given to a function of 128 MB, however little others need.
    assert low["leastMs"] >= 100 and high["leastMs"] >= 20 and low["cores"] < 0.08 and high["cores"] == 1, tuned
    assert tuned["best"]["fastest"] == min(tuned["settings"], key=lambda of: of["meanMs"])["memoryMb"]
    assert tuned["best"]["cheapest"] == min(tuned["settings"], key=lambda of: of["cost"])["memoryMb"]
    price = json.loads(hearth(own, "cost", "--prices").stdout)["gbSecond"]["arm64" if os.uname().machine == "aarch64" else "x86_64"]
    assert all(math.isclose(of["cost"], 2e-7 + of["memoryMb"] / 1024 * math.ceil(of["meanMs"]) / 1000 * price) for of in tuned["settings"])
    [[memory, why]] = tuned["failed"]
    assert memory == 2048 and "too much" in why
    picture = xml.dom.minidom.parse(str(svg))
    assert len(picture.getElementsByTagName("circle")) == 4
    assert configuration() == before
    assert function.call({}) == {"memory": "256"}
    assert [version["Version"] for version in function.client.list_versions_by_function(FunctionName=function.name)["Versions"]] == ["$LATEST"]
    table = hearth(own, "tune", function.name, "--memory", "512", "--runs", "1").stdout
    assert re.search(r"^ *512 .* cheapest, fastest, balanced$", table, re.M), table


def test_tuning_finds_what_a_name_or_an_arn_stands_for(own, deploy):
    function = deploy(WORK)
    client, name = function.client, function.name
    version = client.publish_version(FunctionName=name)["Version"]
    client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    function.update(code="def handler(event, context):\n    raise Exception('not this one')\n")
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    for of in ([f"{name}:live"], [f"{name}:{version}"], [f"{arn}:live"], [arn, "--qualifier", "live"], [f"{name}:live", "--qualifier", "live"]):
        hearth(own, "tune", *of, "--memory", "256", "--runs", "1")
    assert "not this one" in hearth(own, "tune", arn, "--memory", "256", "--runs", "1", status=1).stdout
    assert "not match" in hearth(own, "tune", f"{name}:live", "--qualifier", version, status=1).stderr
    assert "not reachable" in hearth(own, "tune", arn.replace("us-east-1", "eu-west-1"), status=1).stderr


def test_tuning_that_is_broken_off_leaves_nothing(own, deploy):
    function = deploy(WORK, MemorySize=256)
    command = [HEARTH, "tune", function.name, "--memory", "640", "--payload", '{"sleep": 0.2}', "--runs", "1000", "--endpoint", own.url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (Numbers(own).of("lambda_invocations_total", function_name=function.name) or 0) > 1, 60, "it does not run")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    gone = lambda: not sum(Numbers(own).of("hearth_environments", function_name=function.name, state=state) or 0 for state in ("init", "busy", "idle"))
    wait_until(gone, 60, "its environment stays")
    runs = Numbers(own).of("lambda_invocations_total", function_name=function.name)
    assert function.call({}) == {"memory": "256"}
    wait_until(lambda: Numbers(own).of("lambda_invocations_total", function_name=function.name) == runs + 1, 60, "it goes on")


def test_what_cannot_be_tuned_is_said(own, deploy):
    function = deploy(WORK)
    assert "not 64" in hearth(own, "tune", function.name, "--memory", "64", status=1).stderr
    assert "not found" in hearth(own, "tune", "nobody", status=1).stderr.lower()
    assert "no JSON" in hearth(own, "tune", function.name, "--payload", "{", status=1).stderr
    assert "none of these" in hearth(own, "tune", function.name, "--payload", '{"fail": 1}', "--memory", "128", status=1).stderr
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    assert "(ReservedFunctionConcurrentInvocationLimitExceeded)" in hearth(own, "tune", function.name, "--memory", "128", status=1).stdout


def test_who_must_sign_needs_a_permission(alone):
    server = alone("--auth", "required")
    for command in (["cost"], ["top"], ["tune", "f"], ["invoke", "f"]):
        hearth(server, *command, status=1)
    key = made(server)
    env = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    hearth(server, "cost", env=env)
    hearth(server, "top", "--interval", "0.1", env=env)
