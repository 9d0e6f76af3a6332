"""Function URLs: their configuration, and what calls of them answer."""

import json

from harness import urls
from harness.scenario import HANDLER, PYTHON, zip_of

CREATE, GET, UPDATE = "create_function_url_config", "get_function_url_config", "update_function_url_config"
ECHO = """import base64, json
def handler(event, context):
    http = event["requestContext"]["http"]
    body = event.get("body", "")
    if not event["isBase64Encoded"] and body:
        body = json.loads(body)
    return {
        "args": event.get("queryStringParameters", {}),
        "data": body,
        "domain": event["requestContext"]["domainName"],
        "headers": event["headers"],
        "method": http["method"],
        "origin": http["sourceIp"],
        "path": http["path"],
    }
"""
STREAMING = """exports.handler = awslambda.streamifyResponse(async (event, stream) => {
    stream.write('Hello, ');
    stream.write('world!');
    stream.end();
});
"""
RETURNED = {
    "boolean": True,
    "dict": {"hello": "world"},
    "float": 3.1,
    "http-response": {"statusCode": 200, "body": "body123"},
    "http-response-json": {"statusCode": 200, "body": json.dumps({"hello": "world"})},
    "integer": 3,
    "list-mixed": ["hello", 3, True],
    "string": "hello",
}


def test_lambda_update_function_url_config(s):
    name = s.function()["FunctionName"]
    s.step("create_lambda_url_config", CREATE, FunctionName=name, AuthType="NONE", InvokeMode="BUFFERED")
    s.step("get_url_config", GET, FunctionName=name)
    args = {"FunctionName": name, "AuthType": "NONE"}
    s.step("modify_lambda_url_config", UPDATE, **args, InvokeMode="RESPONSE_STREAM")
    s.step("get_url_config_2", GET, FunctionName=name)
    s.step("modify_lambda_url_config_none", UPDATE, **args)
    s.step("get_url_config_3", GET, FunctionName=name)


def test_lambda_url_invocation(s, kind):
    code = f"def handler(event, context):\n    return {RETURNED[kind]!r}\n"
    url = opened(s, s.function(code, Runtime=PYTHON)["FunctionName"], record=True)
    answer = urls.request(url, server=s.url)
    headers = {name: answer.headers.get(name.lower()) for name in ("Content-Length", "Content-Type")}
    s.take("lambda_url_invocation", {"content": answer.content(), "headers": headers, "statuscode": answer.status})


def test_lambda_url_invocation_exception(s):
    name = s.name()
    s.function("def handler(event, context):\n    raise Exception('no')\n", FunctionName=name)
    s.step("get_fn_result", "get_function", FunctionName=name)
    url = opened(s, name, record=True)
    answer = urls.request(url, server=s.url)
    assert answer.status == 502 and answer.text == "Internal Server Error", (answer.status, answer.text)


def test_lambda_url_echo_http_fixture_default(s):
    url = opened(s, s.function(ECHO, Runtime=PYTHON)["FunctionName"])
    headers = {
        "User-Agent": "test/echo",
        "Accept-Encoding": "gzip, deflate",
        "Accept": "*/*",
        "ExTrA-HeADErs": "With WeiRd CapS",
        "Content-Type": "application/json",
    }
    path = "/pa2%Fth/1?q=query&multiQuery=foo&multiQuery=%2Fbar"
    answer = urls.request(url, "POST", path, headers, b'{"foo": "bar"}', s.url)
    s.take("url_response", answer.json())


def test_lambda_url_form_payload(s):
    url = opened(s, s.function(ECHO, Runtime=PYTHON)["FunctionName"])
    boundary = "4efd159eae0c4f4e125a5a509e073d85"
    parts = 'form-data; name="formfield"', "", "not a file, just a field", 'form-data; name="foo"; filename="foo"'
    body = f"\r\n--{boundary}\r\nContent-Disposition: {parts[0]}\r\n\r\n{parts[2]}\r\n--{boundary}\r\n"
    body += f"Content-Disposition: {parts[3]}\r\nContent-Type: text/plain;\r\n\r\nbar\r\n\r\n--{boundary}--\r\n"
    headers = {
        "User-Agent": "python/test-request",
        "Accept-Encoding": "gzip, deflate",
        "Accept": "*/*",
        "Content-Type": f"multipart/form-data; boundary={boundary}",
    }
    answer = urls.request(url, "POST", "/test/value", headers, body.encode(), s.url).json()
    # What AWS adds on the way is not the subject here and was not kept.
    answer["headers"] = {k: v for k, v in answer["headers"].items() if not k.startswith("x-")}
    s.take("url_response", answer)


def test_function_url_with_response_streaming(s):
    code = zip_of({"handler.js": STREAMING})
    url = opened(s, s.function(code, Runtime="nodejs20.x")["FunctionName"], InvokeMode="RESPONSE_STREAM")
    answer = urls.request(url, server=s.url)
    s.take("response_status", answer.status)
    s.take("response_data", answer.text)


def test_lambda_url_persists_after_alias_delete(s):
    name, alias = s.function(HANDLER, Runtime=PYTHON)["FunctionName"], "test-alias"
    s.call("publish_version", FunctionName=name)
    s.call("create_alias", FunctionName=name, Name=alias, FunctionVersion="1")
    args = {"FunctionName": name, "Qualifier": alias, "AuthType": "NONE", "InvokeMode": "BUFFERED"}
    url = s.step("create_lambda_url_config", CREATE, **args)["FunctionUrl"]
    allow(s, name, Qualifier=alias)
    s.take("invoke_aliased_url_response", {"status_code": urls.request(url, server=s.url).status})
    s.step("delete_alias_resp", "delete_alias", FunctionName=name, Name=alias)
    s.until(lambda: urls.request(url, server=s.url).status != 200)
    answer = urls.request(url, server=s.url)
    headers = {"x-amzn-ErrorType": answer.headers.get("x-amzn-errortype")}
    step = "invoke_deleted_alias_url_response_delayed"
    s.take(step, {"content": answer.content(), "headers": headers, "status_code": answer.status})


def opened(s, name, record=False, **args):
    """A function's URL that anybody may call."""
    args = {"FunctionName": name, "AuthType": "NONE", **args}
    made = s.step("create_lambda_url_config", CREATE, **args) if record else s.call(CREATE, **args)
    if record:
        s.take("add_permission", allow(s, name))
    else:
        allow(s, name)
    return made["FunctionUrl"]


def allow(s, name, **args):
    action = {"Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"}
    return s.call("add_permission", FunctionName=name, StatementId="urlPermission", **action, **args)
