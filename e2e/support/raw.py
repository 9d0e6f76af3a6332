"""HTTP by hand, for what no client library would send."""

import json
import socket


class Answer:
    """A whole answer: status, headers in lower case, body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def error(self):
        """The error's name, as clients read it."""
        return self.headers.get("x-amzn-errortype", "").split(":")[0]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json.get("message", self.json.get("Message"))

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]!r}"


def connect(server, timeout=30):
    sock = socket.create_connection(("127.0.0.1", server.port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def request(server, method, path, body=b"", headers=(), sock=None):
    """One request with the given path as it is. Headers given replace the usual ones of the same name."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    usual = {"host": f"127.0.0.1:{server.port}", "content-type": "application/json", "content-length": str(len(body))}
    given = dict(headers)
    usual = {k: v for k, v in usual.items() if k not in {name.lower() for name in given}}
    lines = [f"{method} {path} HTTP/1.1"] + [f"{k}: {v}" for k, v in {**usual, **given}.items() if v is not None]
    message = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    own = sock is None
    sock = sock or connect(server)
    try:
        try:
            sock.sendall(message)
        except OSError:
            pass  # refused before all was read: the answer tells why
        return read_answer(sock, method)
    finally:
        if own:
            sock.close()


def read_answer(sock, method="GET"):
    """Reads one answer; None if the server closed without one."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = recv(sock)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    status = int(first.split()[1])
    if headers.get("transfer-encoding") == "chunked":
        return Answer(status, headers, read_chunks(sock, body))
    length = 0 if method == "HEAD" or status in (204, 304) else int(headers.get("content-length", 0))
    while len(body) < length:
        part = recv(sock)
        if not part:
            break
        body += part
    return Answer(status, headers, body)


def read_chunks(sock, data):
    body = b""
    while True:
        while b"\r\n" not in data:
            data += recv(sock)
        size, _, data = data.partition(b"\r\n")
        size = int(size, 16)
        while len(data) < size + 2:
            data += recv(sock)
        body, data = body + data[:size], data[size + 2 :]
        if size == 0:
            return body


def recv(sock):
    try:
        return sock.recv(65536)
    except ConnectionResetError:
        return b""
