"""Clients of what moves messages on: FIFO queues, mappings, topics, rules."""

import json
import re
import threading
import time
from collections import Counter

from loss.clients import Client, text_of
from loss.wire import Wrong
from loss.world import drain, queue, queue_arn, queue_url

LINE = "line.fifo"
# How long a receiver has a message, and how long it is surely in no other hand.
HELD_S, SURELY_HELD_S = 5, 4
# Without anything new coming out at the end: a message may be held by nobody, whose receiver got no answer.
PATIENCE_S = 90
TOPIC = "arn:aws:sns:us-east-1:000000000000:news"
MAY_SEND = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}, "Action": "sqs:SendMessage", "Resource": "*"}]})


def prepare(wire, deploy):
    queue(wire, LINE, FifoQueue="true", VisibilityTimeout=str(HELD_S))
    queue(wire, "pull", VisibilityTimeout="6")
    deploy(wire, "pulled", "pulled", Timeout=5)
    mapping = {"EventSourceArn": queue_arn("pull"), "FunctionName": "pulled", "BatchSize": 5}
    wire.well("POST", "/2015-03-31/event-source-mappings", json.dumps(mapping))
    for name in ("news", "ruled"):
        queue(wire, name, VisibilityTimeout="30", Policy=MAY_SEND)
    wire.sns("CreateTopic", Name="news")
    subscription = {"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": queue_arn("news")}
    wire.sns("Subscribe", **subscription, **{"Attributes.entry.1.key": "RawMessageDelivery", "Attributes.entry.1.value": "true"})
    wire.events("PutRule", Name="ruled", EventPattern=json.dumps({"source": ["loss"]}))
    wire.events("PutTargets", Rule="ruled", Targets=[{"Id": "1", "Arn": queue_arn("ruled"), "InputPath": "$.detail"}])


class Line:
    """What is known of the groups of a FIFO queue, by all its clients together."""

    def __init__(self):
        self.lock = threading.Lock()
        # {group: [n]}: acknowledged, in order; and what was asked to be deleted, or was.
        self.sent, self.deleting, self.deleted = {}, set(), set()
        # {group: (until when, the messages of the receive)}
        self.held = {}

    def received(self, group, n, until):
        """One message of a receive that began before `until - SURELY_HELD_S`."""
        with self.lock:
            if (group, n) in self.deleted:
                raise Wrong(f"{group} {n} is back after it was deleted")
            missing = [m for m in self.sent.get(group, ()) if m < n and (group, m) not in self.deleting]
            before, others = self.held.get(group, (0, set()))
            is_same = until == before
            if [m for m in missing if not (is_same and m in others)]:
                raise Wrong(f"{group} {n} came before {missing}")
            if not is_same and before > time.monotonic() and others - {m for g, m in self.deleting if g == group}:
                raise Wrong(f"{group} {n} came while {others} was in another hand")
            self.held[group] = (until, (others if is_same else set()) | {n})


class Fifo(Client):
    """Sends in groups of its own; receives and deletes whatever is there."""

    def __init__(self, name, chance, line):
        super().__init__(name, chance)
        self.line, self.next, self.hands = line, {}, []

    def step(self, wire):
        what = self.chance.random()
        if what < 0.4 or not (self.hands or what < 0.7):
            self.send(wire)
        elif what < 0.7:
            self.receive(wire)
        else:
            self.delete(wire, *self.hands.pop(0))

    def send(self, wire):
        group = f"{self.name}-{self.chance.randrange(3)}"
        n = self.next[group] = self.next.get(group, 0) + 1
        body = f"{group}/{n}"
        wire.sqs("SendMessage", QueueUrl=queue_url(LINE), MessageBody=body, MessageGroupId=group, MessageDeduplicationId=body)
        with self.line.lock:
            self.line.sent.setdefault(group, []).append(n)

    def receive(self, wire):
        # From before the request on, so that it ends before the server lets another one have them.
        until = time.monotonic() + SURELY_HELD_S
        answer = wire.sqs("ReceiveMessage", QueueUrl=queue_url(LINE), MaxNumberOfMessages=self.chance.randint(1, 5))
        for message in answer.get("Messages", ()):
            group, n = message["Body"].split("/")
            self.line.received(group, int(n), until)
            self.hands.append((group, int(n), message["ReceiptHandle"], until))

    def delete(self, wire, group, n, handle, until):
        with self.line.lock:
            self.line.deleting.add((group, n))
        status, _, answer = wire.ask_sqs("DeleteMessage", QueueUrl=queue_url(LINE), ReceiptHandle=handle)
        # With a handle whose time is over nothing is deleted: the message is somebody else's by then.
        if status == 200 and time.monotonic() < until:
            with self.line.lock:
                self.line.deleted.add((group, n))
        elif status >= 500:
            raise Wrong(f"DeleteMessage: {status} {answer}", status)

    def check(self, wire):
        """Takes the rest out, in its order. The last one that looks is the one that judges."""
        found, end = Counter(), time.monotonic() + PATIENCE_S
        line = self.line
        missing = lambda: [(g, n) for g, all_ in line.sent.items() for n in all_ if (g, n) not in line.deleting and (g, n) not in found]
        while missing():
            assert time.monotonic() < end, f"messages are lost: {missing()[:5]}"
            last = {}
            for message in drain(wire, LINE):
                group, n = message["Body"].split("/")
                if (group, int(n)) in line.deleted or int(n) <= last.get(group, 0):
                    raise Wrong(f"{group} {n} is back, or came after {last.get(group)}")
                last[group] = int(n)
                found[group, int(n)] += 1
        twice = {key for key, times in found.items() if times > 1}
        assert not twice, f"messages came twice: {twice}"
        line.deleting.update(found)
        line.deleted.update(found)


class Mover(Client):
    """Sends to a queue that a mapping reads, to a topic and to a bus. What comes out must be all that was taken."""

    def __init__(self, name, chance, witness):
        super().__init__(name, chance)
        self.witness, self.sent = witness, {"pull": set(), "news": set(), "ruled": set()}

    def step(self, wire):
        way, body = self.chance.choice(sorted(self.sent)), self.fresh()
        if way == "pull":
            wire.sqs("SendMessage", QueueUrl=queue_url("pull"), MessageBody=body)
        elif way == "news":
            wire.sns("Publish", TopicArn=TOPIC, Message=body)
        else:
            entry = {"Source": "loss", "DetailType": "sent", "Detail": json.dumps({"n": body})}
            answer = wire.events("PutEvents", Entries=[entry])
            if answer["FailedEntryCount"]:
                raise Wrong(f"{answer}")
        self.sent[way].add(body)

    def check(self, wire):
        found, end = {"news": set(), "ruled": set()}, time.monotonic() + PATIENCE_S
        while True:
            found["news"] |= {text_of(message) for message in drain(wire, "news")}
            found["ruled"] |= {json.loads(message["Body"])["n"] for message in drain(wire, "ruled")}
            lost = {way: self.sent[way] - got for way, got in found.items()}
            lost["pull"] = {body for body in self.sent["pull"] if not self.witness.has("pulled", body)}
            if not any(lost.values()):
                return
            assert time.monotonic() < end, f"lost on the way: {[(way, sorted(some)[:5]) for way, some in lost.items()]}"
            time.sleep(0.1)


class Topics(Client):
    """Makes FIFO topics, publishes to them, and deletes some."""

    ATTRIBUTES = {"Attributes.entry.1.key": "FifoTopic", "Attributes.entry.1.value": "true"}
    # Within which the same is published once, and a little less.
    ONCE_S = 200

    def __init__(self, name, chance):
        super().__init__(name, chance)
        # {name: (the id of its message, until when it gets no other)}; None where it may be there or not.
        self.topics = {}

    def step(self, wire):
        name, until = f"{self.fresh()}.fifo", time.monotonic() + self.ONCE_S
        self.topics[name] = None
        wire.sns("CreateTopic", Name=name, **self.ATTRIBUTES)
        message = self.publish(wire, name)
        if self.chance.random() < 0.7:
            wire.sns("DeleteTopic", TopicArn=self.arn(name))
            del self.topics[name]
        else:
            self.topics[name] = message, until

    def publish(self, wire, name):
        answer = wire.sns("Publish", TopicArn=self.arn(name), Message="m", MessageGroupId="g", MessageDeduplicationId="d")
        return re.search(rb"<MessageId>(.*?)</MessageId>", answer)[1]

    def arn(self, name):
        return f"{TOPIC.rsplit(':', 1)[0]}:{name}"

    def check(self, wire):
        """What was acknowledged is there, and knows what it took; what was deleted did not come back."""
        for n in range(1, self.serial + 1):
            name = f"{self.name}-{n}.fifo"
            is_there = wire.ask_sns("GetTopicAttributes", TopicArn=self.arn(name))[0] == 200
            known = self.topics.get(name)
            if is_there != bool(known) and (known or name not in self.topics):
                raise Wrong(f"the topic {name} is {'back' if is_there else 'lost'}")
            if known and time.monotonic() < known[1] and self.publish(wire, name) != known[0]:
                raise Wrong(f"{name} took a message twice")

    def leave(self, wire):
        for name in self.topics:
            wire.sns("DeleteTopic", TopicArn=self.arn(name))
