"""EventBridge Scheduler as boto3 uses it: schedules in their time zones, by a clock that the tests move."""

import datetime
import json

import pytest

from conftest import deploys_on, service_on, unique
from support.clients import service_of
from support.clock import advance, now_ms
from support.server import wait_until
from test_rules import ECHO, code_of, received

ROLE = "arn:aws:iam::000000000000:role/scheduler"
OFF = {"Mode": "OFF"}


deploy = deploys_on("manual")
scheduler = service_on("manual", "scheduler")
sqs = service_on("manual", "sqs")


def queue(sqs):
    url = sqs.create_queue(QueueName=unique("q"), Attributes={"MessageRetentionPeriod": "1209600"})["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


@pytest.fixture
def schedule(scheduler):
    """schedule(expression, arn) -> its name; it goes with its test."""
    made = []

    def make(expression, arn, target=None, **args):
        name = unique("schedule")
        args = {"FlexibleTimeWindow": OFF, **args}
        scheduler.create_schedule(Name=name, ScheduleExpression=expression, Target={"Arn": arn, "RoleArn": ROLE, **(target or {})}, **args)
        made.append((name, args.get("GroupName", "default")))
        return name

    yield make
    for name, group in made:
        try:
            scheduler.delete_schedule(Name=name, GroupName=group)
        except scheduler.exceptions.ResourceNotFoundException:
            pass


def now(server):
    return datetime.datetime.fromtimestamp(now_ms(server) / 1000, datetime.timezone.utc)


def times(sqs, url):
    return sorted(json.loads(message["Body"])["time"] for message in received(sqs, url))


def test_a_schedule_is_made_shown_changed_and_deleted(scheduler):
    name, queue_arn = unique("schedule"), "arn:aws:sqs:us-east-1:000000000000:q"
    given = {"Name": name, "ScheduleExpression": "cron(0 8 ? * MON-FRI *)", "ScheduleExpressionTimezone": "Europe/Berlin",
             "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}, "Target": {"Arn": queue_arn, "RoleArn": ROLE, "Input": "x"}}
    arn = scheduler.create_schedule(**given, ClientToken="t1")["ScheduleArn"]
    assert arn == f"arn:aws:scheduler:us-east-1:000000000000:schedule/default/{name}"
    assert scheduler.create_schedule(**given, ClientToken="t1")["ScheduleArn"] == arn
    assert code_of(scheduler.create_schedule, **given, ClientToken="t2") == ("ConflictException", f"Schedule {name} already exists.")
    shown = scheduler.get_schedule(Name=name)
    assert {key: shown[key] for key in given if key != "Target"} == {key: given[key] for key in given if key != "Target"}
    assert (shown["Arn"], shown["GroupName"], shown["State"], shown["ActionAfterCompletion"]) == (arn, "default", "ENABLED", "NONE")
    assert shown["Target"] == {**given["Target"], "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}}
    scheduler.update_schedule(**{**given, "State": "DISABLED"})
    assert [(one["Name"], one["State"]) for one in scheduler.list_schedules(NamePrefix=name)["Schedules"]] == [(name, "DISABLED")]
    assert scheduler.list_schedules(NamePrefix=name, State="ENABLED")["Schedules"] == []
    scheduler.delete_schedule(Name=name)
    assert code_of(scheduler.get_schedule, Name=name) == ("ResourceNotFoundException", f"Schedule {name} does not exist.")


@pytest.mark.parametrize("args, text", [
    ({"ScheduleExpression": "rate(1 minutes)"}, "Invalid Schedule Expression rate(1 minutes)."),
    ({"ScheduleExpression": "at(2024-13-01T00:00:00)"}, "Invalid Schedule Expression at(2024-13-01T00:00:00)."),
    ({"ScheduleExpressionTimezone": "Europe/Nowhere"}, "Invalid Schedule Expression Timezone Europe/Nowhere."),
    ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes must be provided"),
    ({"StartDate": datetime.datetime(2020, 1, 1)}, "The StartDate you specify cannot be earlier than 5 minutes ago."),
    ({"GroupName": "nowhere"}, "Schedule group nowhere does not exist."),
    ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", "RoleArn": ROLE}}, "aws-sdk:sqs:sendMessage"),
])
def test_what_is_no_schedule(scheduler, args, text):
    given = {"Name": "never", "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": OFF,
             "Target": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": ROLE}, **args}
    assert text in code_of(scheduler.create_schedule, **given)[1]


def test_groups_have_tags_and_take_their_schedules_along(scheduler, schedule):
    name = unique("group")
    arn = scheduler.create_schedule_group(Name=name, Tags=[{"Key": "a", "Value": "1"}])["ScheduleGroupArn"]
    schedule("rate(1 hour)", "arn:aws:sqs:us-east-1:000000000000:q", GroupName=name)
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    assert [group["Name"] for group in scheduler.list_schedule_groups(NamePrefix=name)["ScheduleGroups"]] == [name]
    assert scheduler.get_schedule_group(Name="default")["State"] == "ACTIVE"
    scheduler.delete_schedule_group(Name=name)
    assert scheduler.list_schedules(GroupName=name)["Schedules"] == []
    assert code_of(scheduler.get_schedule_group, Name=name)[0] == "ResourceNotFoundException"
    assert code_of(scheduler.delete_schedule_group, Name="default")[0] == "ValidationException"


def test_a_schedule_fires_by_the_clocks_of_its_zone(manual, scheduler, sqs, schedule):
    url, arn = queue(sqs)
    schedule("cron(30 9 * * ? *)", arn, ScheduleExpressionTimezone="Asia/Kolkata")
    advance(manual, "48h")
    found = times(sqs, url)
    assert [time[10:] for time in found] == ["T04:00:00Z"] * 2, found


def test_once_and_then_it_is_gone(manual, scheduler, sqs, schedule):
    url, arn = queue(sqs)
    at = (now(manual) + datetime.timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S")
    said = '{"time": "<aws.scheduler.scheduled-time>", "arn": "<aws.scheduler.schedule-arn>"}'
    name = schedule(f"at({at})", arn, {"Input": said}, ActionAfterCompletion="DELETE")
    stays = schedule(f"at({at})", arn)
    advance(manual, "2h")
    assert received(sqs, url) == []
    advance(manual, "2h")
    bodies = [json.loads(message["Body"]) for message in received(sqs, url)]
    assert {"time": at + "Z", "arn": f"arn:aws:scheduler:us-east-1:000000000000:schedule/default/{name}"} in bodies, bodies
    assert sorted(body.get("detail-type", "") for body in bodies) == ["", "Scheduled Event"]
    assert code_of(scheduler.get_schedule, Name=name)[0] == "ResourceNotFoundException"
    assert scheduler.get_schedule(Name=stays)["State"] == "ENABLED"


def test_a_rate_between_two_dates(manual, scheduler, sqs, schedule):
    url, arn = queue(sqs)
    start = now(manual) + datetime.timedelta(hours=1)
    schedule("rate(20 minutes)", arn, StartDate=start, EndDate=start + datetime.timedelta(minutes=45))
    advance(manual, "59m")
    assert received(sqs, url) == []
    advance(manual, "10h")
    assert len(times(sqs, url)) == 3


def test_within_a_window(manual, scheduler, sqs, schedule):
    url, arn = queue(sqs)
    at = (now(manual) + datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S")
    schedule(f"at({at})", arn, FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 10})
    advance(manual, "4m")
    assert received(sqs, url) == []
    advance(manual, "11m")
    assert times(sqs, url) == [at + "Z"]


def test_a_function_and_a_bus_are_called(manual, scheduler, deploy, schedule):
    function = deploy(ECHO)
    schedule("rate(1 hour)", f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}", {"Input": '{"warm": "yes"}'})
    logs = service_of(manual, "logs")
    lines = lambda group: [line["message"] for line in logs.filter_log_events(logGroupName=group)["events"]]
    advance(manual, "1m")
    wait_until(lambda: any('GOT {"warm": "yes"}' in line for line in lines(f"/aws/lambda/{function.name}")), 60, "the function was not called")
    events, group = service_of(manual, "events"), f"/events/{unique('g')}"
    logs.create_log_group(logGroupName=group)
    events.put_rule(Name="scheduled", EventPattern='{"source":["my.clock"]}')
    events.put_targets(Rule="scheduled", Targets=[{"Id": "g", "Arn": f"arn:aws:logs:us-east-1:000000000000:log-group:{group}"}])
    bus = "arn:aws:events:us-east-1:000000000000:event-bus/default"
    schedule("rate(1 hour)", bus, {"Input": '{"n": 1}', "EventBridgeParameters": {"Source": "my.clock", "DetailType": "tick"}})
    advance(manual, "1m")
    wait_until(lambda: lines(group), 60, "the bus got nothing")
    event = json.loads(lines(group)[0])
    assert (event["detail"], event["detail-type"]) == ({"n": 1}, "tick")


def test_what_was_missed_while_the_server_was_down_comes_once(alone):
    server = alone()
    scheduler, sqs = service_of(server, "scheduler"), service_of(server, "sqs")
    url, arn = queue(sqs)
    at = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=8)).strftime("%Y-%m-%dT%H:%M:%S")
    scheduler.create_schedule(Name="s", ScheduleExpression=f"at({at})", FlexibleTimeWindow=OFF, Target={"Arn": arn, "RoleArn": ROLE})
    server.kill()
    # Until the time is over: what is tried is that nobody was there then.
    wait_until(lambda: datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") > at, 60, "time stands still")
    server.start()
    sqs = service_of(server, "sqs")
    url = sqs.get_queue_url(QueueName=url.rsplit("/", 1)[1])["QueueUrl"]
    assert [json.loads(message["Body"])["time"] for message in received(sqs, url, WaitTimeSeconds=20)] == [at + "Z"]
    assert received(sqs, url, WaitTimeSeconds=1) == []
