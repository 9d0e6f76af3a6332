"""Closed doors: who may ask, and what a request may be."""

import os
import subprocess

import pytest

from support import raw
from support.server import HEARTH, read

HEALTH = "/_hearth/health"


@pytest.fixture(autouse=True)
def the_server_stays_up(server):
    yield
    assert server.running()
    assert raw.request(server, "GET", HEALTH).status == 200


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_no_door_is_open_but_on_loopback(listen, tmp_path):
    done = subprocess.run([HEARTH, "serve", "--listen", listen, "--auth", "open", "--data-dir", str(tmp_path / "data")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "use --auth required" in done.stderr, done


def test_a_port_in_use_is_told(server, tmp_path):
    done = subprocess.run([HEARTH, "serve", "--listen", f"127.0.0.1:{server.port}", "--data-dir", str(tmp_path / "data")], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and str(server.port) in done.stderr and "panicked" not in done.stderr


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://localhost.evil.example", "http://127.0.0.1.evil.example", "file://"])
def test_foreign_web_pages_are_refused(server, origin):
    for method, path in [("GET", "/2015-03-31/functions"), ("POST", "/2015-03-31/functions"), ("GET", HEALTH)]:
        answer = raw.request(server, method, path, headers=[("Origin", origin)])
        assert answer.status == 403 and "access-control-allow-origin" not in answer.headers, answer


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_pages_of_other_sites_make_a_browser_send_is_refused(server, site):
    for path in ["/2015-03-31/functions", "/?Action=ListRoles&Version=2010-05-08", HEALTH]:
        assert raw.request(server, "GET", path, headers=[("Sec-Fetch-Site", site)]).status == 403
    assert raw.request(server, "GET", HEALTH, headers=[("Sec-Fetch-Site", "none")]).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4566", "169.254.169.254", "127.0.0.1.evil.example", "", "a b", "localhost@evil.example"])
def test_foreign_hosts_are_refused(server, host):
    answer = raw.request(server, "GET", "/2015-03-31/functions", headers=[("Host", host)])
    assert answer is None or answer.status in (400, 403, 421), answer


@pytest.mark.parametrize("host", ["localhost", "localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}"])
def test_own_names_are_served(server, host):
    assert raw.request(server, "GET", "/2015-03-31/functions", headers=[("Host", host.format(port=server.port))]).status == 200


def test_the_server_has_given_up_root(server):
    text = read(f"/proc/{server.pid}/status")
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert "0" not in fields["Uid"].split() and "0" not in fields["Gid"].split()
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"] == "1"


def test_the_spawner_is_alone_and_single_threaded(server):
    spawner = server.spawner()
    assert os.listdir(f"/proc/{spawner}/task") == [str(spawner)]


def send(server, data, timeout=30):
    """Raw bytes; the answer, or None where the server closed without one."""
    with raw.connect(server, timeout) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass
        return raw.read_answer(sock)


BAD_HEADS = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "two lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
    "negative length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "a space in a name": b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "bad chunk": b"POST /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "101 headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(101)) + b"\r\n",
    "a large head": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    "a long target": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
    "another version": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_bad_requests(server, name):
    answer = send(server, BAD_HEADS[name])
    assert answer is None or 400 <= answer.status < 506, answer


def test_a_smuggled_second_request_is_not_answered(server):
    with raw.connect(server) as sock:
        sock.sendall(BAD_HEADS["length and chunks"])
        first = raw.read_answer(sock)
        assert first is None or first.status >= 400
        assert raw.read_answer(sock) is None


def test_oversized_bodies_are_refused_by_their_length(server):
    head = b"POST /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 80000000\r\n\r\n"
    answer = send(server, head)
    assert (answer.status, answer.error) == (413, "RequestEntityTooLargeException"), answer
    head = b"POST /2015-03-31/functions/f/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7000000\r\n\r\n"
    answer = send(server, head)
    assert (answer.status, answer.error) == (413, "RequestTooLargeException"), answer


def test_oversized_bodies_are_refused_while_they_come(server):
    with raw.connect(server) as sock:
        sock.sendall(b"POST /2015-03-31/functions/f/invocations HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b"1" * (1 << 20) + b"\r\n"
        try:
            for _ in range(8):
                sock.sendall(chunk)
            sock.sendall(b"0\r\n\r\n")
        except OSError:
            pass
        answer = raw.read_answer(sock)
        assert answer is None or (answer.status, answer.error) == (413, "RequestTooLargeException"), answer


def test_unknown_content_encodings_are_refused(server):
    answer = raw.request(server, "POST", "/2015-03-31/functions", b"\x1f\x8b" + bytes(20), [("Content-Encoding", "gzip")])
    assert answer.status in (400, 415), answer


def test_who_is_slow_or_silent_is_cut_off_and_others_are_served(server):
    """Each holds its place for a bounded time only; that is the same for all, so that one after the other is looked at."""
    with raw.connect(server, 200) as head, raw.connect(server, 200) as silent, raw.connect(server, 200) as body:
        head.sendall(b"GET /_hearth/health HTTP/1.1\r\nHost: local")
        body.sendall(b"POST /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
        assert raw.request(server, "GET", HEALTH).status == 200
        answer = raw.read_answer(head)
        assert answer is None or answer.status == 408
        assert raw.read_answer(silent) is None
        answer = raw.read_answer(body)
        assert answer is None or answer.status in (400, 408), answer


def test_many_idle_connections_do_not_shut_others_out(server):
    idle = []
    try:
        for _ in range(500):
            idle.append(raw.connect(server))
        assert raw.request(server, "GET", HEALTH).status == 200
    finally:
        for sock in idle:
            sock.close()


def test_pipelined_requests_are_answered_in_order(server):
    with raw.connect(server) as sock:
        sock.sendall(b"GET /_hearth/health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1)
        assert raw.read_answer(sock).status == 200
        sock.sendall(b"GET /2099-01-01/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.read_answer(sock).status == 404


def test_errors_tell_nothing_of_the_inside(server):
    for path in ("/2015-03-31/functions/%00", "/_hearth/nothing", "/2015-03-31/functions/..%2f..%2fetc%2fpasswd", "/_hearth/code/..%2f..%2fmeta.db", "/_hearth/../meta.db"):
        answer = raw.request(server, "GET", path)
        assert 400 <= answer.status < 500, (path, answer)
        text = answer.body.decode()
        assert "panicked" not in text and str(server.folder) not in text and ".rs:" not in text
