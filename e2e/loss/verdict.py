"""What became of everything that was acknowledged."""

import json
import re
import time
from collections import Counter

from loss.wire import Wrong
from loss.world import BUCKET, RETRIES, drain, function_arn, queue_arn, queue_url

# Without any sign of life of a function. A debug build on a busy machine, whose pauses are of a minute's order at most.
PATIENCE_S = 90

# Of each kind: what is deployed, and the queues that get exactly one message for each event.
ENDS = {
    "well": ("well-records",),
    "bad": ("bad-records", "bad-letters"),
    "moody": ("moody-records",),
    "slow": ("slow-records",),
    "chain": (),
    "narrow": ("narrow-records",),
    # Its records go to a bucket.
    "object": (),
}

# How it is said that something is.
LOST = (AssertionError, Wrong)
# Each run of theirs is an error.
FAILING = ("bad", "object")


class Events:
    """The events of some senders, and what was heard of them."""

    def __init__(self, senders, witness):
        self.witness, self.heard = witness, {name: Counter() for names in ENDS.values() for name in names}
        self.acknowledged, self.objects = {}, set()
        for sender in senders:
            self.acknowledged.update(sender.acknowledged)

    def settle(self, world, patience):
        """Waits until each has ended; gives up when nothing happens any more."""
        wire, seen, since = world.wire(), None, time.monotonic()
        while waiting := self.waiting(wire):
            now = (len(waiting), self.witness.count)
            if now != seen:
                seen, since = now, time.monotonic()
            shown = [(request_id, self.acknowledged[request_id]) for request_id in waiting[:5]]
            assert time.monotonic() - since < patience, f"{len(waiting)} events are lost: {shown}\n{world.log()}"
            time.sleep(0.1)

    def waiting(self, wire):
        """Those of which something is still to be heard."""
        self.objects |= records(wire)
        for name, count in self.heard.items():
            for message in drain(wire, name):
                count[self.id_of(message)] += 1
        return [request_id for request_id, (kind, _) in self.acknowledged.items() if not self.has_ended(request_id, kind)]

    def has_ended(self, request_id, kind):
        if not self.witness.has("ran", request_id):
            return False
        if kind == "chain":
            return self.witness.has("heard", request_id)
        if kind == "object":
            return request_id in self.objects
        return all(self.heard[name][request_id] for name in ENDS[kind])

    @staticmethod
    def id_of(message):
        letter = message.get("MessageAttributes", {}).get("RequestID")
        return letter["StringValue"] if letter else json.loads(message["Body"])["requestContext"]["requestId"]

    def check(self, kills):
        """No end is told twice, and none runs more often than its attempts and the crashes explain."""
        for name, count in self.heard.items():
            twice = {request_id: times for request_id, times in count.items() if times > 1}
            assert not twice, f"{name} was told more than once: {twice}"
        extra = 0
        for request_id, (kind, n) in self.acknowledged.items():
            runs = self.witness.told("ran", request_id)
            assert all(run == (kind, n) for run in runs), f"{request_id} is {kind} {n}, and ran as {runs}"
            least = 1 + RETRIES if kind in FAILING else 2 if kind == "moody" else 1
            assert least <= len(runs) <= least + kills, f"{request_id} ({kind}) ran {len(runs)} times, with {kills} crashes"
            extra += len(runs) - least
        return extra


def records(wire):
    """The request ids of all records in the bucket: the end of each one's key."""
    found, after = set(), ""
    while True:
        page = wire.s3("GET", f"/{BUCKET}?list-type=2&prefix=aws/&start-after={after}")
        assert page is not None, f"the bucket {BUCKET} is not there"
        keys = re.findall(r"<Key>([^<]*)</Key>", page.decode())
        if not keys:
            return found
        found.update(key[-36:] for key in keys)
        after = keys[-1]


def check_messages(wire, clients, queue, letters):
    """Each message that was acknowledged and not deleted is there once, in its queue or where it moved; no deleted one is."""
    found, end = Counter(), time.monotonic() + PATIENCE_S
    while True:
        for name in (queue, letters):
            found.update(text.rstrip(".") for text in (message["Body"] for message in drain(wire, name)))
        if not any(left(wire, name) for name in (queue, letters)):
            break
        assert time.monotonic() < end, f"{queue} does not become empty"
        time.sleep(0.1)
    sent = set().union(*(client.sent for client in clients))
    deleting = set().union(*(client.deleting for client in clients))
    deleted = set().union(*(client.deleted for client in clients))
    assert not sent - deleting - found.keys(), f"messages are lost: {sorted(sent - deleting - found.keys())[:5]}"
    assert not deleted & found.keys(), f"deleted messages are back: {sorted(deleted & found.keys())[:5]}"
    twice = {body: times for body, times in found.items() if times > 1}
    assert not twice, f"messages are there twice: {twice}"
    return len(sent), len(deleted)


def left(wire, name):
    """Messages of a queue, seen or not."""
    numbers = wire.sqs("GetQueueAttributes", QueueUrl=queue_url(name), AttributeNames=["All"])["Attributes"]
    return sum(int(value) for key, value in numbers.items() if key.startswith("ApproximateNumberOfMessages"))


def prepare(wire, deploy, queue):
    """What the senders and clients of queues use."""
    wire.s3("PUT", f"/{BUCKET}")
    for names in ENDS.values():
        for name in names:
            queue(wire, name, VisibilityTimeout="30")
    queue(wire, "work-letters")
    queue(wire, "work", RedrivePolicy=json.dumps({"deadLetterTargetArn": queue_arn("work-letters"), "maxReceiveCount": "3"}))
    deploy(wire, "heard", "heard")
    for kind, names in ENDS.items():
        others = {"chain": function_arn("heard"), "object": f"arn:aws:s3:::{BUCKET}"}
        sides = {"OnFailure" if kind in FAILING else "OnSuccess": others.get(kind) or queue_arn(names[0])}
        deploy(wire, kind, kind, letters=queue_arn(names[1]) if len(names) > 1 else None, **sides)
    wire.well("PUT", "/2017-10-31/functions/narrow/concurrency", json.dumps({"ReservedConcurrentExecutions": 1}))
