"""Provisioned concurrency that follows the clock: Application Auto Scaling's scheduled actions."""

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError

from conftest import client_of, deployer
from support.clients import service_at
from support.clock import MANUAL, advance, now_ms
from support.server import wait_until

KIND = """
import os
def handler(event, context):
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
"""
DIMENSION = "lambda:function:ProvisionedConcurrency"


class Scaled:
    """A published function, and what scales it."""

    def __init__(self, server):
        self.server = server
        self.connect()
        deploy, _ = deployer(self.client)
        self.function = deploy(KIND)
        self.client.publish_version(FunctionName=self.function.name)
        self.client.create_alias(FunctionName=self.function.name, Name="live", FunctionVersion="1")
        self.target = {
            "ServiceNamespace": "lambda",
            "ResourceId": f"function:{self.function.name}:live",
            "ScalableDimension": DIMENSION,
        }

    def connect(self):
        self.client = client_of(self.server)
        self.scaling = service_at(self.server.url, "application-autoscaling")

    def register(self, least, most, **more):
        return self.scaling.register_scalable_target(**self.target, MinCapacity=least, MaxCapacity=most, **more)

    def put(self, name, schedule, least=None, most=None, **more):
        given = {"MinCapacity": least, "MaxCapacity": most}
        action = {key: value for key, value in given.items() if value is not None}
        self.scaling.put_scheduled_action(
            **self.target, ScheduledActionName=name, Schedule=schedule, ScalableTargetAction=action, **more
        )

    def bounds(self):
        [target] = self.scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
        return target["MinCapacity"], target["MaxCapacity"]

    def requested(self):
        configs = self.client.list_provisioned_concurrency_configs(FunctionName=self.function.name)
        counts = [c["RequestedProvisionedConcurrentExecutions"] for c in configs["ProvisionedConcurrencyConfigs"]]
        return counts[0] if counts else 0

    def refused(self, call, **given):
        with pytest.raises(ClientError) as caught:
            call(**given)
        return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture
def scaled(alone):
    return Scaled(alone(*MANUAL))


def test_what_is_provisioned_follows_the_clock(scaled):
    scaled.register(0, 10)
    assert scaled.requested() == 0, "registering changes nothing"
    scaled.put("up", "rate(2 hours)", least=2, most=10)
    scaled.put("down", "rate(3 hours)", least=0, most=0)
    advance(scaled.server, "119m")
    assert scaled.requested() == 0
    advance(scaled.server, "1m")
    assert (scaled.requested(), scaled.bounds()) == (2, (2, 10))

    def status():
        return scaled.client.get_provisioned_concurrency_config(FunctionName=scaled.function.name, Qualifier="live")["Status"]

    # What was just asked for is in progress for a moment of the clock's time.
    advance(scaled.server, "1s")
    wait_until(lambda: status() == "READY", 60, "the environments are not there")
    assert scaled.function.call(Qualifier="live") == "provisioned-concurrency"
    advance(scaled.server, "60m")
    assert (scaled.requested(), scaled.bounds()) == (0, (0, 0))
    advance(scaled.server, "60m")
    assert (scaled.requested(), scaled.bounds()) == (2, (2, 10))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_eight_in_the_morning_is_that_of_the_time_zone(scaled, zone):
    scaled.register(0, 10)
    if until_eight_s(scaled.server, zone) > 86_396:
        advance(scaled.server, "4s")
    scaled.put("morning", "cron(0 8 * * ? *)", least=2, Timezone=zone)
    advance(scaled.server, f"{until_eight_s(scaled.server, zone) - 2}s")
    assert scaled.bounds() == (0, 10)
    advance(scaled.server, "3s")
    assert (scaled.bounds(), scaled.requested()) == ((2, 10), 2)


def until_eight_s(server, zone):
    """More than two seconds, where it is eight just now those to tomorrow's."""
    now = datetime.fromtimestamp(now_ms(server) / 1000, ZoneInfo(zone))
    eight = now.replace(hour=8, minute=0, second=0, microsecond=0)
    if eight - now <= timedelta(seconds=3):
        eight += timedelta(days=1)
    return math.ceil(eight.timestamp() - now.timestamp())


def test_targets_and_actions_are_kept_shown_and_deleted(scaled):
    arn = scaled.register(1, 5)["ScalableTargetARN"]
    assert arn.startswith("arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/")
    assert scaled.scaling.register_scalable_target(**scaled.target, MaxCapacity=7)["ScalableTargetARN"] == arn
    assert scaled.bounds() == (1, 7)
    scaled.put("up", "rate(1 hour)", least=2)
    scaled.server.stop()
    scaled.server.start()
    scaled.connect()
    [action] = scaled.scaling.describe_scheduled_actions(ServiceNamespace="lambda")["ScheduledActions"]
    assert (action["ScheduledActionName"], action["Schedule"]) == ("up", "rate(1 hour)")
    assert action["ScalableTargetAction"] == {"MinCapacity": 2}
    assert action["ScheduledActionARN"].endswith(f"resource/lambda/{scaled.target['ResourceId']}:scheduledActionName/up")
    scaled.scaling.delete_scheduled_action(**scaled.target, ScheduledActionName="up")
    gone = scaled.refused(scaled.scaling.delete_scheduled_action, **scaled.target, ScheduledActionName="up")
    assert gone[0] == "ObjectNotFoundException" and gone[1].endswith("scheduled action name: up")
    scaled.put("up", "rate(1 hour)", least=2)
    scaled.scaling.deregister_scalable_target(**scaled.target)
    assert scaled.scaling.describe_scheduled_actions(ServiceNamespace="lambda")["ScheduledActions"] == []
    assert scaled.refused(scaled.scaling.deregister_scalable_target, **scaled.target)[0] == "ObjectNotFoundException"


def test_a_suspended_target_stays_as_it_is(scaled):
    scaled.register(0, 5, SuspendedState={"ScheduledScalingSuspended": True})
    scaled.put("up", "rate(1 hour)", least=2)
    advance(scaled.server, "61m")
    assert (scaled.requested(), scaled.bounds()) == (0, (0, 5))


def test_what_cannot_be_is_refused_by_name(scaled):
    register, put = scaled.scaling.register_scalable_target, scaled.scaling.put_scheduled_action
    both = {"MinCapacity": 0, "MaxCapacity": 1}
    other = {"ServiceNamespace": "ecs", "ResourceId": "service/a/b", "ScalableDimension": "ecs:service:DesiredCount"}
    assert "scaling of ecs" in scaled.refused(register, **other, **both)[1]
    assert scaled.refused(register, **scaled.target)[0] == "ValidationException", "both bounds of a new one"
    nobody = {**scaled.target, "ResourceId": "function:nobody:live"}
    assert scaled.refused(register, **nobody, **both)[0] == "ValidationException"
    latest = {**scaled.target, "ResourceId": scaled.target["ResourceId"].rpartition(":")[0] + ":$LATEST"}
    assert "must be an alias or a published version" in scaled.refused(register, **latest, **both)[1]
    assert scaled.refused(register, **scaled.target, MinCapacity=2, MaxCapacity=1)[0] == "ValidationException"
    action = {**scaled.target, "ScheduledActionName": "a", "ScalableTargetAction": both}
    assert scaled.refused(put, **action, Schedule="rate(1 hour)")[0] == "ObjectNotFoundException"
    scaled.register(0, 1)
    assert scaled.refused(put, **action, Schedule="sometimes")[0] == "ValidationException"
    assert scaled.refused(put, **action)[0] == "ValidationException", "a new one has a schedule"
    assert scaled.refused(put, **action, Schedule="rate(1 hour)", Timezone="Nowhere/At_All")[0] == "ValidationException"
    policy = {"PolicyName": "p", "PolicyType": "TargetTrackingScaling", **scaled.target}
    assert "scaling policies" in scaled.refused(scaled.scaling.put_scaling_policy, **policy)[1]
