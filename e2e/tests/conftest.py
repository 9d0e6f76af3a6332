"""A server per worker; functions that go with their test."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from support.clients import service_of
from support.clock import MANUAL
from support.collector import collecting
from support.gates import Gates
from support.packages import zip_of
from support.server import Server, running
from support.streams import Upstream
from support.workers import WorkerProcess

ROLE = "arn:aws:iam::000000000000:role/test"
PYTHON = f"python3.{sys.version_info.minor}"
_count = itertools.count()
EMPTY = {}


def client_of(server):
    """boto3's Lambda client, which leaves it to the server to say what is wrong."""
    return service_of(server, "lambda", parameter_validation=False)


@pytest.fixture(scope="session")
def server():
    """Shared by the tests of one worker."""
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def strict():
    """A server that asks everybody for a signature, shared by the tests of one file."""
    with running("--auth", "required") as server:
        yield server


@pytest.fixture(scope="module")
def manual():
    """A server whose clock is moved by hand, shared by the tests of one file."""
    with running(*MANUAL) as server:
        yield server


@pytest.fixture(scope="module")
def quick():
    """A server that tries again what failed after 120 and 240 ms, shared by the tests of one file."""
    with running("--retry-base", "120") as server:
        yield server


@pytest.fixture(scope="module")
def upstream():
    """An independent emulator of services that Hearth reads from, shared by the tests of one file."""
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def alone():
    """Makes servers for one test: alone("--concurrency", "2")."""
    servers = []

    def start(*args):
        server = Server(*args)
        servers.append(server)
        return server.start()

    try:
        yield start
    finally:
        for server in servers:
            server.close()


@pytest.fixture
def house(alone):
    """Makes a server whose functions run in worker processes, and these: house(2, "--placement", "spread")."""
    started = []

    def start(count, *args):
        server = alone("--no-worker", *args)
        workers = [WorkerProcess(server, f"w{n}", "--memory-budget", "8000") for n in range(count)]
        started.extend(workers)
        for worker in workers:
            worker.start()
        client = client_of(server)
        deploy, _ = deployer(client)
        return server, workers, client, deploy

    yield start
    for worker in started:
        worker.close()


@pytest.fixture(scope="module")
def collector():
    """Who takes spans, as OpenTelemetry's collector does."""
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="session")
def gate(server):
    """gate() -> what functions on the shared server can wait for."""
    return Gates(server)


@pytest.fixture(scope="session")
def client(server):
    return client_of(server)


class Function:
    """A deployed function."""

    def __init__(self, client, name):
        self.client, self.name = client, name

    def invoke(self, event=EMPTY, **args):
        """The answer of the client, its payload read into `payload`."""
        payload = json.dumps(event)
        args = {"FunctionName": self.name, "Payload": payload, **args}
        answer = self.client.invoke(**args)
        answer["payload"] = answer["Payload"].read()
        return answer

    def call(self, event=EMPTY, **args):
        """What the handler returned; fails on a function error."""
        answer = self.invoke(event, **args)
        assert "FunctionError" not in answer, answer["payload"]
        return json.loads(answer["payload"])

    def error(self, event=EMPTY, **args):
        """The payload of a function error; fails if there is none."""
        answer = self.invoke(event, **args)
        assert answer.get("FunctionError") == "Unhandled", answer
        return json.loads(answer["payload"])

    def ready(self):
        """Waits for the last change to take effect."""
        active = self.client.get_waiter("function_active_v2")
        active.config.delay = 0.05
        active.wait(FunctionName=self.name)
        updated = self.client.get_waiter("function_updated_v2")
        updated.config.delay = 0.05
        updated.wait(FunctionName=self.name)
        return self

    def update(self, code=None, **config):
        """Changes code (of app.py, or of all files) or configuration and waits."""
        if code is not None:
            files = {"app.py": code} if isinstance(code, str) else code
            self.client.update_function_code(FunctionName=self.name, ZipFile=zip_of(files))
            self.ready()
        if config:
            self.client.update_function_configuration(FunctionName=self.name, **config)
            self.ready()

    def delete(self):
        self.client.delete_function(FunctionName=self.name)


def deployer(client):
    """deploy("def handler(event, context): ...", MemorySize=128) and what removes all that it made."""
    made = []

    def deploy(code, **args):
        files = {"app.py": code} if isinstance(code, str) else code
        package = files if isinstance(files, bytes) else zip_of(files)
        name = args.pop("FunctionName", None) or unique()
        defaults = {"Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "MemorySize": 1769, "Timeout": 30}
        client.create_function(FunctionName=name, Code={"ZipFile": package}, **{**defaults, **args})
        function = Function(client, name)
        made.append(function)
        return function.ready()

    def clean():
        for function in made:
            try:
                function.delete()
            except client.exceptions.ResourceNotFoundException:
                pass

    return deploy, clean


@pytest.fixture
def deploy(client):
    deploy, clean = deployer(client)
    yield deploy
    clean()


def deploys_on(server):
    """The fixture `deploy` for the server that this fixture gives."""

    @pytest.fixture
    def deploy(request):
        deploy, clean = deployer(client_of(request.getfixturevalue(server)))
        yield deploy
        clean()

    return deploy


def service_on(server, service):
    """The fixture that is boto3's client of this service of the server that that fixture gives."""

    @pytest.fixture(scope="module")
    def client(request):
        return service_of(request.getfixturevalue(server), service)

    return client


@pytest.fixture(scope="module")
def deploy_once(client):
    """For functions that all tests of a file use."""
    deploy, clean = deployer(client)
    yield deploy
    clean()


def unique(prefix="f"):
    """A function name that no other test uses."""
    return f"{prefix}-{os.getpid()}-{next(_count)}-{time.time_ns() % 1000000}"


@pytest.fixture
def aws(server, tmp_path):
    """aws("lambda", "list-functions") -> parsed output; fails if the command does, unless `fails`."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
    }

    def run(*words, fails=False):
        done = subprocess.run([os.environ["AWS"], *map(str, words)], env=environment, capture_output=True, text=True, cwd=tmp_path)
        if fails:
            assert done.returncode != 0, done.stdout
            return done.stderr
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """browse(url) -> the page as a browser has it when its scripts have run."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("there is no Chromium")

    def browse(url):
        profile = tmp_path_factory.mktemp("profile")
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return browse
