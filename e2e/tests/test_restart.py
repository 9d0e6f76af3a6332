"""What was in use before a restart, of the server or of a worker: runtimes wait for it again soon after, so that its first call is no
slower than a later one."""

import datetime
import os
import signal

import pytest

from conftest import PYTHON, client_of, deployer
from support.gates import Gates, held, waiting
from support.metrics import Numbers
from support.server import HANGS_S, wait_until
from support.wall import SetServer, machine_now
from support.workers import WorkerProcess, workers_of
from test_ahead import ECHO, NODE, found, started_ahead, until_one_waits, until_so_many_wait


def until_written(server, versions):
    """Returns once the server has written down that so many versions were in use."""
    of = lambda: Numbers(server).of("hearth_versions_remembered")
    wait_until(lambda: of() == versions, HANGS_S, lambda: f"{of()} are written")


def stop(server):
    server.stop()


def crash(server):
    until_written(server, 1)
    server.kill()


def again(server, *functions):
    """Starts it on the same data; these functions are called there from now on."""
    server.start()
    for function in functions:
        function.client = client_of(server)


@pytest.mark.parametrize("runtime", [PYTHON, NODE])
@pytest.mark.parametrize("end", [stop, crash])
def test_the_first_call_after_a_restart_finds_a_runtime(alone, end, runtime):
    server = alone()
    deploy, _ = deployer(client_of(server))
    function = deploy(ECHO, Runtime=runtime)
    function.call()
    end(server)
    again(server, function)
    until_one_waits(server)
    assert (function.call(), found(server, function)) == ("here", ["runtime"])
    server.stop()


def test_as_many_wait_as_were_in_use_at_once(alone):
    server = alone()
    gate, (deploy, _) = Gates(server)(), deployer(client_of(server))
    function = deploy(waiting("def handler(event, context): passed(event)"), MemorySize=128)
    with held(server, gate, function, 3):
        pass
    server.stop()
    again(server)
    until_so_many_wait(server, 3)
    assert started_ahead(server)["wanted"] == 3


def test_what_is_not_there_any_more_or_was_not_called_is_not_waited_for(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    gone, stays, unused = deploy(ECHO), deploy(ECHO, Runtime=NODE), deploy(ECHO, Runtime=NODE, MemorySize=128)
    assert gone.call() == stays.call() == "here"
    gone.delete()
    server.stop()
    again(server, stays)
    until_one_waits(server)
    assert started_ahead(server)["wanted"] == 1
    assert (stays.call(), found(server, stays)) == ("here", ["runtime"])


@pytest.mark.parametrize(
    "away, wanted",
    [(datetime.timedelta(minutes=30), 2), (datetime.timedelta(hours=2), 1), (datetime.timedelta(days=-30), 1)],
)
def test_what_was_called_too_long_ago_is_not_waited_for(away, wanted):
    """Nor what the clock says was called long after now."""
    server = SetServer(machine_now())
    try:
        server.start()
        deploy, _ = deployer(client_of(server))
        function = deploy(ECHO)
        function.call()
        server.stop()
        server.write(machine_now() + away)
        again(server, function)
        deploy, _ = deployer(client_of(server))
        deploy(ECHO, Runtime=NODE)
        until_so_many_wait(server, wanted)
        assert started_ahead(server)["wanted"] == wanted
        assert function.call() == "here"
        server.stop()
    finally:
        server.close()


def test_what_is_called_without_a_pause_is_remembered_once(alone):
    server = alone()
    deploy, _ = deployer(client_of(server))
    one, other = deploy(ECHO), deploy(ECHO)
    version = one.client.publish_version(FunctionName=one.name)["Version"]
    for _ in range(3):
        one.call()
        one.call(Qualifier=version)
        other.call()
    until_written(server, 3)


def test_worker_processes_of_the_server_hear_of_it(alone):
    server = alone("--workers", "2", "--placement", "spread")
    deploy, _ = deployer(client_of(server))
    functions = [deploy(ECHO) for _ in range(2)]
    for function in functions:
        function.call()
    server.stop()
    again(server, *functions)
    until_so_many_wait(server, 2)
    for function in functions:
        assert (function.call(), found(server, function)) == ("here", ["runtime"])


def test_a_worker_process_that_joins_later_hears_of_it(house):
    server, (worker,), _, deploy = house(1)
    function = deploy(ECHO)
    function.call()
    until_written(server, 1)
    worker.drain()
    server.stop()
    again(server, function)
    late = WorkerProcess(server, "late", "--memory-budget", "8000")
    try:
        late.start()
        until_one_waits(server)
        assert (function.call(), found(server, function)) == ("here", ["runtime"])
    finally:
        late.close()


def kill(worker):
    worker.kill()
    until_gone(worker)


def drain(worker):
    worker.drain()
    until_gone(worker)


def until_gone(worker):
    wait_until(lambda: worker.seen() is None, HANGS_S, lambda: f"{worker.name} is still there")


@pytest.mark.parametrize("end", [kill, drain])
def test_a_worker_process_that_is_started_again_hears_of_it(house, end):
    server, (worker,), _, deploy = house(1)
    functions = [deploy(ECHO), deploy(ECHO, Runtime=NODE)]
    for function in functions:
        function.call()
    end(worker)
    worker.start()
    until_so_many_wait(server, 2)
    for function in functions:
        assert (function.call(), found(server, function)) == ("here", ["runtime"])


def test_a_worker_process_that_the_server_starts_again_hears_of_it(alone):
    server = alone("--workers", "1")
    deploy, _ = deployer(client_of(server))
    function = deploy(ECHO)
    function.call()
    (killed,) = workers_of(server)
    os.kill(killed["Pid"], signal.SIGKILL)
    gone = lambda: killed["Pid"] not in [worker["Pid"] for worker in workers_of(server)]
    wait_until(gone, HANGS_S, lambda: f"{killed} is still there")
    until_one_waits(server)
    assert (function.call(), found(server, function)) == ("here", ["runtime"])


def test_what_a_worker_process_ran_that_does_not_come_back_is_waited_for_on_another(house):
    server, (gone, stays), _, deploy = house(2)
    function = deploy(ECHO, Runtime=NODE)
    function.call()
    assert [worker["Environments"] for worker in workers_of(server)] == [1, 0]
    gone.drain()
    until_waiting(server, {stays.name: 1})
    assert (function.call(), found(server, function)) == ("here", ["runtime"])


def until_waiting(server, counts):
    """Returns once so many runtimes wait on each of the workers, or more."""
    of = lambda: {worker["Name"]: worker["WaitingRuntimes"] for worker in workers_of(server)}
    enough = lambda: of().keys() >= counts.keys() and all(of()[name] >= count for name, count in counts.items())
    wait_until(enough, HANGS_S, lambda: f"{of()} wait")


def test_each_worker_process_has_its_share_of_what_is_spread(alone):
    """Of each kind one, for nobody knows which function is called first."""
    server = alone("--workers", "2", "--placement", "spread")
    deploy, _ = deployer(client_of(server))
    functions = [deploy(ECHO), deploy(ECHO, Runtime=NODE)]
    for function in functions:
        function.call()
    for order in (functions, functions[::-1]):
        server.stop()
        again(server, *functions)
        until_waiting(server, {"worker-0": 2, "worker-1": 2})
        for function in order:
            assert (function.call(), found(server, function)) == ("here", ["runtime"])


def test_a_worker_process_that_joins_later_has_its_share_of_what_is_not_there(house):
    server, (early,), _, deploy = house(1, "--placement", "spread")
    one, other = deploy(ECHO), deploy(ECHO, Runtime=NODE)
    assert one.call() == other.call() == "here"
    kill(early)
    early.start()
    until_waiting(server, {early.name: 2})
    assert one.call() == "here"
    late = WorkerProcess(server, "late", "--memory-budget", "8000")
    try:
        late.start()
        until_waiting(server, {late.name: 1})
        assert (other.call(), found(server, other)) == ("here", ["runtime"])
        assert {worker["Name"]: worker["Environments"] for worker in workers_of(server)} == {early.name: 1, "late": 1}
    finally:
        late.close()


def test_where_none_is_started_ahead_none_is_after_a_restart(alone):
    server = alone("--ahead", "0")
    deploy, _ = deployer(client_of(server))
    function = deploy(ECHO)
    function.call()
    server.stop()
    again(server, function)
    assert (function.call(), found(server, function)) == ("here", ["nothing"])
    assert started_ahead(server) == {"waiting": 0, "taken": 0, "wanted": 0}
