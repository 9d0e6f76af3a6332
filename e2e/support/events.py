"""What tests of asynchronous invokes share: a function that says what it does, and how to hear it."""

import json
import urllib.request

from support.server import wait_until

# Prints a line of JSON for each run, with what the event asks it to be.
SAY = """
import json, time
def handler(event, context):
    began = time.time()
    time.sleep(event.get("sleep", 0) if isinstance(event, dict) else 0)
    print("SAID " + json.dumps({"id": context.aws_request_id, "event": event, "arn": context.invoked_function_arn,
                                "version": context.function_version, "began": began, "ended": time.time()}))
    if isinstance(event, dict) and event.get("fail"):
        raise Exception(event["fail"])
    return {"echo": event}
"""
WAIT_S = 60


def said(server, function):
    """What the function has said in all its runs, in order."""
    with urllib.request.urlopen(f"{server.url}/_hearth/logs/{function.name}") as answer:
        lines = answer.read().decode().splitlines()
    return [json.loads(line.removeprefix("SAID ")) for line in lines if line.startswith("SAID ")]


def heard(server, function, count):
    """Waits until it has run so often."""
    wait_until(lambda: len(said(server, function)) >= count, WAIT_S, lambda: f"{len(said(server, function))} of {count} runs")
    return said(server, function)


def send(function, event, **args):
    """Sends an event; its request id."""
    answer = function.client.invoke(FunctionName=function.name, InvocationType="Event", Payload=json.dumps(event), **args)
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b""), answer
    assert "ExecutedVersion" not in answer and "FunctionError" not in answer
    return answer["ResponseMetadata"]["RequestId"]
