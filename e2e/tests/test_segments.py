"""Segments that functions send to X-Ray's daemon, with the SDKs as people have them: spans below their invoke."""

import json
import os
import socket
import time

import pytest

from conftest import client_of, deployer, deploys_on
from support.collector import collecting
from support.metrics import Numbers
from support.packages import node_packages, python_packages
from support.server import running, wait_until
from test_node import node_runtime
from test_traces import ID, ROOT, by_name, post

NEEDLESS = {"botocore"}  # Of what the SDK can patch; the recorder does without.
SAMPLED = f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1"

SDK = """
from aws_xray_sdk.core import xray_recorder

def handler(event, context):
    with xray_recorder.in_subsegment("outer") as outer:
        outer.put_annotation("tenant", "blue")
        outer.put_annotation("count", 3)
        outer.put_metadata("order", {"id": 7}, "shop")
        with xray_recorder.in_subsegment("inner", namespace="remote") as inner:
            inner.put_http_meta("url", "http://shop.example/items")
            inner.put_http_meta("method", "GET")
            inner.put_http_meta("status", 404)
    try:
        with xray_recorder.in_subsegment("broken"):
            raise ValueError("no such item")
    except ValueError:
        pass
    return "ok"
"""


@pytest.fixture(scope="module")
def collector():
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector):
    with running("--otlp", collector.url) as server:
        yield server


deploy = deploys_on("traced")


def sdk(code, *more):
    return {"app.py": code, **python_packages("aws-xray-sdk", *more, without=NEEDLESS)}


def invoke(server, function, event=None, trace=SAMPLED):
    answer = post(server, function, event or {}, X_Amzn_Trace_Id=trace)
    assert answer.status == 200 and "x-amz-function-error" not in answer.headers, answer.body
    return answer


def spans_of(collector, function, count=1, trace=ID):
    """The spans of a trace that came from this function, once so many runs of it are told."""
    def found():
        return [span for span in collector.spans() if span.resource["faas.name"] == function.name and span.trace == trace]

    wait_until(lambda: sum(span.kind == 2 for span in found()) >= count, 60, lambda: f"no such trace: {found()}")
    return found()


def own(spans):
    """Those that the function made itself."""
    return {span.name: span for span in spans if span.scope == "aws.xray"}


def test_what_the_sdk_records_hangs_below_the_functions_span(collector, traced, deploy):
    function = deploy(sdk(SDK))
    invoke(traced, function)
    spans = spans_of(collector, function)
    [run] = [span for span in spans if span.name == function.name and span.kind != 2]
    made = own(spans)
    assert set(made) == {"outer", "inner", "broken"}
    outer, inner, broken = made["outer"], made["inner"], made["broken"]
    assert outer.parent == broken.parent == run.id and inner.parent == outer.id
    invocation = by_name(spans, "Invocation")
    assert invocation.start - 1_000_000 <= outer.start <= inner.start <= inner.end <= outer.end <= invocation.end + 1_000_000
    assert outer.attributes["tenant"] == "blue" and outer.attributes["count"] == 3
    assert sorted(outer.attributes["aws.xray.annotations"]) == ["count", "tenant"]
    assert json.loads(outer.attributes["aws.xray.metadata.shop"]) == {"order": {"id": 7}}
    assert (outer.kind, outer.error, outer.events) == (1, None, [])
    assert inner.kind == 3 and inner.attributes["http.url"] == "http://shop.example/items"
    assert inner.attributes["http.status_code"] == 404 and inner.attributes["aws.xray.error"] is True
    assert broken.error == "no such item" and broken.attributes["error.type"] == "ValueError"
    [event] = broken.events
    assert event.name == "exception" and event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"] == "no such item"
    assert "handler(app.py: " in event.attributes["exception.stacktrace"]
    ids = [span.id for span in spans]
    assert len(ids) == len(set(ids))
