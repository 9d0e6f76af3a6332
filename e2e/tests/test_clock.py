"""A clock that is moved by hand: what hours lead to, in a moment. No test here waits for time to pass."""

import json
import threading

import pytest

from conftest import client_of, deployer, deploys_on, service_on, unique
from support import raw
from support.clock import MANUAL, advance, now_ms
from support.errors import refused
from support.keys import client_with, made
from support.server import running
from support.sigv4 import Signed

PAGE = "/_hearth/clock"
HELLO = "def handler(event, context):\n    return 'hello'\n"


@pytest.fixture(scope="module")
def manual():
    with running("--keep-alive", "600", *MANUAL) as server:
        yield server


deploy = deploys_on("manual")
sqs = service_on("manual", "sqs")


def signed(server, key, method, body):
    request = Signed(server, key, method, PAGE, body).sign()
    return raw.request(server, method, PAGE, body, request.headers)


def receive(sqs, url, **args):
    return [message["Body"] for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **args).get("Messages", [])]


def test_it_stands_still_until_it_is_moved(manual):
    began = now_ms(manual)
    assert now_ms(manual) == began
    assert advance(manual, "1h 30m") == began + 5_400_000 == now_ms(manual)
    shown = raw.request(manual, "GET", PAGE).json
    assert shown["kind"] == "manual" and shown["now"].endswith("Z"), shown


@pytest.mark.parametrize("body", [{}, {"advance": 5}, {"advance": "soon"}, {"advance": "-1h"}, {"advance": "9999 days"}, {"advance": "1h", "by": 1},
                                  {"advance": "1h", "patience": "never"}, b"[", b""])
def test_what_is_no_length_of_time_moves_nothing(manual, body):
    before = now_ms(manual)
    answer = raw.request(manual, "POST", PAGE, body)
    assert (answer.status, answer.json["nowMs"]) == (400, before) and answer.message, answer
    assert raw.request(manual, "PUT", PAGE, {"advance": "1h"}).status == 405
    assert now_ms(manual) == before


def test_a_real_clock_is_moved_by_nobody(server):
    answer = raw.request(server, "POST", PAGE, {"advance": "1h"})
    assert answer.status == 409 and "--clock manual" in answer.message, answer
    assert raw.request(server, "GET", PAGE).json["kind"] == "real"


def test_who_must_sign_signs_for_the_clock_too(alone):
    server = alone("--auth", "required", *MANUAL)
    for method, body in (("GET", b""), ("POST", b'{"advance":"1h"}')):
        assert raw.request(server, method, PAGE, body).status == 403
        assert signed(server, made(server), method, body).status == 200


def test_idle_environments_go_when_their_time_has_passed(manual, deploy):
    function = deploy(HELLO)
    function.call()
    advance(manual, "9m 30s")
    assert len(manual.environments(function)) == 1
    advance(manual, "31s")
    assert manual.environments(function) == []
    assert function.call() == "hello"


def test_environments_grow_too_old(alone):
    server = alone("--environment-max-age", "3600", "--keep-alive", "86400", *MANUAL)
    deploy, _ = deployer(client_of(server))
    function = deploy(HELLO)
    function.call()
    [first] = server.environments(function)
    advance(server, "50m")
    function.call()
    assert server.environments(function)[0]["Id"] == first["Id"]
    advance(server, "11m")
    function.call()
    assert first["Id"] not in [environment["Id"] for environment in server.environments(function)]


def test_messages_come_back_are_delayed_and_are_dropped(manual, sqs):
    url = sqs.create_queue(QueueName=unique("q"), Attributes={"MessageRetentionPeriod": "86400"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=900)
    sqs.send_message(QueueUrl=url, MessageBody="soon")
    assert receive(sqs, url, VisibilityTimeout=3600) == ["soon"]
    advance(manual, "899s")
    assert receive(sqs, url) == []
    advance(manual, "1s")
    assert receive(sqs, url, VisibilityTimeout=43200) == ["late"]
    advance(manual, "45m")
    assert receive(sqs, url, VisibilityTimeout=0) == ["soon"]
    advance(manual, "23h")
    assert receive(sqs, url) == []
    sqs.delete_queue(QueueUrl=url)


def test_a_long_poll_hears_of_what_becomes_visible(manual, sqs):
    url = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=15)
    heard = []
    waits = threading.Thread(target=lambda: heard.extend(receive(sqs, url, WaitTimeSeconds=20)))
    waits.start()
    # Whether it has begun to wait by then or not: it hears of the message.
    advance(manual, "15s")
    waits.join(60)
    assert heard == ["late"]
    sqs.delete_queue(QueueUrl=url)


def test_sessions_end(alone):
    server = alone("--auth", "required", *MANUAL)
    key = made(server)
    iam, sts = client_with(server, "iam", key), client_with(server, "sts", key)
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))["Role"]["Arn"]
    session = sts.assume_role(RoleArn=role, RoleSessionName="one", DurationSeconds=3600)["Credentials"]
    inside = client_with(server, "sts", session)
    assert inside.get_caller_identity()["Arn"].endswith("assumed-role/r/one")
    post = signed(server, key, "POST", b'{"advance":"61m"}')
    assert post.status == 200, post
    assert refused(inside.get_caller_identity)[1] in ("ExpiredToken", "ExpiredTokenException")
    # What is signed is good for minutes of real time, whatever the clock says.
    assert sts.get_caller_identity()["Arn"].endswith("user/admin")
