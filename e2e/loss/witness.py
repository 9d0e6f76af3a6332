"""Who hears what functions do: a machine outside, which no crash of the server touches."""

import threading
from collections import defaultdict

from support.network import OUTSIDE, Machine

PORT = 9

# Writes down each line that comes, tells how many of the same text were there before, and only then lets the teller go on.
HOST = f"""
import collections, socketserver, sys, threading
sys.stdin.readline()
lock, known = threading.Lock(), collections.Counter()
class Hear(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            with lock:
                before = known[line]
                known[line] += 1
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
            self.wfile.write(f"{{before}}\\n".encode())
class Host(socketserver.ThreadingTCPServer):
    def handle_error(self, request, client):
        # Who told it was killed meanwhile.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client)
    daemon_threads, request_queue_size, allow_reuse_address = True, 512, True
host = Host(("0.0.0.0", {PORT}), Hear)
print("ready", flush=True)
host.serve_forever()
"""

# In a function: tell("words") returns how often the same was told before.
TELL = f"""
import socket
def tell(*words):
    with socket.create_connection(("{OUTSIDE}", {PORT}), 20) as outside:
        outside.sendall((" ".join(words) + "\\n").encode())
        return int(outside.makefile().readline())
"""


class Witness:
    """`with Witness() as witness`: whoever is inside is on a machine of his own, with the witness outside of it."""

    def __enter__(self):
        self.machine = Machine(host=HOST)
        self.machine.__enter__()
        self.lock, self.lines, self.count, self.heard = threading.Lock(), [], 0, threading.Event()
        self.by = defaultdict(list)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *error):
        self.machine.__exit__(*error)
        self.reader.join()

    def read(self):
        for line in self.machine.outside.stdout:
            words = tuple(line.decode().split())
            with self.lock:
                self.by[words[:2]].append(words[2:])
                self.lines.append(words)
                self.count += 1

    def told(self, *first):
        """The rest of all lines that begin with these two words, in order."""
        with self.lock:
            return list(self.by.get(first, ()))

    def has(self, *first):
        with self.lock:
            return first in self.by
