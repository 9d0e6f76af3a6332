"""What bad requests are sent to: one function with all that may hang on it. Import `world` into a test file."""

import sys

import pytest

from support.bad import CODE, ROLE, state
from support.packages import zip_of
from support.sources import queue_beside

FUNCTION, LAYER = "bad", "bad-layer"
PYTHON = f"python3.{sys.version_info.minor}"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:bad-queue"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/bad-stream"
TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/bad/stream/2025-11-25T02:38:40.000"


@pytest.fixture(scope="module")
def world(server, client):
    """The function `bad` with versions 1 and 2, alias `live` of 1, a policy, a URL and settings; the layer `bad-layer`."""
    package = zip_of({"app.py": CODE})
    runtime = {"Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE}
    client.create_function(FunctionName=FUNCTION, Code={"ZipFile": package}, **runtime)
    ready(client)
    client.publish_version(FunctionName=FUNCTION)
    client.update_function_configuration(FunctionName=FUNCTION, Description="second")
    ready(client)
    client.publish_version(FunctionName=FUNCTION)
    client.create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion="1")
    client.add_permission(FunctionName=FUNCTION, StatementId="s1", Action="lambda:InvokeFunction", Principal="*")
    client.create_function_url_config(FunctionName=FUNCTION, AuthType="NONE")
    client.put_function_event_invoke_config(FunctionName=FUNCTION, MaximumRetryAttempts=1)
    client.publish_layer_version(LayerName=LAYER, Content={"ZipFile": package})
    for name, attributes in (("bad-queue", {}), ("other-queue", {}), ("short-queue", {"VisibilityTimeout": "1"})):
        queue_beside(client, name, **attributes)
    mapping = client.create_event_source_mapping(FunctionName=FUNCTION, EventSourceArn=QUEUE, Enabled=False)["UUID"]
    yield mapping
    client.delete_event_source_mapping(UUID=mapping)
    client.delete_layer_version(LayerName=LAYER, VersionNumber=1)
    client.delete_function(FunctionName=FUNCTION)


@pytest.fixture
def unchanged(server, world):
    """Holds that a test changes nothing."""
    before, packages = state(server, FUNCTION, LAYER)
    yield
    after, more_packages = state(server, FUNCTION, LAYER)
    assert after == before
    assert more_packages <= packages, "a package of a refused request was kept"


def ready(client):
    for waiter in ("function_active_v2", "function_updated_v2"):
        waiter = client.get_waiter(waiter)
        waiter.config.delay = 0.05
        waiter.wait(FunctionName=FUNCTION)
