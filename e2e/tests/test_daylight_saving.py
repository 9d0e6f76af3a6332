"""What is due when clocks are put forward and back, as a server sees it that runs while it happens.

What EventBridge Scheduler's guide says: a time that is left out in spring is skipped, and one that comes twice in autumn
runs only once. Scheduled scaling has the same times.
"""

import datetime
import json

import pytest

from conftest import client_of, deployer
from support.clients import service_of
from support.server import HANGS_S, wait_until
from support.wall import SetServer, utc
from test_scheduled_scaling import DIMENSION
from test_schedules import OFF, ROLE

BERLIN = "Europe/Berlin"
SAYS = """
def handler(event, context):
    print("FIRED", event["name"], event["time"])
"""
# How long before a moment the clock is set: it is passed by a clock that goes.
LEAD = datetime.timedelta(seconds=2)
# The clock never comes there.
FAR = "2199-01-01T00:00:00"


class Night:
    """A server some time before clocks change, what is due in the night, and what came of it."""

    def __init__(self, server):
        self.server = server
        self.client, self.logs = client_of(server), service_of(server, "logs")
        self.scaling, self.scheduler = service_of(server, "application-autoscaling"), service_of(server, "scheduler")
        deploy, _ = deployer(self.client)
        self.function = deploy(SAYS)
        self.client.publish_version(FunctionName=self.function.name)
        self.moments = 0
        self.scales("control")

    # What is due.

    def scales(self, alias):
        """Something of which nothing is provisioned until an action says so."""
        self.client.create_alias(FunctionName=self.function.name, Name=alias, FunctionVersion="1")
        self.scaling.register_scalable_target(**self.target(alias), MinCapacity=0, MaxCapacity=0)

    def target(self, alias):
        return {"ServiceNamespace": "lambda", "ResourceId": f"function:{self.function.name}:{alias}", "ScalableDimension": DIMENSION}

    def action(self, alias, name, schedule, count, zone):
        bounds = {"MinCapacity": count, "MaxCapacity": count}
        self.scaling.put_scheduled_action(**self.target(alias), ScheduledActionName=name, Schedule=schedule, Timezone=zone, ScalableTargetAction=bounds)

    def schedule(self, name, expression, zone):
        said = json.dumps({"name": name, "time": "<aws.scheduler.scheduled-time>"})
        target = {"Arn": self.arn(), "RoleArn": ROLE, "Input": said}
        self.scheduler.create_schedule(Name=name, ScheduleExpression=expression, ScheduleExpressionTimezone=zone, FlexibleTimeWindow=OFF, Target=target)

    def rule(self, name, expression):
        events = service_of(self.server, "events")
        rule = events.put_rule(Name=name, ScheduleExpression=expression)["RuleArn"]
        self.client.add_permission(FunctionName=self.function.name, StatementId=name, Action="lambda:InvokeFunction", Principal="events.amazonaws.com", SourceArn=rule)
        said = {"InputPathsMap": {"time": "$.time"}, "InputTemplate": json.dumps({"name": name, "time": "<time>"})}
        assert events.put_targets(Rule=name, Targets=[{"Id": "f", "Arn": self.arn(), "InputTransformer": said}])["FailedEntryCount"] == 0

    def arn(self):
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.function.name}"

    # What came of it.

    def passes(self, time, is_told=True):
        """Has the clock pass that moment, and returns when all has been seen to that is due by then, or before.

        The controls are in UTC, due at that moment, and by their names behind all else that is. Where the server is not
        told, it finds out by itself that its clock was set, within half a minute.
        """
        self.moments += 1
        self.action("control", f"z-{self.moments}", f"at({time})", self.moments, "UTC")
        self.schedule(f"z-{self.moments}", f"at({time})", "UTC")
        self.server.set(utc(time) - LEAD)
        if is_told:
            # A change has it look at what is due.
            self.action("control", "far", f"at({FAR})", 0, "UTC")
            self.schedule(f"far-{self.moments}", f"at({FAR})", "UTC")
        wait_until(lambda: self.provisioned("control") == self.moments, HANGS_S, lambda: f"at {self.server.now()} the control of {time} has not scaled: {self.server.log_text()}")
        wait_until(lambda: self.fired(f"z-{self.moments}") == [f"{time}Z"], HANGS_S, lambda: f"at {self.server.now()} the control of {time} has not fired: {self.fired()}")
        assert self.server.now() >= utc(time)

    def provisioned(self, alias):
        """How many environments of an alias have been asked for, by what is configured and by its target's bounds."""
        found = self.client.list_provisioned_concurrency_configs(FunctionName=self.function.name)["ProvisionedConcurrencyConfigs"]
        counts = {one["FunctionArn"].rsplit(":", 1)[1]: one["RequestedProvisionedConcurrentExecutions"] for one in found}
        ids = [self.target(alias)["ResourceId"]]
        [target] = self.scaling.describe_scalable_targets(ServiceNamespace="lambda", ResourceIds=ids)["ScalableTargets"]
        count = counts.get(alias, 0)
        # Between an action's two writes they differ.
        return count if target["MinCapacity"] == target["MaxCapacity"] == count else None

    def scaled_since(self, alias, time):
        """Checks that an alias has all that was asked for, and has been given it at that time or after it."""
        shown = lambda: self.client.get_provisioned_concurrency_config(FunctionName=self.function.name, Qualifier=alias)
        wait_until(lambda: shown()["Status"] == "READY", HANGS_S, lambda: f"{shown()}")
        config = shown()
        requested = config["RequestedProvisionedConcurrentExecutions"]
        assert requested == config["AllocatedProvisionedConcurrentExecutions"] == config["AvailableProvisionedConcurrentExecutions"]
        assert utc(time) <= datetime.datetime.fromisoformat(config["LastModified"]) <= self.server.now(), config
        return requested

    def fired(self, name=None):
        """The times that a schedule or a rule called the function for, in their order; of all where none is named."""
        events = self.logs.filter_log_events(logGroupName=f"/aws/lambda/{self.function.name}")["events"]
        lines = [event["message"].split() for event in events if event["message"].startswith("FIRED")]
        return sorted(time if name else (said, time) for _, said, time in lines if name in (None, said))

    def until_fired(self, expected):
        """Waits for the calls that are under way, and then there must be these and no others."""
        names = [name for name, times in expected.items() for _ in times]
        fired = lambda: [(name, time) for name, time in self.fired() if not name.startswith("z-")]
        wait_until(lambda: len(fired()) >= len(names), HANGS_S, lambda: f"{fired()}")
        assert {name: self.fired(name) for name in expected} == expected
        assert len(fired()) == len(names), fired()


@pytest.fixture
def night():
    """night("2026-03-28T12:00:00") -> a server at that time, of UTC."""
    servers = []

    def begin(time):
        servers.append(SetServer(utc(time)))
        return Night(servers[0].start())

    yield begin
    for server in servers:
        try:
            server.stop()
        finally:
            server.close()


def test_what_is_left_out_in_spring_does_not_come(night):
    """At 01:00 UTC it is two o'clock in Berlin, which is three."""
    night = night("2026-03-28T12:00:00")
    for alias, schedule in (("missing", "cron(30 2 * * ? *)"), ("after", "cron(0 3 * * ? *)")):
        night.scales(alias)
        night.action(alias, alias, schedule, 1, BERLIN)
    night.schedule("missing", "cron(30 2 * * ? *)", BERLIN)
    night.schedule("begin-of-missing", "cron(0 2 * * ? *)", BERLIN)
    night.schedule("after", "cron(0 3 * * ? *)", BERLIN)
    night.schedule("once", "at(2026-03-29T02:30:00)", BERLIN)
    night.schedule("utc", "cron(30 2 * * ? *)", "UTC")
    night.rule("rule", "cron(0 1 * * ? *)")

    night.passes("2026-03-29T01:00:00")
    assert (night.provisioned("missing"), night.scaled_since("after", "2026-03-29T01:00:00")) == (0, 1)
    night.until_fired({"after": ["2026-03-29T01:00:00Z"], "rule": ["2026-03-29T01:00:00Z"]})
    # Half past two, if the clocks had not been put forward.
    night.passes("2026-03-29T01:30:00")
    assert night.provisioned("missing") == 0
    night.passes("2026-03-29T02:30:00")
    assert night.provisioned("missing") == 0
    # The next day has one.
    night.passes("2026-03-30T00:30:00", is_told=False)
    assert (night.provisioned("missing"), night.scaled_since("missing", "2026-03-30T00:30:00")) == (1, 1)
    night.until_fired({
        "missing": ["2026-03-30T00:30:00Z"],
        "begin-of-missing": ["2026-03-30T00:00:00Z"],
        "after": ["2026-03-29T01:00:00Z"],
        "once": ["2026-03-29T01:30:00Z"],
        "utc": ["2026-03-29T02:30:00Z"],
        "rule": ["2026-03-29T01:00:00Z"],
    })


def test_what_comes_twice_in_autumn_runs_once(night):
    """At 01:00 UTC it is three o'clock in Berlin, which is two."""
    night = night("2026-10-24T12:00:00")
    for alias, schedule in (("twice", "cron(30 2 * * ? *)"), ("after", "cron(0 3 * * ? *)")):
        night.scales(alias)
        night.action(alias, alias, schedule, 1, BERLIN)
    # So that it would be seen if it scaled again.
    night.action("twice", "away", "at(2026-10-25T00:45:00)", 0, "UTC")
    night.schedule("twice", "cron(30 2 * * ? *)", BERLIN)
    night.schedule("begin-of-twice", "cron(0 2 * * ? *)", BERLIN)
    night.schedule("after", "cron(0 3 * * ? *)", BERLIN)
    night.schedule("once", "at(2026-10-25T02:30:00)", BERLIN)
    night.schedule("utc", "cron(30 1 * * ? *)", "UTC")
    night.rule("rule", "cron(0 1 * * ? *)")

    night.passes("2026-10-25T00:30:00")
    assert (night.scaled_since("twice", "2026-10-25T00:30:00"), night.provisioned("after")) == (1, 0)
    # The change itself: two o'clock again.
    night.passes("2026-10-25T01:00:00")
    assert (night.provisioned("twice"), night.provisioned("after")) == (0, 0)
    night.passes("2026-10-25T01:30:00")
    assert (night.provisioned("twice"), night.provisioned("after")) == (0, 0)
    night.passes("2026-10-25T02:00:00")
    assert (night.provisioned("twice"), night.scaled_since("after", "2026-10-25T02:00:00")) == (0, 1)
    night.until_fired({
        "twice": ["2026-10-25T00:30:00Z"],
        "begin-of-twice": ["2026-10-25T00:00:00Z"],
        "after": ["2026-10-25T02:00:00Z"],
        "once": ["2026-10-25T00:30:00Z"],
        "utc": ["2026-10-25T01:30:00Z"],
        "rule": ["2026-10-25T01:00:00Z"],
    })
    # The next day has one.
    night.passes("2026-10-26T01:30:00", is_told=False)
    assert night.scaled_since("twice", "2026-10-26T01:30:00") == 1
    assert night.fired("twice")[1:] == ["2026-10-26T01:30:00Z"]
