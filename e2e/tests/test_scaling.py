"""Which idle environments are kept, and what happens where memory is short."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import client_of, deployer
from support.clock import MANUAL, advance
from support.gates import Gates, held, waiting
from support.server import HANGS_S, wait_until

# An event is the path of a gate that is waited for.
WORKS = waiting("""
def handler(event, context):
    if event: passed(event)
    return "done"
""")


def ids(server, function):
    return [environment["Id"] for environment in server.environments(function)]


@pytest.fixture
def small(alone):
    """A server with room for 1,024 MB, whose clock is moved by hand."""
    server = alone("--memory-budget", "1024", *MANUAL)
    deploy, _ = deployer(client_of(server))
    return server, deploy


def test_idle_environments_are_kept_while_there_is_room(small):
    server, deploy = small
    function = deploy(WORKS, MemorySize=512)
    function.call()
    server.until_idle(function)
    advance(server, "10h")
    assert server.states(function) == ["Idle"]


def test_the_least_expected_goes_first_not_the_longest_idle(small):
    server, deploy = small
    often, seldom, other = (deploy(WORKS, MemorySize=512) for _ in range(3))
    for minute in range(31):
        advance(server, "1m")
        often.call()
        if minute % 10 == 0:
            seldom.call()
    server.until_idle(often)
    server.until_idle(seldom)
    # Both have just been called, `seldom` last; one has to go.
    other.call()
    assert (server.states(often), server.states(seldom)) == (["Idle"], [])


def test_a_time_that_is_set_is_kept(alone):
    server = alone("--keep-alive", "60", *MANUAL)
    deploy, _ = deployer(client_of(server))
    function = deploy(WORKS)
    function.call()
    server.until_idle(function)
    advance(server, "59s")
    assert server.states(function) == ["Idle"]
    advance(server, "2s")
    assert server.states(function) == []


def test_a_call_that_can_be_foreseen_finds_an_environment(alone):
    server = alone("--keep-alive", "60", *MANUAL)
    deploy, _ = deployer(client_of(server))
    function = deploy(WORKS)
    for _ in range(5):
        function.call()
        server.until_idle(function)
        advance(server, "5m")
        assert server.states(function) == []
        advance(server, "5m")
    # The clock went past the time at which the environment was due.
    wait_until(lambda: server.states(function) == ["Idle"], HANGS_S, "no environment was made ahead")
    [made] = ids(server, function)
    function.call()
    assert ids(server, function) == [made]


def test_a_histogram_of_minutes_decides_when_an_environment_is_there(alone):
    server = alone("--keep-alive", "histogram", *MANUAL)
    deploy, _ = deployer(client_of(server))
    function = deploy(WORKS)
    function.call()
    server.until_idle(function)
    # As long as little is known: four hours.
    advance(server, "239m")
    assert server.states(function) == ["Idle"]
    advance(server, "2m")
    assert server.states(function) == []
    # Five times half an hour: one is needed from nine tenths of 30 minutes to eleven tenths of 31.
    for _ in range(6):
        function.call()
        server.until_idle(function)
        advance(server, "30m")
    function.call()
    wait_until(lambda: server.states(function) == [], HANGS_S, "it stays although no call is expected")
    advance(server, "26m")
    assert server.states(function) == []
    advance(server, "1m")
    wait_until(lambda: server.states(function) == ["Idle"], HANGS_S, "no environment was made ahead")
    [made] = ids(server, function)
    advance(server, "7m")
    assert ids(server, function) == [made]
    advance(server, "1m")
    assert server.states(function) == []


def test_where_memory_is_short_invokes_wait_in_turn(alone):
    server = alone("--memory-budget", "512")
    deploy, _ = deployer(client_of(server))
    first, second, third = (deploy(WORKS, MemorySize=512) for _ in range(3))
    with ThreadPoolExecutor(2) as pool:
        with held(server, Gates(server)(), first):
            waits = [pool.submit(function.call) for function in (second, third)]
            # So that who would not wait is seen not to; too short a time hides it, and fails nothing.
            time.sleep(0.5)
        assert [one.result() for one in waits] == ["done"] * 2


def test_where_memory_stays_short_they_are_throttled(alone):
    server = alone("--memory-budget", "512")
    deploy, _ = deployer(client_of(server))
    busy, waits = (deploy(WORKS, MemorySize=512) for _ in range(2))
    with held(server, Gates(server)(), busy):
        with pytest.raises(waits.client.exceptions.TooManyRequestsException) as caught:
            waits.call()
        assert caught.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"
