"""Queues as event sources: what is refused when a mapping is made."""

import json

from harness.logs import events

CREATE = "create_event_source_mapping"
# Says which events it gets.
TELL = 'import json\ndef handler(event, context):\n    print("TOLD " + json.dumps(event))\n'
INVALID_FILTERS = {"None": None, "simple string": "simple string", "invalid_filter2": {"eventSource": "aws:sqs"}, "invalid_filter3": {"eventSource": []}}


def test_duplicate_event_source_mappings(s):
    name, queue = s.function()["FunctionName"], s.queue()
    s.step("create", CREATE, FunctionName=name, EventSourceArn=queue)
    s.step("error", CREATE, FunctionName=name, EventSourceArn=queue)


def test_event_source_mapping_default_batch_size(s):
    name = s.function()["FunctionName"]
    made = s.step("create-event-source-mapping", CREATE, FunctionName=name, EventSourceArn=s.queue())
    s.until(lambda: s.call("get_event_source_mapping", UUID=made["UUID"])["State"] in ("Enabled", "Disabled"))
    s.step("invalid-update-event-source-mapping", "update_event_source_mapping", UUID=made["UUID"], BatchSize=11)
    s.step("invalid-create-event-source-mapping", CREATE, FunctionName=name, EventSourceArn=s.queue(), BatchSize=11)


def test_sqs_invalid_event_filter(s, case):
    name, filter = s.function()["FunctionName"], INVALID_FILTERS[case]
    pattern = filter if isinstance(filter, str) else json.dumps(filter)
    filters = {"Filters": [{"Pattern": pattern}]}
    s.step("create_event_source_mapping_exception", CREATE, FunctionName=name, EventSourceArn=s.queue(), FilterCriteria=filters)


FILTERS = {
    "single": ({"my-key": ["my-value"]}, {"my-key": "my-value"}, {"my-key": "other"}),
    "valid-json-filter": ({"my-key": ["my-value"]}, {"my-key": "my-value"}, "this is a test string"),
    "or": ({"my-key": ["my-value-one", "my-value-two"]}, {"my-key": "my-value-two"}, {"my-key": "other"}),
    "and": (
        {"my-key-one": ["other-filter", "my-value-one"], "my-key-two": ["my-value-two"]},
        {"my-key-one": "my-value-one", "my-key-two": "my-value-two"},
        {"my-key-one": "other-filter"},
    ),
    "exists": ({"my-key": [{"exists": True}]}, {"my-key": "any-value-one"}, {"other-key": "any"}),
    "prefix": ({"my-key": [{"prefix": "yes"}]}, {"my-key": "yes-value"}, {"my-key": "no-value"}),
    "numeric-smaller": ({"my-number": [{"numeric": ["<", 100]}]}, {"my-number": 99}, {"my-number": 100}),
    "numeric-bigger": ({"my-number": [{"numeric": [">", 100]}]}, {"my-number": 101}, {"my-number": 100}),
    "numeric-range": ({"my-number": [{"numeric": [">=", 100, "<", 200]}]}, {"my-number": 100}, {"my-number": 200}),
}


def test_sqs_event_filter(s, case):
    pattern, matching, other = FILTERS[case]
    name, queue = s.function(TELL)["FunctionName"], s.queue()
    filters = {"Filters": [{"Pattern": json.dumps({"body": pattern})}]}
    made = s.step(
        "create_event_source_mapping_response",
        CREATE,
        FunctionName=name,
        EventSourceArn=queue,
        MaximumBatchingWindowInSeconds=1,
        FilterCriteria=filters,
    )
    s.until(lambda: s.call("get_event_source_mapping", UUID=made["UUID"])["State"] == "Enabled")
    sqs = s.client("sqs")
    url = s.call("get_queue_url", sqs, QueueName=queue.rsplit(":", 1)[1])["QueueUrl"]
    for body in (matching, other):
        s.call("send_message", sqs, QueueUrl=url, MessageBody=body if isinstance(body, str) else json.dumps(body))
    s.take("invocation_events", told(s, name))


def told(s, function):
    """What the function got, once it has got something."""
    is_told = lambda event: event["message"].startswith("TOLD ")
    found = events(s, function, lambda found: any(map(is_told, found)))
    got = [json.loads(event["message"].removeprefix("TOLD ")) for event in found if is_told(event)]
    for record in (record for event in got for record in event["Records"]):
        # The recordings have words for these two.
        assert record["attributes"]["SentTimestamp"].isdigit() and record["attributes"]["SenderId"]
        record["attributes"].update(SentTimestamp="sent-timestamp", SenderId="sender-id")
    return got
