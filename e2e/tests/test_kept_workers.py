"""Worker processes that the server keeps itself: they share its functions, come back when they die, and go with it."""

import os
import signal

from conftest import client_of, deployer
from support.metrics import Numbers
from support.server import HANGS_S, Traces, wait_until
from support.workers import workers_of
from test_workers import CODE, Load, environments


def kept(alone, *args):
    server = alone("--workers", "2", "--memory-budget", "8000", "--placement", "spread", *args)
    deploy, _ = deployer(client_of(server))
    return server, deploy


def names(server):
    return sorted(worker["Name"] for worker in workers_of(server))


def test_functions_run_in_them_and_nothing_is_left_when_they_stop(alone):
    server, deploy = kept(alone)
    assert names(server) == ["worker-0", "worker-1"]
    assert {worker["MemoryMB"] for worker in workers_of(server)} == {4000}
    function = deploy(CODE)
    with Load(function) as load:
        load.go_on()
    assert load.errors == []
    assert all(count > 0 for count in environments(server).values())
    wait_until(lambda: Numbers(server).of("hearth_runtimes_ahead"), HANGS_S, "no runtime waits")
    server.stop()
    assert "is not started ahead" not in server.log_text(), "those that waited ended as they were meant to"


def test_one_that_dies_is_started_again(alone):
    server, deploy = kept(alone)
    function = deploy(CODE)
    killed, other = workers_of(server)
    os.kill(killed["Pid"], signal.SIGKILL)

    def again():
        pids = {worker["Name"]: worker["Pid"] for worker in workers_of(server)}
        return set(pids) == {"worker-0", "worker-1"} and pids[killed["Name"]] != killed["Pid"] and pids[other["Name"]] == other["Pid"]

    wait_until(again, 60, lambda: workers_of(server))
    assert f"{killed['Name']} (process {killed['Pid']}) has ended" in server.log_text()
    function.call()
    server.stop()


def test_they_end_with_a_server_that_is_killed(alone):
    server, deploy = kept(alone)
    deploy(CODE).call()
    traces = Traces(server)
    server.kill()
    traces.check(cgroups=False)
    server.start()
    assert names(server) == ["worker-0", "worker-1"]
