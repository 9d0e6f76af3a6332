"""SnapStart for Python: published versions go on from a snapshot of their initialised process."""

import base64
import concurrent.futures
import json
import os
import re
import time

import pytest

from conftest import client_of, deployer, unique
from support.clients import service_at
from support.packages import boto, zip_of
from support.server import WORKERS

# The service has SnapStart from this one on; what runs here has to have it.
SNAP_START = "python3.12"
PATIENCE_S = 120


def published(client, deploy, code, **members):
    """A function with a version 1 that is not Pending any more, and what is shown of that."""
    function = deploy(code, Runtime=SNAP_START, SnapStart={"ApplyOn": "PublishedVersions"}, **members).name
    version = client.publish_version(FunctionName=function)
    assert (version["State"], version["StateReasonCode"]) == ("Pending", "Creating")
    return function, until_settled(client, function)


def until_settled(client, function, version="1"):
    end = time.monotonic() + PATIENCE_S
    while True:
        shown = client.get_function_configuration(FunctionName=function, Qualifier=version)
        if shown["State"] != "Pending":
            return shown
        assert time.monotonic() < end, shown
        time.sleep(0.02)


def call(client, function, payload=None, qualifier="1"):
    answer = client.invoke(FunctionName=function, Qualifier=qualifier, Payload=json.dumps(payload or {}), LogType="Tail")
    assert "FunctionError" not in answer, answer["Payload"].read()
    return json.loads(answer["Payload"].read()), base64.b64decode(answer["LogResult"]).decode()


HOOKS = """
import os, threading
from snapshot_restore_py import register_after_restore, register_before_snapshot
order = []
register_before_snapshot(order.append, "before 1")
register_before_snapshot(order.append, "before 2")
@register_after_restore
def after(): order.append("after 1")
register_after_restore(order.append, "after 2")
os.mkdir("/tmp/folder", 0o750)
kept = open("/tmp/folder/file", "w+")
kept.write("hello"); kept.flush()
def handler(event, context):
    kept.seek(0)
    return {"order": order, "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "file": kept.read(),
            "mode": oct(os.stat("/tmp/folder").st_mode), "keys": [n for n in os.environ if n.startswith("AWS_ACCESS")],
            "stream": os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")}
"""


def test_a_version_goes_on_from_its_snapshot(client, deploy):
    function, shown = published(client, deploy, HOOKS)
    assert (shown["State"], shown["SnapStart"]) == ("Active", {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"})
    answer, log = call(client, function)
    order = ["before 2", "before 1", "after 1", "after 2"]
    assert answer == {"order": order, "type": "snap-start", "file": "hello", "mode": "0o40750", "keys": [], "stream": None}
    report = re.search(r"Billed Duration: (\d+) ms.*\tRestore Duration: [\d.]+ ms\tBilled Restore Duration: (\d+) ms\t\n", log)
    assert report and int(report[1]) > int(report[2]) and "Init Duration" not in log
    assert "Restore" not in call(client, function)[1], "it is told once"
    # $LATEST starts as ever.
    answer, log = call(client, function, qualifier="$LATEST")
    assert (answer["type"], answer["order"]) == ("on-demand", []) and "Init Duration" in log
    lines = logged(client, function)
    assert any(line.startswith("RESTORE_START Runtime Version: python:3.12") for line in lines)
    assert any(re.fullmatch(r"RESTORE_REPORT Restore Duration: [\d.]+ ms", line) for line in lines)
    assert any(re.fullmatch(r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init\tStatus: success", line) for line in lines)


def logged(client, function):
    logs = service_at(client.meta.endpoint_url, "logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    return [event["message"].rstrip("\n") for event in events]


DRAWS = """
import os, random, ssl, uuid
try:
    import numpy.random as numbers
except ImportError:
    numbers = None
own = random.Random()
random.random(), ssl.RAND_bytes(8), uuid.uuid1(), uuid.uuid4()
def handler(event, context):
    if event.get("end"):
        os._exit(1)
    twin = random.Random()
    twin.setstate(own.getstate())
    return {"random": random.getrandbits(64), "ssl": ssl.RAND_bytes(16).hex(), "uuid4": str(uuid.uuid4()), "uuid1": str(uuid.uuid1()),
            "urandom": os.urandom(16).hex(), "numpy": [int(numbers.randint(1 << 62)) if numbers else random.getrandbits(64)][0],
            "name": __import__("tempfile").mktemp(), "own": twin.getrandbits(64)}
"""


def test_no_two_clones_draw_the_same(client, deploy):
    clones = int(os.environ.get("HEARTH_CLONES", "40"))
    function, _ = published(client, deploy, DRAWS)

    def one(_):
        answer, _ = call(client, function)
        client.invoke(FunctionName=function, Qualifier="1", Payload=b'{"end": true}')  # The next one is another clone.
        return answer

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(one, range(clones)))
    # What nobody draws anew is what each of them was written down with: this test would see it of the others.
    # Each worker process has a snapshot of its own.
    assert len({each.pop("own") for each in drawn}) <= max(1, WORKERS)
    for name in drawn[0]:
        assert len({each[name] for each in drawn}) == clones, name


def test_versions_and_functions_do_not_share(client, deploy):
    code = "import os\nmark = os.urandom(8).hex()\ndef handler(event, context): return mark"
    function, _ = published(client, deploy, code)
    other, _ = published(client, deploy, code)
    client.update_function_configuration(FunctionName=function, Description="another")
    client.get_waiter("function_updated_v2").wait(FunctionName=function)
    client.publish_version(FunctionName=function)
    until_settled(client, function, "2")
    marks = [call(client, function, qualifier="1")[0], call(client, function, qualifier="2")[0], call(client, other)[0]]
    assert len(set(marks)) == 3 and call(client, function)[0] == marks[0]


def test_an_init_that_fails_makes_the_version_fail(client, deploy):
    function, shown = published(client, deploy, "raise ValueError('not today')\ndef handler(event, context): pass")
    assert (shown["State"], shown["StateReasonCode"]) == ("Failed", "FunctionError.RuntimeInitError")
    assert "ValueError: not today" in shown["StateReason"]
    with pytest.raises(client.exceptions.ResourceConflictException, match="Failed"):
        client.invoke(FunctionName=function, Qualifier="1")
    code = "from snapshot_restore_py import register_before_snapshot as r\nr(lambda: 1 / 0)\ndef handler(event, context): pass"
    _, shown = published(client, deploy, code)
    assert shown["StateReason"].startswith("Runtime.BeforeSnapshotError: ZeroDivisionError"), shown


def test_a_hook_that_fails_after_the_restore_is_the_invokes_error(client, deploy):
    code = "from snapshot_restore_py import register_after_restore as r\nr(lambda: 1 / 0)\ndef handler(event, context): return 1"
    function, _ = published(client, deploy, code)
    with pytest.raises(client.exceptions.SnapStartException, match="ZeroDivisionError"):
        client.invoke(FunctionName=function, Qualifier="1")
    assert any("RESTORE_REPORT" in line and "Runtime.AfterRestoreError" in line for line in logged(client, function))


def test_a_restore_has_ten_seconds(client, deploy):
    code = "import time\nfrom snapshot_restore_py import register_after_restore as r\nr(lambda: time.sleep(60))\ndef handler(event, context): return 1"
    function, shown = published(client, deploy, code)
    assert shown["SnapStart"]["OptimizationStatus"] == "On"
    with pytest.raises(client.exceptions.SnapStartTimeoutException) as refused:
        client.invoke(FunctionName=function, Qualifier="1")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 408


def test_an_init_has_longer_than_a_usual_one(client, deploy):
    """Ten seconds are the limit of an init that an invoke waits for; nobody waits for this one."""
    function, shown = published(client, deploy, "import time\ntime.sleep(11)\ndef handler(event, context): return 'late'")
    assert (shown["State"], shown["SnapStart"]["OptimizationStatus"]) == ("Active", "On")
    answer, log = call(client, function)
    assert answer == "late" and "Restore Duration" in log


CALLS = """
import boto3
client = boto3.client("lambda")
def handler(event, context):
    frozen = client._get_credentials().get_frozen_credentials()
    return [client.get_function(FunctionName=context.function_name)["Configuration"]["FunctionName"], frozen.access_key]
"""


def test_a_client_that_was_made_before_the_snapshot_signs_as_its_clone(client, deploy):
    """Each clone's credentials are its own: what the snapshot was made with is of no use to any."""
    package = zip_of(boto(["lambda"]))
    layer = client.publish_layer_version(LayerName=unique("boto"), Content={"ZipFile": package})["LayerVersionArn"]
    function, shown = published(client, deploy, CALLS, Layers=[layer])
    assert shown["SnapStart"]["OptimizationStatus"] == "On"
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = [answer for answer, _ in pool.map(lambda _: call(client, function), range(6))]
    assert {name for name, _ in answers} == {function}
    assert all(key.startswith("ASIA") for _, key in answers)


def test_nothing_is_kept_ready_of_what_goes_on_from_a_snapshot(client, deploy):
    text = "Provisioned Concurrency is not supported for SnapStart enabled functions."
    function, _ = published(client, deploy, "def handler(event, context): return 1")
    client.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    for qualifier in ("1", "live"):
        with pytest.raises(client.exceptions.InvalidParameterValueException, match=text):
            client.put_provisioned_concurrency_config(FunctionName=function, Qualifier=qualifier, ProvisionedConcurrentExecutions=1)
    client.update_function_configuration(FunctionName=function, SnapStart={"ApplyOn": "None"})
    client.get_waiter("function_updated_v2").wait(FunctionName=function)
    client.publish_version(FunctionName=function)
    client.update_alias(FunctionName=function, Name="live", FunctionVersion="2")
    client.put_provisioned_concurrency_config(FunctionName=function, Qualifier="live", ProvisionedConcurrentExecutions=1)
    with pytest.raises(client.exceptions.InvalidParameterValueException, match=text):
        client.update_alias(FunctionName=function, Name="live", FunctionVersion="1")
    client.delete_provisioned_concurrency_config(FunctionName=function, Qualifier="live")


ASKS = """
import os, socket, time
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
asked = socket.create_connection((host, int(port)))
asked.sendall(b"GET /2018-06-01/runtime/restore/next HTTP/1.1\\r\\nHost: runtime\\r\\n\\r\\n")
"""


def test_versions_that_hang_keep_no_others_waiting(alone):
    """Each may take minutes to initialise; the others' turns come all the same."""
    client = client_of(alone())
    deploy, _ = deployer(client)
    for code in (ASKS + "time.sleep(1000)", "import time; time.sleep(1000)", "import time; time.sleep(1000)"):
        function = deploy(code, Runtime=SNAP_START, SnapStart={"ApplyOn": "PublishedVersions"})
        client.publish_version(FunctionName=function.name)
        function.update(Description="another")
        client.publish_version(FunctionName=function.name)
    _, shown = published(client, deploy, "def handler(event, context): return 1")
    assert (shown["State"], shown["SnapStart"]["OptimizationStatus"]) == ("Active", "On")


def test_who_asks_to_be_written_down_and_ends_has_failed_at_once(client, deploy):
    _, shown = published(client, deploy, ASKS + "os._exit(3)")
    assert shown["State"] == "Failed" or shown["SnapStart"]["OptimizationStatus"] == "Off", shown


def test_what_cannot_be_written_down_starts_as_usual(client, deploy):
    code = "import threading\nstop = threading.Event()\nthreading.Thread(target=stop.wait, daemon=True).start()\ndef handler(event, context): return 'fine'"
    function, shown = published(client, deploy, code)
    assert (shown["State"], shown["SnapStart"]["OptimizationStatus"]) == ("Active", "Off")
    answer, log = call(client, function)
    assert answer == "fine" and "Init Duration" in log
    assert any("No snapshot: 1 threads of the function run" in line for line in logged(client, function))


def test_a_version_is_not_ready_before_its_snapshot(client, deploy):
    function = deploy("import time\ntime.sleep(8)\ndef handler(event, context): return 1", Runtime=SNAP_START, SnapStart={"ApplyOn": "PublishedVersions"}).name
    client.publish_version(FunctionName=function)
    with pytest.raises(client.exceptions.SnapStartNotReadyException) as refused:
        client.invoke(FunctionName=function, Qualifier="1")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert until_settled(client, function)["SnapStart"]["OptimizationStatus"] == "On"
    assert call(client, function)[0] == 1


def test_what_a_snapshot_holds_counts_as_used(client, deploy):
    """All environments share its pages; yet a function is to be given the memory that it needs."""
    code = "import os\nheld = os.urandom(40 << 20)\ndef handler(event, context): return len(held)"
    function, _ = published(client, deploy, code)
    _, log = call(client, function)
    assert 40 < int(re.search(r"Max Memory Used: (\d+) MB", log)[1]) < 80, log


def test_deploy_tools_go_on_with_other_runtimes(client, deploy):
    name = unique()
    code = {"ZipFile": __import__("support.packages", fromlist=["zip_of"]).zip_of({"a.txt": "x"})}
    role = "arn:aws:iam::000000000000:role/r"
    client.create_function(FunctionName=name, Runtime="java21", Handler="a.B", Role=role, Code=code, SnapStart={"ApplyOn": "PublishedVersions"})
    try:
        client.get_waiter("function_active_v2").wait(FunctionName=name)
        version = client.publish_version(FunctionName=name)
        assert version["State"] == "Active"
        assert version["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    finally:
        client.delete_function(FunctionName=name)
