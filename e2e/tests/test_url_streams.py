"""Function URLs with InvokeMode RESPONSE_STREAM: answers go out as the function writes them."""

import http.client
import urllib.parse
from contextlib import closing

import pytest

from support.urls import call, public
from test_node import node_runtime

NODE = """
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  const [, kind, ...rest] = event.rawPath.split("/");
  await kinds[kind](stream, event);
});
const from = (stream, metadata) => awslambda.HttpResponseStream.from(stream, metadata);
const kinds = {
  plain(stream) { stream.write("Hello, "); stream.write("world!"); stream.end(); },
  typed(stream) { stream.setContentType("text/html"); stream.write("<p>"); stream.end(); },
  metadata(stream) {
    stream = from(stream, { statusCode: 404, headers: { "Content-Type": "text/plain", "X-A": "b", "Content-Length": "1" }, cookies: ["a=1", "b=2; Domain=localhost"] });
    stream.write("not "); stream.write("here"); stream.end();
  },
  bare(stream) { stream = from(stream, {}); stream.write("x"); stream.end(); },
  nothing(stream) { stream = from(stream, { statusCode: 204 }); stream.end(); },
  bad(stream) { stream = from(stream, { statusCode: 99 }); stream.write("x"); stream.end(); },
  split(stream) { stream = from(stream, { headers: { "X-A": "b\\r\\nset-cookie: c=d" } }); stream.write("x"); stream.end(); },
  async large(stream) { for (let at = 0; at < 9; at++) if (!stream.write(Buffer.alloc(1 << 20, 97 + at))) await new Promise((go) => stream.once("drain", go)); stream.end(); },
  hangs(stream) { stream.write("first"); return new Promise(() => {}); },
  throws() { throw new Error("early"); },
  late(stream) { stream.write("first"); return new Promise((_, fail) => setTimeout(fail, 100, new Error("late"))); },
};
"""


@pytest.fixture(scope="module")
def url(client, deploy_once):
    function = deploy_once({"app.js": NODE}, Runtime=node_runtime(), Timeout=5)
    return public(client, function.name, InvokeMode="RESPONSE_STREAM", Cors={"AllowOrigins": ["*"]})


def test_what_is_written_goes_out_as_bytes_or_what_it_says(url):
    answer = call(url, "/plain")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"Hello, world!", "application/octet-stream")
    assert answer.headers["transfer-encoding"] == "chunked" and answer.headers["x-amzn-requestid"] and answer.headers["x-amzn-trace-id"]
    answer = call(url, "/typed", headers={"Origin": "https://a.example"})
    assert (answer.body, answer.headers["content-type"], answer.headers["access-control-allow-origin"]) == (b"<p>", "text/html", "*")


def test_metadata_is_the_responses_head(url):
    answer = call(url, "/metadata")
    assert (answer.status, answer.body, answer.headers["content-type"], answer.headers["x-a"]) == (404, b"not here", "text/plain", "b")
    assert answer.all("set-cookie") == ["a=1", "b=2"] and "content-length" not in answer.headers
    answer = call(url, "/bare")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"x", "application/octet-stream")
    assert (call(url, "/nothing").status, call(url, "/nothing").body) == (204, b"")
    assert call(url, "/metadata", "HEAD").body == b""


def test_an_answer_may_be_larger_than_a_buffered_one(url):
    body = call(url, "/large").body
    assert body == b"".join(bytes([97 + at]) * (1 << 20) for at in range(9))


@pytest.mark.parametrize("path", ["/bad", "/split", "/throws"])
def test_what_fails_ahead_of_the_body_is_a_bad_gateway(url, path):
    answer = call(url, path)
    assert (answer.status, answer.body) == (502, b"Internal Server Error") and "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/hangs", "/late"])
def test_what_is_written_is_there_before_the_function_ends_and_breaks_off_where_it_fails(url, path):
    at = urllib.parse.urlsplit(url)
    with closing(http.client.HTTPConnection("127.0.0.1", at.port, timeout=60)) as connection:
        connection.request("GET", path, headers={"Host": at.netloc})
        response = connection.getresponse()
        assert (response.status, response.read(5)) == (200, b"first")
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()


def test_a_function_that_does_not_stream_is_answered_too(client, deploy):
    code = "def handler(e, c):\n    return {'statusCode': 201, 'body': 'b'} if e['rawPath'] == '/r' else 1 // 0 if e['rawPath'] == '/f' else {'a': 1}"
    url = public(client, deploy(code).name, InvokeMode="RESPONSE_STREAM")
    assert (call(url, "/r").status, call(url, "/r").body) == (201, b"b")
    assert (call(url).status, call(url).body, call(url).headers["content-type"]) == (200, b'{"a": 1}', "application/json")
    assert call(url, "/f").status == 502


def test_a_function_that_streams_is_answered_where_the_url_waits_for_all(client, deploy):
    function = deploy({"app.js": NODE}, Runtime=node_runtime(), Timeout=5)
    url = public(client, function.name)
    answer = call(url, "/metadata")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (404, b"not here", "8")
    client.update_function_url_config(FunctionName=function.name, InvokeMode="RESPONSE_STREAM")
    assert call(url, "/metadata").headers["transfer-encoding"] == "chunked"
