#!/usr/bin/env python3
"""What an environment's limits of throughput are worth: `python3 bench/limits.py HEARTH [MBIT TMP_MB]`, as root.

A server with NAT runs on a machine of its own, a network namespace, whose only neighbour is an outside, another one. A
Python function sends to it and gets from it, through the same link without a limit and with one; then it writes to /tmp, in
the three ways that there are, and reads back. Prints what went through, a line each."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile

MACHINE, OUTSIDE, PORT = "203.0.113.1", "203.0.113.2", 9000
SECONDS = 5

FUNCTION = '''
import mmap, os, socket, time

def network(way, seconds):
    s = socket.create_connection(("203.0.113.2", 9000)); s.sendall(way.encode())
    block, done, begin = bytes(1 << 20), 0, time.monotonic()
    while time.monotonic() - begin < seconds:
        done += s.send(block) if way == "u" else len(s.recv(1 << 20))
    return done * 8 / (time.monotonic() - begin) / 1e6

def timed(bytes_, work):
    begin = time.monotonic()
    work()
    return bytes_ / (time.monotonic() - begin) / 1e6

def disk(mb):
    size = mb << 20
    block = mmap.mmap(-1, 1 << 20); block.write(b"x" * (1 << 20))
    def write(flags, sync):
        f = os.open("/tmp/f", os.O_CREAT | os.O_TRUNC | os.O_WRONLY | flags)
        for _ in range(mb): os.write(f, block)
        if sync: os.fsync(f)
        os.close(f)
    def read():
        f = os.open("/tmp/f", os.O_RDONLY | os.O_DIRECT)
        while os.readv(f, [block]): pass
        os.close(f)
    answers = {"write, then fsync": timed(size, lambda: write(0, True)), "write past the cache": timed(size, lambda: write(os.O_DIRECT, False))}
    answers["read past the cache"] = timed(size, read)
    # More than the memory holds: the kernel must write while the function goes on.
    answers["write, never fsync"] = timed(size, lambda: write(0, False))
    return answers

def handler(event, context):
    return network(event["way"], event["seconds"]) if "way" in event else disk(event["mb"])
'''


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def outside():
    """Takes all that comes, or sends for as long as somebody reads."""
    server = socket.create_server(("0.0.0.0", PORT))
    print("ready", flush=True)
    while True:
        peer, _ = server.accept()
        if os.fork() == 0:
            block = bytes(1 << 20)
            try:
                if peer.recv(1) == b"u":
                    while peer.recv(1 << 20):
                        pass
                else:
                    while True:
                        peer.sendall(block)
            except OSError:
                pass
            os._exit(0)
        peer.close()


class Server:
    def __init__(self, machine, hearth, folder, arguments):
        command = ["nsenter", f"--net=/run/netns/{machine}", hearth, "serve", "--listen", "127.0.0.1:0", "--network", "nat"]
        command += ["--data-dir", folder, *arguments]
        self.machine = machine
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().split()[-1].rstrip("/") + "/2015-03-31/functions"

    def call(self, path, body):
        # The server listens in another network namespace.
        program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], sys.stdin.buffer.read(), 600).read().decode())"
        command = ["nsenter", f"--net=/run/netns/{self.machine}", sys.executable, "-c", program, self.url + path]
        done = subprocess.run(command, input=json.dumps(body).encode(), stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def create(self, runtime):
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("app.py", FUNCTION)
        self.call("", {
            "FunctionName": "limits", "Runtime": runtime, "Role": "arn:aws:iam::000000000000:role/limits",
            "Handler": "app.handler", "MemorySize": 256, "Timeout": 600, "EphemeralStorage": {"Size": 1024},
            "Code": {"ZipFile": base64.b64encode(package.getvalue()).decode()},
        })

    def invoke(self, **event):
        return self.call("/limits/invocations", event)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def measure(title, machine, hearth, arguments):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        server = Server(machine, hearth, folder, arguments)
        try:
            server.create(f"python3.{sys.version_info.minor}" if len(sys.argv) < 5 else sys.argv[4])
            for way, name in [("u", "to the outside"), ("d", "from the outside")]:
                print(f"{title:28} {name:24} {server.invoke(way=way, seconds=SECONDS):8.0f} Mbit/s", flush=True)
            for name, figure in server.invoke(mb=768).items():
                print(f"{title:28} /tmp: {name:18} {figure:8.0f} MB/s", flush=True)
        finally:
            server.stop()


def main():
    hearth, mbit, tmp = os.path.abspath(sys.argv[1]), *(sys.argv[2:4] or ["625", "256"])
    machine, beyond = f"machine{os.getpid()}", f"outside{os.getpid()}"
    server = None
    for name in machine, beyond:
        ip("netns", "add", name)
    try:
        ip("link", "add", "uplink", "netns", machine, "type", "veth", "peer", "name", "eth0", "netns", beyond)
        for name, link, address in [(machine, "uplink", MACHINE), (beyond, "eth0", OUTSIDE)]:
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "address", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
        ip("-n", machine, "route", "add", "default", "via", OUTSIDE)
        command = ["nsenter", f"--net=/run/netns/{beyond}", sys.executable, __file__, "outside"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        server.stdout.readline()
        measure("no limit", machine, hearth, ["--network-throughput", "0", "--tmp-throughput", "0"])
        limits = ["--network-throughput", mbit, "--tmp-throughput", tmp]
        measure(f"{mbit} Mbit/s, {tmp} MB/s", machine, hearth, limits)
    finally:
        if server:
            server.kill()
            server.wait()
        for name in machine, beyond:
            ip("netns", "delete", name)


if __name__ == "__main__":
    outside() if sys.argv[1:] == ["outside"] else main()
