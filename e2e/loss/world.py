"""The server, what is deployed on it, and how it is crashed."""

import base64
import json
import os
import signal
import subprocess
import sys
import time

from loss.wire import Wire, Wrong
from loss.witness import TELL
from support.packages import zip_of
from support.server import HEARTH, READY_S, Server
from support.streams import Upstream

# In a network of its own.
PORT = 4566
BUCKET = "kept-objects"
ROLE = "arn:aws:iam::000000000000:role/test"
PYTHON = f"python3.{sys.version_info.minor}"
ACCOUNT = "us-east-1:000000000000"
# So that what is tried again is tried soon.
RETRY_BASE_MS = 60
RETRIES = 2

# Each run is told to the witness before the function says how it went.
CODE = TELL + """
import base64, os, time
def handler(event, context):
    kind = os.environ["KIND"]
    if kind == "heard":
        tell("heard", event["requestContext"]["requestId"], context.aws_request_id)
        return None
    if kind == "pulled":
        told = [tell("pulled", record["body"]) for record in event["Records"]]
        if any(sum(record["body"].encode()) % 10 == 0 and before == 0 for record, before in zip(event["Records"], told)):
            raise Exception(kind)
        return None
    if kind == "streamed":
        for record in event["Records"]:
            body = base64.b64decode(record["kinesis"]["data"]).decode()
            tell("streamed", body)
            if body.endswith("7"):
                raise Exception(kind)
        return None
    before = tell("ran", context.aws_request_id, kind, event["n"])
    if kind == "slow":
        time.sleep(int(event["n"].rsplit("-", 1)[1]) % 5 * 0.02)
    if kind in ("bad", "object") or kind == "moody" and before == 0:
        raise Exception(kind)
    return {"n": event["n"]}
"""


def function_arn(name):
    return f"arn:aws:lambda:{ACCOUNT}:function:{name}"


def queue_arn(name):
    return f"arn:aws:sqs:{ACCOUNT}:{name}"


def queue_url(name):
    return f"http://127.0.0.1:{PORT}/000000000000/{name}"


class World:
    """One data folder, and whichever server has it."""

    def __init__(self, environment=()):
        self.environment = dict(environment)
        # Has the streams; no crash of the server touches it.
        self.upstream = Upstream()
        args = ("--network", "nat", "--retry-base", str(RETRY_BASE_MS), "--upstream", f"kinesis={self.upstream.url}")
        self.server = Server(*args, listen=f"127.0.0.1:{PORT}")
        self.process, self.starts = None, 0

    def launch(self, **environment):
        """In a process group of its own, which can be killed as a whole."""
        command = [HEARTH, "serve", "--listen", self.server.listen, "--data-dir", str(self.server.data), *self.server.args]
        with open(self.server.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
                env={**os.environ, **self.environment, **environment},
            )
        self.starts += 1

    def start(self, **environment):
        """Waits for the ready line; False where the server ended before."""
        self.launch(**environment)
        return self.ready()

    def ready(self):
        descriptor, end = self.process.stdout.fileno(), time.monotonic() + READY_S
        os.set_blocking(descriptor, False)
        line = b""
        while b"\n" not in line:
            assert time.monotonic() < end, f"not ready: {self.log()}"
            piece = self.process.stdout.read()
            if piece:
                line += piece
            elif piece == b"":
                self.process.wait(READY_S)
                return False
            else:
                time.sleep(0.005)
        return True

    def must_start(self, **environment):
        if not self.start(**environment):
            raise Wrong(f"the server does not start: {self.log()}")

    def kill(self, who="all"):
        """As a crash: `all` is the whole group; `server` or `spawner` alone end the other by what they are to each other."""
        if who == "all":
            os.killpg(self.process.pid, signal.SIGKILL)
        elif who == "server":
            self.process.kill()
        else:
            for pid in spawners(self.process.pid):
                os.kill(pid, signal.SIGKILL)
        self.wait_for_the_end()

    def wait_for_the_end(self):
        """Of the server, and of all that it started."""
        self.process.wait(READY_S)
        self.process.stdout.close()
        end = time.monotonic() + READY_S
        while group_is_there(self.process.pid):
            assert time.monotonic() < end, "what the server started outlives it"
            time.sleep(0.002)

    def wire(self):
        return Wire(PORT)

    def log(self, lines=40):
        return "\n".join(self.server.log_text().splitlines()[-lines:])

    def close(self, keep=False):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.upstream.close()
        if keep:
            print(f"kept: {self.server.folder}")
        else:
            self.server.close()


def group_is_there(pid):
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def spawners(pid):
    """The server's only child."""
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


def deploy(wire, name, kind, Timeout=60, **destinations):
    """A function of a kind, and where the records of its events go."""
    body = {
        "FunctionName": name, "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "MemorySize": 512, "Timeout": Timeout,
        "Code": {"ZipFile": base64.b64encode(package()).decode()}, "Environment": {"Variables": {"KIND": kind}},
    }
    letters = destinations.pop("letters", None)
    if letters:
        body["DeadLetterConfig"] = {"TargetArn": letters}
    wire.well("POST", "/2015-03-31/functions", json.dumps(body))
    until_active(wire, name)
    if destinations:
        sides = {side: {"Destination": arn} for side, arn in destinations.items()}
        settings = {"MaximumRetryAttempts": RETRIES, "DestinationConfig": sides}
        wire.well("PUT", f"/2019-09-25/functions/{name}/event-invoke-config", json.dumps(settings))


def package(extra=""):
    return zip_of({"app.py": CODE + extra})


def until_active(wire, name):
    end = time.monotonic() + READY_S
    while wire.well("GET", f"/2015-03-31/functions/{name}/configuration")[1]["State"] != "Active":
        assert time.monotonic() < end, f"{name} does not become active"


def queue(wire, name, **attributes):
    wire.sqs("CreateQueue", QueueName=name, Attributes={"VisibilityTimeout": "1", **attributes})


def drain(wire, name):
    """All messages that can be seen, taken out for good."""
    found = []
    while True:
        messages = wire.sqs("ReceiveMessage", QueueUrl=queue_url(name), MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])
        if not messages:
            return found
        entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
        answer = wire.sqs("DeleteMessageBatch", QueueUrl=queue_url(name), Entries=entries)
        if answer.get("Failed"):
            raise Wrong(f"{name}: {answer}")
        found += messages
