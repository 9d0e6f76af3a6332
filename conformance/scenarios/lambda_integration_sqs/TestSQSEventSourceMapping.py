"""Queues as event sources: what is refused when a mapping is made."""

import json

CREATE = "create_event_source_mapping"
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
