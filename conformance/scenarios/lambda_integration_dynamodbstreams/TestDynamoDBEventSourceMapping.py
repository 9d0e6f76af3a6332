"""Streams of tables as event sources: what is refused when a mapping is made."""

CREATE = "create_event_source_mapping"


def test_duplicate_event_source_mappings(s):
    name = s.function()["FunctionName"]
    stream = s.table(step="create-table-result")["LatestStreamArn"]
    args = {"FunctionName": name, "EventSourceArn": stream, "StartingPosition": "TRIM_HORIZON"}
    args |= {"MaximumBatchingWindowInSeconds": 1, "MaximumRetryAttempts": 1}
    s.step("create", CREATE, **args)
    s.step("error", CREATE, **args)


def test_dynamodb_invalid_event_filter(s, pattern):
    name, stream = s.function()["FunctionName"], s.table()["LatestStreamArn"]
    filters = {"Filters": [{"Pattern": pattern}]}
    args = {"EventSourceArn": stream, "StartingPosition": "TRIM_HORIZON", "FilterCriteria": filters}
    s.step("exception_event_source_creation", CREATE, FunctionName=name, **args)


def test_esm_with_not_existing_dynamodb_stream(s):
    stream = f"arn:aws:dynamodb:{s.region}:{s.account}:table/test-table-4a53f4e8/stream/2025-02-22T03:03:25.490"
    name = s.function()["FunctionName"]
    s.step("error", CREATE, FunctionName=name, EventSourceArn=stream, StartingPosition="TRIM_HORIZON")
