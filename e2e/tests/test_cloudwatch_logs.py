"""CloudWatch Logs, as clients read and write it."""

import os
import shutil
import subprocess
import threading
import time

import pytest

from conftest import unique
from support.clients import service_of
from support.errors import refusal
from support.keys import allow, client_with, made, made_with

DAY_MS = 24 * 60 * 60 * 1000
TALK = """
def handler(event, context):
    for n in range(event.get("lines", 1)):
        print(event.get("word", "line"), n)
    return context.log_stream_name
"""


def logs_of(server):
    return service_of(server, "logs", inject_host_prefix=False, parameter_validation=False)


@pytest.fixture(scope="session")
def logs(server):
    return logs_of(server)


@pytest.fixture
def group(logs):
    """A group of the test's own, with one stream."""
    name = f"/test/{unique('g')}"
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    yield name
    try:
        logs.delete_log_group(logGroupName=name)
    except logs.exceptions.ResourceNotFoundException:
        pass


def now_ms():
    return time.time_ns() // 1_000_000


def put(logs, group, *messages, stream="s", at=None):
    at = at or now_ms()
    events = [{"timestamp": at + index, "message": message} for index, message in enumerate(messages)]
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def filtered(logs, group, **args):
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, **args)
    return [event["message"] for page in pages for event in page["events"]]


def test_the_lines_of_a_function_are_in_its_group(deploy, logs):
    function = deploy(TALK)
    before = now_ms()
    stream = function.call({"word": "hello", "lines": 2})
    group = f"/aws/lambda/{function.name}"
    found = logs.filter_log_events(logGroupName=group)
    assert found["searchedLogStreams"] == [] and "nextToken" not in found
    events = found["events"]
    firsts = [event["message"].split(" ")[0] for event in events]
    assert firsts == ["INIT_START", "START", "hello", "hello", "END", "REPORT"]
    assert all(event["message"].endswith("\n") for event in events)
    assert len({event["eventId"] for event in events}) == len(events)
    assert {event["logStreamName"] for event in events} == {stream}
    assert all(before - 60_000 <= event["timestamp"] <= event["ingestionTime"] <= now_ms() for event in events)
    day, version = stream.split("[")
    assert version.startswith("$LATEST]") and len(version) == len("$LATEST]") + 32
    assert len(day.split("/")) == 4
    (listed,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert listed["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*"
    assert listed["storedBytes"] > 0 and "retentionInDays" not in listed
    (described,) = logs.describe_log_streams(logGroupIdentifier=listed["logGroupArn"])["logStreams"]
    assert described["logStreamName"] == stream
    assert described["firstEventTimestamp"] == events[0]["timestamp"]
    assert described["lastEventTimestamp"] == events[-1]["timestamp"]


def test_the_group_of_a_logging_config_is_used(client, deploy, logs, group):
    function = deploy(TALK, LoggingConfig={"LogGroup": group})
    stream = function.call()
    assert f"/{function.name}[$LATEST]" in stream
    assert "line 0\n" in filtered(logs, group, logStreamNames=[stream])
    own = f"/aws/lambda/{function.name}"
    assert refusal(logs.filter_log_events, logGroupName=own)[0] == "ResourceNotFoundException"
    function.update(LoggingConfig={"LogGroup": own})
    function.call({"word": "moved"})
    assert "moved 0\n" in filtered(logs, own)


def test_pages_of_a_filter_leave_nothing_out(logs, group):
    messages = [f"{index} {'even' if index % 2 == 0 else 'odd'}" for index in range(50)]
    logs.create_log_stream(logGroupName=group, logStreamName="t")
    at = now_ms() - 100
    for index in range(0, 50, 10):
        put(logs, group, *messages[index : index + 10], stream="st"[index // 10 % 2], at=at + index)
    assert filtered(logs, group, PaginationConfig={"PageSize": 7}) == messages
    assert filtered(logs, group, filterPattern="even", PaginationConfig={"PageSize": 7}) == messages[::2]
    assert filtered(logs, group, logStreamNames=["t"]) == messages[10:20] + messages[30:40]
    assert filtered(logs, group, logStreamNamePrefix="s") == messages[:10] + messages[20:30] + messages[40:]
    assert filtered(logs, group, startTime=at + 10, endTime=at + 12) == messages[10:13]
    page = logs.filter_log_events(logGroupName=group, limit=3)
    other = refusal(logs.filter_log_events, logGroupName=group, filterPattern="odd", nextToken=page["nextToken"])
    assert other == ("InvalidParameterException", "The specified nextToken is invalid.")


def test_pages_of_a_stream_go_forward_and_back(logs, group):
    messages = [f"m{index}" for index in range(10)]
    at = now_ms() - 100
    put(logs, group, *messages, at=at)

    def page(**args):
        answer = logs.get_log_events(logGroupName=group, logStreamName="s", limit=4, **args)
        return [event["message"] for event in answer["events"]], answer["nextForwardToken"], answer["nextBackwardToken"]

    newest, forward, backward = page()
    assert newest == messages[6:]
    older, _, oldest_backward = page(nextToken=backward)
    assert older == messages[2:6]
    oldest, again_forward, end = page(nextToken=oldest_backward)
    assert oldest == messages[:2]
    nothing, _, same = page(nextToken=end)
    assert nothing == [] and same == end
    assert page(nextToken=again_forward)[0] == messages[2:6]
    nothing, same, _ = page(nextToken=forward)
    assert nothing == [] and same == forward
    put(logs, group, "new", at=at + 50)
    assert page(nextToken=forward)[0] == ["new"]
    assert page(startFromHead=True)[0] == messages[:4]
    assert page(startFromHead=True, startTime=at + 3, endTime=at + 5)[0] == messages[3:5]
    logs.create_log_stream(logGroupName=group, logStreamName="t")
    foreign = refusal(logs.get_log_events, logGroupName=group, logStreamName="t", nextToken=forward)
    assert foreign == ("InvalidParameterException", "The specified nextToken is invalid.")


def test_streams_and_groups_are_listed_in_pages(logs, group):
    names = [f"stream-{index}" for index in range(5)]
    for name in names:
        logs.create_log_stream(logGroupName=group, logStreamName=name)
    put(logs, group, "old", stream="stream-3", at=now_ms() - 1000)
    put(logs, group, "new", stream="stream-1")
    streams = logs.get_paginator("describe_log_streams")

    def listed(**args):
        pages = streams.paginate(logGroupName=group, PaginationConfig={"PageSize": 2}, **args)
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    assert listed() == ["s", *names]
    assert listed(logStreamNamePrefix="stream-") == names
    assert listed(orderBy="LastEventTime", descending=True)[:2] == ["stream-1", "stream-3"]
    (empty,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="s", limit=1)["logStreams"]
    assert "lastEventTimestamp" not in empty
    prefix = f"{group}-more"
    for index in range(3):
        logs.create_log_group(logGroupName=f"{prefix}-{index}")
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix, PaginationConfig={"PageSize": 1})
    found = [listed["logGroupName"] for page in pages for listed in page["logGroups"]]
    assert found == [f"{prefix}-{index}" for index in range(3)]
    part = logs.describe_log_groups(logGroupNamePattern=prefix[3:].upper())["logGroups"]
    assert [listed["logGroupName"] for listed in part] == found
    for name in found:
        logs.delete_log_group(logGroupName=name)


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("ERROR", [0, 2]),
        ('"an ERROR" -fatal', [0]),
        ("?INFO ?fatal", [1, 2]),
        (r"%E\w+R%", [0, 2]),
        ('{ $.level = "warn" && $.ms > 100 }', [3]),
        ("{ $.tags[*] = b* }", [3]),
        ("[time, kind = INFO, ...]", [1]),
    ],
)
def test_filter_patterns(logs, group, pattern, expected):
    messages = ["an ERROR", "12:00 INFO all well", "a fatal ERROR", '{"level":"warn","ms":120,"tags":["a","bc"]}']
    put(logs, group, *messages)
    assert filtered(logs, group, filterPattern=pattern) == [messages[index] for index in expected]


def test_what_clients_put_has_its_bounds(logs, group):
    at = now_ms()

    def putting(*events, stream="s"):
        events = [{"timestamp": time, "message": message} for time, message in events]
        return refusal(logs.put_log_events, logGroupName=group, logStreamName=stream, logEvents=events)

    assert putting((at, "x"), (at - 1, "y")) == (
        "InvalidParameterException",
        "Log events in a single PutLogEvents request must be in chronological order.",
    )
    assert "cannot span more than 24 hours" in putting((at - DAY_MS - 1, "x"), (at, "y"))[1]
    assert "exceeds limit of 1048576" in putting((at, "x" * (1 << 20)))[1]
    assert putting((at, "x"), stream="t") == ("ResourceNotFoundException", "The specified log stream does not exist.")
    old, new = at - 15 * DAY_MS, at + 3 * 60 * 60 * 1000
    assert put(logs, group, "old", at=old)["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert put(logs, group, "new", at=new)["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 0}
    largest = "x" * ((1 << 20) - 26)
    put(logs, group, largest)
    assert filtered(logs, group) == [largest]


def test_retention_hides_what_is_too_old_at_once(logs, group):
    put(logs, group, "old", at=now_ms() - 4 * DAY_MS)
    put(logs, group, "new")
    logs.put_retention_policy(logGroupName=group, retentionInDays=5)
    assert filtered(logs, group) == ["old", "new"]
    logs.put_retention_policy(logGroupName=group, retentionInDays=3)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["retentionInDays"] == 3
    assert filtered(logs, group) == ["new"]
    rejected = put(logs, group, "old", at=now_ms() - 4 * DAY_MS)["rejectedLogEventsInfo"]
    assert rejected == {"expiredLogEventEndIndex": 1}
    logs.delete_retention_policy(logGroupName=group)
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    code, message = refusal(logs.put_retention_policy, logGroupName=group, retentionInDays=2)
    assert code == "InvalidParameterException" and "Member must satisfy enum value set: [1, 3, 5, 7," in message


def test_deleted_streams_and_groups_are_gone_and_can_begin_anew(deploy, logs):
    function = deploy(TALK)
    group = f"/aws/lambda/{function.name}"
    stream = function.call({"word": "first"})
    logs.delete_log_stream(logGroupName=group, logStreamName=stream)
    assert filtered(logs, group) == []
    assert refusal(logs.get_log_events, logGroupName=group, logStreamName=stream)[0] == "ResourceNotFoundException"
    assert function.call({"word": "second"}) == stream
    assert filtered(logs, group, logStreamNames=[stream], filterPattern="?first ?second") == ["second 0\n"]
    logs.delete_log_group(logGroupName=group)
    assert refusal(logs.filter_log_events, logGroupName=group)[0] == "ResourceNotFoundException"
    function.call({"word": "third"})
    assert filtered(logs, group, filterPattern="?first ?second ?third") == ["third 0\n"]


def test_tags_of_groups(logs, group):
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{group}"
    logs.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a", "never"])
    logs.tag_log_group(logGroupName=group, tags={"c": "3"})
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2", "c": "3"}
    assert logs.list_tags_log_group(logGroupName=group)["tags"] == {"b": "2", "c": "3"}
    many = {f"k{index}": "v" for index in range(49)}
    assert refusal(logs.tag_resource, resourceArn=arn, tags=many)[0] == "TooManyTagsException"
    assert refusal(logs.list_tags_for_resource, resourceArn=f"{arn}-not")[0] == "ResourceNotFoundException"


def test_refusals(logs, group):
    no_group = ("ResourceNotFoundException", "The specified log group does not exist.")
    exists = ("ResourceAlreadyExistsException", "The specified log group already exists")
    assert refusal(logs.create_log_group, logGroupName=group) == exists
    stream_exists = ("ResourceAlreadyExistsException", "The specified log stream already exists")
    assert refusal(logs.create_log_stream, logGroupName=group, logStreamName="s") == stream_exists
    for call, args in [
        (logs.delete_log_group, {}),
        (logs.create_log_stream, {"logStreamName": "s"}),
        (logs.describe_log_streams, {}),
        (logs.filter_log_events, {}),
        (logs.put_retention_policy, {"retentionInDays": 1}),
    ]:
        assert refusal(call, logGroupName="/no/group", **args) == no_group
    abroad = f"arn:aws:logs:eu-west-1:000000000000:log-group:{group}"
    assert refusal(logs.filter_log_events, logGroupIdentifier=abroad) == no_group
    assert refusal(logs.filter_log_events, logGroupName=group, logStreamNames=["t"])[1] == "The specified log stream does not exist."
    assert refusal(logs.filter_log_events, logGroupName=group, filterPattern="a:b") == (
        "InvalidParameterException",
        "Invalid character(s) in term 'a:b'",
    )
    by_time = {"orderBy": "LastEventTime", "logStreamNamePrefix": "s"}
    assert refusal(logs.describe_log_streams, logGroupName=group, **by_time)[1] == "Cannot order by LastEventTime with a logStreamNamePrefix."
    for member in [{"kmsKeyId": "k"}, {"logGroupClass": "INFREQUENT_ACCESS"}, {"deletionProtectionEnabled": True}]:
        code, message = refusal(logs.create_log_group, logGroupName=f"{group}-2", **member)
        assert code == "NotImplementedException" and next(iter(member)) in message
    assert refusal(logs.create_log_group, logGroupName="a b")[0] == "InvalidParameterException"


def test_following_by_polling_sees_each_line_once(deploy, logs):
    """As `aws logs tail --follow` asks: again and again from the last time seen, telling events by their ids."""
    function = deploy(TALK)
    group = f"/aws/lambda/{function.name}"
    function.call({"word": "warm"})
    words = [f"w{index}" for index in range(5)]
    invoking = threading.Thread(target=lambda: [function.call({"word": word, "lines": 20}) for word in words])
    invoking.start()
    seen, order, start = set(), [], 0
    while True:
        was_invoking = invoking.is_alive()
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start, PaginationConfig={"PageSize": 50}):
            for event in page["events"]:
                start = max(start, event["timestamp"])
                if event["eventId"] not in seen:
                    seen.add(event["eventId"])
                    order.append(event["message"])
        if not was_invoking:
            break
    invoking.join()
    lines = [line for line in order if line.startswith("w") and not line.startswith("warm")]
    assert lines == [f"{word} {n}\n" for word in words for n in range(20)]


def test_a_live_tail_tells_what_comes(deploy, logs):
    function = deploy(TALK)
    group = f"/aws/lambda/{function.name}"
    stream = function.call({"word": "before"})
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{group}"
    events = logs.start_live_tail(logGroupIdentifiers=[arn], logStreamNames=[stream], logEventFilterPattern="told")["responseStream"]
    guard = threading.Timer(60, events.close)
    guard.start()
    told = []
    for event in events:
        if "sessionStart" in event:
            assert event["sessionStart"]["logGroupIdentifiers"] == [arn]
            assert event["sessionStart"]["logEventFilterPattern"] == "told"
            function.call({"word": "told", "lines": 2})
            function.call({"word": "other"})
        else:
            update = event["sessionUpdate"]
            assert update["sessionMetadata"] == {"sampled": False}
            told += update["sessionResults"]
            if len(told) >= 2:
                break
    guard.cancel()
    events.close()
    assert [line["message"] for line in told] == ["told 0\n", "told 1\n"]
    assert {(line["logStreamName"], line["logGroupIdentifier"]) for line in told} == {(stream, f"000000000000:{group}")}
    assert refusal(logs.start_live_tail, logGroupIdentifiers=[f"{arn}-not"])[0] == "ResourceNotFoundException"
    both = {"logStreamNames": ["a"], "logStreamNamePrefixes": ["b"]}
    assert refusal(logs.start_live_tail, logGroupIdentifiers=[arn], **both)[0] == "InvalidParameterException"


def test_a_live_tail_says_what_it_leaves_out_and_ends_with_the_server(alone):
    server = alone()
    logs = logs_of(server)
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    events = logs.start_live_tail(logGroupIdentifiers=["g"])["responseStream"]
    guard = threading.Timer(60, events.close)
    guard.start()
    seen, sampled = 0, False
    for event in events:
        if "sessionStart" in event:
            put(logs, "g", *[f"{index}" for index in range(5000)])
        else:
            seen += len(event["sessionUpdate"]["sessionResults"])
            sampled = sampled or event["sessionUpdate"]["sessionMetadata"]["sampled"]
            assert len(event["sessionUpdate"]["sessionResults"]) <= 500
            if sampled and seen:
                break
    assert seen < 5000
    server.stop()
    assert all("sessionUpdate" in event for event in events)
    guard.cancel()


@pytest.fixture
def aws_v2(server, tmp_path):
    """The AWS CLI 2, which alone has `logs tail`."""
    candidates = [os.environ.get("AWS_V2"), "/usr/local/bin/aws", "/usr/bin/aws"]
    for command in filter(None, candidates):
        if shutil.which(command) and subprocess.run([command, "--version"], capture_output=True, text=True).stdout.startswith("aws-cli/2"):
            credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
            environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_PAGER": "", "PYTHONUNBUFFERED": "1", **credentials}
            return lambda *words: subprocess.Popen([command, "--endpoint-url", server.url, *words], env=environment, stdout=subprocess.PIPE, text=True)
    pytest.skip("there is no AWS CLI 2 on this machine (AWS_V2 names one)")


def test_the_cli_follows_a_log(deploy, aws_v2):
    function = deploy(TALK)
    function.call({"word": "before"})
    tail = aws_v2("logs", "tail", f"/aws/lambda/{function.name}", "--follow", "--format", "short")
    guard = threading.Timer(90, tail.kill)
    guard.start()
    try:
        for line in tail.stdout:
            if "REPORT" in line:
                break
        function.call({"word": "after"})
        rest = []
        for line in tail.stdout:
            rest.append(line)
            if "REPORT" in line:
                break
        assert any("after 0" in line for line in rest), rest
        assert not any("before" in line for line in rest)
    finally:
        guard.cancel()
        tail.kill()
        tail.wait()
        tail.stdout.close()


def test_only_what_a_policy_allows_is_done(alone, tmp_path):
    server = alone("--auth", "required")
    logs = client_with(server, "logs", made(server))
    for group in ["mine", "other"]:
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:mine"
    key = made_with(server, tmp_path, "writer", allow(["logs:PutLogEvents", "logs:FilterLogEvents"], f"{arn}:*"))
    writer = client_with(server, "logs", key)
    put(writer, "mine", "allowed")
    assert filtered(writer, "mine") == ["allowed"]
    for call, args in [
        (writer.filter_log_events, {"logGroupName": "other"}),
        (writer.delete_log_group, {"logGroupName": "mine"}),
        (writer.describe_log_groups, {}),
        (writer.put_log_events, {"logGroupName": "other", "logStreamName": "s", "logEvents": [{"timestamp": now_ms(), "message": "x"}]}),
        # Whether it is there is not told to who may not know.
        (writer.filter_log_events, {"logGroupName": "nowhere"}),
    ]:
        code, message = refusal(call, **args)
        assert code == "AccessDeniedException" and "is not authorized to perform: logs:" in message
    assert filtered(logs, "other") == []
    server.stop()


def test_what_was_acknowledged_survives_a_crash(alone):
    server = alone()
    logs = logs_of(server)
    logs.create_log_group(logGroupName="kept", tags={"a": "b"})
    logs.put_retention_policy(logGroupName="kept", retentionInDays=7)
    logs.create_log_stream(logGroupName="kept", logStreamName="s")
    for index in range(20):
        put(logs, "kept", f"{index}")
    logs.create_log_group(logGroupName="gone")
    logs.delete_log_group(logGroupName="gone")
    server.kill()
    logs = logs_of(server.start())
    (group,) = logs.describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("kept", 7)
    assert logs.list_tags_log_group(logGroupName="kept")["tags"] == {"a": "b"}
    assert filtered(logs, "kept") == [f"{index}" for index in range(20)]
    server.stop()


def test_a_flood_harms_only_its_own_log(alone):
    from conftest import client_of, deployer

    server = alone()
    logs, (deploy, clean) = logs_of(server), deployer(client_of(server))
    flood = deploy(
        "import os\ndef handler(event, context):\n    line = b'x' * 1000 + b'\\n'\n    for _ in range(300):\n"
        "        os.write(1, line * 1000)\n    os.write(1, b'\\n' * (1 << 20))\n",
        Timeout=120,
    )
    quiet = deploy(TALK)
    stop = threading.Event()

    def talk():
        # Which words were written while the flood lasted.
        count = 0
        while not stop.is_set():
            quiet.call({"word": f"n{count}"})
            count += 1
        return count

    counts = []
    talking = threading.Thread(target=lambda: counts.append(talk()))
    talking.start()
    try:
        flood.call()
    finally:
        stop.set()
        talking.join()
    said = filtered(logs, f"/aws/lambda/{quiet.name}", filterPattern=r"%^n\d%")
    assert said == [f"n{index} 0\n" for index in range(counts[0])]
    dropped = filtered(logs, f"/aws/lambda/{flood.name}", filterPattern='"lines of this log were dropped"')
    assert dropped and all(line.split(" ")[0].isdigit() for line in dropped)
    sizes = [file.stat().st_size for file in (server.data / "logs").rglob("*.log")]
    assert sum(sizes) <= 80 << 20, sizes
    clean()
    server.stop()
