"""A stream that a mapping reads, and what is due at times: where these stand is kept apart from what they send."""

import json
import time

from loss.clients import Client, text_of
from loss.flows import PATIENCE_S
from loss.world import ROLE, drain, queue, queue_arn

STREAM, LOST = "kept-stream", "stream-lost"
# Records of which nothing was heard yet.
MOST_OPEN = 20
# Schedules between two looks.
MOST_SCHEDULES = 60
# A rule that is due each minute has been, by then.
DUE_S = 130


def prepare(world, wire, deploy):
    kinesis = world.upstream.client("kinesis")
    kinesis.create_stream(StreamName=STREAM, ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["StreamARN"]
    queue(wire, LOST, VisibilityTimeout="30")
    deploy(wire, "streamed", "streamed", Timeout=30)
    wire.well("POST", "/2015-03-31/event-source-mappings", json.dumps({
        "EventSourceArn": arn, "FunctionName": "streamed", "StartingPosition": "TRIM_HORIZON", "BatchSize": 4, "MaximumRetryAttempts": 1,
        "BisectBatchOnFunctionError": True, "DestinationConfig": {"OnFailure": {"Destination": queue_arn(LOST)}},
    }))
    may_send = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
    for name in ("timed", "minutely"):
        queue(wire, name, VisibilityTimeout="30", Policy=policy)
    wire.events("PutRule", Name="minutely", ScheduleExpression="rate(1 minute)")
    wire.events("PutTargets", Rule="minutely", Targets=[{"Id": "1", "Arn": queue_arn("minutely")}])


def until_none(missing, what):
    """Waits until nothing is missing, for as long as ever less is."""
    before, end = None, 0
    while lost := missing():
        if before is None or len(lost) < before:
            before, end = len(lost), time.monotonic() + PATIENCE_S
        assert time.monotonic() < end, f"{what}: {lost[:5]}"
        time.sleep(0.1)


class Streamer(Client):
    """Puts records. Each is run, and those that fail are told to the destination."""

    def __init__(self, name, chance, world, witness):
        super().__init__(name, chance)
        self.kinesis, self.witness = world.upstream.client("kinesis"), witness
        # {body: its number}, in order.
        self.put, self.heard = {}, 0

    def step(self, wire):
        bodies = list(self.put)
        while self.heard < len(bodies) and self.witness.has("streamed", bodies[self.heard]):
            self.heard += 1
        if len(bodies) - self.heard > MOST_OPEN:
            wire.invoke_if_there_is_room("well", {"n": self.fresh()})
            return
        body = self.fresh()
        self.put[body] = int(self.kinesis.put_record(StreamName=STREAM, Data=body.encode(), PartitionKey="k")["SequenceNumber"])

    def check(self, wire):
        told = []
        is_told = lambda number: any(first <= number <= last for first, last in told)
        has_run = lambda body: not body.endswith("7") and self.witness.has("streamed", body)

        def missing():
            for message in drain(wire, LOST):
                info = json.loads(message["Body"])["KinesisBatchInfo"]
                told.append((int(info["startSequenceNumber"]), int(info["endSequenceNumber"])))
            return [body for body, number in self.put.items() if not has_run(body) and not is_told(number)]

        until_none(missing, "records are lost")


class Idle(Client):
    """Lets time pass, by which the rule is due."""

    def step(self, wire):
        wire.invoke_if_there_is_room("well", {"n": self.fresh()})


class Timed(Client):
    """Makes schedules that are due at once, then not for an hour; a rule is due each minute."""

    def __init__(self, name, chance):
        super().__init__(name, chance)
        self.made, self.begun = {}, time.monotonic()

    def step(self, wire):
        name = self.fresh()
        if len(self.made) >= MOST_SCHEDULES:
            wire.invoke_if_there_is_room("well", {"n": name})
            return
        self.made[name] = False
        wire.scheduler(
            "POST", f"/schedules/{name}", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": queue_arn("timed"), "RoleArn": ROLE, "Input": name},
        )
        self.made[name] = True

    def check(self, wire):
        found, minutes = set(), 0

        def missing():
            nonlocal minutes
            found.update(text_of(message) for message in drain(wire, "timed"))
            minutes += len(drain(wire, "minutely"))
            lost = [name for name, is_sure in self.made.items() if is_sure and name not in found]
            is_late = not minutes and time.monotonic() - self.begun >= DUE_S
            return lost + ["the rule of each minute"] * is_late

        until_none(missing, "what was due did not come")

    def leave(self, wire):
        for name, is_sure in self.made.items():
            if is_sure:
                wire.scheduler("DELETE", f"/schedules/{name}")
