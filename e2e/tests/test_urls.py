"""Function URLs: the event, the response, permissions, CORS, and whom their hosts reach."""

import base64
import socket
import urllib.parse

import pytest

from conftest import deployer, unique
from support import raw
from support.errors import refused
from support.keys import allow, client_with, deny, made, made_with, make_role
from support.urls import FORBIDDEN, call, public, signed

ECHO = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps({**event, "at": context.aws_request_id, "arn": context.invoked_function_arn})}
"""
# Answers with what the body says, as Python reads it.
PROGRAM = """
import base64, time
def handler(event, context):
    text = event.get("body", "")
    text = base64.b64decode(text).decode() if event["isBase64Encoded"] else text
    return eval(text)
"""
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def echo(client, deploy_once):
    return public(client, deploy_once(ECHO).name)


@pytest.fixture(scope="module")
def program(client, deploy_once):
    """program("'hello'") -> the response to what a function returned."""
    url = public(client, deploy_once(PROGRAM, Timeout=5).name)
    return lambda text, **how: call(url, method="POST", body=text.encode(), headers=TEXT, **how)


def test_the_event_is_that_of_payload_format_2(echo):
    headers = [("Extra-Headers", "With WeiRd CapS"), ("X-A", "1"), ("x-a", "2"), ("User-Agent", "test/echo"), ("Cookie", "a=1; b=2"), ("Content-Type", "application/json"), ("X-Forwarded-For", "6.6.6.6")]
    answer = call(echo, "/pa2%Fth/1?q=query&multiQuery=foo&multiQuery=%2Fbar", "POST", b'{"foo": "bar"}', headers)
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    event, host = answer.json, urllib.parse.urlsplit(echo).netloc
    assert event.pop("at") == event["requestContext"].pop("requestId") == answer.headers["x-amzn-requestid"]
    trace = event["headers"].pop("x-amzn-trace-id")
    assert answer.headers["x-amzn-trace-id"] == trace.replace("Root", "root").replace("Parent", "parent").replace("Sampled", "sampled")
    assert event["requestContext"].pop("timeEpoch") // 1000 > 1_700_000_000 and event["requestContext"].pop("time").endswith(" +0000")
    name = event.pop("arn").rpartition(":")[2]
    port = host.rpartition(":")[2]
    id = host.partition(".")[0]
    assert name and event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/pa2%Fth/1",
        "rawQueryString": "q=query&multiQuery=foo&multiQuery=%2Fbar",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "content-length": "14",
            "content-type": "application/json",
            "extra-headers": "With WeiRd CapS",
            "host": host,
            "user-agent": "test/echo",
            "x-a": "1,2",
            "x-amzn-tls-cipher-suite": "none",
            "x-amzn-tls-version": "none",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": port,
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"q": "query", "multiQuery": "foo,/bar"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": id,
            "domainName": host,
            "domainPrefix": id,
            "http": {"method": "POST", "path": "/pa2%Fth/1", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test/echo"},
            "routeKey": "$default",
            "stage": "$default",
        },
        "body": '{"foo": "bar"}',
        "isBase64Encoded": False,
    }


def test_forms_and_bytes_come_as_base64(echo):
    for kind, body in [("multipart/form-data; boundary=x", b"--x--\r\n"), ("application/x-www-form-urlencoded", b"a=1"), ("image/png", b"\x89PNG\xff")]:
        event = call(echo, method="POST", body=body, headers={"Content-Type": kind}).json
        assert event["isBase64Encoded"] and base64.b64decode(event["body"]) == body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_all_methods_reach_the_function(echo, method):
    answer = call(echo, "/m", method)
    assert answer.status == 200
    if method == "HEAD":
        assert answer.body == b"" and int(answer.headers["content-length"]) > 100
    else:
        assert answer.json["requestContext"]["http"]["method"] == method


def test_a_senders_trace_goes_on(echo):
    root = "Root=1-65f0a1b2-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1"
    answer = call(echo, headers={"X-Amzn-Trace-Id": root})
    assert answer.json["headers"]["x-amzn-trace-id"] == root
    assert answer.headers["x-amzn-trace-id"] == "root=1-65f0a1b2-0123456789abcdef01234567;parent=0123456789abcdef;sampled=1"


@pytest.mark.parametrize(
    "returned, body",
    [("True", "true"), ("3.1", "3.1"), ("3", "3"), ("['hello', 3, True]", '["hello",3,true]'), ("'hello'", "hello"), ("{'hello': 'world'}", '{"hello":"world"}'), ("None", "null")],
)
def test_bare_values_are_bodies(program, returned, body):
    answer = program(returned)
    assert (answer.status, answer.headers["content-type"], answer.body.decode()) == (200, "application/json", body)
    assert answer.headers["content-length"] == str(len(body))


def test_a_response_is_taken_member_by_member(program):
    answer = program("{'statusCode': 201, 'headers': {'Content-Type': 'text/html', 'X-N': 1}, 'cookies': ['a=1', 'b=2; Domain=localhost'], 'body': '<p>'}")
    assert (answer.status, answer.body, answer.headers["content-type"], answer.headers["x-n"]) == (201, b"<p>", "text/html", "1")
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    answer = program("{'statusCode': 200, 'body': base64.b64encode(bytes(range(256))).decode(), 'isBase64Encoded': True}")
    assert answer.body == bytes(range(256))
    answer = program("{'statusCode': 204, 'body': 'x'}")
    assert (answer.status, answer.body) == (204, b"") and "content-length" not in answer.headers


@pytest.mark.parametrize(
    "returned",
    ["1/0", "{'statusCode': 99}", "{'statusCode': 1000}", "{'statusCode': 'abc'}", "{'statusCode': 101}", "{'statusCode': 200, 'headers': {'x': 'a\\r\\nset-cookie: b=c'}}", "{'statusCode': 200, 'headers': ['x']}", "{'statusCode': 200, 'body': '?', 'isBase64Encoded': True}", "time.sleep(30)", "'x' * (7 << 20)"],
)
def test_what_fails_is_a_bad_gateway(program, returned):
    answer = program(returned)
    assert (answer.status, answer.body) == (502, b"Internal Server Error")
    assert "set-cookie" not in answer.headers and answer.headers["x-amzn-requestid"]


def test_a_function_lies_about_the_connection_in_vain(server, client, deploy):
    code = "def handler(e, c): return {'statusCode': 200, 'body': 'hello', 'headers': {'Content-Length': '3', 'Transfer-Encoding': 'chunked', 'Connection': 'close', 'Upgrade': 'h2c', 'x-amzn-RequestId': 'forged', 'X-Own': '1'}}"
    host = urllib.parse.urlsplit(public(client, deploy(code).name)).netloc
    with raw.connect(server) as sock:
        for _ in range(2):
            answer = raw.request(server, "GET", "/", headers=[("Host", host)], sock=sock)
            assert (answer.body, answer.headers["content-length"], answer.headers["x-own"]) == (b"hello", "5", "1")
            assert not {"transfer-encoding", "connection", "upgrade"} & set(answer.headers)
            assert answer.headers["x-amzn-requestid"] != "forged"


@pytest.mark.parametrize(
    "head",
    [
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "GET / HTTP/1.1\r\nHost: {host}\r\nX-A: 1\r\n  2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: {host}\r\nHost: localhost\r\n\r\n",
    ],
)
def test_two_requests_are_never_read_out_of_one(server, echo, head):
    host = urllib.parse.urlsplit(echo).netloc
    smuggled = f"GET /2015-03-31/functions HTTP/1.1\r\nHost: {host}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 30) as sock:
        sock.sendall((head.format(host=host) + smuggled).encode())
        answer = raw.read_answer(sock)
        assert answer is None or answer.status in (400, 403) or answer.json["rawPath"] == "/", answer
        if answer is None or answer.headers.get("connection") == "close":
            assert raw.recv(sock) == b""


def test_large_bodies_are_refused_whether_or_not_they_say_how_large(server, client, echo):
    limit = 6 * 1024 * 1024
    for body in [b"x" * (limit + 1), b"\xff" * (limit - 1024)]:
        answer = call(echo, method="POST", body=body, headers=TEXT)
        assert answer.status == 413 and answer.headers["x-amzn-errortype"] == "RequestTooLargeException"
    body = b"x" * (limit - 4096)
    assert len(call(echo, method="POST", body=body, headers=TEXT).body) != 0


def test_a_throttle_is_told(client, deploy):
    function = deploy(ECHO)
    url = public(client, function.name)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    answer = call(url)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (429, "TooManyRequestsException")
    assert answer.json == {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."}


def test_without_permission_nobody_comes_in(client, deploy):
    function = deploy(ECHO)
    url = client.create_function_url_config(FunctionName=function.name, AuthType="NONE")["FunctionUrl"]
    may = lambda: call(url).status
    assert may() == 403
    for sid, action, more in [("a", "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}), ("b", "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "AWS_IAM"})]:
        client.add_permission(FunctionName=function.name, StatementId=sid, Action=action, Principal="*", **more)
        answer = call(url)
        assert (answer.status, answer.json, answer.headers["x-amzn-errortype"]) == (403, FORBIDDEN, "AccessDeniedException")
    client.add_permission(FunctionName=function.name, StatementId="c", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
    assert may() == 200
    client.remove_permission(FunctionName=function.name, StatementId="c")
    assert may() == 403


def test_aliases_have_urls_of_their_own_and_leave_them_behind(client, deploy):
    function = deploy("def handler(e, c): return 'one'")
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    latest, live = public(client, function.name), public(client, function.name, "live")
    function.update("def handler(e, c): return c.invoked_function_arn")
    assert call(live).body == b"one" and call(latest).body.decode().endswith(f":{function.name}")
    client.publish_version(FunctionName=function.name)
    client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="2")
    assert call(live).body.decode().endswith(f":{function.name}:live")
    client.delete_alias(FunctionName=function.name, Name="live")
    answer = call(live)
    assert (answer.status, answer.json, answer.headers["x-amzn-errortype"]) == (403, FORBIDDEN, "AccessDeniedException")


def test_a_url_that_is_gone_is_nobodys_at_once(client, deploy):
    function = deploy(ECHO)
    for remove in (client.delete_function_url_config, client.delete_function):
        client.create_function_url_config(FunctionName=function.name, AuthType="NONE")
        url = client.get_function_url_config(FunctionName=function.name)["FunctionUrl"]
        if remove == client.delete_function_url_config:
            client.add_permission(FunctionName=function.name, StatementId="c", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
        assert call(url).status == 200
        remove(FunctionName=function.name)
        answer = call(url)
        assert (answer.status, answer.json, answer.headers["x-amzn-errortype"]) == (403, {"Message": None}, "AccessDeniedException")


@pytest.mark.parametrize("host", ["0123456789abcdefghijklmnopqrstuv.lambda-url.us-east-1.localhost", "{id}.lambda-url.eu-west-1.localhost", "x.{id}.lambda-url.us-east-1.localhost", "lambda-url.us-east-1.localhost", "{id}.LAMBDA-URL.localhost"])
def test_hosts_of_urls_reach_functions_or_nothing(server, echo, host):
    id = urllib.parse.urlsplit(echo).netloc.partition(".")[0]
    headers = [("Host", f"{host.format(id=id)}:{server.port}")]
    for method, path in [("GET", "/2015-03-31/functions"), ("GET", "/_hearth/health"), ("POST", "/?Action=GetCallerIdentity&Version=2011-06-15"), ("GET", "/")]:
        answer = raw.request(server, method, path, headers=headers)
        assert (answer.status, answer.json) == (403, {"Message": None})
    s3 = ("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
    assert raw.request(server, "GET", "/", headers=[*headers, s3]).json == {"Message": None}


def test_own_paths_of_the_server_are_the_functions_under_its_host(echo):
    for path in ["/2015-03-31/functions", "/_hearth/health", "/?Action=ListRoles"]:
        assert call(echo, path).json["rawPath"] == path.partition("?")[0]


def test_hosts_that_strangers_could_point_here_are_refused(server, echo):
    id = urllib.parse.urlsplit(echo).netloc.partition(".")[0]
    for host, status in [("evil.example", 403), ("on.aws.evil.example", 403), ("localhost", 200), ("on.aws", 200)]:
        assert raw.request(server, "GET", "/", headers=[("Host", f"{id}.lambda-url.us-east-1.{host}")]).status == status, host


def test_both_loopback_addresses_lead_to_a_url(server, echo):
    assert call(echo, address="127.0.0.1").json["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
    if socket.has_ipv6 and "\n" in open("/proc/net/if_inet6").read():
        assert call(echo, address="::1").json["requestContext"]["http"]["sourceIp"] == "::1"


CORS = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET", "PUT"], "AllowHeaders": ["x-a", "content-type"], "ExposeHeaders": ["x-b"], "MaxAge": 60, "AllowCredentials": True}


def shared(answer):
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-") or name == "vary"}


def test_cors_is_the_urls_and_not_the_functions(client, deploy):
    function = deploy("def handler(e, c): return {'statusCode': 200, 'headers': {'Access-Control-Allow-Origin': 'https://own.example', 'x-b': '1'}, 'body': 'ran'}")
    url = public(client, function.name)
    page = {"Origin": "https://a.example"}
    ask = {**page, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-a"}
    answer = call(url, method="OPTIONS", headers=ask)
    assert answer.body == b"ran" and shared(answer) == {"access-control-allow-origin": "https://own.example"}

    client.update_function_url_config(FunctionName=function.name, Cors=CORS)
    both = {"access-control-allow-origin": "https://a.example", "access-control-allow-credentials": "true", "vary": "Origin"}
    answer = call(url, method="OPTIONS", headers=ask)
    assert (answer.status, answer.body) == (200, b"")
    assert shared(answer) == {**both, "access-control-allow-methods": "GET,PUT", "access-control-allow-headers": "x-a,content-type", "access-control-max-age": "60"}
    answer = call(url, headers=page)
    assert answer.body == b"ran" and shared(answer) == {**both, "access-control-expose-headers": "x-b"}
    for other in [{"Origin": "https://own.example"}, {}]:
        assert shared(call(url, headers=other)) == {"vary": "Origin"}
    assert call(url, method="OPTIONS").body == b"ran", "asked by no page"

    client.update_function_url_config(FunctionName=function.name, AuthType="AWS_IAM", Cors={"AllowOrigins": ["*"]})
    answer = call(url, method="OPTIONS", headers=ask)
    assert answer.status == 200 and shared(answer) == {"access-control-allow-origin": "*", "vary": "Origin"}
    answer = call(url, headers=page)
    assert answer.status == 403 and shared(answer) == {"access-control-allow-origin": "*", "vary": "Origin"}, "the page may see why"


def test_where_callers_sign_an_open_server_takes_any_credentials(client, deploy):
    function = deploy(ECHO)
    url = client.create_function_url_config(FunctionName=function.name, AuthType="AWS_IAM")["FunctionUrl"]
    assert (call(url).status, call(url).json) == (403, FORBIDDEN)
    assert call(url, headers={"Authorization": "Bearer x"}).status == 403
    test = {"AccessKeyId": "test", "SecretAccessKey": "test"}
    assert signed(url, test, service="execute-api").status == 403
    answer = signed(url, test, "/p?b=2&a=1", "POST", b"{}", headers={"Content-Type": "application/json"})
    context = answer.json["requestContext"]
    assert (context["accountId"], context["authorizer"]["iam"]["accessKey"]) == ("000000000000", "test")
    assert "authorization" not in answer.json["headers"] and answer.json["body"] == "{}"


@pytest.fixture(scope="module")
def admin(strict):
    key = made(strict)
    make_role(strict, key)
    return client_with(strict, "lambda", key)


@pytest.fixture(scope="module")
def guarded(admin):
    """A function whose callers sign, on a server that asks everybody."""
    deploy, clean = deployer(admin)
    function = deploy(ECHO, FunctionName=unique())
    function.url = admin.create_function_url_config(FunctionName=function.name, AuthType="AWS_IAM")["FunctionUrl"]
    yield function
    clean()


def test_who_signs_needs_a_permission_and_is_named(strict, guarded, tmp_path):
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{guarded.name}"
    may = {"Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}}
    ann = made_with(strict, tmp_path, "ann", allow("lambda:InvokeFunctionUrl", arn, **may))
    bob = made_with(strict, tmp_path, "bob", allow("lambda:InvokeFunction", arn))
    eve = made_with(strict, tmp_path, "eve", allow("lambda:*"), deny("lambda:InvokeFunctionUrl"))
    url = guarded.url
    answer = signed(url, ann, "/a%20b?x=%2F&a=1", "POST", b"\xff")
    iam = answer.json["requestContext"]["authorizer"]["iam"]
    assert (iam["accessKey"], iam["userArn"], iam["accountId"]) == (ann["AccessKeyId"], "arn:aws:iam::000000000000:user/ann", "000000000000")
    assert iam["callerId"] == iam["userId"] and iam["userId"].startswith("AIDA") and (iam["cognitoIdentity"], iam["principalOrgId"]) == (None, None)
    assert signed(url, ann, link=60).status == 200
    for key in (bob, eve):
        answer = signed(url, key)
        assert (answer.status, answer.json, answer.headers["x-amzn-errortype"]) == (403, FORBIDDEN, "AccessDeniedException")
    assert (call(url).status, call(url).json) == (403, FORBIDDEN)


def test_a_signature_is_for_one_request_only(strict, guarded, tmp_path):
    key = made_with(strict, tmp_path, "cat", allow("lambda:InvokeFunctionUrl"))
    error = lambda answer: (answer.status, answer.headers["x-amzn-errortype"])
    assert error(signed(guarded.url, {**key, "SecretAccessKey": "x"})) == (403, "InvalidSignatureException")
    assert error(signed(guarded.url, key, service="s3")) == (403, "InvalidSignatureException")
    assert error(signed(guarded.url, {"AccessKeyId": "AKIAAAAAAAAAAAAAAAAA", "SecretAccessKey": "x"})) == (403, "UnrecognizedClientException")
    link = signed(guarded.url, key, "/a", link=60).json
    assert call(guarded.url, "/a?" + link["rawQueryString"]).status == 200
    for changed in ["/b?" + link["rawQueryString"], "/a?x=1&" + link["rawQueryString"], "/a?" + link["rawQueryString"].replace("Expires=60", "Expires=61")]:
        assert error(call(guarded.url, changed)) == (403, "InvalidSignatureException")


def test_a_server_that_asks_for_signatures_lets_anybody_call_a_public_url(strict, admin, guarded):
    deploy, clean = deployer(admin)
    try:
        url = public(admin, deploy(ECHO).name)
        assert call(url).json["requestContext"]["accountId"] == "anonymous"
        assert call(url.replace("localhost", "hearth.example")).status == 200
    finally:
        clean()


def test_a_function_calls_another_ones_url(client, deploy):
    url = public(client, deploy("def handler(e, c): return 'inner ' + e['rawPath']").name)
    code = "import os, urllib.request\ndef handler(e, c):\n    request = urllib.request.Request(os.environ['AWS_ENDPOINT_URL'] + '/p', headers={'Host': e['host']})\n    return urllib.request.urlopen(request).read().decode()"
    assert deploy(code).call({"host": urllib.parse.urlsplit(url).netloc}) == "inner /p"


def test_a_second_url_is_refused(client, deploy):
    function = deploy(ECHO)
    public(client, function.name)
    assert refused(client.create_function_url_config, FunctionName=function.name, AuthType="NONE")[:2] == (409, "ResourceConflictException")
