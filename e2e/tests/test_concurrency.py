"""Many invokes at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from conftest import client_of, deployer
from support.errors import refusal
from support.gates import Gates, held, waiting
from support.metrics import Numbers
from support.packages import zip_of
from support.server import HANGS_S, wait_until

# Who it is; an event is the path of a gate that is waited for.
WHO = waiting("""
import uuid
ME = str(uuid.uuid4())
busy = False
def handler(event, context):
    global busy
    assert not busy
    busy = True
    if event: passed(event)
    busy = False
    return ME
""")


def test_concurrent_invokes_get_an_environment_each(server, gate, deploy):
    function = deploy(WHO, MemorySize=256)
    with held(server, gate(), function, 6) as running:
        pass
    answers = [future.result() for future in running]
    assert len(set(answers)) == 6
    # Idle ones are used again before a new one is made.
    assert function.call() in answers


def test_the_last_used_environment_is_used_first(server, gate, deploy):
    function = deploy(WHO, MemorySize=256)
    with held(server, gate(), function, 3):
        pass
    server.until_idle(function)
    last = function.call()
    for _ in range(4):
        server.until_idle(function)
        assert function.call() == last


def test_beyond_the_accounts_limit_invokes_are_throttled(alone):
    server = alone("--concurrency", "2")
    deploy, _ = deployer(client_of(server))
    function = deploy(WHO)
    with held(server, Gates(server)(), function, 2):
        error = throttle(function)
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert error["Error"]["Code"] == "TooManyRequestsException"
        assert error["Error"]["Message"] == "Rate Exceeded."
        assert error["Reason"] == "ConcurrentInvocationLimitExceeded"
    assert function.call()


def test_reserved_concurrency_is_a_limit_and_a_guarantee(alone):
    server = alone("--concurrency", "4", "--unreserved-concurrency-min", "1")
    client = client_of(server)
    deploy, _ = deployer(client)
    reserved, other = deploy(WHO), deploy(WHO)
    client.put_function_concurrency(FunctionName=reserved.name, ReservedConcurrentExecutions=2)
    gates = Gates(server)
    with held(server, gates(), reserved, 2):
        error = throttle(reserved)
        assert (error["Error"]["Code"], error["Error"]["Message"]) == ("TooManyRequestsException", "Rate Exceeded.")
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert error["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        # What is reserved and in use leaves the others the rest, and no more.
        with held(server, gates(), other, 2):
            assert throttle(other)["Reason"] == "ConcurrentInvocationLimitExceeded"
    client.put_function_concurrency(FunctionName=reserved.name, ReservedConcurrentExecutions=0)
    assert throttle(reserved)["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    client.delete_function_concurrency(FunctionName=reserved.name)
    assert reserved.call()


def test_clients_requests_have_a_rate_by_their_concurrency(alone):
    server = alone("--concurrency", "20", "--unreserved-concurrency-min", "1", "--request-rate", "1")
    client = client_of(server)
    deploy, _ = deployer(client)
    free, reserving = deploy(WHO), deploy(WHO)
    client.put_function_concurrency(FunctionName=reserving.name, ReservedConcurrentExecutions=1)

    def reason(function):
        """Of the first that is refused: 20 a second, or 1, are sent fast enough on any machine that runs this."""
        with ThreadPoolExecutor(8) as pool:
            while True:
                for refusal in pool.map(lambda _: refused(function), range(40)):
                    if refusal:
                        return refusal

    assert reason(free) == "FunctionInvocationRateLimitExceeded"
    with pytest.raises(ClientError) as caught:
        while True:
            reserving.call()
    assert caught.value.response["Reason"] == "ReservedFunctionInvocationRateLimitExceeded"


def refused(function):
    try:
        function.call()
    except ClientError as error:
        return error.response["Reason"]
    return None


def test_environments_come_no_faster_than_the_profile_lets_them(alone):
    server = alone("--scaling", "per-function:1")
    deploy, _ = deployer(client_of(server))
    function, other = deploy(WHO), deploy(WHO)
    with held(server, Gates(server)(), function, 1) as [running]:
        assert throttle(function)["Reason"] == "ConcurrentInvocationLimitExceeded"
        there = other.call()
    assert function.call() == running.result() != there, "who is idle takes the next at once"


def throttle(function):
    """The error of an invoke that must be throttled."""
    with pytest.raises(ClientError) as caught:
        function.invoke(0)
    return caught.value.response


def test_idle_environments_are_reaped(alone):
    server = alone("--keep-alive", "1")
    deploy, _ = deployer(client_of(server))
    function = deploy(WHO)
    first = function.call()
    wait_until(lambda: server.states(function) == [], HANGS_S, "the idle environment stayed")
    assert function.call() != first


def test_memory_is_budgeted(alone):
    server = alone("--memory-budget", "1024")
    deploy, _ = deployer(client_of(server))
    function = deploy(WHO, MemorySize=512)
    with held(server, Gates(server)(), function, 2):
        error = throttle(function)
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 429, error
    large = deploy(WHO, MemorySize=2048)
    code, text = refusal(large.invoke)
    assert code == "InvalidParameterValueException" and "2048 MB" in text and "1024 MB" in text, text
    # Each client that was told of a throttle is counted, and nobody else.
    throttles = lambda of: Numbers(server).of("lambda_throttles_total", function_name=of.name)
    assert (throttles(function), throttles(large)) == (1, 0)


def test_old_environments_go_and_none_is_cut(alone):
    server = alone("--environment-max-age", "1")
    deploy, _ = deployer(client_of(server))
    function = deploy("import time, uuid\nME = str(uuid.uuid4())\ndef handler(event, context):\n    time.sleep(event or 0)\n    return ME\n")
    # It lives longer than it may, for its invoke does.
    first = function.call(2)
    wait_until(lambda: server.states(function) == [], HANGS_S, "the old environment stayed")
    assert function.call() != first


def test_idle_environments_make_room_for_others(alone):
    client = client_of(alone("--memory-budget", "1024"))
    deploy, _ = deployer(client)
    functions = [deploy(WHO, MemorySize=1024) for _ in range(3)]
    for function in functions * 2:
        assert function.call()


@pytest.mark.parametrize("kind", ["code", "configuration"])
def test_updates_under_load_fail_no_invoke(deploy, client, kind):
    code = "import os\nN = {n}\ndef handler(event, context):\n    return int(os.environ.get('NUMBER', N))\n"
    function = deploy(code.format(n=0), MemorySize=512)
    stop, failures, newest = threading.Event(), [], [0]
    answers = []

    def load():
        while not stop.is_set():
            floor = newest[0]
            try:
                seen = function.call()
            except Exception as error:
                failures.append(repr(error))
                return
            answers.append(seen)
            if seen < floor:
                failures.append(f"{seen} after {floor} was in effect")

    threads = [threading.Thread(target=load) for _ in range(4)]
    [thread.start() for thread in threads]
    try:
        for n in range(1, 6):
            if kind == "code":
                client.update_function_code(FunctionName=function.name, ZipFile=zip_of({"app.py": code.format(n=n)}))
            else:
                client.update_function_configuration(FunctionName=function.name, Environment={"Variables": {"NUMBER": str(n)}})
            function.ready()
            newest[0] = n
    finally:
        stop.set()
        [thread.join() for thread in threads]
    assert not failures, failures[:3]
    assert answers and function.call() == 5


def test_the_second_update_waits_for_the_first(deploy, client):
    function = deploy(WHO)
    big = {**WHO, **{f"d/{n}.txt": "x" * 1000 for n in range(2000)}}
    client.update_function_code(FunctionName=function.name, ZipFile=zip_of(big))
    try:
        client.update_function_configuration(FunctionName=function.name, Timeout=5)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceConflictException"
        arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
        assert error.response["Error"]["Message"] == f"The operation cannot be performed at this time. An update is in progress for resource: {arn}"
    function.ready()
    function.update(Timeout=6)


def test_one_of_many_creates_wins(client):
    from conftest import PYTHON, ROLE, unique

    name, package = unique("race"), zip_of(WHO)

    def create(_):
        try:
            client.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=ROLE, Code={"ZipFile": package})
            return "made"
        except ClientError as error:
            return error.response["Error"]["Code"]

    try:
        with ThreadPoolExecutor(12) as pool:
            assert sorted(pool.map(create, range(24))) == ["ResourceConflictException"] * 23 + ["made"]
    finally:
        client.delete_function(FunctionName=name)


def test_a_deleted_function_runs_no_more_and_a_new_one_is_new(deploy, client):
    function = deploy("def handler(event, context):\n    return 'old'\n")
    assert function.call() == "old"
    function.delete()
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        function.invoke()
    again = deploy("def handler(event, context):\n    return 'new'\n", FunctionName=function.name)
    assert [again.call() for _ in range(3)] == ["new"] * 3


def test_a_delete_lets_running_invokes_finish(server, gate, deploy):
    function = deploy(WHO)
    before = [function.call()]
    with held(server, gate(), function, 1) as [running]:
        function.delete()
    assert running.result() in before
