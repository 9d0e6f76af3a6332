"""One id for an invoke: in the answer, in the function, in the log."""

from harness import logs, urls
from harness.scenario import PYTHON, TIME

SAYS = """import logging
logger = logging.getLogger()
logger.setLevel(logging.INFO)
def handler(event, context):
    logger.info("RequestId log message")
    return context.aws_request_id
"""
FAILS = "def handler(event, context):\n    raise Exception('always')\n"


def test_request_id_invoke(s):
    name = s.function(SAYS, Runtime=PYTHON)["FunctionName"]
    s.invoke(name, {}, step="invoke_result")
    found = logs.events(s, name, logs.count("REPORT"))
    lines = [TIME.sub("date", event["message"]).rstrip() for event in found]
    s.take("log_entries", {"logs": [line for line in lines if not line.startswith("INIT_START")]})


def test_request_id_invoke_url(s):
    name = s.function("def handler(event, context):\n    return 'hi'\n", Runtime=PYTHON)["FunctionName"]
    create = {"FunctionName": name, "AuthType": "NONE"}
    url = s.step("create_lambda_url_config", "create_function_url_config", **create)["FunctionUrl"]
    allow = {"Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"}
    s.step("add_permission", "add_permission", FunctionName=name, StatementId="urlPermission", **allow)
    answer = urls.request(url, server=s.url)
    headers = {"x-amzn-RequestId": answer.headers.get("x-amzn-requestid")}
    s.take("lambda_url_invocation", {"content": answer.content(), "headers": headers, "statuscode": answer.status})
    assert answer.status == 200, "without an invoke there is nothing in the log"
    s.take("end_log_entries", ends(logs.events(s, name, logs.count("END"))))


def test_request_id_async_invoke_with_retry(s):
    name = s.function(FAILS, Runtime=PYTHON)["FunctionName"]
    s.call("put_function_event_invoke_config", FunctionName=name, MaximumRetryAttempts=1)
    accepted = s.invoke(name, {}, step="invoke_result", InvocationType="Event")
    assert "Error" not in accepted, "without an invoke there is nothing in the log"
    found = logs.events(s, name, lambda events: logs.count("END")(events, 2))
    s.take("end_messages", ends(found))
    assert len({event["message"] for event in found if event["message"].startswith("END")}) == 1


def ends(events):
    return [event["message"].rstrip() for event in events if event["message"].startswith("END")]
