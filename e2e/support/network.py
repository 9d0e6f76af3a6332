"""A machine of the test's own with an outside: network namespaces. Whoever is inside `with Machine()` is on that machine."""

import ctypes
import ipaddress
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

MACHINE, OUTSIDE, METADATA = "203.0.113.1", "203.0.113.2", "169.254.169.254"
_NEW_NETWORK = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

# Tells whoever comes by HTTP which address he comes from, and knows some names.
OUTSIDE_HOST = f"""
import http.server, socket, struct, sys, threading
sys.stdin.readline()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"hello {{self.client_address[0]}}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
names = {{"outside": "{OUTSIDE}", "machine": "{MACHINE}", "metadata": "{METADATA}"}}
def answer(query, long):
    label = query[13:13 + query[12]].decode()
    end = query.index(0, 12) + 5
    kind = struct.unpack(">H", query[end - 4:end - 2])[0]
    found = [socket.inet_aton(names[label])] * (200 if long else 1) if kind == 1 and label in names else []
    if label == "many" and kind == 1:
        found = [bytes([203, 0, 113, n]) for n in range(100, 250)] if long else None
    if found is None:
        return query[:2] + b"\\x83\\x80" + struct.pack(">HHHH", 1, 0, 0, 0) + query[12:end]
    if not long:
        found = found[:1]
    records = b"".join(b"\\xc0\\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + a for a in found)
    return query[:2] + b"\\x81\\x80" + struct.pack(">HHHH", 1, len(found), 0, 0) + query[12:end] + records
def datagrams(address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 53))
    while True:
        query, peer = s.recvfrom(4096)
        s.sendto(answer(query, False), peer)
def streams(address):
    s = socket.create_server((address, 53))
    while True:
        c, _ = s.accept()
        with c:
            n = struct.unpack(">H", c.recv(2))[0]
            a = answer(c.recv(n), True)
            c.sendall(struct.pack(">H", len(a)) + a)
for address in sys.argv[1:]:
    threading.Thread(target=datagrams, args=(address,), daemon=True).start()
    threading.Thread(target=streams, args=(address,), daemon=True).start()
server = http.server.ThreadingHTTPServer(("0.0.0.0", 80), Answer)
print("ready", flush=True)
server.serve_forever()
"""


def ip(*words, of=None):
    enter = ["nsenter", "-t", str(of), "-n"] if of else []
    done = subprocess.run([*enter, "ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def name_servers():
    """The machine's, which are asked by the server: in here the outside has their addresses."""
    lines = Path("/etc/resolv.conf").read_text().splitlines() if os.path.exists("/etc/resolv.conf") else []
    found = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    return [address for address in found if ipaddress.ip_address(address).version == 4]


class Machine:
    """`forwards`: whether it passes packets on before anybody asks for it; `host`: the program of the outside, which begins
    by reading a line, then says `ready`."""

    def __init__(self, forwards=False, host=OUTSIDE_HOST):
        self.forwards, self.host = forwards, host

    def __enter__(self):
        self.real = os.open("/proc/self/ns/net", os.O_RDONLY)
        assert _libc.unshare(_NEW_NETWORK) == 0
        servers = name_servers()
        command = ["unshare", "--net", sys.executable, "-c", self.host, *servers]
        self.outside = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.outside.pid}/ns/net") == own:
            pass
        ip("link", "set", "lo", "up")
        ip("link", "add", "wan", "type", "veth", "peer", "name", "out", "netns", str(self.outside.pid))
        ip("addr", "add", f"{MACHINE}/24", "dev", "wan")
        ip("link", "set", "wan", "up")
        for address in (f"{OUTSIDE}/24", f"{METADATA}/32", *(f"{server}/32" for server in servers)):
            ip("addr", "add", address, "dev", "out", of=self.outside.pid)
        for link in ("lo", "out"):
            ip("link", "set", link, "up", of=self.outside.pid)
        ip("route", "add", "default", "via", OUTSIDE)
        with open("/proc/sys/net/ipv4/ip_forward", "w") as switch:
            switch.write("1" if self.forwards else "0")
        self.outside.stdin.write(b"go\n")
        self.outside.stdin.flush()
        assert self.outside.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, *_):
        self.outside.kill()
        self.outside.communicate()
        assert _libc.setns(self.real, _NEW_NETWORK) == 0
        os.close(self.real)

    def traces(self):
        """What is there of a Hearth: links, and tables of packet rules."""
        links = [line.split(": ")[1].split("@")[0] for line in ip("-o", "link").splitlines()]
        return [link for link in links if link.startswith("hearth")] + tables()


def tables():
    """Names of all tables of packet rules."""
    found = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:
        s.send(struct.pack("=IHHIIBBH", 20, 10 << 8 | 1, 0x301, 1, 0, 0, 0, 0))
        while True:
            data = s.recv(65536)
            while data:
                length, kind = struct.unpack("=IH", data[:6])
                if kind == 3:
                    return found
                size = struct.unpack("=H", data[20:22])[0]
                found.append(data[24 : 20 + size - 1].decode())
                data = data[(length + 3) & ~3 :]
