"""`--network nat`: functions reach the outside, and nothing of the machine."""

import contextlib
import json
import os
import signal
import socket
import subprocess

import pytest

from conftest import client_of, deployer
from support.network import MACHINE, METADATA, OUTSIDE, Machine, name_servers
from support.server import HEARTH, descendants, wait_until

CODE = """
import socket, urllib.request
def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.read().decode()
    except OSError as error:
        return f"refused: {error}"
def handler(event, context):
    names = dict(globals())
    exec(event["do"], names)
    return names["r"]
"""


@pytest.fixture
def machine():
    servers = name_servers()
    if not servers or any(address.startswith("127.") for address in servers):
        pytest.skip("the machine has no name server but itself: the test's outside cannot take its address")
    with Machine() as machine:
        yield machine


@pytest.fixture
def nat(machine, alone):
    """A server with NAT and what deploys to it."""
    server = alone("--network", "nat")
    client = client_of(server)
    deploy, clean = deployer(client)
    yield server, deploy
    if server.running():
        clean()
        server.stop()


def run(function, code):
    return function.call({"do": code})


def test_a_function_fetches_by_name_and_address(nat):
    _, deploy = nat
    function = deploy(CODE)
    assert run(function, f"r = fetch('http://{OUTSIDE}/')") == f"hello {MACHINE}"
    assert run(function, "r = fetch('http://outside.test/')") == f"hello {MACHINE}"
    assert run(function, "r = socket.gethostbyname('outside.test')") == OUTSIDE
    # An answer that is too long for a datagram comes by a connection.
    assert len(run(function, "r = socket.gethostbyname_ex('many.test')[2]")) > 100
    assert run(function, "r = fetch('http://nobody.test/')").startswith("refused")


def test_node_resolves_and_fetches_too(nat):
    _, deploy = nat
    code = "const dns = require('node:dns/promises');\nexports.handler = async () => [await dns.resolve4('outside.test'), (await dns.lookup('outside.test')).address, await (await fetch('http://outside.test/')).text()];\n"
    function = deploy({"index.js": code}, Runtime="nodejs20.x", Handler="index.handler")
    assert function.call() == [[OUTSIDE], OUTSIDE, f"hello {MACHINE}"]


def test_nothing_of_the_machine_is_reached(nat):
    server, deploy = nat
    function, other = deploy(CODE), deploy(CODE)
    own = "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('203.0.113.2', 9)); own = s.getsockname()[0]\n"
    neighbour = run(other, own + "import threading\nl = socket.create_server(('0.0.0.0', 8080))\nthreading.Thread(target=l.accept, daemon=True).start()\nsocket.create_connection((own, 8080)).close()\nr = own")
    router = run(function, "import struct\nr = next(socket.inet_ntoa(struct.pack('<I', int(l.split()[2], 16))) for l in open('/proc/net/route').readlines()[1:] if l.split()[1] == '00000000')")
    link = router.rsplit(".", 1)[0] + ".1"
    with socket.create_server(("0.0.0.0", 0)) as service:
        port = service.getsockname()[1]
        for address in (MACHINE, link, "127.0.0.1"):
            socket.create_connection((address, port)).close()
        targets = [(a, p) for a in (MACHINE, link, router, "127.0.0.1", "localhost", "machine.test") for p in (port, server.port)]
        targets += [(neighbour, 8080), (METADATA, 80), ("metadata.test", 80), ("169.254.170.2", 80), ("::1", port), ("fd00:ec2::254", 80)]
        code = f"r = []\nfor target in {targets!r}:\n    try:\n        socket.create_connection(target, 1).close(); r.append(target)\n    except OSError:\n        pass\n"
        assert run(function, code) == []
        service.setblocking(False)
        for _ in range(3):
            service.accept()[0].close()
        with pytest.raises(BlockingIOError):
            service.accept()
    assert run(function, f"r = fetch('http://{OUTSIDE}/')") == f"hello {MACHINE}"


def test_a_stop_leaves_no_link_and_no_rule(machine, nat):
    server, deploy = nat
    run(deploy(CODE), f"r = fetch('http://{OUTSIDE}/')")
    assert len(machine.traces()) == 2
    server.stop()
    assert machine.traces() == []
    assert open("/proc/sys/net/ipv4/conf/wan/forwarding").read() == "0\n"


@pytest.mark.parametrize("victims", ["server", "spawner", "both"])
def test_a_kill_leaves_no_link_and_no_rule(machine, nat, victims):
    server, deploy = nat
    run(deploy(CODE), f"r = fetch('http://{OUTSIDE}/')")
    spawner = server.spawner()
    pids = {"server": [server.pid], "spawner": [spawner], "both": [server.pid, spawner, *descendants(spawner)]}[victims]
    for pid in pids:
        # Some of them end with those that were killed before them.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait(60)
    wait_until(lambda: not machine.traces(), 60, "links and rules that go by themselves")
    server.start()
    assert len(machine.traces()) == 2
    server.stop()
    assert machine.traces() == []
    assert open("/proc/sys/net/ipv4/conf/wan/forwarding").read() == "0\n"


def test_the_usual_network_is_none(alone):
    with Machine() as machine:
        server = alone()
        client = client_of(server)
        deploy, _ = deployer(client)
        assert run(deploy(CODE), f"r = fetch('http://{OUTSIDE}/')").startswith("refused")
        assert machine.traces() == []
        server.stop()


def test_doctor_says_what_nat_needs():
    done = subprocess.run([HEARTH, "doctor", "--json"], capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout)
    assert all(need["there"] or need["how"] for need in report["network"] + report["sandbox"])
    with Machine():
        report = json.loads(subprocess.run([HEARTH, "doctor", "--json"], capture_output=True, text=True).stdout)
        assert all(need["there"] for need in report["network"]), report["network"]
