"""Which idle environments are kept, and what happens where memory is short."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import client_of, deployer
from support.clock import MANUAL, advance
from support.server import wait_until

SLEEPS = """
import time
def handler(event, context):
    time.sleep(event if event else 0)
    return "done"
"""


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
    function = deploy(SLEEPS, MemorySize=512)
    function.call()
    advance(server, "10h")
    assert server.states(function) == ["Idle"]


def test_the_least_expected_goes_first_not_the_longest_idle(small):
    server, deploy = small
    often, seldom, other = (deploy(SLEEPS, MemorySize=512) for _ in range(3))
    for minute in range(31):
        advance(server, "1m")
        often.call()
        if minute % 10 == 0:
            seldom.call()
    # Both have just been called, `seldom` last; one has to go.
    other.call()
    assert (server.states(often), server.states(seldom)) == (["Idle"], [])


def test_a_time_that_is_set_is_kept(alone):
    server = alone("--keep-alive", "60", *MANUAL)
    deploy, _ = deployer(client_of(server))
    function = deploy(SLEEPS)
    function.call()
    advance(server, "59s")
    assert server.states(function) == ["Idle"]
    advance(server, "2s")
    assert server.states(function) == []


def test_a_call_that_can_be_foreseen_finds_an_environment(alone):
    server = alone("--keep-alive", "60", *MANUAL)
    deploy, _ = deployer(client_of(server))
    function = deploy(SLEEPS)
    for _ in range(5):
        function.call()
        advance(server, "5m")
        assert server.states(function) == []
        advance(server, "5m")
    # The clock went past the time at which the environment was due.
    wait_until(lambda: server.states(function) == ["Idle"], 20, "no environment was made ahead")
    [made] = ids(server, function)
    function.call()
    assert ids(server, function) == [made]


def test_a_histogram_of_minutes_decides_when_an_environment_is_there(alone):
    server = alone("--keep-alive", "histogram", *MANUAL)
    deploy, _ = deployer(client_of(server))
    function = deploy(SLEEPS)
    function.call()
    # As long as little is known: four hours.
    advance(server, "239m")
    assert server.states(function) == ["Idle"]
    advance(server, "2m")
    assert server.states(function) == []
    # Five times half an hour: one is needed from nine tenths of 30 minutes to eleven tenths of 31.
    for _ in range(6):
        function.call()
        advance(server, "30m")
    function.call()
    wait_until(lambda: server.states(function) == [], 60, "it stays although no call is expected")
    advance(server, "26m")
    assert server.states(function) == []
    advance(server, "1m")
    wait_until(lambda: server.states(function) == ["Idle"], 60, "no environment was made ahead")
    [made] = ids(server, function)
    advance(server, "7m")
    assert ids(server, function) == [made]
    advance(server, "1m")
    assert server.states(function) == []


def test_where_memory_is_short_invokes_wait_in_turn(alone):
    server = alone("--memory-budget", "512")
    deploy, _ = deployer(client_of(server))
    first, second, third = (deploy(SLEEPS, MemorySize=512) for _ in range(3))
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(first.call, 1)
        wait_until(lambda: server.states(first) != [], 10, "the first invoke is not running")
        assert [waiting.result() for waiting in [pool.submit(second.call), pool.submit(third.call)]] == ["done"] * 2
        assert running.result() == "done"


def test_where_memory_stays_short_they_are_throttled(alone):
    server = alone("--memory-budget", "512")
    deploy, _ = deployer(client_of(server))
    busy, waits = (deploy(SLEEPS, MemorySize=512, Timeout=20) for _ in range(2))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(busy.call, 8)
        wait_until(lambda: server.states(busy) != [], 10, "the first invoke is not running")
        with pytest.raises(waits.client.exceptions.TooManyRequestsException) as caught:
            waits.call()
        assert caught.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert running.result() == "done"
