"""Event source mappings."""

import uuid

CREATE = "create_event_source_mapping"


def test_create_event_filter_criteria_validation(s):
    name, table = s.function()["FunctionName"], s.table()
    s.given_as(table_name=table["TableName"])
    args = {"EventSourceArn": table["LatestStreamArn"], "StartingPosition": "LATEST", "FilterCriteria": {"Filters": []}}
    s.step("response-with-empty-filters", CREATE, FunctionName=name, **args)


def test_create_event_source_validation(s):
    name, table = s.function()["FunctionName"], s.table()
    stream = table["LatestStreamArn"]
    s.given_as(table_name=table["TableName"], stream_name=stream.split("/stream/")[1])
    positions(s, name, stream)
    args = {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1741010802}
    s.step("incompatible_starting_position", CREATE, FunctionName=name, EventSourceArn=stream, **args)


def test_create_event_source_validation_kinesis(s):
    positions(s, s.function()["FunctionName"], s.stream())


def positions(s, name, source):
    s.step("no_starting_position", CREATE, FunctionName=name, EventSourceArn=source)
    step = "invalid_starting_position"
    s.step(step, CREATE, FunctionName=name, EventSourceArn=source, StartingPosition="invalid")


def test_event_source_mapping_exceptions(s):
    unknown = str(uuid.uuid4())
    s.step("get_unknown_uuid", "get_event_source_mapping", UUID=unknown)
    s.step("delete_unknown_uuid", "delete_event_source_mapping", UUID=unknown)
    s.step("update_unknown_uuid", "update_event_source_mapping", UUID=unknown, Enabled=False)
    s.step("create_no_event_source_arn", CREATE, FunctionName="doesnotexist")
    source = f"arn:aws:sqs:{s.region}:{s.account}:somequeue"
    s.step("create_unknown_params", CREATE, FunctionName="doesnotexist", EventSourceArn=source)
    name = s.function()["FunctionName"]
    failed = {"OnFailure": {"Destination": f"arn:aws:sqs:{s.region}:{s.account}:dlq"}}
    args = {"EventSourceArn": s.queue(), "DestinationConfig": failed}
    s.step("destination_config_failure", CREATE, FunctionName=name, **args)


def test_event_source_mapping_lifecycle(s):
    name = s.function()["FunctionName"]
    mapping = create_from_table(s, name)
    s.step("delete_response", "delete_event_source_mapping", UUID=mapping)


def test_event_source_mapping_lifecycle_delete_function(s):
    name = s.function()["FunctionName"]
    mapping = create_from_table(s, name)
    s.step("delete_function_response", "delete_function", FunctionName=name)
    s.step("get_response_post_delete", "get_event_source_mapping", UUID=mapping)
    s.step("delete_response", "delete_event_source_mapping", UUID=mapping)


def create_from_table(s, name):
    """A mapping from a new table's stream, enabled."""
    table = s.table(step="update_table_response")
    made = s.step(
        "create_response",
        CREATE,
        FunctionName=name,
        EventSourceArn=table["LatestStreamArn"],
        DestinationConfig={"OnFailure": {"Destination": s.queue()}},
        BatchSize=1,
        StartingPosition="TRIM_HORIZON",
        MaximumBatchingWindowInSeconds=1,
        MaximumRetryAttempts=1,
    )
    settled(s, made["UUID"])
    s.step("get_response", "get_event_source_mapping", UUID=made["UUID"])
    return made["UUID"]


def test_function_name_variations(s):
    name = s.name()
    arn, queue = s.function(FunctionName=name)["FunctionArn"], s.queue()
    s.call("publish_version", FunctionName=name)
    s.call("create_alias", FunctionName=name, Name="myalias", FunctionVersion="1")
    partial = f"{s.account}:function:{name}"
    for step, function in (
        ("name_only", name),
        ("partial_arn_latest", f"{partial}:$LATEST"),
        ("partial_arn_version", f"{partial}:1"),
        ("partial_arn_alias", f"{partial}:myalias"),
        ("full_arn_latest", arn),
        ("full_arn_version", f"{arn}:1"),
        ("full_arn_alias", f"{arn}:myalias"),
    ):
        made = s.step(f"{step}_create_esm", CREATE, FunctionName=function, EventSourceArn=queue)
        settled(s, made["UUID"])
        s.call("delete_event_source_mapping", UUID=made["UUID"])
        s.gone("get_event_source_mapping", UUID=made["UUID"])


def settled(s, mapping):
    """Waits until a mapping is what it was to become."""
    s.until(lambda: s.call("get_event_source_mapping", UUID=mapping)["State"] in ("Enabled", "Disabled"))
