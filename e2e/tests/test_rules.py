"""EventBridge as boto3 and the AWS CLI use it: buses, rules, targets, events, and rules that are due at times."""

import json

import pytest
from botocore.exceptions import ClientError

from conftest import deploys_on, service_on, unique
from support.clients import service_of
from support.clock import advance
from support.server import wait_until

PATTERN = json.dumps({"source": ["my.shop"], "detail": {"amount": [{"numeric": [">", 10]}]}})
ECHO = """
def handler(event, context):
    print("GOT", __import__("json").dumps(event))
"""


deploy = deploys_on("manual")
events = service_on("manual", "events")
sqs = service_on("manual", "sqs")


@pytest.fixture
def rule(events):
    """rule(EventPattern=..., targets=[...]) -> its name; all go with their test."""
    made = []

    def make(targets=(), **args):
        name = unique("rule")
        events.put_rule(Name=name, **args)
        made.append((name, args.get("EventBusName", "default"), [target["Id"] for target in targets]))
        if targets:
            assert events.put_targets(Rule=name, EventBusName=args.get("EventBusName", "default"), Targets=targets)["FailedEntryCount"] == 0
        return name

    yield make
    for name, bus, ids in made:
        if ids:
            events.remove_targets(Rule=name, EventBusName=bus, Ids=ids)
        events.delete_rule(Name=name, EventBusName=bus)


def queue_for(sqs, source="*", **attributes):
    """A queue that rules may send to, and its ARN."""
    url = sqs.create_queue(QueueName=unique("q"), Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    return url, arn


def received(sqs, url, **args):
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **args).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return messages


def put(events, source="my.shop", detail='{"amount": 11}', **args):
    entry = {"Source": source, "DetailType": "sold", "Detail": detail, **args}
    answer = events.put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0, answer
    return answer["Entries"][0]["EventId"]


def code_of(call, **args):
    with pytest.raises(ClientError) as caught:
        call(**args)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_rule_is_made_shown_switched_and_deleted(events):
    name = unique("rule")
    arn = events.put_rule(Name=name, EventPattern=PATTERN, Description="d", Tags=[{"Key": "a", "Value": "1"}])["RuleArn"]
    assert arn == f"arn:aws:events:us-east-1:000000000000:rule/{name}"
    shown = events.describe_rule(Name=name)
    shown.pop("ResponseMetadata")
    assert shown == {"Name": name, "Arn": arn, "EventPattern": PATTERN, "State": "ENABLED", "Description": "d",
                     "EventBusName": "default", "CreatedBy": "000000000000"}
    events.disable_rule(Name=name)
    assert events.describe_rule(Name=name)["State"] == "DISABLED"
    events.enable_rule(Name=name)
    assert [one["State"] for one in events.list_rules(NamePrefix=name)["Rules"]] == ["ENABLED"]
    events.tag_resource(ResourceARN=arn, Tags=[{"Key": "b", "Value": "2"}])
    events.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    target = {"Id": "t", "Arn": "arn:aws:lambda:us-east-1:000000000000:function:f", "InputPath": "$.detail",
              "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}}
    events.put_targets(Rule=name, Targets=[target])
    assert events.list_targets_by_rule(Rule=name)["Targets"] == [target]
    assert events.list_rule_names_by_target(TargetArn=target["Arn"])["RuleNames"] == [name]
    assert code_of(events.delete_rule, Name=name) == ("ValidationException", "Rule can't be deleted since it has targets.")
    events.remove_targets(Rule=name, Ids=["t"])
    events.delete_rule(Name=name)
    assert code_of(events.describe_rule, Name=name) == ("ResourceNotFoundException", f"Rule {name} does not exist on EventBus default.")
    events.delete_rule(Name=name)


@pytest.mark.parametrize("args, code, message", [
    ({}, "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."),
    ({"ScheduleExpression": "rate(1 minutes)"}, "ValidationException", "Parameter ScheduleExpression is not valid."),
    ({"ScheduleExpression": "cron(0 1 * * * *)"}, "ValidationException", "Parameter ScheduleExpression is not valid."),
    ({"EventPattern": "[]"}, "InvalidEventPatternException", "Event pattern is not valid. Reason: Filter is not an object"),
    ({"EventPattern": '{"a":"b"}'}, "InvalidEventPatternException", 'Event pattern is not valid. Reason: "a" must be an object or an array'),
    ({"EventPattern": PATTERN, "EventBusName": "nowhere"}, "ResourceNotFoundException", "Event bus nowhere does not exist."),
])
def test_what_is_no_rule(events, args, code, message):
    assert code_of(events.put_rule, Name="never", **args) == (code, message)


def test_buses(events):
    name = unique("bus")
    arn = events.create_event_bus(Name=name, Description="d")["EventBusArn"]
    assert arn == f"arn:aws:events:us-east-1:000000000000:event-bus/{name}"
    assert code_of(events.create_event_bus, Name=name) == ("ResourceAlreadyExistsException", f"Event bus {name} already exists.")
    assert events.describe_event_bus(Name=arn)["Description"] == "d"
    assert [bus["Name"] for bus in events.list_event_buses(NamePrefix="def")["EventBuses"]] == ["default"]
    events.put_permission(EventBusName=name, Action="events:PutEvents", Principal="111122223333", StatementId="other")
    assert "111122223333" in events.describe_event_bus(Name=name)["Policy"]
    events.remove_permission(EventBusName=name, StatementId="other")
    assert "Policy" not in events.describe_event_bus(Name=name)
    events.put_rule(Name="r", EventBusName=name, EventPattern=PATTERN)
    assert code_of(events.delete_event_bus, Name=name)[0] == "ValidationException"
    events.delete_rule(Name="r", EventBusName=name)
    events.delete_event_bus(Name=name)
    assert code_of(events.describe_event_bus, Name=name) == ("ResourceNotFoundException", f"Event bus {name} does not exist.")
    assert code_of(events.delete_event_bus, Name="default")[0] == "ValidationException"


def test_entries_are_taken_or_say_why_not(events):
    answer = events.put_events(Entries=[
        {"Source": "s", "DetailType": "t", "Detail": "{}"},
        {"DetailType": "t", "Detail": "{}"},
        {"Source": "s", "DetailType": "t", "Detail": "{"},
        {"Source": "aws.s3", "DetailType": "t", "Detail": "{}"},
        {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": "nowhere"},
    ])
    assert answer["FailedEntryCount"] == 3
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == [None, "InvalidArgument", "MalformedDetail", "NotAuthorizedForSource", None]
    assert answer["Entries"][1]["ErrorMessage"] == "Parameter Source is not valid. Reason: Source is a required argument."
    large = [{"Source": "s", "DetailType": "t", "Detail": json.dumps({"a": "x" * 262144})}]
    assert code_of(events.put_events, Entries=large) == ("ValidationException", "Total size of the entries in the request is over the limit.")
    assert code_of(events.put_events, Entries=[{"Source": "s"}] * 11)[0] == "ValidationException"


def test_a_pattern_is_tested(events):
    event = {"id": "1", "account": "0", "source": "my.shop", "time": "2024-01-01T00:00:00Z", "region": "r", "resources": [],
             "detail-type": "t", "detail": {"amount": 11.0}}
    assert events.test_event_pattern(EventPattern=PATTERN, Event=json.dumps(event))["Result"] is True
    event["detail"]["amount"] = 10
    assert events.test_event_pattern(EventPattern=PATTERN, Event=json.dumps(event))["Result"] is False


def test_events_that_match_reach_a_queue_as_they_are_or_transformed(events, sqs, rule):
    url, arn = queue_for(sqs)
    rule(EventPattern=PATTERN, targets=[
        {"Id": "whole", "Arn": arn},
        {"Id": "part", "Arn": arn, "InputPath": "$.detail.amount"},
        {"Id": "constant", "Arn": arn, "Input": '{"c": 1}'},
        {"Id": "made", "Arn": arn, "InputTransformer": {"InputPathsMap": {"n": "$.detail.amount", "s": "$.source"},
                                                          "InputTemplate": '{"n": <n>, "text": "<s> sold <n>"}'}},
    ])
    put(events, detail='{"amount": 10}')
    put(events, source="other")
    event_id = put(events, detail='{"z": 1, "amount": 11.50}', Resources=["r"])
    bodies = {}
    for message in received(sqs, url):
        bodies[message["Body"][:12]] = message["Body"]
    assert len(bodies) == 4, bodies
    whole = next(body for body in bodies.values() if "version" in body)
    assert whole.endswith('"region":"us-east-1","resources":["r"],"detail":{"z": 1, "amount": 11.50}}'), whole
    assert json.loads(whole)["id"] == event_id
    assert {"11.5", '{"c": 1}', '{"n": 11.5, "text": "my.shop sold 11.5"}'} < set(bodies.values()), bodies


def test_a_function_is_reached_where_its_policy_lets_rules_in(manual, events, sqs, deploy, rule):
    function = deploy(ECHO)
    function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
    dead_url, dead_arn = queue_for(sqs)
    target = {"Id": "f", "Arn": function_arn, "DeadLetterConfig": {"Arn": dead_arn}, "RetryPolicy": {"MaximumRetryAttempts": 0}}
    name = rule(EventPattern=PATTERN, targets=[target])
    refused = put(events)
    message = received(sqs, dead_url, MessageAttributeNames=["All"], WaitTimeSeconds=10)[0]
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert json.loads(message["Body"])["id"] == refused
    assert (attributes["ERROR_CODE"], attributes["TARGET_ARN"]) == ("NO_PERMISSIONS", function_arn), attributes
    assert attributes["RULE_ARN"].endswith(f":rule/{name}"), attributes
    function.client.add_permission(FunctionName=function.name, StatementId="rule", Action="lambda:InvokeFunction",
                                   Principal="events.amazonaws.com", SourceArn=attributes["RULE_ARN"])
    event_id = put(events)
    logs = service_of(manual, "logs")
    group = f"/aws/lambda/{function.name}"
    wait_until(lambda: any(event_id in line["message"] for line in logs.filter_log_events(logGroupName=group)["events"]), 60, "the function was not called")


def test_log_groups_and_other_buses_are_reached(manual, events, sqs, rule):
    bus, group = unique("bus"), f"/aws/events/{unique('g')}"
    bus_arn = events.create_event_bus(Name=bus)["EventBusArn"]
    logs = service_of(manual, "logs")
    logs.create_log_group(logGroupName=group)
    url, arn = queue_for(sqs)
    source = unique("source")
    pattern = json.dumps({"source": [source]})
    rule(EventPattern=pattern, targets=[
        {"Id": "bus", "Arn": bus_arn},
        {"Id": "group", "Arn": f"arn:aws:logs:us-east-1:000000000000:log-group:{group}"},
    ])
    rule(EventPattern=pattern, EventBusName=bus, targets=[{"Id": "q", "Arn": arn}])
    event_id = put(events, source=source)
    assert [json.loads(message["Body"])["id"] for message in received(sqs, url)] == [event_id]
    lines = lambda: [json.loads(line["message"])["id"] for line in logs.filter_log_events(logGroupName=group)["events"]]
    wait_until(lambda: lines() == [event_id], 60, "the log group got nothing")


def test_what_is_for_a_bus_that_has_gone_is_a_dead_letter(events, sqs, rule):
    bus, source = unique("bus"), unique("source")
    arn = events.create_event_bus(Name=bus)["EventBusArn"]
    url, letters = queue_for(sqs)
    rule(EventPattern=json.dumps({"source": [source]}), targets=[{"Id": "bus", "Arn": arn, "DeadLetterConfig": {"Arn": letters}}])
    events.delete_event_bus(Name=bus)
    event_id = put(events, source=source)
    (message,) = received(sqs, url, MessageAttributeNames=["All"], WaitTimeSeconds=20)
    assert json.loads(message["Body"])["id"] == event_id
    told = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (told["ERROR_CODE"], told["TARGET_ARN"]) == ("NO_RESOURCE", arn)


def test_what_a_target_cannot_be_is_said(events, rule):
    name = rule(EventPattern=PATTERN)
    queue = "arn:aws:sqs:us-east-1:000000000000:q"
    for target, code, text in [
        ({"Arn": "queue"}, "ValidationException", "Parameter queue is not valid. Reason: Provided Arn is not in correct format."),
        ({"Arn": "arn:aws:states:us-east-1:000000000000:stateMachine:s"}, "NotImplementedException", "stateMachine"),
        ({"Arn": queue, "Input": "{"}, "ValidationException", "JSON syntax error in input for target t"),
        ({"Arn": queue, "Input": "1", "InputPath": "$"}, "ValidationException", "Only one of Input, InputPath, or InputTransformer"),
        ({"Arn": queue + ".fifo"}, "ValidationException", "Parameter(s) SqsParameters must be specified for target: t."),
        ({"Arn": queue, "InputTransformer": {"InputTemplate": "<x>"}}, "ValidationException", "invalid placeholder x"),
        ({"Arn": queue, "KinesisParameters": {"PartitionKeyPath": "$"}}, "NotImplementedException", "KinesisParameters"),
    ]:
        found = code_of(events.put_targets, Rule=name, Targets=[{"Id": "t", **target}])
        assert found[0] == code and text in found[1], (target, found)
    six = [{"Id": str(n), "Arn": queue} for n in range(6)]
    assert code_of(events.put_targets, Rule=name, Targets=six)[0] == "LimitExceededException"
    assert code_of(events.put_targets, Rule="never", Targets=six[:1])[0] == "ResourceNotFoundException"


def test_a_rule_is_due_at_its_times(manual, events, sqs, rule):
    url, arn = queue_for(sqs)
    name = rule(ScheduleExpression="rate(5 minutes)", targets=[{"Id": "q", "Arn": arn}])
    advance(manual, "4m")
    assert received(sqs, url) == []
    advance(manual, "11m")
    times = sorted(json.loads(message["Body"])["time"] for message in received(sqs, url))
    assert len(times) == 3, times
    events.disable_rule(Name=name)
    advance(manual, "1h")
    assert received(sqs, url) == []
    events.put_rule(Name=name, ScheduleExpression="cron(0 8 ? * * *)")
    advance(manual, "24h")
    bodies = [json.loads(message["Body"]) for message in received(sqs, url)]
    assert [(body["time"][10:], body["detail-type"], body["source"], body["detail"]) for body in bodies] == [
        ("T08:00:00Z", "Scheduled Event", "aws.events", {})]
    assert bodies[0]["resources"] == [f"arn:aws:events:us-east-1:000000000000:rule/{name}"]


def test_rules_and_what_was_acknowledged_survive_a_kill(alone):
    server = alone()
    events, sqs = service_of(server, "events"), service_of(server, "sqs")
    url, arn = queue_for(sqs)
    events.put_rule(Name="r", EventPattern=PATTERN)
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn}])
    sent = {put(events) for _ in range(5)}
    server.kill()
    server.start()
    events, sqs = service_of(server, "events"), service_of(server, "sqs")
    url = sqs.get_queue_url(QueueName=url.rsplit("/", 1)[1])["QueueUrl"]
    sent.add(put(events))
    assert {json.loads(message["Body"])["id"] for message in received(sqs, url)} == sent
