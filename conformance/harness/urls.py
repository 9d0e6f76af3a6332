"""Requests to function URLs, made by hand: the path and the headers arrive as they are given."""

import json
import socket
from urllib.parse import urlsplit

from harness.answers import parsed

TIMEOUT_S = 60


class Answer:
    """Status, headers in lower case, body as text."""

    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    def json(self):
        return json.loads(self.text)

    def content(self):
        """The body as the recordings show it: an object parsed, anything else as text."""
        return parsed(self.text) if self.text.startswith("{") else self.text


def request(url, method="GET", path="/", headers=(), body=b"", server=None):
    """One request to a function's URL; its host need not resolve: the connection goes to the server that serves it."""
    host = urlsplit(url).netloc
    connect = urlsplit(server or url)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in dict(headers).items()]
    if body or method not in ("GET", "HEAD"):
        lines.append(f"Content-Length: {len(body)}")
    with socket.create_connection((connect.hostname, connect.port or 80), TIMEOUT_S) as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return read(b"".join(iter(lambda: sock.recv(65536), b"")))


def read(data):
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(chunks(body))
    return Answer(int(first.split()[1]), headers, body.decode())


def chunks(data):
    while data:
        size, _, data = data.partition(b"\r\n")
        yield data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
