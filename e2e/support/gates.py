"""What functions wait for until a test lets them go on: objects in a bucket. Nothing that waits so depends on time."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from support.clients import service_of

_gates = count()
SIGV4 = (Path(__file__).parent / "sigv4.py").read_bytes()

# For programs in Python: `passed(path)` waits for a gate, asking with the environment's own credentials.
PASSED = """
import http.client, os, time
from types import SimpleNamespace
from sigv4 import Signed
def passed(path):
    inside = os.environ['AWS_ENDPOINT_URL'].removeprefix('http://')
    key = {'AccessKeyId': os.environ['AWS_ACCESS_KEY_ID'], 'SecretAccessKey': os.environ['AWS_SECRET_ACCESS_KEY']}
    status = 404
    while status == 404:
        time.sleep(.05)
        here = SimpleNamespace(port=inside.split(':')[1])
        request = Signed(here, key, 'GET', path, service='s3', token=os.environ['AWS_SESSION_TOKEN']).sign()
        connection = http.client.HTTPConnection(inside)
        connection.request('GET', path, headers=request.headers)
        status = connection.getresponse().status
        connection.close()
    assert status == 200, status
"""


class Gate:
    """Closed at first; whoever waits for its path goes on once it is open."""

    def __init__(self, s3, bucket):
        self.s3, self.place = s3, {"Bucket": bucket, "Key": str(next(_gates))}
        self.path = f"/{bucket}/{self.place['Key']}"

    def open(self):
        self.s3.put_object(**self.place)


class Gates:
    """Makes gates at a server: gates()."""

    def __init__(self, server):
        self.s3, self.bucket = service_of(server, "s3"), f"gates-{uuid.uuid4()}"
        self.s3.create_bucket(Bucket=self.bucket)

    def __call__(self):
        return Gate(self.s3, self.bucket)


def waiting(code):
    """The files of a function whose code may call `passed(path)`."""
    return {"app.py": PASSED + code, "sigv4.py": SIGV4}


@contextmanager
def held(server, gate, function, count=1, event=None, **args):
    """Has so many invokes of a function wait at a gate, each in an environment of its own: the event is the gate's path.

    At the end the gate is opened, and all must answer. Gives the futures of what they return."""
    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(function.call, event or gate.path, **args) for _ in range(count)]
        try:
            server.until_busy(function, count)
            yield running
        finally:
            gate.open()
    for future in running:
        future.result()
