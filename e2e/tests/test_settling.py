"""`--settle-after`: a create or an update stays under way, so that a client that forgets to wait notices."""

from conftest import PYTHON, ROLE, client_of
from support.errors import refused
from support.packages import zip_of

PACKAGE = zip_of({"app.py": "def handler(event, context):\n    return 'one'\n"})
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
BUSY = (409, "ResourceConflictException", f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}")
# Longer than any test takes: what is under way at the end was never settled.
NEVER = ("--settle-after", "60000")


def create(client):
    return client.create_function(FunctionName="f", Runtime=PYTHON, Handler="app.handler", Role=ROLE, Code={"ZipFile": PACKAGE})


def test_a_new_function_is_pending_and_takes_no_change(alone):
    client = client_of(alone(*NEVER))
    create(client)
    got = client.get_function_configuration(FunctionName="f")
    assert (got["State"], got["StateReasonCode"]) == ("Pending", "Creating") and "LastUpdateStatus" not in got
    assert refused(client.update_function_code, FunctionName="f", ZipFile=PACKAGE) == BUSY
    assert refused(client.update_function_configuration, FunctionName="f", Timeout=9) == BUSY
    assert refused(client.publish_version, FunctionName="f")[:2] == BUSY[:2]
    assert refused(client.invoke, FunctionName="f")[:2] == BUSY[:2]
    client.delete_function(FunctionName="f")


def test_what_is_under_way_ends(alone):
    client = client_of(alone("--settle-after", "300"))
    create(client)
    client.get_waiter("function_active_v2").wait(FunctionName="f")
    answer = client.update_function_configuration(FunctionName="f", Timeout=9)
    assert (answer["State"], answer["LastUpdateStatus"]) == ("Active", "InProgress")
    client.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert client.get_function_configuration(FunctionName="f")["Timeout"] == 9


def test_a_restart_ends_what_was_under_way(alone):
    server = alone(*NEVER)
    create(client_of(server))
    server.kill()
    client = client_of(server.start())
    assert client.get_function_configuration(FunctionName="f")["State"] == "Active"


def test_the_old_code_serves_until_an_update_is_done(alone):
    server = alone(*NEVER)
    create(client_of(server))
    server.kill()
    client = client_of(server.start())
    newer = zip_of({"app.py": "def handler(event, context):\n    return 'two'\n"})
    client.update_function_code(FunctionName="f", ZipFile=newer)
    assert client.get_function_configuration(FunctionName="f")["LastUpdateStatus"] == "InProgress"
    assert client.invoke(FunctionName="f")["Payload"].read() == b'"one"'
