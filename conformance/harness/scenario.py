"""What a scenario has in its hands: clients, names of its own, steps to record, and the end of all that it made."""

import base64
import io
import itertools
import json
import os
import re
import sys
import threading
import time
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from harness.answers import plain
from harness.neighbours import Neighbours

ACCOUNT = "111111111111"
REGION = "us-east-1"
PYTHON = f"python3.{sys.version_info.minor}"
HANDLER = "def handler(event, context):\n    return event\n"
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+Z")
POLL_S = 0.05
POLLS = 1200
_count = itertools.count()
_making_clients = threading.Lock()

# What takes away what an operation made; the argument is the operation's answer.
UNDO = {
    "create_function": lambda made: ("delete_function", {"FunctionName": made["FunctionName"]}),
    "create_event_source_mapping": lambda made: ("delete_event_source_mapping", {"UUID": made["UUID"]}),
    "publish_layer_version": lambda made: (
        "delete_layer_version",
        {"LayerName": made["LayerArn"], "VersionNumber": made["Version"]},
    ),
    "create_code_signing_config": lambda made: (
        "delete_code_signing_config",
        {"CodeSigningConfigArn": made["CodeSigningConfig"]["CodeSigningConfigArn"]},
    ),
}


class LeftOut(Exception):
    """This machine cannot play the scenario; the text says what it lacks."""


class Scenario(Neighbours):
    """One run of one scenario. `step` and `take` record; everything else does not."""

    def __init__(self, url):
        self.url = url
        self.lambda_ = self.client("lambda")
        self.region, self.account = REGION, ACCOUNT
        self.role = f"arn:aws:iam::{ACCOUNT}:role/{self.name('role')}"
        self.steps = {}
        self.given = {}
        self.undo = []

    def client(self, service, region=REGION, **config):
        """A client as boto3 makes it, except that it sends what is wrong, too, and does not retry."""
        config = {"read_timeout": 120, "retries": {"total_max_attempts": 1}, "parameter_validation": False, **config}
        with _making_clients:
            return boto3.client(
                service,
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(s3={"addressing_style": "path"}, **config),
            )

    def name(self, prefix="f"):
        """A name that nothing else has."""
        return f"{prefix}-{os.getpid():x}{next(_count):04x}"

    def given_as(self, **values):
        """Values that the recordings show as `<name>` because the scenario chose them (`_` stands for `-`)."""
        for name, value in values.items():
            self.given[name] = value
            self.given[name.replace("_", "-")] = value

    def take(self, step, answer):
        """Records what the scenario gathered itself."""
        assert step not in self.steps, f"{step} is taken twice"
        self.steps[step] = plain(answer)

    def step(self, step, operation, client=None, **args):
        """Calls an operation and records its answer, an error as well; the answer."""
        try:
            answer = self.call(operation, client, **args)
        except ClientError as error:
            answer = error.response
        self.take(step, answer)
        return answer

    def call(self, operation, client=None, **args):
        """Calls an operation that is only on the way; an error ends the scenario."""
        client = client or self.lambda_
        answer = getattr(client, operation)(**args)
        if operation in UNDO and client.meta.service_model.service_name == "lambda":
            self.undo.append(UNDO[operation](answer))
        return answer

    def attempt(self, operation, client=None, **args):
        """Calls an operation on the way that may fail; the answer or the error's answer."""
        try:
            return self.call(operation, client, **args)
        except ClientError as error:
            return error.response

    def later(self, operation, client=None, **args):
        """What is to be called when the scenario is over."""
        self.undo.append((operation, args) if client is None else (operation, args, client))

    def invoke(self, name, event=None, step=None, **args):
        """Invokes a function; the answer, its payload read. `step` records it."""
        args = {"FunctionName": name, **({"Payload": json.dumps(event)} if event is not None else {}), **args}
        answer = self.attempt("invoke", **args)
        if "Error" not in answer:
            answer = {**answer, "Payload": answer["Payload"].read().decode()}
            if "FunctionError" in answer and "Runtime.InvalidRuntime" in answer["Payload"]:
                raise LeftOut(json.loads(answer["Payload"])["errorMessage"])
        if step:
            self.take(step, answer)
        return answer

    def active(self, name, **args):
        """Waits until a function is ready for invokes."""
        self.wait("function_active_v2", FunctionName=name, **args)

    def updated(self, name, **args):
        """Waits until the last change of a function has taken effect."""
        self.wait("function_updated_v2", FunctionName=name, **args)

    def wait(self, waiter, **args):
        waiter = self.lambda_.get_waiter(waiter)
        waiter.config.delay, waiter.config.max_attempts = POLL_S, POLLS
        waiter.wait(**args)

    def function(self, code=HANDLER, envvars=None, step=None, **args):
        """Creates a function the way most scenarios do, waits for it, and returns the answer of its creation."""
        package = code if isinstance(code, bytes) else zip_of({"handler.py": code})
        usual = {
            "FunctionName": None,
            "Runtime": "python3.12",
            "Handler": "handler.handler",
            "Role": self.role,
            "Code": {"ZipFile": package},
            "Timeout": 30,
            "Environment": {"Variables": envvars or {}},
        }
        usual["FunctionName"] = args.get("FunctionName") or self.name()
        created = self.call("create_function", **{**usual, **args})
        if step:
            self.take(step, {"CreateFunctionResponse": created, "CreateEventSourceMappingResponse": None})
        self.active(created["FunctionName"])
        return created

    def until(self, condition):
        """Waits for what the server does in its own time."""
        for _ in range(POLLS):
            if condition():
                return
            time.sleep(POLL_S)
        raise AssertionError("what the scenario waits for never came")

    def gone(self, operation, **args):
        """Waits until what the operation reads is no more."""
        self.until(lambda: "Error" in self.attempt(operation, **args))

    def clean(self):
        """Takes away all that the scenario made, the last first."""
        for operation, args, *client in reversed(self.undo):
            try:
                getattr(client[0] if client else self.lambda_, operation)(**args)
            except ClientError:
                pass  # the scenario took it away itself, or the server will with its data folder


def zip_of(files):
    """A package: {"name": text or bytes}."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def tail(answer):
    """The lines of an invoke's log, without the REPORT line and with times as the recordings show them."""
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    return [TIME.sub("date", line) for line in lines if line and not line.startswith("REPORT")]


def alone(scenario):
    """Marks a scenario that others would disturb: it looks at the account as a whole."""
    scenario.alone = True
    return scenario


def settling(scenario):
    """Marks a scenario that wants to see an update in progress: it plays against a server that takes its time."""
    scenario.settling = True
    return scenario
